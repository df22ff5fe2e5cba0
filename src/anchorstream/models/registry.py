"""Networks by name, as recipes and saved models ask for them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
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


def build_model(name: str, *, bands: int, classes: int, **options: object) -> FrameNetwork:
    """Makes the network of that name.

    Args:
        name: one of ``MODELS``.
        bands: features of a frame.
        classes: logits of a frame.
        options: as :func:`model_options` lists them.

    Raises:
        ValueError: if there is no network of that name, or an option is out of range.
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
    return MODELS[name](bands, classes, **options)


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
