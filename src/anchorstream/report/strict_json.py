"""JSON for programs: what Python would write as ``Infinity`` or ``NaN`` is not JSON, and becomes null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json(value: object, indent: int | None = None) -> str:
    """One JSON document: arrays become lists, a number that is not finite null, what JSON has not its text.

    Example:
        >>> to_json({"interval": (0.0, float("inf"))})
        '{"interval": [0.0, null]}'
    """
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def _plain(value: object) -> Any:  # noqa: ANN401 - that is what JSON is
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
