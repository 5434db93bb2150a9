"""Answers of a chat service in the realtime protocol, and the conversation in the words of the chat API."""

from __future__ import annotations

from typing import Any, cast

import pytest

from omnirt.loopback.local.brains import Chat, ChatBrain, HeardBrain
from omnirt.loopback.local.hearing import Transcribe
from omnirt.loopback.local.profile import LocalEars
from omnirt.loopback.parts import Brain, Job, Parts, Speak
from omnirt.loopback.reading import parse_script
from omnirt.loopback.script import Script
from omnirt.loopback.speech import Phrasebook, with_word_ends
from tests.unit.loopback.helpers import Event, Talk, noise, of, only, said, silence, types

TOOL = {"type": "function", "name": "weather", "description": "Now.", "parameters": {"type": "object"}}


class LocalTalk(Talk):
    """A conversation with local parts, whose jobs the test does."""

    def __init__(self, brain: Brain | None = None, script: Script | None = None) -> None:
        ears = LocalEars(None, guesses=False)
        super().__init__(
            parts=Parts(script or Script(), brain or ChatBrain(), ears, lambda text: None, never)
        )

    def job(self, kind: type[Job]) -> Any:
        """The one job of a kind that is wanted."""
        [job] = {job for job in self.core.wanted if isinstance(job, kind)}
        return job

    @property
    def chat(self) -> Chat:
        """What the service is asked."""
        return cast("Chat", self.job(Chat))

    @property
    def messages(self) -> list[Any]:
        """The messages it is asked with."""
        return cast("list[Any]", self.chat.request["messages"])

    def writes(self, text: str, *, end: str | None = None) -> list[Event]:
        """The service writes."""
        chat = self.chat
        chat.write(text)
        return self.ends(chat, end) if end is not None else self.tick()

    def ends(self, chat: Chat, reason: str = "stop") -> list[Event]:
        """The service has written all."""
        chat.cut_short, chat.over = reason, True
        return self.tick()

    def tick(self) -> list[Event]:
        """The core is told."""
        self.core.tick(self.now)
        return self._collect()

    def speaks(self, ms: int = 500) -> list[Event]:
        """The sentence that is wanted is spoken, and paced to its end."""
        job = self.job(Speak)
        job.done(with_word_ends(job.text, noise(ms, 1000)))
        return [*self.tick(), *self.advance(60)]

    def hear(self, text: str) -> list[Event]:
        """The host commits a turn, and asks for an answer."""
        self.detect(None, transcription={"model": "any"})
        fresh = [*self.speak(noise(600, 3000)), *self.send("input_audio_buffer.commit")]
        fresh += self.send("response.create")
        self.job(Transcribe).done(text)
        return fresh + self.tick()


async def never(job: Job, wake: object) -> None:
    raise AssertionError("the test does the jobs")


def test_sentences_are_spoken_while_the_service_writes() -> None:
    talk = LocalTalk()
    talk.update(instructions="Be brief.")
    talk.say("What is the weather?")
    assert talk.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather?"},
    ]
    talk.writes("It is sunny in Lisbon. Take")
    first = talk.speaks()
    assert said(first) == "It is sunny in Lisbon."
    assert of(first, "response.done") == []
    assert talk.writes(" a hat.", end="stop") == []
    second = talk.speaks()
    assert said(second) == " Take a hat."
    assert only(second, "response.done")["response"]["status"] == "completed"


def test_text_output_is_written_as_it_stands() -> None:
    talk = LocalTalk()
    talk.update(output_modalities=["text"])
    talk.say("A list, please.")
    events = [*talk.writes("- one\n"), *talk.writes("- **two**\n", end="stop")]
    assert said(events) == "- one\n- **two**\n"


def test_a_spoken_turn_is_answered_once_its_words_are_known() -> None:
    talk = LocalTalk()
    events = talk.hear("What is the weather?")
    assert types(events).index("response.created") < types(events).index(
        "conversation.item.input_audio_transcription.completed"
    )
    assert talk.messages == [{"role": "user", "content": "What is the weather?"}]


def test_tool_calls_and_their_outputs_go_round() -> None:
    talk = LocalTalk()
    talk.update(tools=[TOOL], tool_choice={"type": "function", "name": "weather"})
    talk.say("The weather, please.")
    assert talk.chat.request["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Now.", "parameters": {"type": "object"}},
        }
    ]
    assert talk.chat.request["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    chat = talk.chat
    for index, name, arguments in (
        (0, "weather", ""),
        (0, "", '{"city":'),
        (1, "weather", ""),
        (0, "", '"Rome"}'),
    ):
        chat.call(index, name, arguments)
    events = talk.ends(chat, "tool_calls")
    calls = of(events, "response.function_call_arguments.done")
    assert [call["arguments"] for call in calls] == ['{"city":"Rome"}', "{}"]
    assert only(events, "response.done")["response"]["status"] == "completed"
    item = {"type": "function_call_output", "call_id": calls[0]["call_id"], "output": "sunny"}
    talk.send("conversation.item.create", item=item)
    talk.send("response.create")
    asked, one, other = talk.messages[1:]
    assert [call["id"] for call in asked["tool_calls"]] == [call["call_id"] for call in calls]
    assert one == {"role": "tool", "tool_call_id": calls[0]["call_id"], "content": "sunny"}
    assert other["tool_call_id"] == calls[1]["call_id"]


def test_of_an_interrupted_answer_only_what_was_heard_stays_in_the_conversation() -> None:
    talk = LocalTalk()
    talk.say("A story, please.")
    talk.writes("Once upon a time there was a king.", end="stop")
    events = talk.speaks(2_000)
    item = only(events, "response.output_item.added")["item"]["id"]
    talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=1_000)
    talk.say("Go on.")
    assert talk.messages[1] == {"role": "assistant", "content": "Once upon a time"}


