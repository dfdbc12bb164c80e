"""Golden parameter counts and layer sizes of the systems' sections 1 and 2; counted on the meta device, without memory."""

from __future__ import annotations

import pytest
import torch

from facelearn.models.profile import profile
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
}
SIZES = {  # side of the maps after each convolution and pool
    "ml_resnet": [96, 48, 24, 24, 24, 12, 12, 12],
    "plain_cnn": [96, 48, 24, 24, 12, 12],
    "net6": [94, 47, 46, 23, 22, 11],
    "net6_large_pool": [94, 23, 22, 5, 4, 1],
    "net6_strided": [92, 46, 42, 21, 17, 8],
    "net6_one_hidden": [92, 86, 78],
    "stack": [95, 93, 46, 45, 22],
    "stack_large": [94, 90, 45, 44, 22],
}


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


@pytest.mark.parametrize("name", SIZES)
def test_layer_sizes(name):
    layers = profile(meta(name), (1, 96, 96))
    sides = [layer.output_shape[1] for layer in layers if layer.kind in ("Conv2d", "MaxPool2d")]
    assert sides == SIZES[name]
    assert layers[-1].output_shape == (30,)
