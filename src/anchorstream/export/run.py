"""Exports a trained run with all that is known of it, and compares a file with it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from anchorstream.data.corpus import CorpusError
from anchorstream.data.folder import FolderError
from anchorstream.data.manifest import ManifestError
from anchorstream.decode import DecoderSettings
from anchorstream.export.dev import dev_drift
from anchorstream.export.drift import check_drift
from anchorstream.export.executorch import export_executorch
from anchorstream.export.executorch_file import open_session
from anchorstream.export.litert import export_litert
from anchorstream.export.onnx import export_onnx
from anchorstream.export.parity import check_parity
from anchorstream.export.speech import DRAWN, speech_of
from anchorstream.train.config_error import ConfigError
from anchorstream.train.run import DATA_FILE, Run, read_object

Target = Literal["onnx", "litert", "executorch"]

#: What a model file can be, and how its name ends.
TARGETS: dict[Target, str] = dict(zip(get_args(Target), (".onnx", ".tflite", ".pte"), strict=True))

# Of thousands, which are of interest where the data is, not on every device.
_NAMED_SKIPPED, _NAMED_ORIGINS = 10, 100

Progress = Callable[[int, int], None]


def export_run(
    run: Run,
    path: Path,
    decoder: DecoderSettings,
    *,
    target: Target = "onnx",
    int8: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes the model of ``run`` as one file, checked against the network, and returns its path.

    Args:
        run: a finished training.
        path: the file.
        decoder: the task's decoder with thresholds that were chosen on dev.
        target: the format of the file.
        int8: whether to round the weights of the network to 8 bits, for LiteRT; misses and false alarms on dev are then
            counted before and after.
        progress: called with (done, total) while dev is scored for rounded weights.

    Raises:
        ValueError: if the run has not finished.
        ConfigError: if 8-bit weights are asked for of another target.
        ParityError: if the file and the network differ; no file is left.
        ImportError: if what makes the file is not installed.
    """
    if int8 and target != "litert":
        raise ConfigError(f"8-bit weights are for the target litert; {target} has float32 ones")
    detector = run.model()
    about: dict[str, Any] = {
        "decoder": decoder,
        "operating_points": _operating_points(run),
        "training": _training(run),
        "speech": speech_of(run.config)[0],
    }
    if target == "onnx":
        return export_onnx(detector, path, **about)
    if target == "executorch":
        return export_executorch(detector, path, **about)
    measure = None
    if int8:

        def measure(file: Path) -> dict[str, Any]:
            return {"dev": dev_drift(run, file, decoder, progress)}

    return export_litert(detector, path, **about, int8=int8, measure=measure)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a comparison of a file with a run has found.

    Attributes:
        largest_difference: of any posterior.
        rounded: whether the file has 8-bit weights, which are allowed to differ by what the file says of them.
        speech: which was heard.
        dev: of a file of rounded weights, the rows of :func:`~anchorstream.export.dev.dev_drift`.
        dev_missing: why such a file has none: the recordings of the run are not on this machine.
    """

    largest_difference: float
    rounded: bool = False
    speech: str = DRAWN
    dev: Sequence[dict[str, Any]] = ()
    dev_missing: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


def verify_run(run: Run, path: Path, progress: Progress | None = None) -> Verification:
    """Compares a file with the network of ``run``, as its export did; one of rounded weights on dev as well.

    Args:
        run: a finished training.
        path: a model file of any target.
        progress: called with (done, total) while dev is scored for rounded weights.

    Raises:
        ValueError: if the run has not finished, or ``path`` is no model file.
        ContractError: if what the file says of itself is missing or impossible.
        ParityError: with the first difference.
    """
    detector = run.model()
    session = open_session(path)
    # What a file says of itself opens no wider gate where no export rounds weights.
    if session.kind != "LiteRT" or session.contract.quantisation.get("weights") != "int8":
        samples, speech = speech_of(run.config)
        return Verification(check_parity(detector, path, speech=samples), speech=speech)
    largest = check_drift(detector, path)["max"]
    try:
        rows = dev_drift(run, path, DecoderSettings.from_dict(session.contract.decoder), progress)
    except (CorpusError, FolderError, ManifestError, ImportError) as error:
        return Verification(largest, rounded=True, dev_missing=str(error))
    return Verification(largest, rounded=True, dev=rows)


def _operating_points(run: Run) -> list[dict[str, Any]]:
    summary = run.summary or {}
    return [
        {"split": "dev", "snr_db": run.config.dev.snr_db, **point}
        for points in summary["dev_operating_points"].values()
        for point in points
    ]


def _training(run: Run) -> dict[str, Any]:
    summary, audit = run.summary or {}, read_object(run.folder / DATA_FILE)
    skipped = audit["skipped"]
    return {
        "loss": run.config.loss,
        "loss_options": run.config.loss_options,
        "model": run.config.model.name,
        "parameters": summary["parameters"],
        "seed": run.config.seed,
        **({"start": summary["start"]} if "start" in summary else {}),
        "data": {
            **audit,
            "origins": _shortened(audit["origins"]),
            "skipped": {"files": len(skipped), "first": skipped[:_NAMED_SKIPPED]},
        },
    }


def _shortened(origins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sources of most clips, and how many others there are of each licence."""
    by_clips = sorted(origins, key=lambda origin: origin["clips"], reverse=True)
    if len(by_clips) <= _NAMED_ORIGINS:
        return origins
    others: dict[str | None, list[int]] = {}
    for origin in by_clips[_NAMED_ORIGINS:]:
        others.setdefault(origin["licence"], []).append(origin["clips"])
    return by_clips[:_NAMED_ORIGINS] + [
        {"source": f"{len(clips):,} further sources", "licence": licence, "clips": sum(clips)}
        for licence, clips in others.items()
    ]
