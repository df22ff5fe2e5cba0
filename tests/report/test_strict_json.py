"""What is written for programs can be read by any of them."""

import json
import math
from pathlib import Path

import numpy as np

from anchorstream.report.strict_json import to_json


def test_what_json_does_not_have_becomes_null_or_text() -> None:
    value = {
        "limits": (0.0, math.inf),
        1: [math.nan, -math.inf, 1.5, True, None, "\udcff"],
        "array": np.array([1.0, np.nan]),
        "number": np.float32(0.5),
        "path": Path("a/b"),
    }
    assert json.loads(to_json(value), parse_constant=lambda text: 1 / 0) == {
        "limits": [0.0, None],
        "1": [None, None, 1.5, True, None, "\udcff"],
        "array": [1.0, None],
        "number": 0.5,
        "path": "a/b",
    }
