"""The pages tell the truth: names, members, codes, links and commands are those of the code."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml

from omnirt.errors import KINDS
from omnirt.protocol.calls import CALLS
from omnirt.protocol.events import EVENTS
from omnirt.protocol.methods import METHODS
from omnirt.protocol.types import Event
from omnirt.providers.config import Configuration, load_config
from omnirt.settings import OPTIONS
from omnirt.specs import parts
from omnirt.specs.realtime_settings import (
    AudioInput,
    AudioOutput,
    RealtimeSettings,
    SemanticVad,
    ServerVad,
    Transcription,
)
from omnirt.specs.spec import AgentSpec
from tests.support import documents
from tests.support.documents import PAGES, ROOT, Block
from tests.support.specs import parse_spec

PROTOCOL = ROOT / "docs" / "PROTOCOL.md"
ROWS = documents.rows(PROTOCOL)
TABLES = {**METHODS, **EVENTS, **CALLS}
RUN = {("text", "exchange"), ("python", ""), ("python", "schemas"), ("sh", "piped"), ("sh", "run")}
RUN |= {("toml", "endpoint"), ("text", "request")}  # by tests/e2e/test_endpoints_page.py
RUN |= {
    ("python", "conftest"),
    ("python", "pytest"),
    ("sh", "testing"),
    ("sh", "tapes"),
}  # by test_testing_page.py
RUN |= {("yaml", "workflow"), ("json", "tape")}  # the same
RUN |= {("sh", "nvim"), ("lua", ""), ("sh", "emacs"), ("elisp", "")}  # by tests/hosts
RUN |= {("js", "host"), ("ts", "typed")}  # the same
EXAMPLES = {("toml", "agent"), ("json", "agent"), ("python", "example"), ("jinja", "example")}
CHECKED = {("yaml", "agent"), ("json", ""), ("yaml", ""), ("toml", ""), ("sh", ""), ("sh", "install")}
SHOWN = {("text", ""), ("js", "")}  # pictures, and JavaScript for a library that is not ours


def own_members(struct: type[msgspec.Struct]) -> set[str]:
    """The members of a struct on the wire, besides those that all of its family have."""
    common = {f.encode_name for f in msgspec.structs.fields(Event)} if issubclass(struct, Event) else set()
    return {f.encode_name for f in msgspec.structs.fields(struct)} - common - {"_meta"}


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


@pytest.mark.parametrize("name", METHODS)
def test_the_protocol_page_tells_all_members_of_a_method(name: str) -> None:
    told = words(ROWS[name])
    if name.startswith("session."):
        told.add("sessionId")  # the head of that table
    spec = METHODS[name]
    assert own_members(spec.params) <= told
    assert spec.result is METHODS["session.list"].result or own_members(spec.result) <= told


@pytest.mark.parametrize("name", [n for n in EVENTS if n != "realtime.usage"])
def test_the_protocol_page_tells_all_members_of_a_notification(name: str) -> None:
    assert own_members(EVENTS[name]) <= words(ROWS[name])


@pytest.mark.parametrize("name", CALLS)
def test_the_protocol_page_tells_all_members_of_a_call(name: str) -> None:
    assert own_members(CALLS[name].params) | own_members(CALLS[name].result) <= words(ROWS[name])


@pytest.mark.parametrize("kind", KINDS)
def test_the_protocol_page_tells_code_and_retry_of_an_error(kind: str) -> None:
    info = KINDS[kind]
    retry = "yes" if info.retryable else "no"
    assert ROWS[kind] == f"| `{kind}` | {info.code} | {retry} | {info.doc} |"


def test_the_pages_name_no_method_notification_or_call_that_does_not_exist() -> None:
    named = re.compile(r"`((?:session|realtime|server|rpc|tool|agent|history|audio)\.[a-z][a-zA-Z]*)`")
    for page in PAGES:
        text = page.read_text(encoding="utf-8").split("## Not in this version")[0]
        unknown = set(named.findall(text)) - set(TABLES) - {"agent.json"}
        assert unknown == set(), page.name


def test_the_protocol_page_tells_every_setting_and_flag() -> None:
    told = words(PROTOCOL.read_text(encoding="utf-8").split("## Settings")[1])
    assert set(Configuration.__struct_fields__) <= told
    flags = {name.replace("_", "-") for name in OPTIONS} | {"no-code"}
    assert {flag for flag in flags if f"--{flag}" not in PROTOCOL.read_text(encoding="utf-8")} == set()


def test_the_entry_points_that_the_architecture_names_exist() -> None:
    """A name is under the package of its section: `engine.Engine` below the heading `sessions`."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Code map")[1].split("\n## ")[0]
    for section in text.split("\n### ")[1:]:
        heading, _, body = section.partition("\n")
        packages = ["omnirt", *(f"omnirt.{name}" for name in re.findall(r"`(\w+)`", heading))]
        for name in set(re.findall(r"`([a-z_]+(?:\.\w+)+)`", body)) - set(TABLES):
            assert any(exists(f"{package}.{name}") for package in packages), name


