"""Networks: size, receptive field, head, normalisation, registry."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.models.network import detection_head
from anchorstream.models.normalise import BandNormalisation
from anchorstream.models.registry import MODELS, build_model, model_options
from anchorstream.models.tcn import DSTCN


def naive_tcn(network, x):
    """The TCN frame by frame, from its definition."""

    def norm(layer, values):
        scale = layer.weight / torch.sqrt(layer.running_var + layer.eps)
        return (values - layer.running_mean) * scale + layer.bias

    rows = (x - network.normalise.mean) / network.normalise.std
    rows = torch.relu(norm(network.expand_norm, rows @ network.expand.weight[:, :, 0, 0].T))
    for block in network.blocks:
        outputs = []
        for t in range(len(rows)):
            convolved = torch.zeros(rows.shape[1])
            for tap in range(network.kernel_size):
                source = t - (network.kernel_size - 1 - tap) * block.dilation
                if source >= 0:
                    convolved = convolved + block.depthwise.weight[:, 0, 0, tap] * rows[source]
            mixed = block.pointwise.weight[:, :, 0, 0] @ convolved
            outputs.append(rows[t] + torch.relu(norm(block.norm, mixed)))
        rows = torch.stack(outputs)
    return rows @ network.head.weight.T + network.head.bias


@given(
    frames=st.integers(1, 30),
    channels=st.integers(1, 6),
    kernel_size=st.integers(2, 4),
    dilations=st.lists(st.integers(1, 6), min_size=1, max_size=3),
)
@settings(max_examples=15, deadline=None)
@torch.no_grad()
def test_the_tcn_is_the_naive_loop(frames, channels, kernel_size, dilations):
    network = DSTCN(5, 2, channels=channels, kernel_size=kernel_size, dilations=dilations).eval()
    network.head.weight.normal_()
    network.blocks[0].norm.running_mean.normal_()
    x = torch.randn(frames, 5)
    torch.testing.assert_close(network(x[None])[0], naive_tcn(network, x), rtol=1e-4, atol=1e-5)


def test_the_tcn_takes_the_same_gradient_either_way():
    network = DSTCN(5, 2, channels=4, dilations=(1, 3, 8)).train()
    x = torch.randn(2, 37, 5)
    gradients = []
    for run in (network, lambda x: network.step(x, network.init_state(2))[0]):
        network.zero_grad()
        run(x).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    for whole, stepped in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, stepped, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_lie_in_memory_as_their_parameters_do(name):
    # Distributed training warns, and copies in every step, where they do not.
    network = build_model(name, bands=40, classes=2)
    network(torch.randn(2, 20, 40)).sum().backward()
    for parameter in network.parameters():
        # The stride of an axis of one place says nothing about memory, and differs with the number of threads.
        axes = [axis for axis, size in enumerate(parameter.shape) if size > 1]
        assert [parameter.grad.stride(axis) for axis in axes] == [parameter.stride(axis) for axis in axes]


@torch.no_grad()
def test_the_gru_is_the_naive_loop():
    network = build_model("gru", bands=4, classes=2, units=3, layers=2).eval()
    x = torch.randn(9, 4)
    rows = x
    for layer in range(2):
        w_in, w_rec, b_in, b_rec = (
            getattr(network.gru, f"{name}_l{layer}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        hidden, outputs = torch.zeros(3), []
        for row in rows:
            from_input, from_past = w_in @ row + b_in, w_rec @ hidden + b_rec
            reset = torch.sigmoid(from_input[:3] + from_past[:3])
            update = torch.sigmoid(from_input[3:6] + from_past[3:6])
            candidate = torch.tanh(from_input[6:] + reset * from_past[6:])
            hidden = (1 - update) * candidate + update * hidden
            outputs.append(hidden)
        rows = torch.stack(outputs)
    expected = rows @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(x[None])[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "low", "high"), [("ds-tcn", 23_000, 27_000), ("gru", 43_000, 47_000)])
def test_sizes_are_those_of_the_docs(name, low, high):
    network = build_model(name, bands=40, classes=2)
    assert low <= sum(parameter.numel() for parameter in network.parameters()) <= high


@torch.no_grad()
def test_the_receptive_field_is_what_a_change_reaches():
    network = build_model("ds-tcn", bands=40, classes=2).double().eval()
    x = torch.randn(1, 300, 40, dtype=torch.float64)
    changed = x.clone()
    changed[:, 100] += 5.0
    reached = torch.nonzero((network(x) != network(changed)).any(-1)[0]).flatten()
    assert reached[0] == 100
    assert reached[-1] == 100 + network.receptive_field_frames - 1
    assert 120 <= network.receptive_field_frames <= 150


@given(classes=st.integers(2, 9))
@settings(max_examples=8, deadline=None)
def test_a_fresh_head_takes_nearly_every_frame_for_background(classes):
    posteriors = detection_head(16, classes).bias.softmax(-1)
    assert posteriors[0].item() == pytest.approx(0.98)
    assert posteriors[1:].sum().item() == pytest.approx(0.02)
    assert posteriors[1].item() == pytest.approx(posteriors[-1].item())


def test_normalised_features_have_mean_0_and_deviation_1():
    x = 4.0 + 3.0 * torch.randn(3, 50, 7)
    normalise = BandNormalisation(7)
    normalise.fit(x)
    normalised = normalise(x).reshape(-1, 7)
    torch.testing.assert_close(normalised.mean(0), torch.zeros(7), rtol=0, atol=1e-5)
    torch.testing.assert_close(normalised.std(0, correction=0), torch.ones(7), rtol=0, atol=1e-5)


def test_a_constant_band_stays_finite():
    normalise = BandNormalisation(1)
    normalise.fit(torch.full((1, 10, 1), -13.8))
    assert normalise(torch.full((1, 1, 1), -13.8)).abs().item() < 1e-3


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(1, 0, 4), r"expected features \(B, T, 4\) with frames in them, got \(1, 0, 4\)"),
        (torch.zeros(1, 5, 3), r"got \(1, 5, 3\)"),
        (torch.full((1, 5, 4), math.nan), "NaN or infinite"),
    ],
)
def test_statistics_of_nothing_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        BandNormalisation(4).fit(features)


@pytest.mark.parametrize("name", MODELS)
def test_the_options_build_the_same_network_again(name):
    network = build_model(name, bands=8, classes=3)
    again = build_model(name, bands=8, classes=3, **network.options)
    again.load_state_dict(network.state_dict())
    x = torch.randn(1, 5, 8)
    assert torch.equal(again.eval()(x), network.eval()(x))
    assert set(network.options) == set(model_options(name))


def test_an_unknown_network_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match="no model 'tcn'; there are ds-tcn, gru"):
        build_model("tcn", bands=40, classes=2)


def test_an_unknown_option_is_answered_with_those_that_exist():
    with pytest.raises(TypeError, match="'gru' has no option channels; its options are units, layers"):
        build_model("gru", bands=40, classes=2, channels=8)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ds-tcn", {"kernel_size": 1}),
        ("ds-tcn", {"dilations": []}),
        ("ds-tcn", {"dilations": [0]}),
        ("gru", {"units": 0}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        build_model(name, bands=40, classes=2, **options)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 0, 40), (1, 5, 39), (5, 40)])
def test_features_of_another_shape_are_refused(name, shape):
    network = build_model(name, bands=40, classes=2)
    with pytest.raises(ValueError, match=r"takes features \(B, T, 40\)"):
        network(torch.zeros(shape))
