"""Items of a conversation: created, asked for, cut and removed by the client."""

from __future__ import annotations

import base64

import pytest

from tests.unit.loopback.helpers import Event, Talk, audio, error, of, only, silence, types


def message(text: str, **members: object) -> Event:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **members}


def spoken(talk: Talk) -> tuple[str, int]:
    """An answer in speech: its item, and its milliseconds."""
    events = [*talk.say("Hello"), *talk.finish()]
    return only(events, "response.output_audio.done")["item_id"], len(audio(events)) // 48


def test_items_keep_the_order_that_the_client_gives_them() -> None:
    talk = Talk()
    talk.send("conversation.item.create", item=message("one", id="one"))
    talk.send("conversation.item.create", item=message("three", id="three"))
    second = talk.send("conversation.item.create", item=message("two", id="two"), previous_item_id="one")
    assert [event["previous_item_id"] for event in second] == ["one", "one"]
    first = talk.send("conversation.item.create", item=message("zero", id="zero"), previous_item_id="root")
    assert first[0]["previous_item_id"] is None
    assert [item.id for item in talk.core.items.all] == ["zero", "one", "two", "three"]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"item": message("x", id="taken")}, "item_create_duplicate_id"),
        ({"item": message("x"), "previous_item_id": "unknown"}, "item_create_invalid_previous_item_id"),
        ({"item": {"type": "message", "content": []}}, "missing_required_parameter"),
        ({"item": {"type": "function_call_output", "output": "x"}}, "missing_required_parameter"),
        ({"item": message("x", role="assistant")}, "invalid_value"),
        ({"item": {"type": "parcel"}}, "invalid_value"),
        ({"item": message("x", colour="red")}, "unknown_parameter"),
        (
            {"item": {"type": "function_call_output", "call_id": "call_x", "output": "x"}},
            "invalid_tool_call_id",
        ),
        (
            {"item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "?"}]}},
            "invalid_value",
        ),
    ],
)
def test_a_wrong_item_is_refused(members: Event, code: str) -> None:
    talk = Talk()
    talk.send("conversation.item.create", item=message("x", id="taken"))
    refused = error(talk.send("conversation.item.create", event_id="mine", **members))
    assert (refused["code"], refused["event_id"]) == (code, "mine")


def test_images_and_audio_can_be_added_and_asked_for() -> None:
    talk = Talk()
    sound = base64.b64encode(silence(200)).decode()
    content = [
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_audio", "audio": sound, "transcript": "hush"},
    ]
    added = talk.send(
        "conversation.item.create", item={"type": "message", "role": "user", "content": content}
    )
    shown = added[0]["item"]["content"]
    assert shown == [content[0], {"type": "input_audio", "transcript": "hush"}]
    retrieved = talk.send("conversation.item.retrieve", item_id=added[0]["item"]["id"])
    assert only(retrieved, "conversation.item.retrieved")["item"]["content"][1]["audio"] == sound


def test_truncating_cuts_the_audio_and_drops_the_transcript() -> None:
    talk = Talk()
    item_id, _ = spoken(talk)
    cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 700}
    events = talk.send("conversation.item.truncate", **cut)
    assert {name: only(events, "conversation.item.truncated")[name] for name in cut} == cut
    item = only(talk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")[
        "item"
    ]
    assert len(base64.b64decode(item["content"][0]["audio"])) == 700 * 48
    assert item["content"][0]["transcript"] is None


def test_truncating_at_the_very_end_is_allowed_and_beyond_it_is_an_error() -> None:
    talk = Talk()
    item_id, ms = spoken(talk)
    cut = {"item_id": item_id, "content_index": 0}
    refused = error(talk.send("conversation.item.truncate", **cut, audio_end_ms=ms + 1, event_id="mine"))
    assert refused["code"] == "invalid_value"
    assert refused["message"] == f"Audio content of {ms}ms is already shorter than {ms + 1}ms"
    assert refused["event_id"] == "mine"
    assert types(talk.send("conversation.item.truncate", **cut, audio_end_ms=ms)) == [
        "conversation.item.truncated"
    ]


def test_only_what_was_sent_so_far_can_be_heard() -> None:
    talk = Talk()
    talk.say("Tell me a story")
    talk.advance(1)
    sent = len(audio(talk.events)) // 48
    item_id = of(talk.events, "response.output_audio.delta")[0]["item_id"]
    cut = {"item_id": item_id, "content_index": 0}
    assert (
        f"{sent}ms" in error(talk.send("conversation.item.truncate", **cut, audio_end_ms=sent + 1))["message"]
    )


@pytest.mark.parametrize("index", [0, 1, -1])
def test_only_the_models_speech_can_be_truncated(index: int) -> None:
    talk = Talk()
    talk.say("Hello", respond=False)
    item_id = talk.events[-1]["item"]["id"]
    cut = {"item_id": item_id, "content_index": index, "audio_end_ms": 0}
    refused = error(talk.send("conversation.item.truncate", **cut))
    assert refused["message"] == "Only model output audio messages can be truncated"


def test_a_deleted_item_is_gone() -> None:
    talk = Talk()
    item_id, _ = spoken(talk)
    deleted = only(talk.send("conversation.item.delete", item_id=item_id), "conversation.item.deleted")
    assert deleted["item_id"] == item_id
    refused = error(talk.send("conversation.item.retrieve", item_id=item_id))
    assert refused["code"] == "item_retrieve_invalid_item_id"


@pytest.mark.parametrize("verb", ["retrieve", "delete", "truncate"])
def test_an_unknown_item_is_an_error(verb: str) -> None:
    cut = {"content_index": 0, "audio_end_ms": 1} if verb == "truncate" else {}
    refused = error(Talk().send(f"conversation.item.{verb}", item_id="item_x", event_id="mine", **cut))
    assert refused["code"] == f"item_{verb}_invalid_item_id"
    assert "item_x" in refused["message"]
    assert refused["event_id"] == "mine"


def test_old_audio_is_forgotten_when_there_is_too_much() -> None:
    talk = Talk()
    first, _ = spoken(talk)
    talk.detect(None)
    for _ in range(8):
        talk.speak(silence(60_000), 10**7)
        talk.send("input_audio_buffer.commit")
    item = only(talk.send("conversation.item.retrieve", item_id=first), "conversation.item.retrieved")["item"]
    assert item["content"][0]["audio"] == ""
    assert item["content"][0]["transcript"].startswith("Hello")


def test_a_script_may_let_the_server_forget_the_oldest_item() -> None:
    talk = Talk({"rules": [{"match": "forget", "do": [{"forget": True}, {"say": "done"}]}]})
    oldest = of(talk.say("Hello"), "conversation.item.added")[0]["item"]["id"]
    talk.finish()
    talk.say("Please forget")
    talk.finish()
    assert only(talk.events, "conversation.item.deleted")["item_id"] == oldest
    assert error(talk.send("conversation.item.retrieve", item_id=oldest))
