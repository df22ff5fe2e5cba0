"""What the losses cost, forward and backward, as ratios to ``F.cross_entropy`` on the same logits.

    python benchmarks/losses.py                     # eager and compiled, speed and peak memory; about two minutes
    python benchmarks/losses.py --device cuda       # the same on a GPU, and the bandwidth of the fused kernel
    python benchmarks/losses.py --json              # the figures for a machine

All variants of one shape take turns in one process, so that a machine that changes its speed changes all of them. A
ratio is the median over the rounds of the ratio within a round; the brackets are its quartiles. The anchors come from
the targets (the rule "offset"), as in a plain ``loss(logits, targets)``. One sigmoid output is compared with what it
replaces: ``F.cross_entropy`` on two classes.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from anchorstream.losses import build

SHAPES = [(64, 300, 2), (64, 300), (256, 1000, 12), (16, 3000, 40)]
GPU_SHAPES = [*SHAPES, (256, 4000, 12)]
LOSSES = ["sal", "sa+fl", "safl"]

Call = Callable[[], Tensor]


def batch(shape: tuple[int, ...], device: str) -> tuple[Tensor, Tensor]:
    """Logits and targets with one event of 40 frames in each row."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator).to(device).requires_grad_()
    classes = shape[2] if len(shape) == 3 else 2
    targets = torch.zeros(shape[:2], dtype=torch.long)
    middle = shape[1] // 2
    targets[:, middle : middle + 40] = torch.randint(1, classes, (shape[0], 1), generator=generator)
    return logits, targets.to(device)


def variants(logits: Tensor, targets: Tensor, mode: str) -> dict[str, Call]:
    """Each loss as a function of nothing; the first is the reference."""
    wrap = (lambda f: f) if mode == "eager" else (lambda f: torch.compile(f, fullgraph=True, dynamic=False))
    softmax = wrap(lambda x, y: F.cross_entropy(x.flatten(0, 1), y.flatten()))
    if logits.ndim == 3:
        calls: dict[str, Call] = {"F.cross_entropy": lambda: softmax(logits, targets)}
    else:
        pair = torch.stack([torch.zeros_like(logits), logits], dim=-1).detach().requires_grad_()
        calls = {"F.cross_entropy": lambda: softmax(pair, targets)}
        binary = wrap(lambda x, y: F.binary_cross_entropy_with_logits(x, y.to(x.dtype)))
        calls["F.bce_with_logits"] = lambda: binary(logits, targets)
    for name in LOSSES:
        loss = wrap(build(name))
        calls[name] = lambda loss=loss: loss(logits, targets)
    return calls


def step(call: Call, leaf: Tensor) -> None:
    """One forward and backward pass."""
    leaf.grad = None
    call().backward()


def synchronise(device: str) -> None:
    """Waits for the GPU, if that is what is measured."""
    if device == "cuda":
        torch.cuda.synchronize()


