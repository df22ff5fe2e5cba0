"""Reading sound files: what is converted, what is refused, and how that is said."""

import os

import numpy as np
import pytest
import soundfile

from anchorstream.data.audio import AudioError, read_audio

RATE_HZ = 16_000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ)


def test_samples_at_our_rate_come_as_they_are(tmp_path):
    soundfile.write(tmp_path / "a.wav", NOISE, RATE_HZ, subtype="FLOAT")
    audio = read_audio(tmp_path / "a.wav")
    np.testing.assert_array_equal(audio.samples, NOISE.astype(np.float32))
    assert (audio.samples.dtype, audio.duration_s) == (np.float32, 1.0)
    assert (audio.resampled, audio.channels, audio.clipped) == (False, 1, False)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_another_rate_keeps_the_times(tmp_path, rate_hz):
    time_s = np.arange(rate_hz) / rate_hz
    bell = np.exp(-(((time_s - 0.4) / 0.01) ** 2)) * np.sin(2 * np.pi * 1000 * time_s) * 0.5
    soundfile.write(tmp_path / "a.wav", bell, rate_hz, subtype="FLOAT")
    audio = read_audio(tmp_path / "a.wav")
    at_s = np.arange(RATE_HZ) / RATE_HZ
    expected = np.exp(-(((at_s - 0.4) / 0.01) ** 2)) * np.sin(2 * np.pi * 1000 * at_s) * 0.5
    assert audio.resampled
    assert audio.source_rate_hz == rate_hz
    np.testing.assert_allclose(audio.samples, expected, atol=1e-3)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_name_that_is_no_utf_8_is_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", NOISE, RATE_HZ)
    strange = (tmp_path / "a.wav").rename(tmp_path / os.fsdecode(b"\xff.wav"))
    assert read_audio(strange).duration_s == 1.0


def test_a_format_that_cannot_be_sought_in_is_read(tmp_path):
    path = tmp_path / "voicemail.wav"
    soundfile.write(path, NOISE, 8_000, subtype="GSM610")
    assert read_audio(path).duration_s == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(("offset", "kept"), [(0.1, True), (0.4, False)])
def test_an_offset_that_makes_a_level_wrong_is_taken_away(tmp_path, offset, kept):
    """The noise has a power of 1/12: an offset of 0.1 is a tenth of all power, one of 0.4 two thirds."""
    soundfile.write(tmp_path / "a.wav", NOISE + offset, RATE_HZ, subtype="FLOAT")
    samples = read_audio(tmp_path / "a.wav").samples
    np.testing.assert_allclose(samples, NOISE + offset if kept else NOISE - NOISE.mean(), atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.full(RATE_HZ, 0.25), "every sample is the same"),
        (np.full(RATE_HZ, 1e-30), "every sample is the same"),
        (np.stack([NOISE, -NOISE], axis=1), "its channels cancel each other out"),
        (np.zeros((RATE_HZ, 2)), "every sample is 0"),
    ],
    ids=["an offset alone", "next to nothing", "opposite channels", "zeros"],
)
def test_silence_of_other_kinds_is_refused(tmp_path, samples, why):
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ, subtype="FLOAT")
    with pytest.raises(AudioError, match=f"is digital silence: {why}"):
        read_audio(tmp_path / "a.wav")


def test_channels_that_cannot_be_added_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([6e38 * NOISE] * 2, axis=1), RATE_HZ, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"too large to be added, up to 3e\+38"):
        read_audio(tmp_path / "a.wav")


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([NOISE, -0.5 * NOISE], axis=1), RATE_HZ, subtype="FLOAT")
    audio = read_audio(tmp_path / "a.wav")
    assert audio.channels == 2
    np.testing.assert_allclose(audio.samples, 0.25 * NOISE, atol=1e-6)


def test_samples_on_another_scale_are_brought_into_range(tmp_path):
    soundfile.write(tmp_path / "a.wav", 30_000 * NOISE, RATE_HZ, subtype="FLOAT")
    samples = read_audio(tmp_path / "a.wav").samples
    assert np.abs(samples).max() == pytest.approx(1)
    np.testing.assert_allclose(samples, NOISE / np.abs(NOISE).max(), atol=1e-6)


def test_a_recording_that_stays_at_full_scale_is_noted_as_clipped(tmp_path):
    sine = np.sin(np.arange(RATE_HZ) / 10)
    soundfile.write(tmp_path / "cut.wav", np.clip(4 * sine, -1, 1), RATE_HZ)
    soundfile.write(tmp_path / "lone.wav", np.where(np.arange(RATE_HZ) % 100 == 0, 1.0, 0.1), RATE_HZ)
    assert read_audio(tmp_path / "cut.wav").clipped
    assert not read_audio(tmp_path / "lone.wav").clipped


def _write(path, samples, **options):
    soundfile.write(path, np.asarray(samples), RATE_HZ, **options)


