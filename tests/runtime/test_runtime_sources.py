"""Sources: blocks of samples from a file, a pipe, a microphone, and a clear word where there are none."""

import io
import os
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.runtime import SourceError, input_devices, microphone, raw_pcm, sound_file
from anchorstream.runtime import microphones as microphone_module


def noise(count, channels=1, seed=0):
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, (count, channels), dtype=np.int16)
    return samples[:, 0] if channels == 1 else samples


# Files


@pytest.mark.parametrize("block_s", [0.0001, 0.1, 0.33, 60])
@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (44_100, 2)])
def test_the_blocks_of_a_file_are_the_file(tmp_path, rate_hz, channels, block_s):
    expected = noise(2000, channels)
    soundfile.write(tmp_path / "a.flac", expected, rate_hz)
    with sound_file(tmp_path / "a.flac", block_s=block_s) as source:
        blocks = list(source.blocks)
    assert source.sample_rate_hz == rate_hz
    assert max(map(len, blocks)) <= max(1, round(block_s * rate_hz))
    # float32 holds 16 bits exactly.
    np.testing.assert_array_equal(np.concatenate(blocks) * 2**15, expected)


@pytest.mark.parametrize("block_s", [0.1, 10])
def test_what_comes_before_the_end_of_a_cut_off_wav_file_is_handed_on(tmp_path, block_s):
    path, expected = tmp_path / "a.wav", noise(16_000)
    soundfile.write(path, expected, 16_000)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 4000])
    blocks = []
    with sound_file(path, block_s=block_s) as source, pytest.raises(SourceError) as caught:
        blocks.extend(source.blocks)
    np.testing.assert_array_equal(np.concatenate(blocks) * 2**15, expected[:4000])
    # libsndfile counts the samples that are there in its own way, so that the figure before is a little rounded.
    assert "cut off" in str(caught.value)
    assert "0.25 s can be read" in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["AIFF", "AU", "W64", "RF64", "WAV"])
def test_other_files_that_were_cut_off_are_told_as_well(tmp_path, kind):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(16_000), 16_000, format=kind)
    with sound_file(path) as source:
        assert sum(map(len, source.blocks)) == 16_000
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 55 // 100])
    with (
        pytest.raises(SourceError, match=r"header promises 1\.00 s, 0\.5\d s can"),
        sound_file(path) as source,
    ):
        list(source.blocks)


def test_a_wav_file_that_was_written_to_a_pipe_is_whole(tmp_path):
    path, expected = tmp_path / "a.wav", noise(4000)
    soundfile.write(path, expected, 16_000)
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with sound_file(path) as source:
        assert sum(map(len, source.blocks)) == 4000


def test_a_flac_file_that_was_written_to_a_pipe_is_explained(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(4000), 16_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the number of samples is the 36 bits before the checksum
    data[22:26] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"leaves its length open.*ffmpeg"), sound_file(path):
        pass


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"", "no audio file"),
        (b"RIFF", "no audio file"),
        (b"fLaC" + bytes(100), "no audio file"),
    ],
)
def test_what_is_no_sound_file_is_named_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=reason) as caught, sound_file(path):
        pass
    assert str(path) in str(caught.value)


def test_a_folder_is_no_sound_file(tmp_path):
    with pytest.raises(SourceError, match="is a folder"), sound_file(tmp_path):
        pass


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_file_with_any_bytes_changed_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "changed"
    suffix = data.draw(st.sampled_from(["wav", "flac"]))
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(2000), 16_000, format=suffix)
    content = bytearray(buffer.getvalue())
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=5)
    ):
        content[place] = value
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        with sound_file(path) as source:
            # A header may promise more than any memory holds; what is handed on stays within the blocks.
            for _, block in zip(range(100), source.blocks, strict=False):
                assert len(block) <= max(1, round(0.1 * source.sample_rate_hz))
    except SourceError as error:
        assert str(path) in str(error)  # noqa: PT017


# Raw samples


