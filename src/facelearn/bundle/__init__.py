"""The model file: one `.safetensors` that carries everything needed to use a trained model, its card and its ONNX form."""

from facelearn.bundle.card import card
from facelearn.bundle.document import Bundle
from facelearn.bundle.file import FORMAT_VERSION, load, save
from facelearn.bundle.onnx import INPUT_NAME, OnnxModel, export_onnx, load_onnx

__all__ = ["FORMAT_VERSION", "INPUT_NAME", "Bundle", "OnnxModel", "card", "export_onnx", "load", "load_onnx", "save"]
