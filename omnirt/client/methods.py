"""The methods of the daemon as typed coroutines: structs of the protocol in, structs out."""

from __future__ import annotations

import abc
from typing import Any, TypeVar

import msgspec

from omnirt.protocol import methods as m
from omnirt.protocol.types import Empty, SessionInfo

R = TypeVar("R")


REQUEST_TIMEOUT_S = 60.0
"""For a daemon that is alive but does not answer; only `session.wait` takes longer by design."""
LONG_TIMEOUT_S = 660.0
"""For what the daemon itself gives ten minutes: an export of hours, a deletion on a slow disk."""


class Methods(abc.ABC):
    """One coroutine for each row of METHODS, named after it: `session.sendText` is `session_send_text`.

    Each raises OmnirtError with the daemon's `kind`, or DaemonGone.
    """

    @abc.abstractmethod
    async def request(
        self,
        method: str,
        params: msgspec.Struct,
        result_type: type[R],
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> R:
        """Sends a request and waits for its reply, at most `timeout_s`."""

    @abc.abstractmethod
    async def notify(self, method: str, params: msgspec.Struct) -> None:
        """Sends a notification; what goes wrong comes back as `realtime.error` or `log.message`."""

    async def initialize(self, params: m.InitializeParams) -> m.InitializeResult:
        """Says who the host is. `Client` does so itself when it starts."""
        return await self.request("initialize", params, m.InitializeResult)

    async def initialized(self) -> None:
        """Accepted, means nothing."""
        await self.notify("initialized", m.NoParams())

    async def ping(self) -> None:
        """Returns when the daemon has answered."""
        await self.request("ping", m.NoParams(), Empty)

    async def shutdown(self) -> None:
        """Closes every session. `Client.close` does so itself."""
        await self.request("shutdown", m.NoParams(), Empty)

    async def exit(self) -> None:
        """Ends the process."""
        await self.notify("exit", m.NoParams())

    async def cancel_request(self, params: m.CancelParams) -> None:
        """Cancels a request by its id. Cancelling the coroutine of a request does so itself."""
        await self.notify("$/cancelRequest", params)

    async def rpc_discover(self) -> dict[str, Any]:
        """The OpenRPC document of this daemon."""
        return await self.request("rpc.discover", m.NoParams(), dict[str, Any])

    async def server_stats(self) -> m.ServerStatsResult:
        """Uptime, memory, sessions, queues."""
        return await self.request("server.stats", m.NoParams(), m.ServerStatsResult)

    async def session_start(self, params: m.SessionStartParams) -> m.SessionStartResult:
        """Starts a session; see also `Client.start_session`."""
        return await self.request("session.start", params, m.SessionStartResult)

    async def session_send_audio(self, params: m.SessionSendAudioParams) -> m.SessionSendAudioResult:
        """Queues audio of the session's input format."""
        return await self.request("session.sendAudio", params, m.SessionSendAudioResult)

    async def session_send_text(self, params: m.SessionSendTextParams) -> None:
        """Sends a user text."""
        await self.request("session.sendText", params, Empty)

    async def session_send_message(self, params: m.SessionSendMessageParams) -> None:
        """Sends a message of text and images."""
        await self.request("session.sendMessage", params, Empty)

    async def session_respond(self, params: m.SessionRespondParams) -> None:
        """Asks for a response."""
        await self.request("session.respond", params, Empty)

    async def session_clear_audio(self, params: m.SessionParams) -> None:
        """Drops uncommitted input audio."""
        await self.request("session.clearAudio", params, Empty)

    async def session_interrupt(self, params: m.SessionInterruptParams) -> m.SessionInterruptResult:
        """Cancels the response and cuts what is playing."""
        return await self.request("session.interrupt", params, m.SessionInterruptResult)

    async def session_playback(self, params: m.SessionPlaybackParams) -> None:
        """Reports how far the host's speaker is."""
        await self.request("session.playback", params, Empty)

    async def session_update(self, params: m.SessionUpdateParams) -> None:
        """Swaps the active agent, its variables or its settings."""
        await self.request("session.update", params, Empty)

    async def session_wait(self, params: m.SessionWaitParams) -> m.SessionWaitResult:
        """Waits until the session is idle, or closed."""
        limit_ms = m.WAIT_TIMEOUT_MS if params.timeout_ms is None else params.timeout_ms
        # The daemon's own limit runs out first, and is told as `timed_out` with its facts.
        return await self.request("session.wait", params, m.SessionWaitResult, timeout_s=limit_ms / 1000 + 30)

    async def session_get(self, params: m.SessionParams) -> SessionInfo:
        """One live session."""
        return await self.request("session.get", params, SessionInfo)

    async def session_list(self) -> m.SessionListResult:
        """All live sessions."""
        return await self.request("session.list", m.NoParams(), m.SessionListResult)

    async def session_stop(self, params: m.SessionStopParams) -> m.SessionStopResult:
        """Ends a session."""
        return await self.request("session.stop", params, m.SessionStopResult)

    async def agent_list(self) -> m.AgentListResult:
        """The agents that can be started by name."""
        return await self.request("agent.list", m.NoParams(), m.AgentListResult)

    async def agent_validate(self, params: m.AgentValidateParams) -> m.AgentValidateResult:
        """All that would keep an agent from being started."""
        return await self.request("agent.validate", params, m.AgentValidateResult, timeout_s=LONG_TIMEOUT_S)

    async def history_list(self, params: m.HistoryListParams) -> m.HistoryListResult:
        """Stored sessions, the newest first."""
        return await self.request("history.list", params, m.HistoryListResult)

    async def history_get(self, params: m.HistoryGetParams) -> m.HistoryGetResult:
        """The items and files of a stored session."""
        return await self.request("history.get", params, m.HistoryGetResult)

    async def history_delete(self, params: m.HistoryDeleteParams) -> m.HistoryDeleteResult:
        """Deletes a session that is not live."""
        return await self.request("history.delete", params, m.HistoryDeleteResult, timeout_s=LONG_TIMEOUT_S)

    async def audio_read(self, params: m.AudioReadParams) -> m.AudioReadResult:
        """A stretch of a recording, as it is stored."""
        return await self.request("audio.read", params, m.AudioReadResult)

    async def audio_export(self, params: m.AudioExportParams) -> m.AudioExportResult:
        """Writes an item, or a conversation in stereo, as a WAV file."""
        return await self.request("audio.export", params, m.AudioExportResult, timeout_s=LONG_TIMEOUT_S)
