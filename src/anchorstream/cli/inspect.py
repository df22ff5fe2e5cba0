"""``anchorstream inspect``: what a recipe trains on, drawn and audible, before anything is trained."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from anchorstream.cli.arguments import add_overrides
from anchorstream.cli.progress import loading_bar

EXAMPLE = """\
examples:
  anchorstream inspect keyword data=my_recordings "task.keywords=[computer]"
  anchorstream inspect trigger data=my_recordings
  anchorstream inspect my_recipe.yaml loss=safl --streams 12 --out look

Draws training streams with their targets, anchors and weights over the spectrogram: a PNG each, and inspect.html with
all of them and a player. Wrong labels are heard and seen here at once; in a trained detector they are not."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or the name of a shipped recipe")
    add_overrides(parser)
    parser.add_argument("--streams", type=int, default=4, metavar="N", help="how many (default: 4)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the pictures go (default: runs/RECIPE-inspect)"
    )
    parser.add_argument("--json", action="store_true", help="print what was drawn as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Mixes the streams that a training begins with, and draws them."""
    from anchorstream.report.inspection import inspected_streams, picture_file, write_inspection
    from anchorstream.train.config_error import ConfigError
    from anchorstream.train.corpus import corpus_of
    from anchorstream.train.recipe import load_config

    if args.streams < 1:
        raise ConfigError(f"--streams must be at least 1, got {args.streams}")
    config = load_config(args.recipe, args.overrides)
    recipe = Path(args.recipe).stem
    folder = args.out or Path("runs") / f"{recipe}-inspect"
    with loading_bar("reading the recordings") as progress:
        corpus = corpus_of(config, progress)
    for remark in corpus.audit.remarks:
        print(f"note: {remark}", file=sys.stderr)
    streams = inspected_streams(config, corpus, args.streams)
    with loading_bar("drawing") as progress:
        page = write_inspection(folder, f"{recipe}, {config.loss}, seed {config.seed}", streams, progress)
    if args.json:
        listed = [
            {
                "picture": str(folder / picture_file(index)),
                "snr_db": item.stream.snr_db,
                "anchors_s": [item.clock.time_of(int(frame)) for frame in item.anchors.nonzero()[0]],
                "said": [segment.label for segment in item.stream.segments],
            }
            for index, item in enumerate(streams)
        ]
        print(json.dumps({"page": str(page), "streams": listed}))
    else:
        plural = "" if len(streams) == 1 else "s"
        print(f"{len(streams)} training stream{plural} drawn: {page}")
    return 0
