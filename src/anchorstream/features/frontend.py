"""The log-mel features as a torch module: for training, for steps on a live signal, and for export."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from anchorstream.features.factored import factored_transform
from anchorstream.features.logmel import LogMelSettings, hann_window, mel_filterbank

#: The name of the front end's only state.
PCM_TAIL = "pcm_tail"

# Frames that are computed at a time in the whole pass: their intermediate results stay in the processor's
# cache. Measured on one thread, 64 x 8 s: about 8,000 s of audio per CPU second, 2,300 without the pieces.
_PIECE_FRAMES = 800


class LogMel(nn.Module):
    """Log-mel features of a signal; :mod:`anchorstream.features.logmel` has the definition.

    It holds the contract of a streaming module: ``forward`` takes a whole signal, ``step`` any whole number
    of hops and the state that the step before returned. Its constants follow from the settings and are not in
    its state dict.

    The whole pass takes the transform of each frame by torch's FFT, which trains fastest; a step by two small products
    (:mod:`anchorstream.features.factored`), which any device computes and which take no room in a file. They differ
    as float32 sums in another order do.

    Args:
        settings: what to compute.

    Example:
        >>> frontend = LogMel()
        >>> frontend(torch.zeros(1, 16_000)).shape
        torch.Size([1, 100, 40])
    """

    window: Tensor
    mel: Tensor
    step_window: Tensor
    along_rows: Tensor
    turn: Tensor
    real: Tensor
    imaginary: Tensor
    step_mel: Tensor
    floor: Tensor

    def __init__(self, settings: LogMelSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or LogMelSettings()
        factored = factored_transform(settings)
        self._rows, self._columns = factored.rows, factored.columns
        constants = {
            "window": hann_window(settings),
            "mel": mel_filterbank(settings),
            "step_window": factored.window,
            "along_rows": factored.along_rows,
            "turn": factored.turn,
            "real": factored.real,
            "imaginary": factored.imaginary,
            "step_mel": factored.mel,
            "floor": settings.floor,
        }
        for name, constant in constants.items():
            values = torch.from_numpy(np.ascontiguousarray(constant, dtype=np.float32))
            self.register_buffer(name, values, persistent=False)
        # A frame ends with a hop and reaches back over this many.
        self._hops_per_frame = -(-settings.window_samples // settings.hop_samples)

    def init_state(self, batch: int) -> dict[str, Tensor]:
        """The state before the first sample: zeros, whole hops so that the steps need no padding.

        None where a window is no longer than a hop.
        """
        return {PCM_TAIL: self._silence(batch)} if self._tail_samples else {}

    @property
    def _tail_samples(self) -> int:
        return (self._hops_per_frame - 1) * self.settings.hop_samples

    def _silence(self, batch: int) -> Tensor:
        return self.mel.new_zeros(batch, self._tail_samples)

    def step(self, pcm: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The features of whole hops that follow on ``state``.

        Args:
            pcm: (B, n * hop_samples) float32 in [-1, 1], n >= 1.
            state: from :meth:`init_state` or from the step before, beside which there may be others; not changed.

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
        if not self._tail_samples:
            return self._by_products(pcm, pcm), {}
        signal = torch.cat((state[PCM_TAIL], pcm), dim=1)
        return self._by_products(signal, pcm), {PCM_TAIL: signal[:, -self._tail_samples :]}

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
        tail = self._silence(batch)
        signal = torch.cat((tail, pcm[:, : frames * hop]), dim=1)
        rows = self.rows_at_once(frames)
        return torch.cat(
            [
                torch.cat(
                    [
                        self._by_fft(part[:, first * hop : (first + _PIECE_FRAMES) * hop + tail.shape[1]])
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

    def _by_fft(self, signal: Tensor) -> Tensor:
        """(B, tail + n * hop_samples) to (B, n, bands)."""
        window, hop = self.settings.window_samples, self.settings.hop_samples
        frames = signal[:, self._hops_per_frame * hop - window :].unfold(1, window, hop)
        spectrum = torch.fft.rfft(frames * self.window)
        return self._log((spectrum.real.square() + spectrum.imag.square()) @ self.mel)

    def _by_products(self, signal: Tensor, pcm: Tensor) -> Tensor:
        """(B, tail + n * hop_samples), which ends with ``pcm``, to (B, n, bands), by operators of every export."""
        older = self._hops_per_frame - 1
        rows_per_hop = self.settings.hop_samples // self._columns
        # (B, hops, rows of a hop, columns): samples in the order in which they come.
        hops, newest = (x.reshape(x.shape[0], -1, rows_per_hop, self._columns) for x in (signal, pcm))
        # The hops of each frame side by side. The slices end before the last hops, counted from the end, so
        # that an exported graph needs no arithmetic on shapes.
        by_age = [*(hops[:, age : age - older] for age in range(older)), newest]
        by_age[0] = by_age[0][:, :, self._hops_per_frame * rows_per_hop - self._rows :]
        frames = torch.cat(by_age, dim=2)
        turned = (self.along_rows @ (frames * self.step_window)) * self.turn
        # (B, n, P * parts, columns) to (B, n, P, parts * columns)
        by_bin = turned.reshape(*turned.shape[:2], self._rows // 2 + 1, -1)
        real, imaginary = by_bin @ self.real, by_bin @ self.imaginary
        power = (real * real + imaginary * imaginary).flatten(2)
        return self._log(power @ self.step_mel)

    def _log(self, power: Tensor) -> Tensor:
        return power.clamp_min(self.floor).log()
