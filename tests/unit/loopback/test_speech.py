"""The simulator's voice: recordings and the synthesiser, and that transcripts say what the audio says."""

from __future__ import annotations

import asyncio
import audioop
import os
import wave
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.loopback import speech
from omnirt.loopback.parts import Speak
from omnirt.loopback.speech import Clip, Phrasebook, Voice
from tests.support.programs import find_program
from tests.unit.loopback.helpers import EXAMPLES, Talk, audio, only, said

FOLDER = Path(speech.__file__).parent / "voice"


def test_every_recording_is_speech_whose_words_end_within_it() -> None:
    book = Phrasebook()
    assert {path.stem for path in FOLDER.glob("*.wav")} == set(book.texts)
    for name in book.texts:
        with wave.open(str(FOLDER / f"{name}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)
        clip = book.read(name)
        assert len(clip.words) == len(clip.ends_ms)
        assert list(clip.ends_ms) == sorted(clip.ends_ms)
        length = len(clip.pcm) // 48
        assert length - 200 <= clip.ends_ms[-1] <= length
        assert audioop.rms(clip.pcm, 2) > 800
        assert 100 < length / len(clip.words) < 700, "milliseconds of a word"


def test_the_recordings_are_small_and_their_origin_is_told() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3 * 2**20
    assert "Apache-2.0" in (FOLDER / "README.md").read_text()
    assert len(list((EXAMPLES / "audio").glob("*.wav"))) >= 2


def test_sentences_in_a_row_are_joined_with_their_words() -> None:
    voice = Voice()
    joined = voice.find("Of course. Let me look that up.")
    first, second = voice.book.read("of_course"), voice.book.read("lookup")
    assert joined is not None
    assert joined.pcm == first.pcm + second.pcm
    assert joined.words == [*first.words, *second.words]
    assert joined.ends_ms[2] == len(first.pcm) // 48 + second.ends_ms[0]


def test_a_clip_never_shows_its_audio() -> None:
    assert repr(Clip("hi", (20,), bytes(48 * 20))) == "Clip(20 ms)"


def test_without_a_synthesiser_other_texts_are_refused() -> None:
    with pytest.raises(OmnirtError, match="espeak-ng"):
        asyncio.run(Voice(None).speak("Nobody recorded this."))


@pytest.mark.parametrize("program", ["/bin/true", "/bin/false", "/bin/cat"])
def test_a_synthesiser_that_makes_no_speech_is_an_error(program: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        asyncio.run(Voice(program).speak("Nobody recorded this."))
    assert caught.value.kind == "internal"


def test_any_text_is_spoken_by_espeak() -> None:
    program = find_program("espeak-ng")
    voice = Voice(program)
    clip = asyncio.run(voice.speak("The quick brown fox jumps over the lazy dog."))
    assert 2000 < len(clip.pcm) // 48 < 5000
    assert audioop.rms(clip.pcm, 2) > 1000
    assert len(clip.ends_ms) == 9
    assert clip.ends_ms[-1] == len(clip.pcm) * 1000 // 48000
    assert voice.find("The quick brown fox jumps over the lazy dog.") is clip


def test_a_text_is_never_an_option_of_the_synthesiser(tmp_path: Path) -> None:
    program = find_program("espeak-ng")
    target = tmp_path / "written.wav"
    clip = asyncio.run(Voice(program).speak(f"-w {target} <speak>hello</speak>"))
    assert clip.pcm
    assert not target.exists()


def test_what_was_synthesised_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    async def quick(_program: str, text: str) -> bytes:
        return bytes(48 * len(text))

    monkeypatch.setattr(speech, "synthesise", quick)
    voice = Voice("/bin/true")
    for number in range(speech._CACHED + 5):
        asyncio.run(voice.speak(f"Number {number}."))
    assert voice.find("Number 0.") is None
    assert voice.find(f"Number {speech._CACHED + 4}.") is not None


def test_the_output_of_a_tool_is_spoken() -> None:
    rules = [
        {"on": "text", "do": [{"call": {"tool": "clock"}}]},
        {"on": "tool_output", "do": [{"say": "It is {tool_output.hour} o'clock."}]},
    ]
    talk = Talk({"rules": rules}, synthesiser=True)
    call = only([*talk.say("time"), *talk.finish()], "response.function_call_arguments.done")
    item = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"hour": "eleven"}'}
    talk.send("conversation.item.create", item=item)
    waiting = talk.send("response.create")
    assert said(waiting) == ""
    [job] = talk.core.wanted
    assert isinstance(job, Speak)
    assert job.text == "It is eleven o'clock."
    events = talk.finish()
    assert said(events) == "It is eleven o'clock."
    assert len(audio(events)) > 48 * 800


def test_a_cancel_while_speech_is_made_and_a_failure_to_make_it() -> None:
    talk = Talk({"rules": [{"do": [{"say": "Something new."}]}]}, synthesiser=True)
    talk.say("go")
    assert only(talk.send("response.cancel"), "response.done")["response"]["status"] == "cancelled"
    assert talk.core.wanted == []
    talk.say("go")
    [job] = talk.core.wanted
    job.fail("There is no voice.")
    talk.core.tick(talk.now)
    done = only(talk.send("input_audio_buffer.clear"), "response.done")["response"]
    assert done["status"] == "failed"
    error = done["status_details"]["error"]
    assert (error["type"], error["message"]) == ("server_error", "There is no voice.")


def test_a_synthesiser_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\necho $$ > $0.pid\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(speech, "_SYNTHESIS_S", 0.5)
    with pytest.raises(OmnirtError) as caught:
        asyncio.run(Voice(str(program)).speak("Nobody recorded this."))
    assert caught.value.kind == "timed_out"
    pid = int((tmp_path / "espeak-ng.pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
