"""Sound files of every format and rate, and the ways in which one can be no sound file or a damaged one."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anchorstream.runtime import SourceError, sound_file


@pytest.fixture(scope="session")
def damaged_files():
    """The damaged recordings of the shared data, where it is there."""
    default = Path(__file__).parents[2] / ".." / "shared" / "data"
    folder = Path(os.environ.get("ANCHORSTREAM_DATA", default)) / "broken"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return sorted(folder.glob("*.flac"))


def noise(count, channels=1):
    """Samples that 16 bits hold exactly."""
    samples = np.random.default_rng(0).integers(-20_000, 20_000, (count, channels)) / 32768
    return samples[:, 0] if channels == 1 else samples


def read(path):
    with sound_file(path) as source:
        return source.sample_rate_hz, list(source.blocks)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_rates_and_channels(tmp_path, suffix, rate_hz, channels):
    samples = noise(rate_hz // 2 + 7, channels)
    soundfile.write(tmp_path / f"a.{suffix}", samples, rate_hz)
    rate, blocks = read(tmp_path / f"a.{suffix}")
    assert rate == rate_hz
    np.testing.assert_array_equal(np.concatenate(blocks), samples.astype(np.float32))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW"])
def test_sample_formats(tmp_path, subtype):
    samples = noise(1000)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype=subtype)
    # The steps of 8-bit u-law are up to 1/32 wide.
    np.testing.assert_allclose(np.concatenate(read(tmp_path / "a.wav")[1]), samples, atol=0.02)


def test_one_sample_is_a_recording(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1), 16_000)
    assert [len(block) for block in read(tmp_path / "a.wav")[1]] == [1]


def test_zero_length(tmp_path):
    soundfile.write(tmp_path / "zero.wav", np.zeros(0), 16_000)
    with pytest.raises(SourceError, match=r"zero\.wav: holds no sample"):
        read(tmp_path / "zero.wav")


@pytest.mark.parametrize("rate_hz", [1_000, 1_000_000])
def test_the_slowest_and_the_fastest_rate(tmp_path, rate_hz):
    soundfile.write(tmp_path / "a.wav", noise(10), rate_hz)
    assert read(tmp_path / "a.wav")[0] == rate_hz


@pytest.mark.parametrize("rate_hz", [1, 999, 1_000_001, 2**31 - 1])
def test_a_rate_that_is_none_of_sound_is_damage(tmp_path, rate_hz):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(10), 16_000)
    content = bytearray(path.read_bytes())
    content[24:28] = rate_hz.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"a\.wav: damaged: its header says {rate_hz:,} Hz"):
        read(path)


@pytest.mark.skipif(os.name != "posix", reason="names are text on this system")
def test_a_name_that_is_no_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"\xfe\xe4.wav")
    try:
        soundfile.write(tmp_path / "a.wav", noise(10), 16_000)
        (tmp_path / "a.wav").rename(path)
    except OSError:
        pytest.skip("this file system takes no such names")
    assert [len(block) for block in read(path)[1]] == [10]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(SourceError, match=r"pipe\.wav: is no regular file; `listen --stdin`"):
        read(tmp_path / "pipe.wav")


@pytest.mark.parametrize("name", ["samples.raw", "samples.RAW", "samples", "samples.bin"])
def test_bare_samples_are_no_sound_file(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(1000))
    with pytest.raises(SourceError, match="no audio file") as caught:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_flac_that_was_cut_off_gives_what_comes_before(tmp_path, share):
    samples = noise(32_000)
    soundfile.write(tmp_path / "whole.flac", samples, 16_000)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: int(share * len(data))])
    blocks = []
    with sound_file(tmp_path / "cut.flac") as source, pytest.raises(SourceError, match=r"cut\.flac: damaged"):
        blocks.extend(source.blocks)
    got = np.concatenate(blocks)
    assert 0.5 * share * 32_000 < len(got) < share * 32_000 + 4096, "but for a block of the format"
    np.testing.assert_array_equal(got, samples[: len(got)].astype(np.float32))


def test_real_damaged_files_are_named(damaged_files):
    assert damaged_files
    for path in damaged_files:
        with pytest.raises(SourceError) as caught:
            read(path)
        assert str(path) in str(caught.value)
