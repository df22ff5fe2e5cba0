"""``anchorstream score``: misses, false alarms and latency of any engine's posteriors or detections."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchorstream.cli.arguments import milliseconds, number, positive

if TYPE_CHECKING:
    from anchorstream.metrics import Curve, Event, MatchWindow, OperatingPoint
    from anchorstream.score import Listing

EXAMPLE = """\
examples:
  anchorstream score --reference events.csv --scores posteriors/
  anchorstream score --reference events.csv --scores detections.json --post-s 0.5
  anchorstream score --reference labels/ --scores detections.csv --durations durations.csv --json

Reference: CSV (file,start_s,anchor_s,label), JSON Lines, RTTM, or Audacity's labels. Scores: posteriors (.npz, or a
folder of them, of `anchorstream detect --posteriors`) or detections (`detect --json`, CSV of file,time_s,label, JSON
Lines, RTTM, Audacity's labels). Needs numpy alone; --out needs the extra train."""

_RATES = (0.1, 0.5, 1.0, 5.0)
_TARGET = 1.0
# What only posteriors have a use for.
_DECODER = ("smoothing_s", "refractory_s", "release", "release_s", "threshold")
_CURVE = ("rates", "target_fa_per_hour", "max_latency_ms", "out")


def _rates(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        raise argparse.ArgumentTypeError(f"expected positive rates such as 0.5,1,5, got {text!r}")
    return tuple(sorted(set(values)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this command."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "--reference", type=Path, required=True, metavar="R", help="what happens in the recordings"
    )
    parser.add_argument(
        "--scores",
        type=Path,
        required=True,
        metavar="S",
        help="what an engine says: posteriors or detections",
    )
    parser.add_argument(
        "--durations",
        type=Path,
        metavar="FILE",
        help="CSV of file,duration_s, where the scores do not say it",
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        help="what is scored; again for more (default: the reference's)",
    )
    parser.add_argument(
        "--anchor",
        choices=("end", "start"),
        default="end",
        help="which end of a segment matters, where the reference names no anchor_s (default: end)",
    )
    window = parser.add_argument_group(
        "a detection hits from --pre-s before the start to --post-s after the anchor"
    )
    window.add_argument("--pre-s", type=number, default=0.0, metavar="S", help="(default: 0)")
    window.add_argument("--post-s", type=number, default=0.75, metavar="S", help="(default: 0.75)")
    decoder = parser.add_argument_group("from posteriors to detections")
    decoder.add_argument("--smoothing-s", type=number, metavar="S", help="moving average (default: 0)")
    decoder.add_argument(
        "--refractory-s", type=number, metavar="S", help="silence after a detection (default: 1)"
    )
    decoder.add_argument("--release", type=number, metavar="X", help="share of the threshold (default: 1)")
    decoder.add_argument("--release-s", type=number, metavar="S", help="hang-over (default: 0)")
    decoder.add_argument(
        "--threshold", type=positive, metavar="X", help="one chosen elsewhere, scored besides"
    )
    parser.add_argument(
        "--rates", type=_rates, metavar="R,R,..", help="false alarms per hour (default: 0.1,0.5,1,5)"
    )
    parser.add_argument(
        "--target-fa-per-hour", type=positive, metavar="R", help="whose threshold is named (default: 1)"
    )
    parser.add_argument(
        "--max-latency-ms",
        type=milliseconds,
        metavar="L",
        help="and with which 90%% of the hits come within L ms of the anchor; without --target-fa-per-hour at 1 false "
        "alarm per hour or as many more as that takes",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write report.html and report.json of posteriors"
    )
    parser.set_defaults(wrong_usage=parser.error)


def run(args: argparse.Namespace) -> int:
    """Scores, and prints the operating points."""
    from anchorstream.metrics import MatchWindow
    from anchorstream.score import are_posteriors, read_durations, read_reference

    window = MatchWindow(args.pre_s, args.post_s)
    posteriors = are_posteriors(args.scores)
    given = [name for name in (*_DECODER, *_CURVE) if getattr(args, name) is not None]
    if given and not posteriors:
        options = ", ".join("--" + name.replace("_", "-") for name in given)
        args.wrong_usage(f"{options}: of posteriors alone; {args.scores} are detections")
    reference = read_reference(args.reference, args.anchor)
    durations = None if args.durations is None else read_durations(args.durations)
    score = _score_posteriors if posteriors else _score_detections
    result = score(args, reference, durations, window)
    if args.json:
        document = {"window": {"pre_s": window.pre_s, "post_s": window.post_s}, **result}
        print(json.dumps(document, allow_nan=False))
    return 0


def _score_detections(
    args: argparse.Namespace, reference: Listing[Event], durations: Listing[Event] | None, window: MatchWindow
) -> dict[str, Any]:
    from anchorstream.score import choose_labels, detection_streams, read_detections, score_detections

    scores = read_detections(args.scores)
    streams = detection_streams(reference, scores, durations)
    labels, left_out = choose_labels(reference.labels, scores.labels, args.label)
    _say([*reference.notes, *scores.notes], [] if args.label else left_out)
    for label in labels:
        if label not in scores.labels:
            print(f"{label!r} was never detected; there is {scores.labels or 'nothing'}", file=sys.stderr)
    found: dict[str, Any] = {}
    for label in labels:
        point = score_detections(streams, label, window)
        _print(args.json, label, len(streams), [("detections", point)])
        found[label] = {"operating_points": [_as_json(point)]}
    return {"scores": "detections", "recordings": len(streams), "labels": found}


def _score_posteriors(
    args: argparse.Namespace, reference: Listing[Event], durations: Listing[Event] | None, window: MatchWindow
) -> dict[str, Any]:
    from anchorstream.decode import DecoderSettings
    from anchorstream.metrics import sweep
    from anchorstream.score import choose_labels, posterior_streams, read_posteriors

    chosen = {name: getattr(args, name) for name in _DECODER if getattr(args, name) is not None}
    settings = DecoderSettings.from_dict(chosen)
    scores = read_posteriors(args.scores)
    streams = posterior_streams(reference, scores, durations)
    labels, left_out = choose_labels(
        reference.labels, next(iter(scores.values())).labels, args.label, columns=True
    )
    _say(reference.notes, [] if args.label else left_out)
    target = _TARGET if args.target_fa_per_hour is None else args.target_fa_per_hour
    rates = sorted({*(args.rates or _RATES), target})
    curves = {label: sweep(streams, label, settings, window) for label in labels}
    pages = {} if args.out is None else _write_reports(args.out, curves, rates, target, args)
    found: dict[str, Any] = {}
    for label, curve in curves.items():
        points = [(rate, curve.at_false_alarms_per_hour(rate)) for rate in rates]
        if args.max_latency_ms is not None and args.target_fa_per_hour is None:
            at_target = curve.at_latency(args.max_latency_ms, target)
        else:
            at_target = curve.at_false_alarms_per_hour(target, args.max_latency_ms)
        rows = [(f"<= {rate:g} per hour", point) for rate, point in points]
        found[label] = {
            "operating_points": [{"rate": rate, **_as_json(point)} for rate, point in points],
            "target": {"rate": target, **_as_json(at_target)},
        }
        if args.max_latency_ms is not None:
            found[label]["target"]["max_latency_s"] = args.max_latency_ms
            rows.append((f"P90 <= {1000 * args.max_latency_ms:g} ms", at_target))
        if args.threshold is not None:
            point = curve.at_threshold(args.threshold)
            rows.append(("--threshold", point))
            found[label]["at_threshold"] = _as_json(point)
        _print(args.json, label, len(streams), rows)
        if not args.json:
            _print_target(args.target_fa_per_hour, args.max_latency_ms, at_target)
        if label in pages:
            found[label]["report"] = str(pages[label])
            print(f"report: {pages[label]}", file=sys.stderr)
    decoder = {name: value for name, value in settings.to_dict().items() if name != "threshold"}
    return {"scores": "posteriors", "decoder": decoder, "recordings": len(streams), "labels": found}


def _write_reports(
    out: Path, curves: dict[str, Curve], rates: list[float], target: float, args: argparse.Namespace
) -> dict[str, Path]:
    from anchorstream.report import SystemResult, write_report

    pages = {}
    for index, (label, curve) in enumerate(curves.items(), start=1):
        # A label may hold what the name of a folder may not.
        folder = out if len(curves) == 1 else out / f"label-{index}"
        chosen = () if args.threshold is None else (curve.at_threshold(args.threshold),)
        pages[label] = write_report(
            folder,
            f"{args.scores.name}: {label}",
            [SystemResult(args.scores.stem or "scores", [curve], chosen)],
            {"reference": str(args.reference), "scores": str(args.scores)},
            rates=rates,
            headline_rates=[target],
        )
    return pages


def _print(as_json: bool, label: str, recordings: int, rows: list[tuple[str, OperatingPoint]]) -> None:
    from anchorstream.score.text import table

    if not as_json:
        point = rows[0][1]
        print(
            f"{label!r}: {point.events} event(s) in {recordings} recording(s), {point.hours:.3g} h outside of their "
            f"windows; latency in ms after the anchor\n{table(rows)}"
        )


def _print_target(target: float | None, max_latency_s: float | None, point: OperatingPoint) -> None:
    rate = _TARGET if target is None else target
    wanted = f"{rate:g} false alarm(s) per hour"
    if max_latency_s is not None:
        latency = f"a P90 of latency of {1000 * max_latency_s:g} ms"
        more = f"{latency} at {wanted} or as many more as that takes"
        wanted = more if target is None else f"{wanted} and {latency}"
    # In full: of a detector that is nearly sure, a threshold that is rounded is another one.
    print(
        f"for {wanted}: threshold {point.threshold!r}, chosen on what it is scored on. For a "
        "figure to rely on, give it as --threshold with other recordings."
    )
    if rate * point.hours < 1 and not point.false_alarms:
        print(f"{point.hours:.3g} h are too few to tell {rate:g} per hour: none at all was allowed.")


def _as_json(point: OperatingPoint) -> dict[str, Any]:
    from anchorstream.metrics import rate_below

    below = rate_below(point.hours) if point.hours and not point.false_alarms else None
    return {**point.to_dict(), "false_alarms_per_hour_below": below}


def _say(notes: list[str], left_out: list[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)
    if left_out:
        names = ", ".join(map(repr, left_out))
        print(f"not scored, since the reference has no such event: {names} (--label picks)", file=sys.stderr)
