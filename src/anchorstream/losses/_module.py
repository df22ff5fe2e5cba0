"""What the loss modules share: options are stored, shown and handed to the module's function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from anchorstream.losses._frames import check_class_dim, check_reduction


class FrameLoss(nn.Module):
    """A loss over frames, called as ``loss(logits, targets, anchors=None, valid=None)``.

    Every option is an attribute of the same name; changing it takes effect at the next call. Class weights
    are a buffer: they follow the module to its device and into its state dict.
    """

    _function: ClassVar[Callable[..., Tensor]]

    class_weight: Tensor | None

    def __init__(self, *, class_weight: Tensor | Sequence[float] | None, **options: object) -> None:
        super().__init__()
        self.register_buffer("class_weight", check_class_weight(class_weight))
        for name, value in options.items():
            setattr(self, name, value)
        self._option_names = (*options, "class_weight")
        check_reduction(self.options["reduction"])  # type: ignore[arg-type]
        check_class_dim(self.options["class_dim"])  # type: ignore[arg-type]

    @property
    def options(self) -> dict[str, object]:
        """The options as they are now."""
        return {name: getattr(self, name) for name in self._option_names}

    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        anchors: Tensor | None = None,
        valid: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch; ``anchors`` go before the rule for anchors among the options."""
        options = self.options
        rule = options.pop("anchors", None)
        given = rule if anchors is None else anchors
        return type(self)._function(logits, targets, given, valid, lengths=lengths, **options)

    def extra_repr(self) -> str:
        """Every option with its value."""
        shown = dict(self.options)
        if self.class_weight is not None:
            shown["class_weight"] = self.class_weight.tolist()
        return ", ".join(f"{name}={getattr(value, '__name__', repr(value))}" for name, value in shown.items())


def check_class_weight(class_weight: Tensor | Sequence[float] | None) -> Tensor | None:
    """The class weights as a tensor (K,).

    Raises:
        ValueError: unless they are a list of finite numbers of at least 0.
    """
    if class_weight is None:
        return None
    weights = torch.as_tensor(class_weight, dtype=torch.get_default_dtype())
    if weights.ndim != 1 or not bool((torch.isfinite(weights) & (weights >= 0)).all()):
        raise ValueError(f"class_weight must be a list of finite weights of at least 0, got {class_weight!r}")
    return weights
