"""The endpointer on signals whose bounds are known, and against the bounds of the recordings."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anchorstream.anchors.endpoint import find_speech

RATE_HZ = 16_000
DATA = Path(os.environ.get("ANCHORSTREAM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def tone(duration_s, level=0.3):
    return level * np.sin(2 * np.pi * 440 * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)


def quiet(duration_s, level=0.001, seed=0):
    return level * np.random.default_rng(seed).standard_normal(round(duration_s * RATE_HZ))


@pytest.mark.parametrize("noise_level", [0.0, 0.001, 0.01])
def test_bounds_of_a_tone_are_found_within_one_window(noise_level):
    samples = np.concatenate([np.zeros(8000), tone(0.7), np.zeros(9600)]) + quiet(1.8, noise_level)
    bounds = find_speech(samples, RATE_HZ)
    assert bounds.sure
    assert (bounds.start_s, bounds.end_s) == pytest.approx((0.5, 1.2), abs=0.0101)


def test_the_rate_only_scales_time():
    samples = np.concatenate([quiet(0.5), tone(0.7), quiet(0.6)])
    bounds, slower = find_speech(samples, RATE_HZ), find_speech(samples, RATE_HZ // 2)
    assert (slower.start_s, slower.end_s) == pytest.approx((2 * bounds.start_s, 2 * bounds.end_s), abs=0.02)


def test_a_louder_recording_has_the_same_bounds():
    samples = np.concatenate([quiet(0.5), tone(0.7), quiet(0.6)])
    assert find_speech(samples, RATE_HZ) == find_speech(0.01 * samples, RATE_HZ)


def test_a_stop_within_a_word_does_not_end_it_and_a_click_does_not_start_it():
    click = np.zeros(8000)
    click[3000:3020] = 0.2
    samples = np.concatenate([click, tone(0.3), np.zeros(1600), tone(0.2), np.zeros(8000)]) + quiet(1.6)
    bounds = find_speech(samples, RATE_HZ)
    assert bounds.sure
    assert (bounds.start_s, bounds.end_s) == pytest.approx((0.5, 1.1), abs=0.0101)


def test_a_constant_offset_is_no_speech():
    samples = np.concatenate([quiet(0.5), tone(0.7, 0.1), quiet(0.6)])
    offset = find_speech(samples + 0.3, RATE_HZ)
    assert (offset.start_s, offset.end_s) == pytest.approx((0.5, 1.2), abs=0.0101)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.concatenate([tone(0.5), quiet(0.5)]), "start of the recording"),
        (np.concatenate([quiet(0.5), tone(0.5)]), "end of the recording"),
        (np.concatenate([quiet(0.5), tone(0.3), quiet(0.8), tone(0.3), quiet(0.5)]), "bursts"),
        (np.concatenate([quiet(0.5, 0.1), quiet(0.5, 0.4), quiet(0.5, 0.1)]), "dB between speech and noise"),
        (quiet(1.0), "nothing stands out"),
        (np.zeros(RATE_HZ), "nothing stands out"),
    ],
)
def test_what_cannot_be_trusted_is_said(samples, reason):
    bounds = find_speech(samples, RATE_HZ)
    assert not bounds.sure
    assert reason in bounds.reason
    assert 0 <= bounds.start_s < bounds.end_s <= len(samples) / RATE_HZ


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 100)), r"\(N,\), got \(2, 100\)"),
        (np.zeros(10), "at least 0.01 s"),
        (np.full(RATE_HZ, np.nan), "finite"),
    ],
)
def test_unusable_samples_are_refused(samples, message):
    with pytest.raises(ValueError, match=message):
        find_speech(samples, RATE_HZ)


def test_bounds_of_recorded_keywords_lie_close_to_those_of_the_manifest(capsys):
    """Prints the figures of docs/data.md. The constants were chosen on train; this is dev."""
    manifest = DATA / "manifest.jsonl"
    if not manifest.is_file():
        pytest.skip(f"{manifest} is not there")
    recordings = [json.loads(line) for line in manifest.read_text().splitlines()]
    keywords = [item for item in recordings if item["split"] == "dev" and item["kind"] == "keyword"]
    found = [find_speech(*soundfile.read(DATA / item["path"], dtype="float32")) for item in keywords]
    error_s = np.abs(
        [
            (bounds.start_s - item["start_s"], bounds.end_s - item["end_s"])
            for bounds, item in zip(found, keywords, strict=True)
        ]
    )
    median_s, p90_s = np.median(error_s, axis=0), np.quantile(error_s, 0.9, axis=0)
    with capsys.disabled():
        print(
            f"\nendpointer, {len(keywords)} dev keywords, start / end: "
            f"median {1000 * median_s[0]:.0f} / {1000 * median_s[1]:.0f} ms, "
            f"P90 {1000 * p90_s[0]:.0f} / {1000 * p90_s[1]:.0f} ms, "
            f"unsure {sum(not bounds.sure for bounds in found)}"
        )
    assert (median_s <= 0.020).all()
    assert (p90_s <= 0.060).all()
