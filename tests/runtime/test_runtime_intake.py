"""Whatever the blocks are, what comes out in whole hops is the signal, to its last sample."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorstream.runtime.intake import Intake

MODEL_HZ = 16_000


@given(
    rate_hz=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    hop=st.sampled_from([1, 7, 160, 480, 4_000]),
    sizes=st.lists(st.integers(0, 5_000), max_size=12),
    kind=st.sampled_from(["int16", "float32", "stereo"]),
)
@settings(max_examples=80, deadline=None)
def test_hops_are_the_signal_and_then_silence(rate_hz, hop, sizes, kind):
    signal = np.random.default_rng(len(sizes)).uniform(-0.5, 0.5, sum(sizes)).astype(np.float32)
    whole = signal
    if kind == "int16":
        signal = np.round(32_767 * signal).astype(np.int16)
        whole = (signal / np.float32(32_768)).astype(np.float32)
    elif kind == "stereo":
        signal = np.stack([signal, np.zeros_like(signal)], axis=1)
        whole = whole / 2
    if rate_hz != MODEL_HZ:
        whole = soxr.ResampleStream(rate_hz, MODEL_HZ, 1, dtype="float32").resample_chunk(whole, last=True)
    intake, found, first = Intake(rate_hz, MODEL_HZ, hop), [], 0
    for size in sizes:
        for hops in intake.hops(signal[first : first + size]):
            assert len(hops) % hop == 0
            found.append(hops.copy())
        first += size
    found += [hops.copy() for hops in intake.end()]
    given_out = np.concatenate([np.zeros(0, np.float32), *found])
    assert len(given_out) == -(-len(whole) // hop) * hop
    np.testing.assert_allclose(given_out[: len(whole)], whole, atol=1e-6)
    assert not given_out[len(whole) :].any()


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_a_long_block_comes_in_pieces_and_a_new_stream_begins_empty(rate_hz):
    signal = np.random.default_rng(0).uniform(-0.5, 0.5, round(3.3 * rate_hz)).astype(np.float32)
    intake = Intake(rate_hz, MODEL_HZ, 480)
    runs = []
    for _ in range(2):
        runs.append(np.concatenate([*(hops.copy() for hops in intake.hops(signal)), *intake.end()]))
        intake.reset()
    np.testing.assert_array_equal(*runs)
    assert len(runs[0]) == 110 * 480
