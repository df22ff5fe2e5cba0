"""The models that ship with the package, by name: no torch, and nothing beyond the standard library."""

from anchorstream.shipped.card import SCHEMA, Card, CardError, fingerprint, read_card
from anchorstream.shipped.lookup import (
    FOLDER,
    UnknownModelError,
    model_path,
    shipped_cards,
    shipped_names,
    weights_path,
)

__all__ = [
    "FOLDER",
    "SCHEMA",
    "Card",
    "CardError",
    "UnknownModelError",
    "fingerprint",
    "model_path",
    "read_card",
    "shipped_cards",
    "shipped_names",
    "weights_path",
]
