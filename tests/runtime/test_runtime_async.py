"""An asynchronous iterator as the source: the same detections, while other coroutines go on."""

import asyncio

import numpy as np
import pytest

import tiny_model
from anchorstream.runtime import Detector, detect_async


async def blocks(samples, size, pause_s=0.0):
    for first in range(0, len(samples), size):
        await asyncio.sleep(pause_s)
        yield samples[first : first + size]


@pytest.mark.parametrize("size", [333, 1600, 100_000])
def test_blocks_that_arrive_asynchronously(session, size):
    # It ends in the middle of a hop, and with a burst whose detection comes with the end.
    samples = np.concatenate([tiny_model.stream(1.0, [0.2]), np.full(319, 0.5, np.float32)])

    async def heard():
        return [found.time_s async for found in detect_async(Detector(session), blocks(samples, size))]

    assert asyncio.run(heard()) == [0.22, 1.02]


def test_other_coroutines_go_on_while_a_source_stalls(session):
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.001)

    async def main():
        other = asyncio.create_task(tick())
        samples = tiny_model.stream(0.4, [0.2])
        found = [one.time_s async for one in detect_async(Detector(session), blocks(samples, 1600, 0.02))]
        other.cancel()
        return found

    assert asyncio.run(main()) == [0.22]
    assert len(ticks) > 4


def test_leaving_early_leaves_the_detector_where_it_was(session):
    detector = Detector(session)
    samples = tiny_model.stream(1.0, [0.2, 0.6])

    async def first():
        source = blocks(samples[:8_000], 1600)
        listening = detect_async(detector, source)
        found = await anext(listening)
        await listening.aclose()
        return found.time_s

    assert asyncio.run(first()) == 0.22
    # Blocks of 0.1 s: three of them were taken.
    assert [found.time_s for found in detector.push(samples[4_800:])] == [0.62]


def test_an_error_of_the_source_comes_through(session):
    async def broken():
        yield np.zeros(160, np.int16)
        raise ConnectionError("the socket is gone")

    async def main():
        return [found async for found in detect_async(Detector(session), broken())]

    with pytest.raises(ConnectionError, match="socket is gone"):
        asyncio.run(main())
