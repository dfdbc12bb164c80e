"""The model file: one `.safetensors` that carries everything needed to use a trained model, its card and its ONNX form."""

from facelearn.bundle.document import Bundle
from facelearn.bundle.file import FORMAT_VERSION, load, save

__all__ = ["FORMAT_VERSION", "Bundle", "load", "save"]
