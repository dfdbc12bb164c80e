"""Save and load a `Bundle` as one `.safetensors` file: no pickle, no torch, checked byte for byte."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from facelearn.bundle.document import Bundle, from_document, from_version_1, to_document, to_tensors
from facelearn.bundle.seal import BLANK_SEAL, is_whole, seal
from facelearn.errors import BundleError, FacelearnError
from facelearn.files import whole_file

FORMAT_VERSION = 2
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: from_version_1}
"""Version -> function that turns a document of that version into one of the next."""

_LENGTH_BYTES = 8
_MOST_HEADER = 100_000_000  # the limit of the safetensors format
_OTHER_KINDS = (
    (b"PK\x03\x04", "a zip archive, perhaps a PyTorch .pth or a data set"),
    (b"\x80", "a pickle, perhaps a PyTorch .pth"),
    (b"\x08", "perhaps an ONNX model, which facelearn.prediction.Predictor takes"),
    (b"\x89HDF", "an HDF5 file"),
)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write `content` to `path` whole or not at all, and on the disk before the previous file goes."""
    with whole_file(path, len(content)) as scratch, scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(path)


def save(bundle: Bundle, path: str | Path) -> Path:
    """Write `bundle` to `path` (`.safetensors`), whole or not at all; equal bundles give equal bytes.

    The header's `__metadata__` holds three texts: "facelearn" (format version), "document" (JSON) and "seal" (checksum over
    the whole file). Tensors are "network.NAME" and "preprocess.NAME".

    Raises:
        BundleError: `path` does not end in .safetensors.
    """
    document = json.dumps(to_document(bundle), sort_keys=True, allow_nan=False)
    return write_sealed(path, "a model", to_tensors(bundle), {"facelearn": str(FORMAT_VERSION), "document": document})


def write_sealed(path: str | Path, what: str, tensors: Mapping[str, NDArray[Any]], texts: Mapping[str, str]) -> Path:
    """Write tensors, with `texts` and a "seal" over the whole file in the header's metadata, whole or not at all.

    Raises:
        BundleError: `path` does not end in .safetensors.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise BundleError(
            f"{what} is saved as one .safetensors file; received '{path.name}', type '{path.stem}.safetensors'"
        )
    from safetensors.numpy import save as serialise

    content = serialise(dict(tensors), metadata={**texts, "seal": BLANK_SEAL})
    return write_bytes(path, seal(_in_order(content)))


def load(path: str | Path) -> Bundle:
    """The bundle in the file at `path`, without torch and without unpickling anything.

    Raises:
        BundleError: no such file, a folder, a file of another kind, cut short, edited, or from a newer version; says what to do.
    """
    content = read_content(path)
    metadata = _metadata(content, path)
    _version(metadata, path)
    if not is_whole(content):
        raise BundleError(
            f"{path} is damaged: it was cut short or edited after it was saved; copy it again from where it was made"
        )
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    document = read_document(metadata, path)
    try:
        tensors = parse(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise BundleError(f"{path} is damaged ({error}); copy it again from where it was made") from error
    return from_document(document, tensors, str(path))


def read_document(metadata: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """The document in a model file's metadata, as one of the present version.

    Raises:
        BundleError: none, one of a newer version, or of one from which no migration is known.
    """
    version = _version(metadata, path)
    try:
        document = json.loads(metadata["document"])
        for old in range(version, FORMAT_VERSION):
            if old not in MIGRATIONS:
                raise BundleError(
                    f"{path}: models of format {old} can no longer be read; make the model again with facelearn train"
                )
            document = MIGRATIONS[old](document)
    except BundleError:
        raise
    except (FacelearnError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BundleError(f"{path} is damaged ({error!r}); copy it again from where it was made") from error
    if not isinstance(document, dict):
        raise BundleError(f"{path} is damaged: its document is no table; copy it again from where it was made")
    return document


def read_content(path: str | Path, most: int | None = None) -> bytes:
    """All bytes of a model file, of which there are at most `most`.

    Raises:
        BundleError: no such file, a folder or device, not readable, empty, or larger.
    """
    path = Path(path)
    if path.is_dir():
        inside = path / "model.safetensors"
        where = (
            f"type {inside}" if inside.exists() else "give the model's file, such as runs/quickstart/model.safetensors"
        )
        raise BundleError(f"{path} is a folder, not a model file; {where}")
    if path.exists() and not path.is_file():
        raise BundleError(f"{path} is a device or a pipe, not a model file; give a file")
    try:
        if most is not None and path.stat().st_size > most:
            raise BundleError(f"{path} is larger than a file of its kind can be ({most:,} bytes); give a model file")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(
            f"there is no model file {path}; make one with: facelearn train --data DATA --out {path.parent}"
        ) from error
    except OSError as error:
        raise BundleError(f"the model file {path} cannot be read: {error.strerror or error}") from error
    if not content:
        raise BundleError(f"{path} is empty; copy it again from where it was made")
    return content


def _metadata(content: bytes, path: str | Path) -> dict[str, str]:
    """The header's texts, or the error that says what the file is instead."""
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if (
        len(content) <= _LENGTH_BYTES
        or not 2 <= length <= _MOST_HEADER
        or content[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{"
    ):
        kind = next((name for start, name in _OTHER_KINDS if content.startswith(start)), "not a safetensors file")
        raise BundleError(
            f"{path} is {kind}; give a model that facelearn train wrote, such as runs/quickstart/model.safetensors"
        )
    if len(content) < _LENGTH_BYTES + length:
        raise BundleError(
            f"{path} is cut short: its header needs {_LENGTH_BYTES + length} bytes, it has {len(content)}; copy it again"
        )
    try:
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{path} is damaged: its header cannot be read ({error}); copy it again from where it was made"
        ) from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("facelearn"), str):
        raise BundleError(
            f"{path} holds tensors but not what facelearn needs to use them (network, preprocessing, keypoints), or is damaged; "
            "give a model that facelearn train wrote"
        )
    return metadata


def _version(metadata: Mapping[str, str], path: str | Path) -> int:
    try:
        version = int(metadata["facelearn"])
    except ValueError as error:
        raise BundleError(
            f"{path} is damaged: its format version reads '{metadata['facelearn'][:20]}'; copy it again"
        ) from error
    if version > FORMAT_VERSION:
        raise BundleError(
            f"{path} was written by a newer facelearn (format {version}, this one reads up to {FORMAT_VERSION}); "
            "type: pip install --upgrade facelearn"
        )
    return version


def _in_order(content: bytes) -> bytes:
    """The same safetensors file with its header's texts sorted, which the library writes in a random order."""
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % _LENGTH_BYTES)  # tensors stay aligned
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + content[_LENGTH_BYTES + length :]