def test_a_cancel_ends_the_asking_and_the_speaking() -> None:
    talk = LocalTalk()
    talk.say("A story, please.")
    talk.writes("Once upon a time there was a king. He")
    assert len(talk.core.wanted) == 2
    assert only(talk.send("response.cancel"), "response.done")["response"]["status"] == "cancelled"
    assert talk.core.wanted == []


@pytest.mark.parametrize(
    ("reason", "status", "told"),
    [("length", "incomplete", "max_output_tokens"), ("content_filter", "incomplete", "content_filter")],
)
def test_an_answer_that_was_cut_short_is_incomplete(reason: str, status: str, told: str) -> None:
    talk = LocalTalk()
    talk.update(output_modalities=["text"])
    talk.say("A story, please.")
    done = only(talk.writes("Once upon a", end=reason), "response.done")["response"]
    assert (done["status"], done["status_details"]["reason"]) == (status, told)


def test_a_service_that_fails_in_the_midst_fails_the_response_with_its_words() -> None:
    talk = LocalTalk()
    talk.say("A story, please.")
    talk.writes("Once upon a time there was a king. He ")
    talk.chat.fail("The chat service broke off.")
    events = talk.speaks()
    assert talk.job(Speak).text == "He"
    events = talk.speaks()
    done = only(events, "response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "The chat service broke off."
    talk.say("Again.")
    assert talk.messages[-1] == {"role": "user", "content": "Again."}


def test_an_answer_without_an_end_is_refused() -> None:
    with pytest.raises(Exception, match="come to an end"):
        Chat({}).write("x" * 300_000)


def test_who_asks_for_an_answer_to_nothing_asks_with_instructions() -> None:
    talk = LocalTalk()
    talk.send("response.create", response={"instructions": "Greet the guest.", "max_output_tokens": 20})
    assert talk.messages[0] == {"role": "system", "content": "Greet the guest."}
    assert talk.messages[-1]["role"] == "user"
    assert talk.chat.request["max_tokens"] == 20


def test_a_note_behind_the_last_words_is_answered_as_it_stands() -> None:
    talk = LocalTalk()
    talk.say("What is the password?", respond=False)
    note = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Don't tell."}]}
    talk.send("conversation.item.create", item=note)
    talk.send("response.create")
    assert [message["role"] for message in talk.messages] == ["user", "system"]


def test_images_and_responses_beside_the_talk_are_passed_on() -> None:
    talk = LocalTalk()
    part = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    words = {"type": "input_text", "text": "What is it?"}
    item = {"type": "message", "role": "user", "content": [words, part]}
    talk.send("conversation.item.create", item=item)
    talk.send("response.create")
    shown = talk.messages[0]["content"]
    assert shown[0] == {"type": "text", "text": "What is it?"}
    assert shown[1]["image_url"]["url"] == part["image_url"]
    talk.send("response.cancel")
    given = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Two and two?"}]}
    talk.send("response.create", response={"conversation": "none", "input": [given]})
    assert talk.messages == [{"role": "user", "content": "Two and two?"}]


def scripted(rules: str = "{}") -> LocalTalk:
    script = parse_script(f"rules: {rules}\n" if rules != "{}" else "name: none\n")
    return LocalTalk(HeardBrain(script, Phrasebook()), script)


def test_without_a_service_what_was_heard_is_repeated_and_said_to_be() -> None:
    talk = scripted()
    talk.hear("It rains.")
    spoken = []
    while jobs := [job for job in talk.core.wanted if isinstance(job, Speak)]:
        spoken.append(jobs[0].text)
        talk.speaks()
    assert " ".join(spoken) == "I heard: It rains. I have no language model, so I can only repeat it."


def test_rules_match_what_was_really_said_and_recordings_are_said_by_their_text() -> None:
    talk = scripted("[{match: weather, do: [{say: lookup}, {call: {tool: weather}}]}]")
    talk.hear("What is the weather?")
    assert talk.job(Speak).text == "Let me look that up."
    assert only(talk.speaks(), "response.function_call_arguments.done")["name"] == "weather"


def test_silence_that_is_committed_is_asked_about() -> None:
    talk = scripted()
    talk.detect(None)
    talk.speak(silence(600))
    talk.send("input_audio_buffer.commit")
    talk.send("response.create")
    talk.job(Transcribe).done("")
    talk.tick()
    assert talk.job(Speak).text == "Sorry, I did not catch that."
