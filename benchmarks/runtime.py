"""What a detector costs while it runs: CPU time for a second of audio, time to import, memory.

    python benchmarks/runtime.py                            # every preset, fresh weights; needs the extra `train`
    python benchmarks/runtime.py computer.onnx              # model files; needs no more than the extra `runtime`
    python benchmarks/runtime.py --steps-ms 30 --json       # one length of step, for machines

*Model* is raw samples to posteriors, hop by hop or several hops a call: *plain* is ``Session.step``, which hands the
state in and out; *bound* is ``Stepper.step``, where onnxruntime reads and writes buffers that stay in place. *Detector*
is all of it: int16 blocks of that length through ``Detector.push``, decoder included. A step is a whole number of hops,
the nearest to what was asked for.

*Streams* are many in one call: *model* is ``Stepper.step`` of a batch, *pool* is ``DetectorPool.push``, decoders
included; both for each stream.

One thread. All variants take turns in one process, in another order in each round; a variant counts with the fastest of
three runs in its turn, which what else runs on the machine disturbed least. A figure is the median over the rounds; a
ratio is the median of the ratios within a round, and is more certain than the figures. Where pymicro-wakeword is
installed, its smallest built-in model runs beside them, on blocks of 80 ms. Import and memory are those of fresh
processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

# Before numpy is imported: its products are not to take threads of their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from anchorstream.runtime import Detector, DetectorPool, Session
from anchorstream.runtime.stepper import Stepper

RATE_HZ = 16_000
RUNS = 3
PEER_STEP_MS = 80
STREAMS = [1, 8, 64]

Run = Callable[[], None]


class Variants:
    """What takes turns, and the CPU milliseconds for a second of audio of each round."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, ...], tuple[Run, float]] = {}
        self.costs: dict[tuple[str, ...], list[float]] = {}

    def add(self, key: tuple[str, ...], run: Run, audio_s: float) -> None:
        """A run over ``audio_s`` of audio, of all its streams together."""
        self.runs[key], self.costs[key] = (run, audio_s), []

    def measure(self, rounds: int) -> None:
        """All of them in each round; the first is not counted."""
        for number in range(-1, rounds):
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            for key in random.Random(number).sample(list(self.runs), len(self.runs)):
                run, audio_s = self.runs[key]
                fastest_s = min(_cpu_s(run) for _ in range(RUNS))
                if number >= 0:
                    self.costs[key].append(1000 * fastest_s / audio_s)
        print(file=sys.stderr)

    def cost(self, key: tuple[str, ...]) -> float:
        """The median."""
        return statistics.median(self.costs[key])

    def ratio(self, key: tuple[str, ...], other: tuple[str, ...]) -> float:
        """The median of the ratios."""
        pairs = zip(self.costs[key], self.costs[other], strict=True)
        return statistics.median(one / two for one, two in pairs)


def _cpu_s(run: Run) -> float:
    start_s = time.process_time()
    run()
    return time.process_time() - start_s


def _noise(streams: int, samples: int) -> np.ndarray:
    return (3000 * np.random.default_rng(0).standard_normal((streams, samples))).astype(np.int16)


def _floats(pcm: np.ndarray) -> np.ndarray:
    return (pcm / 32768).astype(np.float32)


def add_model(variants: Variants, name: str, session: Session, steps_ms: list[int], seconds: float) -> None:
    """One stream, in steps of several lengths."""
    for step_ms in steps_ms:
        hops = max(1, round(step_ms / 1000 / session.contract.hop_s))
        size = hops * session.contract.hop_samples
        count = max(1, round(seconds * RATE_HZ / size))
        pcm = _noise(1, size)
        floats, stepper, detector = _floats(pcm), Stepper(session), Detector(session)
        for kind, run in (
            ("plain", partial(_plain, session, floats, count)),
            ("bound", partial(_often, stepper.step, floats, count)),
            ("detector", partial(_often, detector.push, pcm[0], count)),
        ):
            variants.add((name, f"{step_ms}", kind), run, count * size / RATE_HZ)


def _plain(session: Session, pcm: np.ndarray, count: int) -> None:
    state = session.init_state()
    for _ in range(count):
        _, state = session.step(pcm, state)


def _often(call: Callable[[object], object], block: object, count: int) -> None:
    for _ in range(count):
        call(block)


def add_streams(variants: Variants, name: str, session: Session, step_ms: int, seconds: float) -> None:
    """Many streams in one call."""
    for streams in STREAMS:
        size = max(1, round(step_ms / 1000 / session.contract.hop_s)) * session.contract.hop_samples
        count = max(1, round(seconds * RATE_HZ / size / streams**0.5))
        pcm = _noise(streams, size)
        floats, stepper, pool = _floats(pcm), Stepper(session, streams), DetectorPool(session)
        for key in range(streams):
            pool.add(key)

        audio_s = streams * count * size / RATE_HZ
        blocks = dict(enumerate(pcm))
        variants.add(
            (name, f"{streams} streams", "model"), partial(_often, stepper.step, floats, count), audio_s
        )
        variants.add((name, f"{streams} streams", "pool"), partial(_often, pool.push, blocks, count), audio_s)


