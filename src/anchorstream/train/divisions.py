"""Which recording is in which split, kept with a run: what is added must not move what it has learnt from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from anchorstream.data.clip import Split
from anchorstream.data.corpus import Corpus
from anchorstream.data.manifest import MANIFEST_NAME
from anchorstream.train.config import SYNTHETIC, Config
from anchorstream.train.run import write_beside

#: Within a run's folder.
SPLITS_FILE = "splits.json"


def known_splits(folder: Path, config: Config) -> Mapping[str, Split]:
    """The split of each recording, by path, that a run has been trained with: itself, or what it begins with."""
    sources = [folder] if config.start_from is None else [folder, Path(config.start_from)]
    for source in sources:
        if (source / SPLITS_FILE).is_file():
            splits: dict[str, Split] = json.loads((source / SPLITS_FILE).read_text(encoding="utf-8"))
            return splits
    return {}


def keep_splits(folder: Path, config: Config, corpus: Corpus) -> None:
    """Notes in the run's folder in which split each recording is, where no manifest says so."""
    if config.data == SYNTHETIC or (Path(config.data).expanduser() / MANIFEST_NAME).exists():
        return
    splits = {**known_splits(folder, config), **{clip.id: clip.split for clip in corpus.clips}}
    write_beside(folder / SPLITS_FILE, json.dumps(splits, indent=0))
