"""The bytes of an ONNX file are looked through before anything runs them."""

import os
from pathlib import Path

import numpy as np
import pytest

from facelearn import bundle as bundles
from facelearn.bundle import file as files
from facelearn.bundle.onnx_file import onnx_metadata
from facelearn.errors import BundleError

onnx = pytest.importorskip("onnx")


def model(*, outside: bool = False, inner: bool = False) -> "onnx.ModelProto":
    """A graph of one addition, whose tensor may be in another file, and may stand in an attribute of a node."""
    from onnx import TensorProto, helper, numpy_helper

    tensor = numpy_helper.from_array(np.ones(3, np.float32), "one")
    if outside:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y"))
    constant = helper.make_node("Constant", [], ["one"], value=tensor)
    add = helper.make_node("Add", ["x", "one"], ["y"])
    nodes, initializers = ([constant, add], []) if inner else ([add], [tensor])
    made = helper.make_model(helper.make_graph(nodes, "graph", [x], [y], initializers))
    helper.set_model_props(made, {"facelearn": "2", "note": "é"})
    return made


def test_the_metadata_are_read_without_a_library() -> None:
    assert onnx_metadata(model().SerializeToString(), "model.onnx") == {"facelearn": "2", "note": "é"}


@pytest.mark.parametrize("inner", [False, True])
def test_weights_in_another_file_are_refused(inner: bool) -> None:
    with pytest.raises(BundleError, match=r"keeps weights in another file, which facelearn does not open"):
        onnx_metadata(model(outside=True, inner=inner).SerializeToString(), "model.onnx")


@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"PK\x03\x04 and more", b"\xff" * 50, b"\x08\x07", b"\x3a\xff\xff\xff\xff\x0f"]
)
def test_what_is_no_onnx_file_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("facelearn.bundle.onnx._session", None)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx is (not an ONNX model|empty)"):
        bundles.load_onnx(tmp_path / "model.onnx")


def test_only_files_of_possible_sizes_are_read(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"12345")
    with pytest.raises(BundleError, match="larger than a file of its kind can be"):
        files.read_content(tmp_path / "model.onnx", 4)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(BundleError, match=r"pipe\.onnx is a device or a pipe"):
        files.read_content(tmp_path / "pipe.onnx")
