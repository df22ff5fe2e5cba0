"""The models that ship with the package, by name: no torch, and nothing beyond the standard library."""

from anchorstream.shipped.card import Card, CardError, read_card
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
    "Card",
    "CardError",
    "UnknownModelError",
    "model_path",
    "read_card",
    "shipped_cards",
    "shipped_names",
    "weights_path",
]
