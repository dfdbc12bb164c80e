"""The bytes of an ONNX file, looked through before anything runs them: our metadata, and that it needs no other file.

ONNX files are Protocol Buffers: fields of (number and kind, value), messages inside messages. Only the few fields below are looked at
(onnx.proto of ONNX), so that no library is needed, and none is given bytes that are not ours.
"""

from __future__ import annotations

from collections.abc import Iterator

from facelearn.errors import BundleError

MOST_BYTES = 2**31 - 1  # the limit of Protocol Buffers
_GRAPH, _METADATA = 7, 14
_KEY, _VALUE = 1, 2
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
# message -> its fields that are messages which hold, or may hold, tensors
_INNER = {
    "model": {_GRAPH: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_DEEPEST = 50


def onnx_metadata(content: bytes, source: str) -> dict[str, str]:
    """The texts in the metadata of an ONNX file, whose tensors are all inside it.

    Args:
        content: the file.
        source: named in errors.

    Raises:
        BundleError: no ONNX file, cut short, or one with tensors in other files.
    """
    metadata: dict[str, str] = {}
    graphs = 0
    try:
        _check_whole(memoryview(content), "model", 0)
        for number, value in _fields(memoryview(content)):
            graphs += number == _GRAPH
            if number == _METADATA and isinstance(value, memoryview):
                pair = {key: bytes(text) for key, text in _fields(value) if isinstance(text, memoryview)}
                metadata[pair.get(_KEY, b"").decode()] = pair.get(_VALUE, b"").decode()
        if graphs != 1:
            raise ValueError("it holds no graph")
    except ValueError as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"{source} is not an ONNX model, or damaged ({error}); export one with facelearn.bundle.export_onnx"
        ) from error
    return metadata


def _check_whole(message: memoryview, kind: str, depth: int) -> None:
    """All tensors inside `message` are in it.

    Raises:
        BundleError: one is in another file.
        ValueError: no such message.
    """
    if depth > _DEEPEST:
        raise ValueError("it is nested too deep")
    inner = _INNER[kind]
    for number, value in _fields(message):
        if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value == 1)):
            raise BundleError(
                "the ONNX model keeps weights in another file, which facelearn does not open; export it again with "
                "facelearn.bundle.export_onnx, which writes one file"
            )
        if number in inner:
            if not isinstance(value, memoryview):
                raise ValueError(f"field {number} of its {kind} is a number")
            _check_whole(value, inner[number], depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of every field: a whole number, or bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"a field is of the unknown kind {kind}")
        length, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if length > len(message) - at:
            raise ValueError("it is cut short")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("it is cut short")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number in it is too long")
