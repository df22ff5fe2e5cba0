"""``anchorstream models``: the models that ship, and the networks with their options and costs."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from anchorstream.cli.info import aligned
from anchorstream.shipped import Card, shipped_cards

if TYPE_CHECKING:
    from anchorstream.export.cost import ModelCost

EXAMPLE = """\
examples:
  anchorstream models
  anchorstream listen computer
  anchorstream models --table
  anchorstream train keyword "model={name: gru, options: {units: 144}}"

The list of models that ship needs no torch; that of the networks is left out where it is not installed. The table is
computed: each network is exported and run on this machine, which takes about a minute."""

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
    """Lists models and networks, or computes the table."""
    if args.table:
        _print_table(args.json)
    else:
        _print_list(args.json)
    return 0


def _print_list(as_json: bool) -> None:
    cards = shipped_cards()
    if as_json:
        print(json.dumps({"shipped": [card.values for card in cards], **_networks()}))
        return
    if cards:
        print("models that ship: `anchorstream listen NAME`, `detect NAME FILE`, `train RECIPE --from NAME`")
        for line in aligned([_SHIPPED_COLUMNS, *map(_shipped_cells, cards)]):
            print(f"  {line}")
        print(
            "  at their own thresholds, noise at 10 dB, new speakers; all labels together, latency of the slowest\n"
        )
    if find_spec("torch") is None:
        print("networks to train: pip install 'anchorstream[train]' lists them")
    else:
        _print_networks()


def _networks() -> dict[str, Any]:
    """The networks and their sizes; nothing where torch is not installed."""
    if find_spec("torch") is None:
        return {}
    from anchorstream.models.presets import PRESETS
    from anchorstream.models.registry import MODELS, model_options

    presets = {
        name: {"model": preset.model, "options": dict(preset.options), "purpose": preset.purpose}
        for name, preset in PRESETS.items()
    }
    return {"models": {name: model_options(name) for name in MODELS}, "presets": presets}


_SHIPPED_COLUMNS = ("name", "fires at", "missed", "FA/h", "latency P50/P90", "hop", "files")


def _shipped_cells(card: Card) -> tuple[str, ...]:
    levels = {level["snr_db"]: level["labels"] for level in card.values["test"]["levels"]}
    points = [found["points"][0] for found in levels[10.0].values()]
    missed = sum(point["misses"] for point in points) / max(1, sum(point["events"] for point in points))
    p50_s, p90_s = (
        max((point[name] for point in points if point[name] is not None), default=None)
        for name in ("latency_p50_s", "latency_p90_s")
    )
    return (
        card.name,
        ", ".join(card.labels),
        f"{missed:.1%}",
        f"{sum(point['false_alarms_per_hour'] for point in points):.1f}",
        "-" if p50_s is None or p90_s is None else f"{1000 * p50_s:.0f}/{1000 * p90_s:.0f} ms",
        f"{card.values['cost']['hop_ms']:g} ms",
        f"{card.size_bytes / 1000:.0f} kB: {', '.join(sorted(PurePath(name).suffix for name in card.files))}",
    )


def _print_networks() -> None:
    from anchorstream.models.presets import PRESETS
    from anchorstream.models.registry import MODELS, model_options

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
    from anchorstream.cli.progress import loading_bar
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
