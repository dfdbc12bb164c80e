"""A bundle as one torch module from prepared pixels to results: what the predictor runs and what is exported. Needs torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.bundle.document import Bundle
from facelearn.cores import usable_threads
from facelearn.errors import BundleError, FacelearnError, RecipeError
from facelearn.models import zoo


class Deployable(nn.Module):
    """Normalisation, network, and the task's way to combine what it says of the image and of its mirror image.

    `forward` takes prepared images (B, C, H, W), uint8 or float in 0..255, RGB where C is 3, and returns what `Answering.combine` does:
    for keypoints float32 (B, S, K, 2 or 3), the points of each of the S annotation schemes in pixels of the prepared image, origin at the
    centre of the top-left pixel, and with a mirrored image how far it disagrees; for identification logits (B, C).
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.network = build_network(bundle)
        self.normalise = bundle.preprocess.normalise
        self.answering = bundle.answering()

    def forward(self, images: Tensor) -> Tensor:
        images = images.to(torch.float32)
        outputs = self.network(self.normalise(images)).to(torch.float32)
        mirrored = None
        if self.answering.mirrored:
            mirrored = self.network(self.normalise(images.flip(-1))).to(torch.float32)
        combined: Tensor = self.answering.combine(outputs, mirrored, (images.shape[2], images.shape[3]))
        return combined


class TorchModel:
    """A bundle on a device, ready to run.

    Attributes:
        device: "cpu" or "cuda".
    """

    def __init__(self, bundle: Bundle, device: str, *, bfloat16: bool = False) -> None:
        """`device`: "cpu", "cuda", or "auto" for a GPU where there is one.

        Raises:
            RecipeError: no GPU here, and one was asked for.
            BundleError: the weights do not fit the network.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise RecipeError("device='cuda' is not available: torch sees no GPU here; use device='cpu'")
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._bfloat16 = bfloat16
        if torch.get_num_threads() > usable_threads():  # it does not know of a container's quota
            torch.set_num_threads(usable_threads())
        self._module = Deployable(bundle).eval().to(self.device)
        # torch's stubs lack this overload
        self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepared images uint8 (B, H, W, C) -> float32, what `Deployable` gives for them."""
        pixels = (
            torch.from_numpy(np.ascontiguousarray(images)).to(self.device).permute(0, 3, 1, 2)
        )  # channels last in memory
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=self._bfloat16):
            combined: NDArray[np.float32] = self._module(pixels).float().cpu().numpy()
        return combined


def build_network(bundle: Bundle) -> nn.Module:
    """The bundle's network with its weights, in evaluation mode.

    Raises:
        BundleError: the weights do not fit the network that this version of facelearn builds.
    """
    _check_weights(bundle)  # before memory is taken for a network of whatever size the facts say
    network = zoo.build(bundle.network, **bundle.network_args)
    weights = {name: torch.from_numpy(array.copy()) for name, array in bundle.weights.items()}
    network.load_state_dict(weights, strict=True)
    return network.eval()


def _check_weights(bundle: Bundle) -> None:
    """The network that the bundle names, built without memory for it, has its tensors.

    Raises:
        BundleError: it does not, or cannot be built.
    """
    trained = bundle.versions.get("facelearn", "unknown")
    remedy = f"use the version that trained it ({trained}), or train again"
    try:
        with torch.device("meta"):
            own = zoo.build(bundle.network, **bundle.network_args).state_dict()
    except (FacelearnError, MemoryError, ImportError):
        raise
    except Exception as error:  # whatever arguments that its builder never expected lead to
        raise BundleError(
            f"the network '{bundle.network}' cannot be built as the model says ({error}); {remedy}"
        ) from error
    wanted = {name: tuple(tensor.shape) for name, tensor in own.items()}
    if wanted != {name: array.shape for name, array in bundle.weights.items()}:
        raise BundleError(
            f"the weights do not fit the network '{bundle.network}' of this version of facelearn ({len(bundle.weights)} tensors for "
            f"{len(wanted)}); {remedy}"
        )
