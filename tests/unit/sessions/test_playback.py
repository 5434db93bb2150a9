"""What was heard: by the host's reports, else by a player that plays at once, part after part."""

from __future__ import annotations

from omnirt.sessions.playback import MAX_PARTS, Playback

MS = 48


def test_by_the_clock_parts_play_one_after_the_other() -> None:
    playback = Playback(MS)
    one = playback.generated("r", "one", 0, 1000 * MS, 10.0)
    two = playback.generated("r", "two", 0, 1000 * MS, 10.2)
    assert (playback.heard_ms(one, 10.5), playback.heard_ms(two, 10.5)) == (500, 0)
    assert (playback.heard_ms(one, 11.25), playback.heard_ms(two, 11.25)) == (1000, 250)


def test_a_third_part_waits_for_the_second_to_end() -> None:
    playback = Playback(MS)
    for name in ("one", "two", "three"):
        playback.generated("r", name, 0, 1000 * MS, 0.0)
    three = playback.get("three", 0)
    assert three
    assert playback.heard_ms(three, 1.9) == 0
    assert playback.heard_ms(three, 2.5) == 500


def test_a_player_that_ran_dry_goes_on_when_audio_comes() -> None:
    playback = Playback(MS)
    part = playback.generated("r", "one", 0, 100 * MS, 0.0)
    playback.generated("r", "one", 0, 100 * MS, 5.0)
    assert playback.heard_ms(part, 5.0625) == 162


def test_a_report_is_a_position_clamped_to_what_was_sent() -> None:
    unsent = {"one": 400}
    playback = Playback(MS, lambda item, _index: unsent[item])
    part = playback.generated("r", "one", 0, 1000 * MS, 0.0)
    playback.report("one", 0, 100, 0.0)
    playback.report("one", 0, 250, 0.0)
    assert playback.heard_ms(part, 0.9) == 250
    playback.report("one", 0, 5000, 0.0)
    assert playback.heard_ms(part, 0.9) == 600
    playback.report("one", 0, -5, 0.0)
    assert playback.heard_ms(part, 0.9) == 0


def test_from_the_first_report_on_the_clock_does_not_count() -> None:
    playback = Playback(MS)
    one = playback.generated("r", "one", 0, 1000 * MS, 0.0)
    two = playback.generated("r", "two", 0, 1000 * MS, 0.0)
    three = playback.generated("r", "three", 0, 1000 * MS, 0.0)
    playback.report("two", 0, 10, 0.0)
    assert [playback.heard_ms(part, 60.0) for part in (one, two, three)] == [1000, 10, 0]


def test_late_reports_of_what_was_cut_change_nothing() -> None:
    playback = Playback(MS)
    part = playback.generated("r", "one", 0, 1000 * MS, 0.0)
    playback.report("one", 0, 100, 0.0)
    assert [cut.heard_ms for cut in playback.cut(0.5)] == [100]
    playback.report("one", 0, 900, 0.0)
    playback.report("unknown", 0, 900, 0.0)
    assert part.reported_ms == 100
    assert playback.cut(0.6) == []


def test_what_was_heard_is_not_cut() -> None:
    playback = Playback(MS)
    playback.generated("r", "one", 0, 100 * MS, 0.0)
    playback.generated("r", "two", 0, 100 * MS, 0.0)
    assert [(cut.part.item_id, cut.was_playing) for cut in playback.cut(0.15)] == [("two", True)]


def test_parts_that_are_over_are_forgotten_at_last_and_open_ones_never() -> None:
    playback = Playback(MS)
    for number in range(MAX_PARTS + 50):
        playback.generated("r", f"item_{number}", 0, MS, 0.0).ended = True
    assert len(playback.parts()) == MAX_PARTS
    assert playback.get("item_0", 0) is None
    for number in range(MAX_PARTS):
        playback.parts()[0].ended = True
        playback.generated("r", f"open_{number}", 0, MS, 0.0)
    assert playback.get("open_0", 0)


def test_what_never_left_the_daemon_was_not_playing() -> None:
    playback = Playback(MS, lambda _item, _index: 1000)
    playback.generated("r", "one", 0, 1000 * MS, 0.0)
    [cut] = playback.cut(0.5)
    assert (cut.heard_ms, cut.was_playing) == (0, False)
