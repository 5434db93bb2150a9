"""The services with the usual HTTP API that may think, hear and speak in place of this machine's parts."""

from __future__ import annotations

import audioop
import io
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from omnirt.errors import OmnirtError
from omnirt.loopback.audio import RATE
from omnirt.loopback.local.brains import Chat
from omnirt.loopback.local.detection import RATE as MODEL_RATE
from omnirt.loopback.local.options import Service

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_CONNECT_S = 5.0
_RETRIES = 1
_MOST_SPEECH = 32 * 2**20  # bytes: eleven minutes
_SHOWN = 300  # characters of a service's own words


class Services:
    """The clients of one session, made when they are first needed.

    Args:
        timeout_s: For how long a service may say nothing.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._clients: dict[tuple[str, str | None], AsyncOpenAI] = {}

    async def chat(self, service: Service, job: Chat, wake: Callable[[], None]) -> None:
        """Have an answer written."""
        async with self._asking("chat", service) as client:
            # The request is made of what the client of the session sent: the service judges it.
            stream = await client.chat.completions.create(**job.request, model=service.model, stream=True)  # type: ignore[call-overload] # see above
            async with stream:
                async for chunk in stream:
                    for choice in chunk.choices[:1]:
                        job.write(choice.delta.content or "")
                        for call in choice.delta.tool_calls or []:
                            function = call.function
                            if function is not None:
                                job.call(call.index, function.name or "", function.arguments or "")
                        job.cut_short = choice.finish_reason or job.cut_short
                    wake()
        if job.cut_short is None:
            raise OmnirtError("provider_error", "The chat service broke off in the midst of its answer.")
        job.over = True

    async def words(self, service: Service, pcm: bytes) -> str:
        """The words in PCM16 at 16 kHz."""
        async with self._asking("transcription", service) as client:
            heard = await client.audio.transcriptions.create(
                model=service.model, file=("turn.wav", as_wav(pcm, MODEL_RATE), "audio/wav")
            )
        return heard.text

    async def speech(self, service: Service, text: str, voice: str | None, speed: float) -> bytes:
        """A sentence as PCM16 at 24 kHz."""
        async with self._asking("speech", service) as client:
            answer = client.audio.speech.with_streaming_response.create(
                model=service.model, voice=voice or "alloy", input=text, response_format="wav", speed=speed
            )
            data = bytearray()
            async with answer as response:
                async for piece in response.iter_bytes():
                    data += piece
                    if len(data) > _MOST_SPEECH:
                        raise OmnirtError("provider_error", "The speech service does not come to an end.")
        return from_wav(bytes(data))

    async def close(self) -> None:
        """Close the connections."""
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.close()

    @asynccontextmanager
    async def _asking(self, what: str, service: Service) -> AsyncIterator[AsyncOpenAI]:
        """A client, whose errors are told in our words and without anything secret."""
        import openai

        try:
            yield self._client(service)
        except openai.APITimeoutError:
            raise self._silent(what) from None
        except openai.APIConnectionError as error:
            if "Connect" not in type(error.__cause__).__name__:
                raise _broke_off(what, error.__cause__ or error) from None
            raise OmnirtError("provider_unreachable", f"The {what} service can't be reached.") from None
        except openai.APIStatusError as error:
            words = f"The {what} service answered {error.status_code}: {_shown(error)}"
            raise OmnirtError("provider_error", words) from None
        except openai.OpenAIError as error:
            raise OmnirtError("provider_error", f"The {what} service failed: {_shown(error)}") from None
        except OmnirtError:
            raise
        except Exception as error:  # noqa: BLE001 - in the midst of a stream the HTTP library's own come through
            if "timeout" in type(error).__name__.casefold():
                raise self._silent(what) from None
            raise _broke_off(what, error) from None

    def _silent(self, what: str) -> OmnirtError:
        return OmnirtError("timed_out", f"The {what} service said nothing for {self._timeout_s:g} s.")

    def _client(self, service: Service) -> AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

        key = service.base_url, service.api_key
        if key not in self._clients:
            here = urlsplit(service.base_url).hostname in ("localhost", "127.0.0.1", "::1")
            timeout = Timeout(self._timeout_s, connect=_CONNECT_S)
            self._clients[key] = AsyncOpenAI(
                base_url=service.base_url,
                api_key=service.api_key or "none",  # the library wants one
                max_retries=_RETRIES,
                timeout=timeout,
                # a proxy can't reach what runs on this machine
                http_client=DefaultAsyncHttpxClient(timeout=timeout, trust_env=not here),
            )
        return self._clients[key]


def _broke_off(what: str, error: BaseException) -> OmnirtError:
    return OmnirtError("provider_error", f"The {what} service broke off ({type(error).__name__}).")


def _shown(error: Exception) -> str:
    return str(getattr(error, "message", error))[:_SHOWN]


def as_wav(pcm: bytes, rate: int) -> bytes:
    """PCM16 as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()


def from_wav(data: bytes) -> bytes:
    """The PCM16 at 24 kHz in a WAV file, whose lengths may be wrong: services stream it."""
    place, rate, channels, width = 12, 0, 0, 0
    while data[:4] == b"RIFF" and place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8
        if name == b"fmt ":
            channels = int.from_bytes(data[place + 2 : place + 4], "little")
            rate = int.from_bytes(data[place + 4 : place + 8], "little")
            width = int.from_bytes(data[place + 14 : place + 16], "little") // 8
        if name == b"data":
            break
        place += size + size % 2
    if not (rate and channels in (1, 2) and width in (1, 2, 3, 4)):
        raise OmnirtError("provider_error", "The speech service sent no WAV file.")
    end = len(data) - (len(data) - place) % (channels * width)
    samples = audioop.lin2lin(data[place:end], width, 2)
    if channels == 2:
        samples = audioop.tomono(samples, 2, 0.5, 0.5)
    pcm, _ = audioop.ratecv(samples, 2, 1, rate, RATE, None)
    return pcm
