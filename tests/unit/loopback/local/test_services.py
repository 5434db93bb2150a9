"""The services that may stand in for local parts, over real HTTP: their answers, and what they do wrong."""

from __future__ import annotations

import asyncio
import audioop
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from omnirt.errors import OmnirtError
from omnirt.loopback.local.brains import Chat
from omnirt.loopback.local.options import Service
from omnirt.loopback.local.services import Services, as_wav, from_wav
from tests.support import chat_service as say
from tests.support.chat_service import Answer, ChatService, chat_service
from tests.unit.loopback.helpers import noise

T = TypeVar("T")
KEY = "sk-canary-of-a-service"
REQUEST: dict[str, object] = {"messages": [{"role": "user", "content": "Hello"}]}
WAIT_S = 30


def run(test: Callable[[ChatService, Services, Service], Awaitable[T]], timeout_s: float = WAIT_S) -> T:
    async def main() -> T:
        services = Services(timeout_s)
        async with chat_service() as there, asyncio.timeout(WAIT_S):
            try:
                return await test(there, services, Service(there.url, "m", KEY))
            finally:
                await services.close()

    return asyncio.run(main())


def chat(*answers: Answer, timeout_s: float = WAIT_S) -> tuple[Chat, list[str]]:
    """A chat, and the text after each time that something came."""

    async def test(there: ChatService, services: Services, service: Service) -> tuple[Chat, list[str]]:
        there.will(*answers)
        job, texts = Chat(REQUEST), [""]
        await services.chat(service, job, lambda: texts.append(texts[-1] + job.take()))
        return job, texts

    return run(test, timeout_s)


def problem(*answers: Answer, timeout_s: float = WAIT_S) -> OmnirtError:
    with pytest.raises(OmnirtError) as caught:
        chat(*answers, timeout_s=timeout_s)
    assert KEY not in str(caught.value)
    return caught.value


def test_an_answer_comes_piece_by_piece() -> None:
    job, texts = chat(say.writes("It is ", "sunny."))
    assert job.over
    assert job.failure is None
    assert texts[-1] == "It is sunny."
    assert "It is " in texts


@pytest.mark.parametrize("made", [say.calls, say.calls_at_once], ids=["in pieces", "at once"])
def test_a_tool_call_is_put_together(made: Callable[[str, str], Answer]) -> None:
    job, _ = chat(made("weather", '{"city": "Rome"}'))
    [call] = job.calls.values()
    assert (call.name, call.arguments) == ("weather", '{"city": "Rome"}')


def test_the_request_has_the_model_the_key_and_what_was_asked() -> None:
    async def test(there: ChatService, services: Services, service: Service) -> None:
        there.will(say.writes("Hi."))
        await services.chat(service, Chat(REQUEST), lambda: None)
        [asked] = there.asked
        assert asked.path == "/v1/chat/completions"
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert asked.json == {**REQUEST, "model": "m", "stream": True}

    run(test)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (say.refuses(404, "model m not found"), "provider_error", "404"),
        (say.refuses(401, "no"), "provider_error", "401"),
        (say.fails_midway("It is "), "provider_error", "out of memory"),
        (say.drops_after("It is "), "provider_error", "broke off"),
        (Answer([say.delta(content="It is "), "[DONE]"]), "provider_error", "broke off"),
        (Answer(["no json"]), "provider_error", "broke off"),
    ],
    ids=["404", "401", "an error midway", "a drop midway", "no reason to end", "no JSON"],
)
def test_what_a_service_does_wrong_is_told(answer: Answer, kind: str, words: str) -> None:
    error = problem(answer)
    assert error.kind == kind
    assert words in error.message


def test_a_service_that_falls_silent_is_given_up() -> None:
    error = problem(say.stalls_after("It is "), timeout_s=0.2)
    assert error.kind == "timed_out"
    assert "0.2 s" in error.message


def test_a_service_that_is_not_there_is_told() -> None:
    async def test(there: ChatService, services: Services, service: Service) -> None:
        with pytest.raises(OmnirtError) as caught:
            await services.chat(Service("http://127.0.0.1:9/v1", "m"), Chat(REQUEST), lambda: None)
        assert caught.value.kind == "provider_unreachable"

    run(test)


def test_an_answer_that_is_wanted_no_more_is_broken_off() -> None:
    async def test(there: ChatService, services: Services, service: Service) -> None:
        there.will(say.stalls_after("It is "))
        came = asyncio.Event()
        asking = asyncio.create_task(services.chat(service, Chat(REQUEST), came.set))
        await came.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    run(test)


def test_a_transcription_service_hears_a_wav_file() -> None:
    pcm = noise(500, 1000)

    async def test(there: ChatService, services: Services, service: Service) -> str:
        there.will(Answer(body=b'{"text": "Hello there."}', kind="application/json"))
        words = await services.words(service, pcm)
        assert there.asked[0].path == "/v1/audio/transcriptions"
        assert as_wav(pcm, 16_000) in there.asked[0].body
        return words

    assert run(test) == "Hello there."


def test_a_speech_service_speaks_with_a_voice() -> None:
    pcm = noise(500, 1000)

    async def test(there: ChatService, services: Services, service: Service) -> bytes:
        there.will(Answer(body=as_wav(pcm, 24_000), kind="audio/wav"))
        spoken = await services.speech(service, "Hello.", "amy", 1.0)
        asked = there.asked[0].json
        assert (asked["input"], asked["voice"], asked["model"]) == ("Hello.", "amy", "m")
        return spoken

    assert run(test) == pcm


def test_wav_files_of_any_rate_and_with_wrong_lengths_are_read() -> None:
    pcm = noise(1_000, 1000)
    wav = bytearray(as_wav(pcm, 12_000))
    assert abs(len(from_wav(bytes(wav))) - 2 * len(pcm)) < 8
    wav[40:44] = b"\xff\xff\xff\xff"  # as services send it that do not know the length yet
    assert abs(len(from_wav(bytes(wav) + b"\x00")) - 2 * len(pcm)) < 8
    both = bytearray(as_wav(audioop.tostereo(pcm, 2, 1, 1), 24_000))
    both[22:24], both[32:34] = b"\x02\x00", b"\x04\x00"
    assert len(from_wav(bytes(both))) == len(pcm)


@pytest.mark.parametrize("data", [b"", b"ID3 no wav at all", b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_what_is_no_wav_file_is_refused(data: bytes) -> None:
    with pytest.raises(OmnirtError):
        from_wav(data)


def test_no_representation_shows_a_key() -> None:
    assert KEY not in repr(Service("http://u:p@127.0.0.1/v1", "m", KEY))
