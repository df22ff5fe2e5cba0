"""Draws the pictures of docs/losses.md.

    python docs/pictures/make_losses.py

They show what the losses do to one made-up stream, of 3 s at 100 frames a second: an ordinary detector stumbles over a
word that resembles the keyword, then finds the keyword a little late. Nothing is trained.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anchorstream.losses import KERNEL_NAMES, StreamingAnchorLoss, build, plot_weight, temporal_weight
from anchorstream.report.style import MUTED, WIDTH_IN, colour_of, drawing, save

HERE = Path(__file__).parent
RATE_HZ = 100.0
FRAMES = 300
ANCHOR = 200  # the keyword's last frame, where the label of 40 frames begins
LABEL = slice(ANCHOR, ANCHOR + 40)
CONFUSABLE = 90
LOSSES = {
    "cross entropy": ("ce", {}),
    "focal": ("focal", {}),
    "SAL": ("sal", {}),
    "SA+FL": ("sa+fl", {"focal_weight": 5.0}),
    "SAFL": ("safl", {}),
}


def stream() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (1, T) of one sigmoid output, targets (1, T) and the anchor (1, 1)."""
    t = torch.arange(FRAMES, dtype=torch.float64)
    rise = torch.sigmoid((t - ANCHOR - 8) / 4) - torch.sigmoid((t - ANCHOR - 38) / 3)
    logits = -4.0 + 6.5 * rise + 4.5 * torch.exp(-0.5 * ((t - CONFUSABLE) / 8) ** 2)
    targets = torch.zeros(1, FRAMES, dtype=torch.long)
    targets[0, LABEL] = 1
    return logits[None], targets, torch.tensor([[ANCHOR]])


def panels_beside(count: int, height_in: float) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side."""
    figure = Figure(figsize=(WIDTH_IN * 1.5, height_in), layout="constrained")
    return figure, list(figure.subplots(1, count))


def draw_kernels(path: Path) -> None:
    """The weight around one anchor for each kernel; and with a shorter reach after it."""
    figure, panels = panels_beside(2, 3.0)
    for panel, after, title in zip(
        panels, (None, 5.0), ("scale = 20", "scale = 20, scale_after = 5"), strict=True
    ):
        for index, kernel in enumerate(KERNEL_NAMES):
            loss = StreamingAnchorLoss(kernel=kernel, scale=20.0, scale_after=after)
            plot_weight(loss, label=kernel, axes=panel)
            panel.get_lines()[-1].set_color(colour_of(index))
        panel.set_title(title)
        panel.set_ylim(0, 10.5)
    panels[1].set_ylabel("")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels))
    save(figure, path)


def draw_options(path: Path) -> None:
    """What peak, scale and gamma do: the weight for three of each, the focal factor for five gammas."""
    figure, panels = panels_beside(3, 2.7)
    frames = torch.arange(-100, 101)
    for panel, option, values in zip(panels, ("peak", "scale"), ((3, 10, 30), (5, 20, 60)), strict=False):
        for index, value in enumerate(values):
            weight = temporal_weight(torch.tensor([100]), len(frames), **{option: float(value)})
            panel.plot(frames, weight, color=colour_of(index), label=f"{option} {value}")
        panel.set_xlabel("frames from the anchor")
        panel.set_xlim(-100, 100)
        panel.set_ylim(0, 31)
        panel.legend(loc="upper right", fontsize=9)
    panels[0].set_ylabel("weight")
    focal = panels[2]
    p = np.linspace(0, 1, 200)
    for index, gamma in enumerate((0.0, 0.5, 1.0, 2.0, 5.0)):
        focal.plot(p, (1 - p) ** gamma, color=colour_of(index), label=f"gamma {gamma:g}")
    focal.set_xlabel("probability of the target")
    focal.set_ylabel("focal factor")
    focal.set_ylim(0, 1.6)
    focal.set_yticks([0, 0.25, 0.5, 0.75, 1])
    focal.legend(loc="upper center", fontsize=9, ncols=2)
    save(figure, path)


def draw_gradients(path: Path) -> None:
    """The posterior of the stream, and below it how strongly each loss pulls at each frame."""
    logits, targets, anchors = stream()
    times = np.arange(FRAMES) / RATE_HZ
    figure = Figure(figsize=(WIDTH_IN * 1.5, 6.0), layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[1, 1.5, 1.5])
    above.plot(times, logits[0].sigmoid(), color=MUTED)
    above.set_ylabel("posterior")
    above.set_ylim(0, 1)
    above.annotate("sounds alike", (CONFUSABLE / RATE_HZ, 0.66), ha="center", color=MUTED)
    for index, (name, (loss_name, options)) in enumerate(LOSSES.items()):
        leaf = logits.clone().requires_grad_()
        build(loss_name, reduction="sum", **options)(leaf, targets, anchors).backward()
        pull = -leaf.grad[0].numpy()
        middle.plot(times, pull, color=colour_of(index), label=name)
        below.plot(times, np.cumsum(np.abs(pull)) / np.abs(pull).sum(), color=colour_of(index))
    middle.set_ylabel("pull at the logit")
    middle.axhline(0, color=MUTED, linewidth=0.8)
    below.set_ylabel("share of all pull so far")
    below.set_xlabel("seconds")
    below.set_ylim(0, 1)
    for panel in (above, middle, below):
        panel.axvspan(LABEL.start / RATE_HZ, LABEL.stop / RATE_HZ, color=MUTED, alpha=0.12, linewidth=0)
        panel.axvline(ANCHOR / RATE_HZ, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        panel.set_xlim(0, FRAMES / RATE_HZ)
    handles, labels = middle.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels))
    save(figure, path)


def main() -> None:
    """Draws all three."""
    with drawing():
        draw_kernels(HERE / "loss_kernels.png")
        draw_options(HERE / "loss_options.png")
        draw_gradients(HERE / "loss_gradients.png")


if __name__ == "__main__":
    main()
