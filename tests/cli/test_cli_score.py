"""Score: a case worked out by hand, as posteriors and as detections, and the library's figures on a model's output."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from anchorstream.decode import DecoderSettings
from anchorstream.metrics import Event, MatchWindow, PosteriorStream, garwood, sweep, wilson

# One hour and a half; frames of 0.1 s that are known at their end.
LENGTHS_S = {"a": 3600.0, "b": 1800.0}
EVENTS = [("a", 10.0, 10.5, "anna"), ("a", 100.0, 101.0, "ben"), ("b", 50.0, 50.5, "anna")]
# Peaks of the posterior: recording, the moment the frame is known, height.
PEAKS = [
    ("a", 10.7, 0.9),  # a hit, 0.2 s late
    ("a", 101.4, 0.6),  # a hit, 0.4 s late
    ("a", 2000.0, 0.7),  # a false alarm
    ("b", 50.4, 0.9),  # a hit, 0.1 s early
    ("b", 900.0, 0.3),  # a false alarm
]
# Windows from the start to 0.5 s after the anchor.
HOURS = (3600 - 1.0 - 1.5 + 1800 - 1.0) / 3600


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"{file}.wav,{start},{anchor},yes,{who}" for file, start, anchor, who in EVENTS)
    (tmp_path / "events.csv").write_text(f"file,start_s,anchor_s,label,speaker\n{rows}\n")
    (tmp_path / "posteriors").mkdir()
    for name, length_s in LENGTHS_S.items():
        posteriors = np.full((round(length_s * 10), 1), 0.01, np.float32)
        for file, time_s, height in PEAKS:
            if file == name:
                posteriors[round(time_s * 10) - 1] = height
        np.savez(
            tmp_path / "posteriors" / f"{name}.npz",
            posteriors=posteriors,
            hop_s=0.1,
            delay_s=0.1,
            labels=np.array(["yes"]),
        )
    rows = "\n".join(f"{file},{time_s},yes" for file, time_s, height in PEAKS if height > 0.5)
    (tmp_path / "found.csv").write_text(f"file,time_s,label\n{rows}\n")
    rows = "\n".join(f"{file},{length_s}" for file, length_s in LENGTHS_S.items())
    (tmp_path / "durations.csv").write_text(f"file,duration_s\n{rows}\n")
    return tmp_path


def score(cli, scores, *options):
    return cli("score", "--reference", "events.csv", "--scores", scores, "--post-s", "0.5", *options)


def check(point, misses, false_alarms, latencies_s):
    assert (point["events"], point["misses"], point["false_alarms"]) == (3, misses, false_alarms)
    assert point["hours"] == pytest.approx(HOURS)
    assert point["miss_rate"] == pytest.approx(misses / 3)
    assert point["miss_rate_interval"] == pytest.approx(wilson(misses, 3))
    assert point["false_alarms_per_hour"] == pytest.approx(false_alarms / HOURS)
    assert point["false_alarms_per_hour_interval"] == pytest.approx(garwood(false_alarms, HOURS))
    below = None if false_alarms else pytest.approx(-np.log(0.05) / HOURS)
    assert point["false_alarms_per_hour_below"] == below
    assert point["latency_mean_s"] == pytest.approx(np.mean(latencies_s))
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95)):
        assert point[f"latency_{name}_s"] == pytest.approx(np.quantile(latencies_s, share))
    assert point["early_share"] == pytest.approx(np.mean(np.array(latencies_s) < 0))


def test_posteriors_by_hand(cli, folder):
    result = score(cli, "posteriors", "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    assert document["window"] == {"pre_s": 0.0, "post_s": 0.5}
    assert document["decoder"] == {"smoothing_s": 0.0, "refractory_s": 1.0, "release": 1.0, "release_s": 0.0}
    assert document["recordings"] == 2
    found = document["labels"]["yes"]
    tenth, half, one, five = found["operating_points"]
    assert [point["rate"] for point in (tenth, half, one, five)] == [0.1, 0.5, 1.0, 5.0]
    # No false alarm is allowed: the one at 0.7 silences the second event.
    for point in (tenth, half):
        check(point, 1, 0, [0.2, -0.1])
        assert 0.7 < point["threshold"] <= 0.9
    for point in (one, five):
        check(point, 0, 1, [0.2, 0.4, -0.1])
        assert 0.3 < point["threshold"] <= 0.6
    assert found["target"] == one


def test_detections_by_hand(cli, folder):
    result = score(cli, "found.csv", "--durations", "durations.csv", "--json")
    assert (result.code, result.err) == (0, "")
    (point,) = json.loads(result.out)["labels"]["yes"]["operating_points"]
    check(point, 0, 1, [0.2, 0.4, -0.1])
    assert point["threshold"] is None
    # No event is missed, and drawing speakers anew would say that none ever is.
    assert point["miss_rate_speaker_interval"] is None


def test_the_table(cli, folder):
    lines = score(cli, "posteriors", "--rates", "0.5,1").out.splitlines()
    assert lines[0].startswith("'yes': 3 event(s) in 2 recording(s), 1.5 h outside of their windows")
    low, high = wilson(1, 3)
    assert lines[2].split() == [
        *("<=", "0.5", "per", "hour", lines[2].split()[4], "1", "of", "3"),
        *("33.3%", f"[{low:.1%},", f"{high:.1%}]", "0", "in", "1.5", "h", "below", "2"),
        *("50", "50", "170", "185", "50%"),
    ]
    assert lines[3].startswith("<= 1 per hour")
    assert "0 of 3" in lines[3]
    assert lines[4].startswith("for 1 false alarm(s) per hour: threshold 0.")
    assert len(lines) == 5  # an hour and a half tells 1 per hour, but not 0.5
    lines = score(cli, "posteriors", "--target-fa-per-hour", "0.5").out.splitlines()
    assert lines[-1] == "1.5 h are too few to tell 0.5 per hour: none at all was allowed."


def test_the_threshold_that_is_named_gives_the_point_that_was_shown(cli, folder):
    shown = score(cli, "posteriors").out
    named = shown.partition(": threshold ")[2].partition(",")[0]
    found = json.loads(score(cli, "posteriors", "--threshold", named, "--json").out)["labels"]["yes"]
    assert found["at_threshold"]["threshold"] == float(named)
    assert {**found["at_threshold"], "rate": 1.0} == found["target"]


def test_a_threshold_chosen_elsewhere_and_a_target(cli, folder):
    result = score(cli, "posteriors", "--threshold", "0.2", "--target-fa-per-hour", "2", "--json")
    found = json.loads(result.out)["labels"]["yes"]
    assert found["at_threshold"]["threshold"] == 0.2
    check(found["at_threshold"], 0, 2, [0.2, 0.4, -0.1])
    assert found["target"]["rate"] == 2.0
    assert [point["rate"] for point in found["operating_points"]] == [0.1, 0.5, 1.0, 2.0, 5.0]


def test_a_limit_of_latency_is_kept_at_as_many_false_alarms_as_that_takes(cli, folder):
    # Hits at 0.4, 0.2 and -0.1 s have a P90 of 0.36 s; without the one of 0.6, which is the latest, of 0.17 s.
    found = json.loads(score(cli, "posteriors", "--max-latency-ms", "200", "--json").out)["labels"]["yes"]
    check(found["target"], 1, 0, [0.2, -0.1])
    assert found["target"]["max_latency_s"] == 0.2
    lines = score(cli, "posteriors", "--max-latency-ms", "200").out.splitlines()
    assert lines[-2].startswith("P90 <= 200 ms")
    assert "1 of 3" in lines[-2]
    assert lines[-1].startswith(
        "for a P90 of latency of 200 ms at 1 false alarm(s) per hour or as many more as that"
    )
    # Together with a rate both are kept, or it is said what can be.
    both = score(cli, "posteriors", "--max-latency-ms", "400", "--target-fa-per-hour", "2", "--json").out
    check(json.loads(both)["labels"]["yes"]["target"], 0, 1, [0.2, 0.4, -0.1])
    failed = score(cli, "posteriors", "--max-latency-ms", "1", "--target-fa-per-hour", "2")
    assert failed.code == 1
    assert "at that rate the least P90 is" in failed.err


def test_the_decoders_settings_reach_it(cli, folder):
    # The mean over ten frames of a single one is a tenth of it: 0.7 becomes 0.079.
    options = ["--smoothing-s", "1", "--refractory-s", "5", "--release", "0.9", "--release-s", "0.2"]
    found = json.loads(score(cli, "posteriors", *options, "--threshold", "0.09", "--json").out)
    assert found["decoder"] == {
        "smoothing_s": 1.0,
        "refractory_s": 5.0,
        "release": 0.9,
        "release_s": 0.2,
    }
    check(found["labels"]["yes"]["at_threshold"], 1, 0, [0.2, -0.1])


def test_what_an_engine_says_and_the_reference_does_not(cli, folder):
    with (folder / "found.csv").open("a") as file:
        file.write("a,3000,no\n")
    result = score(cli, "found.csv", "--durations", "durations.csv", "--json")
    assert list(json.loads(result.out)["labels"]) == ["yes"]
    assert result.err == "not scored, since the reference has no such event: 'no' (--label picks)\n"
    result = score(
        cli, "found.csv", "--durations", "durations.csv", "--label", "no", "--label", "yes", "--json"
    )
    assert list(json.loads(result.out)["labels"]) == ["no", "yes"]


def test_a_label_that_was_never_detected_is_missed_and_that_is_said(cli, folder):
    (folder / "found.csv").write_text("file,time_s,label\na,10.7,Yes\n")
    result = score(cli, "found.csv", "--durations", "durations.csv")
    assert "3 of 3" in result.out
    assert "'yes' was never detected; there is ['Yes']" in result.err


@pytest.mark.parametrize(
    "option", [["--release", "0.5"], ["--rates", "1"], ["--out", "x"], ["--threshold", "1"]]
)
def test_options_of_posteriors_with_detections_are_wrong_usage(cli, folder, option):
    result = score(cli, "found.csv", "--durations", "durations.csv", *option)
    assert result.code == 2
    assert f"{option[0]}: of posteriors alone; found.csv are detections" in result.err


def test_scores_that_are_not_there_are_not_taken_for_detections(cli, folder):
    (folder / "empty").mkdir()
    for scores, told in (("posteriorz", "there is no such file"), ("empty", "the folder holds no .npz")):
        result = score(cli, scores, "--target-fa-per-hour", "1")
        assert result.code == 1
        assert told in result.err
        assert "of posteriors alone" not in result.err


def test_what_is_no_number_in_json_is_never_printed(cli, folder):
    (folder / "durations.csv").write_text("file,duration_s\na,1e308\nb,1e308\n")
    result = score(cli, "found.csv", "--durations", "durations.csv", "--json")
    assert (result.code, result.out) == (1, "")
    assert "durations.csv, line 2: duration_s must be a number of seconds, got 1e+308" in result.err


@pytest.mark.parametrize("rates", ["", "0", "1,-1", "one", "nan", "inf"])
def test_rates_that_are_none(cli, folder, rates):
    result = score(cli, "posteriors", f"--rates={rates}")
    assert result.code == 2
    assert "expected positive rates" in result.err


def test_errors_are_one_line(cli, folder):
    result = score(cli, "found.csv")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("anchorstream: error: false alarms are counted per hour")
    assert result.err.count("\n") == 1


def test_the_report(cli, folder):
    result = score(cli, "posteriors", "--out", "report", "--threshold", "0.2", "--json")
    assert (folder / "report" / "report.html").is_file()
    found = json.loads(result.out)["labels"]["yes"]
    assert found["report"] == "report/report.html"


def test_what_a_model_detects_is_scored_as_the_library_does(cli, model_path, sound, tmp_path, monkeypatch):
    """`detect --posteriors` and `detect --json` of one model, against `sweep` on the same posteriors."""
    monkeypatch.chdir(tmp_path)
    bursts = {"one": [1.0, 4.0], "two": [2.0], "three": []}
    for name, starts in bursts.items():
        # The last burst of each is not in the reference.
        sound(f"sounds/{name}.wav", [*starts, 6.0], duration_s=7.99)
    events = {
        name: [Event("loud", start, start + 0.05, speaker=name) for start in starts]
        for name, starts in bursts.items()
    }
    with (tmp_path / "events.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "start_s", "anchor_s", "label", "speaker"])
        for name, found in events.items():
            writer.writerows([f"sounds/{name}.wav", e.start_s, e.anchor_s, e.label, e.speaker] for e in found)
    detected = cli("detect", model_path, "sounds", "--json", "--posteriors", "posteriors")
    (tmp_path / "found.json").write_text(detected.out)

    streams = []
    for name in sorted(bursts):
        with np.load(f"posteriors/{name}.npz") as file:
            streams.append(
                PosteriorStream(
                    file["posteriors"],
                    float(file["hop_s"]),
                    float(file["delay_s"]),
                    ["loud"],
                    events[name],
                    7.99,
                )
            )
    # The settings of the tiny model.
    settings, window = DecoderSettings(threshold=0.7, refractory_s=0.2), MatchWindow(0.0, 0.5)
    curve = sweep(streams, "loud", settings, window)
    options = ["--refractory-s", "0.2", "--threshold", "0.7", "--json"]
    found = json.loads(score(cli, "posteriors", *options).out)["labels"]["loud"]
    for point in found["operating_points"]:
        expected = curve.at_false_alarms_per_hour(point.pop("rate")).to_dict()
        assert {name: point[name] for name in expected} == expected
    expected = curve.at_threshold(0.7).to_dict()
    assert {name: found["at_threshold"][name] for name in expected} == expected
    assert (expected["misses"], expected["false_alarms"]) == (0, 3)

    (point,) = json.loads(score(cli, "found.json", "--json").out)["labels"]["loud"]["operating_points"]
    for name in expected.keys() - {"threshold", "label"}:
        assert point[name] == pytest.approx(expected[name]), name


def test_numpy_is_all_it_needs(folder):
    code = (
        "import sys\n"
        "for name in ('torch', 'onnxruntime', 'rich', 'scipy', 'matplotlib', 'pydantic', 'soundfile', 'jinja2'):\n"
        "    sys.modules[name] = None\n"
        "from anchorstream.cli.main import main\n"
        "given = ['--reference', 'events.csv', '--durations', 'durations.csv', '--scores']\n"
        "sys.exit(main(['score', *given, 'found.csv']) or main(['score', *given, 'posteriors']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("3 event(s) in 2 recording(s)") == 2
