"""A real connection to the provider: how long it takes, and what the server answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from websockets.asyncio.client import ClientConnection

from omnirt.doctor.findings import Findings, Status
from omnirt.errors import OmnirtError
from omnirt.providers.connect_errors import explain, upstream_error
from omnirt.providers.dialing import dial
from omnirt.providers.endpoint import Endpoint

Event: TypeAlias = dict[str, Any]

ANSWER_S: Final = 10.0
COMPATIBLE_UPDATE_S: Final = 2.0
"""A compatible server need not confirm settings (PROTOCOL section 3)."""
RESPONSE_S: Final = 30.0
_MAX_MESSAGE: Final = 16 * 2**20

_PCM: Final = {"type": "audio/pcm", "rate": 24000}


async def probe(endpoint: Endpoint, findings: Findings) -> None:
    """Connect as a session would, and try what a session needs: settings, an update, a text."""
    began = time.monotonic()
    try:
        connection = await dial(endpoint.url, endpoint.headers, max_size=_MAX_MESSAGE)
    except Exception as error:  # noqa: BLE001 - whatever a connection can raise is put into words
        findings.add("handshake", "fail", explain(error, endpoint).message, _ms(began))
        return
    findings.add("handshake", "ok", "the server speaks WebSocket and takes the key", _ms(began))
    async with connection:
        await _Talk(connection, endpoint, findings).run()


class _Talk:
    """The few words that are exchanged."""

    def __init__(self, connection: ClientConnection, endpoint: Endpoint, findings: Findings) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._findings = findings

    async def run(self) -> None:
        """One step after the other, while they succeed."""
        compatible = self._endpoint.provider == "compatible"
        limit = COMPATIBLE_UPDATE_S if compatible else ANSWER_S
        missing: Status = "warn" if compatible else "fail"
        created = _is("session.created")
        if not await self._step("session", [], created, "the server opens a session", ANSWER_S):
            return
        updated = _is("session.updated")
        session = _settings(self._endpoint.model)
        update = {"type": "session.update", "session": session}
        if not await self._step("settings", [update], updated, "accepted", limit, missing):
            return
        update = {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}}
        if not await self._step("update", [update], updated, "accepted while live", limit, missing):
            return
        await self._step("text", _question(), _is("response.done"), "answered", RESPONSE_S)

    async def _step(
        self,
        name: str,
        messages: list[Event],
        wanted: Callable[[Event], bool],
        detail: str,
        limit_s: float,
        missing: Status = "fail",
    ) -> bool:
        """Say something and wait for the answer; whether to go on."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                for message in messages:
                    await self._connection.send(json.dumps(message))
                answer = await self._until(wanted)
        except TimeoutError:
            self._findings.add(name, missing, f"no answer within {limit_s:g} s", _ms(began))
            return missing != "fail"
        except OmnirtError as error:
            self._findings.add(name, "fail", error.message, _ms(began))
            return False
        except Exception as error:  # noqa: BLE001 - as above
            self._findings.add(name, "fail", explain(error, self._endpoint).message, _ms(began))
            return False
        response = answer.get("response")
        if isinstance(response, dict) and response.get("status") == "failed":
            details = response.get("status_details")
            self._findings.add(name, "fail", self._said(details).message, _ms(began))
            return False
        self._findings.add(name, "ok", detail, _ms(began))
        return True

    async def _until(self, wanted: Callable[[Event], bool]) -> Event:
        while True:
            event = json.loads(await self._connection.recv())
            if not isinstance(event, dict):
                continue
            if event.get("type") == "error":
                raise self._said(event)
            if wanted(event):
                return event

    def _said(self, document: object) -> OmnirtError:
        """The error that a server told."""
        error = document.get("error") if isinstance(document, dict) else None
        told = error if isinstance(error, dict) else {}
        words = {
            name: value if isinstance(value := told.get(name), str) else None
            for name in ("type", "code", "message")
        }
        return upstream_error(
            self._endpoint, type_=words["type"], code=words["code"], message=words["message"]
        )


def _settings(model: str) -> Event:
    """What every session sends, unless its agent says otherwise."""
    return {
        "type": "realtime",
        "model": model,
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": _PCM,
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
            },
            "output": {"format": _PCM, "voice": "ash"},
        },
    }


def _question() -> list[Event]:
    """The shortest exchange there is: some ten tokens."""
    content = [{"type": "input_text", "text": "Answer with the word yes."}]
    return [
        {
            "type": "conversation.item.create",
            "item": {"type": "message", "role": "user", "content": content},
        },
        {"type": "response.create", "response": {"output_modalities": ["text"], "max_output_tokens": 32}},
    ]


def _is(kind: str) -> Callable[[Event], bool]:
    return lambda event: event.get("type") == kind


def _ms(began: float) -> float:
    return (time.monotonic() - began) * 1000
