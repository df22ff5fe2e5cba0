"""What is scored and kept of a training whose weights are averaged."""

import pytest
import torch

from anchorstream.models.detector import StreamingDetector
from anchorstream.train.averaging import AveragedWeights
from anchorstream.train.callbacks import DevScore
from anchorstream.train.engine import DetectorTraining
from anchorstream.train.scoring import FeatureStreams
from anchorstream.train.training import train


@pytest.mark.parametrize(("share", "steps", "decay"), [(0.05, 2000, 0.99), (0.5, 4, 0.5), (0.1, 5, 0.0)])
def test_the_time_constant_is_a_share_of_the_training(share, steps, decay) -> None:
    assert AveragedWeights(share, steps).decay == pytest.approx(decay)


@pytest.mark.slow
def test_the_kept_weights_are_the_average_computed_by_hand(small, tmp_path, monkeypatch) -> None:
    after_each_step = []

    def note(module: DetectorTraining, *_) -> None:
        after_each_step.append({name: value.clone() for name, value in module.detector.state_dict().items()})

    monkeypatch.setattr(DetectorTraining, "on_train_batch_end", note)
    # 96 streams in batches of 16, two epochs: a quarter of 12 steps are 3, a decay of 2/3.
    train(small("optimiser.weight_average=0.25", "optimiser.epochs=2"), tmp_path / "run")
    assert len(after_each_step) == 12
    kept = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    moved = 0
    for name, last in after_each_step[-1].items():
        average = after_each_step[0][name].double()
        for weights in after_each_step[1:]:
            average = 2 / 3 * average + 1 / 3 * weights[name].double()
        if not last.dtype.is_floating_point:
            continue
        averaged = kept["state_dict"][f"detector.{name}"]
        torch.testing.assert_close(averaged, average.float(), rtol=1e-5, atol=1e-6)
        assert kept["current_model_state"][f"detector.{name}"].equal(last)
        moved += not averaged.equal(last)
        if name.startswith(("frontend", "network.normalise")):
            assert averaged.equal(last), f"{name} is a constant"
    assert moved > 10
    assert {name for name in after_each_step[-1] if name.endswith("running_var")}


@pytest.mark.slow
def test_what_is_scored_on_dev_is_what_is_kept_and_saved(small, tmp_path, monkeypatch) -> None:
    scored, trained = [], []
    posteriors = FeatureStreams.posteriors

    def note(streams: FeatureStreams, detector: StreamingDetector):
        scored.append({name: value.clone() for name, value in detector.state_dict().items()})
        return posteriors(streams, detector)

    def after(callback: DevScore, trainer, module: DetectorTraining) -> None:
        score(callback, trainer, module)
        trained.append({name: value.clone() for name, value in module.detector.state_dict().items()})

    score = DevScore.on_train_epoch_end
    monkeypatch.setattr(FeatureStreams, "posteriors", note)
    monkeypatch.setattr(DevScore, "on_train_epoch_end", after)
    run = train(small("optimiser.weight_average=0.25", "optimiser.epochs=3"), tmp_path / "run")
    saved = run.model().state_dict()
    best = scored[int(run.summary["best_epoch"])]
    head = "network.head.weight"
    for name, value in saved.items():
        assert value.equal(best[name]), name
    for averaged, weights in zip(scored, trained, strict=False):
        # Training goes on with its own weights.
        assert not averaged[head].equal(weights[head])
