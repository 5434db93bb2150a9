"""Speech of an earlier connection that is still playing: the model is to know of it what was heard."""

from __future__ import annotations

import pytest

from tests.e2e.test_reconnect import back, broken_once, said
from tests.support.host import Host, Talk

pytestmark = pytest.mark.anyio


def heard_of(talk: Talk, item_id: str) -> str | None:
    """What was heard of an item, once it is told."""
    items = [event["item"] for event in talk.of("itemUpdated") if event["item"]["itemId"] == item_id]
    return next((item["heardText"] for item in items if "heardText" in item), None)


@pytest.mark.parametrize(("played_ms", "known"), [(2000, True), (0, False)])
async def test_what_is_cut_after_the_loss_is_known_as_far_as_it_was_heard(
    host: Host, played_ms: int, known: bool
) -> None:
    """The story is there whole, and the host still plays it when the connection is lost."""
    talk = await host.start(script=broken_once({"at": {"after_ms": 40_000}, "drop": 1006}))
    await talk.ask("sendText", text="Tell me a story")
    await talk.ask("wait")
    item_id = talk.of("audio")[0]["itemId"]
    await talk.ask("playback", itemId=item_id, contentIndex=0, playedMs=played_ms)
    await back(talk)
    assert (await talk.ask("interrupt"))["heardMs"] == played_ms
    heard = await host.until(lambda: heard_of(talk, item_id), "what was heard")
    assert (bool(heard), heard.endswith("passed.")) == (known, False)
    await talk.ask("sendText", text="What do you know?")
    parts = ["Tell me a story", *([heard] if known else []), "What do you know?"]
    assert await said(talk) == [f"It knows: {' / '.join(parts)}"]
