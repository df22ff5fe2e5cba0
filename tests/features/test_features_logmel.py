"""The log-mel features against their definition in float64."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.features.factored import factored_transform
from anchorstream.features.frontend import LogMel
from anchorstream.features.logmel import (
    LogMelSettings,
    hann_window,
    hz_to_mel,
    mel_filterbank,
    mel_to_hz,
)


def reference(pcm, s):
    """From the definition, with numpy's FFT in float64: (N,) to (N // hop, bands)."""
    weights = np.zeros((s.window_samples // 2 + 1, s.bands))
    low, high = 2595 * math.log10(1 + s.low_hz / 700), 2595 * math.log10(1 + s.high_hz / 700)
    corners = [
        700 * (10 ** ((low + i * (high - low) / (s.bands + 1)) / 2595) - 1) for i in range(s.bands + 2)
    ]
    for band in range(s.bands):
        left, centre, right = corners[band : band + 3]
        for k in range(len(weights)):
            f = k * s.sample_rate_hz / s.window_samples
            if left < f <= centre:
                weights[k, band] = (f - left) / (centre - left)
            elif centre < f < right:
                weights[k, band] = (right - f) / (right - centre)
    window = [(1 - math.cos(2 * math.pi * (n + 0.5) / s.window_samples)) / 2 for n in range(s.window_samples)]
    padded = np.concatenate([np.zeros(s.window_samples), pcm.astype(np.float64)])
    rows = []
    for t in range(len(pcm) // s.hop_samples):
        end = s.window_samples + (t + 1) * s.hop_samples
        spectrum = np.fft.rfft(padded[end - s.window_samples : end] * window, n=s.window_samples)
        rows.append(np.log(np.maximum((np.abs(spectrum) ** 2) @ weights, s.floor)))
    return np.array(rows).reshape(-1, s.bands)


def assert_as_reference(pcm, s, tolerance=1e-3):
    frontend, signal = LogMel(s), torch.from_numpy(pcm)[None]
    expected = reference(pcm, s)
    np.testing.assert_allclose(frontend(signal)[0].numpy(), expected, rtol=0, atol=tolerance)
    stepped, _ = frontend.step(signal[:, : len(expected) * s.hop_samples], frontend.init_state(1))
    np.testing.assert_allclose(stepped[0].numpy(), expected, rtol=0, atol=tolerance)


@given(
    seed=st.integers(0, 1000),
    samples=st.integers(200, 5000),
    hop=st.sampled_from([80, 160, 199, 200]),
    window=st.sampled_from([200, 320, 400, 512]),
    level_db=st.integers(-60, 0),
)
@settings(max_examples=25, deadline=None)
def test_features_are_those_of_the_definition(seed, samples, hop, window, level_db):
    pcm = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32) * np.float32(
        10 ** (level_db / 20)
    )
    assert_as_reference(pcm, LogMelSettings(hop_samples=hop, window_samples=window, bands=20))


def test_many_short_and_one_long_signal_are_cut_into_pieces_without_a_seam():
    rng = np.random.default_rng(0)
    long = (0.1 * rng.standard_normal(2000 * 160)).astype(np.float32)
    assert_as_reference(long, LogMelSettings())
    short = torch.from_numpy(0.1 * rng.standard_normal((50, 37 * 160)).astype(np.float32))
    rows = torch.cat([LogMel()(row[None]) for row in short])
    torch.testing.assert_close(LogMel()(short), rows, rtol=0, atol=1e-4)


def test_a_full_scale_tone_leaves_the_other_bands_as_the_definition_has_them():
    tone = np.sin(2 * np.pi * 3000 * np.arange(16_000) / 16_000).astype(np.float32)
    assert_as_reference(tone, LogMelSettings(), tolerance=1e-2)
    result = LogMel()(torch.from_numpy(tone)[None])[0, 50]
    centres_hz = mel_to_hz(np.linspace(hz_to_mel(60), hz_to_mel(7600), 42))[1:-1]
    assert abs(centres_hz[int(result.argmax())] - 3000) < 130


@pytest.mark.parametrize(
    ("hop", "window", "rows"),
    [(160, 400, 25), (160, 512, 32), (80, 200, 25), (199, 200, 200), (200, 398, 199)],
)
def test_a_frame_is_cut_into_rows_that_a_hop_is_made_of_too(hop, window, rows):
    transform = factored_transform(LogMelSettings(hop_samples=hop, window_samples=window, bands=20))
    assert transform.rows == rows
    assert transform.rows * transform.columns == window
    assert hop % transform.columns == 0


def test_steps_are_the_whole_pass_but_for_rounding():
    rng = np.random.default_rng(2)
    pcm = torch.from_numpy(0.1 * rng.standard_normal((2, 300 * 160)).astype(np.float32))
    frontend = LogMel()
    stepped, _ = frontend.step(pcm, frontend.init_state(2))
    torch.testing.assert_close(stepped, frontend(pcm), rtol=2e-6, atol=4e-6)


def test_silence_is_the_floor():
    assert torch.allclose(LogMel()(torch.zeros(1, 1600)), torch.tensor(math.log(1e-6)))


def test_a_constant_offset_is_not_heard():
    rng = np.random.default_rng(1)
    pcm = torch.from_numpy(0.01 * rng.standard_normal((1, 8000)).astype(np.float32))
    # The first two frames contain the edge at which the offset begins.
    torch.testing.assert_close(LogMel()(pcm + 0.3)[:, 2:], LogMel()(pcm)[:, 2:], rtol=0, atol=1e-2)


def test_a_click_is_in_the_frame_whose_hop_holds_it():
    pcm = torch.zeros(1, 1600)
    pcm[0, 480 + 120] = 1.0
    loud = (LogMel()(pcm)[0] > math.log(1e-6) + 1).any(-1)
    assert torch.nonzero(loud).flatten().tolist() == [3, 4, 5]


def test_a_last_part_of_a_hop_is_dropped():
    pcm = 0.1 * torch.randn(1, 1600 + 159)
    assert torch.equal(LogMel()(pcm), LogMel()(pcm[:, :1600]))


def test_the_window_is_symmetric_and_its_halves_add_to_one():
    window = hann_window(LogMelSettings())
    np.testing.assert_allclose(window, window[::-1], atol=1e-15)
    np.testing.assert_allclose(window[:200] + window[200:], 1.0, atol=1e-15)


def test_the_bands_cover_everything_between_the_outer_centres_evenly():
    weights = mel_filterbank(LogMelSettings())
    bins_hz = np.arange(201) * 40.0
    centres_hz = mel_to_hz(np.linspace(hz_to_mel(60), hz_to_mel(7600), 42))[1:-1]
    inside = (bins_hz >= centres_hz[0]) & (bins_hz <= centres_hz[-1])
    np.testing.assert_allclose(weights.sum(1)[inside], 1.0)


def test_the_mel_scale_has_its_known_points():
    assert hz_to_mel(1000.0) == pytest.approx(1000.0, abs=0.02)
    assert mel_to_hz(hz_to_mel(3210.0)) == pytest.approx(3210.0)


def test_settings_survive_json():
    chosen = LogMelSettings(bands=20, high_hz=4000, floor=1e-5)
    assert LogMelSettings.from_dict(chosen.to_dict()) == chosen
    assert LogMelSettings.from_dict({}) == LogMelSettings()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"band": 3}, ValueError, r"unknown feature settings \['band'\]; known are \['sample_rate_hz'"),
        ({"bands": 40.0}, TypeError, "bands must be a whole number"),
        ({"bands": 0}, ValueError, "bands must be at least 1"),
        ({"window_samples": 401}, ValueError, "must be even"),
        ({"window_samples": 100}, ValueError, "at least hop_samples"),
        ({"high_hz": 9000}, ValueError, "half the sample rate"),
        ({"low_hz": 8000}, ValueError, "low_hz < high_hz"),
        ({"low_hz": "60"}, TypeError, "low_hz must be a number"),
        ({"floor": 0.0}, ValueError, "floor must be a positive power"),
        ({"bands": 128}, ValueError, "128 bands are too many for a window of 400 samples"),
    ],
)
def test_settings_out_of_range_are_refused(values, error, message):
    with pytest.raises(error, match=message):
        LogMelSettings.from_dict(values)


def test_the_settings_need_no_torch():
    code = "import sys, anchorstream.features.logmel; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
