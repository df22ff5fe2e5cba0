"""The networks of a LiteRT file, each in an interpreter of ai-edge-litert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anchorstream.runtime.contract import METADATA_KEY, ContractError, ModelError
from anchorstream.runtime.litert_tensors import check_tensors

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

# A single hop a call, and several.
_MOST_SIGNATURES = 2


def interpreters(data: bytes, threads: int) -> list[tuple[Interpreter, dict[str, Any], dict[str, Any]]]:
    """An interpreter for each network of a file, and what it says of its inputs and outputs by name.

    Args:
        data: the content of the file, of which nothing has been checked yet.
        threads: CPU threads of one call.

    Raises:
        ModelError: if a tensor cannot be one of ours, or there are more networks than ours have.
        ImportError: if ai-edge-litert is not installed.
        Exception: of many classes, if the file is not sound.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise ImportError(
            'running a .tflite model needs ai-edge-litert; install with: pip install "anchorstream[litert-runtime]"',
            name=error.name,
        ) from error

    def opened(content: bytes) -> Interpreter:
        # What takes parts of a network over, which is the default, keeps their tensors to itself.
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        for kind in (plain, OpResolverType.AUTO):
            interpreter = Interpreter(
                model_content=content, num_threads=threads, experimental_op_resolver_type=kind
            )
            interpreter.allocate_tensors()
            if kind is plain:
                _check_fixed(interpreter)
        return interpreter

    check_tensors(data)
    interpreter = opened(data)
    signatures = list(interpreter.get_signature_list())
    if not 1 <= len(signatures) <= _MOST_SIGNATURES:
        raise ModelError(
            f"a model of ours has one signature or {_MOST_SIGNATURES}, this one has {len(signatures)}"
        )
    # It steps through the first network itself; each of the others takes an interpreter of its own.
    places = _places(data)
    alone = [opened(_alone(data, name)) if places[name] else interpreter for name in signatures]
    runners = [one.get_signature_runner(name) for one, name in zip(alone, signatures, strict=True)]
    return [
        (one, runner.get_input_details(), runner.get_output_details())
        for one, runner in zip(alone, runners, strict=True)
    ]


def _check_fixed(interpreter: Interpreter) -> None:
    """Refuses a network with tensors that get their size, and with it their memory, while it runs."""
    for tensor in interpreter.get_tensor_details():
        try:
            interpreter.tensor(tensor["index"])()
        except ValueError as error:
            raise ModelError(
                "it has tensors without a fixed size; a model of ours has none: "
                f"{tensor['name']!r} of shape {tensor['shape'].tolist()}"
            ) from error


def _places(data: bytes) -> dict[str, int]:
    """Which of the networks each signature is of."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    signatures = [model.SignatureDefs(index) for index in range(model.SignatureDefsLength())]
    return {one.SignatureKey().decode(): one.SubgraphIndex() for one in signatures}


def _alone(data: bytes, signature: str) -> bytes:
    """The file with one of its networks: an interpreter steps through the first of a file and no other.

    (What runs a signature for others asks for memory anew with every call, which takes longer than the network.)
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    (kept,) = (one for one in model.signatureDefs if one.signatureKey == signature.encode())
    model.subgraphs, model.signatureDefs = [model.subgraphs[kept.subgraphIndex]], [kept]
    kept.subgraphIndex = 0
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def metadata(data: bytes) -> str:
    """The contract as the file has it.

    Raises:
        ContractError: if it has none.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA_KEY.encode():
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).decode("utf-8")
    raise ContractError("its metadata has no contract; was it written by `anchorstream export`?")
