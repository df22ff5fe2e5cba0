"""Streams from a cache: the same batches, the same weights, and no row that does not belong."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from anchorstream.features.frontend import LogMel
from anchorstream.train.cached_streams import CachedStreams, cached_streams
from anchorstream.train.corpus import corpus_of, training_mixer
from anchorstream.train.engine import untrained_detector
from anchorstream.train.streams import EpochSampler, TrainingStreams, training_loader
from anchorstream.train.training import train

WEIGHTS = Path("model") / "weights.safetensors"

pytestmark = pytest.mark.skipif(
    torch.accelerator.is_available(), reason="features are computed on the accelerator, and nothing is cached"
)


@pytest.fixture
def opened(small, tmp_path):
    """Opens the cache of a configuration, as a training does; with it, how often a stream was mixed."""

    def open_cache(*overrides: str, sample: float = 0.0):
        config = small(*overrides)
        corpus, detector = corpus_of(config), untrained_detector(config)
        streams = TrainingStreams(
            training_mixer(config, corpus), config.task, detector, config.optimiser.state_reset
        )
        mixed: list[int] = []
        mix = streams._mixer.stream
        streams._mixer.stream = lambda index: mixed.append(index) or mix(index)
        cached = cached_streams(
            streams, detector, config, corpus, tmp_path / "cache", [torch.tensor([sample])]
        )
        return cached, streams, detector, mixed

    return open_cache


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)


@pytest.mark.parametrize("frames", [401, 799, 800, 801, 1234])
def test_features_of_a_stream_alone_are_those_of_the_batch_to_the_bit(frames: int) -> None:
    frontend = LogMel()
    pcm = 0.1 * torch.randn(3, frames * 160 + 7, generator=torch.Generator().manual_seed(1))
    together = frontend(pcm)
    assert frontend.rows_at_once(frames) == 1
    for row in range(3):
        assert frontend(pcm[row][None])[0].equal(together[row])


def test_shorter_streams_are_computed_together_and_not_cached(opened, tmp_path, capsys) -> None:
    assert LogMel.rows_at_once(400) == 2
    cached, *_ = opened("mix.length_s=4")
    assert cached is None
    assert "not cached" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("augment.freq_masks=2", "augment.time_masks=2", "optimiser.state_reset=0.5"),
        ("model={name: mixednet, options: {}}",),
    ],
    ids=["plain", "masks and state", "stride"],
)
def test_batches_are_the_same_computed_and_read(opened, overrides) -> None:
    cached, streams, detector, mixed = opened(*overrides)
    plain = list(training_loader(streams, EpochSampler(8), 4, workers=0))
    for batch in plain:
        batch["features"] = detector.features(batch.pop("pcm"))
    mixed.clear()
    for seen in (list(range(8)), []):
        again = list(training_loader(cached, EpochSampler(8), 4, workers=0))
        assert all(equal(one, other) for one, other in zip(plain, again, strict=True))
        assert sorted(mixed) == seen
        mixed.clear()


def test_workers_read_what_another_process_wrote(opened) -> None:
    cached, *_ = opened()
    alone = list(training_loader(cached, EpochSampler(8), 4, workers=0))
    assert isinstance(cached, CachedStreams)
    for _ in range(2):
        together = list(training_loader(cached, EpochSampler(8), 4, workers=2))
        assert all(equal(one, other) for one, other in zip(alone, together, strict=True))


def test_a_row_that_is_not_done_is_computed_and_the_others_are_not(opened, tmp_path) -> None:
    cached, _, _, mixed = opened()
    expected = [cached[index] for index in range(4)]
    path = tmp_path / "cache" / "rows.bin"
    content = bytearray(path.read_bytes())
    row = cached._rows._record.itemsize
    content[2 * row + row // 2 : 3 * row] = bytes(row - row // 2)
    path.write_bytes(content)
    mixed.clear()
    assert all(equal(cached[index], expected[index]) for index in range(4))
    assert mixed == [2]


@pytest.mark.parametrize(
    "changed",
    [
        "seed=2",
        "task.anchor_others=false",
        "mix.snr_db=[5, 6]",
        "augment.speed=[0.9, 1.1]",
        "rooms=3",
        "model={name: mixednet, options: {}}",
    ],
)
def test_what_another_configuration_left_is_not_read(opened, changed: str) -> None:
    cached, *_ = opened()
    _ = [cached[index] for index in range(3)]
    other, streams, detector, mixed = opened(changed)
    item = other[1]
    assert mixed == [1]
    assert item["features"].equal(detector.features(streams[1]["pcm"][None])[0])


@pytest.mark.parametrize("changed", ["task.label_after_s=0.2", "task.label_before_s=0.15"])
@pytest.mark.parametrize("network", ["ds-tcn", "mixednet"])
def test_wider_labels_are_those_of_mixed_streams_and_share_their_features(opened, changed, network) -> None:
    model = f"model={{name: {network}, options: {{}}}}"
    cached, *_ = opened(model)
    narrow = [cached[index] for index in range(8)]
    other, streams, detector, mixed = opened(model, changed)
    read = [other[index] for index in range(8)]
    assert mixed == []
    for index, item in enumerate(read):
        whole = streams[index]
        assert item["targets"].equal(whole["targets"])
        assert item["anchors"].equal(whole["anchors"])
        assert item["features"].equal(detector.features(whole["pcm"][None])[0])
    assert not all(one["targets"].equal(two["targets"]) for one, two in zip(narrow, read, strict=True))


def test_labels_that_follow_from_motion_are_kept_with_their_streams(opened) -> None:
    trigger = ["task={name: trigger}", "mix.length_s=12", "mix.gap_s=[0.8, 3.5]", "mix.target_gap_s=0.8"]
    cached, *_ = opened(*trigger)
    _ = cached[0]
    other, streams, _, mixed = opened(*trigger, "task.label_after_s=0.2")
    assert other[0]["targets"].equal(streams[0]["targets"])
    assert mixed[0] == 0


def test_what_other_recordings_or_other_code_left_is_not_read(opened, small, tones, tmp_path) -> None:
    cached, *_ = opened()
    _ = cached[0]
    *_, mixed = same = opened("loss=ce", "optimiser.epochs=7")
    assert same[0][0]
    assert mixed == []
    *_, mixed = different = opened(sample=1.0)
    assert different[0][0]
    assert mixed == [0]
    fewer = tmp_path / "fewer"
    shutil.copytree(tones, fewer)
    (fewer / "positive" / "39.wav").unlink()
    *_, mixed = different = opened(f"data={fewer}")
    assert different[0][0]
    assert mixed == [0]


@pytest.mark.parametrize("content", [b"", b"nothing of the kind" * 1000])
def test_a_damaged_file_is_filled_anew(opened, tmp_path, content) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "rows.bin").write_bytes(content)
    cached, _, _, mixed = opened()
    first = cached[0]
    assert equal(cached[0], first)
    assert mixed == [0]


def test_without_room_there_is_no_cache_and_a_line_says_so(opened, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("anchorstream.train.row_file.shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    assert opened()[0] is None
    assert "more than half" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_workers_with_other_threads_than_the_training_cache_nothing(opened, capsys) -> None:
    assert opened("optimiser.workers=1", "optimiser.threads=2")[0] is None
    assert "optimiser.threads=1" in capsys.readouterr().err
    assert opened("optimiser.workers=1", "optimiser.threads=1")[0] is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["augment.freq_masks=1"],
        ["task={name: trigger}", "mix.length_s=12", "mix.gap_s=[0.8, 3.5]", "mix.target_gap_s=0.8"],
    ],
    ids=["keyword", "trigger with motion"],
)
def test_a_training_ends_with_the_same_weights_without_a_cache_filling_it_and_reading_it(
    small, tmp_path, monkeypatch, overrides
) -> None:
    config = small(
        "optimiser.epochs=2", "optimiser.streams_per_epoch=24", "optimiser.batch_size=8", *overrides
    )
    corpus = corpus_of(config)
    plain = train(config, tmp_path / "plain", corpus=corpus)
    cache = tmp_path / "cache"
    filled = train(config, tmp_path / "filled", corpus=corpus, stream_cache=cache)

    def computed(*_: object) -> None:
        raise AssertionError("a row was computed that is there")

    monkeypatch.setattr(CachedStreams, "_computed", computed)
    read = train(config, tmp_path / "read", corpus=corpus, stream_cache=cache)
    expected = load_file(plain.folder / WEIGHTS)
    for run in (filled, read):
        assert {**run.summary, "seconds": 0} == {**plain.summary, "seconds": 0}
        actual = load_file(run.folder / WEIGHTS)
        assert all(tensor.equal(actual[name]) for name, tensor in expected.items())
