"""What every part of the configuration raises, and how it names what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence


class ConfigError(ValueError):
    """A configuration that cannot be used; the message lists every reason.

    Attributes:
        problems: the reasons, one by one.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown name: the known one that is like it, or all of them."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(known)})"
