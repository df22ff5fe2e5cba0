"""The contract of streaming modules, as checks that hold for any of them.

A *unit* is the smallest piece that a step takes: one frame of features, or one hop of samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Protocol

import pytest
import torch
from torch import Tensor

State = dict[str, Tensor]


class Streaming(Protocol):
    def __call__(self, x: Tensor) -> Tensor: ...
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]: ...
    def init_state(self, batch: int) -> State: ...


@dataclass(frozen=True)
class Case:
    """A module under test and how to feed it: ``unit`` entries of axis 1 are one frame of its output."""

    make: Callable[[], Streaming]
    signal: Callable[[int, int], Tensor]
    unit: int = 1
    tolerance: float = 1e-5


FRAMES = 83  # a prime: no chunking below divides it


def in_steps(module: Streaming, x: Tensor, units: list[int], unit: int, state: State | None = None) -> Tensor:
    """The outputs of steps of ``units`` frames, repeated until ``x`` is used up."""
    state = module.init_state(len(x)) if state is None else state
    outputs, position = [], 0
    for size in cycle(units):
        if position >= x.shape[1]:
            return torch.cat(outputs, dim=1)
        chunk = x[:, position : position + size * unit]
        output, state = module.step(chunk, state)
        outputs.append(output)
        position += size * unit
    raise AssertionError("unreachable")


class StreamingContract:
    """Inherit and define a fixture ``case``."""

    @pytest.fixture
    def module(self, case):
        torch.manual_seed(5)
        return case.make()

    @pytest.mark.parametrize("units", [[1], [3], [7], [FRAMES], [1, 3, 7], [20, 1, 1, 33, 2]], ids=str)
    @torch.no_grad()
    def test_steps_give_the_whole_pass(self, case, module, units):
        x = case.signal(3, FRAMES * case.unit)
        torch.testing.assert_close(
            in_steps(module, x, units, case.unit), module(x), rtol=0, atol=case.tolerance
        )

    @torch.no_grad()
    def test_the_future_does_not_change_the_past(self, case, module):
        x = case.signal(2, FRAMES * case.unit)
        changed = x.clone()
        changed[:, 40 * case.unit :] += 1.0
        torch.testing.assert_close(module(changed)[:, :40], module(x)[:, :40], rtol=0, atol=case.tolerance)
        assert not torch.equal(module(changed)[:, 40], module(x)[:, 40])

    @torch.no_grad()
    def test_not_a_number_after_the_valid_frames_changes_nothing_before(self, case, module):
        x = case.signal(2, FRAMES * case.unit)
        padded = x.clone()
        padded[:, 40 * case.unit :] = torch.nan
        expected = module(x)[:, :40]
        torch.testing.assert_close(module(padded)[:, :40], expected, rtol=0, atol=case.tolerance)
        torch.testing.assert_close(
            in_steps(module, padded[:, : 40 * case.unit], [7], case.unit),
            expected,
            rtol=0,
            atol=case.tolerance,
        )

    @torch.no_grad()
    def test_rows_are_independent(self, case, module):
        x = case.signal(3, FRAMES * case.unit)
        changed = x.clone()
        changed[1] = torch.nan
        for run in (module, lambda x: in_steps(module, x, [5], case.unit)):
            torch.testing.assert_close(run(changed)[[0, 2]], run(x)[[0, 2]], rtol=0, atol=case.tolerance)
            alone = torch.cat([run(row[None]) for row in x])
            torch.testing.assert_close(alone, run(x), rtol=0, atol=case.tolerance)

    @torch.no_grad()
    def test_a_fresh_state_forgets_everything(self, case, module):
        x = case.signal(2, 20 * case.unit)
        first = in_steps(module, x, [4], case.unit)
        in_steps(module, case.signal(2, 50 * case.unit), [4], case.unit)
        assert torch.equal(in_steps(module, x, [4], case.unit), first)

    @torch.no_grad()
    def test_a_step_leaves_its_state_as_it_was(self, case, module):
        _, state = module.step(case.signal(2, 5 * case.unit), module.init_state(2))
        before = {name: tensor.clone() for name, tensor in state.items()}
        x = case.signal(2, 3 * case.unit)
        first, second = module.step(x, state)[0], module.step(x, state)[0]
        assert all(torch.equal(state[name], before[name]) for name in before)
        assert torch.equal(first, second)

    @torch.no_grad()
    def test_the_state_keeps_its_names_and_shapes(self, case, module):
        state = module.init_state(2)
        for units in (1, 9, 200):
            _, after = module.step(case.signal(2, units * case.unit), state)
            assert {name: tensor.shape for name, tensor in after.items()} == {
                name: tensor.shape for name, tensor in state.items()
            }

    @pytest.mark.slow
    @torch.no_grad()
    def test_there_is_no_drift_over_twenty_thousand_frames(self, case, module):
        x = case.signal(1, 20_000 * case.unit)
        torch.testing.assert_close(
            in_steps(module, x, [8], case.unit), module(x), rtol=0, atol=case.tolerance
        )
