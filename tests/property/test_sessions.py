"""Whatever a provider sends, and whenever a host interrupts: what the host is told keeps its promises."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import msgspec
from hypothesis import given, settings, strategies as st

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import heard
from omnirt.sessions.mapping import HANDLERS
from omnirt.sessions.playback import Playback
from omnirt.sessions.responses import MAX_RUNNING
from tests.support import provider_events as pe
from tests.unit.sessions.helpers import Talk, audio_done, words_done

MS = 48

NAMES = [
    "type", "id", "item", "item_id", "response", "response_id", "content", "content_index", "delta",
    "transcript", "text", "role", "status", "status_details", "usage", "error", "code", "message", "reason",
    "event_id", "call_id", "name", "arguments", "output", "session", "audio", "input", "turn_detection",
    "audio_start_ms", "audio_end_ms", "total_tokens", "input_tokens", "input_token_details", "seconds",
]  # fmt: skip

ids = st.sampled_from(["r1", "r2", "r3"])
items = st.sampled_from(["i1", "i2", "i3", ""])
texts = st.sampled_from(["", "Hello", "Hello again"])
garbage: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "i1", "r1", "message", "completed", "function_call", "assistant", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@st.composite
def plausible(draw: st.DrawFn) -> dict[str, Any]:
    """An event that a provider may well send, at whatever time."""
    response, item, text = draw(ids), draw(items), draw(texts)
    where = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    user = {"item_id": "u1", "content_index": 0}
    transcription = "conversation.item.input_audio_transcription"
    status = draw(st.sampled_from(["completed", "cancelled", "failed", "incomplete"]))
    made = [
        pe.created(response),
        pe.audio(response, item, draw(st.integers(0, 400))),
        audio_done(response, item),
        pe.words(response, item, text),
        words_done(response, item, text),
        pe.event("response.output_text.delta", delta=text, **where),
        pe.event("response.output_text.done", text=text, **where),
        pe.done(response, status),
        pe.item_added(pe.message(item or "i1", draw(st.sampled_from(["user", "assistant"])))),
        pe.function_call(response, draw(st.sampled_from(["c1", "c2", ""])), "weather"),
        pe.event("conversation.item.deleted", item_id=item),
        pe.event(
            "conversation.item.truncated",
            item_id=item,
            audio_end_ms=draw(st.integers(0, 500)),
            content_index=0,
        ),
        pe.speech_started("u1"),
        pe.event("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=100),
        pe.event("input_audio_buffer.committed", item_id=draw(st.sampled_from(["u1", "u2"]))),
        pe.event(f"{transcription}.delta", delta=text, **user),
        pe.event(f"{transcription}.completed", transcript=text, **user),
        pe.event(f"{transcription}.failed", error={"message": text}, **user),
        pe.error(
            text, event_id=None, code=draw(st.sampled_from(["x", "conversation_already_has_active_response"]))
        ),
    ]
    return draw(st.sampled_from(made))


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """An event of a known kind with anything in it."""
    kind = draw(st.sampled_from([*HANDLERS, "response.output_audio.delta"]))
    members = draw(st.dictionaries(st.sampled_from(NAMES), garbage, max_size=6))
    if kind == "response.output_audio.delta":
        members["delta"] = base64.b64encode(draw(st.binary(max_size=200))).decode()
    return {**members, "type": kind}


acts = st.one_of(
    plausible(),
    plausible(),
    plausible(),
    broken(),
    st.tuples(st.just("interrupt"), st.none() | items, st.none() | st.integers(-5, 1000)),
    st.tuples(st.just("report"), items, st.integers(-5, 1000)),
    st.tuples(st.just("ask")),
    st.tuples(st.just("refuse"), st.sampled_from(["x", "conversation_already_has_active_response"])),
    st.tuples(st.just("tool"), st.sampled_from(["c1", "c2", ""])),
    st.tuples(st.just("pass"), st.floats(0, 1)),
)


def perform(talk: Talk, act: Any) -> None:
    match act:
        case dict():
            talk.feed(act)
        case ("interrupt", item_id, played_ms):
            talk.interrupt(item_id, None, played_ms)
        case ("report", item_id, played_ms):
            heard.reported(talk.core, item_id, 0, played_ms, talk.now)
            talk.collect()
        case ("ask",):
            talk.ask()
        case ("refuse", code):
            creates = [event for event in talk.sent if event["type"] == "response.create"]
            if creates:
                talk.feed(pe.error("Refused", event_id=creates[-1]["event_id"], code=code))
        case ("tool", call_id):
            talk.core.turns.tool_answered(call_id, talk.now, respond=True)
            talk.core.pump(talk.now)
            talk.collect()
        case ("pass", seconds):
            talk.now += seconds
            heard.settle_played(talk.core, talk.now)
            talk.collect()
        case _:
            raise AssertionError(act)


def assert_pairs(told: list[Event]) -> None:
    """All that starts ends once, before the end; nothing ends that did not start."""
    open_responses: set[str] = set()
    agents = speech = 0
    series: set[tuple[str, str, int]] = set()
    audio: set[tuple[str, int]] = set()
    over: set[tuple[str, int]] = set()
    for event in told:
        match event:
            case ev.RealtimeResponseStart():
                assert event.response_id not in open_responses
                open_responses.add(event.response_id)
            case ev.RealtimeResponseEnd():
                open_responses.remove(event.response_id)
            case ev.RealtimeAgentStart():
                agents += 1
            case ev.RealtimeAgentEnd():
                agents -= 1
            case ev.RealtimeInputSpeechStart():
                assert speech == 0
                speech = 1
            case ev.RealtimeInputSpeechEnd():
                assert speech == 1
                speech = 0
            case ev.RealtimeTranscriptDelta() | ev.RealtimeTextDelta():
                series.add((event.METHOD[:-5], event.item_id, event.content_index))
            case ev.RealtimeTranscriptDone() | ev.RealtimeTextDone():
                series.discard((event.METHOD[:-4], event.item_id, event.content_index))
            case ev.RealtimeAudio():
                part = event.item_id, event.content_index
                assert part not in over, "no audio of a part that was cut or ended"
                assert event.response_id in open_responses
                audio.add(part)
            case ev.RealtimeAudioEnd():
                part = event.item_id, event.content_index
                audio.remove(part)
                assert part not in over
                over.add(part)
            case _:
                pass
    assert (open_responses, agents, speech, series, audio) == (set(), 0, 0, set(), set())


@settings(deadline=None, max_examples=400)
@given(st.lists(acts, max_size=40))
def test_whatever_comes_all_that_starts_ends_once_and_closed_is_last(script: list[Any]) -> None:
    talk = Talk()
    for act in script:
        perform(talk, act)
        assert len(talk.core.responses.running) <= MAX_RUNNING
    talk.close()
    for act in script:
        perform(talk, act)
    assert talk.told[0].METHOD == "realtime.state"
    assert [event.METHOD for event in talk.told].index("realtime.closed") == len(talk.told) - 1
    times = [event.at_ms for event in talk.told]
    assert times == sorted(times)
    assert_pairs(talk.told)
    cut = Counter((e.item_id, e.content_index) for e in talk.of(ev.RealtimeAudioInterrupted))
    assert set(cut.values()) <= {1}, "cut once"
    for event in talk.told:
        encoded = msgspec.json.encode(mended(event))
        assert msgspec.json.decode(encoded)["atMs"] >= 0


@settings(deadline=None, max_examples=300)
@given(st.lists(acts, max_size=40))
def test_at_the_end_it_is_known_of_all_audio_how_much_was_heard(script: list[Any]) -> None:
    talk = Talk()
    for act in script:
        perform(talk, act)
    talk.close()
    generated: Counter[tuple[str, int]] = Counter()
    for audio in talk.of(ev.RealtimeAudio):
        generated[audio.item_id, audio.content_index] += audio.delta_ms
    last = {(part.item_id, part.content_index): part for part in talk.heard}
    assert set(last) >= set(generated)
    for key, part in last.items():
        assert 0 <= part.heard_ms <= generated[key]
        assert (part.played_at_ms is None) == (part.heard_ms == 0)
    for item_id, index in generated:
        item = talk.core.items.get(item_id)
        if item is None or item.role != "assistant" or not item.content or len(item.content) > 1 or index:
            continue
        assert item.heard_ms == sum(part.heard_ms for key, part in last.items() if key[0] == item_id)
        if item.content[index].type == "audio" and item.generated_text:
            assert isinstance(item.heard_text, str)
            assert item.generated_text.startswith(item.heard_text)


def mended(event: Event) -> object:
    """As the wire does it: half characters from careless JSON are replaced."""
    return _mended(msgspec.to_builtins(event))


def _mended(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_mended(name): _mended(member) for name, member in value.items()}
        case list():
            return [_mended(member) for member in value]
        case _:
            return value


@settings(deadline=None, max_examples=400)
@given(st.lists(acts, max_size=40))
def test_the_provider_is_told_in_order(script: list[Any]) -> None:
    """Never two creates in flight; truncations within what was generated, once a part."""
    talk = Talk()
    in_flight = ""
    cut: set[tuple[str, int]] = set()
    for act in script:
        sent = len(talk.sent)
        was = talk.core.turns.in_flight
        perform(talk, act)
        for event in talk.sent[sent:]:
            if event["type"] == "response.create":
                assert was is None or talk.core.turns.in_flight is not was, "the one before was settled"
                assert event["event_id"] != in_flight
                in_flight = event["event_id"]
            elif event["type"] == "conversation.item.truncate":
                key = event["item_id"], event["content_index"]
                assert key not in cut
                cut.add(key)
                part = talk.core.playback.get(*key)
                assert part
                assert 0 < event["audio_end_ms"] <= part.generated_ms
        assert sum(event["type"] == "response.create" for event in talk.sent[sent:]) <= 1


player = st.one_of(
    st.tuples(st.just("audio"), st.sampled_from("abc"), st.integers(0, 96_000)),
    st.tuples(st.just("report"), st.sampled_from("abc"), st.integers(-10, 3000)),
    st.tuples(st.just("unsent"), st.sampled_from("abc"), st.integers(0, 3000)),
    st.tuples(st.just("pass"), st.just(""), st.floats(0, 2)),
    st.tuples(st.just("cut"), st.just(""), st.just(0)),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(player, max_size=40))
def test_heard_is_within_sent_is_within_generated_and_nothing_is_cut_twice(script: list[Any]) -> None:
    unsent: dict[str, int] = {}
    playback = Playback(MS, lambda item, _index: unsent.get(item, 0))
    now = 0.0
    cut: set[str] = set()
    for act, name, amount in script:
        match act:
            case "audio" if name not in cut:
                playback.generated("r", name, 0, amount, now)
            case "report":
                playback.report(name, 0, amount, now)
            case "unsent":
                unsent[name] = amount
            case "pass":
                now += amount
            case "cut":
                for entry in playback.cut(now):
                    assert entry.part.item_id not in cut
                    assert 0 <= entry.heard_ms <= entry.part.generated_ms
                    cut.add(entry.part.item_id)
            case _:
                pass
        for part in playback.parts():
            heard_ms, waits = playback.heard_ms(part, now), unsent.get(part.item_id, 0)
            assert 0 <= heard_ms <= max(0, part.generated_ms - waits) <= part.generated_ms
