"""What runs a model: torch, ONNX Runtime or OpenVINO, behind one call from prepared images to points."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facelearn import bundle as bundles
from facelearn.bundle import Bundle
from facelearn.cores import usable_threads
from facelearn.errors import BundleError, MissingExtraError, RecipeError
from facelearn.prediction.runtimes import graph_file, read_order
from facelearn.runtime_imports import import_onnxruntime, import_openvino

BackendName = Literal["auto", "torch", "onnx", "openvino"]
Precision = Literal["auto", "32", "bf16"]


class Backend(Protocol):
    """A loaded model.

    Attributes:
        bundle: its facts.
        name: "torch", "onnx" or "openvino".
        device: where it runs: "cpu" or "cuda".
    """

    bundle: Bundle
    name: str
    device: str

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepared images uint8 (B, H, W, C) -> float32, what `Answering.combine` makes of the network's outputs."""
        ...


def open_backend(
    path: str | Path | Backend, *, backend: BackendName = "auto", device: str = "auto", precision: Precision = "auto"
) -> Backend:
    """The model at `path`, ready to run. One that is open is returned.

    "auto" is torch for `.safetensors` and ONNX Runtime for `.onnx`, unless `facelearn bench` has measured here that another float32 runtime
    is faster for models of this kind (`runtimes.read_order`); a `.safetensors` is run by another than torch where it was itself measured.

    Raises:
        BundleError: the file cannot be used, or not by that backend.
        RecipeError: an unknown backend, device or precision, or one that is not available here.
        MissingExtraError: the backend's package is not installed.
    """
    if not isinstance(path, str | Path):
        return path
    _check("backend", backend, ("auto", "torch", "onnx", "openvino"))
    _check("device", device, ("auto", "cpu", "cuda"))
    _check("precision", precision, ("auto", "32", "bf16"))
    exported = Path(path).suffix == ".onnx"
    if backend == "auto":
        return _open_fastest(path, device, precision)
    if backend == "torch" and exported:
        raise BundleError(
            f"{path} is an ONNX model, which torch does not run; leave backend='auto', or give the .safetensors file"
        )
    if backend != "torch" and not exported and Path(path).is_file():
        raise BundleError(
            f"backend='{backend}' runs .onnx files; export {path} first with facelearn.bundle.export_onnx"
        )
    return _KINDS[backend](path, device, precision)


def _open_fastest(path: str | Path, device: str, precision: Precision) -> Backend:
    """What was measured to be fastest here, or what needs nothing measured."""
    if Path(path).suffix == ".onnx":
        opened = OnnxBackend(path, device, precision)
        order = [name for name in read_order(opened.bundle, device) if name != "torch"] if precision != "bf16" else []
        return OpenVinoBackend(path, device, precision) if order[:1] == ["openvino"] else opened
    bundle = bundles.load(path)
    order = list(read_order(bundle, device)) if precision != "bf16" else []
    if order and order[0] != "torch":
        with suppress(BundleError):  # no graph of this very model, or a damaged one: `facelearn bench` makes it (again)
            fastest = _KINDS[order[0]](graph_file(path), device, precision)
            fastest.bundle = bundle  # with its weights, which the graph has inside
            return fastest
    return TorchBackend(path, device, precision, bundle=bundle)


class TorchBackend:
    """A `.safetensors` model run by torch, in float32 unless bfloat16 is asked for."""

    name = "torch"

    def __init__(self, path: str | Path, device: str, precision: Precision, *, bundle: Bundle | None = None) -> None:
        self.bundle = bundle or bundles.load(path)
        try:
            from facelearn.bundle.graph import TorchModel

            self._model = TorchModel(self.bundle, device, bfloat16=precision == "bf16")
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "torch", "train") from error
        self.device = self._model.device

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._model(images)


class OnnxBackend:
    """An exported model run by ONNX Runtime, in float32."""

    name = "onnx"

    def __init__(self, path: str | Path, device: str, precision: Precision) -> None:
        if precision == "bf16":
            raise RecipeError(
                "ONNX Runtime runs the exported model in float32; use precision='32', or the .safetensors file"
            )
        cuda = "CUDAExecutionProvider" in import_onnxruntime().get_available_providers()
        if device == "cuda" and not cuda:
            raise RecipeError(
                "device='cuda' is not available to ONNX Runtime here; type: pip install onnxruntime-gpu, or use device='cpu'"
            )
        self.device = "cuda" if cuda and device != "cpu" else "cpu"
        providers = (
            ("CUDAExecutionProvider", "CPUExecutionProvider") if self.device == "cuda" else ("CPUExecutionProvider",)
        )
        model = bundles.load_onnx(path, providers)
        self.bundle, self._session = model.bundle, model.session

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        points: NDArray[np.float32] = self._session.run(None, {bundles.INPUT_NAME: _channels_first(images)})[0]
        return points


class OpenVinoBackend:
    """An exported model run by OpenVINO on the CPU, in float32 unless bfloat16 is asked for."""

    name = "openvino"
    device = "cpu"

    def __init__(self, path: str | Path, device: str, precision: Precision) -> None:
        if device == "cuda":
            raise RecipeError("OpenVINO runs on the CPU here; use device='cpu', or backend='onnx'")
        openvino = import_openvino()
        model = bundles.load_onnx(path)
        self.bundle = model.bundle
        core = openvino.Core()
        # stated because OpenVINO itself chooses bfloat16 on processors that have it
        hint = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": usable_threads(),  # it does not know of a container's quota
        }
        # OpenVINO gives the thread that compiles a stack for signals, and frees it with the model; Ctrl-C would then end in the main
        # thread by a segmentation fault
        with ThreadPoolExecutor(1) as another_thread:
            compiled = another_thread.submit(core.compile_model, core.read_model(model.content), "CPU", hint)
            self._model: Any = compiled.result()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array(self._model([_channels_first(images)])[0], np.float32)


_KINDS: dict[str, Callable[[str | Path, str, Precision], Backend]] = {
    "torch": TorchBackend,
    "onnx": OnnxBackend,
    "openvino": OpenVinoBackend,
}


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _check(what: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise RecipeError(f"{what} must be one of {', '.join(accepted)}; received {value!r}")
