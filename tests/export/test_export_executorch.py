"""The ExecuTorch file: one hop with its state, equal to the network, with its contract; no runtime listens over it."""

import json
import sys

import numpy as np
import pytest
import torch

from anchorstream.decode import DecoderSettings
from anchorstream.export import ParityError, check_parity, export_executorch, open_session
from anchorstream.export import executorch as export_module
from anchorstream.models.presets import PRESETS
from anchorstream.runtime import ContractError, Detector, ModelError, Session
from trained_network import trained

pytest.importorskip("executorch", reason="needs anchorstream[executorch]", exc_type=ImportError)

DECODER = DecoderSettings(threshold=0.3, refractory_s=0.2)
TRAINING = {"loss": "sal", "note": "é"}


@pytest.fixture(scope="module")
def small():
    return trained("gru", {"units": 24})


@pytest.fixture(scope="module")
def path(small, tmp_path_factory):
    return export_executorch(
        small, tmp_path_factory.mktemp("executorch") / "model.pte", decoder=DECODER, training=TRAINING
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
@torch.no_grad()
def test_every_network_gives_its_posteriors_in_calls_that_the_gate_does_not_make(name, tmp_path):
    detector = trained(PRESETS[name].model, PRESETS[name].options)
    session = open_session(export_executorch(detector, tmp_path / "model.pte", decoder=DECODER))
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pte"]
    hop = detector.hop_samples
    pcm = (0.2 * torch.randn(2, 17 * hop)).numpy()
    first, state = session.step(pcm[:, : 11 * hop], session.init_state(2))
    second, _ = session.step(pcm[:, 11 * hop :], state)
    expected = detector.posteriors(detector(torch.from_numpy(pcm))).numpy()
    np.testing.assert_allclose(np.concatenate([first, second], 1), expected, rtol=0, atol=2e-5)


@pytest.mark.slow
@torch.no_grad()
def test_a_motion_sensor_is_the_second_input(tmp_path):
    detector = trained("mixednet", motion=("ax", "ay", "az"))
    session = open_session(export_executorch(detector, tmp_path / "model.pte", decoder=DECODER))
    hop, stride = detector.hop_samples, detector.network.stride
    pcm, motion = 0.1 * torch.randn(2, 9 * hop), torch.randn(2, 9 * stride, 3)
    found, _ = session.step(pcm.numpy(), session.init_state(2), motion.numpy())
    np.testing.assert_allclose(found, detector.posteriors(detector(pcm, motion)).numpy(), rtol=0, atol=1e-5)


def test_the_file_holds_its_contract_and_no_path(path, small):
    session = open_session(path)
    assert session.kind == "ExecuTorch"
    contract = session.contract
    assert (contract.labels, contract.hop_samples, contract.delay_s) == (("yes", "no"), 160, 0.01)
    assert DecoderSettings.from_dict(contract.decoder) == DECODER
    assert (contract.training, contract.quantisation) == (TRAINING, {})
    assert b".py" not in path.read_bytes()
    assert sum(np.prod(state.shape) for state in contract.states) == small.state_size


def test_a_program_of_a_device_finds_order_sizes_and_contract_as_documented(path):
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(path)
    (text,) = program.load_method("anchorstream").execute([])
    assert [state["name"] for state in json.loads(text)["states"]] == ["pcm_tail", "hidden"]
    step = program.load_method("forward")
    posteriors, tail, hidden = step.execute([torch.zeros(1, 160), torch.zeros(1, 320), torch.zeros(1, 2, 24)])
    assert (posteriors.shape, tail.shape, hidden.shape) == ((1, 1, 2), (1, 320), (1, 2, 24))


def test_a_step_leaves_the_state_that_came_in_and_owns_what_it_gives(path):
    session = open_session(path)
    pcm = (0.1 * np.random.default_rng(0).standard_normal((1, 320))).astype(np.float32)
    state = session.init_state()
    posteriors, after = session.step(pcm, state)
    kept = posteriors.copy(), {name: array.copy() for name, array in after.items()}
    assert not any(array.any() for array in state.values())
    session.step(pcm[:, ::-1].copy(), after)
    np.testing.assert_array_equal(posteriors, kept[0])
    assert all(np.array_equal(after[name], kept[1][name]) for name in after)


def test_a_file_of_another_network_is_told(path, small):
    assert check_parity(small, path) <= 1e-5
    other = export_module.frozen(small)
    other.network.head.weight *= 1.01
    with pytest.raises(ParityError, match="the file and the network"):
        check_parity(other, path)


def test_a_mismatch_leaves_no_file_and_keeps_the_one_that_was_there(small, tmp_path, monkeypatch):
    make_file = export_module._lowered

    def of_another_network(detector, contract):
        other = export_module.frozen(detector)
        other.network.head.weight *= 1.01
        return make_file(other, contract)

    monkeypatch.setattr(export_module, "_lowered", of_another_network)
    path = tmp_path / "model.pte"
    path.write_bytes(b"the model of yesterday")
    with pytest.raises(ParityError):
        export_executorch(small, path, decoder=DECODER)
    assert path.read_bytes() == b"the model of yesterday"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pte"]


def test_no_runtime_listens_over_it(path):
    for opener in (Session.open, Detector.open):
        with pytest.raises(ModelError, match=r"model\.pte is an ExecuTorch file.*--target onnx"):
            opener(path)


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"format": 9}, ContractError, "format 9"),
        (
            {"labels": ["yes"]},
            ModelError,
            r"posteriors has shape \[1, 1, 2\] .* the contract says \[1, 1, 1\]",
        ),
        ({"hop_samples": 480}, ModelError, r"pcm has shape \[1, 160\] .* the contract says \[1, 480\]"),
        ({"states": []}, ModelError, "has 3 inputs, its contract says 1"),
        ({"motion": ["ax"], "motion_hop_samples": 160}, ModelError, "has 3 inputs, its contract says 4"),
    ],
)
def test_a_file_and_a_contract_that_do_not_belong_together(path, tmp_path, changes, error, reason):
    said = open_session(path).contract.to_json().encode()
    # As long as it was, because its place in the file is.
    text = json.dumps({**json.loads(said), **changes}, separators=(",", ":")).encode().ljust(len(said))
    changed = tmp_path / "changed.pte"
    changed.write_bytes(path.read_bytes().replace(said, text))
    with pytest.raises(error, match=reason) as caught:
        open_session(changed)
    assert str(changed) in str(caught.value)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_truncated_file_is_refused(path, tmp_path, share):
    cut = tmp_path / "cut.pte"
    cut.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ModelError, match=r"cut\.pte: it is no model that ExecuTorch can run"):
        open_session(cut)


def test_without_the_package_the_error_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "executorch.runtime", None)
    with pytest.raises(ImportError, match=r"pip install 'anchorstream\[train,executorch\]'"):
        open_session(path)
