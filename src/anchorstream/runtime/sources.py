"""Where blocks of samples come from: a sound file, a pipe, a microphone."""

from __future__ import annotations

import collections
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import soundfile

Block = NDArray[np.int16] | NDArray[np.float32]

_BLOCK_S = 0.1
# A reader that falls this far behind a microphone loses sound rather than memory.
_MOST_WAITING_BLOCKS = 100


class SourceError(ValueError):
    """A source that cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """Blocks of samples, (N,) or (N, channels), and the rate at which they were taken."""

    sample_rate_hz: int
    blocks: Iterator[Block]


@contextmanager
def sound_file(path: str | Path, *, block_s: float = _BLOCK_S) -> Iterator[Source]:
    """Reads a sound file of any rate, channels and format that libsndfile knows, block by block.

    Raises:
        SourceError: at once if it is missing or no audio; while reading, if it is damaged or ends before its header
            says.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise SourceError(f"{path}: {'is a folder' if path.is_dir() else 'there is no such file'}")
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise SourceError(f"{path}: no audio file that can be read: {error}") from error
    with file:
        if file.frames == 0:
            raise SourceError(f"{path}: holds no sample")
        yield Source(int(file.samplerate), _file_blocks(file, path, max(1, round(block_s * file.samplerate))))


def _file_blocks(sound: soundfile.SoundFile, path: Path, frames: int) -> Iterator[Block]:
    import soundfile

    read = 0
    while True:
        try:
            block = sound.read(frames, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise SourceError(f"{path}: damaged after {read / sound.samplerate:.2f} s: {error}") from error
        if len(block) == 0:
            break
        read += len(block)
        yield block
    if read < sound.frames:
        raise SourceError(
            f"{path}: damaged or cut off: its header promises {sound.frames / sound.samplerate:.2f} s, "
            f"{read / sound.samplerate:.2f} s can be read"
        )


def raw_pcm(
    stream: BinaryIO, *, sample_rate_hz: int = 16_000, channels: int = 1, block_s: float = _BLOCK_S
) -> Source:
    """Reads raw signed 16-bit little-endian samples, such as ``arecord -f S16_LE -r 16000 -t raw`` writes.

    A block is handed on as soon as something has arrived; bytes of an incomplete sample at the end are dropped.

    Args:
        stream: standard input, a pipe, a file opened in binary mode.
        sample_rate_hz: of the samples.
        channels: interleaved.
        block_s: the longest block.
    """
    if sample_rate_hz <= 0 or channels <= 0:
        raise SourceError(
            f"rate and channels must be positive, got {sample_rate_hz} Hz and {channels} channels"
        )
    frame_bytes = 2 * channels

    def blocks() -> Iterator[Block]:
        # read1 returns what is there; read would wait for a whole block.
        read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        rest = b""
        while data := read(max(1, round(block_s * sample_rate_hz)) * frame_bytes):
            data = rest + data
            whole = len(data) // frame_bytes * frame_bytes
            rest = data[whole:]
            samples = np.frombuffer(data[:whole], dtype="<i2").astype(np.int16)
            yield samples.reshape(-1, channels) if channels > 1 else samples

    return Source(sample_rate_hz, blocks())


def input_devices() -> list[tuple[int, str]]:
    """The microphones that there are: index and name.

    Raises:
        SourceError: if sounddevice or PortAudio is missing.
    """
    devices = _sounddevice().query_devices()
    return [
        (index, device["name"]) for index, device in enumerate(devices) if device["max_input_channels"] > 0
    ]


@contextmanager
def microphone(
    *, sample_rate_hz: int = 16_000, device: int | str | None = None, block_s: float = _BLOCK_S
) -> Iterator[Source]:
    """Records one channel from a microphone until the context ends.

    Args:
        sample_rate_hz: asked of the device.
        device: index or part of the name, as :func:`input_devices` lists them; ``None`` is the default one.
        block_s: length of a block.

    Raises:
        SourceError: if sounddevice or PortAudio is missing, there is no such device, or it fails while recording.
    """
    sounddevice = _sounddevice()
    waiting: queue.Queue[Block] = queue.Queue(_MOST_WAITING_BLOCKS)
    lost: collections.deque[int] = collections.deque()

    def arrived(samples: NDArray[np.int16], frames: int, time: object, status: object) -> None:
        del frames, time, status
        try:
            waiting.put_nowait(samples[:, 0].copy())
        except queue.Full:
            # Nobody took it in time. Silence of the same length keeps the time stamps, which count samples, true.
            lost.append(len(samples))

    def blocks() -> Iterator[Block]:
        while True:
            while lost and waiting.empty():
                yield np.zeros(lost.popleft(), dtype=np.int16)
            try:
                yield waiting.get(timeout=max(2.0, 10 * block_s))
            except queue.Empty:
                raise SourceError("the microphone has stopped; was it unplugged?") from None

    try:
        stream = sounddevice.InputStream(
            samplerate=sample_rate_hz,
            device=device,
            channels=1,
            dtype="int16",
            blocksize=round(block_s * sample_rate_hz),
            callback=arrived,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise SourceError(
            f"no microphone can be opened: {error}; `anchorstream listen --list-devices` lists them, "
            "`--stdin` takes samples from another program"
        ) from error
    with stream:
        yield Source(sample_rate_hz, blocks())


def _sounddevice() -> Any:  # noqa: ANN401 - it has no types
    try:
        import sounddevice
    except ImportError as error:
        raise SourceError(
            'the microphone needs sounddevice; install with: pip install "anchorstream[runtime]"'
        ) from error
    except OSError as error:
        raise SourceError(
            f"{error}; install PortAudio (Debian: apt install libportaudio2), or use `--stdin`"
        ) from error
    return sounddevice
