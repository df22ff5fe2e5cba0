"""Normalisation of the features by fixed statistics of the training data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# A band that hardly varies in the training data must not be blown up into noise.
_SMALLEST_STD = 1e-2


class BandNormalisation(nn.Module):
    """``(x - mean) / std`` for each band, with statistics that are set once and saved with the network.

    Running statistics of the live signal would make an output depend on when the stream was started; these do
    not. Until :meth:`fit` they are 0 and 1.

    Args:
        bands: features of a frame.

    Example:
        >>> normalise = BandNormalisation(2)
        >>> normalise.fit(torch.tensor([[[1.0, 10.0], [3.0, 30.0]]]))
        >>> normalise(torch.tensor([[[2.0, 30.0]]]))
        tensor([[[0., 1.]]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bands))
        self.register_buffer("std", torch.ones(bands))

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Sets the statistics from training features (B, T, bands).

        Raises:
            ValueError: if the shape does not fit, or the features hold no frame or a value that is not
                finite.
        """
        bands = len(self.mean)
        if features.dim() != 3 or features.shape[2] != bands or features.numel() == 0:
            raise ValueError(
                f"expected features (B, T, {bands}) with frames in them, got {tuple(features.shape)}"
            )
        if not torch.isfinite(features).all():
            raise ValueError(
                "the features hold NaN or infinite values; remove the recordings that they come from"
            )
        frames = features.reshape(-1, bands).double()
        self.mean.copy_(frames.mean(dim=0))
        self.std.copy_(frames.std(dim=0, correction=0).clamp_min(_SMALLEST_STD))

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (B, T, bands)."""
        return (x - self.mean) / self.std
