"""A card in words, and the table of all models, made of the cards that a machine reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: Between these lines of docs/shipped.md stands what :func:`table` makes.
BEGIN, END = "<!-- made by `python -m tools.ship` from the cards -->", "<!-- end of what it makes -->"


def words(card: Mapping[str, Any]) -> str:
    """``NAME.md``."""
    training, cost = card["training"], card["cost"]
    past = cost["receptive_field_s"]
    tried = ", ".join(f"seed {row['seed']}: {row['dev_miss_rate']:.1%}" for row in training["tried"])
    counted = ", ".join(
        f"{split} {tally['speech']} of speech by {tally['speakers']} speakers and {tally['noise']} of noise "
        f"({tally['hours']} h)"
        for split, tally in card["data"]["tallies"].items()
    )
    lines = [
        f"# {card['name']}",
        "",
        card["summary"],
        "",
        "```",
        f"anchorstream listen {card['name']}",
        "```",
        "",
        f"Labels: {', '.join(card['labels'])}. {_network(training)}",
        "",
        "## What it misses, and what it fires at for nothing",
        "",
        f"Test split, {card['test']['hours']:g} h of streams at each noise level, {_heard(card)}; {card['date']}. "
        f"Threshold chosen on dev for {_alarms(training['chosen_rate'])} per hour over the three noise levels "
        "together; the rows at a rate have the threshold that keeps to it on test itself, and are there to compare. "
        "Brackets: 95%, false rejects by bootstrap over speakers, false alarms by Garwood. Latency after "
        f"{training['anchor']}.",
        "",
        *_rows(_POINTS, _points(card)),
        "",
        "## What it costs",
        "",
        f"{cost['parameters']:,} parameters, {cost['macs_per_second'] / 1e6:.1f} M multiply-accumulates a second, "
        f"{cost['state_size']:,} numbers of state; a frame each {cost['hop_ms']:g} ms that depends on "
        f"{'all of the past' if past is None else f'{past:.2f} s'}. "
        f"CPU time for a second of audio: {cost['cpu_ms_per_second_by_hop']:.1f} ms hop by hop, "
        f"{cost['cpu_ms_per_second_by_block']:.1f} ms in the blocks of `listen` ({cost['machine']}).",
        "",
        *_rounding(card),
        "## How it was trained",
        "",
        "```",
        training["command"],
        "```",
        "",
        f"Loss {training['loss']} ({_pairs(training['loss_options'])}), epoch {training['best_epoch'] + 1} of "
        f"{training['epochs']}, chosen on dev (mean miss rate over several false-alarm rates; {tried}). "
        f"{_seed(training)} anchorstream {training['versions']['anchorstream']}, "
        f"torch {training['versions']['torch']}.",
        "",
        "## Whose recordings",
        "",
        f"Recordings: {counted}. No speaker is in two splits. Trained on:",
        "",
        *_rows(
            ("source", "licence", "recordings", "authors"),
            [
                (
                    row["source"],
                    row["licence"],
                    str(row["recordings"]),
                    ", ".join(row["authors"]) or "as the source",
                )
                for row in card["data"]["sources"]
            ],
        ),
        "",
        "The files are under the licence of the package, Apache-2.0; whoever passes them on names the sources above.",
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in card["limits"]),
        "",
        "## Files",
        "",
        *_rows(
            ("file", "bytes", "SHA-256"),
            [(name, f"{about['bytes']:,}", f"`{about['sha256']}`") for name, about in card["files"].items()],
        ),
        "",
    ]
    return "\n".join(lines)


def _rounding(card: Mapping[str, Any]) -> list[str]:
    """What the file of 8-bit weights changes, where there is one."""
    if "quantisation" not in card:
        return []
    drift, dev = card["quantisation"]["posterior_drift"], card["quantisation"]["dev"]
    return [
        "## What 8-bit weights change",
        "",
        f"The `.tflite` file has them. Over noise, a drawn voice, silence and full scale they move the posteriors by "
        f"{drift['mean']:.2g} in the mean and {drift['max']:.2g} at most. On dev, {dev[0]['hours']:.2f} h, at the "
        "model's threshold, before and after:",
        "",
        *_rows(
            ("label", "missed before", "after", "of", "false alarms before", "after"),
            [
                (
                    row["label"],
                    *(
                        str(row[name])
                        for name in (
                            "misses_before",
                            "misses",
                            "events",
                            "false_alarms_before",
                            "false_alarms",
                        )
                    ),
                )
                for row in dev
            ],
        ),
        "",
    ]


def with_table(page: str, cards: Sequence[Mapping[str, Any]]) -> str:
    """The page with the table of all models in its place.

    Raises:
        ValueError: if it has no place for one.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the table: expected the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{table(cards)}\n\n{END}{after}"


