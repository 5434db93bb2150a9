"""Which stretches of a turn are recognised when, and which words are told: no model, no clock."""

from __future__ import annotations

import pytest

from omnirt.loopback.audio import FORMATS, PCM16, Format, from_recording
from omnirt.loopback.local.hearing import SETTLE_MS, LocalHearing, Transcribe
from omnirt.loopback.script import Unheard
from tests.unit.loopback.helpers import noise, silence

MS = PCM16.bytes_per_ms


class Speaker:
    """A turn that goes on in steps of 20 ms, whose words the test says."""

    def __init__(self, *, guesses: bool = True) -> None:
        self.hearing = LocalHearing(PCM16, guesses=guesses)
        self.audio = b""
        self.quiet_ms = 0
        self.told = ""

    def speak(self, ms: int) -> None:
        """Somebody speaks."""
        self._go_on(noise(20, 3000), ms, quiet=False)

    def pause(self, ms: int) -> None:
        """Nobody does."""
        self._go_on(silence(20), ms, quiet=True)

    def _go_on(self, frame: bytes, ms: int, *, quiet: bool) -> None:
        for _ in range(ms // 20):
            self.audio += frame
            self.quiet_ms = self.quiet_ms + 20 if quiet else 0
            self.hearing.follow(self.audio, self.quiet_ms)

    def end(self, *, detected: bool = True) -> None:
        """The turn is over."""
        self.hearing.end(self.audio, self.quiet_ms, detected=detected)
        self.tell()

    @property
    def job(self) -> Transcribe:
        """The one that is wanted."""
        [job] = self.hearing.jobs
        assert isinstance(job, Transcribe)
        return job

    def hears(self, text: str) -> None:
        """The recogniser is done."""
        self.job.done(text)
        self.tell()

    def tell(self) -> None:
        """What the client is told."""
        self.told += "".join(self.hearing.deltas())


def test_words_on_which_two_guesses_agree_are_told_while_somebody_speaks() -> None:
    speaker = Speaker()
    speaker.speak(1_300)
    assert not speaker.job.urgent
    speaker.hears("What is the whether")
    assert speaker.told == ""
    speaker.speak(1_300)
    speaker.hears("What is the weather like")
    assert speaker.told == "What is the"
    assert speaker.hearing.words is None


def test_the_final_words_are_begun_in_the_pause_and_are_there_at_the_end() -> None:
    speaker = Speaker()
    speaker.speak(600)
    assert speaker.hearing.jobs == []
    speaker.pause(SETTLE_MS)
    assert speaker.job.urgent
    speaker.hears("What is the weather?")
    speaker.pause(500 - SETTLE_MS)
    assert speaker.hearing.jobs == []
    speaker.end()
    assert speaker.hearing.words == "What is the weather?"
    assert speaker.told == "What is the weather?"


def test_who_speaks_on_after_a_pause_is_heard_to_the_end() -> None:
    speaker = Speaker()
    speaker.speak(600)
    speaker.pause(SETTLE_MS)
    speaker.hears("What is the weather?")
    speaker.speak(600)
    speaker.pause(SETTLE_MS)
    assert len(speaker.job.audio) == len(speaker.audio)
    speaker.end()
    assert speaker.hearing.words is None
    speaker.hears("What is the weather like in Lisbon?")
    assert speaker.hearing.words == "What is the weather like in Lisbon?"


def test_a_long_stretch_before_a_pause_is_never_recognised_again() -> None:
    speaker = Speaker()
    speaker.speak(5_000)
    speaker.hears("Once upon")
    speaker.pause(SETTLE_MS)
    speaker.hears("Once upon a time")
    closed = len(speaker.audio)
    speaker.speak(1_500)
    assert len(speaker.job.audio) <= len(speaker.audio) - closed
    speaker.pause(SETTLE_MS)
    speaker.end()
    speaker.hears("there was a lighthouse.")
    assert speaker.hearing.words == "Once upon a time there was a lighthouse."
    assert speaker.told == speaker.hearing.words


def test_a_turn_without_a_pause_is_cut_at_its_quietest_and_nothing_of_it_is_lost() -> None:
    speaker = Speaker(guesses=False)
    speaker.speak(9_000)
    speaker.audio += silence(40)  # too short for a pause
    speaker.speak(2_980)
    stretches = [speaker.job.audio]
    quietest = 9_000 * MS
    assert abs(len(stretches[0]) - quietest) <= 100 * MS
    speaker.hears("one")
    speaker.speak(1_000)
    speaker.pause(SETTLE_MS)
    speaker.end()
    stretches.append(speaker.job.audio)
    speaker.hears("two")
    assert speaker.hearing.words == "one two"
    assert b"".join(stretches) == speaker.audio


def test_a_guess_that_is_under_way_at_the_end_is_given_up_for_the_final_words() -> None:
    speaker = Speaker()
    speaker.speak(1_300)
    guess = speaker.job
    speaker.speak(300)
    speaker.end()
    assert speaker.job is not guess
    assert speaker.job.urgent
    assert speaker.job.audio == speaker.audio


def test_what_a_host_commits_without_detection_is_recognised_in_stretches_and_doubted() -> None:
    speaker = Speaker()
    speaker.audio = noise(30_000, 3000)
    speaker.end(detected=False)
    total = 0
    for word in ("one", "two", "three"):
        assert speaker.job.doubtful
        assert len(speaker.job.audio) <= 12_000 * MS
        total += len(speaker.job.audio)
        speaker.hears(word)
    assert total == len(speaker.audio)
    assert speaker.hearing.words == speaker.told == "one two three"


def test_a_turn_that_comes_in_one_piece_is_heard() -> None:
    hearing = LocalHearing(PCM16)
    hearing.end(noise(1_000, 3000) + silence(500), 500, detected=True)
    [job] = hearing.jobs
    assert isinstance(job, Transcribe)
    job.done("Hello.")
    assert hearing.deltas() == ["Hello."]


def test_words_that_turn_out_otherwise_are_not_told_twice() -> None:
    speaker = Speaker()
    speaker.speak(1_300)
    speaker.hears("I scream")
    speaker.speak(1_300)
    speaker.hears("I scream is")
    assert speaker.told == "I scream"
    speaker.pause(SETTLE_MS)
    speaker.hears("Ice cream is good.")
    speaker.end()
    assert speaker.told == "I scream"
    assert speaker.hearing.words == "Ice cream is good."


def test_a_guess_that_fails_is_made_again_and_a_failure_at_the_end_is_told() -> None:
    speaker = Speaker()
    speaker.speak(1_300)
    speaker.job.fail("The service broke off.")
    speaker.speak(1_300)
    speaker.job.fail("The service broke off.")
    speaker.pause(SETTLE_MS)
    speaker.end()
    speaker.job.fail("The service can't be reached.")
    speaker.tell()
    assert speaker.hearing.words == Unheard("The service can't be reached.")


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_stretches_are_cut_between_samples_of_any_format(form: Format) -> None:
    hearing = LocalHearing(form)
    hearing.end(from_recording(noise(26_000, 3000), form), 0, detected=False)
    while hearing.words is None:
        [job] = hearing.jobs
        assert isinstance(job, Transcribe)
        assert len(job.audio) % form.width == 0
        job.done("word")
        hearing.deltas()
    assert hearing.words == "word word word"
