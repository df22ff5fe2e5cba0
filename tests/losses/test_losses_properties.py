"""What holds for every loss, whatever the batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.losses import LOSS_NAMES, build

F64 = torch.float64
NAMES = st.sampled_from(LOSS_NAMES)
SHAPES = st.sampled_from(["one output", "two classes", "three classes", "twenty classes", "outputs", "soft"])


def make(name, kind, **options):
    if name == "wce":
        counts = {"one output": 2, "two classes": 2, "three classes": 3, "twenty classes": 20}
        options["class_weight"] = [0.5 + k for k in range(counts.get(kind, 3))]
    return build(name, multi_label=kind == "outputs", **options)


def make_batch(kind, seed, batch=4, num_frames=11):
    generator = torch.Generator().manual_seed(seed)
    classes = {"one output": 0, "two classes": 2, "twenty classes": 20}.get(kind, 3)
    shape = (batch, num_frames, classes) if classes else (batch, num_frames)
    logits = 2 * torch.randn(shape, generator=generator, dtype=F64)
    if kind == "soft":
        return logits, torch.randn(shape, generator=generator, dtype=F64).softmax(-1)
    if kind == "outputs":
        return logits, (torch.rand(shape, generator=generator) < 0.3).long()
    targets = torch.randint(0, max(classes, 2), (batch, num_frames), generator=generator)
    targets[torch.rand(batch, num_frames, generator=generator) < 0.5] = 0
    return logits, targets


@given(NAMES, SHAPES, st.permutations(range(4)), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_permuting_the_batch_permutes_the_losses(name, kind, order, seed):
    logits, targets = make_batch(kind, seed)
    loss = make(name, kind, reduction="none")
    torch.testing.assert_close(loss(logits[order], targets[order]), loss(logits, targets)[order])


@given(NAMES, SHAPES, st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_parts_of_a_batch_sum_to_the_whole(name, kind, cut, seed):
    logits, targets = make_batch(kind, seed)
    loss = make(name, kind, reduction="sum")
    parts = loss(logits[:cut], targets[:cut]) + loss(logits[cut:], targets[cut:])
    torch.testing.assert_close(parts, loss(logits, targets))


@given(
    NAMES,
    SHAPES,
    st.integers(1, 6),
    st.sampled_from([float("nan"), float("inf"), -1e30]),
    st.sampled_from(["sum", "mean", "weighted_mean"]),
    st.integers(0, 99),
)
@settings(max_examples=120, deadline=None)
def test_padding_changes_neither_loss_nor_gradient(name, kind, padding, garbage, reduction, seed):
    logits, targets = make_batch(kind, seed)
    tail = (logits.shape[0], padding, *logits.shape[2:])
    long_logits = torch.cat([logits, torch.full(tail, garbage, dtype=F64)], dim=1)
    filler = garbage if targets.is_floating_point() else 99
    long_targets = torch.cat(
        [targets, torch.full((len(targets), padding, *targets.shape[2:]), filler, dtype=targets.dtype)], dim=1
    )
    lengths = torch.full((len(logits),), logits.shape[1])
    logits.requires_grad_()
    long_logits.requires_grad_()
    loss = make(name, kind, reduction=reduction)
    plain = loss(logits, targets)
    padded = loss(long_logits, long_targets, lengths=lengths)
    torch.testing.assert_close(plain, padded)
    plain.backward()
    padded.backward()
    torch.testing.assert_close(long_logits.grad[:, : logits.shape[1]], logits.grad)
    assert (long_logits.grad[:, logits.shape[1] :] == 0).all()


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize(
    "kind", ["one output", "two classes", "three classes", "twenty classes", "outputs", "soft"]
)
def test_gradients_agree_with_finite_differences(name, kind):
    logits, targets = make_batch(kind, seed=0, batch=2, num_frames=4)
    loss = make(name, kind, label_smoothing=0.1 if kind == "soft" else 0.0)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), logits.requires_grad_())


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize("kind", ["one output", "three classes", "twenty classes", "outputs", "soft"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_arithmetic_stays_in_single_precision(name, kind, dtype):
    logits, targets = make_batch(kind, seed=1)
    loss = make(name, kind)
    half = logits.to(dtype).requires_grad_()
    expected = loss(half.detach().float(), targets)
    with torch.autocast("cpu", dtype):
        value = loss(half, targets)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)
    value.backward()
    assert half.grad.dtype == dtype
    assert half.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize("kind", ["one output", "three classes", "twenty classes", "outputs", "soft"])
def test_extreme_logits_and_strides_and_nothing(name, kind):
    logits, targets = make_batch(kind, seed=2)
    loss = make(name, kind)
    extreme = (1e4 * logits.sign()).float().requires_grad_()
    value = loss(extreme, targets)
    value.backward()
    assert value.isfinite()
    assert extreme.grad.isfinite().all()
    strided = logits.repeat_interleave(2, dim=1)[:, ::2]
    torch.testing.assert_close(loss(strided, targets), loss(logits, targets))
    for empty in (slice(0, 0),), (slice(None), slice(0, 0)):
        assert loss(logits[empty], targets[empty]) == 0
