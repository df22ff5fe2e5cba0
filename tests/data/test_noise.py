"""Noise: its colour, its level, and a bed without holes."""

import numpy as np
import pytest

from anchorstream.data.clip import Clip
from anchorstream.data.noise import NoiseBed, active_rms, coloured_noise

RATE_HZ = 16_000


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_power_falls_with_frequency_as_asked(exponent):
    noise = coloured_noise(2**18, exponent, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency_hz = np.fft.rfftfreq(2**18, 1 / RATE_HZ)
    low, high = (power[(frequency_hz > f) & (frequency_hz < 1.2 * f)].mean() for f in (100, 1600))
    assert 10 * np.log10(low / high) == pytest.approx(10 * exponent * np.log10(16), abs=1)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1, rel=1e-3)


def test_pauses_do_not_lower_the_active_level():
    tone = 0.5 * np.sin(np.arange(RATE_HZ) / 5).astype(np.float32)
    with_pauses = np.concatenate([np.zeros(RATE_HZ), tone, np.zeros(3 * RATE_HZ)]).astype(np.float32)
    assert active_rms(tone) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert active_rms(with_pauses) == pytest.approx(active_rms(tone), rel=0.01)


@pytest.mark.parametrize("samples", [0, 10, RATE_HZ])
def test_digital_silence_has_no_level(samples):
    assert active_rms(np.zeros(samples, dtype=np.float32)) == 0


def noise_clip(samples, label="rain", name="n"):
    return Clip(name, samples.astype(np.float32), "noise", label, "train")


@pytest.mark.parametrize("length_s", [0.05, 0.5, 3.0, 60.0])
def test_short_clips_go_on_without_a_hole_at_a_level_of_1(length_s):
    rng = np.random.default_rng(0)
    bed = NoiseBed([noise_clip(0.01 * rng.standard_normal(round(length_s * RATE_HZ)))], rng)
    drawn = bed.draw(10 * RATE_HZ, rng)
    level = np.sqrt(np.mean(drawn.reshape(-1, 800) ** 2, axis=1))
    assert level.min() > 0.5
    assert level.mean() == pytest.approx(1, abs=0.1)


def test_digital_silence_around_a_noise_is_cut_away():
    rng = np.random.default_rng(0)
    padded = np.concatenate([np.zeros(RATE_HZ), rng.standard_normal(RATE_HZ), np.zeros(3 * RATE_HZ)])
    drawn = NoiseBed([noise_clip(padded)], rng).draw(20 * RATE_HZ, rng)
    assert np.mean(drawn.reshape(-1, 800) ** 2, axis=1).min() > 0.1


def test_noise_is_as_loud_at_the_end_of_a_stream_as_in_its_middle():
    rng = np.random.default_rng(0)
    white = [noise_clip(rng.standard_normal(3 * RATE_HZ), name=name) for name in "ab"]
    bed = NoiseBed(white, rng)
    drawn = np.stack([bed.draw(2 * RATE_HZ, rng) for _ in range(300)])
    power = np.mean(drawn.reshape(300, -1, 160) ** 2, axis=(0, 2))
    np.testing.assert_allclose(power, 1, atol=0.12)


def test_classes_come_up_equally_often():
    low, high = (np.sin(2 * np.pi * f * np.arange(RATE_HZ) / RATE_HZ) for f in (100, 3000))
    clips = [noise_clip(low, "low", f"low{i}") for i in range(20)] + [noise_clip(high, "high")]
    rng = np.random.default_rng(0)
    bed = NoiseBed(clips, rng)
    spectrum = sum(np.abs(np.fft.rfft(bed.draw(RATE_HZ, rng))) ** 2 for _ in range(200))
    share = spectrum[2500:3500].sum() / spectrum.sum()
    assert share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("clips", [[], [noise_clip(np.zeros(RATE_HZ))]])
def test_without_a_noise_that_sounds_coloured_noise_stands_in(clips):
    rng = np.random.default_rng(0)
    bed = NoiseBed(clips, rng)
    assert bed.synthetic
    assert np.mean(bed.draw(RATE_HZ, rng) ** 2) > 0.1


def test_pieces_are_played_at_the_drawn_speeds_without_a_hole():
    tone = np.sin(2 * np.pi * 1000 * np.arange(3 * RATE_HZ) / RATE_HZ)
    rng = np.random.default_rng(0)
    bed = NoiseBed([noise_clip(tone)], rng, speed=(0.7, 1.4))
    drawn = [bed.draw(2 * RATE_HZ, rng) for _ in range(40)]
    assert min(np.mean(one.reshape(-1, 800) ** 2, axis=1).min() for one in drawn) > 0.5
    # In steps of 0.5 Hz: what each stream begins with.
    peaks_hz = [np.abs(np.fft.rfft(one[: RATE_HZ // 2], 2 * RATE_HZ)).argmax() / 2 for one in drawn]
    assert 690 < min(peaks_hz) < 800
    assert 1300 < max(peaks_hz) < 1410


def test_a_share_of_the_pieces_is_coloured_noise_of_many_shades():
    tone = np.sin(2 * np.pi * 1000 * np.arange(3 * RATE_HZ) / RATE_HZ)
    rng = np.random.default_rng(0)
    bed = NoiseBed([noise_clip(tone)], rng, coloured_share=0.25)
    power = [np.abs(np.fft.rfft(bed.draw(RATE_HZ, rng))) ** 2 for _ in range(400)]
    # Streams of one second are one piece each: of the tone alone, or of all frequencies.
    coloured = [one for one in power if one[990:1011].sum() < 0.9 * one.sum()]
    assert len(coloured) / len(power) == pytest.approx(0.25, abs=0.07)
    highs = [one[4000:].sum() / one.sum() for one in coloured]
    assert min(highs) < 0.01 < 0.4 < max(highs)
    assert not bed.synthetic
