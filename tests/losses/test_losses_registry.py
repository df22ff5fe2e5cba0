import inspect
import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from anchorstream import losses
from anchorstream.losses import LOSS_NAMES, build, loss_options

PAIRS = [
    (losses.StreamingAnchorLoss, losses.streaming_anchor_loss),
    (losses.FrameCrossEntropy, losses.frame_cross_entropy),
    (losses.FocalLoss, losses.focal_loss),
    (losses.EndFrameLoss, losses.end_frame_loss),
    (losses.MaxPoolingLoss, losses.max_pooling_loss),
    (losses.SmoothedMaxPoolingLoss, losses.smoothed_max_pooling_loss),
]
CALL = ["logits", "targets", "anchors", "valid", "lengths", "density"]
LOGITS = torch.randn(2, 30, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.zeros(2, 30, dtype=torch.long)
TARGETS[0, 10:15] = 1


def make(name):
    return build(name, class_weight=[0.5, 1.0, 2.0]) if name == "wce" else build(name)


@pytest.mark.parametrize(("module", "function"), PAIRS)
def test_module_and_function_have_the_same_options_and_defaults(module, function):
    options = dict(inspect.signature(module).parameters)
    options.pop("anchors", None)  # the rule; in the function, the argument of that name takes it
    parameters = inspect.signature(function).parameters
    assert list(parameters)[:6] == CALL
    assert list(parameters)[6:] == list(options)
    for name, option in options.items():
        assert option.kind is parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert option.default == parameters[name].default
        assert option.annotation == parameters[name].annotation
    assert list(inspect.signature(module.forward).parameters)[1:] == CALL


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_every_loss_is_called_alike_and_gives_gradients(name):
    logits = LOGITS.clone().requires_grad_()
    anchors = torch.tensor([[14], [-1]])
    valid = torch.arange(30).expand(2, -1) < 25
    loss = make(name)
    value = loss(logits, TARGETS, anchors, valid)
    assert value.shape == ()
    value.backward()
    assert logits.grad.abs().sum() > 0
    assert torch.equal(value, loss(logits, TARGETS, anchors, lengths=torch.tensor([25, 25])))
    assert loss(LOGITS[..., 0], TARGETS).isfinite() if name != "wce" else True


def test_names_fix_what_they_say():
    assert [build(name).focal for name in ("sal", "sa+fl", "safl")] == [None, "add", "multiply"]
    sal = losses.streaming_anchor_loss(LOGITS, TARGETS, peak=5.0, scale=3.0)
    assert torch.equal(build("sal", peak=5.0, scale=3.0)(LOGITS, TARGETS), sal)
    wce = losses.frame_cross_entropy(LOGITS, TARGETS, class_weight=[0.5, 1.0, 2.0])
    assert torch.equal(make("wce")(LOGITS, TARGETS), wce)


def test_unknown_names_and_options_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match="no loss 'asl'; there are sal, sa\\+fl, safl, ce"):
        build("asl")
    with pytest.raises(TypeError, match="'sal' has no option peek; its options are peak, floor, scale"):
        build("sal", peek=3.0)
    with pytest.raises(TypeError, match="'sal' has no option focal"):
        build("sal", focal="add")
    with pytest.raises(TypeError, match="'ce' has no option class_weight"):
        build("ce", class_weight=[1.0, 2.0])
    with pytest.raises(TypeError, match="'wce' needs the option class_weight"):
        build("wce")


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_the_options_of_a_name_build_it(name):
    options = loss_options(name)
    if name == "wce":
        options["class_weight"] = [0.5, 1.0, 2.0]
    assert torch.equal(build(name, **options)(LOGITS, TARGETS), make(name)(LOGITS, TARGETS))


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_repr_shows_every_option(name):
    loss = make(name)
    for option in inspect.signature(type(loss)).parameters:
        assert f"{option}=" in repr(loss)
    assert repr(losses.StreamingAnchorLoss(kernel=torch.sigmoid)).count("kernel=sigmoid") == 1