def _cut(path, samples, keep_bytes, **options):
    _write(path, samples, **options)
    path.write_bytes(path.read_bytes()[:keep_bytes])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("missing.wav", lambda path: None, "there is no such file"),
        ("folder.wav", lambda path: path.mkdir(), "is a folder"),
        ("text.wav", lambda path: path.write_text("hello"), "cannot be decoded: Format not recognised"),
        ("nothing.wav", lambda path: path.touch(), "cannot be decoded"),
        ("zero.wav", lambda path: _write(path, np.zeros(0)), "holds no samples"),
        ("short.wav", lambda path: _write(path, NOISE[:160]), r"lasts 0.0100 s, at least 0.02 s"),
        ("long.wav", lambda path: _write(path, np.tile(NOISE, 4)), "lasts 4 s, at most 3 s.*cut it"),
        ("silent.wav", lambda path: _write(path, np.zeros(8000)), "digital silence"),
        ("cut.wav", lambda path: _cut(path, NOISE, 9000), "promises 32000 bytes of samples, 8956 are there"),
        ("cut.flac", lambda path: _cut(path, NOISE, 9000), "cannot be decoded"),
        (
            "nan.wav",
            lambda path: _write(path, np.where(np.arange(RATE_HZ) == 8000, np.nan, NOISE), subtype="FLOAT"),
            "1 samples are NaN or infinite, the first at 0.500 s",
        ),
        (
            "infinite.wav",
            lambda path: _write(path, np.where(np.arange(RATE_HZ) < 2, -np.inf, NOISE), subtype="FLOAT"),
            "2 samples are NaN or infinite, the first at 0.000 s",
        ),
    ],
)
def test_what_is_no_usable_audio_is_refused_by_name(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(AudioError, match=message) as caught:
        read_audio(tmp_path / name, max_duration_s=3)
    assert str(tmp_path / name) in str(caught.value)


def test_a_stream_whose_header_never_learned_its_length_is_read(tmp_path):
    path = tmp_path / "piped.wav"
    _write(path, NOISE)
    content = bytearray(path.read_bytes())
    data = content.index(b"data")
    content[data + 4 : data + 8] = (0xFFFFFFFF).to_bytes(4, "little")
    path.write_bytes(content)
    assert read_audio(path).duration_s == pytest.approx(1.0)


CONTAINERS = [
    ("a.wav", "WAV", "PCM_16"),
    ("a.wav", "WAV", "IMA_ADPCM"),
    ("a.wav", "WAVEX", "PCM_24"),
    ("a.wav", "RF64", "PCM_16"),
    ("a.flac", "FLAC", "PCM_16"),
    ("a.ogg", "OGG", "VORBIS"),
    ("a.opus", "OGG", "OPUS"),
    ("a.mp3", "MP3", "MPEG_LAYER_III"),
    ("a.aif", "AIFF", "PCM_16"),
    ("a.aiff", "AIFF", "FLOAT"),
    ("a.aiff", "AIFF", "IMA_ADPCM"),
    ("a.au", "AU", "PCM_16"),
    ("a.w64", "W64", "PCM_16"),
    ("a.caf", "CAF", "PCM_16"),
]


@pytest.mark.filterwarnings("ignore:Xing")
@pytest.mark.parametrize(("name", "container", "subtype"), CONTAINERS)
@pytest.mark.parametrize("samples", [16_001, 48_003])
def test_of_every_format_what_is_whole_is_read_and_what_is_cut_off_is_refused(
    tmp_path, name, container, subtype, samples
):
    if container not in soundfile.available_formats():
        pytest.skip(f"this libsndfile has no {container}")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (samples, 2))
    whole, cut = tmp_path / name, tmp_path / f"cut {name}"
    soundfile.write(whole, noise, RATE_HZ, format=container, subtype=subtype)
    # Codecs of blocks round the length up.
    assert read_audio(whole).duration_s == pytest.approx(samples / RATE_HZ, abs=0.13)
    content = whole.read_bytes()
    for share in (0.2, 0.5, 0.8, 0.97, 0.995):
        cut.write_bytes(content[: int(share * len(content))])
        with pytest.raises(AudioError, match=r"cut off|cannot be decoded|damaged|holds no samples"):
            read_audio(cut)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_tags_behind_ogg_and_a_last_page_without_its_mark_are_no_damage(tmp_path, subtype):
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.tile(NOISE, 4), RATE_HZ, format="OGG", subtype=subtype)
    content = path.read_bytes()
    for tags in (bytes(128), bytes(100_000)):
        path.write_bytes(content + tags)
        assert read_audio(path).duration_s == 4.0
    # As a program leaves it that was stopped, or that marks no page as the last.
    path.write_bytes(content[: content.rfind(b"OggS")])
    assert 2.0 < read_audio(path).duration_s < 4.0


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(AudioError, match="cannot be read: File name too long"):
        read_audio(tmp_path / f"{'x' * 300}.wav")


def test_recordings_that_arrive_damaged_are_refused(real_data):
    broken = sorted((real_data / "broken").glob("*.flac"))
    assert len(broken) == 6
    for path in broken:
        with pytest.raises(AudioError, match="cannot be decoded"):
            read_audio(path)
