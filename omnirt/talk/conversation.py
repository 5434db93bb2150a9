"""One talk: a session, its notifications, and the keys of the person before the terminal."""

from __future__ import annotations

import asyncio
from collections import deque

from omnirt.client import Client, Session
from omnirt.client.streams import EventStream
from omnirt.protocol.calls import ToolApproveParams, ToolApproveResult
from omnirt.protocol.events import LogMessage, RealtimeClosed
from omnirt.protocol.methods import SessionParams, SessionStartParams, SessionStopResult
from omnirt.talk.follower import Follower, shown
from omnirt.talk.keyboard import END, Keyboard
from omnirt.talk.view import View

MAX_QUESTIONS = 16
"""Approvals that wait for the person."""
ANSWERS = {
    "y": ToolApproveResult(decision="approve"),
    "a": ToolApproveResult(decision="approve", always=True),
    "n": ToolApproveResult(decision="reject", message="The user said no."),
}
NOBODY = ToolApproveResult(decision="reject", message="Nobody is there who could allow it.")


class Talk:
    """One talk over one client.

    Args:
        client: A client that is not started yet.
        view: Where it shows itself.
        push: Whether Space opens and closes the microphone.

    Attributes:
        by_voice: Whether the session has a microphone.
    """

    def __init__(self, client: Client, view: View, *, push: bool) -> None:
        self._client = client
        self._view = view
        self._push = push
        self.by_voice = False
        self._follower = Follower(view)
        self._typed = ""
        self._open = False
        self._questions: deque[tuple[ToolApproveParams, asyncio.Future[ToolApproveResult]]] = deque()
        self._nobody = False
        """Whether the input has ended, so that nobody can answer a question."""
        self._quit = asyncio.Event()
        self._reason: str | None = None
        client.approve(self._approve)

    def quit(self) -> None:
        """End the talk."""
        self._quit.set()

    async def start(self, params: SessionStartParams) -> Session:
        """Starts the session, and tells what the daemon says meanwhile."""
        telling = asyncio.create_task(self._tell_messages(self._client.notifications()))
        try:
            return await self._client.start_session(params)
        finally:
            telling.cancel()

    async def hold(self, session: Session, keyboard: Keyboard) -> SessionStopResult:
        """Talks until the person or the session ends it."""
        follow: asyncio.Task[object] = asyncio.create_task(self._follow(session), name="follow events")
        typing: asyncio.Task[object] = asyncio.create_task(self._keys(session, keyboard), name="keys")
        quitting: asyncio.Task[object] = asyncio.create_task(self._quit.wait(), name="quit")
        try:
            with keyboard.reading():
                done, _ = await asyncio.wait({follow, typing, quitting}, return_when=asyncio.FIRST_COMPLETED)
            stopped = await session.stop(force=True)
            await asyncio.wait({follow}, timeout=5)
        finally:
            for task in (follow, typing, quitting):
                task.cancel()
        for task in done:
            task.result()  # a fault of ours, or the end of the daemon
        return stopped

    # -- what the daemon says ----------------------------------------------------------------------------

    async def _tell_messages(self, stream: EventStream) -> None:
        async for message in stream:
            if isinstance(message, LogMessage):
                self._follower.take(message)

    async def _follow(self, session: Session) -> None:
        async for event in session.events:
            self._follower.take(event)
            if isinstance(event, RealtimeClosed):
                self._reason = event.reason
            self._draw()

    async def _approve(self, question: ToolApproveParams) -> ToolApproveResult:
        if len(self._questions) >= MAX_QUESTIONS:
            return ToolApproveResult(decision="reject", message="The user has too many questions to answer.")
        if self._nobody:
            self._tell(question, "no, for the input has ended")
            return NOBODY
        answer: asyncio.Future[ToolApproveResult] = asyncio.get_running_loop().create_future()
        self._questions.append((question, answer))
        if len(self._questions) == 1:
            self._ask()
        try:
            return await answer
        finally:
            self._questions.remove((question, answer))
            self._ask()

    def _ask(self) -> None:
        if self._questions:
            self._tell(self._questions[0][0], "allow? y(es) n(o) a(lways)")
        self._draw()

    def _tell(self, question: ToolApproveParams, then: str) -> None:
        self._view.say("tool", "approval", f"{question.tool_name}({shown(question.arguments)}): {then}")

    # -- what the person types ---------------------------------------------------------------------------

    async def _keys(self, session: Session, keyboard: Keyboard) -> None:
        while (key := await keyboard.next()) not in ("\x03", END):
            if not keyboard.is_terminal:
                await self._line(session, key.strip())
            elif self._questions and not self._typed:
                self._decide(key)
            else:
                await self._key(session, key)
            self._draw()
        if not keyboard.is_terminal:
            self._nobody = True
            for question, answer in self._questions:
                if not answer.done():
                    self._tell(question, "no, for the input has ended")
                    answer.set_result(NOBODY)
            await session.wait()

    async def _key(self, session: Session, key: str) -> None:
        if key in "\r\n":
            text, self._typed = self._typed, ""
            await self._line(session, text.strip())
        elif key in "\x7f\b":
            self._typed = self._typed[:-1]
        elif key == " " and not self._typed:
            await self._space(session)
        elif key.isprintable():
            self._typed += key

    async def _line(self, session: Session, text: str) -> None:
        """A line was typed; an empty one interrupts, and so does a new text."""
        if self._questions and text.lower() in (*ANSWERS, "yes", "no", "always"):
            self._decide(text[0])
        elif text:
            if self._follower.answering:
                await session.interrupt()
            self._view.say("you", "text", text)
            await session.send_text(text)
        elif self._follower.answering:
            await session.interrupt()

    async def _space(self, session: Session) -> None:
        if not (self._push and self.by_voice):
            await self._line(session, "")
        elif not self._open:
            self._open = True
            if self._follower.answering:
                await session.interrupt()
            await self._client.session_clear_audio(SessionParams(session_id=session.id))
            self._view.say("host", "open", "the microphone is open: Space sends what you say")
        else:
            self._open = False
            await session.send_audio(b"", commit=True)
            self._view.say("host", "sent", "sent")

    def _decide(self, key: str) -> None:
        decision = ANSWERS.get(key.lower())
        answer = self._questions[0][1]
        if decision is not None and not answer.done():
            answer.set_result(decision)

    def _draw(self) -> None:
        self._view.status(self._follower.state, self._follower.saying, self._typed)
