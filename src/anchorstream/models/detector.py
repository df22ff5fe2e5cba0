"""A whole detector, from samples (and readings of a motion sensor) to logits, with all that makes it again."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from anchorstream.features.frontend import LogMel
from anchorstream.features.logmel import LogMelSettings
from anchorstream.frames import FrameClock
from anchorstream.models.network import FrameNetwork
from anchorstream.models.outputs import Outputs, event_posteriors, logit_count, prior_logits
from anchorstream.models.registry import build_model
from anchorstream.models.streaming import State, StreamingModule

_CONFIG_FILE = "detector.json"
_WEIGHTS_FILE = "weights.safetensors"

#: What :meth:`StreamingDetector.from_weights` may end in with a configuration that nobody has written.
UNREADABLE = (AttributeError, MemoryError, OverflowError, RuntimeError, TypeError, ValueError)

# The constants of the front end are made whatever there is of weights; they grow with the square of a window that is
# twice a prime.
_MOST = {"window_samples": 4_096, "bands": 512}


def _lstm_flops(x: Sequence[int], w_in: Sequence[int], w_rec: Sequence[int], *_: Any, **__: Any) -> int:  # noqa: ANN401 - torch's signature
    """Two for each weight and frame, of (T, B, features)."""
    return 2 * x[0] * x[1] * (math.prod(w_in) + math.prod(w_rec))


# torch runs a layer of LSTM on a CPU as one operator of oneDNN, which its counter does not know.
_UNCOUNTED = {torch.ops.aten.mkldnn_rnn_layer: _lstm_flops}


class StreamingDetector(StreamingModule):
    """Front end and network as one streaming module: samples (B, N) to logits (B, N // hop_samples, K).

    With a motion sensor, a frame of its readings (see :mod:`anchorstream.features.motion`) goes into the network
    beside each frame of log-mel features, so that every network can be used for both.

    Args:
        frontend: from samples to features.
        network: from features to logits.
        labels: what is detected.
        motion: names of the channels of the motion sensor, such as ``("ax", "ay", "az")``; none for audio alone.
        outputs: ``"softmax"``: class 0 of the network is background and class ``i + 1`` is ``labels[i]``; or
            ``"sigmoid"``: class ``i`` is ``labels[i]``, yes or no, whatever the others are.

    Raises:
        ValueError: if the parts do not fit together, there is no label, or one is empty or named twice.

    Example:
        >>> detector = StreamingDetector.build("ds-tcn", labels=["computer"])
        >>> detector(torch.zeros(1, 16_000)).shape
        torch.Size([1, 100, 2])
    """

    def __init__(
        self,
        frontend: LogMel,
        network: FrameNetwork,
        labels: Sequence[str],
        motion: Sequence[str] = (),
        outputs: Outputs = "softmax",
    ) -> None:
        super().__init__()
        if isinstance(labels, str):
            raise ValueError(f"labels must be a list of names, got the text {labels!r}")
        self.labels, self.motion, self.outputs = tuple(labels), tuple(motion), outputs
        if not self.labels or not all(self.labels) or len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels must be names, each of them once, got {list(self.labels)}")
        features = frontend.settings.bands + len(self.motion)
        classes = logit_count(len(self.labels), outputs)
        if network.classes != classes or network.bands != features:
            raise ValueError(
                f"{len(self.labels)} labels with {outputs} outputs, {frontend.settings.bands} bands and "
                f"{len(self.motion)} channels of motion need a network of {features} bands and {classes} classes, "
                f"got {network.bands} bands and {network.classes} classes"
            )
        self.frontend = frontend
        self.network = network

    @classmethod
    def build(
        cls,
        model: str,
        *,
        labels: Sequence[str],
        features: LogMelSettings | None = None,
        options: Mapping[str, Any] | None = None,
        motion: Sequence[str] = (),
        outputs: Outputs = "softmax",
    ) -> StreamingDetector:
        """Makes a detector with a fresh network.

        Args:
            model: name of the network, one of :data:`anchorstream.models.registry.MODELS`.
            labels: what is detected.
            features: settings of the front end.
            options: options of the network.
            motion: names of the channels of the motion sensor.
            outputs: what its logits mean.
        """
        frontend = LogMel(features)
        network = build_model(
            model,
            bands=frontend.settings.bands + len(motion),
            classes=logit_count(len(labels), outputs),
            **(options or {}),
        )
        detector = cls(frontend, network, labels, motion, outputs)
        network.head.bias.data.copy_(prior_logits(len(labels), outputs))
        return detector

    @property
    def hop_samples(self) -> int:
        """Samples from one frame of logits to the next: as many hops of the front end as the network's stride."""
        return self.frontend.settings.hop_samples * self.network.stride

    @property
    def clock(self) -> FrameClock:
        """When the frames of logits are known: with their last sample, one hop after the start of their hop."""
        return FrameClock(hop_s=self.hop_samples / self.frontend.settings.sample_rate_hz)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.frontend.mel.device

    @property
    def parameter_count(self) -> int:
        """Numbers that are learnt."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def state_size(self) -> int:
        """Numbers that are kept from one step to the next, for one stream."""
        return sum(tensor.numel() for tensor in self.init_state(1).values())

    @property
    def receptive_field_s(self) -> float | None:
        """Seconds of signal that one frame depends on; ``None`` where it is all of the past."""
        frames = self.network.receptive_field_frames
        settings = self.frontend.settings
        if frames is None:
            return None
        return ((frames - 1) * settings.hop_samples + settings.window_samples) / settings.sample_rate_hz

    @torch.no_grad()
    def macs_per_second(self) -> float:
        """Multiply-accumulates for a second of signal, front end included.

        Those of convolutions and matrix products are counted, by running one hop.
        """
        was_training = self.training
        self.eval()
        with FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter:
            self.step(torch.zeros(1, self.hop_samples, device=self.device), self.init_state(1))
        self.train(was_training)
        return float(counter.get_total_flops()) / 2 * self.frontend.settings.sample_rate_hz / self.hop_samples

    def fit_normalisation(self, features: Tensor) -> None:
        """Sets the statistics of the normalisation from training features (B, T, bands), before training."""
        self.network.normalise.fit(features)

    def init_state(self, batch: int) -> State:
        """The state of the front end and that of the network."""
        return {**self.frontend.init_state(batch), **self.network.init_state(batch)}

    def step(self, x: Tensor, state: State, motion: Tensor | None = None) -> tuple[Tensor, State]:
        """Runs whole hops and returns their logits and the state after them.

        Args:
            x: samples (B, n * hop_samples).
            state: from :meth:`init_state` or the step before; not changed.
            motion: (B, n * stride, channels), a frame for each hop of the front end; ``None`` while the sensor is off.

        Returns:
            Logits (B, n, K), and the state for the next step.

        Raises:
            ValueError: if ``x`` is no whole number of hops, or ``motion`` has another shape.
        """
        if x.shape[1] % self.hop_samples:
            raise ValueError(
                f"a step takes whole hops: expected a multiple of {self.hop_samples} samples, "
                f"got {x.shape[1]}; keep the rest for the next step"
            )
        log_mel, tail = self.frontend.step(x, state)
        features = self._with_motion(log_mel, motion)
        logits, memory = self.network.step(features, state)
        return logits, {**tail, **memory}

    def forward(self, x: Tensor, motion: Tensor | None = None) -> Tensor:
        """Runs whole signals (B, N) and returns (B, N // hop_samples, K); an incomplete hop is dropped.

        ``motion`` is as in :meth:`features`.
        """
        if x.shape[1] < self.hop_samples:
            return x.new_zeros(x.shape[0], 0, self.network.classes)
        logits: Tensor = self.network(self.features(x, motion))
        return logits

    def posteriors(self, logits: Tensor) -> Tensor:
        """The probabilities of the labels, (..., labels), from logits (..., K)."""
        return event_posteriors(logits, self.outputs)

    def features(self, x: Tensor, motion: Tensor | None = None) -> Tensor:
        """What the network is fed with: the log-mel features of whole signals, and beside them the motion.

        Args:
            x: samples (B, N).
            motion: (B, N // hop of the front end, channels); ``None`` where the sensor is off.

        Returns:
            (B, N // hop of the front end, bands + channels).

        Raises:
            ValueError: if ``motion`` has another shape, or the detector has no motion sensor.
        """
        return self._with_motion(self.frontend(x), motion)

    def _with_motion(self, log_mel: Tensor, motion: Tensor | None) -> Tensor:
        expected = (*log_mel.shape[:2], len(self.motion))
        if motion is None:
            if not self.motion:
                return log_mel
            # As a sensor that gives nothing is fed in: one that rests on a table reads 1 g.
            motion = log_mel.new_zeros(expected)
        elif not self.motion or motion.shape != expected:
            raise ValueError(
                f"expected motion {expected} of the channels {list(self.motion)}, got shape {tuple(motion.shape)}"
            )
        return torch.cat((log_mel, motion), dim=2)

    def to_config(self) -> dict[str, Any]:
        """All but the weights, JSON-ready; :meth:`from_config` takes it back."""
        return {
            "model": self.network.name,
            "options": self.network.options,
            "labels": list(self.labels),
            "features": self.frontend.settings.to_dict(),
            "motion": list(self.motion),
            "outputs": self.outputs,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> StreamingDetector:
        """Makes a detector, with a fresh network, from what :meth:`to_config` returned.

        Raises:
            ValueError: if a key is missing or unknown, or a value is out of range.
            TypeError: if a value is of another type.
        """
        # Written before there was a choice, it has no motion sensor, and a softmax.
        config = {"motion": [], "outputs": "softmax", **config}
        expected = {"model", "options", "labels", "features", "motion", "outputs"}
        if set(config) != expected:
            raise ValueError(
                f"a detector's configuration has the keys {sorted(expected)}, got {sorted(config)}"
            )
        for name, most in _MOST.items():
            size = config["features"].get(name)
            if isinstance(size, int) and size > most:
                raise ValueError(f"{name} must be at most {most:,}, got {reprlib.repr(size)}")
        return cls.build(
            config["model"],
            labels=config["labels"],
            features=LogMelSettings.from_dict(config["features"]),
            options=config["options"],
            motion=config["motion"],
            outputs=config["outputs"],
        )

    @classmethod
    def from_weights(cls, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> StreamingDetector:
        """Makes a detector from what :meth:`to_config` returned and its weights, which are copied.

        A configuration may ask for a network of any size: no memory is taken for one that is not that of the weights.

        Raises:
            ValueError: if a value is out of range, or the weights are those of another network.
            TypeError: if a value is of another type.
        """
        with torch.device("meta"):
            expected = {
                name: list(tensor.shape) for name, tensor in cls.from_config(config).state_dict().items()
            }
        found = {name: list(tensor.shape) for name, tensor in weights.items()}
        for name in sorted({*expected, *found}):
            if expected.get(name) != found.get(name):
                raise ValueError(
                    f"the weights are not those of the network that is described: {name} is "
                    f"{found.get(name, 'missing')}, expected {expected.get(name, 'none of that name')}"
                )
        detector = cls.from_config(config)
        # Copied into parameters of 32 bits, whatever the weights have.
        detector.load_state_dict(weights)
        return detector

    def save(self, folder: Path) -> None:
        """Writes ``detector.json`` and ``weights.safetensors`` into ``folder``, made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        # Beside it first: a crash or a full disk leaves the model that was there.
        beside = folder / f"{_WEIGHTS_FILE}.tmp"
        save_file(weights, beside)
        beside.replace(folder / _WEIGHTS_FILE)
        beside = folder / f"{_CONFIG_FILE}.tmp"
        beside.write_text(json.dumps(self.to_config(), indent=1) + "\n", encoding="utf-8")
        beside.replace(folder / _CONFIG_FILE)

    @classmethod
    def load(cls, folder: Path) -> StreamingDetector:
        """Reads what :meth:`save` wrote, in evaluation mode on the CPU.

        Raises:
            ValueError: if the folder holds no detector, or its files do not fit together.
        """
        try:
            config = json.loads((folder / _CONFIG_FILE).read_text(encoding="utf-8"))
            detector = cls.from_weights(config, load_file(folder / _WEIGHTS_FILE))
        except (OSError, SafetensorError, *UNREADABLE) as error:
            raise ValueError(
                f"{folder} holds no detector that can be read ({_CONFIG_FILE} and {_WEIGHTS_FILE}): {error}"
            ) from error
        return detector.eval()
