"""Recurrent layers in the form of their ONNX operators, for the exporter."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class OnnxGRU(nn.Module):
    """Stands in for an ``nn.GRU`` while it is exported: one ONNX ``GRU`` operator for each layer.

    The exporter's own translation of ``nn.GRU`` fixes the number of frames of its example in the shapes
    that it declares, without a word (torch 2.13). Here the shapes are those of the arguments.

    The operator orders its gates update, reset, candidate where torch has reset, update, candidate, and works
    on (T, B, features).

    Args:
        gru: a batch-first, one-directional GRU.

    Raises:
        ValueError: if it is none.
    """

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        if not gru.batch_first or gru.bidirectional or not gru.bias:
            raise ValueError(f"only a batch-first, one-directional GRU with bias can be exported, got {gru}")
        self.units, self.layers = gru.hidden_size, gru.num_layers
        for layer in range(gru.num_layers):
            biases = [_gates(getattr(gru, f"bias_{source}_l{layer}")) for source in ("ih", "hh")]
            self.register_buffer(f"bias{layer}", torch.cat(biases)[None])
            for source in ("ih", "hh"):
                weight = _gates(getattr(gru, f"weight_{source}_l{layer}"))
                self.register_buffer(f"weight_{source}{layer}", weight[None])

    def forward(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, features) and (layers, B, units) to (B, T, units) and (layers, B, units)."""
        batch, frames, _ = x.shape
        x = x.transpose(0, 1)
        after = []
        for layer in range(self.layers):
            buffers = (getattr(self, f"{name}{layer}") for name in ("weight_ih", "weight_hh", "bias"))
            outputs, last = torch.onnx.ops.symbolic_multi_out(
                "GRU",
                (x, *buffers, None, hidden[layer : layer + 1]),
                {"hidden_size": self.units, "linear_before_reset": 1},
                dtypes=(torch.float32, torch.float32),
                shapes=((frames, 1, batch, self.units), (1, batch, self.units)),
                version=14,
            )
            x = outputs.squeeze(1)
            after.append(last)
        return x.transpose(0, 1), torch.cat(after)


def _gates(values: Tensor) -> Tensor:
    reset, update, candidate = values.detach().chunk(3)
    return torch.cat((update, reset, candidate))
