"""The GRU layers against those of torch: the same outputs, and the same gradients of everything."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from anchorstream.models import gru_layers
from anchorstream.models.gru_layers import GRU


def pair(inputs: int, units: int, layers: int) -> tuple[nn.GRU, GRU]:
    torch.manual_seed(3)
    theirs = nn.GRU(inputs, units, layers, batch_first=True).double()
    ours = GRU(inputs, units, layers).double()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def gradients(module: nn.Module, x: torch.Tensor, hidden: torch.Tensor) -> list[torch.Tensor]:
    """Outputs and last states, then the gradients at the inputs, the first states and all weights."""
    leaves = [x.clone().requires_grad_(), hidden.clone().requires_grad_(), *module.parameters()]
    outputs, last = module(*leaves[:2])
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)
    loss = (outputs * weights).sum() + (last**2).sum()
    return [outputs, last, *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("piece", [1, 40, 2**15], ids=["frame by frame", "in pieces", "at once"])
@pytest.mark.parametrize("layers", [1, 2])
def test_outputs_and_gradients_are_those_of_torch(layers, piece, monkeypatch):
    monkeypatch.setattr(gru_layers, "_PIECE", piece)
    theirs, ours = pair(5, 4, layers)
    x = torch.randn(3, 17, 5, dtype=torch.double)
    hidden = torch.randn(layers, 3, 4, dtype=torch.double)
    for expected, actual in zip(gradients(theirs, x, hidden), gradients(ours, x, hidden), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_chunks_that_hand_on_their_state_have_the_gradients_of_the_whole():
    _, ours = pair(5, 4, 2)
    x = torch.randn(3, 17, 5, dtype=torch.double)
    hidden = torch.zeros(2, 3, 4, dtype=torch.double)

    def run(cuts: list[int]) -> list[torch.Tensor]:
        state, outputs = hidden, []
        for chunk in torch.tensor_split(x, cuts, dim=1):
            output, state = ours(chunk, state)
            outputs.append(output)
        return list(torch.autograd.grad((torch.cat(outputs, 1) ** 2).sum(), list(ours.parameters())))

    for whole, chunked in zip(run([]), run([1, 9]), strict=True):
        torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-12)


def test_weights_that_are_frozen_and_inputs_without_a_gradient_get_none():
    _, ours = pair(5, 4, 1)
    ours.bias_hh_l0.requires_grad_(False)
    x = torch.randn(3, 17, 5, dtype=torch.double)
    ours(x, torch.zeros(1, 3, 4, dtype=torch.double))[0].sum().backward()
    assert ours.bias_hh_l0.grad is None
    assert ours.weight_hh_l0.grad is not None


def test_transforms_of_torch_func_are_those_of_torch():
    theirs, ours = pair(5, 4, 2)
    x, hidden = torch.randn(3, 17, 5, dtype=torch.double), torch.zeros(2, 3, 4, dtype=torch.double)
    weights = {name: weight.detach() for name, weight in theirs.named_parameters()}

    def loss(module, weights, x, hidden):
        return (functional_call(module, weights, (x, hidden))[0] ** 2).sum()

    def of_sample(module, weights, x, hidden):
        return loss(module, weights, x[None], hidden[:, None])

    found = []
    for module in (theirs, ours):
        whole = grad(partial(loss, module))(weights, x, hidden)
        each = vmap(grad(partial(of_sample, module)), in_dims=(None, 0, 1))(weights, x, hidden)
        for name in weights:
            torch.testing.assert_close(each[name].sum(0), whole[name])
        slope = grad(partial(loss, module, weights))
        twice = grad(lambda x, slope=slope: (slope(x, hidden) ** 2).sum())(x)
        found.append([whole, each, twice])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


def test_without_a_gradient_it_is_torch_itself():
    theirs, ours = pair(5, 4, 2)
    x, hidden = torch.randn(3, 17, 5, dtype=torch.double), torch.zeros(2, 3, 4, dtype=torch.double)
    with torch.no_grad():
        for expected, actual in zip(theirs(x, hidden), ours(x, hidden), strict=True):
            assert torch.equal(actual, expected)
