"""A microphone as a source of blocks, which may be unplugged and come back."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.sources import Block, Source, SourceError

_LOG = logging.getLogger(__name__)

_BLOCK_S = 0.1
# A reader that falls this far behind loses sound rather than memory.
_MOST_WAITING_BLOCKS = 100
# What gives nothing for so long has stopped; then, how often it is tried again.
_PATIENCE_S, _RETRY_S = 2.0, 1.0


def input_devices() -> list[tuple[int, str]]:
    """The microphones that there are: index and name.

    Raises:
        SourceError: if sounddevice or PortAudio is missing, or cannot list the devices.
    """
    sounddevice = _sounddevice()
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        raise SourceError(f"the microphones cannot be listed: {error}") from error
    return [
        (index, device["name"]) for index, device in enumerate(devices) if device["max_input_channels"] > 0
    ]


@contextmanager
def microphone(
    *,
    sample_rate_hz: int = 16_000,
    device: int | str | None = None,
    block_s: float = _BLOCK_S,
    reconnect: bool = True,
) -> Iterator[Source]:
    """Records one channel from a microphone until the context ends.

    Sound that is not taken in time is replaced by silence of the same length, so that times, which count samples, stay
    true; ``Source.overflows`` counts how often. A microphone that stops, because it was unplugged or its sound server
    went away, is logged as a warning and opened again as soon as it is back; until then there is silence, as long as
    it took, and ``Source.outages`` counts how often.

    Args:
        sample_rate_hz: asked of the device; where it cannot, its own rate is taken and ``Source`` says so.
        device: index or part of the name, as :func:`input_devices` lists them; ``None`` is the default one.
        block_s: length of a block.
        reconnect: whether to wait for a microphone that stops, rather than to raise.

    Raises:
        SourceError: if sounddevice or PortAudio is missing, there is no such device, or it stops while recording and is
            not to be waited for.
    """
    recorder = _Recorder(sample_rate_hz, device, block_s, reconnect)
    try:
        recorder.open()
        yield recorder.source
    finally:
        recorder.close()


class _Recorder:
    def __init__(self, rate_hz: int, device: int | str | None, block_s: float, reconnect: bool) -> None:
        self._sounddevice = _sounddevice()
        self._device, self._block_s, self._reconnect = device, block_s, reconnect
        # Of the microphone that was asked for, once it has been opened: index, name and host API.
        self._opened_as: tuple[int, str, int] | None = None
        self.source = Source(rate_hz, self._blocks())
        # Each entry: the samples that were lost before the block, and the block.
        self._waiting: queue.Queue[tuple[int, Block]] = queue.Queue(_MOST_WAITING_BLOCKS)
        self._lost = 0
        self._stream: Any = None
        self._latest_s = time.monotonic()

    def open(self) -> None:
        """Starts the recording, at the device's own rate where it has no other.

        Raises:
            SourceError: if it cannot be opened.
        """
        errors = (self._sounddevice.PortAudioError, ValueError)
        try:
            try:
                self._stream = self._opened(self._device)
            except self._sounddevice.PortAudioError:
                own = self._sounddevice.query_devices(self._device, "input")
                self.source.sample_rate_hz = round(own["default_samplerate"])
                self._stream = self._opened(self._device)
            self._stream.start()
            if self._device is not None:
                own = self._sounddevice.query_devices(self._device, "input")
                self._opened_as = own["index"], own["name"], own["hostapi"]
        except errors as error:
            raise SourceError(
                f"no microphone can be opened: {error}; `anchorstream listen --list-devices` lists them, "
                "`--stdin` takes samples from another program"
            ) from error
        self._latest_s = time.monotonic()

    def close(self) -> None:
        """Gives the device free again for others, whatever happened."""
        if self._stream is not None:
            with suppress(self._sounddevice.PortAudioError):
                self._stream.close()
            self._stream = None

    def _opened(self, device: int | str | None) -> Any:  # noqa: ANN401 - it has no types
        return self._sounddevice.InputStream(
            samplerate=self.source.sample_rate_hz,
            device=device,
            channels=1,
            dtype="int16",
            blocksize=round(self._block_s * self.source.sample_rate_hz),
            callback=self._arrived,
        )

    def _arrived(self, samples: NDArray[np.int16], frames: int, moment: object, status: Any) -> None:  # noqa: ANN401
        del moment
        self._latest_s = time.monotonic()
        if status.input_overflow:
            # PortAudio does not say how much was lost; this is the one gap that times do not show.
            self.source.overflows += 1
        try:
            self._waiting.put_nowait((self._lost, samples[:, 0].copy()))
            self._lost = 0
        except queue.Full:
            self.source.overflows += self._lost == 0
            self._lost += frames

    def _blocks(self) -> Iterator[Block]:
        while True:
            try:
                missing, block = self._waiting.get(timeout=max(_PATIENCE_S, 10 * self._block_s))
            except queue.Empty:
                if not self._reconnect:
                    raise SourceError("the microphone has stopped; was it unplugged?") from None
                yield from self._until_back()
            else:
                yield from self._silence(missing)
                yield block

    def _until_back(self) -> Iterator[Block]:
        self.source.outages += 1
        _LOG.warning("the microphone has stopped; was it unplugged? It is tried again every %g s", _RETRY_S)
        silent_from_s = self._latest_s
        while True:
            back = self._is_back()
            now_s = time.monotonic()
            yield from self._silence(round((now_s - silent_from_s) * self.source.sample_rate_hz))
            silent_from_s = now_s
            if back:
                self._latest_s = now_s
                _LOG.warning("the microphone is back")
                return
            time.sleep(_RETRY_S)

    def _is_back(self) -> bool:
        self.close()
        with suppress(self._sounddevice.PortAudioError, AttributeError):
            # PortAudio looks for devices when it starts, and never again; there is no other way to have it look.
            self._sounddevice._terminate()
            self._sounddevice._initialize()
        try:
            self._stream = self._opened(self._device_now())
            self._stream.start()
        except (self._sounddevice.PortAudioError, ValueError):
            self.close()
            return False
        return True

    def _device_now(self) -> int | None:
        """The index of the microphone that was opened: numbers are dealt anew when something is plugged in.

        By the whole name and the host API: sounddevice would take another microphone whose name only begins with it,
        and none where each host API has one of that name.

        Raises:
            ValueError: if it is not there.
        """
        if self._opened_as is None:
            return None
        before, *wanted = self._opened_as
        found = [
            index
            for index, device in enumerate(self._sounddevice.query_devices())
            if [device["name"], device["hostapi"]] == wanted and device["max_input_channels"] > 0
        ]
        if not found:
            raise ValueError(f"there is no {wanted[0]}")
        return before if before in found else found[0]

    def _silence(self, samples: int) -> Iterator[Block]:
        while samples > 0:
            silence = np.zeros(min(samples, self.source.sample_rate_hz), dtype=np.int16)
            samples -= len(silence)
            yield silence


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
