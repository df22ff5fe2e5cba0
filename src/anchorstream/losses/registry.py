"""Losses by name, as recipes and the command line ask for them."""

from __future__ import annotations

import inspect
from typing import NamedTuple

from anchorstream.losses._module import FrameLoss
from anchorstream.losses.cross_entropy import FrameCrossEntropy
from anchorstream.losses.end_frame import EndFrameLoss
from anchorstream.losses.focal import FocalLoss
from anchorstream.losses.max_pooling import MaxPoolingLoss
from anchorstream.losses.smoothed_max_pooling import SmoothedMaxPoolingLoss
from anchorstream.losses.streaming_anchor import StreamingAnchorLoss


class _Entry(NamedTuple):
    """A class, the options that the name fixes, those without effect under it, and those that it needs."""

    loss: type[FrameLoss]
    fixed: dict[str, object] = {}  # noqa: RUF012 - a NamedTuple's default, never changed
    without_effect: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


_LOSSES = {
    "sal": _Entry(StreamingAnchorLoss, {"focal": None}, ("gamma", "focal_weight")),
    "sa+fl": _Entry(StreamingAnchorLoss, {"focal": "add"}),
    "safl": _Entry(StreamingAnchorLoss, {"focal": "multiply"}, ("focal_weight",)),
    "ce": _Entry(FrameCrossEntropy, {"class_weight": None}),
    "wce": _Entry(FrameCrossEntropy, needed=("class_weight",)),
    "focal": _Entry(FocalLoss),
    "end-frame": _Entry(EndFrameLoss),
    "max-pool": _Entry(MaxPoolingLoss),
    "smoothed-max-pool": _Entry(SmoothedMaxPoolingLoss),
}

LOSS_NAMES: tuple[str, ...] = tuple(_LOSSES)


def build(name: str, **options: object) -> FrameLoss:
    """Makes the loss of that name.

    Args:
        name: one of ``LOSS_NAMES``.
        options: as :func:`loss_options` lists them.

    Returns:
        A module, called as ``loss(logits, targets, anchors=None, valid=None)``.

    Raises:
        ValueError: if there is no loss of that name, or an option is out of range.
        TypeError: if the loss has no such option, or one that it needs is missing.

    Example:
        >>> build("safl", peak=5.0, gamma=1.0).focal
        'multiply'
    """
    known = loss_options(name)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(
            f"loss {name!r} has no option {', '.join(unknown)}; its options are {', '.join(known)}"
        )
    entry = _LOSSES[name]
    missing = [option for option in entry.needed if options.get(option) is None]
    if missing:
        raise TypeError(f"loss {name!r} needs the option {', '.join(missing)}")
    return entry.loss(**entry.fixed, **options)  # type: ignore[arg-type]


def loss_options(name: str) -> dict[str, object]:
    """The options of a loss that have an effect under its name, with their defaults.

    Raises:
        ValueError: if there is no loss of that name.

    Example:
        >>> loss_options("focal")["gamma"]
        2.0
    """
    if name not in _LOSSES:
        raise ValueError(f"there is no loss {name!r}; there are {', '.join(LOSS_NAMES)}")
    entry = _LOSSES[name]
    hidden = {*entry.fixed, *entry.without_effect}
    parameters = inspect.signature(entry.loss).parameters
    return {option: parameter.default for option, parameter in parameters.items() if option not in hidden}
