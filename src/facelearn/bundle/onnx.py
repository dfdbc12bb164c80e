"""A bundle as one `.onnx` file that needs no torch: the graph holds all arithmetic, the metadata all facts."""

from __future__ import annotations

import base64
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.bundle.document import ANSWER, Bundle, from_document, to_document
from facelearn.bundle.file import FORMAT_VERSION, read_content, read_document, write_bytes
from facelearn.bundle.onnx_file import MOST_BYTES, onnx_metadata
from facelearn.bundle.seal import BLANK_SEAL, is_whole, seal
from facelearn.cores import usable_threads, waits_passively
from facelearn.errors import BundleError, MissingExtraError
from facelearn.runtime_imports import import_onnxruntime

OPSET = 18
INPUT_NAME = "images"
TOLERANCE = 1e-3
_ARRAYS = "arrays"


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """An exported model.

    Attributes:
        bundle: its facts; the weights stay in the graph, so `bundle.weights` is empty.
        content: the file's bytes.
        session: the `onnxruntime.InferenceSession` over it.
    """

    bundle: Bundle
    content: bytes
    session: Any


def export_onnx(bundle: Bundle, path: str | Path) -> Path:
    """Write `bundle` to `path` (`.onnx`, opset 18), whole or not at all, after checking it against torch.

    The graph takes "images", uint8 (N, C, H, W) as `bundle.preprocess.prepare` leaves them (channels moved first, RGB where C is
    3), with any N. For keypoints it returns "points": for each of the S annotation schemes (x, y) in pixels of those images, origin at
    the centre of the top-left pixel, float32 (N, S, K, 2); if the bundle says so, averaged with the mirrored image, float32
    (N, S, K, 3), the third number being the distance in pixels between the two places whose middle (x, y) is. For identification it
    returns "logits", float32 (N, C), averaged likewise.
    The metadata hold the same document as the `.safetensors` file.

    Raises:
        BundleError: `path` does not end in .onnx, or the exported graph does not give torch's numbers.
        MissingExtraError: torch or onnxscript is not installed.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise BundleError(f"an exported model is one .onnx file; received '{path.name}', type '{path.stem}.onnx'")
    try:
        import onnxscript  # noqa: F401  (what torch.onnx needs)
        import torch
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "train") from error
    from facelearn.bundle.graph import Deployable

    height, width, channels = bundle.preprocess.output_shape(*bundle.image_shape)
    images = np.random.default_rng(0).integers(0, 256, (2, channels, height, width), dtype=np.uint8)
    module = Deployable(bundle).eval()
    content = _graph(module, torch.from_numpy(images), bundle)
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    found = _session(content, ("CPUExecutionProvider",), str(path)).run(None, {INPUT_NAME: images})[0]
    difference = float(np.abs(found - expected).max(initial=0))
    if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0)) / width):
        raise BundleError(
            f"the ONNX graph of '{bundle.network}' differs from torch by {difference:g}; use the .safetensors file"
        )
    return write_bytes(path, seal(content))


def load_onnx(path: str | Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> OnnxModel:
    """The exported model at `path`, ready to run in ONNX Runtime, without torch.

    Args:
        path: file written by `export_onnx`.
        providers: ONNX Runtime's execution providers, the preferred first.

    Raises:
        BundleError: no such file, damaged, not written by `export_onnx`, or from a newer version.
    """
    content = read_content(path, MOST_BYTES)
    metadata = onnx_metadata(content, str(path))
    if not {"facelearn", "document", "seal"} <= metadata.keys():
        raise BundleError(
            f"{path} is an ONNX model without facelearn's facts, or damaged; export one with facelearn.bundle.export_onnx"
        )
    if not is_whole(content):
        raise BundleError(f"{path} is damaged: it was cut short or edited after it was saved; export it again")
    document = read_document(metadata, path)
    bundle = from_document(document, _arrays_of(document, str(path)), str(path))
    session = _session(content, providers, str(path))
    _check_ends(session, bundle, str(path))
    return OnnxModel(bundle, content, session)


def unsealed_metadata(bundle: Bundle) -> dict[str, str]:
    """The texts in the metadata of an exported model, for `seal` to fill in."""
    # the graph does the arithmetic of embeddings; that of their distances needs some of these numbers
    document = {**to_document(bundle), _ARRAYS: {name: _as_text(array) for name, array in bundle.arrays.items()}}
    text = json.dumps(document, sort_keys=True, allow_nan=False)
    return {"facelearn": str(FORMAT_VERSION), "document": text, "seal": BLANK_SEAL}


def _as_text(array: NDArray[Any]) -> list[Any]:
    """A float32 array as its shape and base 64."""
    return [list(array.shape), base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")]


def _arrays_of(document: Mapping[str, Any], source: str) -> dict[str, NDArray[Any]]:
    """The tensors of answering that the document of an exported model holds.

    Raises:
        BundleError: what stands there is none of ours.
    """
    try:
        return {
            f"{ANSWER}{name}": np.frombuffer(base64.b64decode(text, validate=True), "<f4").reshape(shape)
            for name, (shape, text) in (document.get(_ARRAYS) or {}).items()
        }
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise BundleError(f"{source} holds arrays that cannot be read ({error}); export it again") from error


def _check_ends(session: Any, bundle: Bundle, source: str) -> None:
    """The graph takes images and gives what the bundle's task answers by."""
    taken, given = session.get_inputs(), session.get_outputs()
    fits = (
        [(one.name, one.type, len(one.shape)) for one in taken] == [(INPUT_NAME, "tensor(uint8)", 4)]
        and [(one.name, one.type) for one in given] == [(bundle.answering().output, "tensor(float)")]
    )  # fmt: skip
    if not fits:
        raise BundleError(
            f"{source} takes {', '.join(one.name for one in taken)} and gives {', '.join(one.name for one in given)}, which is no graph "
            f"that facelearn exports for {bundle.task}; export it again"
        )


def _graph(module: Any, example: Any, bundle: Bundle) -> bytes:
    """The unsealed `.onnx` file of `module` with a free first dimension."""
    import torch

    output = bundle.answering().output
    with _quiet():
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[INPUT_NAME],
            output_names=[output],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise BundleError(f"torch could not export '{bundle.network}'; use the .safetensors file instead")
    program.model.metadata_props.update(unsealed_metadata(bundle))
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says on the way and no caller can mend: that torchvision is missing, deprecations inside onnxscript."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _session(content: bytes, providers: Sequence[str], source: str) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: its warnings on unused initialisers tell a user nothing
    options.intra_op_num_threads = (
        usable_threads()
    )  # it does not know of a container's quota, and pins threads that it counts itself
    if waits_passively():
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:
        raise BundleError(f"{source} is not an ONNX model that can run here ({error}); export it again") from error