def test_rule_of_the_module_gives_way_to_anchors_of_the_call():
    loss = losses.StreamingAnchorLoss(anchors="onset")
    onset = losses.streaming_anchor_loss(LOGITS, TARGETS, "onset")
    assert torch.equal(loss(LOGITS, TARGETS), onset)
    given = torch.tensor([[20], [3]])
    expected = losses.streaming_anchor_loss(LOGITS, TARGETS, given)
    assert torch.equal(loss(LOGITS, TARGETS, given), expected)
    assert not torch.equal(onset, expected)


def test_an_option_changed_takes_effect_at_the_next_call():
    loss = losses.StreamingAnchorLoss()
    loss.peak = 3.0
    assert torch.equal(loss(LOGITS, TARGETS), losses.streaming_anchor_loss(LOGITS, TARGETS, peak=3.0))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float32(5), 5.0),
        (np.float64(5), 5.0),
        (np.int64(5), 5),
        (torch.tensor(5.0), 5.0),
        (np.array([4.0, 10.0, 10.0]), [4.0, 10.0, 10.0]),
        (torch.tensor([4, 10, 10]), [4, 10, 10]),
        ([np.float32(4), torch.tensor(10.0), 10], [4.0, 10.0, 10]),
    ],
)
def test_numbers_of_numpy_and_torch_are_taken_and_kept_as_plain_ones(given, kept):
    loss = losses.StreamingAnchorLoss(peak=given)
    later = losses.StreamingAnchorLoss()
    later.peak = given
    for module in (loss, later, pickle.loads(pickle.dumps(loss))):
        for peak in (module.peak, module.state_dict()["_extra_state"]["peak"]):
            assert repr(peak) == repr(kept)
    assert f"peak={kept!r}," in repr(loss)
    expected = losses.streaming_anchor_loss(LOGITS, TARGETS, peak=kept)
    assert torch.equal(loss(LOGITS, TARGETS), expected)
    assert torch.equal(losses.streaming_anchor_loss(LOGITS, TARGETS, peak=given), expected)


@pytest.mark.parametrize("number", [np.float32, np.int64, torch.tensor])
def test_every_number_may_be_one_of_numpy_or_torch(number):
    for (module, function), options in zip(
        PAIRS,
        [
            {"floor": 2, "scale": 3, "scale_after": 4, "frame_rate_hz": 2, "gamma": 3, "focal_weight": 2},
            {"label_smoothing": 0, "ignore_index": 1},
            {"gamma": 1},
            {"width_frames": 3, "frame_rate_hz": 10},
            {},
            {"smoothing_frames": 2},
        ],
        strict=True,
    ):
        if "focal_weight" in options:
            module, function = (partial(call, focal="add") for call in (module, function))
        expected = function(LOGITS, TARGETS, **options)
        given = {name: number(value) for name, value in options.items()}
        assert torch.equal(function(LOGITS, TARGETS, **given), expected)
        assert torch.equal(module(**given)(LOGITS, TARGETS), expected)


def test_class_weights_are_saved_and_move_with_the_module():
    loss = losses.FocalLoss(class_weight=[0.5, 1.0, 2.0]).double()
    assert loss.class_weight.dtype == torch.float64
    assert loss.state_dict()["class_weight"].tolist() == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_the_state_dict_holds_every_option(name, tmp_path):
    loss = make(name)
    saved = {**loss.state_dict().get("_extra_state", {}), **loss.state_dict()}
    for option in inspect.signature(type(loss)).parameters:
        if option != "class_weight" or loss.class_weight is not None:
            assert option in saved
    torch.save(loss.state_dict(), tmp_path / "loss.pt")
    other = make(name)
    other.label_smoothing, other.reduction = 0.3, "sum"
    other.load_state_dict(torch.load(tmp_path / "loss.pt", weights_only=True))
    assert other.options.keys() == loss.options.keys()
    assert torch.equal(other(LOGITS, TARGETS), loss(LOGITS, TARGETS))


WEIGHTS = [None, [0.5, 1.0, 2.0], [1.0, 2.0], [[1.0, 2.0]] * 3]