def table(cards: Iterable[Mapping[str, Any]]) -> str:
    """All models at their own thresholds: the table of docs/shipped.md."""
    rows = []
    for card in cards:
        cost, size = card["cost"], sum(about["bytes"] for about in card["files"].values())
        by_snr = [_together(level) for level in card["test"]["levels"]]
        rows.append(
            (
                f"`{card['name']}`",
                ", ".join(card["labels"]),
                *(cell for cells in by_snr for cell in cells),
                f"{cost['hop_ms']:g} ms, {cost['cpu_ms_per_second_by_hop']:.1f} ms/s",
                f"{size / 1000:.0f} kB",
            )
        )
    head = ["model", "fires at"]
    for snr_db in (20, 10, 0):
        head += [f"missed at {snr_db} dB", "FA/h"]
    return "\n".join(_rows((*head, "hop, CPU", "files"), rows))


_POINTS = (
    "label",
    "noise",
    "at",
    "threshold",
    "false rejects",
    "false alarms per hour",
    "latency P50 / P90, ms",
)


def _points(card: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            label,
            f"{level['snr_db']:g} dB",
            point["at"],
            f"{point['threshold']:.3f}",
            f"{point['miss_rate']:.1%}{_interval(_miss_interval(point), percent=True)} "
            f"({point['misses']} of {point['events']})",
            f"{point['false_alarms_per_hour']:.1f}{_interval(point['false_alarms_per_hour_interval'])} "
            f"({point['false_alarms']} in {point['hours']:.2f} h)",
            _latency(point),
        )
        for level in card["test"]["levels"]
        for label, found in level["labels"].items()
        for point in found["points"]
    ]


def _together(level: Mapping[str, Any]) -> tuple[str, str]:
    """Misses over all labels and false alarms of all labels, at the model's own thresholds."""
    points = [found["points"][0] for found in level["labels"].values()]
    events = sum(point["events"] for point in points)
    missed = sum(point["misses"] for point in points) / events
    alarms = sum(point["false_alarms_per_hour"] for point in points)
    interval = _interval(_miss_interval(points[0]), percent=True) if len(points) == 1 else ""
    return f"{missed:.1%}{interval}", f"{alarms:.1f}"


def _miss_interval(point: Mapping[str, Any]) -> Sequence[float] | None:
    interval: Sequence[float] | None = point["miss_rate_speaker_interval"] or point["miss_rate_interval"]
    return interval


def _interval(interval: Sequence[float | None] | None, *, percent: bool = False) -> str:
    if interval is None or interval[0] is None or interval[1] is None:
        return ""
    low, high = (100 * value if percent else value for value in (interval[0], interval[1]))
    return f" [{low:.1f}, {high:.1f}]"


def _latency(point: Mapping[str, Any]) -> str:
    p50_s, p90_s = point["latency_p50_s"], point["latency_p90_s"]
    return "-" if p50_s is None else f"{1000 * p50_s:.0f} / {1000 * p90_s:.0f}"


def _heard(card: Mapping[str, Any]) -> str:
    first = next(iter(card["test"]["levels"][0]["labels"].values()))
    return (
        f"{first['points'][0]['events']} events of {first['recordings']} recordings of {first['speakers']} speakers"
        + (" for the first label" if len(card["labels"]) > 1 else "")
    )


def _seed(training: Mapping[str, Any]) -> str:
    tried = training["tried"]
    if len(tried) == 1:
        return f"Seed {training['seed']}."
    misses = ", ".join(f"seed {row['seed']}: {row['dev_misses']:.1%}" for row in tried)
    return f"Seed {training['seed']}, chosen on dev at the three noise levels together (the same mean; {misses})."


def _network(training: Mapping[str, Any]) -> str:
    options = ", ".join(f"{name} {value}" for name, value in training["model_options"].items())
    return f"Network: {training['model']}" + (f" ({options})." if options else ".")


def _alarms(rate: float) -> str:
    return f"{rate:g} false alarm{'' if rate == 1 else 's'}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
