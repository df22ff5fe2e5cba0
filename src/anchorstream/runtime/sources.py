"""Where blocks of samples come from: a sound file or a pipe; microphones have a file of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.intake import LOWEST_RATE_HZ, MOST_CHANNELS

if TYPE_CHECKING:
    import soundfile

Block = NDArray[np.int16] | NDArray[np.float32]

_BLOCK_S = 0.1
# Outside of these a header is damaged: at 1 Hz a file of 170 kB would be a day of sound to resample and search.
_HIGHEST_RATE_HZ = 1_000_000
_RATES = f"from {LOWEST_RATE_HZ:,} to {_HIGHEST_RATE_HZ:,} Hz"

# What libsndfile gives as the length of a file that states none.
_NO_LENGTH = 2**63 - 1
# Programs that write to a pipe cannot know the length beforehand and put about 2 or 4 GiB into the header.
_STREAMED_BYTES = 2**31 - 2**16
# What libsndfile says of a file that was cut off: of the samples (WAV, AIFF, AU), or of the whole (W64, RF64).
_CUT_OFF = re.compile(
    r"^ *(?:(?:data|SSND|Data Size)|(riff|Riff size)) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_SAMPLES = re.compile(r"^ *(?:data|Data size) : (\d+)", re.MULTILINE)
# How files begin that are taken for raw samples by mistake.
_NO_SAMPLES = {
    b"RIFF": "WAV",
    b"RF64": "WAV",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"FORM": "AIFF",
    b".snd": "AU",
}


class SourceError(ValueError):
    """A source that cannot be read; the message says why and what to do."""


@dataclass
class Source:
    """Blocks of samples, and what happens while they are taken.

    Attributes:
        sample_rate_hz: the rate at which the samples were taken.
        blocks: int16 or float32, (N,) or (N, channels).
        overflows: how often a microphone's sound was lost, because it was not taken in time.
        outages: how often a microphone was gone for a while.
    """

    sample_rate_hz: int
    blocks: Iterator[Block]
    overflows: int = 0
    outages: int = 0


@contextmanager
def sound_file(path: str | Path, *, block_s: float = _BLOCK_S) -> Iterator[Source]:
    """Reads a sound file of any rate, channels and format that libsndfile knows, block by block.

    Args:
        path: the file.
        block_s: length of a block; where a file is damaged, less than a block before the damage is lost.

    Raises:
        SourceError: at once if it is missing, no audio or of more than 64 channels; while reading, if it is damaged or
            ends before its header says. All blocks before the damage are handed on first.
    """
    soundfile = load_soundfile()
    path = Path(path)
    try:
        if not path.is_file():
            raise SourceError(f"{path}: {_why_no_file(path)}")
        # libsndfile would say "System error" of one that may not be read.
        path.open("rb").close()
        # As bytes, because soundfile does not encode a name that is no UTF-8; Windows has no such names.
        file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path)
    except soundfile.LibsndfileError as error:
        raise SourceError(f"{path}: no audio file that can be read: {error.error_string}") from error
    except TypeError as error:
        # soundfile takes a name that ends in .raw for samples without a header, and asks for their rate.
        raise SourceError(
            f"{path}: no audio file that says its rate; `listen --stdin` takes raw samples"
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    with file:
        if file.frames == 0:
            raise SourceError(f"{path}: holds no sample")
        if not LOWEST_RATE_HZ <= file.samplerate <= _HIGHEST_RATE_HZ:
            raise SourceError(f"{path}: damaged: its header says {file.samplerate:,} Hz, expected {_RATES}")
        if file.channels > MOST_CHANNELS:
            raise SourceError(
                f"{path}: has {file.channels} channels, expected at most {MOST_CHANNELS}; "
                "take some of them (ffmpeg -i IN -ac 2 OUT.wav)"
            )
        if file.frames == _NO_LENGTH:
            raise SourceError(f"{path}: its header leaves its length open; convert it (ffmpeg -i IN OUT.wav)")
        yield Source(int(file.samplerate), _file_blocks(file, path, max(1, round(block_s * file.samplerate))))


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    if path.exists():
        return "is no regular file; `listen --stdin` takes raw samples from a pipe"
    return "there is no such file"


def _file_blocks(sound: soundfile.SoundFile, path: Path, frames: int) -> Iterator[Block]:
    libsndfile_error = load_soundfile().LibsndfileError
    read = 0
    while True:
        try:
            block = sound.read(frames, dtype="float32")
        except libsndfile_error as error:
            raise SourceError(
                f"{path}: damaged after {read / sound.samplerate:.2f} s: {error.error_string}"
            ) from error
        if len(block) == 0:
            break
        read += len(block)
        yield block
    promised = _promised_frames(sound)
    if read < promised:
        raise SourceError(
            f"{path}: damaged or cut off: its header promises {promised / sound.samplerate:.2f} s, "
            f"{read / sound.samplerate:.2f} s can be read"
        )


def _promised_frames(sound: soundfile.SoundFile) -> int:
    # libsndfile shortens a file that was cut off without an error; only its log says so.
    cut_off, samples = _CUT_OFF.search(sound.extra_info), _SAMPLES.search(sound.extra_info)
    if not cut_off:
        return int(sound.frames)
    promised, there = int(cut_off[2]), int(cut_off[3])
    if cut_off[1] and samples:
        # What is not samples stands before them.
        promised, there = int(samples[1]), there - (promised - int(samples[1]))
    if 0 < there < promised < _STREAMED_BYTES:
        return int(sound.frames) * promised // there
    return int(sound.frames)


def load_soundfile() -> Any:  # noqa: ANN401 - it has no types
    """The package that reads and writes sound files.

    Raises:
        ImportError: if it is not installed.
        SourceError: if it finds no libsndfile.
    """
    try:
        import soundfile
    except ImportError as error:
        raise ImportError(
            'sound files need soundfile; install with: pip install "anchorstream[runtime]"', name=error.name
        ) from error
    except OSError as error:
        raise SourceError(f"{error}; install libsndfile (Debian: apt install libsndfile1)") from error
    return soundfile


def raw_pcm(
    stream: BinaryIO, *, sample_rate_hz: int = 16_000, channels: int = 1, block_s: float = _BLOCK_S
) -> Source:
    """Reads raw signed 16-bit little-endian samples, such as ``arecord -f S16_LE -r 16000 -t raw`` writes.

    A block is handed on as soon as something has arrived; bytes of an incomplete sample at the end are dropped. A
    stream that would not wait for more is made to.

    Args:
        stream: standard input, a pipe, a file opened in binary mode.
        sample_rate_hz: of the samples.
        channels: interleaved.
        block_s: the longest block.

    Raises:
        SourceError: if the rate is none of sound, or channels are none or more than 64; while reading, if what comes is
            a sound file and no raw samples.
    """
    if not LOWEST_RATE_HZ <= sample_rate_hz <= _HIGHEST_RATE_HZ:
        raise SourceError(f"expected a rate {_RATES}, got {sample_rate_hz} Hz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise SourceError(f"expected 1 to {MOST_CHANNELS} channels, got {channels}")
    frame_bytes = 2 * channels
    block_bytes = max(1, round(block_s * sample_rate_hz)) * frame_bytes

    # A pipe may have been left so by who made it; nothing there yet would then look like the end.
    with suppress(OSError, AttributeError):
        os.set_blocking(stream.fileno(), True)

    def blocks() -> Iterator[Block]:
        # read1 returns what is there; read would wait for a whole block.
        read: Callable[[int], bytes] = stream.read1 if hasattr(stream, "read1") else stream.read
        rest, begun = b"", False
        while data := read(block_bytes):
            if not begun and (kind := _NO_SAMPLES.get(data[:4])):
                raise SourceError(
                    f"the input is a {kind} file and not raw samples: `detect` takes files, and "
                    f"`ffmpeg -i - -f s16le -ar {sample_rate_hz} -ac {channels} -` makes raw samples of one"
                )
            begun = True
            data = rest + data
            whole = len(data) // frame_bytes * frame_bytes
            rest = data[whole:]
            samples = np.frombuffer(data[:whole], dtype="<i2").astype(np.int16)
            yield samples.reshape(-1, channels) if channels > 1 else samples

    return Source(sample_rate_hz, blocks())
