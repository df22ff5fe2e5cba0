"""What the two pooling losses share: which frame of an event is trained, and the loss of those that are."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorstream.losses._batch import Batch
from anchorstream.losses._cross_entropy import weight_of_class
from anchorstream.losses._reduce import Reduction, reduce
from anchorstream.losses.anchors import boundaries


def pooled(
    cost: Tensor, trained: Tensor, batch: Batch, reduction: Reduction, *, across_processes: bool
) -> Tensor:
    """Class-weighted costs (B, T) of the frames that are trained, bool (B, T), reduced."""
    weight = batch.only_counted(trained.to(cost.dtype))
    of_class = weight_of_class(batch)
    return reduce(
        weight * cost,
        weight if of_class is None else weight * of_class,
        batch,
        reduction,
        across_processes=across_processes,
    )


@torch.no_grad()
def best_frames(cost: Tensor, labels: Tensor) -> Tensor:
    """Marks all of the background and the first frame with the lowest cost of every event.

    Args:
        cost: (B, T) costs.
        labels: (B, T) class indices, 0 = background.

    Returns:
        (B, T) bool.
    """
    batch, num_frames = labels.shape
    event = labels != 0
    begins = boundaries(labels, "onset")
    # Events are numbered from 1 on in each row; 0 collects the background.
    event_id = torch.where(event, begins.cumsum(dim=-1), 0)
    lowest = cost.new_full((batch, num_frames + 1), torch.inf)
    lowest = lowest.scatter_reduce(1, event_id, cost, "amin").gather(1, event_id)
    frame = torch.arange(num_frames, device=labels.device).expand(batch, -1)
    first = frame.new_full((batch, num_frames + 1), num_frames)
    first = first.scatter_reduce(1, event_id, torch.where(cost == lowest, frame, num_frames), "amin")
    return ~event | (frame == first.gather(1, event_id))
