"""The card of a model as a machine reads it, and the files in which it stands."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tools.ship.choose import dev_misses
from tools.ship.measure import cost, weights_digest
from tools.ship.plan import Planned
from tools.ship.sources import sources, tallies
from tools.ship.words import with_table, words

from anchorstream import __version__
from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.data.corpus import Corpus
from anchorstream.decode import DecoderSettings
from anchorstream.runtime import Session
from anchorstream.shipped import FOLDER, SCHEMA, fingerprint, read_card
from anchorstream.train.run import Run, write_beside

DOCS = Path(__file__).parents[2] / "docs" / "shipped.md"


def card_values(
    model: Planned,
    runs: Sequence[Run],
    run: Run,
    levels: Sequence[Mapping[str, Any]],
    files: Sequence[Path],
    data: str,
    corpus: Corpus,
    extra: Sequence[str] = (),
) -> dict[str, Any]:
    """All that the card says.

    Args:
        model: the plan.
        runs: every training of it.
        run: the one that dev chose.
        levels: what :func:`measure.measured` found at each noise level.
        files: the model files.
        data: the folder of the recordings.
        corpus: its clips.
        extra: overrides beyond the plan, by which the chain was tried.
    """
    summary, config = run.summary or {}, run.config
    reporting = config.task.reporting
    decoder: DecoderSettings = chosen_decoder(run)
    return {
        "schema": SCHEMA,
        "name": model.name,
        "summary": model.summary,
        "task": config.task.name,
        "labels": list(config.task.labels),
        "date": datetime.date.today().isoformat(),
        "files": {path.name: fingerprint(path) for path in files},
        "decoder": decoder.to_dict(),
        "test": {
            "hours": levels[0]["hours"],
            "levels": [{"snr_db": level["snr_db"], "labels": level["labels"]} for level in levels],
        },
        "cost": cost(run, files[0]),
        **quantisation(files),
        "training": {
            "command": " ".join([model.command(config.seed), *extra]),
            "recipe": f"tools/ship/recipes/{model.recipe}.yaml",
            "seed": config.seed,
            "tried": [
                {
                    "seed": one.config.seed,
                    "dev_miss_rate": (one.summary or {})["dev_miss_rate"],
                    "dev_misses": dev_misses(one),
                }
                for one in runs
            ],
            "model": config.model.name,
            "model_options": config.model.options,
            "loss": config.loss,
            "loss_options": config.loss_options,
            "epochs": summary["epochs"],
            "best_epoch": summary["best_epoch"],
            "chosen_rate": reporting.chosen_rate,
            "anchor": reporting.anchor,
            "weights_sha256": weights_digest(run),
            "versions": {
                "anchorstream": __version__,
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in ("torch", "numpy")},
            },
        },
        "data": {"tallies": tallies(corpus), "sources": sources(data, corpus)},
        "limits": list(model.limits),
        "licence": "Apache-2.0",
    }


def quantisation(files: Sequence[Path]) -> dict[str, Any]:
    """What a file of 8-bit weights says of the rounding; nothing where there is none."""
    rounded = next((path for path in files if path.suffix == ".tflite"), None)
    return {} if rounded is None else {"quantisation": Session.open(rounded).contract.quantisation}


def write_card(into: Path, values: Mapping[str, Any]) -> None:
    """``NAME.json``, and the same in words."""
    write_beside(into / f"{values['name']}.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    write_beside(into / f"{values['name']}.md", words(values))


def write_words(into: Path) -> None:
    """The words of every card in ``into``, and, of those that the package holds, the table in the docs."""
    cards = [read_card(path) for path in sorted(into.glob("*.json"))]
    for card in cards:
        write_card(into, card.values)
    if into.resolve() == FOLDER.resolve():
        write_beside(DOCS, with_table(DOCS.read_text(encoding="utf-8"), [card.values for card in cards]))
