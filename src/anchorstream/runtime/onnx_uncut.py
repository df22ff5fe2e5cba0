"""An ONNX model without the operators that cut its states to size.

The state of a convolution is the end of its input. In the graph the old state and the new frames are joined, and a
``Slice`` copies the end of that for the next step: of one stream, a tenth of the time goes there. Whoever keeps the
buffers of a single stream needs no copy, since the end of a buffer is a buffer. A file has its ``NAME_out`` for all who
read it; here they are taken away, in its bytes, because the runtime has no package that edits graphs. The numbers of
the fields are those of onnx.proto, their form is that of https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

# ModelProto, GraphProto, NodeProto, TensorProto, ValueInfoProto
_GRAPH = 7
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE = 1, 2, 4
_TENSOR_NAME, _TENSOR_RAW_DATA = 8, 9
_VALUE_NAME = 1
# A ValueInfoProto's type: a tensor of float32 of any shape.
_FLOAT_TENSOR = b"\x12\x04\x0a\x02\x08\x01"

# How many bytes a field has by its wire type; a type of 2 says so itself, and a type of 0 ends where it ends.
_FIXED = {1: 8, 5: 4}


def without_cuts(model: bytes, states: Mapping[str, Sequence[int]]) -> tuple[bytes, dict[str, str]]:
    """Gives a model out whole what each state of a single stream is the end of.

    Args:
        model: an ONNX file that onnxruntime has read.
        states: their shapes without the batch axis, by name.

    Returns:
        The model with other outputs, and by state the name of the one that ends with it, along the axis in which it
        is longer. It is ``NAME_out``, as it was, for a state that is no such end. A file that is written otherwise than
        ours comes back as it is.
    """
    outputs = {name: f"{name}_out" for name in states}
    try:
        fields = list(_fields(model))
        (graph,) = [field for field in fields if field.number == _GRAPH]
        parts = [
            (part, _Message(part.content if part.number in (_NODE, _INITIALIZER, _OUTPUT) else b""))
            for part in _fields(graph.content)
        ]
        constants = {
            tensor.text(_TENSOR_NAME): tensor.bytes(_TENSOR_RAW_DATA)
            for part, tensor in parts
            if part.number == _INITIALIZER
        }
        nodes = [node for part, node in parts if part.number == _NODE]
        computed = {name for node in nodes for name in node.texts(_NODE_OUTPUT)}
        used = {name for node in nodes for name in node.texts(_NODE_INPUT)}
        cuts = {
            node.text(_NODE_OUTPUT): node.texts(_NODE_INPUT)
            for node in nodes
            if node.text(_NODE_TYPE) == "Slice"
        }
    except (ValueError, IndexError, struct.error):
        return model, outputs
    for name, shape in states.items():
        joined, *cut = cuts.get(f"{name}_out", [""])
        # What goes in does not come out as it is, nor does one output under two names; a state may be used further.
        if joined not in computed or joined in outputs.values() or f"{name}_out" in used:
            continue
        if _is_end(shape, [constants.get(constant, b"") for constant in cut]):
            outputs[name] = joined
    renamed = {f"{name}_out": joined for name, joined in outputs.items() if joined != f"{name}_out"}
    if not renamed:
        return model, outputs
    kept = []
    for part, message in parts:
        if part.number == _NODE and message.text(_NODE_OUTPUT) in renamed:
            continue
        if part.number == _OUTPUT and message.text(_VALUE_NAME) in renamed:
            value = _field(_VALUE_NAME, renamed[message.text(_VALUE_NAME)].encode()) + _FLOAT_TENSOR
            kept.append(_field(_OUTPUT, value))
        else:
            kept.append(part.whole)
    whole = [_field(_GRAPH, b"".join(kept)) if field is graph else field.whole for field in fields]
    return b"".join(whole), outputs


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


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    whole: bytes
    content: bytes


class _Message:
    """The fields of a message that hold bytes or text."""

    def __init__(self, data: bytes) -> None:
        self._fields = list(_fields(data))

    def texts(self, number: int) -> list[str]:
        return [field.content.decode() for field in self._fields if field.number == number]

    def text(self, number: int) -> str:
        """The only one; nothing where there are none or several."""
        return found[0] if len(found := self.texts(number)) == 1 else ""

    def bytes(self, number: int) -> bytes:
        return b"".join(field.content for field in self._fields if field.number == number)


def _fields(data: bytes) -> Iterator[_Field]:
    """The fields of a message, in the order in which they lie.

    Raises:
        IndexError: if it ends within a field.
        ValueError: if it has a type or a number that no such message has.
    """
    at = 0
    while at < len(data):
        key, begin = _number(data, at)
        kind = key & 7
        if kind == 2:
            length, begin = _number(data, begin)
            end = begin + length
        elif kind == 0:
            _, end = _number(data, begin)
        elif kind in _FIXED:
            end = begin + _FIXED[kind]
        else:
            raise ValueError(f"a field of wire type {kind}")
        if end > len(data):
            raise IndexError("it ends within a field")
        yield _Field(key >> 3, data[at:end], data[begin:end])
        at = end


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number in seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
