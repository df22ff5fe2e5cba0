"""What torch does to a loss: compile it, transform it, differentiate it twice, share it between processes."""

import os

import pytest
import torch
from torch import distributed, multiprocessing
from torch._dynamo import lookup_backend
from torch.func import grad, hessian, jvp, vmap
from torch.nn.parallel import DistributedDataParallel

from anchorstream import losses
from anchorstream.losses import LOSS_NAMES, LossSchedule, StreamingAnchorLoss, build, cosine, linear

F64 = torch.float64
ANCHORED = ["sal", "sa+fl", "safl"]


def make(name, **options):
    return build(name, **({"class_weight": [0.5, 1.0, 2.0]} if name == "wce" else {}), **options)


def make_batch(batch=3, num_frames=12, num_classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, num_frames, num_classes) if num_classes else (batch, num_frames)
    logits = 2 * torch.randn(shape, generator=generator, dtype=F64)
    targets = torch.randint(0, max(num_classes, 2), (batch, num_frames), generator=generator)
    lengths = torch.randint(1, num_frames + 1, (batch,), generator=generator)
    return logits, targets, lengths


# Compiling.


class Counting:
    """A backend that counts its graphs. The later stages make constants too, so that ``aot_eager`` is behind it."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, module, inputs):
        self.graphs += 1
        return lookup_backend("aot_eager")(module, inputs)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_one_graph_serves_every_length(name):
    torch.compiler.reset()
    counting = Counting()
    loss = make(name)
    compiled = torch.compile(loss, fullgraph=True, backend=counting)
    for batch, num_frames in ((3, 12), (4, 17), (5, 9), (2, 30), (7, 23)):
        logits, targets, lengths = make_batch(batch, num_frames)
        expected = loss(logits, targets, lengths=lengths)
        torch.testing.assert_close(compiled(logits, targets, lengths=lengths), expected)
    assert counting.graphs <= 2  # one for the first shape, one for all others


def loss_and_gradient(loss, logits, *inputs, **options):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, *inputs, **options)
    value.backward()
    return value.detach(), leaf.grad


IN_SECONDS = {"scale": 0.02, "frame_rate_hz": 100.0}


@pytest.mark.parametrize(
    ("name", "options", "moving"),
    [
        ("sal", {}, {"peak": (2, 1), "floor": (1, -0.05), "scale": (5, 1), "scale_after": (3, 0.7)}),
        ("sal", IN_SECONDS, {"scale": (0.02, 0.01), "scale_after": (0.29, -0.01)}),
        ("sal", {"kernel": "rectangular", **IN_SECONDS}, {"scale": (0.02, 0.01)}),
        ("sal", {"peak": [2.0, 3.0, 4.0]}, {"scale": (2, 1), "floor": (1, -0.05)}),
        ("sal", {"scale": [2.0, 3.0, 4.0]}, {"peak": (2, 1), "scale_after": (3, 0.7)}),
        ("sa+fl", {}, {"peak": (2, 1), "gamma": (0, 0.15), "focal_weight": (0, 0.3)}),
        ("safl", {}, {"peak": (2, 1), "scale": (5, 1), "gamma": (0, 0.15)}),
        ("focal", {"class_weight": [0.5, 1.0, 2.0]}, {"gamma": (3, -0.15)}),
        ("ce", {}, {"label_smoothing": (0, 0.05)}),
        ("end-frame", {"frame_rate_hz": 100.0}, {"width_frames": (1, 1)}),
        ("end-frame", {}, {"width_frames": (1, 1), "label_smoothing": (0.1, 0.05)}),
        ("max-pool", {}, {"label_smoothing": (0, 0.05)}),
        ("smoothed-max-pool", {}, {"label_smoothing": (0, 0.05)}),
    ],
)
def test_a_moving_option_does_not_compile_again_and_again(name, options, moving):
    torch.compiler.reset()
    counting = Counting()
    loss = make(name, **options)
    compiled = torch.compile(loss, fullgraph=True, backend=counting)
    logits, targets, lengths = make_batch()
    logits[0, :2] = torch.tensor([1e4, -1e4, 0.0])  # sure frames, right or wrong
    for step in range(12):
        for option, (start, by) in moving.items():
            setattr(loss, option, float(start + step * by))
        found = loss_and_gradient(compiled, logits, targets, lengths=lengths)
        torch.testing.assert_close(found, loss_and_gradient(loss, logits, targets, lengths=lengths))
    assert counting.graphs <= 2  # one for the first values, one for all others


def test_a_gamma_that_arrives_at_two_has_one_graph_more():
    torch.compiler.reset()
    loss = StreamingAnchorLoss(focal="multiply")
    schedule = LossSchedule(loss, peak=linear(1.0, 10.0, steps=12), gamma=cosine(0.0, 2.0, steps=12))
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    logits, targets, _ = make_batch()
    for step in range(15):
        schedule.set(step)
        with torch._dynamo.config.patch(recompile_limit=3):
            found = loss_and_gradient(compiled, logits, targets)
        torch.testing.assert_close(found, loss_and_gradient(loss, logits, targets))


@pytest.mark.parametrize("gamma", [0.0, 0.005, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_compiled_focal_factor_is_finite_where_a_frame_is_sure(gamma, num_classes):
    torch.compiler.reset()
    _, targets, _ = make_batch(num_classes=num_classes)
    loss = make("safl", gamma=gamma)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for value in (1e4, -1e4):
        logits = torch.full((*targets.shape, num_classes) if num_classes else targets.shape, value)
        if num_classes:
            logits[..., 0] = -value
        found = loss_and_gradient(compiled, logits, targets)
        assert all(numbers.isfinite().all() for numbers in found)
        torch.testing.assert_close(found, loss_and_gradient(loss, logits, targets))


@pytest.mark.parametrize("name", ANCHORED)
@pytest.mark.parametrize("num_classes", [0, 2, 3, 20])
def test_compiled_gradients_are_the_same(name, num_classes):
    torch.compiler.reset()
    logits, targets, lengths = make_batch(num_classes=num_classes)
    loss = make(name)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    gradients = []
    for call in (loss, compiled):
        leaf = logits.clone().requires_grad_()
        call(leaf, targets, lengths=lengths).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    "options",
    [
        {"peak": [2.0, 3.0, 4.0]},
        {"peak": [2.0, 3.0, 4.0], "overlap": "largest"},
        {"label_smoothing": 0.1},
        {"class_weight": [1.0, 2.0, 3.0]},
        {"class_dim": 1},
    ],
    ids=lambda options: ",".join(options),
)
def test_options_compile_into_one_graph(options):
    torch.compiler.reset()
    logits, targets, _ = make_batch()
    logits = logits.transpose(1, 2) if "class_dim" in options else logits
    loss = StreamingAnchorLoss(focal="add", **options)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, targets), loss(logits, targets))


def test_inputs_compile_into_one_graph():
    torch.compiler.reset()
    logits, targets, _ = make_batch()
    loss = StreamingAnchorLoss(scale=0.1, frame_rate_hz=100.0)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for inputs in (
        {"anchors": torch.tensor([[1, -1], [3, 5], [-1, -1]])},
        {"anchors": torch.tensor([[0.02], [0.1], [-1.0]])},
        {"density": torch.full((3, 12), 1 / 12)},
    ):
        torch.testing.assert_close(compiled(logits, targets, **inputs), loss(logits, targets, **inputs))
    multi = StreamingAnchorLoss(multi_label=True)
    outputs = (logits > 0).long()
    compiled = torch.compile(multi, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, outputs), multi(logits, outputs))


# Transforming and differentiating.


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_vmap_and_grad(name, num_classes):
    if name == "wce" and not num_classes:
        pytest.skip("the weights are those of three classes")
    loss = make(name)
    batches = [make_batch(num_classes=num_classes, seed=seed)[:2] for seed in range(4)]
    logits, targets = (torch.stack(parts) for parts in zip(*batches, strict=True))
    each = torch.stack([loss(*batch) for batch in batches])
    torch.testing.assert_close(vmap(loss)(logits, targets), each)
    gradients = vmap(grad(loss))(logits, targets)
    for index, (x, y) in enumerate(batches):
        leaf = x.clone().requires_grad_()
        loss(leaf, y).backward()
        torch.testing.assert_close(gradients[index], leaf.grad)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own use of it
@pytest.mark.parametrize("name", ANCHORED)
def test_forward_mode_and_hessian(name):
    loss = make(name)
    logits, targets, _ = make_batch(batch=1, num_frames=3)
    direction = torch.ones_like(logits).cumsum(-1)
    _, along = jvp(lambda x: loss(x, targets), (logits,), (direction,))
    torch.testing.assert_close(along, (grad(loss)(logits, targets) * direction).sum())
    twice = torch.autograd.functional.hessian(lambda x: loss(x, targets), logits)
    torch.testing.assert_close(hessian(lambda x: loss(x, targets))(logits), twice)


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_second_derivatives_agree_with_finite_differences(name, num_classes):
    if name == "wce" and num_classes != 3:
        pytest.skip("the weights are those of three classes")
    logits, targets, lengths = make_batch(batch=2, num_frames=4, num_classes=num_classes)
    loss = make(name)
    logits.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: loss(x, targets, lengths=lengths.clamp(max=4)), logits)


@pytest.mark.parametrize("name", ANCHORED)
@pytest.mark.parametrize("num_classes", [0, 3, 20])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_retained_graph_gives_the_same_gradient_again(name, num_classes, reduction):
    logits, targets, lengths = make_batch(num_classes=num_classes)
    logits.requires_grad_()
    loss = make(name, reduction=reduction)(logits, targets, lengths=lengths).sum()
    (first,) = torch.autograd.grad(loss, logits, retain_graph=True)
    kept = first.clone()
    (second,) = torch.autograd.grad(2 * loss, logits)
    assert torch.equal(first, kept)
    torch.testing.assert_close(second, 2 * first)


def test_a_loss_that_is_kept_does_not_keep_the_logits():
    import gc
    import weakref

    logits, targets, _ = make_batch()
    leaf = torch.nn.Parameter(logits)
    output = leaf * 1.0
    loss = StreamingAnchorLoss()(output, targets)
    gone = weakref.ref(output)
    loss.backward()
    del output
    gc.collect()
    assert gone() is None
    assert loss.isfinite()


def test_no_graph_is_built_without_gradients():
    logits, targets, _ = make_batch()
    assert not StreamingAnchorLoss()(logits, targets).requires_grad
    with torch.no_grad():
        assert not StreamingAnchorLoss()(logits.requires_grad_(), targets).requires_grad


def test_deterministic_algorithms_are_enough():
    logits, targets, _ = make_batch(num_classes=20)
    torch.use_deterministic_algorithms(True)
    try:
        leaf = logits.requires_grad_()
        StreamingAnchorLoss()(leaf, targets).backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert leaf.grad.isfinite().all()


# Several processes with batches of uneven size.


def _share(rank, folder, name, reduction):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/{name}-{reduction}", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(4, 3).double())
    x, targets, lengths = _whole_batch()
    rows = slice(0, 1) if rank == 0 else slice(1, 5)
    loss = make(name, reduction=reduction, across_processes=True)
    loss(model(x[rows]), targets[rows], lengths=lengths[rows]).backward()
    if rank == 0:
        torch.save([p.grad for p in model.parameters()], f"{folder}/{name}-{reduction}.pt")
    distributed.barrier()
    # What is tested is done. The interpreter's end races with the threads of gloo, and now and then aborts.
    os._exit(0)


def _whole_batch():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(5, 9, 4, generator=generator, dtype=F64)
    targets = torch.randint(0, 3, (5, 9), generator=generator)
    return x, targets, torch.tensor([2, 9, 9, 5, 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reduction"), [("sal", "mean"), ("safl", "weighted_mean"), ("max-pool", "mean")]
)
def test_two_processes_with_uneven_batches_are_one_large_batch(tmp_path, name, reduction):
    multiprocessing.spawn(_share, args=(tmp_path, name, reduction), nprocs=2)
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3).double()
    x, targets, lengths = _whole_batch()
    make(name, reduction=reduction)(model(x), targets, lengths=lengths).backward()
    shared = torch.load(tmp_path / f"{name}-{reduction}.pt", weights_only=True)
    for parameter, gradient in zip(model.parameters(), shared, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_without_a_process_group_nothing_is_shared():
    logits, targets, _ = make_batch()
    alone = losses.streaming_anchor_loss(logits, targets)
    assert torch.equal(losses.streaming_anchor_loss(logits, targets, across_processes=True), alone)
