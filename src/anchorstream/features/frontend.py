"""The log-mel features as a torch module: for training, for steps on a live signal, and for export."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from anchorstream.features.logmel import LogMelSettings, folded_transform, mel_filterbank, used_bins

#: The name of the front end's only state.
PCM_TAIL = "pcm_tail"

# Frames that are computed at a time in the whole pass: their intermediate results stay in the processor's
# cache. Measured on one thread, 64 x 8 s: about 4,000 s of audio per CPU second, 1,400 without the pieces.
_PIECE_FRAMES = 800


class LogMel(nn.Module):
    """Log-mel features of a signal; :mod:`anchorstream.features.logmel` has the definition.

    It holds the contract of a streaming module: ``forward`` takes a whole signal, ``step`` any whole number
    of hops and the state that the step before returned. Its constants follow from the settings and are not in
    its state dict.

    Args:
        settings: what to compute.

    Example:
        >>> frontend = LogMel()
        >>> frontend(torch.zeros(1, 16_000)).shape
        torch.Size([1, 100, 40])
    """

    even: Tensor
    odd: Tensor
    mel: Tensor

    def __init__(self, settings: LogMelSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or LogMelSettings()
        even, odd = folded_transform(settings)
        mel = mel_filterbank(settings)[used_bins(settings)]
        for name, constant in (("even", even), ("odd", odd), ("mel", mel)):
            self.register_buffer(name, torch.from_numpy(constant.astype(np.float32)), persistent=False)
        # A frame ends with a hop and reaches back over this many.
        self._hops_per_frame = -(-settings.window_samples // settings.hop_samples)

    def init_state(self, batch: int) -> dict[str, Tensor]:
        """The state before the first sample: zeros, whole hops so that the steps need no padding."""
        tail_samples = (self._hops_per_frame - 1) * self.settings.hop_samples
        return {PCM_TAIL: self.mel.new_zeros(batch, tail_samples)}

    def step(self, pcm: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The features of whole hops that follow on ``state``.

        Args:
            pcm: (B, n * hop_samples) float32 in [-1, 1], n >= 1.
            state: from :meth:`init_state` or from the step before; not changed.

        Returns:
            (B, n, bands), and the state for the next step.

        Raises:
            ValueError: if ``pcm`` is no whole number of hops.
        """
        if pcm.shape[-1] % self.settings.hop_samples:
            raise ValueError(
                f"a step takes whole hops: expected a multiple of {self.settings.hop_samples} samples, "
                f"got {pcm.shape[-1]}; keep the rest for the next step"
            )
        signal = torch.cat((state[PCM_TAIL], pcm), dim=1)
        return self._log_mel(signal), {PCM_TAIL: signal[:, signal.shape[1] - state[PCM_TAIL].shape[1] :]}

    def forward(self, pcm: Tensor) -> Tensor:
        """The features of whole signals.

        Args:
            pcm: (B, N) float32 in [-1, 1]; samples after the last whole hop are dropped.

        Returns:
            (B, N // hop_samples, bands).
        """
        hop = self.settings.hop_samples
        batch, frames = pcm.shape[0], pcm.shape[1] // hop
        if batch == 0 or frames == 0:
            return pcm.new_zeros(batch, frames, self.settings.bands)
        tail = self.init_state(batch)[PCM_TAIL]
        signal = torch.cat((tail, pcm[:, : frames * hop]), dim=1)
        rows = self.rows_at_once(frames)
        return torch.cat(
            [
                torch.cat(
                    [
                        self._log_mel(part[:, first * hop : (first + _PIECE_FRAMES) * hop + tail.shape[1]])
                        for first in range(0, frames, _PIECE_FRAMES)
                    ],
                    dim=1,
                )
                for part in torch.split(signal, rows)
            ]
        )

    @staticmethod
    def rows_at_once(frames: int) -> int:
        """How many signals of ``frames`` the whole pass computes together.

        Where it is 1, the features of a signal in a batch are those of the signal alone, to the bit.
        """
        return max(1, _PIECE_FRAMES // frames)

    def _log_mel(self, signal: Tensor) -> Tensor:
        """(B, tail + n * hop_samples) to (B, n, bands)."""
        older = self._hops_per_frame - 1
        hops = signal.reshape(signal.shape[0], -1, self.settings.hop_samples)
        # The hops of each frame side by side. The slices end before the last hops, counted from the end, so
        # that an exported graph needs no arithmetic on shapes.
        by_age = [hops[:, age : age - older or None] for age in range(older + 1)]
        frames = torch.cat(by_age, dim=-1)[..., -self.settings.window_samples :]
        half = self.settings.window_samples // 2
        lower, upper = frames[..., :half].flip(-1), frames[..., half:]
        even, odd = (upper + lower) @ self.even, (upper - lower) @ self.odd
        power = (even * even + odd * odd) @ self.mel
        return power.clamp_min(self.settings.floor).log()
