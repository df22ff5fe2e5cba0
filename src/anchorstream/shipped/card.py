"""The card of a model that ships, as a machine reads it: ``NAME.json`` beside its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The version of the form of a card.
SCHEMA = 1


class CardError(ValueError):
    """A card that cannot be read, or that is not that of its files; the message says which and why."""


@dataclass(frozen=True)
class Card:
    """What is known of a model.

    Attributes:
        name: by which it is opened.
        labels: what it detects.
        summary: one sentence.
        files: for each file beside the card its ``bytes`` and ``sha256``.
        values: all of the card, these among it; ``NAME.md`` beside it says the same in words.
    """

    name: str
    labels: tuple[str, ...]
    summary: str
    files: Mapping[str, Mapping[str, Any]]
    values: Mapping[str, Any]

    @property
    def size_bytes(self) -> int:
        """Of all its files together."""
        return sum(int(about["bytes"]) for about in self.files.values())

    def check_files(self, folder: Path) -> None:
        """Compares the files in ``folder`` with what the card says of them.

        Raises:
            CardError: with the first file that is not there, or is another one.
        """
        for name, about in self.files.items():
            path = folder / name
            if not path.is_file():
                raise CardError(f"{path} is not there, and the card of {self.name!r} tells of it")
            if fingerprint(path) != dict(about):
                raise CardError(
                    f"{path} is not the file that the card of {self.name!r} was written for; install the package "
                    "again, or, if the model was made anew, write its card anew"
                )


def fingerprint(path: Path) -> dict[str, Any]:
    """``bytes`` and ``sha256`` of a file, as a card notes them."""
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def read_card(path: Path) -> Card:
    """Reads ``NAME.json``.

    Raises:
        CardError: if it is no card of this version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["schema"] != SCHEMA:
            raise CardError(f"{path} has the schema {values['schema']!r}, expected {SCHEMA}")
        return Card(values["name"], tuple(values["labels"]), values["summary"], dict(values["files"]), values)
    except CardError:
        raise
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CardError(f"{path} is no card of a model: {type(error).__name__}: {error}") from error