@pytest.mark.parametrize("saved", WEIGHTS)
@pytest.mark.parametrize("before", WEIGHTS)
@pytest.mark.parametrize("assign", [False, True])
def test_class_weights_come_and_go_with_the_state(saved, before, assign):
    whole = torch.nn.ModuleDict({"loss": losses.FocalLoss(class_weight=saved)})
    other = torch.nn.ModuleDict({"loss": losses.FocalLoss(class_weight=before)})
    state = whole.state_dict()
    other.load_state_dict(state, assign=assign)
    loaded = other["loss"].class_weight
    assert (None if loaded is None else loaded.tolist()) == saved
    assert repr(other) == repr(whole)
    if not assign and saved is not None:  # a copy
        state["loss.class_weight"].zero_()
        assert loaded.tolist() == saved


def test_class_weights_stay_where_a_state_holds_no_loss():
    loss = losses.FocalLoss(class_weight=[0.5, 1.0, 2.0])
    with pytest.raises(RuntimeError, match="Missing key"):
        loss.load_state_dict({})
    loss.load_state_dict({}, strict=False)
    assert loss.class_weight.tolist() == [0.5, 1.0, 2.0]


def test_the_state_of_another_loss_or_of_a_wrong_option_is_refused():
    with pytest.raises(ValueError, match="FocalLoss has no option anchors, floor"):
        losses.FocalLoss().load_state_dict(losses.StreamingAnchorLoss().state_dict())
    state = losses.FocalLoss().state_dict()
    state["_extra_state"]["gamma"] = -1.0
    with pytest.raises(ValueError, match="gamma must be at least 0"):
        losses.FocalLoss().load_state_dict(state)


def test_a_kernel_of_ones_own_stays_when_a_state_is_loaded():
    loss = losses.StreamingAnchorLoss(kernel=torch.exp)
    state = losses.StreamingAnchorLoss(kernel=torch.sigmoid, peak=3.0).state_dict()
    assert state["_extra_state"]["kernel"] == "sigmoid"
    loss.load_state_dict(state)
    assert loss.kernel is torch.exp
    assert loss.peak == 3.0


class Step(torch.nn.Module):
    def forward(self, x):
        return (x <= 1).to(x.dtype)


@pytest.mark.parametrize(
    ("kernel", "name"), [(Step(), "Step"), (partial(torch.pow, exponent=0.0), "partial"), (torch.exp, "exp")]
)
def test_of_a_kernel_of_ones_own_the_state_holds_the_name(kernel, name, tmp_path):
    loss = losses.StreamingAnchorLoss(kernel=kernel, peak=3.0)
    torch.save(loss.state_dict(), tmp_path / "loss.pt")
    state = torch.load(tmp_path / "loss.pt", weights_only=True)
    assert state["_extra_state"]["kernel"] == name
    same = losses.StreamingAnchorLoss(kernel=kernel)
    same.load_state_dict(state)
    assert (same.kernel, same.peak) == (kernel, 3.0)


def test_a_state_that_is_refused_changes_nothing():
    loss = losses.StreamingAnchorLoss(class_weight=[1.0, 1.0, 2.0])
    before = repr(loss)
    own = losses.StreamingAnchorLoss(kernel=torch.exp, peak=3.0, class_weight=[1.0, 2.0]).state_dict()
    with pytest.raises(ValueError, match="own, 'exp': construct the loss with the same kernel"):
        loss.load_state_dict(own)
    assert repr(loss) == before
    wrong = losses.StreamingAnchorLoss(peak=3.0, class_weight=[1.0, 2.0]).state_dict()
    wrong["_extra_state"]["gamma"] = -1.0
    with pytest.raises(ValueError, match="gamma must be at least 0"):
        loss.load_state_dict(wrong)
    assert repr(loss) == before


def test_importing_the_losses_imports_nothing_else_of_the_project():
    code = (
        "import sys, anchorstream.losses\n"
        "print(*sorted(m for m in sys.modules if m.startswith('anchorstream') and '.losses' not in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["anchorstream"]