class Pipe(io.RawIOBase):
    """Gives what it has in pieces, as a pipe does."""

    def __init__(self, data, pieces):
        self._data, self._pieces = data, list(pieces)

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(len(buffer), self._pieces.pop(0) if self._pieces else len(buffer))
        piece, self._data = self._data[:size], self._data[size:]
        buffer[: len(piece)] = piece
        return len(piece)


@settings(max_examples=50, deadline=None)
@given(
    pieces=st.lists(st.integers(1, 700), max_size=20),
    count=st.integers(0, 2000),
    channels=st.integers(1, 3),
    rest=st.integers(0, 5),
)
def test_raw_samples_survive_any_cut_of_the_bytes(pieces, count, channels, rest):
    expected = noise(count, channels)
    incomplete = b"\x7f" * min(rest, 2 * channels - 1)
    stream = io.BufferedReader(Pipe(expected.astype("<i2").tobytes() + incomplete, pieces), buffer_size=64)
    source = raw_pcm(stream, sample_rate_hz=8000, channels=channels, block_s=0.05)
    blocks = list(source.blocks)
    assert all(block.dtype == np.int16 and block.ndim == expected.ndim for block in blocks)
    assert all(len(block) <= 401 for block in blocks)
    np.testing.assert_array_equal(np.concatenate([expected[:0], *blocks]), expected)


def test_a_block_comes_as_soon_as_there_is_something():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream, os.fdopen(writer, "wb", buffering=0) as pipe:
        blocks = raw_pcm(stream, block_s=10).blocks
        pipe.write(b"\1\0" * 5)
        # The pipe is still open: reading a whole block would wait for ever.
        assert next(blocks).tolist() == [1] * 5


@pytest.mark.parametrize("rate_hz", [-1, 0, 1, 999, 1_000_001])
def test_a_rate_must_be_one_of_sound(rate_hz):
    with pytest.raises(SourceError, match=f"from 1,000 to 1,000,000 Hz, got {rate_hz} Hz"):
        raw_pcm(io.BytesIO(), sample_rate_hz=rate_hz)


@pytest.mark.parametrize("channels", [0, -1, 65])
def test_raw_samples_have_so_many_channels(channels):
    with pytest.raises(SourceError, match=f"expected 1 to 64 channels, got {channels}"):
        raw_pcm(io.BytesIO(), channels=channels)


def test_a_file_of_more_channels_than_a_detector_takes_is_named(tmp_path):
    path = tmp_path / "array.wav"
    soundfile.write(path, noise(100, 64), 16_000)
    with sound_file(path) as source:
        assert next(source.blocks).shape == (100, 64)
    soundfile.write(path, noise(100, 65), 16_000)
    with pytest.raises(SourceError, match=r"array\.wav: has 65 channels.* at most 64"), sound_file(path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of POSIX")
def test_a_pipe_that_does_not_wait_is_waited_for():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb") as pipe:
        source = raw_pcm(pipe)
        writer = threading.Timer(0.2, lambda: (os.write(writing, bytes(3200)), os.close(writing)))
        writer.start()
        assert sum(map(len, source.blocks)) == 1600
        writer.join()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "AIFF", "AU"])
def test_a_sound_file_is_not_taken_for_raw_samples(kind):
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(2000), 16_000, format=kind)
    buffer.seek(0)
    with pytest.raises(SourceError, match=r"is a \w+ file and not raw samples: `detect` takes files"):
        list(raw_pcm(buffer).blocks)


# Microphones: PortAudio replaced by a device that a test can drive


class Device:
    def __init__(self, rates_hz=(16_000, 48_000), fails_to_start=False):
        self.rates_hz, self.fails_to_start = rates_hz, fails_to_start
        self.listed = [("speakers", 0), ("headset", 0)]
        self.running = self.closed = False

    def open(self, samplerate, device, channels, dtype, blocksize, callback):
        if samplerate not in self.rates_hz:
            raise PortAudioError("Invalid sample rate")
        assert (channels, dtype) == (1, "int16")
        self.blocksize, self.callback, self.asked_for = blocksize, callback, device
        return self

    def start(self):
        if self.fails_to_start:
            raise PortAudioError("Device unavailable")
        self.running = True

    def close(self):
        self.running, self.closed = False, True

    def give(self, value, count=None, overflow=False):
        count = self.blocksize if count is None else count
        samples = np.full((count, 1), value, dtype=np.int16)
        self.callback(samples, count, None, SimpleNamespace(input_overflow=overflow))
        samples[:] = -1  # PortAudio uses its buffer again


