"""The loudspeaker's queue: what the device is given, and how far each part was heard."""

from __future__ import annotations

from omnirt.devices.player import Player

A, B = ("item_a", 0), ("item_b", 0)


def pcm(value: int, ms: int) -> bytes:
    return value.to_bytes(2, "little") * (ms * 8)  # at 8 kHz


def test_parts_are_played_one_after_another_and_silence_behind_them() -> None:
    player = Player(8000)
    player.put(A, pcm(1, 30))
    player.put(B, pcm(2, 10))
    assert player.fill(320, 0.0) == pcm(1, 20)
    assert player.fill(320, 0.02) == pcm(1, 10) + pcm(2, 10)
    assert player.fill(320, 0.04) == bytes(320)


def test_a_position_is_where_the_device_is_and_not_what_it_was_given() -> None:
    player = Player(8000)
    player.put(A, pcm(1, 30))
    player.put(B, pcm(2, 10))
    player.fill(320, 1.0)
    player.fill(320, 1.02)
    assert player.positions(0.99) == {}
    assert player.positions(1.005) == {A: 5}
    assert player.positions(1.02) == {A: 20}
    assert player.positions(1.035) == {A: 30, B: 5}
    assert player.positions(2.0) == {B: 10}
    assert player.positions(3.0) == {}


def test_what_is_dropped_is_not_played_and_what_is_not_goes_on() -> None:
    player = Player(8000)
    player.put(A, pcm(1, 40))
    player.put(B, pcm(2, 20))
    player.fill(160, 0.0)
    player.drop({"item_a"})
    assert player.fill(320, 0.01) == pcm(2, 20)
    player.put(A, pcm(3, 20))
    player.drop({"item_b"})
    assert player.fill(160, 0.03) == pcm(3, 10)
    assert player.fill(160, 0.04) == pcm(3, 10)


def test_it_sounds_until_a_moment_after_its_last_sample() -> None:
    player = Player(8000)
    assert not player.is_sounding(0.0, 0.3)
    player.put(A, pcm(1, 20))
    assert player.is_sounding(0.0, 0.3)
    player.fill(320, 1.0)
    assert player.is_sounding(1.31, 0.3)
    assert not player.is_sounding(1.33, 0.3)


def test_what_is_beyond_its_bound_is_refused() -> None:
    player = Player(8000)
    minute = pcm(1, 60_000)
    assert [player.put(A, minute) for _ in range(12)] == [True] * 11 + [False]
    player.drop({"item_a"})
    assert player.put(B, minute)
