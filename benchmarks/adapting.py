"""What `anchorstream adapt` is worth to a person whom a model misses: scored on the person's other recordings.

    python benchmarks/adapting.py jarvis --data DIR --speaker NAME --out RUNS

The first recordings of the keyword, as many as the largest of the counts, are taken out of what is scored for all
counts. Adapted to are so many of them, and nothing else of the recordings. Misses and false alarms are those at the
threshold of the model, which it keeps, on streams of the recordings of the split: of the person, of everybody else, and
of other speech and noise, none of which the adapted model has heard.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anchorstream.compare.adapting import adapt, adapted_config, count, source_of
from anchorstream.data.corpus import Corpus, load_corpus
from anchorstream.data.mix import EvaluationStreams, evaluation_streams
from anchorstream.train.config import Config
from anchorstream.train.scoring import FeatureStreams

SNR_DB = 10.0


def own_folder(data: Path, folder: Path, ids: Sequence[str]) -> Path:
    """A folder as a user has it: recordings of the keyword alone."""
    positive = folder / "positive"
    positive.mkdir(parents=True, exist_ok=True)
    for clip_id in ids:
        link = positive / Path(clip_id).name
        if not link.is_symlink():
            link.symlink_to((data / clip_id).resolve())
    return folder


def streams_without(config: Config, corpus: Corpus, ids: Sequence[str], hours: float) -> EvaluationStreams:
    """Streams of all recordings but some, at one noise level."""
    kept = [clip for clip in corpus.clips if clip.id not in ids]
    mix = replace(config.task.scored_mix, snr_db=(SNR_DB, SNR_DB))
    return evaluation_streams(kept, targets=config.task.spoken, settings=mix, seed=0, hours=hours)


def main(argv: Sequence[str] | None = None) -> int:
    """Reads the arguments, adapts, scores, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", help="a model that ships, or a run's folder")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="recordings with a manifest")
    parser.add_argument("--speaker", required=True, metavar="NAME", help="who is missed")
    parser.add_argument("--out", required=True, type=Path, metavar="RUNS", help="where trainings are kept")
    parser.add_argument(
        "--split", choices=("dev", "test"), default="dev", help="that of the person (default: dev)"
    )
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[1, 3, 5], metavar="N", help="default: 1 3 5"
    )
    parser.add_argument("--hours", type=float, default=2.0, metavar="H", help="of streams (default: 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="overrides of the recipe")
    args = parser.parse_intermixed_args(argv)
    source = source_of(args.model)
    keywords = source.task["keywords"]
    corpus = load_corpus(args.data, keywords=keywords, splits=[args.split])
    theirs = sorted(
        clip.id for clip in corpus.clips if clip.speaker == args.speaker and clip.label in keywords
    )
    taken = theirs[: max(args.counts)]
    if len(theirs) <= len(taken):
        sys.exit(
            f"{args.speaker} has {len(theirs)} recordings of {', '.join(keywords)} in {args.split}: none would be left"
        )
    config = adapted_config(source, str(args.data), args.overrides)
    streams = FeatureStreams(
        source.detector(), config.task, streams_without(config, corpus, taken, args.hours)
    )
    rows = []
    for number in [0, *args.counts]:
        detector = source.detector()
        if number:
            name = f"{args.model}-{args.speaker}-{number}".replace("/", "-")
            own = own_folder(args.data, args.out / f"{name}-recordings", taken[:number])
            config = adapted_config(source, str(own), args.overrides)
            detector = adapt(source, config, args.out / name, folds=0)[0].model()
        window, theirs_is = config.task.window, lambda event: event.speaker == args.speaker
        row = {"recordings": number, **count(detector, source.decoder, streams, window, theirs_is)}
        rows.append(row)
        print(
            f"{args.model}, {args.speaker}, {number} recordings: missed {row['missed']} of {row['spoken']} "
            f"({row['missed'] / row['spoken']:.1%}); of others {row['others_missed']} of {row['others_spoken']}; "
            f"{row['false_alarms']} false alarms in {args.hours:g} h",
            flush=True,
        )
    if args.json:
        print(json.dumps({"model": args.model, "speaker": args.speaker, "split": args.split, "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
