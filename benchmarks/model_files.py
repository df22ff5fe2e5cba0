"""What a network takes as a file of each format: kilobytes, and CPU microseconds a hop through ``Session.step``.

    python benchmarks/model_files.py

Fresh weights, one label, one stream, one hop a call, one thread; needs ``anchorstream[train,litert]``. Every file
passes the gate of its export first.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from anchorstream.decode import DecoderSettings
from anchorstream.export import export_litert, export_onnx
from anchorstream.models.detector import StreamingDetector
from anchorstream.models.presets import PRESETS
from anchorstream.runtime import Session

_HOPS, _REPEATS = 1000, 7
_DECODER = DecoderSettings(threshold=0.5)


def main() -> None:
    """Prints a Markdown table, a row a network."""
    print("| | `.onnx` | `.tflite` | `--int8` |\n|---|---:|---:|---:|")
    for name, preset in PRESETS.items():
        torch.manual_seed(0)
        detector = StreamingDetector.build(preset.model, labels=["keyword"], options=preset.options).eval()
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            files = (
                export_onnx(detector, folder / "model.onnx", decoder=_DECODER),
                export_litert(detector, folder / "model.tflite", decoder=_DECODER),
                export_litert(detector, folder / "int8.tflite", decoder=_DECODER, int8=True),
            )
            cells = [f"{file.stat().st_size / 1000:,.0f} kB, {_us_per_hop(file):.0f} us" for file in files]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


def _us_per_hop(path: Path) -> float:
    session = Session.open(path)
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
