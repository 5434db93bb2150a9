"""Every kind of event that the simulator sends is one of the provider's."""

from __future__ import annotations

import ast
from pathlib import Path

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from omnirt import loopback
from tests.unit.loopback.helpers import Event, Talk, of, recording

SCRIPT = {
    "hears": ["one", {"fail": "two"}],
    "rules": [{"on": "text", "do": [{"say": "done"}, {"text": "x"}, {"call": {"tool": "t"}}]}],
}


def sent_by_the_code() -> set[str]:
    """The names of events in the source of the core."""
    literals: set[str] = set()
    folder = Path(loopback.__file__).parent
    for module in ("conversation", "listener", "response"):
        tree = ast.parse((folder / f"{module}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("emit"):
                literals |= {str(name.value) for name in node.args[:1] if isinstance(name, ast.Constant)}
    kind = "conversation.item.input_audio_transcription"
    return literals | {f"{kind}.{end}" for end in ("delta", "completed", "failed")}


def everything() -> list[Event]:
    """A session that has one of each."""
    talk = Talk(SCRIPT)
    talk.detect({"type": "server_vad", "idle_timeout_ms": 5000}, transcription={"model": "whisper-1"})
    talk.answer("Hello")
    item_id = of(talk.events, "response.output_audio.done")[0]["item_id"]
    for _ in range(2):
        talk.speak(recording("stop"))
        talk.advance(3)
    talk.advance(10)
    talk.finish()
    talk.send("input_audio_buffer.clear")
    talk.send("conversation.item.retrieve", item_id=item_id)
    talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=5)
    talk.send("conversation.item.delete", item_id=item_id)
    talk.send("response.cancel")
    return talk.events


def test_every_kind_of_event_validates_against_the_providers_own_types() -> None:
    adapter: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
    samples = {event["type"]: event for event in everything()}
    assert set(samples) == sent_by_the_code()
    for kind, event in samples.items():
        parsed = adapter.validate_python(event)
        assert parsed.type == kind
