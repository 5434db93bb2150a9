"""What is stored can be listed, searched and read, page by page, whatever is added and deleted meanwhile."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from msgspec import UNSET

from omnirt.errors import OmnirtError
from omnirt.protocol import jsonrpc
from omnirt.protocol.stored_methods import (
    HistoryDeleteParams,
    HistoryGetParams,
    HistoryGetResult,
    HistoryListParams,
    HistoryListResult,
)
from omnirt.protocol.types import Item
from omnirt.storage import AudioStorage, archive, history
from omnirt.storage.deleting import delete_session
from omnirt.storage.history import get_session, list_sessions, match_of
from omnirt.storage.patience import Patience
from omnirt.storage.reading import reading
from omnirt.storage.retention import Policy
from tests.support.daemon import driven
from tests.unit.storage.archives import begin, listed, said, say, session, store
from tests.unit.storage.helpers import LIMIT_S

TOO_LARGE = base64.urlsafe_b64encode(b'[["", "", 99999999999999999999], ["", "", 0, 0]]').decode()


def page(data_dir: Path, cursor: str | None = None, **params: object) -> HistoryListResult:
    return list_sessions(data_dir, HistoryListParams(cursor=cursor, **params), Patience())  # type: ignore[arg-type] # as a host's JSON


def got(data_dir: Path, session_id: str = "s1", **params: object) -> HistoryGetResult:
    return get_session(data_dir, HistoryGetParams(session_id=session_id, **params), Patience())  # type: ignore[arg-type] # as a host's JSON


def at(minute: int) -> str:
    return f"2025-01-01T00:{minute:02}:00.000Z"


def test_nothing_is_stored_at_first(tmp_path: Path) -> None:
    assert page(tmp_path) == HistoryListResult(sessions=[])
    with pytest.raises(OmnirtError) as caught:
        got(tmp_path)
    assert caught.value.kind == "not_found"
    assert list(tmp_path.iterdir()) == [], "asking makes no database"


@driven
async def test_a_session_is_told_with_its_length_and_end(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    found = session(tmp_path, "s1")
    assert (found.agent, found.project_slug, found.agent_slug) == ("Greeter", "acme", "greeter")
    assert (found.started_at, found.ended_at) == ("2025-01-01T00:00:00.000Z", "2025-01-01T00:01:00.000Z")
    assert (found.reason, found.duration_ms) == ("stopped", 60_000)


@driven
async def test_a_live_session_has_no_end_and_is_as_long_as_what_is_on_disk(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1")
    say(recorder, ["Hello", "Hi"], audio_ms=500)
    await storage.flush()
    found = session(tmp_path, "s1")
    assert (found.ended_at, found.reason, found.duration_ms) == (UNSET, UNSET, 1500)
    assert len(got(tmp_path).items) == 2
    await storage.close()


@driven
async def test_what_a_crash_cut_short_gets_its_end_when_it_is_read(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1")
    say(recorder, ["Hello", "Hi"], audio_ms=500)
    await storage.close()  # lets go of the run without an end, as a crash does
    found = session(tmp_path, "s1")
    assert (found.ended_at, found.reason) == ("2025-01-01T00:00:01.500Z", "error")


@driven
async def test_sessions_of_a_project_or_an_agent(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "a", project="acme", agent="greeter")
    await store(tmp_path, "s2", "b", project="acme", agent="teller", started_at=at(1))
    await store(tmp_path, "s3", "c", project="other", agent="greeter", started_at=at(2))
    assert listed(tmp_path) == ["s3", "s2", "s1"]
    assert listed(tmp_path, project_slug="acme") == ["s2", "s1"]
    assert listed(tmp_path, project_slug="acme", agent_slug="greeter") == ["s1"]


@driven
async def test_pages_of_sessions_neither_skip_nor_repeat_while_others_come_and_go(tmp_path: Path) -> None:
    for number in range(6):
        await store(tmp_path, f"s{number}", "x", started_at=at(number), audio_ms=0)
    first = page(tmp_path, limit=2)
    assert [s.session_id for s in first.sessions] == ["s5", "s4"]
    delete_session(tmp_path, "s4", Patience())  # the last of the page
    delete_session(tmp_path, "s3", Patience())  # the first of the next
    await store(tmp_path, "s9", "x", started_at=at(9), audio_ms=0)
    assert isinstance(first.next_cursor, str)
    second = page(tmp_path, first.next_cursor, limit=2)
    assert [s.session_id for s in second.sessions] == ["s2", "s1"]
    assert isinstance(second.next_cursor, str)
    third = page(tmp_path, second.next_cursor, limit=2)
    assert ([s.session_id for s in third.sessions], third.next_cursor) == (["s0"], UNSET)


@driven
async def test_pages_of_a_session_hold_each_item_and_each_file_once(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(25)]
    await store(tmp_path, "s1", *texts, run_id="run-a")
    await store(tmp_path, "s1", *texts[:5], run_id="run-b", started_at=at(5))
    items, files, cursor, pages = [], [], None, 0
    while True:
        result = got(tmp_path, limit=4, cursor=cursor)
        assert len(result.items) <= 4
        items += [(item.run_id, item.item_id) for item in result.items]
        files += [(file.run_id, file.item_id) for file in result.audio]
        pages += 1
        if result.next_cursor is UNSET:
            break
        cursor = result.next_cursor
    everything = [("run-a", f"item_{n}") for n in range(25)] + [("run-b", f"item_{n}") for n in range(5)]
    assert items == everything
    assert files == [key for key in everything if int(key[1][5:]) % 2]
    assert pages == 8
    assert got(tmp_path, limit=1000).next_cursor is UNSET


@driven
async def test_many_files_between_two_items_are_paged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_FILES", 3)
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1")
    for number in range(8):
        recorder.audio("item_1", number, b"\0\0" * 100, 10)
    await recorder.finish("stopped", at(1), 1000)
    await storage.close()
    files, cursor = [], None
    while True:
        result = got(tmp_path, cursor=cursor)
        files += [file.content_index for file in result.audio]
        if result.next_cursor is UNSET:
            break
        cursor = result.next_cursor
    assert files == list(range(8))


@driven
async def test_a_page_never_passes_what_a_result_may_have(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1")
    for number in range(5):
        recorder.item(said("user", "é" * 1_000_000, f"item_{number}"))
    huge = {"rows": [{"name": "x" * 1000}] * 9000}
    recorder.item(
        Item(
            item_id="huge",
            type="functionCallOutput",
            status="completed",
            output=huge,
            at_ms=9,
            tool_call_id="c",
        )
    )
    await recorder.finish("stopped", at(1), 1000)
    await storage.close()
    ids, cursor = [], None
    while True:
        result = got(tmp_path, cursor=cursor)
        assert len(jsonrpc.encode(result)) <= 8 << 20
        ids += [item.item_id for item in result.items]
        if result.next_cursor is UNSET:
            break
        cursor = result.next_cursor
    assert ids == [*(f"item_{number}" for number in range(5)), "huge"]


@pytest.mark.parametrize("cursor", ["", "x", "bm9uc2Vuc2U", "W10", TOO_LARGE, "WzEsMl0", "é", "W" * 4000])
@driven
async def test_a_cursor_that_is_none_is_told(cursor: str, tmp_path: Path) -> None:
    await store(tmp_path, "s1", "x")
    for ask in (lambda: page(tmp_path, cursor), lambda: got(tmp_path, cursor=cursor)):
        with pytest.raises(OmnirtError) as caught:
            ask()
        assert (caught.value.kind, caught.value.facts) == ("invalid_params", {"path": "$.cursor"})


@driven
async def test_words_are_found_in_what_was_said_written_generated_and_heard(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Where is Lisbon?", "In Portugal, café and all", audio_ms=0)
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s2", started_at=at(1))
    cut = said("assistant", "One two", "i1", heard_text="One", heard_ms=5, interrupted=True)
    recorder.item(cut)
    await storage.flush()
    for query, found in {
        "lisbon": ["s1"],
        "PORTUGAL": ["s1"],
        "cafe": ["s1"],
        "lisbon portugal": [],  # in one item, not in one session
        "port*": ["s1"],
        "por": [],
        "two": ["s2"],
        "one two": ["s2"],
        "": ["s2", "s1"],
        "?!": [],
        "*": [],
    }.items():
        assert listed(tmp_path, query=query) == found, query
    recorder.item(said("assistant", "Three", "i1"))
    await storage.flush()
    assert listed(tmp_path, query="two") == []
    recorder.remove_item("i1")
    await storage.flush()
    assert listed(tmp_path, query="three") == []
    await storage.close()


@given(st.text(max_size=100))
def test_no_query_is_wrong(query: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
    match = match_of(query)
    if match:
        connection.execute("SELECT * FROM words WHERE words MATCH ?", (match,)).fetchall()
    connection.close()


@driven
async def test_a_lone_surrogate_in_an_item_is_replaced(tmp_path: Path) -> None:
    await store(tmp_path, "s1", json.loads('"broken \\ud800 text"'))
    content = got(tmp_path).items[0].content
    assert isinstance(content, list)
    assert content[0].text == "broken ? text"
    assert listed(tmp_path, query="broken") == ["s1"]


@driven
async def test_reading_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "x")
    with sqlite3.connect(tmp_path / "omnirt.db", isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM items")
        assert len(got(tmp_path).items) == 1
        writer.execute("ROLLBACK")
    writer.close()


def ask_for_ever(data_dir: Path) -> None:
    with reading(data_dir, Patience(0.01)) as connection:
        assert connection is not None
        connection.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
        )


@driven
async def test_a_question_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "x")
    with pytest.raises(OmnirtError) as caught:
        ask_for_ever(tmp_path)
    assert caught.value.kind == "timed_out"


@driven
async def test_a_disk_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LONG_S", 0.05)
    stuck = threading.Event()

    def policy() -> Policy:
        stuck.wait(LIMIT_S)
        return Policy()

    with pytest.raises(OmnirtError) as caught:
        await AudioStorage(tmp_path).archive.prune(policy)
    stuck.set()
    assert caught.value.kind == "timed_out"


@driven
async def test_a_damaged_database_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "omnirt.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(OmnirtError) as caught:
        page(tmp_path)
    assert caught.value.kind == "storage_failed"


@driven
async def test_the_archive_asks_in_threads(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "x")
    storage = AudioStorage(tmp_path)
    asked: list[int] = []

    def policy() -> Policy:
        asked.append(threading.get_ident())
        return Policy()

    assert [s.session_id for s in (await storage.archive.list(HistoryListParams())).sessions] == ["s1"]
    await storage.archive.prune(policy)
    assert asked != [threading.get_ident()]
    await storage.archive.delete(HistoryDeleteParams(session_id="s1"))
    assert (await storage.archive.list(HistoryListParams())).sessions == []
    await storage.close()
