"""The Triton kernel in Triton's interpreter, against the eager loss.

Triton decides when it is imported whether it interprets: ``test_losses_triton.py`` runs this file in a process of
its own, with ``TRITON_INTERPRET=1``.
"""

import itertools

import pytest
import torch

from anchorstream.losses._batch import Batch
from anchorstream.losses._eager import EagerLoss
from anchorstream.losses._triton import TritonLoss


def make_case(num_classes, class_dim, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    batch, num_frames = 5, 131
    shape = (batch, num_frames, num_classes) if num_classes else (batch, num_frames)
    logits = 3 * torch.randn(shape, generator=generator)
    valid = torch.arange(num_frames) < torch.tensor([131, 100, 3, 0, 64])[:, None]
    labels = torch.randint(0, max(num_classes, 2), (batch, num_frames), generator=generator)
    labels = labels.masked_fill(~valid, 0)
    plain, focal = (torch.rand(batch, num_frames, generator=generator) * valid for _ in range(2))
    # A sigmoid output comes with 0 in its padding, the others with whatever was there.
    logits[~valid] = torch.nan if num_classes else 0.0
    if num_classes and class_dim == 1:
        logits = logits.transpose(1, 2)
    return logits.to(dtype), labels, valid, plain, focal


def value_and_gradient(function, case, *, class_dim, parts, gamma, scale):
    logits, labels, valid, plain, focal = case
    leaf = logits.clone().requires_grad_()
    batch = Batch.of_classes(leaf, labels, valid, valid, class_dim=class_dim)
    plain, focal = plain if "plain" in parts else None, focal if "focal" in parts else None
    loss = function.apply(leaf, batch, plain, focal, gamma, scale)
    up = torch.rand(loss.shape, generator=torch.Generator().manual_seed(9))
    loss.backward(up)
    return loss.detach(), leaf.grad


def worst(got, expected):
    return float((got - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("num_classes", [0, 3, 12, 40])
@pytest.mark.parametrize("class_dim", [-1, 1])
@pytest.mark.parametrize("scale", [None, torch.tensor(0.37)])
def test_the_kernel_is_the_eager_loss(num_classes, class_dim, scale):
    case = make_case(num_classes, class_dim)
    for parts, gamma in itertools.product([("plain",), ("focal",), ("plain", "focal")], [2.0, 0.5, 1.0]):
        options = {"class_dim": class_dim, "parts": parts, "gamma": gamma, "scale": scale}
        got = value_and_gradient(TritonLoss, case, **options)
        expected = value_and_gradient(EagerLoss, case, **options)
        for ours, theirs in zip(got, expected, strict=True):
            assert ours.shape == theirs.shape
            assert worst(ours, theirs) < 1e-6


@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_gradient_of_one_is_left_as_it_was_written(num_classes):
    logits, labels, valid, plain, _ = make_case(num_classes, -1)
    gradients = []
    for function in (TritonLoss, EagerLoss):
        leaf = logits.clone().requires_grad_()
        batch = Batch.of_classes(leaf, labels, valid, valid, class_dim=-1)
        function.apply(leaf, batch, plain, None, 0.0, torch.tensor(0.1)).backward()
        gradients.append(leaf.grad)
    assert worst(*gradients) < 1e-6
    assert (gradients[0][~valid] == 0).all()


def test_half_precision_logits_are_read_and_written_as_they_are():
    case = make_case(12, -1, torch.bfloat16)
    options = {"class_dim": -1, "parts": ("plain", "focal"), "gamma": 2.0, "scale": torch.tensor(0.5)}
    loss, gradient = value_and_gradient(TritonLoss, case, **options)
    expected, exact = value_and_gradient(EagerLoss, (case[0].float(), *case[1:]), **options)
    assert loss.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    assert worst(loss, expected) < 1e-6
    # Rounded when written and when scaled; the interpreter cuts digits off where a GPU rounds.
    assert worst(gradient.float(), exact) < 2**-6


def test_retained_graphs_second_derivatives_and_extremes():
    logits, labels, valid, plain, focal = make_case(3, -1)
    leaf = logits.nan_to_num(0.0).requires_grad_()
    batch = Batch.of_classes(leaf, labels, valid, valid, class_dim=-1)

    def loss(function):
        return function.apply(leaf, batch, plain, focal, 2.0, torch.tensor(0.37))

    ours = loss(TritonLoss)
    (first,) = torch.autograd.grad(ours, leaf, retain_graph=True)
    (second,) = torch.autograd.grad(3 * ours, leaf)
    torch.testing.assert_close(second, 3 * first)
    twice = []
    for function in (TritonLoss, EagerLoss):
        (once,) = torch.autograd.grad(loss(function), leaf, create_graph=True)
        twice.append(torch.autograd.grad((once**2).sum(), leaf)[0])
    assert worst(*twice) < 1e-6
    for value in (1e4, -1e4):
        extreme = torch.full_like(logits, value)
        extreme[..., 0] = -value
        options = {"class_dim": -1, "parts": ("plain", "focal"), "gamma": 0.5, "scale": None}
        case = (extreme, labels, valid, plain, focal)
        for got in value_and_gradient(TritonLoss, case, **options):
            assert got.isfinite().all()


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (2, 0)])
def test_nothing_gives_zero(shape):
    leaf = torch.zeros(shape, requires_grad=True)
    labels = torch.zeros(shape[:2], dtype=torch.long)
    batch = Batch.of_classes(leaf, labels, None, None, class_dim=-1)
    loss = TritonLoss.apply(leaf, batch, torch.zeros(shape[:2]), None, 0.0, torch.tensor(1.0))
    loss.backward()
    assert loss == 0
    assert leaf.grad.shape == shape
