"""The one error of input that cannot be scored."""

from __future__ import annotations


class ScoreInputError(ValueError):
    """A reference, scores or durations that cannot be used; the message says the file, the row, and what to do."""
