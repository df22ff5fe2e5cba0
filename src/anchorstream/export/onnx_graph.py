"""The graph that torch's exporter makes, in the form that onnxruntime runs fastest.

A step of one hop is some 70 operators on a few hundred numbers each: what counts is how many there are. None of this
changes what is computed.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import onnx
from onnx import helper, numpy_helper

_TO_FRAMES, _TO_IMAGE = (0, 2, 3, 1), (0, 3, 1, 2)
# They work on the last axis, or on each number alone.
_ALONG_LAST_AXIS = {"MatMul", "Max", "Log", "Sub", "Div"}


def simplify(graph: onnx.GraphProto) -> None:
    """Changes ``graph``, whose value infos have the shapes that the exporter knows, in place."""
    _fix_shapes(graph)
    _merge_slices(graph)
    _unsqueeze_early(graph)
    _pointwise_as_products(graph)
    _sums_frames_first(graph)
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


def _unsqueeze_early(graph: onnx.GraphProto) -> None:
    """Puts the axis of height 1 of an image where features are reshaped anyway: one operator less.

    What lies between, up to the normalised features, works on the last axis alone.
    """
    makers = _makers(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    for node in [node for node in graph.node if node.op_type == "Unsqueeze"]:
        above = makers.get(node.input[0])
        while (
            above is not None
            and above.op_type in _ALONG_LAST_AXIS
            and uses[above.output[0]] == 1
            and constants.keys() >= set(above.input[1:])
        ):
            above = makers.get(above.input[0])
        if above is None or above.op_type != "Reshape" or uses[above.output[0]] > 1:
            continue
        shape, axes = (numpy_helper.to_array(constants[one.input[1]]).tolist() for one in (above, node))
        # The frames, the axis before the last, are whatever is left over.
        if axes != [1] or len(shape) != 3 or shape[0] == -1 or shape[2] < 1:
            continue
        above.input[1] = _constant(
            graph, f"{above.output[0]}_image", np.array([shape[0], 1, -1, shape[2]], dtype=np.int64)
        )
        for other in graph.node:
            for place, name in enumerate(other.input):
                if name == node.output[0]:
                    other.input[place] = node.input[0]
        graph.node.remove(node)


def _pointwise_as_products(graph: onnx.GraphProto) -> None:
    """Makes a matrix product, frames first, of each 1 x 1 convolution that has to give its frames first.

    States and features have their frames first, so that onnxruntime cancels the transpositions, and one product serves
    all streams of a call. A convolution of which nothing but a sum is made, as in a residual block, stays one:
    onnxruntime joins it with its bias, its activation and the depthwise convolution before it, in a layout of its own.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    users: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)

    def is_pointwise(node: onnx.NodeProto) -> bool:
        if node.op_type != "Conv" or node.input[1] not in constants:
            return False
        dims = constants[node.input[1]].dims
        return list(dims[2:]) == [1, 1] and _attributes(node).get("group", 1) == 1

    def is_summed(name: str) -> bool:
        """Whether all that is made of it, activated or not, are sums, or convolutions that stay such."""
        return bool(users[name]) and all(
            (user.op_type == "Add" and constants.keys().isdisjoint(user.input))
            or (user.op_type == "Relu" and is_summed(user.output[0]))
            or (is_pointwise(user) and is_summed(user.output[0]))
            for user in users[name]
        )

    nodes = []
    for node in graph.node:
        name = node.output[0]
        if not is_pointwise(node) or is_summed(name):
            nodes.append(node)
            continue
        weight = constants[node.input[1]]
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
    _replace_nodes(graph, nodes)


def _sums_frames_first(graph: onnx.GraphProto) -> None:
    """Adds images with their frames first, as the state takes the sum.

    In its own layout onnxruntime would change the shape of both summands and of the sum; it does that where both come
    from convolutions, which the product before the first sum prevents.
    """
    rank = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.value_info}
    constants = {tensor.name for tensor in graph.initializer}
    makers = _makers(graph)
    nodes = []
    for node in graph.node:
        images = (
            node.op_type == "Add"
            and constants.isdisjoint(node.input)
            and all(rank.get(name) == 4 and _is_image(makers, name) for name in node.input)
        )
        if not images:
            nodes.append(node)
            continue
        name = node.output[0]
        summands = [f"{name}_summand{index}" for index in range(len(node.input))]
        nodes += [
            *(
                helper.make_node("Transpose", [summand], [frames], perm=_TO_FRAMES)
                for summand, frames in zip(node.input, summands, strict=True)
            ),
            helper.make_node("Add", summands, [f"{name}_frames"]),
            helper.make_node("Transpose", [f"{name}_frames"], [name], perm=_TO_IMAGE),
        ]
    _replace_nodes(graph, nodes)


def _is_image(makers: dict[str, onnx.NodeProto], name: str) -> bool:
    """Whether a value comes from a convolution, channels first."""
    maker = makers.get(name)
    while maker is not None and maker.op_type in ("Relu", "Add"):
        maker = makers.get(maker.input[0])
    return maker is not None and (
        maker.op_type == "Conv"
        or (maker.op_type == "Transpose" and _attributes(maker)["perm"] == list(_TO_IMAGE))
    )


def _makers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in graph.node for name in node.output}


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
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
