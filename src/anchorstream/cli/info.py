"""``anchorstream info``: what a model file says of itself, as a table or as JSON; only a .pte file needs torch."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchorstream.cli.arguments import MODEL_HELP, model_file

if TYPE_CHECKING:
    from anchorstream.runtime import Session

EXAMPLE = """\
examples:
  anchorstream info computer
  anchorstream info my_model.onnx
  anchorstream info computer.tflite --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("model", type=model_file, metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--json", action="store_true", help="print the whole contract as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Opens the file, which checks it, and prints its contract."""
    session = _opened(args.model)
    size_kb = args.model.stat().st_size / 1000
    if args.json:
        print(
            json.dumps(
                {
                    "model": str(args.model),
                    "kind": session.kind,
                    "size_kb": size_kb,
                    "parameters": session.contract.training.get("parameters"),
                    "contract": asdict(session.contract),
                }
            )
        )
        return 0
    print(f"{args.model}: {session.kind}, {size_kb:.0f} kB, by anchorstream {session.contract.version}")
    for name, text in _rows(session):
        print(f"  {name:18} {_printable(text)}")
    points = [_point(point) for point in session.contract.operating_points]
    if points:
        print("\noperating points")
        for line in aligned([_POINT_COLUMNS, *points]):
            print(f"  {_printable(line)}")
    return 0


def _opened(path: Path) -> Session:
    from anchorstream.runtime import Session
    from anchorstream.runtime.session import is_executorch, read_model

    if not is_executorch(read_model(path)):
        return Session.open(path)
    if find_spec("executorch") is None:  # before torch, which may be missing as well
        raise ImportError(
            f"{path} is an ExecuTorch file; install with: pip install 'anchorstream[train,executorch]'",
            name="executorch",
        )
    from anchorstream.export import open_session

    return open_session(path)


def _rows(session: Session) -> Iterator[tuple[str, str]]:
    contract = session.contract
    yield "labels", ", ".join(contract.labels)
    yield (
        "samples",
        f"mono, {contract.sample_rate_hz} Hz, float32 in [-1, 1] (the runtime takes int16 too); "
        f"hops of {contract.hop_samples} ({1000 * contract.hop_s:g} ms), {_calls(session.kind)}",
    )
    if contract.motion:
        yield "motion", f"{', '.join(contract.motion)}, a frame each {1000 * contract.motion_hop_s:g} ms"
    yield "algorithmic delay", f"{1000 * contract.delay_s:g} ms"
    yield "features", _pairs(contract.features)
    numbers = sum(math.prod(state.shape) for state in contract.states)
    yield (
        "state",
        f"{numbers:,} numbers: "
        + (", ".join(f"{state.name} {list(state.shape)}" for state in contract.states) or "none"),
    )
    yield "decoder", _pairs(contract.decoder)
    yield "quantisation", _pairs(contract.quantisation) or "none: float32 weights as they were trained"
    training = dict(contract.training)
    if "parameters" in training:
        yield "parameters", _number(training.pop("parameters"))
    data = training.pop("data", None)
    if training:
        yield "training", _pairs(training)
    yield from _data_rows(data)


def _data_rows(data: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - whatever the file holds
    """The sources and licences, where the training's notes have the form in which the export writes them."""
    if not isinstance(data, Mapping):
        if data is not None:
            yield "data", str(data)
        return
    for origin in _objects(data.get("origins")):
        yield (
            "data",
            f"{origin.get('source') or 'source not stated'}, {_number(origin.get('clips'))} clips, "
            f"licence: {origin.get('licence') or 'not stated'}",
        )
    notes = data.get("notes")
    for note in notes if isinstance(notes, list) else ():
        yield "note", str(note)


_POINT_COLUMNS = (
    "label",
    "measured on",
    "FA/h allowed",
    "threshold",
    "misses",
    "false alarms",
    "latency P50/P90",
)


def _point(point: Mapping[str, Any]) -> tuple[str, ...]:
    where = " ".join(str(point[name]) for name in ("split", "snr_db") if name in point)
    latency = [
        f"{1000 * value:.0f}" if isinstance(value, int | float) else "-"
        for value in (point.get("latency_p50_s"), point.get("latency_p90_s"))
    ]
    return (
        str(point.get("label", "-")),
        f"{where} dB" if "snr_db" in point else where or "-",
        _number(point.get("rate", point.get("false_alarms_per_hour"))),
        _number(point.get("threshold")),
        f"{_number(point.get('misses'))} of {_number(point.get('events'))}",
        f"{_number(point.get('false_alarms'))} in {_number(point.get('hours'))} h",
        f"{'/'.join(latency)} ms",
    )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, the cells of a column under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _calls(kind: str) -> str:
    return "any number a call, any number of streams" if kind == "ONNX" else "one a call, one stream"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:  # noqa: ANN401 - whatever the file holds
    if isinstance(value, Mapping):
        return f"({_pairs(value)})"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _number(value)


def _number(value: Any) -> str:  # noqa: ANN401 - as above
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def _objects(values: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 - as above
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def _printable(text: str) -> str:
    """A model file may come from anywhere: what it says must not steer the terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