class PortAudioError(Exception):
    pass


@pytest.fixture
def sounddevice(monkeypatch):
    def use(device):
        def query_devices(which=None, kind=None):
            listed = [
                {
                    "name": name,
                    "index": index,
                    "hostapi": hostapi,
                    "max_input_channels": int(name != "speakers"),
                    "default_samplerate": 48_000.0,
                }
                for index, (name, hostapi) in enumerate(device.listed)
            ]
            if kind is None:
                return listed
            # By its number, or by a part of its name.
            inputs = [own for own in listed if own["max_input_channels"]]
            return next(own for own in inputs if which in (None, own["index"]) or str(which) in own["name"])

        module = SimpleNamespace(
            InputStream=device.open, PortAudioError=PortAudioError, query_devices=query_devices
        )
        monkeypatch.setitem(sys.modules, "sounddevice", module)
        return device

    return use


@contextmanager
def within(seconds):
    """A test of threads must fail, not hang."""
    timer = threading.Timer(seconds, os._exit, [1])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_the_blocks_of_a_microphone_come_in_order(sounddevice):
    device = sounddevice(Device())
    with within(30), microphone(device=1) as source:
        assert (device.running, device.asked_for, device.blocksize) == (True, 1, 1600)
        for value in (1, 2, 3):
            device.give(value)
        assert [block.tolist() for block in (next(source.blocks) for _ in range(3))] == [
            [value] * 1600 for value in (1, 2, 3)
        ]
    assert device.closed
    assert source.overflows == 0


def test_sound_that_nobody_took_becomes_silence_in_its_place(sounddevice):
    device = sounddevice(Device())
    with microphone() as source:
        for value in range(1, 151):  # 15 s, of which 10 s wait
            device.give(value)
        taken = [next(source.blocks) for _ in range(100)]
        device.give(200)
        while taken[-1][0] != 200:
            taken.append(next(source.blocks))
    heard = np.concatenate(taken)
    # 15.1 s: nothing is missing in the count, and what was lost stands where it was.
    assert len(heard) == 151 * 1600
    np.testing.assert_array_equal(heard[: 100 * 1600], np.repeat(np.arange(1, 101), 1600))
    assert not heard[100 * 1600 : 150 * 1600].any()
    assert max(map(len, taken)) <= 16_000
    assert source.overflows == 1


def test_overflows_of_the_sound_system_are_counted(sounddevice):
    device = sounddevice(Device())
    with microphone() as source:
        device.give(1)
        device.give(2, overflow=True)
    assert source.overflows == 1


def test_a_device_with_another_rate_gives_its_own(sounddevice):
    device = sounddevice(Device(rates_hz=(48_000,)))
    with microphone(sample_rate_hz=16_000) as source:
        assert source.sample_rate_hz == 48_000
        assert device.blocksize == 4800


def test_a_device_that_stops_is_said(sounddevice, monkeypatch):
    sounddevice(Device())
    monkeypatch.setattr("queue.Queue.get", lambda self, timeout: _empty())
    with microphone(reconnect=False) as source, pytest.raises(SourceError, match="unplugged"):
        next(source.blocks)


