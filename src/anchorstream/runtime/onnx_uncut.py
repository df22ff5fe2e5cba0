"""An ONNX model without the operators that cut its states to size.

The state of a convolution is the end of its input. In the graph the old state and the new frames are joined, and a
``Slice`` copies the end of that for the next step: of one stream, a tenth of the time goes there. Whoever keeps the
buffers of a single stream needs no copy, since the end of a buffer is a buffer. A file has its ``NAME_out`` for all who
read it; here they are taken away.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

from anchorstream.runtime.onnx_bytes import OnnxParts, float_output


def without_cuts(model: OnnxParts, states: Mapping[str, Sequence[int]]) -> tuple[OnnxParts, dict[str, str]]:
    """Gives a model out whole what each state of a single stream is the end of.

    Args:
        model: of an ONNX file that onnxruntime has read.
        states: their shapes without the batch axis, by name.

    Returns:
        The model with other outputs, and by state the name of the one that ends with it, along the axis in which it
        is longer. It is ``NAME_out``, as it was, for a state that is no such end.
    """
    outputs = {name: f"{name}_out" for name in states}
    computed = {name for node in model.nodes for name in node.outputs}
    used = {name for node in model.nodes for name in node.inputs}
    cuts = {node.outputs[0]: node.inputs for node in model.nodes if node.kind == "Slice"}
    for name, shape in states.items():
        joined, *cut = cuts.get(f"{name}_out", ("",))
        # What goes in does not come out as it is, nor does one output under two names; a state may be used further.
        if joined not in computed or joined in outputs.values() or f"{name}_out" in used:
            continue
        if _is_end(shape, [model.constants.get(constant, b"") for constant in cut]):
            outputs[name] = joined
    renamed = {f"{name}_out": joined for name, joined in outputs.items() if joined != f"{name}_out"}
    if not renamed:
        return model, outputs
    uncut = replace(
        model,
        nodes=tuple(node for node in model.nodes if renamed.keys().isdisjoint(node.outputs)),
        outputs={
            renamed.get(name, name): float_output(renamed[name]) if name in renamed else declared
            for name, declared in model.outputs.items()
        },
    )
    return uncut, outputs


def _is_end(shape: Sequence[int], cut: Sequence[bytes]) -> bool:
    """Whether a ``Slice`` with these starts, ends, axes and steps gives the last rows of one stream's frames."""
    if len(cut) not in (3, 4) or any(len(numbers) != 8 for numbers in cut):
        return False
    start, end, axis, *step = (struct.unpack("<q", numbers)[0] for numbers in cut)
    # What comes before the rows must be one, as the batch is: otherwise the end of a buffer is several pieces.
    return (
        1 <= axis <= len(shape)
        and all(size == 1 for size in shape[: axis - 1])
        and start == -shape[axis - 1]
        and end >= 2**31 - 1
        and step in ([], [1])
    )
