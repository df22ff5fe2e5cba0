"""The Streaming Anchor Loss family and its baselines: torch only, for any training loop.

Every loss is a function and a Module with the same options, called as ``loss(logits, targets, anchors=None,
valid=None)`` with logits (B, T, K) and targets (B, T), class 0 being the background.
"""

from anchorstream.losses.anchors import (
    ANCHOR_RULES,
    NO_ANCHOR,
    AnchorRule,
    anchor_distance,
    anchor_mask,
    anchors_from_targets,
    frames_of_times,
)
from anchorstream.losses.cross_entropy import FrameCrossEntropy, frame_cross_entropy
from anchorstream.losses.end_frame import EndFrameLoss, end_frame_loss
from anchorstream.losses.focal import FocalLoss, focal_loss
from anchorstream.losses.kernels import KERNEL_NAMES, Kernel, KernelName
from anchorstream.losses.max_pooling import MaxPoolingLoss, max_pooling_loss
from anchorstream.losses.plot import plot_weight
from anchorstream.losses.registry import LOSS_NAMES, build, loss_options
from anchorstream.losses.schedule import LossSchedule, Schedule, constant, cosine, linear
from anchorstream.losses.smoothed_max_pooling import SmoothedMaxPoolingLoss, smoothed_max_pooling_loss
from anchorstream.losses.streaming_anchor import StreamingAnchorLoss, streaming_anchor_loss
from anchorstream.losses.weight import temporal_weight

__all__ = [
    "ANCHOR_RULES",
    "KERNEL_NAMES",
    "LOSS_NAMES",
    "NO_ANCHOR",
    "AnchorRule",
    "EndFrameLoss",
    "FocalLoss",
    "FrameCrossEntropy",
    "Kernel",
    "KernelName",
    "LossSchedule",
    "MaxPoolingLoss",
    "Schedule",
    "SmoothedMaxPoolingLoss",
    "StreamingAnchorLoss",
    "anchor_distance",
    "anchor_mask",
    "anchors_from_targets",
    "build",
    "constant",
    "cosine",
    "end_frame_loss",
    "focal_loss",
    "frame_cross_entropy",
    "frames_of_times",
    "linear",
    "loss_options",
    "max_pooling_loss",
    "plot_weight",
    "smoothed_max_pooling_loss",
    "streaming_anchor_loss",
    "temporal_weight",
]
