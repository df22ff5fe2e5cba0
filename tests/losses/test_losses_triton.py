"""The Triton kernel: in Triton's interpreter, through its compiler, and on a GPU where there is one."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from anchorstream.losses import build

triton = pytest.importorskip("triton", reason="Triton is not installed")


@pytest.mark.slow
def test_interpreted_the_kernel_is_the_eager_loss():
    checks = Path(__file__).with_name("triton_interpreted.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(checks)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_kernel_compiles_for_a_gpu_that_is_not_there(sigmoid, dtype):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from anchorstream.losses._triton import _loss_kernel

    constants = {
        "SIGMOID": sigmoid,
        "HAS_PLAIN": True,
        "HAS_FOCAL": True,
        "GAMMA_IS_TWO": False,
        "SUM": True,
        "WRITE_GRADIENT": True,
        "FRAMES": 128,
        "CLASSES": 1 if sigmoid else 16,
    }
    types = dict.fromkeys(("plain_ptr", "focal_ptr", "scale_ptr", "loss_ptr"), "*fp32")
    types |= {"logits_ptr": f"*{dtype}", "gradient_ptr": f"*{dtype}", "labels_ptr": "*i64", "gamma": "fp32"}
    names = _loss_kernel.arg_names
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in names}
    source = ASTSource(
        _loss_kernel, signature, {(names.index(name),): value for name, value in constants.items()}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Triton speaks of its coming defaults
        binary = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert ".visible .entry _loss_kernel" in binary.asm["ptx"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["sal", "sa+fl", "safl", "ce", "focal", "end-frame"])
@pytest.mark.parametrize("num_classes", [0, 2, 12, 40])
def test_on_a_gpu_the_loss_is_that_of_the_cpu(name, num_classes):
    generator = torch.Generator().manual_seed(0)
    shape = (16, 400, num_classes) if num_classes else (16, 400)
    logits = 3 * torch.randn(shape, generator=generator)
    targets = torch.randint(0, max(num_classes, 2), (16, 400), generator=generator)
    lengths = torch.randint(0, 401, (16,), generator=generator)
    found = []
    for device in ("cpu", "cuda"):
        leaf = logits.to(device).requires_grad_()
        loss = build(name)(leaf, targets.to(device), lengths=lengths.to(device))
        loss.backward()
        found.append((loss.detach().cpu(), leaf.grad.cpu()))
    for ours, expected in zip(found[1], found[0], strict=True):
        assert float((ours - expected).abs().max() / expected.abs().max()) < 1e-6
