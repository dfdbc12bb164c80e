"""A bundle as one torch module from prepared pixels to results: what the predictor runs and what is exported. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facelearn.bundle.document import Bundle
from facelearn.errors import BundleError
from facelearn.geometry.coordinates import from_unit
from facelearn.models import zoo


class Deployable(nn.Module):
    """Normalisation, network, mirrored averaging and, for keypoints, the way back to pixels.

    `forward` takes prepared images (B, C, H, W), uint8 or float in 0..255, RGB where C is 3. For keypoints it returns float32
    (B, S, K, 2): the points of each of the S annotation schemes in pixels of the prepared image, origin at the centre of the
    top-left pixel. For other tasks it returns what the network returns: for identification logits (B, C), averaged over image and
    mirror image where the bundle says so.
    """

    mirror_index: Tensor

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.network = build_network(bundle)
        self.normalise = bundle.preprocess.normalise
        self.mirrored = bundle.mirrored
        self.label_offset = bundle.label_offset
        self.keypoints = len(bundle.schema) if bundle.task == "keypoints" and bundle.schema else 0
        index = bundle.schema.mirror_index.tolist() if bundle.schema else []
        self.register_buffer("mirror_index", torch.tensor(index, dtype=torch.int64), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        images = images.to(torch.float32)
        if not self.keypoints:
            result: Tensor = self.network(self.normalise(images))
            return (result + self.network(self.normalise(images.flip(-1)))) / 2 if self.mirrored else result
        points = self._unit_points(images)  # (B, S, K, 2) in -1..1
        if self.mirrored:
            other = self._unit_points(images.flip(-1)).index_select(2, self.mirror_index)
            # labels stand `label_offset` pixels right of where mirroring alone would put them
            mirrored = 4 * self.label_offset / images.shape[3] - other[..., 0]
            points = (points + torch.stack((mirrored, other[..., 1]), -1)) / 2
        pixels: Tensor = from_unit(points, images.shape[3], images.shape[2])
        return pixels

    def _unit_points(self, images: Tensor) -> Tensor:
        output: Tensor = self.network(self.normalise(images))
        return output.to(torch.float32).reshape(output.shape[0], -1, self.keypoints, 2)


def build_network(bundle: Bundle) -> nn.Module:
    """The bundle's network with its weights, in evaluation mode.

    Raises:
        BundleError: the weights do not fit the network that this version of facelearn builds.
    """
    network = zoo.build(bundle.network, **bundle.network_args)
    weights = {name: torch.from_numpy(array.copy()) for name, array in bundle.weights.items()}
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        trained = bundle.versions.get("facelearn", "unknown")
        raise BundleError(
            f"the weights do not fit the network '{bundle.network}' of this version of facelearn ({len(weights)} tensors for "
            f"{len(network.state_dict())}); use the version that trained it ({trained}), or train again"
        ) from error
    return network.eval()
