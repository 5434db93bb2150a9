"""Audio is read as it is stored, and exported on one clock with its samples unchanged."""

from __future__ import annotations

import audioop
import os
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol.stored_methods import (
    AudioExportParams,
    AudioExportResult,
    AudioReadParams,
    AudioReadResult,
)
from omnirt.storage import AudioStorage, Heard
from omnirt.storage.export import export_audio, read_audio
from omnirt.storage.patience import Patience
from tests.support.daemon import driven
from tests.unit.storage.archives import RATE, begin, said, store, tone
from tests.unit.storage.helpers import query


def read(data_dir: Path, item_id: str = "item_1", **params: Any) -> AudioReadResult:
    return read_audio(data_dir, AudioReadParams(session_id="s1", item_id=item_id, **params), Patience())


def export(data_dir: Path, path: Path, **params: Any) -> AudioExportResult:
    return export_audio(data_dir, AudioExportParams(session_id="s1", path=str(path), **params), Patience())


def channels(path: Path) -> list[bytes]:
    """The samples of each channel."""
    with wave.open(str(path)) as file:
        count, data = file.getnchannels(), file.readframes(file.getnframes())
    return [b"".join(data[at : at + 2] for at in range(2 * c, len(data), 2 * count)) for c in range(count)]


def silence(ms: int, rate: int = RATE) -> bytes:
    return bytes(ms * rate // 1000 * 2)


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder outside of the data directory; nothing half done is ever left in it."""
    folder = tmp_path_factory.mktemp("out")
    yield folder
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@driven
async def test_a_stretch_is_read_and_clamped_to_what_there_is(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi", audio_ms=100)
    whole = tone(440, 100)
    result = read(tmp_path)
    assert (result.audio, result.format, result.sample_rate) == (whole, "pcm16", RATE)
    assert (result.offset_ms, result.length_ms, result.total_ms) == (0, 100, 100)
    for offset, length, begin_ms, end_ms in (
        (20, 30, 20, 50),
        (90, 30, 90, 100),
        (200, 5, 100, 100),
        (0, 0, 0, 0),
    ):
        part = read(tmp_path, offset_ms=offset, length_ms=length)
        assert part.audio == whole[begin_ms * 48 : end_ms * 48]
        assert (part.offset_ms, part.length_ms, part.total_ms) == (begin_ms, end_ms - begin_ms, 100)
    huge = read(tmp_path, offset_ms=2**53 - 1, length_ms=2**53 - 1)
    assert (huge.offset_ms, huge.audio) == (100, b"")


@driven
async def test_a_long_recording_is_read_in_results_that_fit(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi", audio_ms=0)
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1", run_id="long", started_at="2025-02-01T00:00:00.000Z")
    recorder.audio("item_1", 0, bytes(150_000 * 48), 0)
    await recorder.finish("stopped", "2025-02-01T00:02:30.000Z", 150_000)
    await storage.close()
    first = read(tmp_path)
    assert (first.length_ms, first.total_ms) == (120_000, 150_000)
    assert (read(tmp_path, offset_ms=first.length_ms).length_ms) == 30_000


@driven
async def test_a_recording_that_grows_is_read_up_to_what_is_on_disk(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1")
    for number in range(1, 4):
        recorder.audio("item_1", 0, tone(440, 100), 0)
        await storage.flush()
        assert read(tmp_path).total_ms == number * 100
    await storage.close()


@driven
async def test_g711_is_read_as_it_is_stored(tmp_path: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1", output_format="g711_ulaw")
    data = bytes(range(256)) * 4
    recorder.audio("item_1", 0, data, 0)
    await recorder.finish("stopped", "2025-01-01T00:00:01.000Z", 1000)
    await storage.close()
    result = read(tmp_path)
    assert (result.audio, result.format, result.sample_rate) == (data, "g711_ulaw", 8000)


@pytest.mark.parametrize(
    "ask",
    [{"item_id": "none"}, {"item_id": "item_0"}, {"item_id": "item_1", "content_index": 1}],
)
@driven
async def test_audio_that_is_not_stored_is_not_found(ask: dict[str, Any], tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    with pytest.raises(OmnirtError) as caught:
        read(tmp_path, **ask)
    assert caught.value.kind == "not_found"


@driven
async def test_a_recording_that_is_gone_or_led_away_is_not_found(tmp_path: Path, out: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    [(path,)] = query(tmp_path, "SELECT path FROM audio")
    (tmp_path / str(path)).unlink()
    with pytest.raises(OmnirtError) as caught:
        read(tmp_path)
    assert caught.value.kind == "not_found"
    (out / "secret.wav").write_bytes(b"secret")
    for elsewhere in (
        f"../{out.name}/secret.wav",
        str(out / "secret.wav"),
        "audio/../../secret.wav",
        "omnirt.db",
    ):
        query(tmp_path, f"UPDATE audio SET path = '{elsewhere}' RETURNING 1")
        with pytest.raises(OmnirtError) as caught:
            read(tmp_path)
        assert caught.value.kind == "not_found"


@driven
async def test_two_known_tones_stand_where_they_were_heard(tmp_path: Path, out: Path) -> None:
    """The host speaks at 0.5 s, the agent's answer came at 1 s and was played from 1.2 s on."""
    host, agent = tone(440, 600), tone(1000, 800)
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1", record="both")
    for at in range(0, len(host), 960):
        recorder.host_audio(host[at : at + 960], 520 + at // 48)
    recorder.audio("item_1", 0, agent[:9_600], 1000)
    recorder.audio("item_1", 0, agent[9_600:], 1010)
    recorder.audio_end("item_1", 0, Heard(800, 1200, interrupted=False))
    await recorder.finish("stopped", "2025-01-01T00:00:03.000Z", 3000)
    await storage.close()
    result = export(tmp_path, out / "talk.wav")
    assert (result.path, result.duration_ms, result.channels) == (str(out / "talk.wav"), 2000, 2)
    left, right = channels(out / "talk.wav")
    assert left == silence(500) + host + silence(900)
    assert right == silence(1200) + agent
    assert (out / "talk.wav").stat().st_mode & 0o777 == 0o600


@driven
async def test_what_was_cut_is_as_long_as_it_was_heard_and_answers_stand_in_line(
    tmp_path: Path, out: Path
) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1")
    recorder.audio("cut", 0, tone(440, 1000), 0)
    recorder.audio_end("cut", 0, Heard(300, 0, interrupted=True))
    recorder.audio("unheard", 0, tone(500, 1000), 100)
    recorder.audio_end("unheard", 0, Heard(0, None, interrupted=True))
    recorder.audio("next", 0, tone(600, 400), 500)
    recorder.audio("behind", 0, tone(700, 100), 600)
    await recorder.finish("stopped", "2025-01-01T00:00:01.000Z", 1000)
    await storage.close()
    export(tmp_path, out / "talk.wav")
    left, right = channels(out / "talk.wav")
    assert right == tone(440, 1000)[: 300 * 48] + silence(200) + tone(600, 400) + tone(700, 100)
    assert left == bytes(len(right))
    export(tmp_path, out / "item.wav", item_id="cut")
    assert channels(out / "item.wav") == [tone(440, 1000)], "an item is exported as it was generated"


@driven
async def test_the_runs_of_a_session_follow_one_another(tmp_path: Path, out: Path) -> None:
    for number, hertz in enumerate((440, 600)):
        storage = AudioStorage(tmp_path)
        recorder = await begin(
            storage, "s1", run_id=f"run-{number}", started_at=f"2025-01-0{number + 1}T00:00:00Z"
        )
        recorder.audio("item_1", 0, tone(hertz, 100), 50)
        await recorder.finish("stopped", f"2025-01-0{number + 1}T00:00:01Z", 400)
        await storage.close()
    export(tmp_path, out / "talk.wav")
    assert channels(out / "talk.wav")[1] == silence(50) + tone(440, 100) + silence(300) + tone(600, 100)
    assert read(tmp_path).audio == tone(600, 100), "the newest run's item"
    assert read(tmp_path, run_id="run-0").audio == tone(440, 100)
    export(tmp_path, out / "first.wav", run_id="run-0")
    assert channels(out / "first.wav")[1] == silence(50) + tone(440, 100)
    export(tmp_path, out / "item.wav", run_id="run-0", item_id="item_1")
    assert channels(out / "item.wav") == [tone(440, 100)]


@driven
async def test_the_hosts_side_of_each_run_is_read_and_an_unknown_run_is_not_found(
    tmp_path: Path, out: Path
) -> None:
    for number, hertz in enumerate((440, 600)):
        storage = AudioStorage(tmp_path)
        recorder = await begin(
            storage,
            "s1",
            run_id=f"run-{number}",
            started_at=f"2025-01-0{number + 1}T00:00:00Z",
            record="both",
        )
        recorder.host_audio(tone(hertz, 100), 100)
        await recorder.finish("stopped", f"2025-01-0{number + 1}T00:00:01Z", 400)
        await storage.close()
    for number, hertz in enumerate((440, 600)):
        assert read(tmp_path, "", run_id=f"run-{number}").audio == tone(hertz, 100)
    for ask in (lambda: read(tmp_path, "", run_id="x"), lambda: export(tmp_path, out / "x", run_id="x")):
        with pytest.raises(OmnirtError) as caught:
            ask()
        assert caught.value.kind == "not_found"


@driven
async def test_g711_becomes_pcm16_at_the_rate_of_the_session(tmp_path: Path, out: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1", record="both", input_format="g711_alaw", output_format="g711_ulaw")
    host, agent = audioop.lin2alaw(tone(440, 100, 8000), 2), audioop.lin2ulaw(tone(900, 100, 8000), 2)
    recorder.host_audio(host, 0)
    recorder.audio("item_1", 0, agent, 0)
    await recorder.finish("stopped", "2025-01-01T00:00:01Z", 1000)
    await storage.close()
    assert export(tmp_path, out / "talk.wav").duration_ms == 100
    with wave.open(str(out / "talk.wav")) as file:
        assert file.getframerate() == 8000
    assert channels(out / "talk.wav") == [audioop.alaw2lin(host, 2), audioop.ulaw2lin(agent, 2)]


@driven
async def test_sides_of_two_rates_meet_at_the_higher_one(tmp_path: Path, out: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1", record="both", input_format="g711_ulaw")
    host = audioop.lin2ulaw(tone(440, 100, 8000), 2)
    recorder.host_audio(host, 0)
    recorder.audio("item_1", 0, tone(900, 100), 0)
    await recorder.finish("stopped", "2025-01-01T00:00:01Z", 1000)
    await storage.close()
    export(tmp_path, out / "talk.wav")
    left, right = channels(out / "talk.wav")
    assert right == tone(900, 100)
    samples = audioop.ulaw2lin(host, 2)
    assert left == b"".join(samples[at : at + 2] * 3 for at in range(0, len(samples), 2))


@driven
async def test_players_take_an_export(tmp_path: Path, out: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi", audio_ms=1000)
    export(tmp_path, out / "talk.wav")
    try:
        told = subprocess.run(["soxi", str(out / "talk.wav")], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        assert not os.environ.get("CI"), "CI has sox"
        pytest.skip("sox is not installed")
    assert "Channels       : 2" in told.stdout


@driven
async def test_an_export_never_goes_over_a_file_unless_it_may(tmp_path: Path, out: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    (out / "talk.wav").write_bytes(b"mine")
    with pytest.raises(OmnirtError) as caught:
        export(tmp_path, out / "talk.wav")
    assert (caught.value.kind, caught.value.facts) == ("invalid_params", {"path": "$.path"})
    assert (out / "talk.wav").read_bytes() == b"mine"
    export(tmp_path, out / "talk.wav", overwrite=True)
    assert len(channels(out / "talk.wav")) == 2


@pytest.mark.parametrize(
    "path",
    [
        "talk.wav",
        "",
        "~/talk.wav",
        "/",
        "/nul\0/talk.wav",
        "{out}",
        "{data}/audio/x.wav",
        "{data}/omnirt.db-wal",
    ],
)
@driven
async def test_a_path_that_cannot_be_meant_is_refused(path: str, tmp_path: Path, out: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    with pytest.raises(OmnirtError) as caught:
        export(tmp_path, cast("Path", path.format(out=out, data=tmp_path)), overwrite=True)
    assert (caught.value.kind, caught.value.facts) == ("invalid_params", {"path": "$.path"})


@driven
async def test_a_folder_that_is_not_there_or_a_name_too_long_is_told(tmp_path: Path, out: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    for path in (out / "none" / "talk.wav", out / f"{'x' * 300}.wav"):
        with pytest.raises(OmnirtError) as caught:
            export(tmp_path, path)
        assert caught.value.kind == "storage_failed"


@driven
async def test_nothing_to_export_is_told(tmp_path: Path, out: Path) -> None:
    storage = AudioStorage(tmp_path)
    recorder = await begin(storage, "s1", record="none")
    recorder.item(said("user", "Hello", "item_1"))
    await storage.flush()
    for params, kind in (({}, "audio_invalid"), ({"item_id": "item_1"}, "not_found")):
        with pytest.raises(OmnirtError) as caught:
            export(tmp_path, out / "talk.wav", **params)
        assert caught.value.kind == kind
    await storage.close()
    assert list(out.iterdir()) == []


@driven
async def test_an_export_that_is_given_up_leaves_nothing(tmp_path: Path, out: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi", audio_ms=5000)
    patience = Patience()
    params = AudioExportParams(session_id="s1", path=str(out / "talk.wav"))
    with pytest.raises(OmnirtError) as caught:
        export_audio(tmp_path, params, patience, lambda done, total: patience.give_up())
    assert caught.value.kind == "timed_out"
    assert list(out.iterdir()) == []