def exists(name: str) -> bool:
    """Whether there is a module of this name, or something of this name in a module."""
    module, _, attribute = name.rpartition(".")
    try:
        owner = importlib.import_module(module)
        return hasattr(owner, attribute) or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", text):
        file = (page.parent / target) if target else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor[1:] in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_every_block_is_run_checked_or_a_picture() -> None:
    known = RUN | CHECKED | EXAMPLES | SHOWN
    assert [b.where for b in documents.all_blocks() if (b.language, b.tag) not in known] == []


@pytest.mark.parametrize("block", documents.blocks("yaml", "agent"), ids=lambda block: block.where)
def test_an_agent_on_a_page_is_valid(block: Block) -> None:
    assert parse_spec(yaml.safe_load(block.text)).name


def test_the_examples_of_the_page_on_agents_are_files_that_are_tested() -> None:
    kinds = {*EXAMPLES, ("yaml", "agent")}
    page = [b for b in documents.all_blocks() if b.where.startswith("docs/AGENTS.md")]
    examples = [*(ROOT / "examples" / "agents").rglob("*.*"), *(ROOT / "examples" / "code").rglob("*.py")]
    files = {path.read_text(encoding="utf-8") for path in examples}
    shown = {block.text for block in page if (block.language, block.tag) in kinds}
    assert shown <= files
    agents = {
        p.read_text(encoding="utf-8") for p in (ROOT / "examples" / "agents").glob("*.*") if p.suffix != ".md"
    }
    assert agents <= shown


@pytest.mark.parametrize(
    "struct",
    [
        *(AgentSpec, parts.Tool, parts.StdioServer, parts.HttpServer, parts.McpConfig, parts.Guardrail),
        *(RealtimeSettings, SemanticVad, ServerVad, Transcription, AudioInput, AudioOutput),
    ],
)
def test_the_page_on_agents_tells_all_members(struct: type[msgspec.Struct]) -> None:
    section = (ROOT / "docs" / "AGENTS.md").read_text(encoding="utf-8").split("## All members")[1]
    assert set(struct.__struct_fields__) <= words(section)


def test_json_and_yaml_on_a_page_can_be_read() -> None:
    readers: dict[str, Callable[[str], object]] = {"json": json.loads, "yaml": yaml.safe_load}
    for block in documents.all_blocks():
        if block.language in readers:
            assert readers[block.language](block.text) is not None, block.where


@pytest.mark.parametrize("block", documents.blocks("toml"), ids=lambda block: block.where)
def test_a_configuration_file_on_a_page_is_valid(block: Block, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(block.text, encoding="utf-8")
    assert load_config(None, tmp_path) != load_config(None, tmp_path / "none")


@pytest.mark.parametrize("block", documents.blocks("sh"), ids=lambda block: block.where)
def test_a_make_target_on_a_page_exists(block: Block) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", block.text, re.MULTILINE)) <= targets
