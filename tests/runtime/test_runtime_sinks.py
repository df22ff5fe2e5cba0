"""What becomes of detections: lines, commands, clips; none of them holds the signal up or breaks it."""

import io
import json
import logging
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

import tiny_model
from anchorstream.decode import Detection
from anchorstream.runtime import Detector, JsonLines, RunCommand, SaveClips
from anchorstream.runtime.background import Background

FOUND = Detection(1.5, "loud", 0.75)


# Lines


def test_a_line_of_json_for_each_detection():
    stream = io.StringIO()
    sink = JsonLines(stream)
    sink(FOUND)
    sink(Detection(2.0, "a\nb", 1 / 3), model="stop")
    first, second = stream.getvalue().splitlines()
    assert json.loads(first) == {"time_s": 1.5, "label": "loud", "score": 0.75}
    assert json.loads(second) == {"time_s": 2.0, "label": "a\nb", "score": 0.333333, "model": "stop"}


# Jobs in the background


def test_jobs_are_done_in_order_and_a_failing_one_is_logged(caplog):
    done, jobs = [], Background("counting")
    jobs.do(lambda: done.append(1))
    jobs.do(lambda: done.append(1 // 0))
    jobs.do(lambda: done.append(3))
    jobs.close()
    jobs.close()
    assert done == [1, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "counting: integer division or modulo by zero"
    ]
    with pytest.raises(RuntimeError, match="closed"):
        jobs.do(lambda: None)


def test_who_gives_jobs_never_waits(caplog):
    begun, hold, done = threading.Event(), threading.Event(), []
    jobs = Background("waiting")
    jobs.do(lambda: begun.set() or hold.wait(30))
    begun.wait(30)
    for number in range(40):
        jobs.do(lambda number=number: done.append(number))
    assert jobs.given_up == 24, "16 wait"
    hold.set()
    jobs.close()
    assert done == list(range(16))
    assert "given up" in caplog.text


def test_who_has_time_loses_no_job():
    done, jobs = [], Background("files")
    for number in range(100):
        jobs.do(lambda number=number: done.append(number), wait=True)
    jobs.close()
    assert done == list(range(100))


# Commands


def script(tmp_path, code):
    path = tmp_path / "heard.py"
    path.write_text("import json, os, sys, time\n" + code)
    return [sys.executable, str(path)]


def test_a_command_gets_the_detection_twice(tmp_path):
    out = tmp_path / "out.json"
    code = f"""
told = {{name: value for name, value in os.environ.items() if name.startswith("ANCHORSTREAM_")}}
told.pop("ANCHORSTREAM_DATA", None)
json.dump([json.loads(sys.stdin.read()), told], open({str(out)!r}, "w"))
"""
    with RunCommand(script(tmp_path, code)) as run:
        run(FOUND, model="stop")
    given, told = json.loads(out.read_text())
    assert given == {"time_s": 1.5, "label": "loud", "score": 0.75, "model": "stop"}
    assert told == {
        "ANCHORSTREAM_TIME_S": "1.5",
        "ANCHORSTREAM_LABEL": "loud",
        "ANCHORSTREAM_SCORE": "0.75",
        "ANCHORSTREAM_MODEL": "stop",
    }


def test_what_a_label_holds_is_never_run(tmp_path):
    victim = tmp_path / "victim"
    label = f"$(touch {victim}); touch {victim}; `touch {victim}`"
    with RunCommand(f"echo '; touch {victim}' $(touch {victim})") as run:
        run(Detection(0.0, label, 1.0))
    assert not victim.exists()


def test_output_goes_to_stderr(tmp_path, capfd):
    with RunCommand(script(tmp_path, "print('heard')")) as run:
        run(FOUND)
    assert capfd.readouterr() == ("", "heard\n")


def test_a_command_that_fails_is_logged_and_the_next_runs(tmp_path, caplog, capfd):
    out = tmp_path / "times"
    code = f"open({str(out)!r}, 'a').write(os.environ['ANCHORSTREAM_TIME_S'] + '\\n'); sys.exit(3)"
    with RunCommand(script(tmp_path, code)) as run:
        run(FOUND)
        run(Detection(2.0, "loud", 1.0))
    assert out.read_text() == "1.5\n2.0\n"
    assert caplog.text.count("ended with exit code 3") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="groups of processes")
def test_a_command_that_takes_too_long_is_killed_with_what_it_started(tmp_path, caplog):
    late = tmp_path / "late"
    start = time.monotonic()
    with RunCommand(f"sh -c 'sh -c \"sleep 2; touch {late}\"; true'", time_limit_s=0.3) as run:
        run(FOUND)
        assert time.monotonic() - start < 0.25, "whoever listens does not wait"
    assert "killed after 0.3 s" in caplog.text
    time.sleep(max(0.0, 2.5 - (time.monotonic() - start)))
    assert not late.exists()


def test_a_command_that_reads_nothing_is_no_failure(tmp_path, caplog):
    with RunCommand("true") as run:
        for _ in range(5):
            run(FOUND)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "got nothing"),
        ([], "got nothing"),
        ("sh 'x", "No closing quotation"),
        ("no-such-thing x", "no command"),
    ],
)
def test_what_is_no_command_is_said_at_once(command, reason):
    with pytest.raises(ValueError, match=reason):
        RunCommand(command)