def times(calls: dict[str, Call], leaf: Tensor, device: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each round, in which every call has its turn.

    The order is another one in each round, and the logits are written before each call, as a network's last layer
    has just written them: what ran before decides what is still in the caches.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    shuffle = random.Random(0)
    for index in range(rounds + 5):
        for name, call in shuffle.sample(list(calls.items()), len(calls)):
            with torch.no_grad():
                leaf.mul_(1.0)
            synchronise(device)
            begin = time.perf_counter()
            step(call, leaf)
            synchronise(device)
            if index >= 5:
                found[name].append(1000 * (time.perf_counter() - begin))
    return found


def peak_bytes(call: Call, leaf: Tensor, device: str) -> int:
    """The most memory that one forward and backward pass holds at a time, beyond what was there."""
    step(call, leaf)
    leaf.grad = None
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(call, leaf)
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step(call, leaf)
    held = most = 0
    events = record.profiler.kineto_results.events()
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def measure(shape: tuple[int, ...], mode: str, device: str, rounds: int) -> list[dict[str, object]]:
    """A row of figures for each loss."""
    torch.compiler.reset()
    logits, targets = batch(shape, device)
    calls = variants(logits, targets, mode)
    found = times(calls, logits, device, rounds)
    memory = {name: peak_bytes(call, logits, device) for name, call in calls.items()}
    reference = next(iter(calls))
    rows = []
    for name, values in found.items():
        ratios = [value / base for value, base in zip(values, found[reference], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows.append(
            {
                "shape": list(shape),
                "mode": mode,
                "loss": name,
                "ratio": middle,
                "ratio_quartiles": [low, high],
                "ms": statistics.median(values),
                "memory_ratio": memory[name] / memory[reference],
                "memory_bytes": memory[name],
            }
        )
    return rows


def kernel_bandwidth(shape: tuple[int, ...], rounds: int) -> dict[str, object]:
    """Bytes that the fused kernel has to move each second, beside a plain copy of the logits."""
    from anchorstream.losses._batch import Batch
    from anchorstream.losses._triton import TritonLoss

    logits, targets = batch(shape, "cuda")
    frames = Batch.of_classes(logits, targets, None, None, class_dim=-1)
    plain = torch.rand(targets.shape, device="cuda")
    one = torch.ones((), device="cuda")
    calls = {
        "kernel": lambda: TritonLoss.apply(logits, frames, plain, None, 0.0, one),
        "copy": lambda: logits.detach().clone(),
    }
    size = logits.numel() * logits.element_size()
    moved = {"kernel": 2 * size + targets.numel() * (8 + 4), "copy": 2 * size}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(rounds + 5):
        for name, call in calls.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            torch.cuda.synchronize()
            if index >= 5:
                found[name].append(begin.elapsed_time(end))
    speed = {name: moved[name] / statistics.median(values) / 1e6 for name, values in found.items()}
    return {"shape": list(shape), "gb_per_s": speed, "of_copy": speed["kernel"] / speed["copy"]}


def show(report: dict[str, object], console: Console) -> None:
    """Prints the report for people."""
    machine = report["machine"]
    console.print(" · ".join(f"{key} {value}" for key, value in machine.items()))
    for mode in report["modes"]:
        table = Table(title=f"{mode}, forward + backward, ratio to F.cross_entropy", title_justify="left")
        for heading in ("shape", "loss", "time", "quartiles", "ms", "peak memory"):
            table.add_column(
                heading, justify="left" if heading in ("shape", "loss") else "right", no_wrap=True
            )
        last = None
        for row in report["rows"]:
            if row["mode"] != mode:
                continue
            if last not in (None, row["shape"]):
                table.add_section()
            table.add_row(
                str(tuple(row["shape"])) if row["shape"] != last else "",
                row["loss"],
                f"{row['ratio']:.2f}",
                "{:.2f}-{:.2f}".format(*row["ratio_quartiles"]),
                f"{row['ms']:.3g}",
                f"{row['memory_ratio']:.2f}",
            )
            last = row["shape"]
        console.print(table)
    if report["kernel"]:
        console.print(f"fused kernel: {json.dumps(report['kernel'])}")


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--modes", nargs="+", choices=["eager", "compiled"], default=["eager", "compiled"])
    parser.add_argument("--rounds", type=int, default=60, help="rounds of each shape")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU that this torch can use; leave --device out")
    shapes = GPU_SHAPES if args.device == "cuda" else SHAPES
    jobs = [(mode, shape) for mode in args.modes for shape in shapes]
    rows = []
    for mode, shape in track(jobs, description="measuring", console=Console(stderr=True), transient=True):
        rows += measure(shape, mode, args.device, args.rounds)
    report = {
        "machine": {
            "date": date.today().isoformat(),
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if args.device == "cuda" else platform.machine(),
            "threads": torch.get_num_threads(),
        },
        "modes": args.modes,
        "rows": rows,
        "kernel": kernel_bandwidth((256, 4000, 12), args.rounds) if args.device == "cuda" else None,
    }
    if args.json:
        print(json.dumps(report))
    else:
        show(report, Console(width=None if sys.stdout.isatty() else 100))


if __name__ == "__main__":
    main()
