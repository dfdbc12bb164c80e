"""A YuNet file of the user's: OpenCV runs it, and its faces come in our order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facelearn.detect import open_detector
from facelearn.detect.others import YuNet

onnx = pytest.importorskip("onnx")


def made(path: Path) -> Path:
    """A graph with YuNet's inputs and outputs that sees a face of 24 pixels where the picture's blue is full, at a stride of 8."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, outputs = [], [], []
    for stride in (8, 16, 32):
        pool = np.zeros((1, 3, stride, stride), np.float32)
        pool[0, 0] = 1 / stride**2 / 255 * (stride == 8)
        weights.append(numpy_helper.from_array(pool, f"pool{stride}"))
        nodes.append(helper.make_node("Conv", ["input", f"pool{stride}"], [f"seen{stride}"], strides=[stride, stride]))
        for name, values in (("cls", [1.0]), ("obj", [1.0]), ("bbox", [0, 0, 1, 1]), ("kps", range(10))):
            weight = np.zeros((len(list(values)), 1, 1, 1), np.float32)
            weight[:, 0, 0, 0] = list(values)
            if name == "bbox":
                weight[:, 0, 0, 0] = [0, 0, np.log(3), np.log(3)]
            key = f"{name}_{stride}"
            weights.append(numpy_helper.from_array(weight, f"w_{key}"))
            weights.append(numpy_helper.from_array(np.array([1, -1, len(weight)], np.int64), f"s_{key}"))
            nodes.append(helper.make_node("Conv", [f"seen{stride}", f"w_{key}"], [f"c_{key}"]))
            nodes.append(helper.make_node("Transpose", [f"c_{key}"], [f"t_{key}"], perm=[0, 2, 3, 1]))
            nodes.append(helper.make_node("Reshape", [f"t_{key}", f"s_{key}"], [key]))
            outputs.append((name, stride))
    outputs.sort(key=lambda one: (["cls", "obj", "bbox", "kps"].index(one[0]), one[1]))
    numbers = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    shapes = [
        helper.make_tensor_value_info(f"{name}_{stride}", TensorProto.FLOAT, [1, (320 // stride) ** 2, numbers[name]])
        for name, stride in outputs
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 320, 320])
    graph = helper.make_graph(nodes, "yunet", [given], shapes, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), path)
    return path


def test_its_boxes_points_and_scores_are_taken(tmp_path: Path) -> None:
    detector = open_detector(str(made(tmp_path / "yunet.onnx")))
    assert isinstance(detector, YuNet) and detector.name.endswith("yunet.onnx")
    photo = np.zeros((320, 320, 3), np.uint8)
    photo[80:88, 160:168, 2] = 255
    found = detector(photo)
    assert len(found) == 1 and found.scores[0] == pytest.approx(1, abs=1e-3)
    x, y, side = found.squares[0]
    assert side == pytest.approx(24, abs=0.1) and (x, y) == pytest.approx((159.5, 79.5), abs=1)
    np.testing.assert_allclose(found.points[0], [160 - 0.5, 80 - 0.5] + 8 * np.arange(10).reshape(5, 2), atol=0.5)
    assert len(detector(np.zeros((320, 320, 3), np.uint8))) == 0
    assert len(open_detector(str(tmp_path / "yunet.onnx"), min_size=30)(photo)) == 0
