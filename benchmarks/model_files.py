"""What a network takes as a file of each format: kilobytes, and CPU microseconds a hop through ``Session.step``.

    python benchmarks/model_files.py

    python benchmarks/model_files.py ds-tcn   # one of them

Fresh weights, one label, one stream, one hop a call, one thread; needs ``anchorstream[train]``, and for the columns
that are no ONNX ``[litert]`` and ``[executorch]``. Every file passes the gate of its export first.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from anchorstream.decode import DecoderSettings
from anchorstream.export import export_executorch, export_litert, export_onnx, open_session
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.presets import PRESETS

_HOPS, _REPEATS = 1000, 7
_DECODER = DecoderSettings(threshold=0.5)
_FILES: dict[str, tuple[str, Callable[..., Path]]] = {
    "`.onnx`": ("onnx", export_onnx),
    "`.tflite`": ("litert_torch", export_litert),
    "`--int8`": ("litert_torch", partial(export_litert, int8=True)),
    "`.pte`": ("executorch", export_executorch),
}


def main() -> None:
    """Prints a Markdown table, a row a network."""
    files = {title: export for title, (package, export) in _FILES.items() if find_spec(package)}
    print(f"| | {' | '.join(files)} |\n|---|{'---:|' * len(files)}")
    for name in sys.argv[1:] or PRESETS:
        preset = PRESETS[name]
        torch.manual_seed(0)
        detector = StreamingDetector.build(preset.model, labels=["keyword"], options=preset.options).eval()
        with tempfile.TemporaryDirectory() as made:
            paths = [
                export(detector, Path(made) / title, decoder=_DECODER) for title, export in files.items()
            ]
            cells = [f"{path.stat().st_size / 1000:,.0f} kB, {_us_per_hop(path):.0f} us" for path in paths]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


def _us_per_hop(path: Path) -> float:
    session = open_session(path)
    shape = (_HOPS, 1, session.contract.hop_samples)
    pcm = (0.1 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    times_s = []
    for _ in range(_REPEATS):
        state, start_s = session.init_state(), time.process_time()
        for hop in pcm:
            _, state = session.step(hop, state)
        times_s.append(time.process_time() - start_s)
    return 1e6 * statistics.median(times_s) / _HOPS


if __name__ == "__main__":
    main()
