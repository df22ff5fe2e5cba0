"""Training with sigmoid outputs: the loss is that of independent labels, with every loss that a recipe may name."""

import json
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anchorstream import losses
from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.data.manifest import Recording, write_manifest
from anchorstream.decode import Decoder, DecoderSettings
from anchorstream.export import export_run
from anchorstream.frames import IGNORED
from anchorstream.metrics import PosteriorStream, match
from anchorstream.models.detector import StreamingDetector
from anchorstream.report.inspection import inspected_streams
from anchorstream.runtime import Detector
from anchorstream.train.config_error import ConfigError
from anchorstream.train.corpus import corpus_of, scored_streams
from anchorstream.train.engine import DetectorTraining, untrained_detector
from anchorstream.train.recipe import load_config
from anchorstream.train.scoring import FeatureStreams
from anchorstream.train.training import train

NEEDED = {"wce": {"class_weight": [[1.0, 5.0], [1.0, 2.0]]}}


def sigmoid_config(keywords, *overrides):
    return load_config(
        "keyword",
        [
            f"task.keywords={json.dumps(keywords)}",
            "model={name: gru, options: {units: 8, layers: 1}, outputs: sigmoid}",
            *overrides,
        ],
    )


def training_of(config):
    torch.manual_seed(5)
    detector = untrained_detector(config)
    torch.nn.init.normal_(detector.network.head.weight)
    loss = losses.build(config.loss, **config.loss_options)
    training = DetectorTraining(detector, loss, config.optimiser)
    training.log = lambda *_, **__: None
    return training


def batch_of(labels):
    """Two streams of 30 frames, every label in the first, with anchors at the ends of the labels."""
    targets = torch.zeros(2, 30, dtype=torch.long)
    anchors = torch.zeros(2, 30, dtype=torch.bool)
    for index in range(labels):
        targets[0, 3 + 9 * index : 8 + 9 * index] = index + 1
        anchors[0, 7 + 9 * index] = True
    return {"pcm": 0.1 * torch.randn(2, 30 * 160), "targets": targets, "anchors": anchors}


@pytest.mark.parametrize("keywords", [["yes"], ["yes", "no"], ["yes", "no", "stop"]])
def test_a_step_is_binary_cross_entropy(keywords):
    training = training_of(sigmoid_config(keywords, "loss=ce"))
    batch = batch_of(len(keywords))
    logits = training.detector(batch["pcm"])
    assert logits.shape == (2, 30, len(keywords))
    by_label = torch.stack(
        [(batch["targets"] == index + 1).float() for index in range(len(keywords))], dim=-1
    )
    expected = F.binary_cross_entropy_with_logits(logits, by_label)
    torch.testing.assert_close(training.training_step(batch, 0), expected)


def test_the_anchors_of_a_stream_are_those_of_every_label():
    options = "losses={sal: {peak: 6.0, scale: 3.0, reduction: mean}}"
    training = training_of(sigmoid_config(["yes", "no"], options))
    batch = batch_of(2)
    logits = training.detector(batch["pcm"])
    frames = torch.arange(30)
    distance = torch.minimum((frames - 7).abs(), (frames - 16).abs())
    weight = torch.stack([1 + 5 * torch.exp(-distance / 3.0), torch.ones(30)])[..., None]
    by_label = torch.stack([(batch["targets"] == index).float() for index in (1, 2)], dim=-1)
    expected = F.binary_cross_entropy_with_logits(logits, by_label, weight=weight)
    torch.testing.assert_close(training.training_step(batch, 0), expected)


@pytest.mark.parametrize("name", losses.LOSS_NAMES)
@pytest.mark.parametrize("keywords", [["yes"], ["yes", "no"]], ids=["one label", "two labels"])
def test_every_loss_trains_every_label(name, keywords):
    options = dict(NEEDED.get(name, {}))
    if options and len(keywords) == 1:
        options = {"class_weight": [1.0, 5.0]}
    training = training_of(
        sigmoid_config(keywords, f"loss={name}", f"losses={{{name}: {json.dumps(options)}}}")
    )
    loss = training.training_step(batch_of(len(keywords)), 0)
    loss.backward()
    gradient = training.detector.network.head.bias.grad
    assert torch.isfinite(loss)
    assert gradient.shape == (len(keywords),)
    assert bool((gradient != 0).all())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.outputs=softplus"], "model.outputs: .*'softmax' or 'sigmoid'.*'softplus'"),
        (["losses.sal.multi_label=true"], "sal: multi_label follows from model.outputs"),
        (
            ["model.outputs=sigmoid", "loss=wce", "losses.wce.class_weight=[1, 5, 5]"],
            r"each of the 2 outputs.*set losses\.wce\.OPTION",
        ),
        (["loss=wce", "losses.wce.class_weight=[1, 5]"], r"each of the 3 classes.*set losses\.wce\.OPTION"),
        (["model.outputs=sigmoid", "losses.sal.scale=[9, 9, 9]"], "each of the 2 outputs"),
        (["losses.sal.peak=[9, 9]"], "each of the 3 classes, the background included"),
    ],
)
def test_options_that_do_not_fit_the_outputs_are_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config("keyword", ["task.keywords=[alexa, jarvis]", *overrides])


