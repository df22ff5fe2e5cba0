"""Networks: size, receptive field, head, normalisation, registry."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.models.normalise import BandNormalisation
from anchorstream.models.registry import MODELS, build_model, model_options
from anchorstream.models.separable import Pointwise, to_image
from anchorstream.models.tcn import DSTCN


def norm(layer, values):
    scale = layer.weight / torch.sqrt(layer.running_var + layer.eps)
    return (values - layer.running_mean) * scale + layer.bias


def depthwise(convolution, rows):
    """Tap by tap, frame by frame: (T, C) to (T, C)."""
    taps = convolution.weight.shape[3]
    outputs = torch.zeros_like(rows)
    for t in range(len(rows)):
        for tap in range(taps):
            source = t - (taps - 1 - tap) * convolution.dilation
            if source >= 0:
                outputs[t] += convolution.weight[:, 0, 0, tap] * rows[source]
    return outputs


def pointwise(convolution, rows):
    return rows @ convolution.weight[:, :, 0, 0].T


def stirred(network):
    """With weights and statistics away from where they start, so that no term of a formula is 0 or 1."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2.0)
            module.bias.normal_(std=0.3)
    network.head.weight.normal_()
    network.normalise.fit(torch.randn(1, 30, network.bands))
    return network.eval()


def naive_tcn(network, x):
    """The TCN frame by frame, from its definition."""
    rows = (x - network.normalise.mean) / network.normalise.std
    rows = torch.relu(norm(network.expand_norm, rows @ network.expand.weight[:, :, 0, 0].T))
    for block in network.blocks:
        mixed = pointwise(block.pointwise, depthwise(block.depthwise, rows))
        rows = rows + torch.relu(norm(block.norm, mixed))
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


