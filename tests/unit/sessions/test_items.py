"""Items as the wire shows them: changes only, no audio, what only we know kept; counts that are counts."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from omnirt.protocol.types import ContentPart, InputTokens, Usage
from omnirt.sessions.items import MAX_ITEMS, ItemLedger, parse_arguments
from omnirt.sessions.reading import MAX_NUMBER
from omnirt.sessions.usage import added, read_usage
from tests.support import provider_events as pe


def test_what_the_provider_leaves_out_later_is_kept() -> None:
    items = ItemLedger()
    items.seen(pe.message("i", "assistant", {"type": "output_audio", "transcript": "Hello"}), 5)
    items.change("i", heard_ms=100, interrupted=True)
    assert items.seen(pe.message("i", "assistant", {"type": "output_audio"}), 9) is None
    item = items.get("i")
    assert item
    assert item.content == [ContentPart(type="audio", transcript="Hello")]
    assert (item.heard_ms, item.interrupted, item.generated_text, item.at_ms) == (100, True, "Hello", 5)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"id": 7, "type": "message"},
        {"id": "", "type": "message"},
        {"id": "i", "type": "mcp_call"},
        {"id": "i", "type": ["message"]},
    ],
)
def test_what_is_no_item_of_ours_is_passed_over(raw: dict[str, object]) -> None:
    assert ItemLedger().seen(raw, 0) is None


def test_a_message_of_garbage_is_an_empty_message() -> None:
    raw = {"id": "i", "type": "message", "role": 7, "status": None, "content": [None, 1, {"type": []}, {}]}
    seen = ItemLedger().seen(raw, 0)
    assert seen
    assert (seen[0].content, seen[0].role, seen[0].status) == ([], "assistant", "completed")


def test_old_items_are_forgotten() -> None:
    items = ItemLedger()
    for number in range(MAX_ITEMS + 1):
        items.seen(pe.message(f"i{number}", "user"), 0)
    assert items.get("i0") is None
    assert items.get("i1")


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ('{"city": "Rome"}', {"city": "Rome"}),
        ("[1]", "[1]"),
        ("{", "{"),
        ("", ""),
        ('{"x": NaN}', '{"x": NaN}'),
        ('{"x": 1e400}', '{"x": 1e400}'),
        ('{"x": 99999999999999999999}', '{"x": 99999999999999999999}'),
        ('{"x": [-1, 2.5e3]}', {"x": [-1, 2500.0]}),
        ('{"x": ' + "[" * 10_000, '{"x": ' + "[" * 10_000),
        ('{"x": ' + "[" * 100 + "]" * 100 + "}", '{"x": ' + "[" * 100 + "]" * 100 + "}"),
        (None, {}),
        ([1], {}),
        ({"city": "Rome"}, {"city": "Rome"}),
    ],
)
def test_arguments_are_an_object_or_the_string_as_it_came(arguments: object, parsed: object) -> None:
    assert parse_arguments(arguments) == parsed


def test_sums_never_pass_what_every_reader_takes() -> None:
    much = Usage(total_tokens=MAX_NUMBER, input=InputTokens(text=1))
    total = added(much, much)
    assert (total.total_tokens, total.input.text, total.output_tokens) == (MAX_NUMBER, 2, UNSET)


def test_seconds_add_up_to_milliseconds() -> None:
    total = Usage()
    for seconds in (0.1, 0.2, 3.3, 2.6):
        total = added(total, Usage(seconds=seconds))
    assert total.seconds == 6.2


def test_usage_that_is_none_is_none() -> None:
    assert read_usage(None) is None
    assert read_usage([1]) is None
    assert read_usage({"total_tokens": -1, "input_token_details": "many"}) == Usage()
