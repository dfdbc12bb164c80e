"""A fully connected head as the equal convolutions: the network then runs on larger images and answers at every place."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from facelearn.errors import RecipeError
from facelearn.models.layers.blocks import NONLINEARITIES, Dropout
from facelearn.models.layers.maxout import UnitLength
from facelearn.models.layers.profile import evaluating
from facelearn.models.registry import whole_number

# what may stand between and after the fully connected layers: it treats every number alike, or works along the channels
_POINTWISE = (
    *NONLINEARITIES.values(), Dropout, nn.Dropout, nn.Identity, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, UnitLength,
)  # fmt: skip
_Ran = tuple[str, Any, tuple[int, ...]]


def to_convolutional(
    model: nn.Module, image_size: int | tuple[int, int], *, in_channels: int | None = None
) -> nn.Module:
    """A copy of `model` whose fully connected head is convolutions: float (B, C, H, W) -> (B, outputs, h, w), h = w = 1 at `image_size`.

    The first `nn.Linear` after `nn.Flatten` (channel-major: C, then y, then x) becomes a convolution with a kernel of the feature map's
    size, those after it 1x1 convolutions, `nn.BatchNorm1d` the two-dimensional one; an adaptive average pool of one output, or of its
    input's size, before them becomes the plain pool that it is there. Names in the state dict stay, dropout stays. On larger images
    each output [:, :, i, j] is what `model` gives for the crop of `image_size` whose top left pixel is (i * s, j * s), s being the product
    of all strides: exactly where no layer pads, elsewhere but for what the padding of a crop's edges does.

    Args:
        model: any network of which one `nn.Flatten` and the layers after it are a chain; unchanged, and sharing no memory with the copy.
        image_size: (height, width) that `model` was built for, or one number for a square.
        in_channels: of its images; None takes those of its first convolution.

    Raises:
        RecipeError: the network has no such head, has a layer in it that has no equal on a map, cannot run at `image_size`, has
            a layer before it that knows places (so that larger images cannot pass), or came out different.
    """
    name = type(model).__name__
    height, width = (
        (image_size, image_size) if isinstance(image_size, int) else (int(image_size[0]), int(image_size[1]))
    )
    size = (whole_number(name, "image_size", height), whole_number(name, "image_size", width))
    if not any(isinstance(module, nn.Linear) for module in model.modules()):
        raise RecipeError(_no_head(name, sum(isinstance(module, nn.Flatten) for module in model.modules())))
    channels = _channels(model, size) if in_channels is None else in_channels
    parameter = next(model.parameters(), torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, channels, *size, generator=generator, device="cpu").to(parameter)
    order, expected = _watched(model, image)
    dense = copy.deepcopy(model)
    for path, module in _replacements(dense, order).items():
        parent, _, child = path.rpartition(".")
        setattr(dense.get_submodule(parent), child, module)
    dense.train(model.training)
    _check(dense, image, expected)
    return dense


def _channels(model: nn.Module, size: tuple[int, int]) -> int:
    """Channels of the images that the first layer takes."""
    found = first_convolution(model)
    for module in model.modules():
        if found and module is found[1]:
            return found[1].in_channels // found[2]
        if isinstance(module, nn.Linear):
            return max(1, module.in_features // (size[0] * size[1]))
    return 1


def first_convolution(model: nn.Module) -> tuple[str, nn.Conv2d, int] | None:
    """Name of the first convolution, itself, and how many numbers of each image channel it sees (more than 1 after a folding)."""
    folding = 1
    for name, module in model.named_modules():
        if isinstance(module, nn.PixelUnshuffle):
            folding *= int(module.downscale_factor) ** 2
        if isinstance(module, nn.Conv2d):
            return name, module, folding
    return None


def _watched(model: nn.Module, image: Tensor) -> tuple[list[_Ran], Tensor]:
    """(path, layer, shape of what it receives) of every layer in the order in which they run, and the output for `image`."""
    order: list[_Ran] = []
    paths = {module: path for path, module in model.named_modules()}

    def note(module: nn.Module, received: tuple[Any, ...]) -> None:
        if received and isinstance(received[0], Tensor):
            order.append((paths[module], module, tuple(received[0].shape)))

    handles = [module.register_forward_pre_hook(note) for module in model.modules() if not any(module.children())]
    try:
        with evaluating(model), torch.no_grad():
            expected = model(image)
    except (RuntimeError, ValueError) as error:
        raise RecipeError(
            f"{type(model).__name__} does not run on an image of {tuple(image.shape[1:])} (channels, height, width): {error}; give the "
            "image_size that it was built for"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return order, expected


def _replacements(dense: nn.Module, order: list[_Ran]) -> dict[str, nn.Module]:
    """The layers of the copy that are replaced, by path."""
    name = type(dense).__name__
    flats = [index for index, (_, module, _) in enumerate(order) if isinstance(module, nn.Flatten)]
    if len(flats) != 1 or not any(isinstance(module, nn.Linear) for _, module, _ in order[flats[0] :]):
        raise RecipeError(_no_head(name, len(flats)))
    found: dict[str, nn.Module] = {}
    for path, module, shape in order[: flats[0]]:
        if isinstance(module, nn.AdaptiveAvgPool2d):
            found[path] = _plain_pool(name, module, shape[2:])
    path, flatten, shape = order[flats[0]]
    if len(shape) != 4 or (flatten.start_dim, flatten.end_dim) != (1, -1):
        raise RecipeError(
            f"{name}: its nn.Flatten must make (B, C * H * W) of (B, C, H, W); it is {flatten} and receives {shape}"
        )
    found[path] = nn.Identity()
    kernel = (shape[2], shape[3])
    for path, module, _ in order[flats[0] + 1 :]:
        if isinstance(module, nn.Linear):
            if path in found:
                raise RecipeError(f"{name}: its layer {path} runs twice, which a chain of convolutions does not")
            found[path] = _convolution(dense.get_submodule(path), kernel)
            kernel = (1, 1)
        elif isinstance(module, nn.BatchNorm1d):
            found[path] = _norm(dense.get_submodule(path))
        elif not isinstance(module, _POINTWISE):
            raise RecipeError(
                f"{name}: its layer {path} ({type(module).__name__}) behind nn.Flatten has no equal on a map; accepted are nn.Linear, "
                f"nn.BatchNorm1d, {', '.join(kind.__name__ for kind in _POINTWISE)}"
            )
    return found


def _no_head(name: str, flattens: int) -> str:
    return (
        f"{name} has no fully connected head that could become convolutions: {flattens} nn.Flatten, and one with nn.Linear after it "
        "is accepted. A network without fully connected layers runs on larger images as it is"
    )


def _plain_pool(name: str, pool: nn.AdaptiveAvgPool2d, size: tuple[int, ...]) -> nn.Module:
    wanted = pool.output_size if isinstance(pool.output_size, tuple) else (pool.output_size, pool.output_size)
    if wanted == size:
        return nn.Identity()
    if wanted == (1, 1):
        return nn.AvgPool2d((size[0], size[1]), stride=1)
    raise RecipeError(
        f"{name}: its adaptive pool makes {wanted} of {size}; only a pool to one number, or of the size that it already has, is the "
        "same at every place; give the image_size at which it changes nothing"
    )


def _convolution(linear: Any, kernel: tuple[int, int]) -> nn.Conv2d:
    """The convolution equal to a fully connected layer on a flattened map of size `kernel`."""
    channels = linear.in_features // (kernel[0] * kernel[1])
    with torch.device("meta"):
        made = nn.Conv2d(channels, linear.out_features, kernel, bias=linear.bias is not None)
    made.weight = nn.Parameter(
        linear.weight.detach().view(linear.out_features, channels, *kernel), linear.weight.requires_grad
    )
    made.bias = linear.bias
    return made


def _norm(norm: Any) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    made.weight, made.bias = norm.weight, norm.bias
    for buffer, value in norm.named_buffers():
        setattr(made, buffer, value)
    return made


def _check(dense: nn.Module, image: Tensor, expected: Tensor) -> None:
    """Raise unless the copy gives what the network gave, and a larger map for a larger image."""
    name = type(dense).__name__
    with evaluating(dense), torch.no_grad():
        found = dense(image)
        same = expected.ndim == 2 and found.shape == (*expected.shape, 1, 1)
        if same and not found.is_meta:
            scale = float(expected.abs().max()) or 1.0
            same = torch.allclose(found[:, :, 0, 0], expected, rtol=1e-3, atol=1e-4 * scale)
        if not same:
            raise RecipeError(
                f"{name}: as convolutions it gives another result ({tuple(found.shape)} for {tuple(expected.shape)}); something in it "
                "is no chain of a Flatten and fully connected layers"
            )
        # larger by more than any product of strides; on "meta", without memory or arithmetic: only whether the shapes pass
        nowhere = {key: value.to("meta") for key, value in (*dense.named_parameters(), *dense.named_buffers())}
        larger = (image.shape[2] + 256, image.shape[3] + 256)
        try:
            shape = torch.func.functional_call(
                dense, nowhere, torch.empty(1, image.shape[1], *larger, device="meta")
            ).shape
        except (RuntimeError, ValueError) as error:
            raise RecipeError(
                f"{name}: a layer before its head fits images of {tuple(image.shape[2:])} only, so {larger} cannot pass: {error}"
            ) from error
    if len(shape) != 4 or min(shape[2:]) < 2:
        raise RecipeError(f"{name}: on an image of {larger} it gives {tuple(shape)}, no map of outputs")
