"""What tuning leaves: ``best.yaml``, ``trials.jsonl``, a picture and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from anchorstream.compare.comparison import provenance
from anchorstream.compare.tuning import TunedLoss
from anchorstream.compare.tuning_page import write_page_of
from anchorstream.train.config import Config
from anchorstream.train.per_loss import TUNED_FILE
from anchorstream.train.run import write_beside

TRIALS_FILE = "trials.jsonl"

_HEAD = """\
# Written by `anchorstream tune` on {date}: the recipe, and in per_loss the settings that were best on dev.
#   anchorstream compare {path} --losses {losses}
#   anchorstream train {path} loss={last}
# tried for each loss, the recipe's own settings among them: {counts}
"""


def write_tuned(out: Path, config: Config, tuned: Sequence[TunedLoss], context: Mapping[str, Any]) -> Path:
    """Writes all files into ``out``, each whole or not at all, and returns the path of the page.

    Args:
        out: the folder.
        config: the recipe.
        tuned: what came of each loss.
        context: what else the page is to say.
    """
    about = {**context, **provenance()}
    path = out / TUNED_FILE
    head = _HEAD.format(
        date=about["date"],
        path=path,
        losses=",".join(one.loss for one in tuned),
        last=tuned[-1].loss,
        counts=", ".join(f"{one.loss} {len(one.tried)}" for one in tuned),
    )
    recipe = yaml.safe_load(config.to_yaml())
    recipe["per_loss"] = {one.loss: one.best.settings for one in tuned}
    write_beside(path, head + str(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)))
    lines = [
        {
            "loss": one.loss,
            "number": tried.number,
            "settings": tried.settings,
            "dev_area": tried.area,
            "dev_area_confirmed": tried.confirmed,
            "dev_miss_rate": tried.miss_rate,
            "best": tried is one.best,
        }
        for one in tuned
        for tried in one.tried
    ]
    write_beside(out / TRIALS_FILE, "".join(json.dumps(line) + "\n" for line in lines))
    return write_page_of(out, tuned, about)
