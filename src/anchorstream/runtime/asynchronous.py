"""A detector in a program of coroutines."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from anchorstream.decode import Detection
from anchorstream.runtime.detector import Detector
from anchorstream.runtime.sources import Block


async def detect_async(detector: Detector, blocks: AsyncIterable[Block]) -> AsyncIterator[Detection]:
    """What fires in blocks that arrive asynchronously, from a socket or a queue, until they end.

    The model runs in a thread, so that other coroutines go on meanwhile. At the end the detector is flushed; whoever
    leaves the loop before it may go on with the detector.

    Args:
        detector: one that nothing else pushes into.
        blocks: as of :meth:`Detector.push`.

    Raises:
        TypeError, ValueError, RuntimeError: as of :meth:`Detector.push`.

    Example:
        >>> async for found in detect_async(detector, blocks()):          # doctest: +SKIP
        ...     print(found.time_s, found.label)
    """
    # Slow to import: only who has coroutines waits for it.
    import asyncio

    async for block in blocks:
        for found in await asyncio.to_thread(detector.push, block):
            yield found
    for found in await asyncio.to_thread(detector.flush):
        yield found
