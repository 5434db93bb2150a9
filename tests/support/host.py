"""A host for tests: sends, routes what comes back by session, answers tool calls, and checks all it read.

async with Host.spawn(data_dir) as host:
    talk = await host.start(script={"rules": [{"do": [{"say": "heard"}]}]})
    await talk.ask("sendText", text="Hello")
    assert (await talk.ask("wait"))["responses"][0]["text"] == "I heard you."

At the end of the block the sessions are stopped, stdin is closed, the exit code is 0, and `checker.check` has
read the whole transcript.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from omnirt.testing import script
from tests.support.checker import check, shown
from tests.support.daemon import COMMAND, Daemon, Message
from tests.support.speech import PCM_BYTES_PER_MS, b64

WAIT_S = 30.0
"""For a busy machine; only ever used up by a failure."""
SPEED = 20
AGENT: Mapping[str, Any] = {"name": "greeter", "instructions": "Be brief."}

T = TypeVar("T")


class Host:
    """One host and its daemon."""

    def __init__(self, daemon: Daemon, opted_out: tuple[str, ...] = ()) -> None:
        self.daemon = daemon
        self.seen: list[Any] = []
        """What was read since the last `settle`."""
        self.sent: dict[object, Message] = {}
        self.talks: dict[str, Talk] = {}
        self.calls: list[Message] = []
        """The daemon's calls and its cancellations of them, in order."""
        self.answer: Callable[[Message], Message | None] | None = None
        """Gives the result (or error) of a call, or None to leave it unanswered."""
        self.wait_s = WAIT_S
        self._opted_out = opted_out
        self._replies: dict[object, Message] = {}
        self._arrived = asyncio.Event()
        self._count = 0
        self._over = False
        self._pump = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def spawn(
        cls,
        data_dir: Path,
        *args: str,
        tools: bool = True,
        approvals: bool = True,
        opt_out: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
        measured: bool = False,
    ) -> AsyncIterator[Host]:
        """Starts a daemon and says hello to it."""
        options = ["--data-dir", str(data_dir), *args]
        async with Daemon.spawn(options, env=env, command=command, measured=measured) as daemon:
            host = cls(daemon, opt_out)
            capabilities = {"tools": tools, "approvals": approvals}
            await host.ask("initialize", capabilities=capabilities, optOutNotifications=list(opt_out))
            try:
                yield host
                if not host._over:
                    await host.finish()
            finally:
                host._pump.cancel()

    async def finish(self) -> None:
        """Ends stdin, and expects a clean end."""
        self.daemon.close_stdin()
        await self.finished(0)

    async def finished(self, code: int) -> None:
        """The daemon ends by itself with this exit code; its whole transcript is checked."""
        assert await self.daemon.wait_exit() == code, self.daemon.stderr.decode()[-2000:]
        await asyncio.wait_for(self._pump, WAIT_S)
        check(self.seen, self.sent, opted_out=self._opted_out)
        self.seen.clear()
        self.sent.clear()

    async def settle(self) -> None:
        """Ends what still lives, checks what was read, and forgets it: between tests on one daemon."""
        self.answer = None
        for info in (await self.ask("session.list"))["sessions"]:
            await self.ask("session.stop", sessionId=info["sessionId"], force=True)
        await self.until(lambda: not self.waiting() or None)
        seen, sent = self.seen, self.sent
        self.seen, self.sent = [], {}
        self._replies.clear()
        self.calls.clear()
        self.talks.clear()
        check(seen, sent, opted_out=self._opted_out)

    # -- requests

    def tell(self, method: str, /, **params: Any) -> str:
        """Sends a request and returns its id."""
        self._count += 1
        request_id = f"r{self._count}"
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.sent[request_id] = message
        self.daemon.send(message)
        return request_id

    def notify(self, method: str, /, **params: Any) -> None:
        """Sends a notification."""
        self.daemon.send({"jsonrpc": "2.0", "method": method, "params": params})

    async def reply(self, request_id: str) -> Message:
        """The reply to a request, with `result` or `error`."""
        what = f"the reply to {shown(self.sent[request_id])}"
        return await self.until(lambda: self._replies.get(request_id), what)

    async def ask(self, method: str, /, **params: Any) -> Message:
        """The result of a request that must succeed."""
        reply = await self.reply(self.tell(method, **params))
        assert "result" in reply, f"{method}: {reply}"
        result: Message = reply["result"]
        return result

    async def refused(self, method: str, /, **params: Any) -> Message:
        """The `data` of the error of a request that must fail, with its `message` and `code`."""
        return error_of(await self.reply(self.tell(method, **params)))

    def waiting(self) -> list[str]:
        """The requests that are not answered."""
        return [shown(message) for id_, message in self.sent.items() if id_ not in self._replies]

    def order(self, *request_ids: str) -> list[str]:
        """These requests in the order in which they were answered."""
        ids = [message["id"] for message in self.seen if "method" not in message]
        return sorted(request_ids, key=ids.index)

    # -- sessions

    def begin(self, session_id: str = "", **params: Any) -> tuple[Talk, str]:
        """Sends `session.start` and returns without waiting for the reply."""
        self._count += 1
        talk = Talk(self, session_id or f"s{self._count}")
        self.talks[talk.id] = talk
        return talk, self.tell("session.start", sessionId=talk.id, **start_params(**params))

    async def start(self, session_id: str = "", **params: Any) -> Talk:
        """Starts a session with the simulator; `script` and `speed` are its own."""
        talk, request_id = self.begin(session_id, **params)
        reply = await self.reply(request_id)
        assert "result" in reply, reply
        talk.started = reply["result"]
        return talk

    # -- reading

    async def until(self, find: Callable[[], T | None], what: str = "") -> T:
        """What `find` gives, asked after each message that arrives."""
        try:
            async with asyncio.timeout(self.wait_s):
                while (found := find()) is None:
                    assert not self._over, f"the daemon is gone, without {what}"
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            last = [shown(message) for message in self.seen[-5:]]
            raise AssertionError(f"{what} did not come; unanswered: {self.waiting()}; last: {last}") from None
        return found

    async def call(self, method: str, number: int = 1) -> Message:
        """The daemon's nth call (or cancellation) of this method."""

        def find() -> Message | None:
            calls = [call for call in self.calls if call["method"] == method]
            return calls[number - 1] if len(calls) >= number else None

        return await self.until(find, method)

    def respond(self, call: Message, **answer: Any) -> None:
        """Answers a call with `result=` or `error=`."""
        self.daemon.send({"jsonrpc": "2.0", "id": call["id"], **answer})

    async def _read(self) -> None:
        while True:
            try:
                self._take(await self.daemon.recv())
            except TimeoutError:
                continue  # nothing was said for a while
            except EOFError:
                break
        self._over = True
        self._arrived.set()

    def _take(self, message: Message) -> None:
        self.seen.append(message)
        if "method" not in message:
            self._replies[message["id"]] = message
        elif "id" in message or message["method"] == "$/cancelRequest":
            self.calls.append(message)
            answer = self.answer(message) if self.answer is not None and "id" in message else None
            if answer is not None:
                self.respond(message, **answer)
        elif (talk := self.talks.get(message["params"].get("sessionId", ""))) is not None:
            talk.events.append(message)
        self._arrived.set()


