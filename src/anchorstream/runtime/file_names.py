"""Names for files that are written: short enough for any file system, and each given out once."""

from __future__ import annotations

import os

#: Of the 255 that a file system takes, less the longest suffix, `.flac.tmp`.
MOST_BYTES = 246
#: Of those, what leaves room for a time and labels.
LONGEST_STEM_BYTES = 120


class FileNames:
    """Gives out names that differ: what was given out already gets a number, what is too long is cut.

    Args:
        most_bytes: of a name.
        remembered: how many are remembered; ``None`` means all.

    Example:
        >>> names = FileNames(most_bytes=100)
        >>> [names.distinct(name) for name in ("a", "b", "A")]
        ['a', 'b', 'A-2']
    """

    def __init__(self, most_bytes: int, remembered: int | None = None) -> None:
        self._most_bytes, self._remembered = most_bytes, remembered
        # In lower case, because not every file system tells it from upper case; and the last number of each.
        self._numbers: dict[str, int] = {}

    def distinct(self, name: str) -> str:
        """The name, or the name with the next number that is free."""
        name = given = shortened(name, self._most_bytes)
        number = self._numbers.get(name.lower(), 1)
        while given.lower() in self._numbers:
            number += 1
            ending = f"-{number}"
            given = shortened(name, self._most_bytes - len(ending)) + ending
        self._numbers[name.lower()] = number
        self._numbers[given.lower()] = self._numbers.get(given.lower(), 1)
        while self._remembered is not None and len(self._numbers) > self._remembered:
            del self._numbers[next(iter(self._numbers))]
        return given


def shortened(name: str, most_bytes: int) -> str:
    """As much of the beginning of a name as takes so many bytes at most."""
    while len(os.fsencode(name)) > most_bytes:
        name = name[:-1]
    return name
