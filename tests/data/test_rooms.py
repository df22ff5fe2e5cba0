"""Rooms move no anchor and change no level."""

import numpy as np
import pytest

from anchorstream.data.rooms import make_rooms

ROOMS = make_rooms(24, seed=5)


def test_the_direct_path_is_at_sample_0():
    for room in ROOMS:
        # A reflection may be louder, but nothing near the start is, and nothing comes before it.
        assert np.argmax(np.abs(room[:5])) == 0
        assert np.abs(room[0]) > 0.1 * np.abs(room).max()


def test_the_energy_is_1_and_dies_away():
    for room in ROOMS:
        assert room.dtype == np.float32
        assert np.sum(room.astype(float) ** 2) == pytest.approx(1, rel=1e-4)
        decay = np.cumsum(room[::-1].astype(float) ** 2)[::-1]
        rt60_s = 2 * np.argmax(decay < 1e-3 * decay[0]) / 16_000
        assert 0.05 < rt60_s < 1.0


def test_rooms_depend_on_seed_and_index_alone():
    for room, again in zip(ROOMS, make_rooms(3, seed=5), strict=False):
        np.testing.assert_array_equal(room, again)
    assert not np.array_equal(make_rooms(1, seed=6)[0], ROOMS[0])
    assert len({room.tobytes() for room in ROOMS}) == len(ROOMS)


def test_another_rate_scales_the_response():
    (slow,) = make_rooms(1, seed=5, sample_rate_hz=8_000)
    assert len(slow) == pytest.approx(len(ROOMS[0]) / 2, rel=0.05)


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="count must be at least 0, got -1"):
        make_rooms(-1, seed=0)
