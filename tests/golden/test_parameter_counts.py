"""Golden parameter counts and layer sizes of the published networks; counted on the meta device, without memory."""

from __future__ import annotations

import math

import pytest
import torch

from facelearn.models.layers.profile import profile
from facelearn.models.zoo import build, model_info

COUNTS = {
    "ml_resnet": 9_523_946,
    "plain_cnn": 9_513_130,
    "kimura": 2_607_518,
    "mlp": 924_730,
    "net5": 8_051_502,
    "net6": 8_051_502,
    "net6_large_pool": 371_502,
    "net6_no_pool": 101_835_566,
    "net6_no_pool_large_filters": 84_947_222,
    "net6_one_hidden": 109_566_254,
    "net6_strided": 1_306_496,
    "net6_strided_xl": 3_421_198,
    "net6_no_pool_xl": 109_816_754,
    "stack": 31_043_082,
    "stack_large": 31_076_010,
    "ucsd_baseline": 425_520,
    "tronnet": 458_739,
    "resnet18": 11_689_512,
    "vgg16": 138_357_544,
    "deepface": 118_923_774,
    "facenet_nn1": 140_025_664,
    "facelearn_identity": 3_401_344,
    "facelearn_embedding": 4_954_752,
    "resnet18_embedding": 11_439_168,
    "deepface_embedding": 102_412_864,
}
SIZES = {  # side of the maps after each convolution and pool
    "ml_resnet": [96, 48, 24, 24, 24, 12, 12, 12],
    "plain_cnn": [96, 48, 24, 24, 12, 12],
    "kimura": [92, 46, 44, 22, 20, 10],
    "net5": [94, 47, 46, 23, 22, 11],
    "net6": [94, 47, 46, 23, 22, 11],
    "net6_no_pool": [94, 93, 92],
    "net6_no_pool_large_filters": [92, 88, 84],
    "net6_no_pool_xl": [92, 86, 78],
    "net6_strided_xl": [92, 46, 40, 20, 12, 6],
    "resnet18": [112, 56, *[56] * 4, *[28] * 5, *[14] * 5, *[7] * 5],
    "net6_large_pool": [94, 23, 22, 5, 4, 1],
    "net6_strided": [92, 46, 42, 21, 17, 8],
    "net6_one_hidden": [92, 86, 78],
    "stack": [95, 93, 46, 45, 22],
    "stack_large": [94, 90, 45, 44, 22],
    "ucsd_baseline": [111, 55, 28, 13],
    "tronnet": [222, 222, 74, 74, 74, 24, 24, 24, 11],
    "vgg16": [224, 224, 112, 112, 112, 56, 56, 56, 56, 28, 28, 28, 28, 14, 14, 14, 14, 7],
    "deepface": [142, 71, 63, 55, 25, 21],
    "facenet_nn1": [110, 55, 55, 55, 28, 28, 28, 14, 14, 14, 14, 14, 14, 14, 7],
}
# name: (weights, multiply-adds) of a layer as the FaceNet publication prints them
FACENET = {
    "conv1": ("9K", "115M"), "conv2a": ("4K", "13M"), "conv2": ("111K", "335M"), "conv3a": ("37K", "29M"),
    "conv3": ("664K", "521M"), "conv4a": ("148K", "29M"), "conv4": ("885K", "173M"), "conv5a": ("66K", "13M"),
    "conv5": ("590K", "116M"), "conv6a": ("66K", "13M"), "conv6": ("590K", "116M"), "fc1.product": ("103M", "103M"),
    "fc2.product": ("34M", "34M"), "embedding": ("524K", "0.5M"),
}  # fmt: skip


def meta(name, **options):
    with torch.device("meta"):
        return build(name, **options)


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", COUNTS)
def test_parameters(name):
    assert model_info(name).parameters == COUNTS[name] == parameters(meta(name))


@pytest.mark.parametrize(("name", "golden"), [("ml_resnet", 9_328_662), ("plain_cnn", 9_325_302)])
def test_parameters_of_the_text_form(name, golden):
    assert parameters(meta(name, form="text")) == golden


@pytest.mark.parametrize(("name", "golden"), [("resnet18", 11_279_625), ("vgg16", 135_084_041)])
def test_parameters_with_201_classes(name, golden):
    assert parameters(meta(name, outputs=201)) == golden


def test_the_embedding_forms_have_all_but_the_last_layer():
    assert COUNTS["deepface_embedding"] == COUNTS["deepface"] - 4_097 * 4_030
    assert COUNTS["resnet18_embedding"] - 513 * 512 == COUNTS["resnet18"] - 513 * 1_000
    assert parameters(meta("facelearn_embedding", image_size=80)) == COUNTS["facelearn_identity"] - 76 * 256


@pytest.mark.parametrize("name", SIZES)
def test_layer_sizes(name):
    info = model_info(name)
    layers = profile(meta(name), info.input)
    sides = [layer.output_shape[1] for layer in layers if layer.kind in ("Conv2d", "MaxPool2d", "LocallyConnected2d")]
    assert sides == SIZES[name]
    assert layers[-1].output_shape == (info.outputs,)


@pytest.mark.parametrize(("name", "flat"), [("ucsd_baseline", 1_183), ("tronnet", 1_210), ("deepface", 21 * 21 * 16)])
def test_numbers_that_reach_the_first_fully_connected_layer(name, flat):
    layers = profile(meta(name), model_info(name).input)
    assert next(layer.output_shape for layer in layers if layer.kind == "Flatten") == (flat,)


def printed(value, like):
    """`value` with the unit and decimals of `like`."""
    scale = {"K": 1e3, "M": 1e6}[like[-1]]
    decimals = len(like[:-1].partition(".")[2])
    return f"{value / scale:.{decimals}f}{like[-1]}"


def test_facenet_layer_by_layer():
    layers = profile(meta("facenet_nn1"), (3, 220, 220))
    rows = {layer.name: layer for layer in layers if layer.parameters}
    assert list(rows) == list(FACENET)
    adds = 0
    for name, (weights, multiply_adds) in FACENET.items():
        # the publication's product includes the biases: one more for each output
        with_bias = rows[name].multiply_adds + math.prod(rows[name].output_shape)
        assert printed(rows[name].parameters, weights) == weights, name
        assert printed(with_bias, multiply_adds) == multiply_adds, name
        adds += with_bias
    assert printed(adds / 1e3, "1.6M") == "1.6M"  # 1.6 thousand million in all


def test_deepface_multiply_adds_of_the_locally_connected_layers():
    layers = profile(meta("deepface"), (3, 152, 152))
    local = [(layer.multiply_adds, layer.parameters) for layer in layers if layer.kind == "LocallyConnected2d"]
    positions = ((55 * 55, 9 * 9 * 16), (25 * 25, 7 * 7 * 16), (21 * 21, 5 * 5 * 16))
    assert local == [(count * 16 * kernel, count * 16 * (kernel + 1)) for count, kernel in positions]


def test_randwire_has_the_published_size():
    """Xie et al., table 2: 5.6M parameters and 583M multiply-adds for WS(4, 0.75) with 78 maps."""
    layers = profile(meta("randwire"), (3, 224, 224))
    assert printed(sum(layer.parameters for layer in layers), "5.6M") == "5.6M"
    assert abs(sum(layer.multiply_adds for layer in layers) / 583e6 - 1) < 0.02
