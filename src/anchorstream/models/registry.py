"""Networks by name, as recipes and saved models ask for them."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from anchorstream.models.crnn import CRNN
from anchorstream.models.gru import GRUNetwork
from anchorstream.models.lstm import LSTMNetwork
from anchorstream.models.mdtc import MDTC
from anchorstream.models.mixednet import MixedNet
from anchorstream.models.network import FrameNetwork
from anchorstream.models.tcn import DSTCN

#: Every network, by its name.
MODELS: Mapping[str, type[FrameNetwork]] = MappingProxyType(
    {network.name: network for network in (DSTCN, MDTC, MixedNet, GRUNetwork, LSTMNetwork, CRNN)}
)

# More than anyone stacks. A file may ask for any number, and each takes time and memory to make, however small it is.
_MOST_LAYERS = 64


def build_model(name: str, *, bands: int, classes: int, **options: object) -> FrameNetwork:
    """Makes the network of that name.

    Args:
        name: one of ``MODELS``.
        bands: features of a frame.
        classes: logits of a frame.
        options: as :func:`model_options` lists them.

    Raises:
        ValueError: if there is no network of that name, or an option is out of range or no whole number.
        TypeError: if the network has no such option.

    Example:
        >>> build_model("gru", bands=40, classes=2, units=32).options
        {'units': 32, 'layers': 2}
    """
    known = model_options(name)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(
            f"model {name!r} has no option {', '.join(unknown)}; its options are {', '.join(known)}"
        )
    for option, value in options.items():
        _check(f"{option} of {name}", value, known[option])
    return MODELS[name](bands, classes, **options)


def _check(what: str, value: object, like: object) -> None:
    """Whether an option is a whole number, or a list of what its default is a list of."""
    if isinstance(like, Sequence):
        if not isinstance(value, list | tuple) or len(value) > _MOST_LAYERS:
            raise ValueError(f"{what} must be a list of up to {_MOST_LAYERS}, got {reprlib.repr(value)}")
        for item in value:
            _check(f"each item of {what}", item, like[0])
    elif isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{what} must be a whole number, got {reprlib.repr(value)}")


def model_options(name: str) -> dict[str, object]:
    """The options of a network, with their defaults.

    Raises:
        ValueError: if there is no network of that name.

    Example:
        >>> model_options("gru")
        {'units': 64, 'layers': 2}
    """
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; there are {', '.join(MODELS)}")
    parameters = inspect.signature(MODELS[name]).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }
