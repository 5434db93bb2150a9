"""PROTOCOL section 2 against the real process: initialize, shutdown, signals, ends, exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import WAIT_S, Daemon, driven

ODD = (sys.executable, "-m", "tests.support.odd_daemon")
S = {"sessionId": "s"}


def code_of(reply: dict[str, Any]) -> int:
    code: int = reply["error"]["code"]
    return code


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] != b"Z"
    except OSError:
        return False


@driven
async def test_initialize_tells_what_the_daemon_offers_whatever_version_was_asked_for() -> None:
    async with Daemon.spawn(["--max-message-bytes=2048"]) as daemon:
        result = await daemon.result("initialize", {"protocolVersion": 77, "unknown": {"x": 1}})
        assert result["protocolVersion"] == 1
        assert result["serverInfo"]["name"] == "omnirt"
        for members in ("methods", "notifications", "calls", "providers"):
            assert all(isinstance(name, str) for name in result["capabilities"][members])
        assert result["limits"]["maxMessageBytes"] == 2048
        assert result["limits"]["inputQueueMs"] >= 120_000


@driven
async def test_every_method_that_is_offered_is_there() -> None:
    async with Daemon.spawn() as daemon:
        for method in (await daemon.result("initialize"))["capabilities"]["methods"]:
            if method not in ("exit", "shutdown"):
                reply = await daemon.request(method, {"never": "heard of"})
                assert reply.get("error", {}).get("code") != -32601, method


@driven
async def test_the_answer_to_initialize_comes_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys\n"
        "from omnirt.rpc import connection\n"
        "receive = connection.Connection.receive\n"
        "def told(self, data):\n"
        "    receive(self, data)\n"
        "    if data: sys.stderr.write('LOADED ' + ' '.join(sys.modules) + '\\n')\n"
        "connection.Connection.receive = told\n"
        "from omnirt.cli import main\n"
        "main(['serve'])\n"
    )
    # Measuring coverage would load sqlite3.
    unmeasured = {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}
    async with Daemon.spawn(command=[sys.executable, "-c", code], env=unmeasured) as daemon:
        await daemon.result("initialize")
        await daemon.wait_stderr(lambda text: b"\n" in text)
        loaded = set(daemon.stderr.split(b"LOADED ")[1].splitlines()[0].decode().split())
    heavy = (
        "jsonrpcserver jsonschema sqlite3 jinja2 agents openai mcp websockets rich yaml platformdirs anyio"
    )
    assert loaded.isdisjoint(heavy.split())


@driven
async def test_notifications_can_be_opted_out_of() -> None:
    async with Daemon.spawn() as daemon:
        await daemon.result("initialize", {"optOutNotifications": ["log.message", "no.such"]})
        daemon.send({"method": "session.list"})
        await daemon.result("ping")
        assert all("method" not in message for message in daemon.seen)


@driven
async def test_other_dollar_requests_are_unknown_and_notifications_ignored() -> None:
    async with Daemon.spawn() as daemon:
        daemon.send({"method": "$/setTrace", "params": {"value": "off"}})
        assert code_of(await daemon.request("$/other")) == -32601
        assert len(daemon.seen) == 1


@driven
async def test_discover_answers_the_openrpc_document() -> None:
    async with Daemon.spawn() as daemon:
        document = await daemon.result("rpc.discover")
        assert document["openrpc"]
        offered = (await daemon.result("initialize"))["capabilities"]["methods"]
        assert {method["name"] for method in document["methods"]} <= set(offered)


@driven
async def test_stats_are_of_this_process() -> None:
    async with Daemon.spawn() as daemon:
        stats = await daemon.result("server.stats")
        assert stats["pid"] == daemon.pid
        assert stats["rssBytes"] > 1_000_000
        assert stats["sessions"] == stats["droppedAudioMs"] == stats["reconnects"] == 0
        assert stats["storage"] == {"queuedBytes": 0, "queued": 0, "droppedMs": 0, "openRuns": 0}
        assert stats["live"] == []
        assert 0 < stats["threads"] < 20
        assert 3 <= stats["descriptors"] < 50


@pytest.mark.parametrize("as_request", [True, False])
@driven
async def test_exit_after_shutdown_is_code_0(as_request: bool) -> None:
    async with Daemon.spawn() as daemon:
        assert await daemon.result("shutdown") == {}
        assert code_of(await daemon.request("ping")) == -32600
        if as_request:
            assert await daemon.result("exit") == {}
        else:
            daemon.send({"method": "exit"})
        assert await daemon.wait_exit() == 0


@driven
async def test_exit_without_shutdown_is_code_1() -> None:
    async with Daemon.spawn() as daemon:
        daemon.send({"method": "exit"})
        assert await daemon.wait_exit() == 1


@driven
async def test_the_end_of_stdin_is_code_0_also_after_shutdown() -> None:
    async with Daemon.spawn() as daemon:
        await daemon.result("shutdown")
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0


@driven
async def test_shutdown_and_exit_in_one_go_are_both_served() -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        daemon.send({"id": 1, "method": "session.wait", "params": S})
        daemon.send({"id": 2, "method": "session.stop", "params": S})
        daemon.send({"id": 3, "method": "shutdown"})
        daemon.send({"method": "exit"})
        assert await daemon.wait_exit() == 0
        answers = {message["id"]: message for message in daemon.seen}
        assert code_of(answers[1]) == -32000
        assert answers[2]["result"] == answers[3]["result"] == {}


@driven
async def test_requests_in_flight_are_finished_at_the_end_of_stdin() -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        daemon.send({"id": 1, "method": "session.stop", "params": S})
        daemon.send(b'{"id":2,"method":"session.stop","params":{"sessionId":"s"}}')
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0
        assert sorted(message["id"] for message in daemon.seen) == [1, 2]
        assert all(message["result"] == {} for message in daemon.seen)


@driven
async def test_what_is_open_at_the_drain_timeout_is_told_shutting_down() -> None:
    async with Daemon.spawn(["--drain-timeout", "0.2"], command=ODD) as daemon:
        daemon.send({"id": 1, "method": "session.wait", "params": S})
        daemon.send({"id": 2, "method": "session.respond", "params": S})
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0
        assert [(m["id"], code_of(m)) for m in daemon.seen] == [(1, -32000), (2, -32000)]


@driven
async def test_when_the_reader_is_gone_as_well_nothing_is_waited_for() -> None:
    read, write = os.pipe()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*ODD, stdin=pipe, stdout=write, stderr=pipe)
    os.close(write)
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(
        b'{"id":0,"method":"ping"}\n{"id":1,"method":"session.wait","params":{"sessionId":"s"}}\n'
    )
    assert os.read(read, 100)
    os.close(read)
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), WAIT_S) == 0
    assert await process.stderr.read() == b""


@driven
async def test_a_closed_stdout_is_silent_and_stdin_is_read_on() -> None:
    read, write = os.pipe()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*ODD, stdin=pipe, stdout=write, stderr=pipe)
    os.close(write)
    os.close(read)
    assert process.stdin is not None
    assert process.stderr is not None
    for _ in range(100):
        process.stdin.write(b'{"id":1,"method":"ping"}\n')
    process.stdin.write(b'{"method":"exit"}\n')
    assert await asyncio.wait_for(process.wait(), WAIT_S) == 1
    assert await process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@driven
async def test_a_signal_ends_the_daemon_in_order(number: signal.Signals) -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        daemon.send({"id": 1, "method": "session.wait", "params": S})
        daemon.send({"id": 2, "method": "session.stop", "params": S})
        await daemon.result("ping")
        daemon.signal(number)
        assert await daemon.wait_exit() == 0
        answers = {message["id"]: message for message in daemon.seen}
        assert code_of(answers[1]) == -32000
        assert 2 in answers


@driven
async def test_a_signal_ends_a_drain() -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        daemon.send({"id": 1, "method": "session.wait", "params": S})
        await daemon.result("ping")
        daemon.close_stdin()
        daemon.signal(signal.SIGTERM)
        assert await daemon.wait_exit() == 0
        assert code_of(await daemon.reply(1)) == -32000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@driven
async def test_a_second_signal_forces(number: signal.Signals) -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        await daemon.result("session.interrupt", S)
        daemon.signal(signal.SIGTERM)
        await daemon.wait_stderr(lambda text: b"closing" in text)
        daemon.signal(number)
        assert await daemon.wait_exit() == 128 + number


@driven
async def test_a_second_signal_forces_a_daemon_whose_loop_is_busy() -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        daemon.send({"method": "session.clearAudio", "params": S})
        await daemon.wait_stderr(lambda text: b"hogging" in text)
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGINT)
        assert await daemon.wait_exit() in (128 + signal.SIGINT, 128 + signal.SIGTERM)


@driven
async def test_a_daemon_whose_sessions_do_not_close_ends_all_the_same() -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        await daemon.result("session.interrupt", S)
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0


@driven
async def test_an_ignored_interrupt_stays_ignored() -> None:
    async with Daemon.spawn(command=ODD, env={"PARENT_IGNORES_INT": "1"}) as daemon:
        await daemon.result("ping")
        daemon.signal(signal.SIGINT)
        await daemon.result("ping")
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0


@driven
async def test_the_death_of_the_host_process_ends_the_daemon() -> None:
    host = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    async with Daemon.spawn(command=ODD) as daemon:
        await daemon.result("initialize", {"processId": host.pid})
        daemon.send({"id": 1, "method": "session.stop", "params": S})
        await daemon.result("ping")
        host.kill()
        host.wait(WAIT_S)
        assert await daemon.wait_exit() == 0
        assert (await daemon.reply(1))["result"] == {}
    assert host.stdin is not None
    host.stdin.close()


@driven
async def test_a_host_process_that_is_dead_already_ends_the_daemon() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait(WAIT_S)
    async with Daemon.spawn() as daemon:
        await daemon.result("initialize", {"processId": gone.pid})
        assert await daemon.wait_exit() == 0


@pytest.mark.parametrize("end", ["eof", "signal", "exit"])
@driven
async def test_children_are_dead_when_the_daemon_is(end: str) -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        daemon.send({"id": 1, "method": "session.list", "params": {}})
        await daemon.wait_stderr(lambda text: text.count(b"\n") == 2)
        pids = [int(pid) for pid in daemon.stderr.split()]
        assert all(alive(pid) for pid in pids)
        if end == "eof":
            daemon.close_stdin()
        elif end == "signal":
            daemon.signal(signal.SIGTERM)
        else:
            daemon.send({"method": "exit"})
        await daemon.wait_exit()
        assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize(
    "args",
    [
        ["--framing", "xml"],
        ["--no-such-flag"],
        ["--max-message-bytes", "0"],
        ["--drain-timeout", "soon"],
        ["--log-level", "loud"],
        ["--tape-audio", "loud"],
        ["--log-file", "/no/such/folder/log"],
        ["more"],
    ],
)
@driven
async def test_bad_arguments_are_code_2_with_a_reason_and_nothing_on_stdout(args: list[str]) -> None:
    async with Daemon.spawn(args) as daemon:
        assert await daemon.wait_exit() == 2
        assert daemon.stdout == b""
        assert daemon.stderr


@driven
async def test_each_option_has_a_variable_and_the_option_wins() -> None:
    async with Daemon.spawn(env={"OMNIRT_MAX_MESSAGE_BYTES": "5000"}) as daemon:
        assert (await daemon.result("initialize"))["limits"]["maxMessageBytes"] == 5000
    async with Daemon.spawn(["--max-message-bytes", "6000"], env={"OMNIRT_MAX_MESSAGE_BYTES": "x"}) as daemon:
        assert (await daemon.result("initialize"))["limits"]["maxMessageBytes"] == 6000
    async with Daemon.spawn(env={"OMNIRT_LOG_LEVEL": "loud"}) as daemon:
        assert await daemon.wait_exit() == 2
        assert b"OMNIRT_LOG_LEVEL" in daemon.stderr


@driven
async def test_stdio_is_accepted_and_means_nothing() -> None:
    async with Daemon.spawn(["--stdio"]) as daemon:
        assert await daemon.result("ping") == {}


@driven
async def test_children_of_the_shell_that_became_the_daemon_are_spared() -> None:
    script = "sleep 600 >/dev/null 2>&1 & echo $! >&2; exec " + " ".join(ODD)
    async with Daemon.spawn(command=["sh", "-c", script]) as daemon:
        await daemon.result("ping")
        await daemon.wait_stderr(lambda text: b"\n" in text)
        pid = int(daemon.stderr)
        daemon.send({"method": "exit"})
        try:
            assert await daemon.wait_exit() == 1
            assert alive(pid)
        finally:
            os.kill(pid, signal.SIGKILL)


@driven
async def test_what_was_sent_before_shutdown_is_answered_though_the_handlers_are_loading() -> None:
    """A script may pipe all at once: only what really waits for something is refused."""
    async with Daemon.spawn() as daemon:
        for number, method in enumerate(("server.stats", "session.list", "rpc.discover", "shutdown"), 1):
            daemon.send({"jsonrpc": "2.0", "id": number, "method": method})
        daemon.send({"jsonrpc": "2.0", "method": "exit"})
        for _ in range(4):
            assert "result" in await daemon.recv()
        assert await daemon.wait_exit() == 0
