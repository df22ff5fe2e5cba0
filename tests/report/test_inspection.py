"""`anchorstream inspect`: what is drawn is what is trained on."""

import json
import re

import numpy as np
import pytest

from anchorstream.cli.main import main
from anchorstream.frames import IGNORED
from anchorstream.losses import temporal_weight
from anchorstream.report.inspection import inspected_streams, inspection_figure, write_inspection
from anchorstream.train.corpus import corpus_of, training_mixer
from anchorstream.train.recipe import load_config


@pytest.fixture
def config(small):
    return small("losses={sal: {peak: 6.0, scale: 8.0}}")


def test_the_streams_are_those_of_the_training_with_its_weights(config):
    corpus = corpus_of(config)
    streams = inspected_streams(config, corpus, 3)
    mixer = training_mixer(config, corpus)
    for index, item in enumerate(streams):
        assert np.array_equal(item.stream.samples, mixer.stream(index).samples)
        anchored = item.anchors.nonzero()[0]
        ends = [item.clock.frame_at(segment.end_s) for segment in item.stream.segments]
        assert sorted(set(anchored)) == sorted({end for end in ends if end < len(item.anchors)})
        expected = temporal_weight(_mask(item.anchors), peak=6.0, scale=8.0)
        np.testing.assert_allclose(item.weight, expected.numpy()[0], rtol=1e-6)
    assert inspected_streams(config.model_copy(update={"loss": "ce"}), corpus, 1)[0].weight is None


def _mask(anchors):
    import torch

    return torch.from_numpy(anchors)[None]


def test_the_picture_shows_targets_anchors_and_weight_where_they_are(config):
    item = next(i for i in inspected_streams(config, corpus_of(config), 8) if i.targets.any())
    above, below = inspection_figure(item).axes
    lines = {tuple(line.get_xdata()): line for line in above.get_lines()}
    for frame in item.anchors.nonzero()[0]:
        time = item.clock.time_of(int(frame))
        assert (time, time) in lines
    weight = max(above.get_lines(), key=lambda line: len(line.get_xdata()))
    np.testing.assert_array_equal(weight.get_ydata(), item.weight)
    labelled, hatched = above.collections
    for shade, frames in ((labelled, item.targets > 0), (hatched, item.targets == IGNORED)):
        covered, at = shade.get_datalim(above.transData), frames.nonzero()[0]
        assert covered.x0 == pytest.approx(item.clock.time_of(int(at[0])), abs=0.011)
        assert covered.x1 == pytest.approx(item.clock.time_of(int(at[-1])), abs=0.011)
    assert {text.get_text() for text in below.texts} == {s.label for s in item.stream.segments}


@pytest.fixture
def worn(tones):
    """Streams of the trigger task: in some the microphone is muted, or the sensor is off."""
    overrides = [f"data={tones}", "rooms=1", "task.modality_dropout=0.5", "motion.idle_per_minute=20"]
    config = load_config("trigger", [*overrides, "motion.walk_share=0"])
    return inspected_streams(config, corpus_of(config), 12)


def test_a_third_panel_shows_the_motion_and_its_gestures(worn):
    item = next(i for i in worn if len(i.stream.motion.readings) and i.targets.any())
    motion = item.stream.motion
    above, _, below = inspection_figure(item).axes
    traces = {line.get_label(): line for line in below.get_lines()}
    assert list(traces) == ["ax", "ay", "az"]
    for column, name in enumerate(traces):
        np.testing.assert_array_equal(traces[name].get_xdata(), motion.times_s)
        np.testing.assert_array_equal(traces[name].get_ydata(), motion.readings[:, column])
    assert [text.get_text() for text in below.texts] == [gesture.kind for gesture in motion.gestures]
    shaded = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in below.patches]
    assert shaded == [pytest.approx((gesture.start_s, gesture.end_s)) for gesture in motion.gestures]
    assert "simulated motion" in below.get_ylabel()
    # The end of each raise is an anchor, in the panel above and on the same axis of time.
    anchors_s = {line.get_xdata()[0] for line in above.get_lines() if len(line.get_xdata()) == 2}
    for gesture in motion.gestures:
        if gesture.kind == "raise" and gesture.end_s < item.stream.duration_s - 0.02:
            assert min(abs(gesture.end_s - anchor_s) for anchor_s in anchors_s) <= item.clock.hop_s
    assert above.get_xlim() == below.get_xlim()


def test_what_is_missing_is_seen_to_be_missing(worn):
    off = next(item for item in worn if not len(item.stream.motion.readings))
    assert off.stream.motion.gestures
    below = inspection_figure(off).axes[2]
    assert all(not len(line.get_xdata()) for line in below.get_lines())
    assert len(below.texts) == len(off.stream.motion.gestures)
    muted = next(item for item in worn if not item.stream.samples.any())
    (image,) = inspection_figure(muted).axes[1].images
    assert np.ptp(image.get_array()) == 0


def test_the_page_says_that_motion_is_simulated(worn, config, tmp_path):
    page = write_inspection(tmp_path / "worn", "triggers", worn[:1]).read_text(encoding="utf-8")
    assert page.count("simulated motion of the wrist") == 1
    streams = inspected_streams(config, corpus_of(config), 1)
    assert "motion" not in write_inspection(tmp_path, "tones", streams).read_text(encoding="utf-8")


def test_the_page_needs_no_network_and_has_every_stream(config, tmp_path):
    streams = inspected_streams(config, corpus_of(config), 2)
    seen = []
    page = write_inspection(
        tmp_path / "look", "<tones>", streams, lambda done, total: seen.append((done, total))
    )
    text = page.read_text(encoding="utf-8")
    assert "&lt;tones&gt;" in text
    assert text.count("<audio") == text.count("<svg") == 2
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)
    assert sorted(path.name for path in page.parent.glob("*.png")) == ["stream-000.png", "stream-001.png"]
    assert seen == [(1, 2), (2, 2)]


def test_the_command(tones, tmp_path, capsys):
    recipe = ["keyword", f"data={tones}", "task.keywords=[rising]", "rooms=1", "mix.length_s=5"]
    assert main(["inspect", *recipe, "--streams", "2", "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["streams"]) == 2
    assert (tmp_path / "inspect.html").samefile(found["page"])
    for stream in found["streams"]:
        assert len(stream["anchors_s"]) == len(stream["said"])
    assert main(["inspect", *recipe, "loss=ce", "--streams", "1", "--out", str(tmp_path)]) == 0
    assert "1 training streams drawn" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["keyword", "--streams", "0"], "--streams must be at least 1, got 0"),
        (["keywords"], "no recipe 'keywords'"),
        (["keyword", "task.keyword=[x]"], "task"),
    ],
)
def test_wrong_usage_is_refused(arguments, message, capsys):
    assert main(["inspect", *arguments]) == 2
    assert message in capsys.readouterr().err
