"""What a detector costs while it runs: CPU time for a second of audio, time to import, memory, size.

    python benchmarks/runtime.py                            # every preset, fresh weights; needs the extra `train`
    python benchmarks/runtime.py alexa speech-onset         # models that ship; needs no more than the extra `runtime`
    python benchmarks/runtime.py computer.onnx computer.tflite --steps-ms 30 --json

*Model* is raw samples to posteriors, hop by hop or several hops a call: *plain* is ``Session.step``, which hands the
state in and out; *bound* is ``Stepper.step``, where it stays in place. *Detector* is all of it: int16 blocks of that
length through ``Detector.push``, decoder included. A step is a whole number of hops, the nearest to what was asked for.
A ``.tflite`` file runs one stream after the other, and as many hops a call as it has been made for.

*Streams* are many in one call: *model* is ``Stepper.step`` of a batch, *pool* is ``DetectorPool.push``, decoders
included; both for each stream.

One thread. All variants take turns in one process, in another order in each round; a variant counts with the fastest of
three runs in its turn, which what else runs on the machine disturbed least. A figure is the median over the rounds; a
ratio is the median of the ratios within a round, and is more certain than the figures. Beside them run, where they are
installed, pymicro-wakeword's smallest built-in model on blocks of the same lengths and Silero VAD on its 32 ms. Import
and memory are those of fresh processes.

The last table has what the project wants to reach, and what was reached.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

# Before numpy is imported: its products are not to take threads of their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from anchorstream.runtime import Session
from anchorstream.shipped import model_path
from running import aims, fresh, others, ours
from running.turns import RATE_HZ, Variants


@contextmanager
def model_files(given: list[str], presets: list[str]) -> Iterator[dict[str, Path]]:
    """The model files by name; presets are exported with fresh weights, whose speed is that of trained ones."""
    if given:
        paths = [model_path(path) for path in given]
        short = [path.name if path.suffix == ".tflite" else path.stem for path in paths]
        # Two of a name are told by where they lie; the same file twice is one.
        yield {
            name if short.count(name) == 1 else str(path): path
            for name, path in zip(short, paths, strict=True)
        }
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
            if find_spec("litert_torch"):
                from anchorstream.export import export_litert

                path = Path(folder) / f"{name}.tflite"
                files[path.name] = export_litert(detector, path, decoder=decoder)
        yield files


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="names or files of models (default: presets)"
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
            ours.add_model(variants, name, session, args.steps_ms, args.seconds)
            ours.add_blocks(variants, name, session, args.seconds)
            if session.onnx is not None:
                ours.add_streams(variants, name, session, 30, args.seconds)
        peers = {
            others.PYMICRO: others.add_pymicro(variants, args.steps_ms, args.seconds),
            others.SILERO: others.add_silero(variants, args.seconds),
        }
        variants.measure(args.rounds)
        processes = {
            name: fresh.processes(path, 3) for name, path in files.items() if path.suffix != ".tflite"
        }
        reached = aims.rows(variants, files, processes)
    about = _about() | {name: version for name, version in peers.items() if version}
    if args.json:
        costs = [{"variant": list(key), "cpu_ms_per_second": variants.cost(key)} for key in variants.runs]
        print(json.dumps({**about, "costs": costs, "processes": processes, "aims": reached}))
        return
    _print_costs(variants)
    for name, figures in processes.items():
        told = ", ".join(f"{what} {figure:.3g}" for what, figure in figures.items())
        print(f"{name}: {told}")
    print("\n| | aim | reached |\n|---|---|---|")
    for row in reached:
        print("| " + " | ".join(row) + " |")
    print("\n" + ", ".join(f"{what} {value}" for what, value in about.items()) + ", one thread")


def _about() -> dict[str, str]:
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "onnxruntime": metadata.version("onnxruntime"),
    }


def _print_costs(variants: Variants) -> None:
    """A row for each model or peer and step, its kinds side by side; pymicro-wakeword's cost is 1 in the ratios."""
    rows: dict[tuple[str, str], list[str]] = {}
    for key in variants.runs:
        name, step, kind = key
        told = f"{kind} {variants.cost(key):.2f}"
        peer = (others.PYMICRO, step, "detector")
        if peer in variants.runs and name != others.PYMICRO:
            told += f" ({variants.ratio(key, peer):.2f})"
        rows.setdefault((name, step), []).append(told)
    print(f"CPU ms for a second of audio of one stream (of {others.PYMICRO}'s)\n")
    print("| model | step | cost |\n|---|---:|---|")
    for (name, step), told_of in rows.items():
        print(f"| {name} | {step if 'streams' in step else f'{step} ms'} | {', '.join(told_of)} |")
    print()


if __name__ == "__main__":
    main()
