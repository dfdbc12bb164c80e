"""An embedding adapter as one `.safetensors` file, sealed like a model."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.bundle.file import read_content, write_sealed
from facelearn.bundle.seal import is_whole
from facelearn.errors import BundleError
from facelearn.outside import parse_json
from facelearn.tasks.verification.adapter import AdapterMeasures, EmbeddingAdapter

KEY = "facelearn_adapter"
"""Of the header's metadata; its value is the version of the format."""
_VERSION = "1"


def save_adapter(adapter: EmbeddingAdapter, path: str | Path) -> Path:
    """Write `adapter` to `path` (`.safetensors`), whole or not at all; equal adapters give equal bytes.

    Raises:
        BundleError: `path` does not end in .safetensors.
    """
    measured = None
    if adapter.measured is not None:
        numbers = dataclasses.asdict(adapter.measured)
        measured = {name: None if math.isnan(number) else number for name, number in numbers.items()}
    facts = {"source": adapter.source, "target": adapter.target, "unit": adapter.unit, "measured": measured}
    document = json.dumps(facts, sort_keys=True, allow_nan=False)
    tensors = {"matrix": np.ascontiguousarray(adapter.matrix), "offset": np.ascontiguousarray(adapter.offset)}
    return write_sealed(path, "an adapter", tensors, {KEY: _VERSION, "document": document})


def load_adapter(path: str | Path) -> EmbeddingAdapter:
    """The adapter in the file at `path`.

    Raises:
        BundleError: no such file, a file of another kind, cut short, edited, or of a newer version.
    """
    if not Path(path).exists():
        raise BundleError(f"there is no adapter {path}; make one with: facelearn adapt OLD NEW PHOTOS --out FILE")
    content = read_content(path)
    if not is_whole(content):
        raise BundleError(f"{path} is no adapter that facelearn wrote, or was cut short or edited since; copy it again")
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    try:
        length = int.from_bytes(content[:8], "little")
        metadata = parse_json(content[8 : 8 + length])["__metadata__"]
        if KEY not in metadata:
            raise BundleError(f"{path} is a model, not an adapter between two models' embeddings")
        if metadata[KEY] != _VERSION:
            raise BundleError(
                f"{path} was written by a newer facelearn (adapter format {metadata[KEY]!r}, this one reads {_VERSION}); "
                "type: pip install --upgrade facelearn"
            )
        return _adapter(parse_json(metadata["document"]), parse(content))
    except BundleError:
        raise
    except (SafetensorError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(f"{path} is damaged ({error!r}); copy it again from where it was made") from error


def _adapter(document: Any, tensors: Mapping[str, NDArray[Any]]) -> EmbeddingAdapter:
    """The adapter of a file's facts and tensors; whatever does not fit is an error of one of the kinds that `load_adapter` names."""
    matrix, offset = tensors["matrix"], tensors["offset"]
    if matrix.ndim != 2 or offset.shape != matrix.shape[1:] or {matrix.dtype, offset.dtype} != {np.dtype(np.float32)}:
        raise ValueError(f"matrix {matrix.shape} and offset {offset.shape} do not go together")
    if not (np.isfinite(matrix).all() and np.isfinite(offset).all()):
        raise ValueError("its numbers are NaN or infinite")
    if not isinstance(document["source"], str) or not isinstance(document["target"], str):
        raise TypeError("it does not say between which models it leads")
    measured = document["measured"]
    if measured is not None:
        shares = ("mean_cosine", "old", "adapted", "new")
        numbers = {name: math.nan if measured[name] is None else float(measured[name]) for name in shares}
        measured = AdapterMeasures(int(measured["images"]), int(measured["people"]), **numbers)
    return EmbeddingAdapter(document["source"], document["target"], matrix, offset, bool(document["unit"]), measured)
