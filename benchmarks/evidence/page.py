"""Writes docs/evidence.md and its pictures from the results that are kept; nothing on that page is typed.

python benchmarks/evidence/page.py
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchorstream.metrics import smallest_p_value
from anchorstream.train.run import write_beside
from drawings import draw_frontier, draw_heat_map, draw_line
from estimates import System, paired, rank_correlation, streams_of, systems
from records import RESULTS, Line, read_all
from studies import expected, read_studies
from tables import (
    DIFFERENCES,
    differences_table,
    power_row,
    reference_table,
    systems_table,
    table,
    told,
    variants_table,
)
from verdict import ANCHOR, BASELINE, THAN_BASELINE, THAN_BEST, sentence, verdict

Tree = dict[str, Any]
#: The systems of each study, task and network, and how many lines are left out.
Found = dict[tuple[str, str, str], tuple[list[System], int]]

DOCS = Path(__file__).parents[2] / "docs"
NAMES = {"ds-tcn": "DS-TCN", "crnn": "CRNN"}

# Studies whose one option is drawn as an axis: its name, and whether it spans decades.
_AXES = {
    "capacity": ("parameters", True),
    "data": ("share of the positive recordings", True),
    "ablation-jitter": ("standard deviation of the anchors' error in training, s", False),
    "ablation-floor": ("floor", False),
}
_TITLES = {
    "main": "Every loss, trained to the end",
    "folds": "Again, on recordings that no test has seen",
    "short": "Every loss, a third of the epochs",
    "short-tuned": "Every loss, a third of the epochs, each tuned on dev",
    "ablation-peak-scale": "Ablation: peak and scale",
}
_HEAT = {"ablation-peak-scale": ("peak", "scale")}
# Trainings of which a rank correlation says anything.
_MANY = 20

INTRO = Path(__file__).with_name("intro.md")


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes docs/evidence.md from the results that are kept.")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="of train.py")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR", help="where evidence.md is written")
    args = parser.parse_args()
    write_page(read_all(args.results), args.docs)
    return 0


def write_page(lines: Sequence[Line], docs: Path) -> None:
    """Writes the page and its pictures; pictures of earlier pages are removed."""
    pictures = docs / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for path in pictures.glob("evidence-*.png"):
        path.unlink()
    write_beside(docs / "evidence.md", "\n".join(text(lines, pictures)) + "\n")


def text(lines: Sequence[Line], pictures: Path | None) -> list[str]:
    """The lines of the page; pictures are drawn into a folder, or only named."""
    tree = read_studies()
    # A study's results are lines of its task and network.
    found: Found = {
        (study, task, network): systems(
            [
                line
                for line in lines
                if (line["study"], line["task"], line["network"]) == (study, task, network)
            ],
            folds="folds" in about,
        )
        for study, about in tree["studies"].items()
        for task in about["tasks"]
        for network in about["networks"]
    }
    page = [INTRO.read_text(encoding="utf-8"), *_aims(found)]
    for study, about in tree["studies"].items():
        section = _variants if {"grid", "sizes"} & about.keys() else _losses
        page += section(study, tree, found, pictures)
        if study == "main":
            page += _power(found)
    return page


def _aims(found: Found) -> list[str]:
    page = [
        "## The aim, and whether it is met",
        "",
        f"At least {THAN_BASELINE:.0%} fewer misses than cross entropy and {THAN_BEST:.0%} fewer than the best loss",
        "without anchors, at 1 FA/h (onset: 10), both intervals of both differences clear of zero, and a P50 of",
        f"latency no higher than theirs. The anchor loss is chosen among {', '.join(ANCHOR)} by its misses on dev;",
        "the best of the others by its misses on test, to its favour. Where dev's choice does not meet the aim and",
        "test's own choice would, that is told as hindsight, which proves nothing.",
    ]
    rows = [
        [task, NAMES.get(network, network), sentence(of, _rate(of)) if of else "Not measured yet."]
        for (study, task, network), (of, _) in found.items()
        if study == "main"
    ]
    return [*page, *table(["task", "network", "met?"], rows)]


def _losses(study: str, tree: Tree, found: Found, pictures: Path | None) -> list[str]:
    """A study that changes nothing but the loss."""
    about = tree["studies"][study]
    page = _title(study, about)
    for (name, task, network), (of, left_out) in found.items():
        if name != study:
            continue
        page += [f"### {_named(study, task, network)}", "", *_missing(study, tree, task, network, of)]
        if not of:
            continue
        order = about["losses"]
        of = sorted(of, key=lambda system: order.index(system.loss) if system.loss in order else len(order))
        rate, rates = _rate(of), [point["rate"] for point in of[0].lines[0]["points"]]
        judged = verdict(of, rate)
        page += [_about(of, left_out), *systems_table(of, rates, rate)]
        page += _dev_and_test(of, rate)
        page += [f"Differences at {rate:g} FA/h:"]
        page += differences_table(of, judged.best if judged else None, rate)
        if about.get("tuned"):
            page += _settings(of)
        picture = f"evidence-{study}-{task}-{network}.png"
        if pictures is not None:
            draw_frontier(of, rate, pictures / picture)
        page += [f"![Misses by deadline, {task}, {network}](pictures/{picture})", ""]
    return page


def _dev_and_test(of: Sequence[System], rate: float) -> list[str]:
    """Whether dev, by which epochs and settings are chosen, knows what test will say."""
    seeds = [system for system in of if len(system.lines) > 1]
    trainings = sum(len(system.lines) for system in seeds)
    if trainings < _MANY:
        return []
    (dev, dev_p), (epoch, epoch_p) = (
        rank_correlation(seeds, rate, name) for name in ("dev_miss_rate", "best_epoch")
    )
    return [
        f"Within a loss ({trainings} trainings) the misses at {rate:g} FA/h go with the miss rate on dev by a rank "
        f"correlation of {dev:.2f} (p = {dev_p:.2g}), and with the epoch that was kept by {epoch:.2f} "
        f"(p = {epoch_p:.2g}).",
        "",
    ]


def _title(study: str, about: Tree) -> list[str]:
    title = _TITLES.get(study) or study.replace("ablation-", "Ablation: ").capitalize()
    return [f"## {title}", "", f"{about['about'][0].upper()}{about['about'][1:]}.", ""]


def _named(study: str, task: str, network: str) -> str:
    """A heading that no other study has."""
    name = f"{task.capitalize()}, {NAMES.get(network, network)}"
    return name if study == "main" else f"{name}: {study.removeprefix('ablation-')}"


def _settings(of: Sequence[System]) -> list[str]:
    """What each loss was trained with."""
    rows = [
        [
            system.loss,
            told(
                {
                    "learning_rate": line["learning_rate"],
                    **line["loss_options"],
                    **line.get("label_widths", {}),
                }
            ),
        ]
        for system in of
        for line in system.lines[:1]
    ]
    return ["Settings:", *table(["loss", "settings"], rows)]


def _power(found: Found) -> list[str]:
    page = [
        "## How many seeds it takes",
        "",
        "From how much the difference between an anchor loss and cross entropy varies with the seed (paired, at the",
        "rates of the aim): the seeds with which a t-test at 5% sees a difference of so many points four times in",
        "five. More seeds do not narrow the interval over speakers: that takes other speakers.",
    ]
    rows = []
    for (study, task, network), (of, _) in found.items():
        baseline = next((system for system in of if system.loss == BASELINE), None)
        for system in of if study == "main" and baseline else ():
            change = paired(system, baseline, _rate(of)) if system.loss in ANCHOR else None
            if change is not None and change.spread is not None:
                rows.append(
                    power_row(f"{task}, {NAMES.get(network, network)}, {system.loss} less {BASELINE}", change)
                )
    if not rows:
        return [*page, "", "Missing: no two losses with two seeds in common.", ""]
    head = [
        "difference",
        "seeds so far",
        "standard deviation, points",
        *(f"{100 * d:g} points" for d in DIFFERENCES),
    ]
    return [*page, *table(head, rows)]


def _variants(study: str, tree: Tree, found: Found, pictures: Path | None) -> list[str]:
    """A study that changes more than the loss."""
    about = tree["studies"][study]
    page = _title(study, about)
    for (name, task, network), (of, left_out) in found.items():
        if name != study:
            continue
        missing = _missing(study, tree, task, network, of)
        if not of:
            page += missing
            continue
        rate = _rate(of)
        of = sorted(of, key=lambda system: about["losses"].index(system.loss))
        page += [f"### {_named(study, task, network)}", "", *missing]
        page += [_about(of, left_out), *variants_table(of, rate)]
        if reference := about.get("reference"):
            page += [
                f"Differences at {rate:g} FA/h to {told(reference)}:",
                *reference_table(of, reference, rate),
            ]
        picture = f"evidence-{study}-{task}-{network}.png"
        if study in _AXES and pictures is not None:
            axis, log = _AXES[study]
            draw_line(of, rate, pictures / picture, axis, log=log)
        elif study in _HEAT and pictures is not None:
            draw_heat_map(of, rate, pictures / picture, *_HEAT[study])
        if study in {*_AXES, *_HEAT}:
            page += [f"![{_named(study, task, network)}](pictures/{picture})", ""]
    return page


def _missing(study: str, tree: Tree, task: str, network: str, of: Sequence[System]) -> list[str]:
    """What a study's plan has and its results do not, and the command that makes it."""
    wanted = expected(tree, study, network)
    there = Counter(system.loss for system in of for _ in system.lines)
    lacking = {loss: count - there[loss] for loss, count in wanted.items() if count > there[loss]}
    if not lacking:
        return []
    motion = " --motion WRISTS" if task == "trigger" else ""
    command = f"python benchmarks/evidence/train.py {study} --data DIR --out RUNS"
    command += f" --tasks {task} --networks {network}{motion}"
    missing = f"Missing: {sum(lacking.values())} of {sum(wanted.values())} trainings on {task} with {network}"
    which = ", ".join(f"{loss} {count}" for loss, count in lacking.items()) if of else "all"
    return [f"{missing} ({which}); `{command}` makes them.", ""]


