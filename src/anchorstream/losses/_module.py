"""What the loss modules share: options are stored, shown, saved, and handed to the module's function."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anchorstream.losses._batch import check_label_smoothing
from anchorstream.losses._checks import as_plain
from anchorstream.losses._reduce import check_reduction
from anchorstream.losses._shapes import check_class_dim
from anchorstream.losses.kernels import KERNEL_NAMES


class FrameLoss(nn.Module):
    """A loss over frames, called as ``loss(logits, targets, anchors=None, valid=None)``.

    Every option is an attribute of the same name; changing it takes effect at the next call. Numbers of numpy and torch
    are kept as Python's own. The state dict holds all options, and loading one takes them over; class weights are a
    buffer and follow the module to its device.
    """

    _function: ClassVar[Callable[..., Tensor]]
    _option_names: tuple[str, ...] = ()

    class_weight: Tensor | None
    label_smoothing: float
    ignore_index: int
    multi_label: bool
    reduction: Any
    across_processes: bool
    class_dim: int

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Stores and checks ``options``: the ``locals()`` of a subclass's ``__init__``."""
        super().__init__()
        options = {name: value for name, value in options.items() if name not in ("self", "__class__")}
        self._option_names = tuple(options)
        for name, value in options.items():
            if name == "class_weight":
                self.register_buffer(name, check_class_weight(value))
            else:
                setattr(self, name, value)
        self.check()

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever the option is
        """Keeps an option plain, also one that is changed later, so that state dict, repr and pickle are."""
        plain = name in self._option_names and name != "class_weight"
        super().__setattr__(name, as_plain(value) if plain else value)

    def check(self) -> None:
        """Raises a TypeError or ValueError if an option is wrong; a subclass checks its own too."""
        check_reduction(self.reduction)
        check_class_dim(self.class_dim)
        check_label_smoothing(self.label_smoothing)

    @property
    def options(self) -> dict[str, Any]:
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
        density: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch; ``anchors`` and ``density`` go before the rule for anchors among the options."""
        options = self.options
        rule = options.pop("anchors", None)
        given = rule if anchors is None else anchors
        return type(self)._function(
            logits, targets, given, valid, lengths=lengths, density=density, **options
        )

    def get_extra_state(self) -> dict[str, Any]:
        """Every option but the class weights; of a kernel of one's own, its name, or that of its type."""
        return {
            name: getattr(value, "__name__", type(value).__name__) if callable(value) else value
            for name, value in self.options.items()
            if name != "class_weight"
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Takes the options of a state dict. A kernel of one's own stays: a name does not bring it back.

        Raises:
            ValueError: if the state is that of another loss, or one of its options is out of range; or if it was saved
                with a kernel of one's own, and this loss has none. The loss stays as it was.
        """
        for name, value in self._checked(state).items():
            setattr(self, name, value)

    def _checked(self, state: dict[str, Any]) -> dict[str, Any]:
        """What a state changes."""
        unknown = sorted(set(state) - set(self._option_names))
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no option {', '.join(unknown)}: another loss was saved"
            )
        taken = {name: value for name, value in state.items() if not callable(getattr(self, name))}
        kernel = taken.get("kernel")
        if isinstance(kernel, str) and kernel not in KERNEL_NAMES:
            raise ValueError(
                f"the state was saved with a kernel of one's own, {kernel!r}: construct the loss with the same kernel, "
                "then load the state"
            )
        trial = copy.copy(self)
        vars(trial).update(taken)
        trial.check()
        return taken

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:  # noqa: ANN401
        options = state_dict.get(f"{prefix}_extra_state")
        if options is not None:
            self._checked(
                options
            )  # before torch copies the class weights: a state that is refused changes nothing
        # torch copies into a buffer that is there and fits. Here that is the option's business, as with the others:
        # the state decides whether there are weights, and for how many classes.
        weights = state_dict.get(f"{prefix}class_weight")
        if weights is None:
            if options is not None:
                self.class_weight = None
        elif self.class_weight is None or self.class_weight.shape != weights.shape:
            like = weights if self.class_weight is None else self.class_weight
            self.class_weight = like.new_empty(weights.shape)
        super()._load_from_state_dict(state_dict, prefix, *others)

    def extra_repr(self) -> str:
        """Every option with its value."""
        shown = dict(self.options)
        if self.class_weight is not None:
            shown["class_weight"] = self.class_weight.tolist()
        return ", ".join(f"{name}={getattr(value, '__name__', repr(value))}" for name, value in shown.items())


def check_class_weight(class_weight: Tensor | Sequence[float] | None) -> Tensor | None:
    """The class weights as a tensor: (K,), or (K, 2) for background and event of several outputs.

    Raises:
        ValueError: unless they are finite numbers of at least 0 in one of these shapes.
    """
    if class_weight is None:
        return None
    weights = torch.as_tensor(class_weight, dtype=torch.get_default_dtype())
    shaped = weights.ndim == 1 or (weights.ndim == 2 and weights.shape[1] == 2)
    if not shaped or not bool((torch.isfinite(weights) & (weights >= 0)).all()):
        raise ValueError(f"class_weight must be a list of finite weights of at least 0, got {class_weight!r}")
    return weights
