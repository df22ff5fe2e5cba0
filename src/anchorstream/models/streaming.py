"""The contract of a streaming network: the whole pass and the steps give the same logits."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

#: Named tensors of fixed shape, batch first. A network without memory has an empty state.
State = dict[str, Tensor]


class StreamingModule(nn.Module, ABC):
    """A causal network over frames with explicit state.

    ``forward`` runs a whole sequence from a fresh state; ``step`` runs a chunk of any length and returns the state to
    hand to the next one. In evaluation mode, the concatenated outputs of the steps are the output of ``forward``, for
    every way of cutting the sequence into chunks.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Runs (B, T, F) from a fresh state and returns (B, T, K)."""
        return self.step(x, self.init_state(x.shape[0]))[0]

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs a chunk (B, T, F), T >= 1, and returns its (B, T, K) and the state after it.

        The state that came in is never changed in place.
        """

    @abstractmethod
    def init_state(self, batch: int) -> State:
        """The state before the first frame, on the module's device, for ``batch`` rows."""
