"""Which runtime was found fastest here for which kind of model: measured by `facelearn bench`, kept in the user's cache, read on opening.

An entry is a JSON file under its own checksum. Its name is the SHA-256 of all that the measurement depends on: processor and threads,
versions of the libraries, network, its arguments and the images it takes. Another library version or another processor is therefore another
entry, and what is not installed is never named by one that is found. Beside the entries lie the graphs of the `.safetensors` models that
were measured, by the SHA-256 of the model's file, so that they can be run without being exported again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from facelearn.bundle import Bundle
from facelearn.bundle.file import read_content
from facelearn.cores import processor_name, usable_threads
from facelearn.data.checksums import open_sealed, sealed_json
from facelearn.errors import DataError
from facelearn.files import cache_folder, write_text

PACKAGES = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
"""Each backend's package."""
_FORMAT = 1
_MOST_GRAPHS = 8
_DISTRIBUTIONS = ("facelearn", "torch", "onnxruntime", "onnxruntime-gpu", "openvino")


def installed(backend: str) -> bool:
    """Whether a backend's package is here; nothing is imported."""
    try:
        return find_spec(PACKAGES[backend]) is not None
    except (ImportError, ValueError):  # blocked, or half taken out
        return False


def library_versions(names: Sequence[str] = _DISTRIBUTIONS) -> dict[str, str]:
    """Versions of packages, by default of what runs models here, without what is not installed."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def read_order(bundle: Bundle, device: str) -> tuple[str, ...]:
    """The backends that answer as torch does, the fastest first, as measured here for models of this kind; empty where nobody has, or
    where the entry is damaged.

    Args:
        bundle: the model's facts.
        device: that is asked for: "auto", "cpu" or "cuda".
    """
    place = _entry(bundle, device)
    try:
        order = open_sealed(place.read_text(encoding="utf-8"), place.parent)["order"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, DataError):
        return ()
    named = isinstance(order, list) and all(isinstance(name, str) and name in PACKAGES for name in order)
    return tuple(name for name in order if installed(name)) if named else ()


def keep_order(bundle: Bundle, device: str, order: Sequence[str], facts: Mapping[str, Any]) -> Path:
    """Keep what was measured for models of this kind, in place of what was; returns the entry's file.

    Args:
        bundle, device: as `read_order`.
        order: backends, the fastest first.
        facts: the measurement, for people.

    Raises:
        WriteError: it cannot be written.
    """
    place = _entry(bundle, device)
    return write_text(place, sealed_json({"order": list(order), "of": _kind(bundle, device), "measured": dict(facts)}))


def graph_file(model: str | Path) -> Path:
    """Where the graph of exactly this model file is kept, whether or not it is.

    Raises:
        BundleError: the model file cannot be read.
    """
    return _graphs() / f"{hashlib.sha256(read_content(model)).hexdigest()}.onnx"


def drop_old_graphs() -> None:
    """Leave only the graphs that were written last."""
    by_age = sorted(_graphs().glob("*.onnx"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_age[_MOST_GRAPHS:]:
        path.unlink(missing_ok=True)


def _graphs() -> Path:
    return cache_folder() / "graphs"


def _entry(bundle: Bundle, device: str) -> Path:
    text = json.dumps(_kind(bundle, device), sort_keys=True, default=str)
    return cache_folder() / "runtimes" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def _kind(bundle: Bundle, device: str) -> Mapping[str, Any]:
    """All that the speed of a model depends on."""
    eight_bits = {"int8": True} if bundle.int8 else {}
    return {
        "format": _FORMAT, "processor": processor_name(), "threads": usable_threads(), "device": device, "versions": library_versions(),
        "network": bundle.network, "network_args": bundle.network_args,
        "input": list(bundle.preprocess.output_shape(*bundle.image_shape)), "mirrored": bool(bundle.answering().mirrored), **eight_bits,
    }  # fmt: skip