def add_peer(variants: Variants, seconds: float) -> str | None:
    """pymicro-wakeword's own model, from raw samples, if it is installed."""
    if find_spec("pymicro_wakeword") is None:
        return None
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    detector, features = MicroWakeWord.from_builtin(Model.OKAY_NABU), MicroWakeWordFeatures()
    size = PEER_STEP_MS * RATE_HZ // 1000
    block, count = _noise(1, size).tobytes(), max(1, round(seconds * RATE_HZ / size))

    def peer() -> None:
        for _ in range(count):
            for frame in features.process_streaming(block):
                detector.process_streaming(frame)

    name = f"pymicro-wakeword {metadata.version('pymicro-wakeword')}"
    variants.add((name, f"{PEER_STEP_MS}", "detector"), peer, count * size / RATE_HZ)
    return name


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


@contextmanager
def model_files(given: list[Path], presets: list[str]) -> Iterator[dict[str, Path]]:
    """The model files by name; presets are exported with fresh weights, whose speed is that of trained ones."""
    if given:
        yield {path.stem: path for path in given}
        return
    from anchorstream.decode import DecoderSettings
    from anchorstream.export import export_onnx
    from anchorstream.models.detector import StreamingDetector
    from anchorstream.models.presets import PRESETS

    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name in presets or PRESETS:
            print(f"exporting {name}", file=sys.stderr)
            preset = PRESETS[name]
            detector = StreamingDetector.build(
                preset.model, labels=["keyword"], options=preset.options
            ).eval()
            # Fresh weights hardly reach it: as in real use, next to nothing fires.
            decoder = DecoderSettings(threshold=0.99, smoothing_s=0.05)
            files[name] = export_onnx(detector, Path(folder) / f"{name}.onnx", decoder=decoder)
        yield files


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", type=Path, nargs="*", metavar="MODEL", help="model files (default: presets)"
    )
    parser.add_argument(
        "--presets", nargs="*", default=[], metavar="NAME", help="those to export (default: all)"
    )
    parser.add_argument("--steps-ms", type=int, nargs="+", default=[10, 30, 80], metavar="MS")
    parser.add_argument("--seconds", type=float, default=1.0, help="of audio in a run (default: 1)")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each variant (default: 7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()

    variants = Variants()
    with model_files(args.models, args.presets) as files:
        for name, path in files.items():
            session = Session.open(path)
            if session.contract.sample_rate_hz != RATE_HZ or session.contract.motion:
                parser.error(f"{path}: expected a model of audio alone at {RATE_HZ} Hz")
            add_model(variants, name, session, args.steps_ms, args.seconds)
            add_streams(variants, name, session, 30, args.seconds)
        peer = add_peer(variants, args.seconds)
        variants.measure(args.rounds)
        fresh = {name: processes(path, 3) for name, path in files.items()}
    if args.json:
        costs = [{"variant": list(key), "cpu_ms_per_second": variants.cost(key)} for key in variants.runs]
        print(json.dumps({**_about(), "costs": costs, "processes": fresh}))
        return
    _print_tables(variants, list(files), args.steps_ms, peer, fresh)


def _about() -> dict[str, str]:
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "onnxruntime": metadata.version("onnxruntime"),
    }


def _print_tables(
    variants: Variants,
    names: list[str],
    steps_ms: list[int],
    peer: str | None,
    fresh: dict[str, dict[str, float]],
) -> None:
    print("CPU ms for a second of audio\n")
    print("| model | step | plain | bound | bound / plain | detector |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in names:
        for step in map(str, steps_ms):
            plain, bound, whole = ((name, step, kind) for kind in ("plain", "bound", "detector"))
            print(
                f"| {name} | {step} ms | {variants.cost(plain):.2f} | {variants.cost(bound):.2f} "
                f"| {variants.ratio(bound, plain):.2f} | {variants.cost(whole):.2f} |"
            )
    if peer is not None:
        key = (peer, f"{PEER_STEP_MS}", "detector")
        print(f"| {peer} | {PEER_STEP_MS} ms | | | | {variants.cost(key):.2f} |")
        for name in names:
            if (name, f"{PEER_STEP_MS}", "detector") in variants.runs:
                ratios = ", ".join(
                    f"{variants.ratio((name, f'{PEER_STEP_MS}', kind), key):.2f} ({kind})"
                    for kind in ("bound", "detector")
                )
                print(f"\n{name} / {peer}: {ratios}")
    print("\nCPU ms for a second of audio of one stream, steps of 30 ms\n")
    print("| model | " + " | ".join(f"{n} in a call: model | pool" for n in STREAMS) + " |")
    print("|---" * (1 + 2 * len(STREAMS)) + "|")
    for name in names:
        cells = [
            f"{variants.cost((name, f'{n} streams', kind)):.2f}"
            for n in STREAMS
            for kind in ("model", "pool")
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()
    for name, figures in fresh.items():
        told = ", ".join(f"{what} {figure:.3g}" for what, figure in figures.items())
        print(f"{name}: {told}")
    print("\n" + ", ".join(f"{what} {value}" for what, value in _about().items()) + ", one thread")


if __name__ == "__main__":
    main()
