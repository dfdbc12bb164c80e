from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from facelearn.errors import RecipeError
from facelearn.models.layers.blocks import ConvNorm, Dropout, TwoConvBlock
from facelearn.models.layers.initialise import initialise
from facelearn.models.layers.profile import profile
from facelearn.models.zoo import build


@given(
    st.sampled_from([torch.relu, torch.sigmoid, torch.tanh]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.floats(0.01, 30),
    st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_rising_nonlinearities_and_max_pool_commute(nonlinearity, pool, stride, scale, seed):
    x = scale * torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(seed))
    first = nn.functional.max_pool2d(nonlinearity(x), pool, stride)
    second = nonlinearity(nn.functional.max_pool2d(x, pool, stride))
    # sigmoid and tanh of a vector and of its tail are rounded differently, in the last bit
    tolerance = 0 if nonlinearity is torch.relu else 1e-6
    torch.testing.assert_close(first, second, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("nonlinearity", "other"), [(torch.relu, 1.0), (torch.sigmoid, 0.25), (torch.tanh, 0.3)])
def test_nonlinearities_and_average_pool_do_not_commute(nonlinearity, other):
    x = torch.tensor([[[[-2.0, 2.0], [-2.0, 2.0]]]])  # its average is 0 wherever the nonlinearity bends
    x[..., 1] += other
    first = nn.functional.avg_pool2d(nonlinearity(x), 2)
    assert (first - nonlinearity(nn.functional.avg_pool2d(x, 2))).abs() > 0.01


def test_a_falling_nonlinearity_and_max_pool_do_not_commute():
    x = torch.tensor([[[[-1.0, 0.5]]]])
    assert nn.functional.max_pool2d(-x, (1, 2)) != -nn.functional.max_pool2d(x, (1, 2))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_scales_the_rest_and_obeys_the_seed(dtype, memory_format):
    x = torch.ones(16, 8, 33, 31, dtype=dtype).contiguous(memory_format=memory_format).requires_grad_()
    dropout = Dropout(0.25)
    torch.manual_seed(3)
    y = dropout(x)
    y.sum().backward()
    assert y.dtype == dtype and y.stride() == x.stride()
    assert set(y.unique().tolist()) == {0.0, float(torch.tensor(4 / 3, dtype=dtype))}
    assert abs(float((y == 0).float().mean()) - 0.25) < 0.005
    assert torch.equal(x.grad, y)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), y)
    assert not torch.equal(dropout(x), y)
    assert dropout.eval()(x) is x


def test_dropout_draws_each_element_on_its_own():
    torch.manual_seed(0)
    y = (Dropout(0.5)(torch.ones(4096, 8)) > 0).float()
    off = torch.corrcoef(y.T) - torch.eye(8)
    assert off.abs().max() < 0.08


def test_block_adds_its_input_after_the_second_norm():
    block = TwoConvBlock(4, 4).eval()
    plain = TwoConvBlock(4, 4, shortcut=False).eval()
    plain.load_state_dict(block.state_dict())
    x = torch.rand(2, 4, 6, 6)
    before_relu = plain.second(plain.relu_first(plain.first(x)))
    torch.testing.assert_close(block(x), torch.relu(before_relu + x))
    torch.testing.assert_close(plain(x), torch.relu(before_relu))
    assert isinstance(TwoConvBlock(4, 4, strides=(2, 1)).shortcut, ConvNorm)


@pytest.mark.parametrize(
    ("scheme", "std", "expected"),
    [
        ("normal", None, 0.02),
        ("normal", 0.5, 0.5),
        ("xavier", None, (2 / 700) ** 0.5),
        ("kaiming", None, (2 / 300) ** 0.5),
        ("orthogonal", None, (1 / 400) ** 0.5),
    ],
)
def test_initialisation_has_its_deviation_and_obeys_the_seed(scheme, std, expected):
    model = nn.Sequential(nn.Linear(300, 400), nn.BatchNorm1d(400), nn.Conv1d(1, 1, 3, bias=False))
    nn.init.constant_(model[1].weight, 3)
    torch.manual_seed(1)
    assert initialise(model, scheme, std=std) is model
    weight = model[0].weight.detach().clone()
    assert abs(float(weight.std()) / expected - 1) < 0.01 and abs(float(weight.mean())) < expected / 100
    assert not model[0].bias.any() and not model[1].bias.any() and (model[1].weight == 1).all()
    torch.manual_seed(1)
    assert torch.equal(initialise(model, scheme, std=std)[0].weight, weight)
    assert not torch.equal(initialise(model, scheme, std=std)[0].weight, weight)


def test_orthogonal_rows_have_length_one_and_no_product_with_each_other():
    torch.manual_seed(0)
    weight = initialise(nn.Sequential(nn.Conv2d(3, 8, 3)), "orthogonal")[0].weight.detach().flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(8))


def test_default_initialisation_and_modules_that_opt_out_stay_as_built():
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3)))
    model[1].own_initialisation = True
    before = [parameter.detach().clone() for parameter in model.parameters()]
    initialise(model, "default")
    assert all(map(torch.equal, before, model.parameters()))
    initialise(model, "kaiming")
    assert not torch.equal(before[0], model[0].weight)
    assert torch.equal(before[2], model[1][0].weight) and torch.equal(before[3], model[1][0].bias)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": "xavir"}, "did you mean 'xavier'"),
        ({"scheme": "xavier", "std": 0.1}, "std belongs to initialisation 'normal'"),
        ({"scheme": "normal", "std": -1.0}, "std must be a number above 0"),
    ],
)
def test_a_wrong_initialisation_is_met(arguments, message):
    with pytest.raises(RecipeError, match=message):
        initialise(nn.Linear(1, 1), **arguments)