class Talk:
    """One session of a host."""

    def __init__(self, host: Host, session_id: str) -> None:
        self.host = host
        self.id = session_id
        self.events: list[Message] = []
        self.started: Message = {}

    async def ask(self, method: str, /, **params: Any) -> Message:
        """The result of `session.<method>`, which must succeed."""
        return await self.host.ask(f"session.{method}", sessionId=self.id, **params)

    async def refused(self, method: str, /, **params: Any) -> Message:
        """The error of `session.<method>`, which must fail."""
        return await self.host.refused(f"session.{method}", sessionId=self.id, **params)

    def tell(self, method: str, /, **params: Any) -> str:
        """Sends `session.<method>` and returns its id."""
        return self.host.tell(f"session.{method}", sessionId=self.id, **params)

    def notify(self, method: str, /, **params: Any) -> None:
        """Sends `session.<method>` as a notification."""
        self.host.notify(f"session.{method}", sessionId=self.id, **params)

    def of(self, name: str, **members: Any) -> list[Message]:
        """The params of all `realtime.<name>` so far that have these members."""
        return [
            event["params"]
            for event in self.events
            if event["method"] == f"realtime.{name}" and members.items() <= event["params"].items()
        ]

    async def event(self, name: str, nth: int = 1, **members: Any) -> Message:
        """The params of the nth `realtime.<name>` with these members, now or later."""

        def find() -> Message | None:
            found = self.of(name, **members)
            return found[nth - 1] if len(found) >= nth else None

        return await self.host.until(find, f"{nth}. {name} {members} of {self.id}")

    def names(self) -> list[str]:
        """The names of all events so far, in order."""
        return [event["method"].removeprefix("realtime.") for event in self.events]

    def states(self) -> list[str]:
        """The states so far."""
        return [event["state"] for event in self.of("state")]

    async def say(self, pcm: bytes, chunk_ms: int = 100, *, commit: bool = False) -> None:
        """Streams audio in chunks, each answered; `commit` ends the turn with an empty one."""
        size = chunk_ms * PCM_BYTES_PER_MS
        ids = [self.tell("sendAudio", audio=b64(pcm[i : i + size])) for i in range(0, len(pcm), size)]
        if commit:
            ids.append(self.tell("sendAudio", audio="", commit=True))
        for request_id in ids:
            reply = await self.host.reply(request_id)
            assert "result" in reply, reply


def start_params(
    script: Mapping[str, Any] | None = None, speed: float = SPEED, reconnect: Any = None, **params: Any
) -> Message:
    """The params of a start with the simulator, without the id."""
    simulator: Message = {"speed": speed}
    if script is not None:
        simulator["script"] = script
    settings: Message = {"provider": "simulator", "simulator": simulator, "reconnect": reconnect}
    return {"agent": AGENT, "settings": settings, **params}


def error_of(reply: Message) -> Message:
    """The `data` of an error reply, with its `code` and `message`."""
    assert "error" in reply, reply
    error = reply["error"]
    return {**error["data"], "code": error["code"], "message": error["message"]}


def says(*texts: str) -> Message:
    """A script whose nth answer is the nth text; any later one is the last."""
    talk = script()
    for n, text in enumerate(texts, 1):
        talk.on(turn=n).say(text)
    return talk.on().say(texts[-1]).build()
