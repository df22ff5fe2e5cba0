"""Constants of a LiteRT file that are mostly zeros, such as a filterbank, stored as their other numbers."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT, SparsityParametersT, SubGraphT, TensorT

# Below that, the indices and the operator take what the zeros did.
_LEAST_NUMBERS = 1000
_MOST_SHARE = 0.25
# They are stored in 16 bits.
_MOST_INDEX = 65_535


def store_sparsely(model: ModelT) -> None:
    """Stores the float32 matrices that are mostly zeros by rows; nothing that is computed changes.

    LiteRT's operator ``DENSIFY`` fills such a matrix in before the first step, and keeps it.

    Args:
        model: the file as objects; it is changed. Its networks may share matrices.
    """
    users = defaultdict(list)
    for graph in model.subgraphs:
        for index, tensor in enumerate(graph.tensors):
            users[tensor.buffer].append((graph, index))
    for buffer, places in users.items():
        tensors = [graph.tensors[index] for graph, index in places]
        once_each = len({id(graph) for graph, _ in places}) == len(places)
        alike = len({(tensor.type, tuple(tensor.shape)) for tensor in tensors}) == 1
        matrix = _matrix(tensors[0], model.buffers[buffer].data) if once_each and alike else None
        if matrix is None or not _pays(matrix):
            continue
        model.buffers[buffer].data = np.frombuffer(matrix[matrix != 0].tobytes(), dtype=np.uint8)
        for graph, index in places:
            _fill_in(model, graph, index, matrix)


def _matrix(tensor: TensorT, data: np.ndarray | None) -> np.ndarray | None:
    """What a tensor holds, if it is a constant float32 matrix that is stored as such."""
    from ai_edge_litert import schema_py_generated as schema

    if tensor.type != schema.TensorType.FLOAT32 or data is None or len(tensor.shape) != 2:
        return None
    if tensor.sparsity is not None:
        return None
    return np.frombuffer(bytes(data), dtype=np.float32).reshape(tensor.shape)


def _pays(matrix: np.ndarray) -> bool:
    kept = np.count_nonzero(matrix)
    small = matrix.size < _LEAST_NUMBERS
    return bool(not small and kept <= _MOST_SHARE * matrix.size and max(*matrix.shape, kept) <= _MOST_INDEX)


def _fill_in(model: ModelT, graph: SubGraphT, index: int, matrix: np.ndarray) -> None:
    """Puts the operator before all others that makes the matrix of what is stored of it."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = graph.tensors[index]
    stored = copy.copy(tensor)
    stored.sparsity = _by_rows(matrix)
    # Whoever reads the matrix finds it where it was. Buffer 0 is the one that is empty in every file.
    tensor.buffer = 0
    graph.tensors.append(stored)
    operator = schema.OperatorT()
    operator.opcodeIndex = _densify(model)
    operator.inputs, operator.outputs = [len(graph.tensors) - 1], [index]
    operator.builtinOptionsType = schema.BuiltinOptions.DensifyOptions
    operator.builtinOptions = schema.DensifyOptionsT()
    graph.operators.insert(0, operator)


def _by_rows(matrix: np.ndarray) -> SparsityParametersT:
    """Compressed sparse rows: where the numbers of each row begin, and in which column each number is."""
    from ai_edge_litert import schema_py_generated as schema

    rows, columns = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    rows.format, rows.denseSize = schema.DimensionType.DENSE, len(matrix)
    columns.format = schema.DimensionType.SPARSE_CSR
    columns.arraySegmentsType = columns.arrayIndicesType = schema.SparseIndexVector.Uint16Vector
    columns.arraySegments, columns.arrayIndices = schema.Uint16VectorT(), schema.Uint16VectorT()
    columns.arraySegments.values = np.cumsum([0, *np.count_nonzero(matrix, axis=1)]).astype(np.uint16)
    columns.arrayIndices.values = np.nonzero(matrix)[1].astype(np.uint16)
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.dimMetadata = [0, 1], [rows, columns]
    return sparsity


def _densify(model: ModelT) -> int:
    """The index of the operator among those of the file."""
    from ai_edge_litert import schema_py_generated as schema

    code = schema.BuiltinOperator.DENSIFY
    for index, known in enumerate(model.operatorCodes):
        if known.builtinCode == code:
            return index
    known = schema.OperatorCodeT()
    known.builtinCode = known.deprecatedBuiltinCode = code
    known.version = 1
    model.operatorCodes.append(known)
    return len(model.operatorCodes) - 1
