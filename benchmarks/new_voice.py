"""How much a few recordings of a voice help that a model never heard: trained on from it, scored on the voice's others.

    python benchmarks/new_voice.py RUN --speaker NAME --out DIR

RUN was trained on recordings with a manifest in which everything of the speaker is in test, such as a fold of
`benchmarks/evidence/train.py folds`. The first recordings of each keyword, as many as the largest of the counts, are
taken out of test for all, so that every training is scored on the same streams. So many of each are added to the
training, which goes on from RUN for a few epochs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anchorstream.compare.evaluation import ScoredRun, score_run
from anchorstream.data.manifest import MANIFEST_NAME, Recording, read_manifest, write_manifest
from anchorstream.train.corpus import corpus_of, scored_streams
from anchorstream.train.run import Run, open_run
from anchorstream.train.scoring import FeatureStreams
from anchorstream.train.training import train

SNR_DB = 10.0


def with_voice(data: Path, folder: Path, speaker: str, count: int, most: int) -> None:
    """Links the recordings, with ``count`` of each keyword of the speaker in train and ``most`` of them not in test."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings = read_manifest(data / MANIFEST_NAME)
    for name in {Path(one.path).parts[0] for one in recordings}:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to((data / name).resolve())
    seen: Counter[str] = Counter()
    divided: list[Recording] = []
    for one in sorted(recordings, key=lambda one: one.path):
        if one.speaker != speaker or one.kind != "keyword":
            divided.append(one)
            continue
        seen[one.label] += 1
        if seen[one.label] <= count:
            # Under another name: a manifest has each speaker in one split.
            divided.append(replace(one, split="train", speaker=f"{speaker} enrolled"))
        elif seen[one.label] > most:
            divided.append(one)
    write_manifest(folder / MANIFEST_NAME, divided)


def misses(scored: ScoredRun, rate: float, speaker: str) -> dict[str, tuple[int, int]]:
    """Missed and spoken keywords of the speaker, and of everybody else, at a rate of false alarms for each label."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for curve in scored.curves.values():
        late_s = curve.latencies_s[:, curve.index_at_false_alarms_per_hour(rate)]
        for event, late in zip(curve.events, late_s, strict=True):
            of = counts["the speaker" if event.speaker == speaker else "others"]
            of[0] += int(np.isnan(late))
            of[1] += 1
    return {who: (missed, spoken) for who, (missed, spoken) in counts.items()}


def measure(base: Run, args: argparse.Namespace) -> list[dict[str, object]]:
    """The rows of the run as it is, and those of each count; trained on with none is what more epochs alone do."""
    rows = []
    for count in [None, *args.counts]:
        data = args.out / f"with-{count or 0}"
        with_voice(Path(base.config.data), data, args.speaker, count or 0, max(args.counts))
        config = base.config.model_copy(
            update={
                "data": str(data),
                "start_from": str(base.folder),
                "optimiser": base.config.optimiser.model_copy(
                    update={
                        "epochs": args.epochs,
                        "patience": args.epochs,
                        "learning_rate": args.learning_rate,
                    }
                ),
            }
        )
        corpus = corpus_of(config)
        run = base if count is None else train(config, args.out / f"run-{count}", corpus=corpus)
        streams = scored_streams(config, corpus, "test", snr_db=SNR_DB, hours=args.hours)
        scored = score_run(run, FeatureStreams(run.model(), config.task, streams))
        for rate in config.task.reporting.headline_rates:
            rows.append({"recordings": count, "rate": rate, **misses(scored, rate, args.speaker)})
            print(_told(rows[-1]), flush=True)
    return rows


def _told(row: dict[str, object]) -> str:
    parts = []
    for who in ("the speaker", "others"):
        missed, spoken = row.get(who, (0, 0))
        parts.append(f"{missed} of {spoken} of {who} ({missed / max(1, spoken):.1%})")
    count = row["recordings"]
    way = "as it is" if count is None else f"trained on with {count} of each keyword"
    return f"{way}, {row['rate']:g} FA/h: missed {'; '.join(parts)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Reads the arguments, trains, scores, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="what is trained on from")
    parser.add_argument("--speaker", required=True, metavar="NAME", help="who is in test alone")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where trainings are kept")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[0, 1, 3, 5], metavar="N", help="default: 0 1 3 5"
    )
    parser.add_argument("--epochs", type=int, default=6, metavar="N", help="default: 6")
    parser.add_argument("--learning-rate", type=float, default=0.003, metavar="X", help="default: 0.003")
    parser.add_argument("--hours", type=float, default=2.0, metavar="H", help="of streams (default: 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    args = parser.parse_args(argv)
    base = open_run(args.run)
    if not base.finished:
        sys.exit(f"{args.run} holds a run that has not finished")
    rows = measure(base, args)
    if args.json:
        print(json.dumps({"run": args.run.name, "speaker": args.speaker, "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
