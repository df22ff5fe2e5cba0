"""The convolution with a room against the sum that it is."""

import numpy as np
import pytest

from anchorstream.data import room_filter
from anchorstream.data.room_filter import RoomFilter

RNG = np.random.default_rng(4)


def noise(samples: int) -> np.ndarray:
    return RNG.standard_normal(samples).astype(np.float32)


@pytest.mark.parametrize("response", [1, 5, 30, 200], ids=lambda count: f"room of {count}")
@pytest.mark.parametrize("samples", [0, 1, 63, 64, 65, 1000], ids=lambda count: f"signal of {count}")
def test_it_is_the_sum_over_the_response(samples, response, monkeypatch):
    # Blocks of 64 points: signals of none, one and several, and a room that is longer than a block.
    monkeypatch.setattr(room_filter, "_POINTS", 64)
    signal, room = noise(samples), noise(response)
    before = signal.copy()
    wet = RoomFilter(room)(signal)
    expected = np.convolve(signal.astype(float), room.astype(float))[:samples] if samples else signal
    assert wet.dtype == np.float32
    np.testing.assert_allclose(wet, expected, atol=1e-4)
    np.testing.assert_array_equal(signal, before)


def test_a_stream_in_blocks_of_the_usual_size():
    signal, room = noise(128_000), noise(9_000) / 100
    expected = np.convolve(signal.astype(float), room.astype(float))[:128_000]
    np.testing.assert_allclose(RoomFilter(room)(signal), expected, atol=2e-5)