def _empty():
    import queue

    raise queue.Empty


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(microphone_module, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(microphone_module, "_RETRY_S", 0.02)


def test_a_microphone_that_was_unplugged_is_waited_for(sounddevice, soon, caplog):
    device = sounddevice(Device())
    with within(60), microphone(device=1, block_s=0.001) as source:
        device.give(1)
        assert (next(source.blocks) == 1).all()
        begun_s = time.monotonic()
        device.rates_hz = ()  # unplugged: nothing comes, and it cannot be opened
        silence = [next(source.blocks) for _ in range(4)]
        assert device.closed
        device.listed.insert(0, ("headset of the camera", 0))
        device.rates_hz, device.closed = (16_000,), False
        while not device.running:
            silence.append(next(source.blocks))
        gone_s = time.monotonic() - begun_s
        device.give(2)
        taken = next(source.blocks)
        while not taken.any():
            silence.append(taken)
            taken = next(source.blocks)
        assert (taken == 2).all()
    assert source.outages == 1
    assert not any(block.any() for block in silence)
    # As much silence as it was gone, so that times stay true.
    assert sum(map(len, silence)) / 16_000 == pytest.approx(gone_s, abs=0.1)
    # By its name, since numbers are dealt anew.
    assert device.asked_for == 2
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "the microphone has stopped",
        "the microphone is back",
    ]
    assert device.closed


@pytest.mark.parametrize(
    ("asked_for", "before", "after", "expected"),
    [
        # One whose name begins alike is another; then it is back.
        (0, [("USB mic", 0), ("USB mic 2", 0)], [("USB mic 2", 0)], None),
        ("USB mic", [("USB mic", 0), ("USB mic 2", 0)], [("USB mic 2", 0)], None),
        (0, [("USB mic", 0), ("USB mic 2", 0)], [("USB mic 2", 0), ("USB mic", 0)], 1),
        # Each host API of Windows has one of that name.
        (1, [("USB mic", 0), ("USB mic", 1)], [("Built in", 0), ("USB mic", 0), ("USB mic", 1)], 2),
        # Of two that are alike its number says which.
        (1, [("USB mic", 0), ("USB mic", 0)], [("USB mic", 0), ("USB mic", 0)], 1),
        # What was asked for by a part of its name.
        ("mic", [("USB mic", 0), ("Built in", 0)], [("Built in", 0), ("USB mic", 0)], 1),
    ],
)
def test_the_microphone_that_was_opened_is_opened_again_and_no_other(
    sounddevice, soon, asked_for, before, after, expected
):
    device = sounddevice(Device())
    device.listed = before
    with within(60), microphone(device=asked_for, block_s=0.001) as source:
        device.listed, device.running, device.asked_for = after, False, "nobody"
        taken = [next(source.blocks) for _ in range(3)]
        while expected is not None and not device.running:
            taken.append(next(source.blocks))
        assert device.running == (expected is not None)
        assert device.asked_for == ("nobody" if expected is None else expected)
    assert not any(block.any() for block in taken)


def test_portaudio_is_made_to_look_for_devices_again(sounddevice, soon, monkeypatch):
    device, calls = sounddevice(Device()), []
    module = sys.modules["sounddevice"]
    module._terminate = lambda: calls.append("terminate")
    module._initialize = lambda: calls.append("initialize")
    with within(60), microphone(block_s=0.001) as source:
        next(source.blocks)
        assert calls == ["terminate", "initialize"]
        assert device.running


@pytest.mark.parametrize("device", [Device(rates_hz=()), Device(fails_to_start=True)])
def test_a_device_that_does_not_open_is_explained(sounddevice, device):
    sounddevice(device)
    with pytest.raises(SourceError, match=r"no microphone can be opened.*--list-devices"), microphone():
        pass
    assert device.closed == device.fails_to_start


def test_inputs_are_listed_by_their_number(sounddevice):
    sounddevice(Device())
    assert input_devices() == [(1, "headset")]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SourceError, match=r'pip install "anchorstream\[runtime\]"'):
        input_devices()


def test_a_missing_package_for_files_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ImportError, match=r'pip install "anchorstream\[runtime\]"'), sound_file("a.wav"):
        pass


def test_a_missing_library_is_named(monkeypatch):
    class NoLibrary:
        def find_spec(self, name, path=None, target=None):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    with pytest.raises(SourceError, match="apt install libportaudio2"):
        input_devices()
