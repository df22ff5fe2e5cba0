"""Sources: every format and rate, every way in which one can end or break, and no sample out of place."""

import io
import os
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from anchorstream.runtime import SourceError, input_devices, microphone, raw_pcm, sound_file
from anchorstream.runtime import sources as sources_module


@pytest.fixture(scope="session")
def broken_files():
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


def read(path, **options):
    with sound_file(path, **options) as source:
        return source.sample_rate_hz, list(source.blocks)


class TestSoundFile:
    @pytest.mark.parametrize("suffix", ["wav", "flac"])
    @pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
    @pytest.mark.parametrize("channels", [1, 2, 6])
    def test_rates_and_channels(self, tmp_path, suffix, rate_hz, channels):
        samples = noise(rate_hz // 2 + 7, channels)
        soundfile.write(tmp_path / f"a.{suffix}", samples, rate_hz)
        rate, blocks = read(tmp_path / f"a.{suffix}")
        assert rate == rate_hz
        assert {len(block) for block in blocks[:-1]} == {rate_hz // 10}
        np.testing.assert_array_equal(np.concatenate(blocks), samples.astype(np.float32))

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW"])
    def test_sample_formats(self, tmp_path, subtype):
        samples = noise(1000)
        soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype=subtype)
        _, blocks = read(tmp_path / "a.wav")
        np.testing.assert_allclose(np.concatenate(blocks), samples, atol=0.04)

    @pytest.mark.parametrize("block_s", [1e-9, 0.01, 100.0])
    def test_the_length_of_a_block_is_the_caller_s(self, tmp_path, block_s):
        soundfile.write(tmp_path / "a.wav", noise(1000), 16_000)
        _, blocks = read(tmp_path / "a.wav", block_s=block_s)
        assert sum(map(len, blocks)) == 1000
        assert len(blocks[0]) == min(1000, max(1, round(block_s * 16_000)))

    def test_one_sample_is_a_recording(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", noise(1), 16_000)
        assert [len(block) for block in read(tmp_path / "a.wav")[1]] == [1]

    def test_a_flac_that_ends_before_its_header_says(self, tmp_path):
        soundfile.write(tmp_path / "whole.flac", noise(32_000), 16_000)
        data = (tmp_path / "whole.flac").read_bytes()
        path = tmp_path / "cut.flac"
        path.write_bytes(data[: len(data) // 2])
        got = 0
        with sound_file(path) as source, pytest.raises(SourceError, match=r"cut\.flac: damaged"):
            for block in source.blocks:
                got += len(block)
        assert 0 < got < 32_000, "what comes before the damage is handed on"

    def test_a_flac_that_does_not_say_how_long_it_is(self, tmp_path):
        path = tmp_path / "pipe.flac"
        soundfile.write(path, noise(16_000), 16_000)
        data = bytearray(path.read_bytes())
        # STREAMINFO begins at byte 8; the number of samples is the last 36 bits before its checksum.
        data[21] &= 0xF0
        data[22:26] = bytes(4)
        path.write_bytes(data)
        with pytest.raises(SourceError, match=r"pipe\.flac: its header leaves its length open.*ffmpeg"):
            read(path)

    def test_a_wav_that_was_written_into_a_pipe(self, tmp_path):
        path = tmp_path / "pipe.wav"
        soundfile.write(path, noise(16_000), 16_000)
        data = bytearray(path.read_bytes())
        at = data.index(b"data")
        data[at + 4 : at + 8] = data[4:8] = b"\xff" * 4
        path.write_bytes(data)
        assert sum(map(len, read(path)[1])) == 16_000

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("empty.wav", b"", "no audio file"),
            ("text.wav", b"no audio at all", "no audio file"),
            ("text.raw", b"no audio at all", "no audio file"),
            ("text", b"no audio at all", "no audio file"),
        ],
    )
    def test_what_is_no_audio(self, tmp_path, name, content, reason):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=reason) as caught:
            read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)

    def test_zero_length(self, tmp_path):
        soundfile.write(tmp_path / "zero.wav", np.zeros(0), 16_000)
        with pytest.raises(SourceError, match=r"zero\.wav: holds no sample"):
            read(tmp_path / "zero.wav")

    def test_a_folder_and_nothing(self, tmp_path):
        with pytest.raises(SourceError, match="is a folder"):
            read(tmp_path)
        with pytest.raises(SourceError, match="no such file"):
            read(tmp_path / "gone.wav")

    def test_real_damaged_files(self, broken_files):
        assert broken_files
        for path in broken_files:
            with pytest.raises(SourceError) as caught:
                read(path)
            assert str(path) in str(caught.value)


