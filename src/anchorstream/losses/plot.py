"""A picture of the temporal weight: what a configuration does to a sequence, before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anchorstream.losses.streaming_anchor import StreamingAnchorLoss
from anchorstream.losses.weight import decay_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_weight(
    loss: StreamingAnchorLoss,
    targets: Tensor | None = None,
    anchors: Tensor | None = None,
    *,
    density: Tensor | None = None,
    row: int = 0,
    label: str | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draws the temporal weight over time.

    Args:
        loss: the configuration.
        targets: as the loss takes them: draws one row of a batch, its events shaded. ``None`` draws the weight
            around one anchor.
        anchors: as the loss takes them.
        density: as the loss takes it.
        row: which sequence of the batch.
        label: the line's name in a legend.
        axes: where to draw; ``None`` makes a new figure.

    Returns:
        The axes; ``axes.figure.savefig("weight.png")`` keeps the picture.

    Raises:
        ImportError: if matplotlib is missing.
        ValueError: if ``loss`` differs between classes and no targets are given.

    Example:
        >>> axes = plot_weight(StreamingAnchorLoss(scale=0.2, scale_after=0.05, frame_rate_hz=100.0))
        >>> axes.get_xlabel()
        'seconds from the anchor'
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plot_weight needs matplotlib: pip install 'anchorstream[plot]'") from error
    axes = Figure(figsize=(7, 3), layout="constrained").add_subplot() if axes is None else axes
    rate = loss.frame_rate_hz
    unit = "frames" if rate is None else "seconds"
    if targets is None:
        reach, weight = _around_one_anchor(loss)
        frames = torch.arange(-reach, reach + 1)
        axes.set_xlabel(f"{unit} from the anchor")
    else:
        weight = _as_columns(loss, loss.weight(targets, anchors, density=density)[row])
        frames = torch.arange(len(weight))
        axes.set_xlabel(unit)
        _shade_events(axes, loss, targets[row], rate)
    times = (frames if rate is None else frames / rate).tolist()
    for column in range(weight.shape[1]):
        name = label if weight.shape[1] == 1 else f"{label or 'output'} {column}"
        axes.plot(times, weight[:, column].tolist(), label=name)
    axes.set_ylabel("weight")
    axes.set_ylim(bottom=0)
    axes.set_xlim(times[0], times[-1])
    return axes


def _around_one_anchor(loss: StreamingAnchorLoss) -> tuple[int, Tensor]:
    """How many frames are drawn on each side, and their weight as one column."""
    if loss.weight_options.by_class:
        raise ValueError(
            "peak or scale differ between classes: give targets, so that each anchor has its class"
        )
    decay = decay_of(loss.weight_options)
    reach = max(2, round(4 * max(float(decay.before), float(decay.after or 0.0))))
    targets = torch.zeros(1, 2 * reach + 1, dtype=torch.long)
    if loss.multi_label:
        targets = targets.unsqueeze(loss.class_dim)
    weight = loss.weight(targets, torch.tensor([[reach]]))
    return reach, _as_columns(loss, weight[0])


def _as_columns(loss: StreamingAnchorLoss, weight: Tensor) -> Tensor:
    """(T, outputs)."""
    if weight.ndim == 1:
        return weight.unsqueeze(-1)
    return weight.T if loss.class_dim == 1 else weight


def _shade_events(axes: Axes, loss: StreamingAnchorLoss, targets: Tensor, rate: float | None) -> None:
    if targets.ndim == 2:
        columns = _as_columns(loss, targets)
        # Soft targets of a softmax have a column for the background.
        targets = columns.amax(dim=-1) if loss.multi_label else 1 - columns[:, 0]
    event = targets > 0.5 if targets.is_floating_point() else targets > 0
    edges = (
        torch.diff(event.int(), prepend=torch.zeros(1), append=torch.zeros(1)).nonzero().flatten().tolist()
    )
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        scale = 1.0 if rate is None else rate
        axes.axvspan((begin - 0.5) / scale, (end - 0.5) / scale, alpha=0.12, linewidth=0)
