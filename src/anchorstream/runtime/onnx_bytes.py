"""An ONNX file in parts, to leave operators out of it.

That happens in its bytes, because the runtime has no package that edits graphs. The numbers of the fields are those of
onnx.proto, their form is that of https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# ModelProto, GraphProto, NodeProto, TensorProto, ValueInfoProto
_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE = 1, 2, 4
_TENSOR_NAME, _TENSOR_RAW_DATA = 8, 9
_VALUE_NAME = 1
# A ValueInfoProto's type: a tensor of float32 of any shape.
_FLOAT_TENSOR = b"\x12\x04\x0a\x02\x08\x01"

# How many bytes a field has by its wire type; a type of 2 says so itself, and a type of 0 ends where it ends.
_FIXED = {1: 8, 5: 4}
# Each becomes an object: a hostile file of a few MB could hold millions. Ours have a thousand.
_MOST_FIELDS = 100_000


@dataclass(frozen=True, slots=True)
class Node:
    """An operator: its name in ONNX, and what it reads and writes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    whole: bytes


@dataclass(frozen=True, slots=True)
class OnnxParts:
    """What a model is made of.

    Attributes:
        nodes: in the order in which they run.
        inputs: as they are declared, by name.
        outputs: likewise.
        constants: the bytes of each, by name; none where a file keeps its numbers in another place.
        others: the rest of the graph, and of the file.
    """

    nodes: tuple[Node, ...]
    inputs: Mapping[str, bytes]
    outputs: Mapping[str, bytes]
    constants: Mapping[str, bytes]
    others: tuple[bytes, bytes]

    @classmethod
    def of(cls, model: bytes) -> OnnxParts:
        """Takes apart a file that onnxruntime has read.

        Raises:
            ValueError: if it is written otherwise than ours.
        """
        try:
            return cls._of(model)
        except IndexError as error:
            raise ValueError("it ends within a field") from error

    @classmethod
    def _of(cls, model: bytes) -> OnnxParts:
        room = iter(range(_MOST_FIELDS))
        fields = list(_fields(model, room))
        (graph,) = [field for field in fields if field.number == _GRAPH]
        nodes: list[Node] = []
        inputs: dict[str, bytes] = {}
        outputs: dict[str, bytes] = {}
        constants: dict[str, bytes] = {}
        rest = []
        for part in _fields(graph.content, room):
            if part.number == _NODE:
                node = _Message(part.content, room)
                (kind,) = node.texts(_NODE_TYPE)
                ins, outs = (tuple(node.texts(number)) for number in (_NODE_INPUT, _NODE_OUTPUT))
                nodes.append(Node(kind, ins, outs, part.whole))
            elif part.number in (_INPUT, _OUTPUT):
                (name,) = _Message(part.content, room).texts(_VALUE_NAME)
                (inputs if part.number == _INPUT else outputs)[name] = part.whole
            else:
                rest.append(part.whole)
                if part.number == _INITIALIZER:
                    tensor = _Message(part.content, room)
                    (name,) = tensor.texts(_TENSOR_NAME)
                    constants[name] = tensor.bytes(_TENSOR_RAW_DATA)
        around = b"".join(field.whole for field in fields if field is not graph)
        return cls(tuple(nodes), inputs, outputs, constants, (b"".join(rest), around))

    def whole(self) -> bytes:
        """The file of these parts."""
        rest, around = self.others
        nodes = (node.whole for node in self.nodes)
        graph = b"".join([*nodes, rest, *self.inputs.values(), *self.outputs.values()])
        return around + _field(_GRAPH, graph)


def float_input(name: str) -> bytes:
    """The declaration of an input: float32, of any shape."""
    return _float_value(_INPUT, name)


def float_output(name: str) -> bytes:
    """The declaration of an output: float32, of any shape."""
    return _float_value(_OUTPUT, name)


def _float_value(number: int, name: str) -> bytes:
    return _field(number, _field(_VALUE_NAME, name.encode()) + _FLOAT_TENSOR)


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    whole: bytes
    content: bytes


class _Message:
    """The fields of a message that hold bytes or text."""

    def __init__(self, data: bytes, room: Iterator[int]) -> None:
        self._fields = list(_fields(data, room))

    def texts(self, number: int) -> list[str]:
        return [field.content.decode() for field in self._fields if field.number == number]

    def bytes(self, number: int) -> bytes:
        return b"".join(field.content for field in self._fields if field.number == number)


def _fields(data: bytes, room: Iterator[int]) -> Iterator[_Field]:
    """The fields of a message, in the order in which they lie; each takes one from ``room``.

    Raises:
        IndexError: if it ends within a field.
        ValueError: if it has a type or a number that no such message has, or there is no more room.
    """
    at = 0
    while at < len(data):
        if next(room, None) is None:
            raise ValueError("too many fields")
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