def _about(of: Sequence[System], left_out: int) -> str:
    lines, streams = [line for system in of for line in system.lines], streams_of(of)
    line = lines[0]
    speakers = {name for one in streams for name in one["speakers"]}
    speech = f"{sum(one['recordings'] for one in streams)} recordings of {len(speakers)} speakers"
    labels = line["labels"]
    each = f", over {len(labels)} labels, each judged by itself: rates are of each" if len(labels) > 1 else ""
    commits = ", ".join(sorted({str(one["commit"]) for one in lines}))
    hours = f"{sum(one['hours'] for one in streams):.2f} h without an event{each}"
    split = f"{line['split']} split" if len(streams) == 1 else f"{len(streams)} folds"
    said = (
        f"{sum(sum(one['events']) for one in streams)} events ({speech}), {hours}; "
        f"{split}, noise at {line['snr_db']:g} dB; "
        f"{line['epochs']} epochs; {_range(one['parameters'] for one in lines)} parameters; "
        f"seeds {_range(one['seed'] for one in lines)}; measured {_range(one['date'] for one in lines)}, "
        f"commit {commits}."
    )
    if (least := smallest_p_value(len(speakers))) > 0.01:
        said += f" So few speakers give p = {least:.2f} at least, and intervals that are rather too narrow."
    if line["motion"]:
        said += f" **Simulated motion** over recordings of wrists ({line['motion']})."
    elif line["task"] == "trigger":
        said += " **Simulated motion**."
    return said + (f" {left_out} line(s) of earlier settings are not shown." if left_out else "")


def _range(values: Any) -> str:  # noqa: ANN401
    unique = sorted(set(values))
    ends = [f"{end:,}" if isinstance(end, int) else end for end in (unique[0], unique[-1])]
    return ends[0] if len(unique) == 1 else f"{ends[0]} to {ends[1]}"


def _rate(of: Sequence[System]) -> float:
    """The rate of the aim: 1 false alarm per hour, or the least that the task reports."""
    rates = [point["rate"] for point in of[0].lines[0]["points"]]
    return 1.0 if 1.0 in rates else min(rates)


if __name__ == "__main__":
    sys.exit(main())
