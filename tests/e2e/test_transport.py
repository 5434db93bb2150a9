"""PROTOCOL section 1 against the real process: framing, limits, broken input, batches, ids, stdout."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.daemon import Daemon, Framing, driven, frame

BOTH: list[Framing] = ["lines", "headers"]


def error_of(message: Any) -> tuple[int, str, Any]:
    return message["error"]["code"], message["error"]["data"]["kind"], message["id"]


async def rest_after(daemon: Daemon, data: bytes) -> list[Any]:
    """What the daemon answers to these bytes and the end of stdin."""
    daemon.send(data)
    daemon.close_stdin()
    messages = await daemon.rest()
    assert await daemon.wait_exit() == 0
    return messages


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
PONG = {"jsonrpc": "2.0", "id": 1, "result": {}}


@pytest.mark.parametrize("framing", BOTH)
@driven
async def test_the_framing_of_the_first_byte_is_used_both_ways(framing: Framing) -> None:
    async with Daemon.spawn(framing=framing) as daemon:
        assert await rest_after(daemon, frame(framing, PING)) == [PONG]


@pytest.mark.parametrize("framing", BOTH)
@driven
async def test_one_byte_at_a_time_is_as_good_as_all_at_once(framing: Framing) -> None:
    async with Daemon.spawn(framing=framing) as daemon:
        await daemon.send_slowly(frame(framing, PING) + frame(framing, [PING, {"method": "ping"}]))
        assert await daemon.recv() == PONG
        assert await daemon.recv() == [PONG]


@pytest.mark.parametrize(
    "start",
    [b"\xef\xbb\xbf", b"\n\r\n \t\n", b"\xef\xbb\xbf\r\n", b" "],
    ids=["bom", "blanks", "both", "space"],
)
@pytest.mark.parametrize("framing", BOTH)
@driven
async def test_a_byte_order_mark_and_blanks_before_the_first_message_are_skipped(
    framing: Framing, start: bytes
) -> None:
    async with Daemon.spawn(framing=framing) as daemon:
        assert await rest_after(daemon, start + frame(framing, PING)) == [PONG]


@driven
async def test_any_other_first_byte_means_lines() -> None:
    async with Daemon.spawn() as daemon:
        first, second = await rest_after(daemon, b"hello\n" + frame("lines", PING))
        assert error_of(first) == (-32700, "parse_error", None)
        assert second == PONG


@driven
async def test_headers_that_were_asked_for_may_begin_with_any_header() -> None:
    async with Daemon.spawn(["--framing", "headers"], framing="headers") as daemon:
        body = json.dumps(PING).encode()
        sent = b"Any: 1\r\ncontent-TYPE: x\r\ncONTENT-length: %d\r\nMore: yes\r\n\r\n%b" % (len(body), body)
        assert await rest_after(daemon, sent) == [PONG]


@driven
async def test_lines_that_were_asked_for_stay_lines_whatever_the_first_byte() -> None:
    async with Daemon.spawn(["--framing=lines"]) as daemon:
        first, second = await rest_after(daemon, b"Content-Length: 3\n" + frame("lines", PING))
        assert error_of(first)[0] == -32700
        assert second == PONG


@driven
async def test_nothing_is_written_before_the_first_message() -> None:
    async with Daemon.spawn() as daemon:
        assert await rest_after(daemon, b"\n \r\n") == []
        assert daemon.stdout == b""


@driven
async def test_what_follows_the_last_newline_is_a_message() -> None:
    async with Daemon.spawn() as daemon:
        two = b'{"id":1,"method":"ping"}\r\n\r\n{"id":2,"method":"ping"}'
        assert [m["id"] for m in await rest_after(daemon, two)] == [1, 2]


@driven
async def test_a_line_ends_at_a_newline_and_nowhere_else() -> None:
    async with Daemon.spawn() as daemon:
        reply = await daemon.request("ping", request_id="a\u2028b\u2029c\u0085d\x7f")
        assert reply["id"] == "a\u2028b\u2029c\u0085d\x7f"
        assert daemon.stdout.count(b"\n") == 1


@driven
async def test_content_length_counts_bytes() -> None:
    async with Daemon.spawn(framing="headers") as daemon:
        assert (await daemon.request("ping", request_id="żółć 🎙"))["id"] == "żółć 🎙"


@pytest.mark.parametrize(
    "bad",
    [
        b"Content-Length: many\r\n\r\n",
        b"Content-Length: -5\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"Content-Type: text\r\n\r\nhello\r\n",
        b"Content-Length: +2\r\n\r\n{}",
        b'Content-Length:\r\n\r\n{"id":9,"method":"ping"}',
        b"C" * 40_000,
    ],
)
@driven
async def test_a_header_block_without_one_valid_length_costs_only_itself(bad: bytes) -> None:
    async with Daemon.spawn(framing="headers") as daemon:
        first, second = await rest_after(daemon, bad + frame("headers", PING))
        assert error_of(first) == (-32700, "parse_error", None)
        assert second == PONG


@pytest.mark.parametrize("framing", BOTH)
@driven
async def test_a_message_that_is_too_long_is_skipped_and_told(framing: Framing) -> None:
    async with Daemon.spawn(["--max-message-bytes", "2000"], framing=framing) as daemon:
        fits = {**PING, "_": "x" * 1900}
        long = {**PING, "_": "x" * 100_000}
        sent = frame(framing, fits) + frame(framing, long) + frame(framing, {**PING, "id": 2})
        first, second, third = await rest_after(daemon, sent)
        assert first == PONG
        assert error_of(second) == (-32600, "message_too_large", None)
        assert third["id"] == 2


@driven
async def test_a_very_long_message_is_skipped_in_constant_memory() -> None:
    async with Daemon.spawn() as daemon:
        before = (await daemon.result("server.stats"))["rssBytes"]
        for _ in range(80):
            daemon.send(b"x" * (1024 * 1024))
        daemon.send(b"\n")
        assert error_of(await daemon.recv()) == (-32600, "message_too_large", None)
        after = (await daemon.result("server.stats"))["rssBytes"]
        assert after - before < 48 * 1024 * 1024


BROKEN = {
    "cut off": b'{"jsonrpc":"2.0","id":1,"method":"ping"',
    "two values": b'{"id":1} {"id":2}',
    "single quotes": b"{'id':1}",
    "trailing comma": b'{"id":1,}',
    "invalid utf-8": b'{"id":1,"method":"ping","x":"\xff"}',
    "utf-8 surrogate": b'{"id":1,"method":"ping","x":"\xed\xa0\x80"}',
    "overlong utf-8": b'{"id":1,"method":"ping","x":"\xc0\x80"}',
    "lone surrogate": b'{"id":1,"method":"ping","x":"\\ud800"}',
    "lone low surrogate in a key": b'{"id":1,"method":"ping","\\udc00":1}',
    "NaN": b'{"id":1,"method":"ping","params":{"x":NaN}}',
    "Infinity": b'{"id":1,"method":"ping","x":-Infinity}',
    "raw control character": b'{"id":1,"method":"pi\x01ng"}',
    "leading zero": b'{"id":01,"method":"ping"}',
    "deep array": b"[" * 100_000 + b"]" * 100_000,
    "deep params": b'{"id":1,"method":"ping","params":{"x":' + b"[" * 300 + b"]" * 300 + b"}}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a batch with one broken element": b'[{"id":1,"method":"ping"},{"id":2,]',
    "a comment": b'{"id":1} // ping',
    "utf-16": '{"id":1}'.encode("utf-16-le"),
    "form feed": b"\x0c",
    "nul": b"\x00",
}


@pytest.mark.parametrize("framing", BOTH)
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
@driven
async def test_broken_json_is_a_parse_error_and_the_daemon_goes_on(broken: bytes, framing: Framing) -> None:
    async with Daemon.spawn(["--framing", framing], framing=framing) as daemon:
        sent = (
            broken + b"\n" if framing == "lines" else b"Content-Length: %d\r\n\r\n%b" % (len(broken), broken)
        )
        first, second = await rest_after(daemon, sent + frame(framing, PING))
        assert error_of(first) == (-32700, "parse_error", None)
        assert second == PONG


NO_REQUESTS = {
    b"1": None,
    b'"text"': None,
    b"null": None,
    b"true": None,
    b"-0.5": None,
    b"{}": None,
    b"[]": None,
    b"[" + b",".join([b'{"method":"ping"}'] * 1001) + b"]": None,
    b'{"result":{}}': None,
    b'{"id":7}': 7,
    b'{"id":7,"method":1}': 7,
    b'{"id":"x","method":null}': "x",
    b'{"id":7,"method":["ping"]}': 7,
    b'{"id":true,"method":"ping"}': None,
    b'{"id":{},"method":"ping"}': None,
    b'{"id":[1],"method":"ping"}': None,
    b'{"id":1.5,"method":"ping"}': None,
    b'{"id":1.0,"method":"ping"}': None,
    b'{"id":1e3,"method":"ping"}': None,
    b'{"id":7,"method":"ping","params":1}': 7,
    b'{"id":7,"method":"ping","params":"x"}': 7,
    b'{"id":7,"method":"ping","params":false}': 7,
    b'{"jsonrpc":"1.0","id":7,"method":"ping"}': 7,
    b'{"jsonrpc":2.0,"id":7,"method":"ping"}': 7,
    b'{"jsonrpc":null,"id":"","method":"ping"}': "",
    b'{"jsonrpc":"2.0","method":1,"params":"bar"}': None,
}


@driven
async def test_what_is_no_request_is_refused_with_its_id_when_readable() -> None:
    async with Daemon.spawn() as daemon:
        for sent, request_id in NO_REQUESTS.items():
            daemon.send(sent + b"\n")
            assert error_of(await daemon.recv()) == (-32600, "invalid_request", request_id), sent[:80]
        assert await daemon.request("ping", request_id=1) == PONG


@driven
async def test_ids_come_back_as_they_were() -> None:
    async with Daemon.spawn() as daemon:
        for raw in (
            b"0",
            b'""',
            b"9007199254740993",
            b"null",
            b"-1",
            b'"0"',
            b"123456789012345678901234567890",
        ):
            daemon.send(b'{"id":' + raw + b',"method":"ping"}\n')
            await daemon.recv()
            assert daemon.stdout.splitlines()[-1] == b'{"jsonrpc":"2.0","id":' + raw + b',"result":{}}'


@driven
async def test_a_missing_version_is_accepted_and_always_sent() -> None:
    async with Daemon.spawn() as daemon:
        daemon.send(b'{"id":1,"method":"ping"}\n{"id":1,"method":"no"}\n[{"id":1,"method":"ping"}]\n')
        for _ in range(3):
            message = await daemon.recv()
            assert (message[0] if isinstance(message, list) else message)["jsonrpc"] == "2.0"


@driven
async def test_null_and_empty_arrays_are_no_params_and_other_arrays_are_refused() -> None:
    async with Daemon.spawn() as daemon:
        for params in (b"null", b"[]", b"[ ]", b"{}", b'{"_meta":{"x":1}}'):
            daemon.send(b'{"id":1,"method":"ping","params":' + params + b"}\n")
            assert await daemon.recv() == PONG
        assert error_of(await daemon.request("ping", [1], request_id=2)) == (-32602, "invalid_params", 2)
        assert error_of(await daemon.request("server.stats", [{}], request_id=3)) == (
            -32602,
            "invalid_params",
            3,
        )


@driven
async def test_an_unknown_member_of_params_is_named() -> None:
    async with Daemon.spawn() as daemon:
        reply = await daemon.request("server.stats", {"recrod": 1})
        assert reply["error"]["code"] == -32602
        assert reply["error"]["data"]["path"] == "$.recrod"


@driven
async def test_one_bad_element_of_a_batch_spoils_only_itself() -> None:
    async with Daemon.spawn() as daemon:
        daemon.send(
            [1, PING, {"method": "ping"}, {"id": 1.5, "method": "ping"}, {"id": 2, "method": "no"}, []]
        )
        reply = await daemon.recv()
        assert [m.get("id") for m in reply] == [None, 1, None, 2, None]
        assert [m.get("error", {}).get("code") for m in reply] == [-32600, None, -32600, -32601, -32600]


@driven
async def test_a_batch_of_notifications_is_not_answered() -> None:
    async with Daemon.spawn() as daemon:
        assert await rest_after(daemon, frame("lines", [{"method": "ping"}, {"method": "initialized"}])) == []


@driven
async def test_a_thousand_elements_are_one_array_in_order() -> None:
    async with Daemon.spawn() as daemon:
        daemon.send([{"id": n, "method": "ping" if n % 2 else "server.stats"} for n in range(1000)])
        assert [m["id"] for m in await daemon.recv()] == list(range(1000))


SPECIFICATION = [
    (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', (-32700, "parse_error", None)),
    (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}', (-32600, "invalid_request", None)),
    (b'[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]',
     (-32700, "parse_error", None)),
    (b"[]", (-32600, "invalid_request", None)),
    (b'{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', (-32601, "method_not_found", "1")),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), SPECIFICATION)
@driven
async def test_the_specifications_own_examples(sent: bytes, expected: tuple[int, str, Any]) -> None:
    async with Daemon.spawn() as daemon:
        [answer] = await rest_after(daemon, sent)
        assert error_of(answer) == expected


@driven
async def test_the_specifications_invalid_batch() -> None:
    async with Daemon.spawn() as daemon:
        daemon.send(b"[1,2,3]\n")
        assert [error_of(m) for m in await daemon.recv()] == [(-32600, "invalid_request", None)] * 3


@driven
async def test_notifications_are_never_answered() -> None:
    async with Daemon.spawn() as daemon:
        for method in ("ping", "server.stats", "initialized", "$/whatever", "$/cancelRequest"):
            daemon.send({"method": method, "params": {}})
        assert await daemon.request("ping", request_id=1) == PONG
        assert daemon.seen == [PONG]


@driven
async def test_answers_to_nothing_are_ignored() -> None:
    async with Daemon.spawn() as daemon:
        daemon.send({"jsonrpc": "2.0", "id": "omnirt-77", "result": {"output": 1}})
        daemon.send({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "?"}})
        daemon.send({"jsonrpc": "2.0", "id": 3, "result": None, "error": None, "method": None})
        daemon.send([{"id": 1, "result": {}}, {"id": 1, "error": {"code": 1, "message": ""}}])
        assert await daemon.request("ping", request_id=1) == PONG
        assert daemon.seen == [PONG]


@driven
async def test_a_host_may_send_much_before_it_reads_anything() -> None:
    """The daemon reads on while its replies wait, so neither side waits for the other."""
    async with Daemon.spawn() as daemon:
        many = 30_000
        for number in range(many):
            daemon.send({"id": number, "method": "ping"})
        daemon.close_stdin()
        assert [m["id"] for m in await daemon.rest()] == list(range(many))


@driven
async def test_a_header_block_that_is_too_long_is_told_the_limit() -> None:
    async with Daemon.spawn(["--framing", "headers"], framing="headers") as daemon:
        daemon.send(b"X-Long: " + b"x" * 20_000 + b"\r\nContent-Length: 2\r\n\r\n{}")
        problem = await daemon.recv()
        assert problem["error"]["code"] == -32700
        assert "at most 16384 bytes" in problem["error"]["message"]


@pytest.mark.parametrize("meta", [b'{"x":1e999}', b"null", b"[1]", b'"x"'])
@driven
async def test_meta_is_ignored_whatever_it_holds(meta: bytes) -> None:
    async with Daemon.spawn() as daemon:
        daemon.send(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":%b}}\n' % meta)
        assert await daemon.reply(1) == PONG
