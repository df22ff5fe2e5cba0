import numpy as np

from anchorstream.train.corpus import corpus_of, training_mixer
from anchorstream.train.engine import untrained_detector
from anchorstream.train.streams import EpochSampler, TrainingStreams


def test_every_epoch_brings_fresh_streams_and_a_resumed_one_the_same() -> None:
    sampler = EpochSampler(streams_per_epoch=4)
    assert list(sampler) == [0, 1, 2, 3]
    sampler.set_epoch(2)
    assert list(sampler) == [8, 9, 10, 11]
    resumed = EpochSampler(streams_per_epoch=4)
    resumed.set_epoch(2)
    assert list(resumed) == list(sampler)


def test_processes_share_an_epoch_without_overlap() -> None:
    shares = []
    for rank in range(3):
        sampler = EpochSampler(streams_per_epoch=10, rank=rank, world_size=3)
        sampler.set_epoch(1)
        assert len(sampler) == len(list(sampler)) == 3
        shares.append(list(sampler))
    assert sorted(index for share in shares for index in share) == list(range(9, 18))


def test_jitter_moves_the_anchors_of_training_streams_and_nothing_else(small) -> None:
    def streams(*overrides: str) -> TrainingStreams:
        config = small(*overrides)
        return TrainingStreams(
            training_mixer(config, corpus_of(config)), config.task, untrained_detector(config)
        )

    plain, moved = streams(), streams("augment.anchor_jitter_s=0.2")
    differ = 0
    for index in range(8):
        before, after = plain[index], moved[index]
        np.testing.assert_array_equal(before["pcm"], after["pcm"])
        np.testing.assert_array_equal(before["targets"], after["targets"])
        np.testing.assert_array_equal(after["anchors"], moved[index]["anchors"])
        differ += bool((before["anchors"] != after["anchors"]).any())
    assert differ >= 6


def test_a_share_of_the_positives_leaves_other_speech_alone(small) -> None:
    config = small("positive_share=0.25")
    corpus = corpus_of(config)
    whole, part = training_mixer(small(), corpus), training_mixer(config, corpus)
    counts = [
        [sum(item.is_target is kind for item in mixer.utterances) for kind in (True, False)]
        for mixer in (whole, part)
    ]
    assert counts[1] == [round(0.25 * counts[0][0]), counts[0][1]]