def test_profile_counts_every_parameter_once_and_the_multiply_adds():
    model = build("ml_resnet", image_size=(24, 24)).train()
    layers = profile(model, (1, 24, 24))
    assert sum(layer.parameters for layer in layers) == sum(parameter.numel() for parameter in model.parameters())
    assert model.training and not model[0]._forward_hooks
    stem = layers[0]
    assert (stem.kind, stem.output_shape, stem.parameters) == ("Conv2d", (32, 24, 24), 32 * 121 + 32)
    assert stem.multiply_adds == 24 * 24 * 32 * 121
    hidden, output = [layer for layer in layers if layer.kind == "Linear"]
    assert hidden.multiply_adds == 128 * 3 * 3 * 500 and output.multiply_adds == 500 * 30


def test_profile_of_shared_layers_own_parameters_and_layers_that_know_their_cost():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.scale * self.layer(self.layer(x))

        def multiply_adds(self, output):
            return output.shape[1]

    layers = profile(Own(), (4,))
    assert [(layer.kind, layer.parameters, layer.multiply_adds) for layer in layers] == [
        ("Linear", 20, 16),
        ("Linear", 0, 16),
        ("Own", 4, 4),
    ]


def test_blocks_of_every_dimension_have_the_same_names_and_keep_the_size():
    names = [list(TwoConvBlock(3, 5, dimensions=dimensions).state_dict()) for dimensions in (1, 2, 3)]
    assert names[0] == names[1] == names[2]
    for dimensions in (1, 2, 3):
        x = torch.randn(2, 3, *(7, 6, 5)[:dimensions])
        for kernel, dilation in ((3, 1), (5, 1), (3, 2), (1, 1), (3, 4)):
            block = TwoConvBlock(3, 5, kernel=kernel, dilation=dilation, dimensions=dimensions)
            assert block(x).shape == (2, 5, *x.shape[2:])
        assert TwoConvBlock(3, 5, strides=(2, 1), dimensions=dimensions)(x).shape[2:] == (4, 3, 3)[:dimensions]
    clip = TwoConvBlock(3, 5, strides=((1, 2, 2), 1), kernel=(5, 3, 3), dilation=(1, 2, 2), dimensions=3)
    assert clip(torch.randn(2, 3, 4, 8, 8)).shape == (2, 5, 4, 4, 4)


def test_a_clip_block_of_one_frame_is_the_image_block_frame_by_frame():
    image = TwoConvBlock(3, 5, strides=(2, 1), dilation=2).eval()
    clip = TwoConvBlock(3, 5, strides=((1, 2, 2), 1), kernel=(1, 3, 3), dilation=(1, 2, 2), dimensions=3).eval()
    for norm in (module for module in image.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    clip.load_state_dict(
        {key: value.unsqueeze(2) if value.ndim == 4 else value for key, value in image.state_dict().items()}
    )
    x = torch.randn(2, 3, 4, 9, 8)
    frames = torch.stack([image(x[:, :, t]) for t in range(4)], 2)
    torch.testing.assert_close(clip(x), frames)


def test_a_dilated_convolution_is_one_with_holes():
    dilated = ConvNorm(2, 3, 3, padding=2, dilation=2).eval()
    spread = ConvNorm(2, 3, 5, padding=2).eval()
    with torch.no_grad():
        spread[0].weight.zero_()[:, :, ::2, ::2] = dilated[0].weight
        spread[0].bias.copy_(dilated[0].bias)
    x = torch.randn(1, 2, 9, 7)
    torch.testing.assert_close(dilated(x), spread(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimensions": 4}, r"dimensions must be 1 \(sequences\), 2 \(images\) or 3 \(clips\); received 4"),
        ({"kernel": (3, 3, 3)}, r"of 2 dimensions takes one number or 2; received \(3, 3, 3\)"),
        ({"kernel": 4}, "must be odd.*received 4"),
        ({"strides": ((1, 2, 2), 1)}, r"one number or 2; received \(1, 2, 2\)"),
    ],
)
def test_a_wrong_block_is_met(arguments, message):
    with pytest.raises(RecipeError, match=message):
        TwoConvBlock(2, 2, **arguments)


@pytest.mark.parametrize(
    ("dimensions", "kernel", "expected"),
    [
        (1, 3, 20 * 5 * 4 * 3),  # (B, 4, 20): outputs x maps x inputs x kernel
        (2, (5, 3), 20 * 12 * 5 * 4 * 15),
        (3, (1, 3, 3), 20 * 12 * 10 * 5 * 4 * 9),
    ],
)
def test_multiply_adds_of_sequences_clips_and_dilated_layers(dimensions, kernel, expected):
    sides = (20, 12, 10)[:dimensions]
    for dilation in (1, 2):
        block = TwoConvBlock(4, 5, kernel=kernel, dilation=dilation, dimensions=dimensions, shortcut=False)
        layers = profile(block, (4, *sides))
        first, second = [layer for layer in layers if layer.kind.startswith("Conv")]
        assert first.multiply_adds == expected and second.multiply_adds == expected * 5 // 4
        assert first.output_shape == (5, *sides)
        assert sum(layer.parameters for layer in layers) == sum(value.numel() for value in block.parameters())


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_multiply_adds_against_counting_what_is_added(dimensions):
    """Unpadded, with weights and pixels of 1 and no bias, each output is the number of products that it sums."""
    layer = ConvNorm(3, 2, 3, stride=2, dilation=2, dimensions=dimensions)[0]
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    shape = (3, 9, 8, 7)[: dimensions + 1]
    assert profile(nn.Sequential(layer), shape)[0].multiply_adds == int(layer(torch.ones(1, *shape)).sum())
