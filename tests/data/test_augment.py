"""Clipping and mu-law companding against their formulas; wrong options refused."""

import math

import numpy as np
import pytest

from anchorstream.data.augment import AugmentSettings, distort, mu_law


def companded(x: float) -> float:
    """G.711's continuous law, rounded to a sign and seven bits, and its inverse."""
    code = round(127 * math.log(1 + 255 * abs(x)) / math.log(256))
    return math.copysign((256 ** (code / 127) - 1) / 255, x)


def test_mu_law_is_its_formula():
    samples = np.random.default_rng(1).uniform(-1, 1, 2000).astype(np.float32)
    samples = np.concatenate([samples, samples * np.float32(1e-3), np.float32([0, 1, -1])])
    expected = [companded(float(x)) for x in samples]
    np.testing.assert_allclose(mu_law(samples), expected, rtol=1e-5, atol=1e-7)


def test_mu_law_keeps_a_constant_ratio_to_noise_over_30_db():
    # What companding is for: about 38 dB over a wide range of levels, where 8 linear bits lose 6 dB for each 6 dB.
    sine = np.sin(np.arange(16_000) * 0.37)
    for level_db in (-3, -13, -23, -33):
        samples = (sine * 10 ** (level_db / 20)).astype(np.float32)
        noise = mu_law(samples) - samples
        assert 34 < 10 * np.log10(np.mean(samples**2) / np.mean(noise**2)) < 42
    assert len(np.unique(mu_law(np.linspace(-1, 1, 100_000, dtype=np.float32)))) == 255


def test_clipping_lies_at_the_drawn_level_and_keeps_the_peak():
    samples = (0.5 * np.sin(np.arange(8000) / 10)).astype(np.float32)
    before = samples.copy()
    settings = AugmentSettings(clipping_probability=1.0, clipping_db=(-6.0, -6.0))
    clipped = distort(samples, settings, np.random.default_rng(0))
    level = 10 ** (-6 / 20)
    peak = float(np.abs(samples).max())
    expected = [max(-level * peak, min(level * peak, float(x))) / level for x in samples]
    np.testing.assert_allclose(clipped, expected, rtol=1e-5)
    assert np.abs(clipped).max() == pytest.approx(peak, rel=1e-5)
    np.testing.assert_array_equal(samples, before)


def test_each_happens_as_often_as_asked_and_not_at_all_by_default():
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 2000).astype(np.float32)
    settings = AugmentSettings(clipping_probability=0.3, mu_law_probability=0.2)
    changed = clipped = 0
    for index in range(600):
        out = distort(samples, settings, np.random.default_rng(index))
        compands = len(np.unique(out)) <= 255
        changed += compands
        if not compands:
            clipped += np.count_nonzero(np.abs(out) > 0.999 * np.abs(out).max()) > 10
        np.testing.assert_array_equal(
            distort(samples, AugmentSettings(), np.random.default_rng(index)), samples
        )
    assert changed / 600 == pytest.approx(0.2, abs=0.05)
    assert clipped / (600 - changed) == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": (1.1, 0.9)}, r"speed must be two finite numbers, the lower one first, got \(1.1, 0.9\)"),
        ({"speed": (0.3, 1.0)}, r"speed must lie in \[0.5, 2.0\], got \(0.3, 1.0\)"),
        ({"speed": (float("nan"), 1.0)}, "speed must be two finite numbers"),
        ({"noise_speed": (0.9, 2.5)}, r"noise_speed must lie in \[0.5, 2.0\], got \(0.9, 2.5\)"),
        ({"coloured_noise_share": 1.5}, r"coloured_noise_share must lie in \[0, 1\], got 1.5"),
        ({"clipping_db": (-3.0, 3.0)}, "clipping_db above 0"),
        ({"clipping_probability": 1.2}, r"clipping_probability must lie in \[0, 1\], got 1.2"),
        ({"mu_law_probability": -0.1}, "mu_law_probability must lie in"),
        ({"freq_masks": -1}, "freq_masks must be at least 0, got -1"),
        ({"time_mask_width": 0}, "time_mask_width must be at least 1, got 0"),
        ({"time_masks": -2, "freq_mask_width": 0}, "time_masks must.*; freq_mask_width must"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AugmentSettings(**options)
