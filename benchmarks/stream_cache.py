"""What a training costs that mixes its streams, that fills a cache with them, and that reads them from it.

    python benchmarks/stream_cache.py --data DIR task.keywords=[computer] optimiser.epochs=2

Whole trainings of the recipe `keyword` on one thread, in one process that has the clips already, in turns: CPU seconds,
the fastest turn of each, and how much more or less that is for each stream than with mixing. All three end with the
same weights, which is checked.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path

from anchorstream.data.corpus import Corpus
from anchorstream.train.config import SYNTHETIC, Config
from anchorstream.train.config_error import ConfigError
from anchorstream.train.corpus import corpus_of
from anchorstream.train.recipe import load_config
from anchorstream.train.training import train

WAYS = ("mixes", "fills", "reads")


def seconds(config: Config, corpus: Corpus, root: Path) -> dict[str, float]:
    """CPU seconds of a training, in each of the ways."""
    spent, weights = {}, set()
    for way in WAYS:
        began = time.process_time()
        run = train(
            config, root / way, corpus=corpus, stream_cache=None if way == "mixes" else root / "cache"
        )
        spent[way] = time.process_time() - began
        weights.add((run.folder / "model" / "weights.safetensors").read_bytes())
    if len(weights) != 1:
        sys.exit("the weights differ")
    return spent


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="overrides of the recipe `keyword`")
    parser.add_argument("--data", metavar="DIR", help="a folder of recordings (default: synthetic speech)")
    parser.add_argument("--turns", type=int, default=2, help="trainings in each way (default: 2)")
    args = parser.parse_args()
    try:
        config = load_config(
            "keyword", [f"data={args.data or SYNTHETIC}", "optimiser.threads=1", *args.overrides]
        )
    except ConfigError as error:
        sys.exit(str(error))
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    corpus = corpus_of(config)
    turns = []
    for _ in range(args.turns):
        with tempfile.TemporaryDirectory() as folder:
            turns.append(seconds(config, corpus, Path(folder)))
    fastest = {way: min(turn[way] for turn in turns) for way in WAYS}
    settings = config.optimiser
    streams = settings.epochs * settings.streams_per_epoch
    print(f"{config.model.name}, {settings.epochs} epochs of {settings.streams_per_epoch} streams")
    for way, spent in fastest.items():
        more_ms = 1000 * (spent - fastest["mixes"]) / streams
        print(f"{way}: {spent:5.1f} s, {more_ms:+.1f} ms a stream")


if __name__ == "__main__":
    main()