class Trickle:
    """A pipe that gives a few bytes at a time, never what is asked."""

    def __init__(self, data, size):
        self.data, self.size = data, size

    def read1(self, most):
        data, self.data = self.data[: min(self.size, most)], self.data[min(self.size, most) :]
        return data


class TestRawPcm:
    SAMPLES = np.arange(-5000, 5000, dtype="<i2")

    @pytest.mark.parametrize("channels", [1, 2, 5])
    @pytest.mark.parametrize("size", [1, 3, 7, 4096, 10**6])
    def test_whatever_the_pipe_gives(self, channels, size):
        source = raw_pcm(Trickle(self.SAMPLES.tobytes(), size), sample_rate_hz=16_000, channels=channels)
        blocks = list(source.blocks)
        shape = (-1, channels) if channels > 1 else (-1,)
        np.testing.assert_array_equal(np.concatenate(blocks), self.SAMPLES.reshape(shape))
        assert all(len(block) <= 1601 for block in blocks)

    @pytest.mark.parametrize(("channels", "extra"), [(1, 1), (2, 1), (2, 2), (2, 3)])
    def test_bytes_of_an_incomplete_sample_are_dropped(self, channels, extra):
        stream = io.BytesIO(self.SAMPLES.tobytes() + b"\x01" * extra)
        blocks = list(raw_pcm(stream, channels=channels).blocks)
        np.testing.assert_array_equal(np.concatenate(blocks).ravel(), self.SAMPLES)

    def test_nothing_at_all(self):
        assert list(raw_pcm(io.BytesIO()).blocks) == []

    def test_a_file_without_read1(self, tmp_path):
        path = tmp_path / "samples.raw"
        path.write_bytes(self.SAMPLES.tobytes())
        with path.open("rb", buffering=0) as stream:
            np.testing.assert_array_equal(np.concatenate(list(raw_pcm(stream).blocks)), self.SAMPLES)

    def test_a_block_does_not_wait_for_a_full_one(self):
        here, there = os.pipe()
        with os.fdopen(here, "rb") as stream, os.fdopen(there, "wb", buffering=0) as pipe:
            pipe.write(self.SAMPLES[:10].tobytes())
            blocks = raw_pcm(stream, sample_rate_hz=16_000).blocks
            np.testing.assert_array_equal(next(blocks), self.SAMPLES[:10])

    @pytest.mark.parametrize("options", [{"sample_rate_hz": 0}, {"channels": 0}, {"channels": -1}])
    def test_impossible_options(self, options):
        with pytest.raises(SourceError, match="must be positive"):
            raw_pcm(io.BytesIO(), **options)


class PortAudioError(Exception):
    pass


class FakeStream:
    """An input stream whose callback the test calls."""

    opened = None
    fails_on_open = fails_on_start = False

    def __init__(self, *, samplerate, device, channels, dtype, blocksize, callback):
        if self.fails_on_open:
            raise PortAudioError("Invalid sample rate")
        self.rate_hz, self.device, self.blocksize = samplerate, device, blocksize
        self.callback, self.is_closed = callback, False
        assert (channels, dtype) == (1, "int16")
        type(self).opened = self

    def start(self):
        if self.fails_on_start:
            raise PortAudioError("Device unavailable")

    def close(self):
        self.is_closed = True

    def record(self, samples):
        # PortAudio uses its buffer again as soon as the callback returns.
        buffer = np.array(samples, dtype=np.int16)[:, None]
        self.callback(buffer, len(buffer), None, None)
        buffer[:] = -1


