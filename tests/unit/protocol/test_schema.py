"""The schemas are valid documents, equal the tables, and accept and refuse what the decoder does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from omnirt import schema_command
from omnirt.errors import KINDS, OmnirtError
from omnirt.protocol.calls import CALLS
from omnirt.protocol.events import EVENTS
from omnirt.protocol.methods import METHODS
from omnirt.protocol.schema import documents, openrpc, render
from omnirt.protocol.validation import decode_params
from tests.support import samples
from tests.support.specs import parse_spec

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "schemas"
META = Path(__file__).parent / "meta"

WITH_PARAMS = [(name, spec.params) for name, spec in METHODS.items()]
DOCUMENTS = documents()


def validator(document: str, definition: str) -> Draft202012Validator:
    """Validates against one definition of one of the documents."""
    schema = DOCUMENTS[f"{document}.json"]
    step = definition.replace("/", "~1")
    return Draft202012Validator({"$ref": f"#/$defs/{step}", "$defs": schema["$defs"]})


def params_schema(document: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a message's params, and the document it refers into."""
    root = DOCUMENTS[f"{document}.json"]
    return samples.resolve(root["$defs"][f"{name}.message"]["properties"]["params"], root), root


def test_the_files_are_what_the_tables_say() -> None:
    assert schema_command.run(["--check", str(SCHEMAS)]) == 0


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert [render(d) for d in documents().values()] == [render(d) for d in documents().values()]


def test_a_stale_a_missing_and_a_left_over_file_are_drift(tmp_path: Path) -> None:
    assert schema_command.run(["--write", str(tmp_path)]) == 0
    assert schema_command.run(["--check", str(tmp_path)]) == 0
    (tmp_path / "calls.json").write_text("{}")
    assert schema_command.run(["--check", str(tmp_path)]) == 1
    schema_command.run(["--write", str(tmp_path)])
    (tmp_path / "old.json").write_text("{}")
    assert schema_command.run(["--check", str(tmp_path)]) == 1
    schema_command.run(["--write", str(tmp_path)])
    (tmp_path / "openrpc.json").unlink()
    assert schema_command.run(["--check", str(tmp_path)]) == 1


def test_the_command_prints_the_openrpc_document_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema_command.run([]) == 0
    assert capsys.readouterr().out == (SCHEMAS / "openrpc.json").read_text(encoding="utf-8")


def test_the_openrpc_document_fits_the_openrpc_meta_schema() -> None:
    meta = json.loads((META / "openrpc.json").read_text())
    tools = json.loads((META / "json-schema.json").read_text())
    resource = Resource.from_contents(tools, default_specification=DRAFT7)
    registry = Registry().with_resources(
        [(uri, resource) for uri in ("https://meta.json-schema.tools", "https://meta.json-schema.tools/")]
    )
    draft7 = validator_for({"$schema": "http://json-schema.org/draft-07/schema#"})
    problems = list(draft7(meta, registry=registry).iter_errors(openrpc()))
    assert problems == []


@pytest.mark.parametrize("name", [path.name for path in SCHEMAS.glob("*.json")])
def test_every_reference_resolves_inside_its_document(name: str) -> None:
    document = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    references = re.findall(r'"\$ref": "([^"]+)"', render(document))
    assert references
    for reference in set(references):
        assert samples.resolve({"$ref": reference}, document)


def test_an_agent_spec_fits_its_schema_and_a_misspelt_member_does_not() -> None:
    schema = json.loads((SCHEMAS / "agent.json").read_text(encoding="utf-8"))
    check = Draft202012Validator(schema)
    spec = {
        "name": "concierge",
        "instructions": "You help {{ user }}",
        "variables": {"user": "Ana"},
        "realtime_settings": {"voice": "ash", "turn_detection": {"type": "semantic_vad"}},
        "tools": [{"name": "get_weather", "run": "host", "parameters": {"type": "object"}}],
        "handoffs": ["billing", {"name": "sales"}],
    }
    assert list(check.iter_errors(spec)) == []
    assert parse_spec(spec).name == "concierge"
    for path, misfit in {"$.instrutions": {"instrutions": ""}, "$.name": {"name": ""}}.items():
        assert not check.is_valid({**spec, **misfit})
        with pytest.raises(OmnirtError) as caught:
            parse_spec({**spec, **misfit})
        assert caught.value.facts["path"] == path


def test_members_of_the_agent_spec_say_what_they_are_for() -> None:
    agent = json.loads((SCHEMAS / "agent.json").read_text(encoding="utf-8"))["$defs"]["AgentSpec"]
    assert all(member.get("description") for member in agent["properties"].values())
    assert "Args:" not in agent["description"]


def test_the_openrpc_document_names_every_method_notification_call_and_kind() -> None:
    document = openrpc()
    assert [m["name"] for m in document["methods"]] == list(METHODS)
    assert [n["name"] for n in document["x-notifications"]] == list(EVENTS)
    assert [c["name"] for c in document["x-calls"]] == list(CALLS)
    assert list(document["components"]["errors"]) == list(KINDS)


