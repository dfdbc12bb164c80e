from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facelearn.errors import RecipeError
from facelearn.models.layers.initialise import initialise
from facelearn.models.layers.locally_connected import LocallyConnected2d, patches
from facelearn.models.layers.profile import profile


def naive(layer, x):
    """The definition, position by position."""
    height, width = layer.output_size
    kernel, stride = layer.kernel, layer.stride
    y = x.new_empty(len(x), layer.out_channels, height, width)
    for row in range(height):
        for column in range(width):
            top, left = row * stride, column * stride
            patch = x[:, :, top : top + kernel, left : left + kernel]  # (B, in, kernel, kernel)
            own = layer.weight[row * width + column].reshape(kernel, kernel, layer.in_channels, layer.out_channels)
            y[:, :, row, column] = torch.einsum("bcyx,yxco->bo", patch, own) + layer.bias[row * width + column]
    return y


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("channels", "size", "kernel", "stride"),
    [(1, (5, 7), 3, 1), (3, (9, 8), 3, 2), (2, (7, 7), 2, 3), (4, (6, 5), 5, 1), (2, (4, 4), 1, 1)],
)
def test_output_and_gradients_are_those_of_the_definition(channels, size, kernel, stride, memory_format):
    torch.manual_seed(0)
    layer = LocallyConnected2d(channels, 5, kernel, image_size=size, stride=stride).double()
    x = torch.randn(2, channels, *size, dtype=torch.double).contiguous(memory_format=memory_format).requires_grad_()
    slope = torch.randn(2, 5, *layer.output_size, dtype=torch.double)
    wanted = torch.autograd.grad((naive(layer, x) * slope).sum(), (x, layer.weight, layer.bias))
    y = layer(x)
    torch.testing.assert_close(y, naive(layer, x))
    torch.testing.assert_close(torch.autograd.grad((y * slope).sum(), (x, layer.weight, layer.bias)), wanted)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), y)


def test_hand_placed_numbers():
    layer = LocallyConnected2d(1, 1, 2, image_size=(2, 3))
    with torch.no_grad():
        layer.weight.copy_(torch.arange(8.0).reshape(2, 4, 1))
        layer.bias.copy_(torch.tensor([[100.0], [200.0]]))
    y = layer(torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]))
    # 0*1 + 1*2 + 2*4 + 3*5 + 100 and 4*2 + 5*3 + 6*5 + 7*6 + 200
    assert y.flatten().tolist() == [125.0, 295.0]


def test_patches_have_first_and_second_derivatives():
    x = torch.randn(2, 2, 5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: patches(x, 2, 1), x)
    assert torch.autograd.gradgradcheck(lambda x: patches(x, 3, 2), x)


def test_equal_kernels_everywhere_are_a_convolution():
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 4, 3, stride=2)
    layer = LocallyConnected2d(3, 4, 3, image_size=(9, 7), stride=2)
    with torch.no_grad():
        layer.weight.copy_(convolution.weight.permute(2, 3, 1, 0).reshape(1, 27, 4).expand_as(layer.weight))
        layer.bias.copy_(convolution.bias.expand_as(layer.bias))
    x = torch.randn(2, 3, 9, 7)
    torch.testing.assert_close(layer(x), convolution(x))


def test_bfloat16_autocast_and_channels_last_as_the_training_loop_does():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), LocallyConnected2d(4, 3, 3, image_size=(8, 8)))
    x = torch.randn(2, 1, 10, 10)
    exact = torch.autograd.grad(model(x).square().sum(), model[0].weight)[0]
    model = model.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x.contiguous(memory_format=torch.channels_last))
        assert y.dtype == torch.bfloat16
        loss = y.float().square().sum()
    gradient = torch.autograd.grad(loss, model[0].weight)[0]
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(gradient, exact, rtol=0.1, atol=0.05 * float(exact.abs().max()))


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("normal", 0.02),
        ("xavier", (2 / (36 + 450)) ** 0.5),
        ("kaiming", (2 / 36) ** 0.5),
        ("orthogonal", (1 / 36) ** 0.5),
    ],
)
def test_initialisation_scales_by_the_fans_of_one_position(scheme, expected):
    layer = LocallyConnected2d(4, 50, 3, image_size=(12, 12))
    before = layer.weight.detach().clone()
    assert float(before.abs().max()) <= 1 / 6  # as a convolution starts
    torch.manual_seed(1)
    initialise(layer, scheme)
    assert abs(float(layer.weight.detach().std()) / expected - 1) < 0.01 and not layer.bias.any()
    convolution = initialise(nn.Conv2d(4, 50, 3), scheme)
    if scheme == "orthogonal":  # 50 rows of 36 numbers cannot all be orthogonal: there the columns are, of length 1
        expected = (1 / 50) ** 0.5
    assert abs(float(convolution.weight.detach().std()) / expected - 1) < 0.05


def test_it_knows_its_cost():
    row = profile(LocallyConnected2d(2, 3, 3, image_size=(6, 5)), (2, 6, 5))[0]
    assert (row.output_shape, row.parameters, row.multiply_adds) == ((3, 4, 3), 12 * 3 * 19, 12 * 3 * 18)


def test_images_of_another_size_are_refused():
    with pytest.raises(RecipeError, match=r"maps of \(2, 6, 5\) received \(2, 5, 6\)"):
        LocallyConnected2d(2, 3, 3, image_size=(6, 5))(torch.zeros(1, 2, 5, 6))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepface", "facenet_nn1"])
def test_onnx_carries_the_layers_that_have_gradients_of_their_own(name, tmp_path):
    from facelearn import bundle as bundles
    from facelearn.bundle.graph import Deployable
    from facelearn.models.zoo import build
    from facelearn.transforms.preprocess import Preprocess

    torch.manual_seed(0)
    arguments = {"image_size": (74, 72), "in_channels": 1, "outputs": 3, "hidden": [8]}
    images = np.random.default_rng(1).integers(0, 256, (5, 74, 72, 1), dtype=np.uint8)
    made = bundles.Bundle(
        task="identification",
        network=name,
        network_args=arguments,
        weights={key: tensor.numpy() for key, tensor in build(name, **arguments).state_dict().items()},
        preprocess=Preprocess.from_steps(["standardise"]).fit(images),
        people=("Ada", "Boris", "Clara"),
        data={"image_shape": [74, 72, 1], "fingerprint": "f"},
    )
    session = bundles.load_onnx(bundles.export_onnx(made, tmp_path / "model.onnx")).session
    batch = np.moveaxis(images, 3, 1)
    for count in (1, 5):
        found = session.run(None, {bundles.INPUT_NAME: batch[:count]})[0]
        with torch.inference_mode():
            expected = Deployable(made)(torch.from_numpy(batch[:count])).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)
