"""eSpeak NG, in memory: text to samples with the times of the words, through ctypes."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Constants of speak_lib.h.
_SYNCHRONOUS = 2
_PHONEME_EVENTS, _DONT_EXIT = 0x0001, 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_LIST_END, _WORD, _PHONEME = 0, 1, 7
# The library keeps its data path in a buffer of 160 bytes and finds nothing when it is longer.
_LONGEST_PATH_BYTES = 150
# A WORD event lies this far before the first sound of the word.
_WORD_LEAD_S = 0.011

# The library is one global synthesizer.
_LOCK = threading.Lock()


class EspeakError(RuntimeError):
    """eSpeak NG cannot be started, or does not know a voice."""


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("phoneme", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """Synthetic speech.

    Attributes:
        samples: (N,) int16.
        sample_rate_hz: their rate.
        words: (start, end) of each word in seconds: from the first sound of the word to the pause or the
            word after it.
    """

    samples: NDArray[np.int16]
    sample_rate_hz: int
    words: tuple[tuple[float, float], ...]


class Espeak:
    """The synthesizer; :func:`open_espeak` gives one."""

    def __init__(self, library: ctypes.CDLL, sample_rate_hz: int) -> None:
        self._library, self.sample_rate_hz = library, sample_rate_hz
        self._chunks: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, int, bytes]] = []
        # The library calls it for as long as it speaks; Python must not collect it.
        self._callback = _Callback(self._receive)
        library.espeak_SetSynthCallback(self._callback)

    def speak(
        self, text: str, voice: str, *, words_per_minute: int = 175, pitch: int = 50, pitch_range: int = 50
    ) -> Spoken:
        """Speaks ``text``.

        Args:
            text: English text.
            voice: a dialect and a timbre, such as ``en-us+f3``.
            words_per_minute: 80 to 450.
            pitch: base pitch, 0 to 100.
            pitch_range: how lively the melody is, 0 to 100.

        Raises:
            EspeakError: if there is no such dialect, or nothing was spoken. An unknown timbre is passed
                over in silence: the library gives no sign of it.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EspeakError(f"eSpeak NG has no voice {voice!r}")
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks, self._events = [], []
        encoded = text.encode()
        size = ctypes.c_size_t(len(encoded) + 1)
        self._library.espeak_Synth(encoded, size, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if not self._chunks:
            raise EspeakError(f"eSpeak NG spoke nothing for {text!r} with the voice {voice!r}")
        return Spoken(np.concatenate(self._chunks), self.sample_rate_hz, self._words())

    def _receive(self, samples: Any, count: int, events: Any) -> int:  # noqa: ANN401 - ctypes pointers
        if samples and count:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _LIST_END:
            event = events[index]
            self._events.append((event.type, event.sample, event.phoneme))
            index += 1
        return 0

    def _words(self) -> tuple[tuple[float, float], ...]:
        """The bounds of the words.

        There is no event for the end of a word: it ends with the pause or the word that follows.
        """
        bounds: list[list[int]] = []
        for kind, sample, phoneme in self._events:
            is_pause = kind == _PHONEME and phoneme.startswith(b"_")
            if (kind == _WORD or is_pause) and bounds and len(bounds[-1]) == 1:
                bounds[-1].append(sample)
            if kind == _WORD:
                bounds.append([sample])
        lead = _WORD_LEAD_S
        return tuple(
            (start / self.sample_rate_hz + lead, end / self.sample_rate_hz)
            for start, end in (bound for bound in bounds if len(bound) == 2)
        )


@contextmanager
def open_espeak() -> Iterator[Espeak]:
    """Loads eSpeak NG afresh, for this thread alone, and unloads it afterwards.

    What the library speaks depends on all that it spoke before. Loaded afresh, it says the same things in
    the same way every time.

    Raises:
        ImportError: if the package that brings it is not installed.
        EspeakError: if it does not start.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise ImportError(
            "synthetic speech needs eSpeak NG; install it with: pip install 'anchorstream[synth]'"
        )
    import espeakng_loader

    with _LOCK, _short_path(Path(espeakng_loader.get_data_path())) as data:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            options = _PHONEME_EVENTS | _DONT_EXIT
            rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), options)
            if rate_hz <= 0:
                raise EspeakError(f"eSpeak NG does not start with its data at {data}")
            # It starts the chance behind breath and whisper from the clock.
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))
            yield Espeak(library, rate_hz)
            library.espeak_Terminate()
        finally:
            _unload(library)


@contextmanager
def _short_path(path: Path) -> Iterator[Path]:
    if len(str(path).encode()) <= _LONGEST_PATH_BYTES:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        link = Path(folder) / "data"
        link.symlink_to(path, target_is_directory=True)
        yield link


def _unload(library: ctypes.CDLL) -> None:
    # The standard library has no public way to do so; ctypes itself brings these.
    import _ctypes

    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)