def test_members_are_told_in_the_spelling_of_the_wire() -> None:
    for name in DOCUMENTS:
        told = re.findall(r'"(?:description|summary|message)": "([^"]*)"', render(DOCUMENTS[name]))
        assert [text for text in told if re.search(r"`[a-z]+_[a-z_]+`", text)] == []


@pytest.mark.parametrize("name", [n for n in DOCUMENTS if n != "openrpc.json"])
def test_every_json_schema_is_itself_valid(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENTS[name])


@pytest.mark.parametrize(("name", "params"), WITH_PARAMS)
@pytest.mark.parametrize("full", [True, False])
def test_a_valid_request_fits_its_schema_and_the_decoder(name: str, params: type, full: bool) -> None:
    schema, root = params_schema("methods", name)
    sample = samples.valid(schema, root, full=full)
    message = {"jsonrpc": "2.0", "id": 1, "method": name, "params": sample}
    if not METHODS[name].request:
        del message["id"]
    assert list(validator("methods", f"{name}.message").iter_errors(message)) == []
    assert isinstance(decode_params(params, json.dumps(sample).encode()), params)


@pytest.mark.parametrize(("name", "params"), WITH_PARAMS)
def test_an_invalid_request_fits_neither_its_schema_nor_the_decoder(name: str, params: type) -> None:
    schema, root = params_schema("methods", name)
    check = validator("methods", f"{name}.message")
    for what, sample in samples.invalid(schema, root):
        message = {"jsonrpc": "2.0", "id": 1, "method": name, "params": sample}
        assert not check.is_valid(message), f"the schema takes {name} {what}"
        with pytest.raises(OmnirtError) as caught:
            decode_params(params, json.dumps(sample).encode())
        assert caught.value.kind == "invalid_params", what
        assert str(caught.value.facts["path"]).startswith("$"), what


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("full", [True, False])
def test_a_notification_as_the_daemon_encodes_it_fits_its_schema(name: str, full: bool) -> None:
    schema, root = params_schema("notifications", name)
    event = msgspec.convert(samples.valid(schema, root, full=full), EVENTS[name])
    message = {"jsonrpc": "2.0", "method": name, "params": json.loads(msgspec.json.encode(event))}
    assert list(validator("notifications", f"{name}.message").iter_errors(message)) == []
    assert list(Draft202012Validator(root).iter_errors(message)) == []


@pytest.mark.parametrize("name", EVENTS)
def test_a_spoiled_notification_does_not_fit_its_schema(name: str) -> None:
    schema, root = params_schema("notifications", name)
    check = validator("notifications", f"{name}.message")
    for what, sample in samples.invalid(schema, root):
        assert not check.is_valid({"jsonrpc": "2.0", "method": name, "params": sample}), what


def test_a_notification_without_seq_or_with_seq_zero_does_not_fit() -> None:
    check = validator("notifications", "realtime.responseStart.message")
    params = {"sessionId": "s", "runId": "r", "atMs": 0, "responseId": "x"}
    message = {"jsonrpc": "2.0", "method": "realtime.responseStart"}
    assert check.is_valid({**message, "params": {**params, "seq": 1}})
    assert not check.is_valid({**message, "params": params})
    assert not check.is_valid({**message, "params": {**params, "seq": 0}})


@pytest.mark.parametrize("name", CALLS)
def test_a_call_and_its_reply_fit_their_schemas(name: str) -> None:
    schema, root = params_schema("calls", name)
    call = msgspec.convert(samples.valid(schema, root, full=True), CALLS[name].params)
    message = {"jsonrpc": "2.0", "id": "omnirt-1", "method": name, "params": msgspec.to_builtins(call)}
    assert validator("calls", f"{name}.message").is_valid(message)
    result = samples.valid({"$ref": f"#/$defs/{CALLS[name].result.__name__}"}, root, full=True)
    assert msgspec.convert(result, CALLS[name].result)
    reply = {"jsonrpc": "2.0", "id": "omnirt-1", "result": result}
    assert validator("calls", f"{name}.reply").is_valid(reply)
    for what, spoiled in samples.invalid(schema, root):
        assert not validator("calls", f"{name}.message").is_valid({**message, "params": spoiled}), what


@pytest.mark.parametrize("name", [n for n, spec in METHODS.items() if spec.request])
@pytest.mark.parametrize("full", [True, False])
def test_a_result_as_the_daemon_encodes_it_fits_its_schema(name: str, full: bool) -> None:
    root = DOCUMENTS["methods.json"]
    result_type = METHODS[name].result
    sample = samples.valid({"$ref": f"#/$defs/{result_type.__name__}"}, root, full=full)
    result = json.loads(msgspec.json.encode(msgspec.convert(sample, result_type)))
    reply = {"jsonrpc": "2.0", "id": 1, "result": result}
    assert list(validator("methods", f"{name}.reply").iter_errors(reply)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_reply_fits_the_schema_of_its_kind_and_of_no_other(kind: str) -> None:
    error = OmnirtError(kind, "What happened, and what to do.", path="$.x", logId="1", file="a.toml")
    reply = {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": error.code, "message": error.message, "data": error.data},
    }
    assert Draft202012Validator(DOCUMENTS["errors.json"]).is_valid(reply)
    fitting = [other for other in KINDS if validator("errors", other).is_valid(reply)]
    assert fitting == [kind]
