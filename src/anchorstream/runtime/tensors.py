"""The tensors of a model file by name, whatever format it has."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import ModelError

#: Tensors by name, batch first.
Tensors = dict[str, NDArray[np.float32]]

#: The samples that go in, the frames of motion beside them, and what comes out.
PCM, MOTION, POSTERIORS = "pcm", "motion", "posteriors"


def same_names(what: str, found: Iterable[str], expected: set[str]) -> None:
    """Refuses a model whose ``what`` (inputs or outputs) are not those of its contract.

    Raises:
        ModelError: with both lists.
    """
    if set(found) != expected:
        raise ModelError(f"the model's {what} are {sorted(found)}, its contract says {sorted(expected)}")


def first_line(error: Exception) -> str:
    """What a library says went wrong, in a line of at most 300 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
