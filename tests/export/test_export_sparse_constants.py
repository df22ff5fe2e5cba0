"""Matrices of a LiteRT file that are mostly zeros take the room of their other numbers, and are the same matrices."""

import numpy as np
import pytest
import torch

from anchorstream.decode import DecoderSettings
from anchorstream.models.detector import StreamingDetector
from anchorstream.runtime import Session

pytest.importorskip("litert_torch", reason="needs anchorstream[litert]", exc_type=ImportError)

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from anchorstream.export import export_litert, sparse_constants
from anchorstream.export import litert as export_module


def test_the_filterbank_takes_a_tenth_and_nothing_that_is_computed_changes(tmp_path, monkeypatch):
    torch.manual_seed(0)
    detector = StreamingDetector.build("gru", labels=["yes"], options={"units": 8}).eval()
    decoder = DecoderSettings(threshold=0.5)
    small = export_litert(detector, tmp_path / "small.tflite", decoder=decoder)
    monkeypatch.setattr(export_module, "store_sparsely", lambda model: None)
    large = export_litert(detector, tmp_path / "large.tflite", decoder=decoder)
    assert small.stat().st_size < large.stat().st_size - 28_000

    model = flatbuffer_utils.read_model(str(small))
    # Both networks of the file have the one filterbank.
    one_hop, several = ([t for t in graph.tensors if t.sparsity is not None] for graph in model.subgraphs)
    assert [len(tensor.shape) for tensor in one_hop] == [2]
    assert [tensor.buffer for tensor in several] == [tensor.buffer for tensor in one_hop]
    pcm = (0.1 * np.random.default_rng(0).standard_normal((1, 160 * 50))).astype(np.float32)
    found = [Session.open(path) for path in (small, large)]
    one, other = (session.step(pcm, session.init_state())[0] for session in found)
    np.testing.assert_array_equal(one, other)


def test_rows_without_numbers_and_full_matrices():
    def stored(matrix):
        model, graph = schema.ModelT(), schema.SubGraphT()
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.type, tensor.shape, tensor.buffer = schema.TensorType.FLOAT32, list(matrix.shape), 1
        buffer.data = np.frombuffer(matrix.tobytes(), dtype=np.uint8)
        graph.tensors, graph.operators = [tensor], []
        model.subgraphs, model.buffers, model.operatorCodes = [graph], [schema.BufferT(), buffer], []
        sparse_constants.store_sparsely(model)
        return model

    matrix = np.zeros((40, 50), dtype=np.float32)
    matrix[3, 7], matrix[3, 49], matrix[39, 0] = 1.0, 2.0, -3.0
    model = stored(matrix)
    dense, sparse = model.subgraphs[0].tensors
    assert (dense.buffer, dense.sparsity, sparse.buffer) == (0, None, 1)
    assert model.buffers[1].data.tobytes() == np.float32([1.0, 2.0, -3.0]).tobytes()
    rows, columns = sparse.sparsity.dimMetadata
    assert rows.denseSize == 40
    assert columns.arraySegments.values.tolist() == [0] * 4 + [2] * 36 + [3]
    assert columns.arrayIndices.values.tolist() == [7, 49, 0]
    (operator,) = model.subgraphs[0].operators
    assert (list(operator.inputs), list(operator.outputs)) == ([1], [0])
    for kept in (np.ones((40, 50), dtype=np.float32), np.zeros((4, 5), dtype=np.float32)):
        model = stored(kept)
        assert len(model.subgraphs[0].tensors) == 1
        assert not model.subgraphs[0].operators