@pytest.mark.parametrize("limit_s", [0, -1, float("nan"), float("inf")])
def test_a_limit_must_be_one(limit_s):
    with pytest.raises(ValueError, match="time_limit_s"):
        RunCommand("true", time_limit_s=limit_s)


# Clips


def ramp(duration_s, rate_hz=16_000):
    """Samples that say where they are."""
    return (np.arange(round(duration_s * rate_hz)) % 30_000).astype(np.int16)


def saved(folder):
    return {path.name: soundfile.read(path, dtype="int16")[0] for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("size", [1, 160, 1600, 16_000, 100_000])
def test_a_clip_is_the_sound_around_it_to_the_sample(tmp_path, size):
    samples = ramp(8.0)
    if size == 1:
        samples = samples[:40_000]
    with SaveClips(tmp_path / "clips", sample_rate_hz=16_000, before_s=0.5, after_s=0.25, name="me") as clips:
        for first in range(0, len(samples), size):
            clips.push(samples[first : first + size])
            if first <= 24_000 < first + size:
                clips(Detection(1.5, "loud", 1.0))
    if size == 100_000:
        # 6.25 s came at once: the sound of 1.5 s was gone by then.
        assert saved(tmp_path / "clips") == {}
        return
    ((name, clip),) = saved(tmp_path / "clips").items()
    assert name == "me_000001.500s_loud.flac"
    np.testing.assert_array_equal(clip, samples[16_000:28_000])
    assert soundfile.info(tmp_path / "clips" / name).samplerate == 16_000
    assert clips.saved == 1


def test_a_clip_ends_where_the_stream_ends_and_begins_where_it_begins(tmp_path):
    samples = ramp(1.0)
    with SaveClips(tmp_path, sample_rate_hz=16_000, before_s=2, after_s=1) as clips:
        clips.push(samples)
        clips(Detection(0.5, "a", 1.0))
        assert saved(tmp_path) == {}, "its end has not come"
    ((_, clip),) = saved(tmp_path).items()
    np.testing.assert_array_equal(clip, samples)


def test_detections_close_together_have_clips_of_their_own(tmp_path):
    samples = ramp(4.0)
    with SaveClips(tmp_path, sample_rate_hz=16_000, before_s=0.5, after_s=0.5) as clips:
        for first in range(0, len(samples), 1600):
            clips.push(samples[first : first + 1600])
            for time_s in (1.0, 1.2):
                if round(time_s * 16_000) == first + 1600:
                    clips(Detection(time_s, "a", 1.0))
    first, second = saved(tmp_path).values()
    np.testing.assert_array_equal(first, samples[8_000:24_000])
    np.testing.assert_array_equal(second, samples[11_200:27_200])


def test_any_type_and_channels(tmp_path):
    left = ramp(1.0)
    stereo = np.stack([left / 32768, np.where(np.arange(len(left)) < 100, np.nan, left / 32768)], axis=1)
    with SaveClips(tmp_path, sample_rate_hz=16_000, before_s=1, after_s=0) as clips:
        clips.push(stereo)
        clips(Detection(1.0, "a", 1.0))
    ((_, clip),) = saved(tmp_path).items()
    np.testing.assert_array_equal(clip[100:], left[100:])
    np.testing.assert_allclose(clip[:100], left[:100] / 2, atol=0.5)


def test_a_label_is_no_path(tmp_path):
    with SaveClips(tmp_path / "in" / "clips", sample_rate_hz=16_000) as clips:
        clips.push(ramp(0.1))
        clips(Detection(0.05, "../../out/it", 1.0), model="a b")
        clips(Detection(0.05, "x" * 200, 1.0))
    names = [path.name for path in (tmp_path / "in" / "clips").iterdir()]
    assert sorted(names) == [
        "clip_000000.050s_a_b-_out_it.flac",
        f"clip_000000.050s_{'x' * 80}.flac",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ([("turn on", ""), ("turn_on", ""), ("Turn on", "")], ["turn_on", "turn_on-2", "Turn_on-3"]),
        ([("a", "m"), ("a", "m")], ["m-a", "m-a-2"]),
        # The model's name is cut, and not what was heard.
        ([("a", 200 * "m"), ("b", 200 * "m")], [98 * "m" + "-a", 98 * "m" + "-b"]),
        ([(79 * "x" + "ab", ""), (79 * "x" + "ac", "")], [79 * "x" + "a", 79 * "x" + "a-2"]),
        ([(80 * "語", ""), (80 * "語", "m")], [26 * "語", "m-" + 26 * "語"]),
    ],
)
def test_every_detection_has_a_file_of_its_own_whatever_its_name(tmp_path, said, names):
    with SaveClips(tmp_path, sample_rate_hz=16_000, name=100 * "語") as clips:
        clips.push(ramp(0.1))
        for label, model in said:
            clips(Detection(0.05, label, 1.0), model=model)
    assert clips.saved == len(said)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"{40 * '語'}_000000.050s_{name}.flac" for name in names}


