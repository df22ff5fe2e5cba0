"""What a detector costs a process: CPU time to import and to open, memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from running.turns import RATE_HZ

# In fresh interpreters; CPU time, because a machine with other load makes everything late.
_IMPORT = """
import time
start = time.process_time()
import anchorstream.runtime
print(time.process_time() - start)
"""
_RUNNING = """
import sys, time
import numpy as np
start = time.process_time()
from anchorstream.runtime import Detector
detector = Detector.open(sys.argv[1], sample_rate_hz=int(sys.argv[2]))
detector.push(np.zeros(1600, np.int16))
opened_s = time.process_time() - start
noise = (3000 * np.random.default_rng(0).standard_normal(int(sys.argv[2]) // 10)).astype(np.int16)
for _ in range(300):
    detector.push(noise)
status = open("/proc/self/status").read()
print(opened_s, int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def _fresh(code: str, *arguments: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return [float(figure) for figure in done.stdout.split()]


def processes(path: Path, repeats: int) -> dict[str, float]:
    """CPU seconds to import and to open, the most MiB of a detector that ran 30 s of audio in blocks of 0.1 s."""
    figures = {"import_s": statistics.median(_fresh(_IMPORT)[0] for _ in range(repeats))}
    if Path("/proc/self/status").exists():
        for rate_hz, name in ((RATE_HZ, ""), (48_000, "_48khz")):
            runs = [_fresh(_RUNNING, str(path), str(rate_hz)) for _ in range(repeats)]
            opened_s, resident = (statistics.median(column) for column in zip(*runs, strict=True))
            figures |= {f"open{name}_s": opened_s, f"resident{name}_mib": resident}
    return figures