def test_a_recipe_that_names_no_outputs_has_a_softmax():
    config = load_config("keyword")
    assert config.model.outputs == "softmax"
    assert "multi_label" not in config.loss_options
    assert untrained_detector(config).outputs == "softmax"


def test_labels_may_be_sure_at_the_same_frame():
    """Posteriors that sum to more than 1 are scored and decoded: both labels fire."""
    posteriors = np.full((50, 2), 0.01)
    posteriors[20:30] = (0.9, 0.95)
    PosteriorStream(posteriors, 0.01, 0.01, ["yes", "no"], [], 0.5)
    decoder = Decoder(
        DecoderSettings(threshold=0.8), ["yes", "no"], StreamingDetector.build("gru", labels=["a"]).clock
    )
    assert [(found.label, found.time_s) for found in decoder.push(posteriors)] == [
        ("yes", pytest.approx(0.21)),
        ("no", pytest.approx(0.21)),
    ]


@pytest.mark.parametrize("outputs", ["softmax", "sigmoid"])
def test_the_cross_entropy_on_dev_is_the_plain_one(small, outputs):
    """Against torch's own, from the logits."""
    config = small(f"model.outputs={outputs}", "model.name=gru", "model.options={units: 8}")
    detector = untrained_detector(config).eval()
    torch.nn.init.normal_(detector.network.head.weight)
    mixed = [item.stream for item in inspected_streams(config, corpus_of(config), 4)]
    streams = FeatureStreams(detector, config.task, mixed)
    summed, frames, positive = 0.0, 0, 0
    for stream in mixed:
        logits = detector(torch.from_numpy(stream.samples)[None])[0]
        targets = torch.from_numpy(config.task.targets(stream, detector.clock, len(logits))[0])
        positive += int((targets > 0).sum())
        asked = targets != IGNORED
        if outputs == "softmax":
            summed += F.cross_entropy(logits, targets, reduction="sum").item()
        else:
            summed += F.binary_cross_entropy_with_logits(
                logits[asked, 0], targets[asked].float(), reduction="sum"
            ).item()
        frames += int(asked.sum())
    assert positive
    assert streams.cross_entropy(streams.posteriors(detector)) == pytest.approx(summed / frames, rel=1e-5)


def test_the_weight_that_is_drawn_is_the_largest_of_the_labels(two_tones):
    config = two_tones("losses={sal: {peak: [3.0, 7.0], scale: 5.0, kernel: rectangular}}")
    for item in inspected_streams(config, corpus_of(config), 2):
        assert item.weight.shape == item.targets.shape
        assert set(item.weight[item.anchors]) == {7.0}


@pytest.fixture
def two_tones(tones, small, tmp_path):
    """The tones with a manifest: rising and falling ones are keywords, steady ones are other speech."""
    folder = tmp_path / "two"
    shutil.copytree(tones, folder)
    recordings = []
    for path in sorted(folder.rglob("*.wav")):
        number, kind = int(path.stem), path.parent.name
        label = {"positive": "rising", "negative": ("steady", "falling")[number % 2], "noise": "hiss"}[kind]
        recordings.append(
            Recording(
                path.relative_to(folder).as_posix(),
                ("train", "train", "dev", "test")[number // 2 % 4],
                {"hiss": "noise", "steady": "speech"}.get(label, "keyword"),
                label,
            )
        )
    write_manifest(folder / "manifest.jsonl", recordings)

    def make(*overrides):
        return small(f"data={folder}", "task.keywords=[rising, falling]", "model.outputs=sigmoid", *overrides)

    return make


@pytest.mark.slow
def test_two_labels_are_learnt_and_run_live(two_tones, tmp_path):
    run = train(two_tones("optimiser.epochs=8"), tmp_path / "run")
    assert run.summary["dev_miss_rate"] < 0.3
    assert set(run.summary["dev_operating_points"]) == {"rising", "falling"}
    rows = run.training_curve()
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    detector = run.model()
    assert (detector.outputs, detector.network.classes) == ("sigmoid", 2)

    path = export_run(run, tmp_path / "two.onnx", chosen_decoder(run))
    mixed = scored_streams(run.config, corpus_of(run.config), "test", snr_db=10.0, hours=0.05)
    hits = events = 0
    for stream in mixed:
        with Detector.open(path) as live:
            found = live.push(stream.samples)
            posteriors = live.posteriors
        with torch.inference_mode():
            expected = torch.sigmoid(detector(torch.from_numpy(stream.samples)[None]))[0].numpy()
        np.testing.assert_allclose(posteriors[: len(expected)], expected, rtol=0, atol=1e-5)
        spoken = run.config.task.events(stream)
        hits += len(match(found, spoken, run.config.task.window).hits)
        events += len(spoken)
    assert events > 10
    assert hits > 0.7 * events