@pytest.mark.parametrize(("block_s", "missing_s"), [(1.0, 0.0), (4.0, 0.0), (5.0, 0.5)])
def test_a_clip_whose_beginning_is_gone_says_so(tmp_path, caplog, block_s, missing_s):
    samples = ramp(block_s)
    with SaveClips(tmp_path, sample_rate_hz=16_000, before_s=1.0, after_s=0.5) as clips:
        clips.push(samples)
        # The last four seconds are kept: what a clip is, and 2.5 s.
        clips(Detection(block_s - 3.5 if block_s > 1 else 0.9, "a", 1.0))
    ((_, clip),) = saved(tmp_path).items()
    if missing_s:
        assert f"its first {missing_s:.3f} s are gone" in caplog.text
        np.testing.assert_array_equal(clip, samples[16_000:32_000])
    else:
        assert caplog.text == ""


def test_a_detection_in_what_a_hop_was_filled_up_with_has_no_sound_after_it(tmp_path, caplog):
    with SaveClips(tmp_path, sample_rate_hz=16_000, before_s=0) as clips:
        clips.push(ramp(0.095))
        clips(Detection(0.1, "a", 1.0))
    assert saved(tmp_path) == {}
    assert "the stream ended before its first sample" in caplog.text


def test_a_disk_that_fails_is_logged_and_leaves_no_half_file(tmp_path, caplog, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with SaveClips(tmp_path, sample_rate_hz=16_000, before_s=0.1, after_s=0) as clips:
        clips.push(ramp(0.5))
        monkeypatch.setattr(soundfile, "write", full)
        clips(Detection(0.2, "a", 1.0))
        clips.close()
    assert clips.saved == 0
    assert list(tmp_path.iterdir()) == []
    assert "No space left on device" in caplog.text


def test_clips_of_detections_on_a_stream(tmp_path, session, caplog):
    caplog.set_level(logging.WARNING)
    samples = tiny_model.stream(3.0, [0.5, 1.5, 2.9], rate_hz=48_000, hz=500)
    detector = Detector(session, sample_rate_hz=48_000)
    with SaveClips(tmp_path, sample_rate_hz=48_000, before_s=0.2, after_s=0.1) as clips:
        for first in range(0, len(samples), 4800):
            clips.push(samples[first : first + 4800])
            for found in detector.push(samples[first : first + 4800]):
                clips(found)
        for found in detector.flush():
            clips(found)
    lengths = [len(clip) for clip in saved(tmp_path).values()]
    assert lengths[:2] == [0.3 * 48_000] * 2
    assert all(np.abs(clip.astype(float)).max() > 20_000 for clip in saved(tmp_path).values())
    assert caplog.text == ""


@pytest.mark.parametrize(("before_s", "after_s"), [(0, 0), (-1, 1), (1, -1), (601, 1), (float("nan"), 1)])
def test_lengths_must_make_a_clip(tmp_path, before_s, after_s):
    with pytest.raises(ValueError, match=r"before_s|after_s"):
        SaveClips(tmp_path, sample_rate_hz=16_000, before_s=before_s, after_s=after_s)
