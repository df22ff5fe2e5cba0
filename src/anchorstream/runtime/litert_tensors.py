"""Whether the tensors of a LiteRT file can be what they say; LiteRT fills them in without looking."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anchorstream.runtime.contract import ModelError

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import Model, SparsityParameters, Tensor

# Ours have up to two networks and hundreds of tensors. A hostile file could name one of them a million times.
_MOST_NETWORKS = 8
_MOST_TENSORS = 10_000
_MOST_NUMBERS = 4_000_000


def check_tensors(data: bytes) -> None:
    """Refuses a file with tensors that are far larger than ours, or sparse matrices that do not fit theirs.

    A column that a matrix does not have would be written to somewhere else in memory, and a tensor that says it is
    millions of rows long is read as if it were.

    Args:
        data: the content of the file, of which nothing has been checked yet.

    Raises:
        ModelError: if a tensor cannot be one of ours, or there are far too many of them.
        ValueError, IndexError, struct.error: if the file is not sound.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    for graph in range(_at_most(_MOST_NETWORKS, model.SubgraphsLength(), "networks")):
        tensors = model.Subgraphs(graph)
        for index in range(_at_most(_MOST_TENSORS, tensors.TensorsLength(), "tensors")):
            tensor = tensors.Tensors(index)
            sizes = tensor.ShapeAsNumpy().tolist() if tensor.ShapeLength() else []
            if min(sizes, default=0) < 0 or math.prod(sizes) > _MOST_NUMBERS:
                raise ModelError(
                    f"it has a tensor of shape {sizes}, expected at most {_MOST_NUMBERS:,} numbers"
                )
            if tensor.Sparsity() is not None and not _fits(model, tensor, tensor.Sparsity()):
                raise ModelError("it has a sparse matrix that does not fit its tensor")


def _at_most(most: int, length: int, what: str) -> int:
    if length > most:
        raise ModelError(f"it has {length:,} {what}, expected at most {most:,}")
    return length


def _fits(model: Model, tensor: Tensor, sparsity: SparsityParameters) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    if tensor.Type() != schema.TensorType.FLOAT32 or tensor.ShapeLength() != 2:
        return False
    if sparsity.TraversalOrderLength() != 2 or sparsity.TraversalOrderAsNumpy().tolist() != [0, 1]:
        return False
    if sparsity.BlockMapLength() or sparsity.DimMetadataLength() != 2:
        return False
    shape = tensor.ShapeAsNumpy().tolist()
    by_row, by_column = sparsity.DimMetadata(0), sparsity.DimMetadata(1)
    kinds = schema.DimensionType.DENSE, schema.DimensionType.SPARSE_CSR
    if (by_row.Format(), by_column.Format()) != kinds or by_row.DenseSize() != shape[0]:
        return False
    begins = _numbers(by_column.ArraySegmentsType(), by_column.ArraySegments())
    columns = _numbers(by_column.ArrayIndicesType(), by_column.ArrayIndices())
    stored = model.Buffers(tensor.Buffer()).DataLength()
    if begins is None or columns is None or len(begins) != shape[0] + 1:
        return False
    return bool(
        begins[0] == 0
        and (np.diff(begins) >= 0).all()
        and begins[-1] == len(columns)
        and stored == 4 * len(columns)
        and (columns < shape[1]).all()
    )


def _numbers(kind: int, table: Any) -> NDArray[np.int64] | None:  # noqa: ANN401 - a table of flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    if table is None or kind != schema.SparseIndexVector.Uint16Vector:
        return None
    vector = schema.Uint16Vector()
    vector.Init(table.Bytes, table.Pos)
    values = vector.ValuesAsNumpy()
    return np.asarray(values, dtype=np.int64) if isinstance(values, np.ndarray) else None
