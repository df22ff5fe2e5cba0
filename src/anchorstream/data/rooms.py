"""Rooms: impulse responses of simulated rooms, by the image source method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorstream.data.clip import SAMPLE_RATE_HZ

_SMALLEST_M, _LARGEST_M = (2.5, 2.5, 2.3), (7.0, 6.0, 3.2)
_RT60_S = (0.15, 0.6)
_FROM_WALL_M = 0.4
# The time that the image source method takes grows with the cube of the order; what the reflections beyond
# this one would add lies below the noise that is mixed in.
_MAX_ORDER = 40


def make_rooms(count: int, seed: int, sample_rate_hz: int = SAMPLE_RATE_HZ) -> list[NDArray[np.float32]]:
    """Simulates rooms of 2.5 x 2.5 x 2.3 m to 7 x 6 x 3.2 m with reverberation times of 0.15 to 0.6 s.

    Each has one speaker and one microphone at random places. The time of flight is cut away, so that the
    direct path lies at sample 0 and labels stay where they are; the energy is 1, so that the level stays
    about what it was.

    Args:
        count: how many.
        seed: where chance comes from.
        sample_rate_hz: the rate of the responses.

    Returns:
        ``count`` arrays (N,) float32 of different lengths.

    Raises:
        ValueError: if ``count`` is negative.
    """
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}")
    return [_room(np.random.default_rng((seed, index)), sample_rate_hz) for index in range(count)]


def _room(rng: np.random.Generator, sample_rate_hz: int) -> NDArray[np.float32]:
    # Slow to import, and of use in training alone.
    import pyroomacoustics as pra

    size_m = rng.uniform(_SMALLEST_M, _LARGEST_M)
    # No wall swallows more than all: Sabine's formula sets the shortest reverberation that a room can have.
    faces_m2 = 2 * (size_m[0] * size_m[1] + size_m[0] * size_m[2] + size_m[1] * size_m[2])
    shortest_s = 24 * np.log(10) / pra.constants.get("c") * size_m.prod() / faces_m2
    rt60_s = max(rng.uniform(*_RT60_S), 1.05 * shortest_s)
    absorption, order = pra.inverse_sabine(rt60_s, size_m)
    room = pra.ShoeBox(
        size_m, fs=sample_rate_hz, materials=pra.Material(absorption), max_order=min(order, _MAX_ORDER)
    )
    source_m, microphone_m = (rng.uniform(_FROM_WALL_M, size_m - _FROM_WALL_M) for _ in range(2))
    room.add_source(source_m)
    room.add_microphone(microphone_m)
    room.compute_rir()
    response = np.asarray(room.rir[0][0], dtype=np.float64)
    # The library centres the direct path's interpolation filter on its time of flight.
    flight_s = np.linalg.norm(source_m - microphone_m) / room.c
    direct = round(flight_s * sample_rate_hz) + pra.constants.get("frac_delay_length") // 2
    response = response[direct:]
    return np.asarray(response / np.sqrt(np.sum(response**2)), dtype=np.float32)
