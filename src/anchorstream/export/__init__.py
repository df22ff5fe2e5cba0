"""From a trained detector to one file that any device runs, checked against the network before it is written."""

from anchorstream.export.litert import export_litert
from anchorstream.export.onnx import export_onnx
from anchorstream.export.parity import ParityError, check_parity
from anchorstream.export.run import TARGETS, Target, Verification, export_run, verify_run

__all__ = [
    "TARGETS",
    "ParityError",
    "Target",
    "Verification",
    "check_parity",
    "export_litert",
    "export_onnx",
    "export_run",
    "verify_run",
]
