"""From labels, which may be any text, to names of files."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A file system takes names of 255 bytes, and a letter has up to four; there is to be room for a number and a suffix.
_LONGEST = 60


def file_names(labels: Sequence[str]) -> dict[str, str]:
    """For each label a name that a file or folder can have, and that no other label has.

    Example:
        >>> file_names(["hey computer", "a/b", "a_b", ".."])
        {'hey computer': 'hey computer', 'a/b': 'a_b', 'a_b': 'a_b-2', '..': '_'}
    """
    names: dict[str, str] = {}
    for label in labels:
        # Points at the ends are folders above, or hidden; some systems drop them and spaces.
        plain = re.sub(r"[^\w .-]", "_", label)[:_LONGEST].strip(" .") or "_"
        name, number = plain, 1
        # Some systems do not tell "A" from "a".
        while name.casefold() in {other.casefold() for other in names.values()}:
            number += 1
            name = f"{plain}-{number}"
        names[label] = name
    return names
