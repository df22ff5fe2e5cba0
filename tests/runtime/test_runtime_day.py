"""A day in one stream: times stay exact and memory stays where it was."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tiny_model
from anchorstream.runtime import Detector, DetectorPool, SaveClips

DATA = Path(os.environ.get("ANCHORSTREAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
DAY_S, MINUTE_S = 24 * 3600, 60
STATUS = Path("/proc/self/status")


def resident_mib():
    return int(STATUS.read_text().split("VmRSS:")[1].split()[0]) / 1024 if STATUS.exists() else 0.0


def minute():
    """A minute of real noise and speech, quiet enough for the model, or of noise where there are no recordings."""
    length = MINUTE_S * tiny_model.RATE_HZ
    files = sorted((DATA / "noise").rglob("*.flac"))[:20] if DATA.is_dir() else []
    if files:
        sound = np.concatenate([soundfile.read(file, dtype="float32")[0] for file in files])
        sound = np.resize(sound, length)
    else:
        sound = np.random.default_rng(0).standard_normal(length).astype(np.float32)
    return (0.1 * 32767 * sound / np.abs(sound).max()).astype(np.int16)


@pytest.mark.slow
@pytest.mark.parametrize("streams", [0, 2], ids=["detector", "pool"])
def test_a_day_is_exact_and_keeps_no_memory(session, tmp_path, streams):
    """A burst in the second before each full hour; blocks are of no whole number of hops, nor of the burst's length."""
    sound, burst = minute(), tiny_model.stream(0.1, [0.0])
    day = DAY_S * tiny_model.RATE_HZ
    starts_s = np.arange(3600, DAY_S + 1, 3600) - 0.5
    detector, pool = Detector(session), DetectorPool(session)
    for key in range(streams):
        pool.add(key)
    found, memory_mib, at, hours = [], [], 0, 0
    size = 7 * tiny_model.RATE_HZ + 13
    with SaveClips(tmp_path, sample_rate_hz=tiny_model.RATE_HZ, before_s=1.0, after_s=0.2) as clips:
        while at < day:
            block = np.resize(np.roll(sound, -(at % len(sound))), min(size, day - at))
            hour = round(starts_s[hours] * tiny_model.RATE_HZ) if hours < len(starts_s) else day
            if at <= hour < at + len(block):
                place = block[hour - at : hour - at + len(burst)]
                place[:] = (burst[: len(place)] * 32767).astype(np.int16)
                if len(place) == len(burst):
                    hours += 1
            elif hour < at < hour + len(burst):
                block[: hour + len(burst) - at] = (burst[at - hour :] * 32767).astype(np.int16)
                hours += 1
            if streams:
                fired = pool.push(dict.fromkeys(range(streams), block))
                assert all(fired[key] == fired[0] for key in range(streams))
                new = fired[0]
            else:
                new = detector.push(block)
            found += new
            if at % (3600 * tiny_model.RATE_HZ) < size:
                clips.push(block)
                memory_mib.append(resident_mib())
            at += len(block)
    # The second hop of each burst, in whole samples from the start of the day: no rounding of a day's seconds.
    assert [one.time_s for one in found] == [round(start_s + 0.02, 9) for start_s in starts_s]
    assert len(memory_mib) >= 24
    # The first hours fill the caches of onnxruntime and of numpy.
    assert max(memory_mib[3:]) - memory_mib[2] < 8
