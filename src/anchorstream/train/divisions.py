"""Which recording is in which split, kept with a run: what is added must not move what it has learnt from."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path

from anchorstream.data.beside import is_synthetic
from anchorstream.data.clip import SPLITS, Split
from anchorstream.data.corpus import Corpus
from anchorstream.data.manifest import MANIFEST_NAME
from anchorstream.train.config import SYNTHETIC, Config
from anchorstream.train.run import write_beside

#: Within a run's folder.
SPLITS_FILE = "splits.json"

# Splitting anew would test on what has been trained on.
_REPAIR = "bring it back from a copy, or train into another folder"


def known_splits(folder: Path, config: Config) -> Mapping[str, Split]:
    """The split of each recording, by path, that a run has been trained with: itself, or what it begins with.

    Raises:
        ValueError: if the file that says so is damaged.
    """
    sources = [folder] if config.start_from is None else [folder, Path(config.start_from)]
    for source in sources:
        if (source / SPLITS_FILE).is_file():
            return _read(source / SPLITS_FILE)
    return {}


def keep_splits(folder: Path, config: Config, corpus: Corpus) -> None:
    """Notes in the run's folder in which split each recording is, where no manifest says so."""
    if config.data == SYNTHETIC or (Path(config.data).expanduser() / MANIFEST_NAME).exists():
        return
    splits = {
        **known_splits(folder, config),
        **{clip.id: clip.split for clip in corpus.clips if not is_synthetic(clip.id)},
    }
    write_beside(folder / SPLITS_FILE, json.dumps(splits, indent=0))


def _read(path: Path) -> dict[str, Split]:
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(splits, dict):
            raise ValueError(f"expected an object of JSON, got {reprlib.repr(splits)}")
        for name, split in splits.items():
            if split not in SPLITS:
                raise ValueError(f"{name} is in {reprlib.repr(split)}, expected one of {', '.join(SPLITS)}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}; {_REPAIR}") from error
    return splits
