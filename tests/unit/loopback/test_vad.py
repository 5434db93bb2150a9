"""Voice-activity detection on real speech, noise, tones and silence."""

from __future__ import annotations

import audioop
import math
import struct

import pytest

from omnirt.loopback.audio import FORMATS, PCM16, Format, from_recording
from omnirt.loopback.config import ServerVad
from omnirt.loopback.hearing import InputBuffer, SpeechStarted, SpeechStopped, recognise
from omnirt.loopback.speech import Phrasebook
from omnirt.loopback.vad import VoiceActivity
from tests.unit.loopback.helpers import noise, recording, silence

RECORDINGS = {
    "weather": "What is the weather like in Lisbon today?",
    "stop": "Stop, that is enough, thank you.",
    "story": "Could you tell me a story, please?",
}


def tone(ms: int, loudness: int = 8000) -> bytes:
    return b"".join(struct.pack("<h", round(loudness * math.sin(i * 0.115))) for i in range(24 * ms))


def listen(audio: bytes, detection: ServerVad | None = None) -> list[SpeechStarted | SpeechStopped]:
    buffer = InputBuffer(lambda _: VoiceActivity())
    buffer.configure(PCM16, detection or ServerVad(silence_duration_ms=700))
    heard: list[SpeechStarted | SpeechStopped] = []
    for at in range(0, len(audio), 960):
        for event in buffer.append(audio[at : at + 960]):
            heard.append(event)
            if isinstance(event, SpeechStopped):
                buffer.take()
    return heard


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("loudness", [0.05, 0.3, 1.0, 1.9])
def test_one_sentence_is_one_turn_however_loud(name: str, loudness: float) -> None:
    started, stopped = listen(audioop.mul(recording(name), 2, loudness))
    assert 100 <= started.at_ms <= 350
    assert stopped.at_ms > 2000


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("level", [30, 150, 400])
def test_speech_is_found_in_a_noisy_room(name: str, level: int) -> None:
    speech = silence(2000) + recording(name) + silence(1500)
    started, stopped = listen(audioop.add(speech, noise(len(speech) // 48, level), 2))
    assert 2000 <= started.at_ms <= 2500
    assert 4000 <= stopped.at_ms <= 6500


def test_speech_that_begins_with_the_first_sample_is_heard() -> None:
    speech = recording("weather")[48 * 480 :]
    assert listen(speech + silence(1000))[0].at_ms <= 40


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(silence(5000), id="silence"),
        pytest.param(noise(4000, 5), id="a quiet room"),
        pytest.param(noise(4000, 300), id="noise"),
        pytest.param(silence(1000) + noise(3000, 3000), id="noise that begins loudly"),
        pytest.param(silence(1000) + tone(2000) + silence(1000), id="a tone"),
        pytest.param(silence(1000) + struct.pack("<h", 32000) * 5 + silence(1000), id="a click"),
    ],
)
def test_what_is_no_speech_is_not_taken_for_it(audio: bytes) -> None:
    assert listen(audio) == []


def test_a_turn_ends_even_when_the_room_got_louder() -> None:
    speech = recording("story")
    heard = listen(speech[: 48 * 2300] + noise(4000, 500))
    assert [type(event) for event in heard] == [SpeechStarted, SpeechStopped]
    assert heard[1].at_ms < 5000


def test_a_higher_threshold_needs_louder_speech() -> None:
    speech = silence(2000) + audioop.mul(recording("weather"), 2, 0.12)
    room = audioop.add(speech, noise(len(speech) // 48, 100), 2)
    assert listen(room, ServerVad(threshold=0.1))
    assert not listen(room, ServerVad(threshold=1.0))


@pytest.mark.parametrize(("name", "words"), RECORDINGS.items())
@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.type)
def test_the_shipped_utterances_are_recognised(name: str, words: str, form: Format) -> None:
    known = Phrasebook().known_utterances
    spoken = recording(name)
    hiss = noise(len(spoken) // 48, 100)
    for version in (spoken, audioop.mul(spoken, 2, 0.3), audioop.add(spoken, hiss, 2)):
        assert recognise(from_recording(version, form), form, known) == words


def test_other_speech_is_not_recognised() -> None:
    book = Phrasebook()
    for name in book.texts:
        assert recognise(book.read(name).pcm, PCM16, book.known_utterances) is None
    assert recognise(b"", PCM16, book.known_utterances) is None