@pytest.fixture
def device(monkeypatch):
    """A ``sounddevice`` with one microphone; the value is its class of streams."""
    stream = type("Stream", (FakeStream,), {})
    devices = [
        {"name": "speaker", "max_input_channels": 0},
        {"name": "USB microphone", "max_input_channels": 2},
    ]
    module = types.SimpleNamespace(
        InputStream=stream, PortAudioError=PortAudioError, query_devices=lambda: devices
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return stream


class TestMicrophone:
    def test_blocks_arrive_in_order_from_another_thread(self, device):
        with microphone(sample_rate_hz=8_000, device=3, block_s=0.05) as source:
            opened = device.opened
            assert (opened.rate_hz, opened.device, opened.blocksize) == (8_000, 3, 400)
            assert source.sample_rate_hz == 8_000
            recorded = np.arange(2000).reshape(5, 400)
            thread = threading.Thread(target=lambda: [opened.record(block) for block in recorded])
            thread.start()
            blocks = [next(source.blocks) for _ in range(5)]
            thread.join()
            np.testing.assert_array_equal(np.stack(blocks), recorded)
            assert not opened.is_closed
        assert opened.is_closed

    def test_what_nobody_took_in_time_is_silence_of_the_same_length(self, device, monkeypatch):
        monkeypatch.setattr(sources_module, "_MOST_WAITING_BLOCKS", 2)
        with microphone(block_s=0.01) as source:
            for value in (1, 2, 3, 4, 5):  # 3, 4 and 5 find no room
                device.opened.record([value] * 160)
            got = [next(source.blocks)]
            device.opened.record([6] * 160)
            got += [next(source.blocks) for _ in range(3)]
        np.testing.assert_array_equal(
            np.concatenate(got), np.repeat([1, 2, 0, 0, 0, 6], 160), "silence where the loss was"
        )

    @pytest.mark.parametrize("moment", ["fails_on_open", "fails_on_start"])
    def test_a_device_that_cannot_be_opened(self, device, moment):
        setattr(device, moment, True)
        with pytest.raises(SourceError, match=r"no microphone can be opened: .*--list-devices"), microphone():
            pytest.fail("it was opened")
        if moment == "fails_on_start":
            assert device.opened.is_closed

    def test_a_device_that_is_unplugged(self, device, monkeypatch):
        timeouts = []

        def get(self, timeout):
            timeouts.append(timeout)
            raise sources_module.queue.Empty

        monkeypatch.setattr(sources_module.queue.Queue, "get", get)
        with microphone() as source, pytest.raises(SourceError, match="unplugged"):
            next(source.blocks)
        assert timeouts == [2.0]
        assert device.opened.is_closed

    def test_an_error_of_the_user_s_own_passes_and_closes_the_device(self, device):
        with pytest.raises(ZeroDivisionError), microphone():
            raise ZeroDivisionError
        assert device.opened.is_closed

    def test_the_devices_that_record_are_listed(self, device):
        assert input_devices() == [(1, "USB microphone")]

    def test_devices_that_cannot_be_listed(self, device, monkeypatch):
        def fail():
            raise PortAudioError("not initialised")

        monkeypatch.setattr(sys.modules["sounddevice"], "query_devices", fail)
        with pytest.raises(SourceError, match="not initialised"):
            input_devices()

    def test_sounddevice_is_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        with pytest.raises(SourceError, match=r"anchorstream\[runtime\]"), microphone():
            pytest.fail("it was opened")

    def test_portaudio_is_missing(self, monkeypatch, tmp_path):
        # What sounddevice does on import where there is no PortAudio.
        (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        for use in (input_devices, lambda: microphone().__enter__()):
            with pytest.raises(SourceError, match="PortAudio library not found.*libportaudio2.*--stdin"):
                use()
