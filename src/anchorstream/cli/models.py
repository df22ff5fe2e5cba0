"""``anchorstream models``: the networks, their options, and what each costs."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from anchorstream.cli.progress import loading_bar

if TYPE_CHECKING:
    from anchorstream.export.cost import ModelCost

EXAMPLE = """\
examples:
  anchorstream models
  anchorstream models --table
  anchorstream train keyword "model={name: gru, options: {units: 144}}"

The table is computed: each network is exported and run on this machine, which takes about a minute."""

_COLUMNS = (
    "network",
    "parameters",
    "MAC per second",
    "state",
    "receptive field",
    "delay",
    "CPU ms per second: hop by hop",
    "in blocks",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "--table", action="store_true", help="compute what each network costs, as a Markdown table"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Lists the networks, or computes the table."""
    if args.table:
        _print_table(args.json)
    else:
        _print_list(args.json)
    return 0


def _print_list(as_json: bool) -> None:
    from anchorstream.models.presets import PRESETS
    from anchorstream.models.registry import MODELS, model_options

    if as_json:
        presets = {
            name: {"model": preset.model, "options": dict(preset.options), "purpose": preset.purpose}
            for name, preset in PRESETS.items()
        }
        print(json.dumps({"models": {name: model_options(name) for name in MODELS}, "presets": presets}))
        return
    print("networks and the defaults of their options:")
    for name in MODELS:
        options = ", ".join(f"{key}: {_yaml(value)}" for key, value in model_options(name).items())
        print(f"  {name:12} {options}")
    print("\nsizes, each with what it is for and how a recipe asks for it:")
    for preset in PRESETS.values():
        options = ", ".join(f"{key}: {_yaml(value)}" for key, value in preset.options.items())
        print(f"  {preset.name:12} {preset.purpose}")
        print(f'  {"":12} "model={{name: {preset.model}, options: {{{options}}}}}"')


def _print_table(as_json: bool) -> None:
    from anchorstream.export.cost import model_cost
    from anchorstream.models.presets import PRESETS

    costs = []
    with loading_bar("exporting and timing") as progress:
        for preset in PRESETS.values():
            costs.append(model_cost(preset))
            progress(len(costs), len(PRESETS))
    versions = {name: metadata.version(name) for name in ("torch", "onnxruntime")}
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": platform.machine(),
        "versions": versions,
        "threads": 1,
    }
    if as_json:
        print(json.dumps({**about, "models": [cost.to_dict() for cost in costs]}))
        return
    print("\n".join(_markdown([_COLUMNS, *map(_cells, costs)])))
    installed = ", ".join(f"{name} {version}" for name, version in versions.items())
    print(f"\n{about['date']}, {about['machine']}, one thread, {installed}")


def _cells(cost: ModelCost) -> tuple[str, ...]:
    seconds = cost.receptive_field_s
    return (
        cost.name,
        f"{cost.parameters:,}",
        f"{cost.macs_per_second / 1e6:.2f} M",
        f"{cost.state_size:,}",
        "all of the past" if seconds is None else f"{seconds:.3f} s",
        f"{cost.delay_ms:.0f} ms",
        f"{cost.cpu_ms_per_second_by_hop:.1f}",
        f"{cost.cpu_ms_per_second_by_block:.1f}",
    )


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(" | ".join(("| " + first.strip().ljust(widths[0]), *others)) + " |")
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [lines[0], "| " + " | ".join(rule) + " |", *lines[1:]]


def _yaml(value: Any) -> str:  # noqa: ANN401 - whatever an option may be
    return json.dumps(value)
