"""Recurrent layers in the form of their ONNX operators, for the exporter."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _OnnxRecurrent(nn.Module):
    """Weights of a recurrent module of torch, a layer at a time, in the shapes and the gate order of ONNX.

    The exporter's own translation of ``nn.GRU`` fixes the number of frames of its example in the shapes that it
    declares, without a word (torch 2.13). Here the shapes are those of the arguments.

    Args:
        module: a batch-first, one-directional GRU or LSTM.
        gate_order: for each gate of the ONNX operator, its place in torch.

    Raises:
        ValueError: if it is none.
    """

    def __init__(self, module: nn.GRU | nn.LSTM, gate_order: tuple[int, ...]) -> None:
        super().__init__()
        if not module.batch_first or module.bidirectional or not module.bias or module.proj_size:
            raise ValueError(
                f"only a batch-first, one-directional module with bias can be exported, got {module}"
            )
        self.units, self.layers = module.hidden_size, module.num_layers

        def reordered(name: str) -> Tensor:
            gates = getattr(module, name).detach().chunk(len(gate_order))
            return torch.cat([gates[place] for place in gate_order])

        for layer in range(self.layers):
            biases = [reordered(f"bias_{source}_l{layer}") for source in ("ih", "hh")]
            self.register_buffer(f"bias{layer}", torch.cat(biases)[None])
            for source in ("ih", "hh"):
                self.register_buffer(f"weight_{source}{layer}", reordered(f"weight_{source}_l{layer}")[None])

    def run_layer(
        self, operator: str, layer: int, x: Tensor, before: tuple[Tensor, ...], attributes: dict[str, int]
    ) -> tuple[Tensor, ...]:
        """One layer over (T, B, features) after its states (1, B, units): (T, B, units), and the states after it."""
        frames, batch, _ = x.shape
        weights = (getattr(self, f"{name}{layer}") for name in ("weight_ih", "weight_hh", "bias"))
        outputs, *after = torch.onnx.ops.symbolic_multi_out(
            operator,
            # Without the input that would say how long each row of the batch is.
            (x, *weights, None, *before),
            {"hidden_size": self.units, **attributes},
            dtypes=(torch.float32,) * (1 + len(before)),
            shapes=((frames, 1, batch, self.units), *((1, batch, self.units) for _ in before)),
            version=14,
        )
        return outputs.squeeze(1), *after


class OnnxGRU(_OnnxRecurrent):
    """Stands in for an ``nn.GRU`` while it is exported: one ONNX ``GRU`` operator for each layer.

    The operator orders its gates update, reset, candidate where torch has reset, update, candidate.
    """

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__(gru, gate_order=(1, 0, 2))

    def forward(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, features) and (layers, B, units) to (B, T, units) and (layers, B, units)."""
        x = x.transpose(0, 1)
        after = []
        for layer in range(self.layers):
            before = (hidden[layer : layer + 1],)
            x, last = self.run_layer("GRU", layer, x, before, {"linear_before_reset": 1})
            after.append(last)
        return x.transpose(0, 1), torch.cat(after)


class OnnxLSTM(_OnnxRecurrent):
    """Stands in for an ``nn.LSTM`` while it is exported: one ONNX ``LSTM`` operator for each layer.

    The operator orders its gates input, output, forget, candidate where torch has input, forget, candidate, output.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__(lstm, gate_order=(0, 3, 1, 2))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, T, features) and twice (layers, B, units) to (B, T, units) and twice (layers, B, units)."""
        x = x.transpose(0, 1)
        hidden, cell = [], []
        for layer in range(self.layers):
            before = (state[0][layer : layer + 1], state[1][layer : layer + 1])
            x, last_hidden, last_cell = self.run_layer("LSTM", layer, x, before, {})
            hidden.append(last_hidden)
            cell.append(last_cell)
        return x.transpose(0, 1), (torch.cat(hidden), torch.cat(cell))
