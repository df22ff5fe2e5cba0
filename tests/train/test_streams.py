from anchorstream.train.streams import EpochSampler


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
