"""What a trained keypoint network sees in images: points from the image and from its mirror image, and how wide each heat map is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facelearn.data.faces import Faces
from facelearn.geometry.coordinates import mirrored
from facelearn.models.layers.fused import heat_maps_of
from facelearn.training.batches import TrainingData
from facelearn.training.evaluation import EVALUATION_BATCH
from facelearn.training.loop import FitResult
from facelearn.transforms.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class PointEvidence:
    """Views of N images: the image and, where the schema can be mirrored, its mirror image.

    Attributes:
        points: float32 (V, N, S, K, 2), x and y in pixels of the network's input, for each of S annotation schemes.
        spread: float32 (V, N, S, K), standard deviation of the heat map along x and along y in the same pixels; NaN for a network
            without heat maps.
    """

    points: NDArray[np.float32]
    spread: NDArray[np.float32]


def point_evidence(fitted: FitResult, faces: Faces, preprocess: Preprocess) -> PointEvidence:
    """What the network of a finished fit of keypoints sees in `faces`.

    Args:
        fitted: as `training.loop.fit` gave it; its learner is one of keypoints.
        faces: N images, whose labels are not looked at.
        preprocess: fitted, of that run.
    """
    learner: Any = fitted.learner
    learner.eval()
    device = next(learner.network.parameters()).device
    data = TrainingData(faces, preprocess, learner.targets(faces), device=device)
    with heat_maps_of(learner.network) as heat_maps:
        views = [_view(learner, data, heat_maps, offset) for offset in _offsets(learner, fitted.progress.label_offset)]
    points, spread = (np.stack(parts) for parts in zip(*views, strict=True))
    return PointEvidence(points, spread)


def _offsets(learner: Any, label_offset: float) -> list[float | None]:
    """For each view, None for the image, or how far labels stand right of where the mirror image puts them."""
    return [None, 2 * label_offset] if learner.mirrored else [None]


def _view(
    learner: Any, data: TrainingData, heat_maps: list[Tensor], offset: float | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    swap = learner.schema.mirror_index.tolist()
    points, spread = [], []
    with torch.inference_mode():
        for start in range(0, len(data), EVALUATION_BATCH):
            rows = np.arange(start, min(start + EVALUATION_BATCH, len(data)))
            heat_maps.clear()
            outputs = learner.outputs(data.batch(rows, mirror=offset is not None).images)
            found = learner.combine(outputs, None, 0.0)  # (B, S, K, 2)
            wide = _spread(heat_maps[0], found, data.width) if heat_maps else torch.full_like(found[..., 0], torch.nan)
            if offset is not None:
                found, wide = mirrored(found[:, :, swap], data.width, offset), wide[:, :, swap]
            points.append(found.cpu().numpy())
            spread.append(wide.float().cpu().numpy())
    heat_maps.clear()
    return np.concatenate(points), np.concatenate(spread)


def _spread(logits: Tensor, points: Tensor, width: int) -> Tensor:
    """(B, S, K): root of half the heat maps' variance about their means, in pixels of the network's input.

    Args:
        logits: (B, S * K, H, W).
        points: (B, S, K, 2), only for its shape.
        width: of the network's input.
    """
    share = logits.float().flatten(2).softmax(2).reshape(logits.shape)
    cell = width / logits.shape[3]
    variance = _variance(share.sum(2), cell) + _variance(share.sum(3), cell)
    return (variance / 2).sqrt().reshape(points.shape[:3])


def _variance(share: Tensor, cell: float) -> Tensor:
    """(B, C) variance of positions from their shares (B, C, positions), `cell` pixels apart."""
    place = cell * torch.arange(share.shape[2], device=share.device, dtype=torch.float32)
    mean = (share * place).sum(2)
    return ((share * place**2).sum(2) - mean**2).clamp_min(0)
