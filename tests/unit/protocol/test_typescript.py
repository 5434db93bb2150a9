"""The declarations for TypeScript name all that the tables do; tests/hosts compiles them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omnirt import schema_command
from omnirt.errors import KINDS
from omnirt.protocol.calls import CALLS
from omnirt.protocol.events import EVENTS
from omnirt.protocol.methods import METHODS

TEXT = (Path(__file__).parents[3] / "schemas" / "omnirt.d.ts").read_text(encoding="utf-8")
BODIES = dict(re.findall(r"^export interface (\w+) \{\n(.*?)^\}", TEXT, re.MULTILINE | re.DOTALL))
TABLES = {
    "Methods": [name for name, spec in METHODS.items() if spec.request],
    "HostNotifications": [name for name, spec in METHODS.items() if spec.notification],
    "Notifications": list(EVENTS),
    "Calls": list(CALLS),
    "ErrorCodes": list(KINDS),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_an_interface_of_the_same_names_each_with_its_doc(name: str) -> None:
    rows = re.findall(r' \*/\n  "([^"]+)": ', BODIES[name])
    assert rows == TABLES[name]


def test_what_a_host_sends_is_closed_and_what_it_reads_is_open() -> None:
    assert 'record?: "assistant" | "both" | "none" | null;' in BODIES["SessionStartParams"]
    assert 'decision: "approve" | "reject";' in BODIES["ToolApproveResult"]
    assert 'status: Open<"completed" | "inProgress" | "incomplete">;' in BODIES["Item"]
    assert "kind: Open<ErrorKind>;" in BODIES["RealtimeError"]


def test_only_what_may_be_null_on_the_wire_says_so() -> None:
    assert "heardMs?: number;" in BODIES["Item"]
    assert "itemId?: string | null;" in BODIES["SessionInterruptParams"]
    assert "turn_detection?: SemanticVad | ServerVad | null;" in BODIES["RealtimeSettings"]


def test_open_members_of_params_have_the_types_of_what_stands_in_them() -> None:
    assert "agent: string | AgentSpec;" in BODIES["SessionStartParams"]
    assert "settings?: ConnectionSettings | null;" in BODIES["SessionStartParams"]
    assert "realtime?: RealtimeSettings | null;" in BODIES["SessionUpdateParams"]


def test_audio_is_base64_with_the_docs_of_its_struct() -> None:
    assert "audio: Base64;" in BODIES["RealtimeAudio"]
    assert "/** A chunk of the agent's speech; `offsetMs` is its place in the item's part" in TEXT


def test_stale_declarations_are_drift(tmp_path: Path) -> None:
    schema_command.run(["--write", str(tmp_path)])
    (tmp_path / "omnirt.d.ts").write_text(TEXT.replace("atMs: number", "atMs: string"), encoding="utf-8")
    assert schema_command.run(["--check", str(tmp_path)]) == 1
    schema_command.run(["--write", str(tmp_path)])
    (tmp_path / "old.d.ts").touch()
    assert schema_command.run(["--check", str(tmp_path)]) == 1


def test_the_command_prints_the_declarations(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema_command.run(["typescript"]) == 0
    assert "export interface Methods {" in capsys.readouterr().out
