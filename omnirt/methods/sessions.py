"""Handlers of the `session.*` methods. All of them answer at once or by a future: inputs keep their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from omnirt.errors import OmnirtError
from omnirt.methods.app import Context
from omnirt.methods.lookups import Answer
from omnirt.protocol import methods as m
from omnirt.protocol.types import Empty, Params, SessionInfo
from omnirt.sessions.plan import resolve_agent
from omnirt.sessions.session import SessionOptions
from omnirt.specs.load import Located

P = TypeVar("P", bound=Params)


def start(ctx: Context, params: m.SessionStartParams) -> Answer:
    """Begin a session; its events follow the reply."""
    if not isinstance(params.agent, str):
        return _start(ctx, params, params.agent)
    registry = ctx.app.registry

    def refused(error: OmnirtError) -> None:
        if params.session_id is not None:
            registry.refused(params.session_id, error)

    return ctx.app.lookups.run(
        params.session_id,
        partial(resolve_agent, params.agent, registry.services),
        partial(_start, ctx, params),
        refused,
        starting=True,
    )


def _start(ctx: Context, params: m.SessionStartParams, agent: Mapping[str, Any] | Located) -> Answer:
    record = params.record or "assistant"
    options = SessionOptions(
        variables=params.variables,
        settings=params.settings,
        realtime=params.realtime,
        record=record,
        resume=bool(params.resume),
        raw=bool(params.raw),
        limits=params.limits,
        input_rate=params.input_audio.sample_rate if params.input_audio else None,
        output_rate=params.output_audio.sample_rate if params.output_audio else None,
        devices=params.devices,
    )
    lane = ctx.app.host.open_lane(audio_stored=record != "none")
    try:
        session, started = ctx.app.registry.start(agent, params.session_id, options, lane)
    except BaseException:
        lane.close()
        raise
    ctx.after_reply(lane.release)
    session.life.closed.add_done_callback(lambda _: lane.close())
    return started


def send_audio(ctx: Context, params: m.SessionSendAudioParams) -> Answer:
    """Queue audio."""
    return ctx.app.registry.taking_inputs(params.session_id).put_audio(
        params.audio, commit=bool(params.commit)
    )


def send_text(ctx: Context, params: m.SessionSendTextParams) -> Answer:
    """Queue a user text."""
    content = [{"type": "input_text", "text": params.text}]
    session = ctx.app.registry.taking_inputs(params.session_id)
    return session.put_message("user", content, respond=params.respond is not False)


def send_message(ctx: Context, params: m.SessionSendMessageParams) -> Answer:
    """Queue a message of text and images."""
    session = ctx.app.registry.taking_inputs(params.session_id)
    content = [_part(part) for part in params.content]
    return session.put_message(params.role or "user", content, respond=params.respond is not False)


def respond(ctx: Context, params: m.SessionRespondParams) -> Answer:
    """Queue an ask for a response."""
    return ctx.app.registry.taking_inputs(params.session_id).put_respond(params.instructions)


def clear_audio(ctx: Context, params: m.SessionParams) -> Answer:
    """Queue the dropping of uncommitted audio."""
    return ctx.app.registry.taking_inputs(params.session_id).put_clear()


def update(ctx: Context, params: m.SessionUpdateParams) -> Answer:
    """Queue another agent, other variables or settings."""
    session = ctx.app.registry.taking_inputs(params.session_id)
    if not isinstance(params.agent, str):
        return session.put_update(params.agent, params.variables, params.realtime)
    updated = session.update_of(params.agent, params.variables, params.realtime)
    return ctx.app.lookups.run(params.session_id, updated, lambda _: session.put_checked_update(updated))


def wait(ctx: Context, params: m.SessionWaitParams) -> Answer:
    """Wait for idle, in the order of the inputs, or for the end."""
    timeout_s = (m.WAIT_TIMEOUT_MS if params.timeout_ms is None else params.timeout_ms) / 1000
    if ctx.app.registry.outcome(params.session_id) is not None:
        return m.SessionWaitResult(state="closed", responses=[])
    session = ctx.app.registry.taking_inputs(params.session_id)
    if params.for_ == "closed" or session.life.ending:
        return session.life.wait_closed(timeout_s)
    return session.put_wait(timeout_s)


def interrupt(ctx: Context, params: m.SessionInterruptParams) -> Answer:
    """Cancel and cut, before all queued inputs."""
    session = ctx.app.registry.get(params.session_id)
    return session.interrupt_now(params.item_id, params.content_index, params.played_ms)


def playback(ctx: Context, params: m.SessionPlaybackParams) -> Answer:
    """Take the position of the host's speaker."""
    session = ctx.app.registry.get(params.session_id)
    session.playback(params.item_id, params.content_index, params.played_ms)
    return Empty()


def get(ctx: Context, params: m.SessionParams) -> SessionInfo:
    """One live session."""
    return ctx.app.registry.get(params.session_id).info()


def list_(ctx: Context, params: m.NoParams) -> Answer:
    """All live sessions."""
    registry = ctx.app.registry
    return ctx.app.lookups.after_starts(lambda: m.SessionListResult(sessions=registry.list()))


def stop(ctx: Context, params: m.SessionStopParams) -> Answer:
    """End a session; one that ended already gives the same result again."""
    outcome = ctx.app.registry.outcome(params.session_id)
    if outcome is not None:
        return outcome
    session = ctx.app.registry.get(params.session_id)
    return session.stop_now(force=bool(params.force))


def in_turn(
    handler: Callable[[Context, P], Answer], *, ordered: bool = False
) -> Callable[[Context, P], Answer]:
    """A handler that waits while there is no session yet, as its agent is being looked up.

    One of an input (`ordered`) waits for the agent of an update as well, so that inputs keep their order.
    """

    def handle(ctx: Context, params: P) -> Answer:
        lookups = ctx.app.lookups
        session_id = getattr(params, "session_id", None) if lookups.under_way else None
        if session_id is None:
            return handler(ctx, params)
        call = partial(handler, ctx, params)
        return lookups.behind(session_id, call, ordered=ordered, size=_size(params))

    return handle


def _size(params: Params) -> int:
    match params:
        case m.SessionSendAudioParams():
            return len(params.audio)
        case m.SessionSendTextParams():
            return len(params.text)
        case m.SessionSendMessageParams():
            texts = [
                part.text if isinstance(part, m.InputText) else part.image_url for part in params.content
            ]
            return sum(map(len, texts))
    return 0


def _part(part: m.InputText | m.InputImage) -> dict[str, Any]:
    if isinstance(part, m.InputText):
        return {"type": "input_text", "text": part.text}
    image: dict[str, Any] = {"type": "input_image", "image_url": part.image_url}
    if part.detail is not None:
        image["detail"] = part.detail
    return image
