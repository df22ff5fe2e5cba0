"""A network with a stride through the whole chain: its hop of 30 ms, and no other, counts everywhere."""

import numpy as np
import pytest
import torch

from anchorstream.compare.comparison import Conditions, compare
from anchorstream.compare.evaluation import chosen_decoder
from anchorstream.data.clip import Stream
from anchorstream.export import export_run
from anchorstream.metrics import match
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime import Detector
from anchorstream.tasks import KeywordTask
from anchorstream.train.corpus import corpus_of, training_mixer
from anchorstream.train.scoring import FeatureStreams
from anchorstream.train.streams import TrainingStreams
from anchorstream.train.training import train

HOP = 480


def test_training_streams_have_a_target_for_each_frame_of_logits(small):
    config = small("model={name: mixednet, options: {}}")
    detector = StreamingDetector.build("mixednet", labels=["rising"]).eval()
    mixer = training_mixer(config, corpus_of(config))
    streams = TrainingStreams(mixer, config.task, detector)
    stream, batch = mixer.stream(3), streams[3]
    frames = len(stream.samples) // HOP
    with torch.no_grad():
        logits = detector.network(detector.frontend(batch["pcm"][None]))
    assert logits.shape[1] == len(batch["targets"]) == len(batch["anchors"]) == frames
    # An anchor is the first frame whose last sample is not before the end of an utterance.
    expected = {int(np.ceil(segment.end_s * 16_000 / HOP - 1e-6)) - 1 for segment in stream.segments}
    assert set(np.flatnonzero(batch["anchors"].numpy())) == {frame for frame in expected if frame < frames}


def test_scored_streams_carry_the_hop_of_the_detector():
    detector = StreamingDetector.build("mixednet", labels=["rising"])
    # 500 hops of the front end are 166 of the detector; two are left over.
    stream = Stream(samples=np.zeros(80_000, dtype=np.float32), segments=(), snr_db=10.0)
    streams = FeatureStreams(detector, KeywordTask(keywords=("rising",)), [stream])
    (scored,) = streams.posteriors(detector)
    assert (scored.hop_s, scored.delay_s) == (0.03, 0.03)
    assert scored.posteriors.shape == (166, 1)
    background = 1.0 - np.asarray(scored.posteriors)
    assert streams.cross_entropy([scored]) == pytest.approx(-np.log(background).mean())


@pytest.mark.slow
def test_it_learns_is_scored_is_exported_and_runs_live(small, tmp_path):
    config = small("model={name: mixednet, options: {}}", "optimiser.epochs=10")
    run = train(config, tmp_path / "run")
    assert run.summary["dev_miss_rate"] < 0.3

    comparison = compare({"sal": [run]}, corpus_of(config), Conditions("test", 10.0, 0.05))
    (scored,) = comparison.scored["sal"]
    assert {stream.hop_s for stream in scored.streams} == {0.03}
    assert all(example.hop_s == 0.03 for example in comparison.results["rising"][0].examples)

    path = export_run(run, tmp_path / "rising.onnx", chosen_decoder(run))
    network = run.model()
    index = max(range(len(scored.streams)), key=lambda i: len(scored.streams[i].events))
    samples = comparison.streams.streams[index].samples
    live, posteriors = [], []
    with Detector.open(path) as detector:
        assert (detector.hop_s, detector.delay_s) == (0.03, 0.03)
        for first in range(0, len(samples), 1600):
            live += detector.push(samples[first : first + 1600])
            posteriors.append(detector.posteriors)
    with torch.inference_mode():
        expected = network.posteriors(network(torch.from_numpy(samples)[None]))[0].numpy()
    np.testing.assert_allclose(np.concatenate(posteriors), expected, rtol=0, atol=1e-5)

    # Live and scored detections are the same ones, at ends of 30 ms hops, and they find most keywords.
    offline = scored.detections(scored.streams[index])
    assert [found.time_s for found in live] == [found.time_s for found in offline]
    assert all(round(found.time_s * 16_000) % HOP == 0 for found in live)
    events = scored.streams[index].events
    hits = match(live, events, config.task.window).hits
    assert len(hits) > len(events) / 2 > 0