@torch.no_grad()
def test_the_mdtc_sums_the_ends_of_its_stacks():
    network = stirred(build_model("mdtc", bands=5, classes=3, channels=4, dilations=(1, 3), stacks=3))
    x = torch.randn(40, 5)
    rows, ends = (x - network.normalise.mean) / network.normalise.std, []
    for index, block in enumerate(network.blocks):
        inner = norm(block.depthwise_norm, depthwise(block.depthwise, rows))
        inner = torch.relu(norm(block.pointwise_norm, pointwise(block.pointwise, inner)))
        inner = norm(block.mix_norm, pointwise(block.mix, inner))
        # The first block widens 5 bands to 4 channels and has nothing to add to.
        rows = torch.relu(inner if index == 0 else inner + rows)
        if index in (2, 4, 6):
            ends.append(rows)
    expected = (ends[0] + ends[1] + ends[2]) @ network.head.weight.T + network.head.bias
    assert len(network.blocks) == 7
    torch.testing.assert_close(network(x[None])[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_mixednet_is_the_naive_loop():
    options = {"first_channels": 5, "channels": 6, "kernel_sizes": [[2], [3, 4], [2, 3, 4]]}
    network = stirred(build_model("mixednet", bands=4, classes=2, **options))
    x = torch.randn(50, 4)
    features = (x - network.normalise.mean) / network.normalise.std
    padded = torch.cat((torch.zeros(2, 4), features))
    # Output t ends with frame 3 t + 2, and takes five frames.
    rows = torch.stack(
        [sum(network.first.weight[:, :, 0, tap] @ padded[3 * t + tap] for tap in range(5)) for t in range(16)]
    )
    rows = torch.relu(norm(network.first_norm, rows))
    # 5 channels in one share, then 6 in two and in three.
    for block, shares in zip(network.blocks, [[5], [3, 3], [2, 2, 2]], strict=True):
        parts = [
            depthwise(convolution, part)
            for convolution, part in zip(block.depthwise, rows.split(shares, dim=1), strict=True)
        ]
        mixed = torch.relu(norm(block.norm, pointwise(block.pointwise, torch.cat(parts, dim=1))))
        rows = mixed if shares == [5] else rows + mixed
    expected = rows @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(x[None])[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_crnn_is_its_blocks_and_then_a_gru():
    network = stirred(build_model("crnn", bands=4, classes=2, channels=6, dilations=(1, 3), units=3))
    x = torch.randn(30, 4)
    rows = (x - network.normalise.mean) / network.normalise.std
    rows = torch.relu(norm(network.expand_norm, pointwise(network.expand, rows)))
    for block in network.blocks:
        mixed = pointwise(block.pointwise, depthwise(block.depthwise, rows))
        rows = rows + torch.relu(norm(block.norm, mixed))
    expected = naive_gru(network.gru, 0, rows) @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(x[None])[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_channels_that_do_not_divide_go_to_the_first_kernel_sizes():
    network = build_model("mixednet", bands=4, classes=2, first_channels=7, kernel_sizes=[[2, 3, 4]])
    shapes = {name: tuple(tensor.shape) for name, tensor in network.init_state(1).items()}
    assert shapes == {
        "first_tail": (1, 1, 2, 4),
        "block0_tail": (1, 1, 3, 7),
    }
    assert [tuple(one.weight.shape) for one in network.blocks[0].depthwise] == [
        (3, 1, 1, 2),
        (2, 1, 1, 3),
        (2, 1, 1, 4),
    ]


@torch.no_grad()
def test_a_network_with_a_stride_drops_what_is_left_and_steps_over_whole_strides():
    network = build_model("mixednet", bands=4, classes=2).eval()
    x = torch.randn(2, 20, 4)
    assert network(x).shape == (2, 6, 2)
    assert torch.equal(network(x), network(x[:, :18]))
    with pytest.raises(ValueError, match="a step of mixednet takes a multiple of 3 frames, got 20"):
        network.step(x, network.init_state(2))
    with pytest.raises(ValueError, match=r"and T >= 3, got shape \(2, 2, 4\)"):
        network(x[:, :2])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ds-tcn", {"channels": 4, "dilations": (1, 3, 8)}),
        ("mdtc", {"channels": 4, "dilations": (1, 3, 8), "stacks": 2}),
        ("crnn", {"channels": 4, "dilations": (1, 3), "units": 3}),
        ("mixednet", {"channels": 4, "first_channels": 4, "kernel_sizes": [[5], [2, 7]]}),
    ],
)
def test_whole_pass_and_steps_take_the_same_gradient(name, options):
    network = build_model(name, bands=5, classes=2, **options).train()
    x = torch.randn(2, 36, 5)
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


def layer_weights(module, layer):
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return (getattr(module, f"{name}_l{layer}") for name in names)


def naive_gru(gru, layer, rows):
    """One layer of a GRU, frame by frame: gates reset, update, candidate."""
    w_in, w_rec, b_in, b_rec = layer_weights(gru, layer)
    units = gru.hidden_size
    hidden, outputs = torch.zeros(units), []
    for row in rows:
        from_input, from_past = w_in @ row + b_in, w_rec @ hidden + b_rec
        reset = torch.sigmoid(from_input[:units] + from_past[:units])
        update = torch.sigmoid(from_input[units : 2 * units] + from_past[units : 2 * units])
        candidate = torch.tanh(from_input[2 * units :] + reset * from_past[2 * units :])
        hidden = (1 - update) * candidate + update * hidden
        outputs.append(hidden)
    return torch.stack(outputs)


@torch.no_grad()
def test_the_lstm_is_the_naive_loop():
    network = build_model("lstm", bands=4, classes=2, units=3, layers=2).eval()
    x = torch.randn(9, 4)
    rows, last_cells = x, []
    for layer in range(2):
        w_in, w_rec, b_in, b_rec = layer_weights(network.lstm, layer)
        hidden, cell, outputs = torch.zeros(3), torch.zeros(3), []
        for row in rows:
            gates = w_in @ row + b_in + w_rec @ hidden + b_rec
            into, forget, out = (torch.sigmoid(gates[i : i + 3]) for i in (0, 3, 9))
            cell = forget * cell + into * torch.tanh(gates[6:9])
            hidden = out * torch.tanh(cell)
            outputs.append(hidden)
        rows = torch.stack(outputs)
        last_cells.append(cell)
    expected = rows @ network.head.weight.T + network.head.bias
    logits, state = network.step(x[None], network.init_state(1))
    torch.testing.assert_close(logits[0], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state["cell"][0], torch.stack(last_cells), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state["hidden"][0, 1], rows[-1], rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_the_gru_is_the_naive_loop():
    network = build_model("gru", bands=4, classes=2, units=3, layers=2).eval()
    x = torch.randn(9, 4)
    rows = naive_gru(network.gru, 1, naive_gru(network.gru, 0, x))
    expected = rows @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(x[None])[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["ds-tcn", "mdtc", "mixednet"])
@torch.no_grad()
def test_the_receptive_field_is_what_a_change_reaches(name):
    torch.manual_seed(0)
    network = build_model(name, bands=40, classes=2).double().eval()
    stride = network.stride
    x = torch.randn(1, 300 * stride, 40, dtype=torch.float64)
    reached = []
    for frame in range(50 * stride, 51 * stride):
        changed = x.clone()
        changed[:, frame] += 5.0
        outputs = torch.nonzero((network(x) != network(changed)).any(-1)[0]).flatten()
        assert outputs[0] == frame // stride
        # From the frame to the last frame of the last output that it reaches.
        reached.append((outputs[-1].item() + 1) * stride - frame)
    assert max(reached) == network.receptive_field_frames


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
    with pytest.raises(ValueError, match="no model 'tcn'; there are ds-tcn, mdtc, mixednet, gru, lstm, crnn"):
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
        ("lstm", {"layers": 0}),
        ("crnn", {"units": 0}),
        ("crnn", {"kernel_size": 1}),
        ("crnn", {"dilations": []}),
        ("mdtc", {"stacks": 0}),
        ("mdtc", {"dilations": [0, 1]}),
        ("mdtc", {"channels": 0}),
        ("mixednet", {"stride": 0}),
        ("mixednet", {"stride": 5}),
        ("mixednet", {"first_kernel_size": 3}),
        ("mixednet", {"kernel_sizes": []}),
        ("mixednet", {"kernel_sizes": [[5], []]}),
        ("mixednet", {"kernel_sizes": [[1]]}),
        ("mixednet", {"first_channels": 0}),
        ("mixednet", {"channels": 1}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        build_model(name, bands=40, classes=2, **options)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 0, 40), (0, 30, 40), (1, 5, 39), (5, 40)])
def test_features_of_another_shape_are_refused(name, shape):
    network = build_model(name, bands=40, classes=2)
    with pytest.raises(ValueError, match=r"takes features \(B, T, 40\) with B >= 1 and T >= "):
        network(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"takes features \(B, T, 40\) with B >= 1 and T >= "):
        network.step(torch.zeros(shape), network.init_state(shape[0]))


@pytest.mark.parametrize("name", MODELS)
def test_features_of_a_wider_type_than_the_network_are_refused(name):
    network = build_model(name, bands=40, classes=2)
    doubles = torch.zeros(1, 6, 40, dtype=torch.float64)
    message = rf"{name} is of torch.float32 and takes no features of torch.float64; .*\(torch.float32\)"
    with pytest.raises(TypeError, match=message):
        network(doubles)
    with pytest.raises(TypeError, match=message):
        network.step(doubles, network.init_state(1))
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(TypeError, match=message):
        network(doubles)  # autocast leaves doubles alone
    assert network.double()(doubles).dtype == torch.float64


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"lstm"}))  # no LSTM of torch in bfloat16 on every CPU
def test_features_that_the_network_or_autocast_converts_are_taken(name):
    network = build_model(name, bands=40, classes=2)
    for dtype in (torch.bfloat16, torch.float16, torch.int64):
        assert network(torch.zeros(1, 6, 40, dtype=dtype)).dtype == torch.float32
    single, halves = torch.zeros(1, 6, 40), network.bfloat16()
    with pytest.raises(TypeError, match=r"is of torch.bfloat16 and takes no features of torch.float32"):
        halves(single)
    with torch.autocast("cpu", torch.bfloat16):
        assert halves(single).dtype == torch.bfloat16


def test_the_forget_gates_of_a_fresh_lstm_start_open():
    network = build_model("lstm", bands=4, classes=2, units=3, layers=2)
    for layer in range(2):
        _, _, b_in, b_rec = layer_weights(network.lstm, layer)
        assert torch.equal((b_in + b_rec)[3:6], torch.ones(3))
        assert not torch.equal((b_in + b_rec)[:3], torch.ones(3))


@pytest.mark.parametrize(("batch", "frames"), [(1, 64), (2, 8), (3, 16), (8, 50), (5, 7), (16, 9)])
def test_pointwise_is_the_convolution_however_a_batch_is_cut_into_rows(batch, frames):
    torch.manual_seed(0)
    layer = Pointwise(6, 4)
    x = to_image(torch.randn(batch, frames, 6)).requires_grad_()
    pull = torch.randn(batch, 4, 1, frames)
    expected = torch.einsum("oi,bixt->boxt", layer.weight[:, :, 0, 0], x)
    actual = layer(x)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)
    leaves = [x, layer.weight]
    for ours, theirs in zip(
        torch.autograd.grad(actual, leaves, pull), torch.autograd.grad(expected, leaves, pull), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
