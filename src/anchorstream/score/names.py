"""What makes two names the same recording."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable

from anchorstream.score.errors import ScoreInputError

_ENDINGS = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".caf"),
    *(".m4a", ".mp4", ".webm", ".sph", ".raw", ".npz"),
)


def recording_name(file: str) -> str:
    """The name of a recording without the ending of sound files: ``noise/a.wav`` is ``noise/a``.

    However its accents are written: systems differ in that.
    """
    name = unicodedata.normalize("NFC", file).replace("\\", "/").removeprefix("./")
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)] or name


class Recordings:
    """The recordings that are scored, to look up under the names that another file gives them.

    The whole name decides; where that is not there, the name without its folders, if it is that of one recording alone.

    Args:
        names: as `recording_name` returns them.

    Example:
        >>> Recordings(["kitchen/a", "hall/b"]).find("/data/b")
        'hall/b'
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._names):
            self._by_base[_base(name)].append(name)

    def find(self, name: str) -> str | None:
        """The recording that ``name`` means, ``None`` if there is none."""
        if name in self._names:
            return name
        found = self._by_base.get(_base(name), [])
        return found[0] if len(found) == 1 else None

    def all_of(self, names: Collection[str], wheres: Iterable[str], lacking: str) -> dict[str, str]:
        """The recordings that ``names`` mean, by name.

        Args:
            names: different ones.
            wheres: where each of them stands first.
            lacking: what a recording of another name has not got, for the message.

        Raises:
            ScoreInputError: if one is unknown, or two mean the same recording.
        """
        found: dict[str, str] = {}
        taken: dict[str, str] = {}
        for name, where in zip(names, wheres, strict=True):
            recording = self.find(name)
            if recording is None:
                like = self._by_base.get(_base(name), [])
                which = f"is that {' or '.join(like)}?" if like else f"there is {_some(sorted(self._names))}"
                raise ScoreInputError(f"{where}: recording {name!r} has no {lacking}; {which}")
            if recording in taken:
                raise ScoreInputError(
                    f"{where}: {name!r} and {taken[recording]!r} would both be the recording {recording!r}; "
                    "give recordings the same names everywhere"
                )
            found[name], taken[recording] = recording, name
        return found


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown or "none at all"
