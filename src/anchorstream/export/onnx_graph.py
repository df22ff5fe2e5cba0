"""The graph that torch's exporter makes, in the form that onnxruntime runs fastest.

A step of one hop is some 70 operators on a few hundred numbers each: what counts is how many there are. None of this
changes what is computed.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import helper, numpy_helper

_TO_FRAMES, _TO_IMAGE = (0, 2, 3, 1), (0, 3, 1, 2)


def simplify(graph: onnx.GraphProto) -> None:
    """Changes ``graph``, whose value infos have the shapes that the exporter knows, in place."""
    _fix_shapes(graph)
    _merge_slices(graph)
    _pointwise_as_products(graph)
    _drop_unused(graph)


def _fix_shapes(graph: onnx.GraphProto) -> None:
    """Gives each ``Reshape`` a constant shape: the exporter computes them, by up to ten nodes."""
    sizes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output, *graph.value_info)
    }
    for node in graph.node:
        if node.op_type != "Reshape" or not {node.input[0], node.output[0]} <= set(sizes):
            continue
        before, after = sizes[node.input[0]], sizes[node.output[0]]
        # 0 is the size of the same axis before, -1 what is left over.
        same = [axis < len(before) and before[axis] == size for axis, size in enumerate(after)]
        shape = [
            size if isinstance(size, int) else 0 if kept else -1
            for size, kept in zip(after, same, strict=True)
        ]
        if shape.count(-1) > 1:
            continue
        node.input[1] = _constant(graph, f"{node.output[0]}_shape", np.array(shape, dtype=np.int64))
        # Otherwise 0 is a size of 0.
        del node.attribute[:]


def _merge_slices(graph: onnx.GraphProto) -> None:
    """Makes one ``Slice`` of two along different axes, of which the first has no other use."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "Slice"}
    uses = Counter(name for node in graph.node for name in node.input)
    outputs = {output.name for output in graph.output}
    for node in graph.node:
        first = makers.get(node.input[0]) if node.op_type == "Slice" else None
        if first is None or uses[first.output[0]] > 1 or first.output[0] in outputs:
            continue
        # Starts, ends and axes, and steps of 1 where there are any.
        both = [list(one.input[1:]) for one in (first, node)]
        if not all(name in constants for names in both for name in names) or {
            len(names) for names in both
        } != {4}:
            continue
        merged = [
            np.concatenate([numpy_helper.to_array(constants[name]) for name in names])
            for names in zip(*both, strict=True)
        ]
        if len(set(merged[2].tolist())) < len(merged[2]):
            continue
        node.input[0] = first.input[0]
        for place, (name, values) in enumerate(
            zip(("starts", "ends", "axes", "steps"), merged, strict=True), 1
        ):
            node.input[place] = _constant(graph, f"{node.output[0]}_{name}", values)


def _pointwise_as_products(graph: onnx.GraphProto) -> None:
    """Makes a matrix product, frames first, of each 1 x 1 convolution.

    States and features have their frames first, so that onnxruntime cancels the transpositions. One product serves all
    streams of a call, and a convolution in onnxruntime's own layout of channels would draw what follows into it, with
    three changes of shape for every sum. For ``mixednet`` it takes 0.95 of the time at one stream and one hop.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        weight = constants.get(node.input[1]) if node.op_type == "Conv" else None
        if weight is None or list(weight.dims[2:]) != [1, 1] or _attributes(node).get("group", 1) != 1:
            nodes.append(node)
            continue
        name = node.output[0]
        matrix = np.ascontiguousarray(numpy_helper.to_array(weight)[:, :, 0, 0].T)
        product = [
            helper.make_node("Transpose", [node.input[0]], [f"{name}_frames"], perm=_TO_FRAMES),
            helper.make_node(
                "MatMul",
                [f"{name}_frames", _constant(graph, f"{weight.name}_t", matrix)],
                [f"{name}_product"],
            ),
        ]
        if len(node.input) > 2:
            product.append(
                helper.make_node("Add", [product[-1].output[0], node.input[2]], [f"{name}_with_bias"])
            )
        nodes += [*product, helper.make_node("Transpose", [product[-1].output[0]], [name], perm=_TO_IMAGE)]
    del graph.node[:]
    graph.node.extend(nodes)


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _constant(
    graph: onnx.GraphProto, name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> str:
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Removes nodes and constants that no output depends on."""
    used = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if used.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            used.update(node.input)
    for constant in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(constant)
