"""Tasks: what a network is asked for, which loss it gets and how its predictions are measured. The loop knows only `Task`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.data.faces import Faces
from facelearn.data.schema import KeypointSchema
from facelearn.errors import RecipeError
from facelearn.geometry.coordinates import from_unit, to_unit
from facelearn.losses import LossSum
from facelearn.losses.keypoints import keypoint_loss
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.tasks.keypoints.schemes import scheme_differences
from facelearn.training.batches import Batch, TrainingData

OFFSET_ROWS = 512
LARGEST_OFFSET = 0.05  # of the width; a network that finds more has not learned yet where the points are


class Task(Protocol):
    """What the training loop needs of a task."""

    @property
    def name(self) -> str:
        """The task's name in recipes and model files."""

    def network_options(self) -> dict[str, Any]:
        """What the zoo's builder needs beside the image's shape: outputs, annotation schemes, ..."""

    def targets(self, faces: Faces) -> Mapping[str, NDArray[Any]]:
        """Per-row targets beside the keypoints, first dimension N."""

    def row_order(self, data: TrainingData, generator: np.random.Generator) -> NDArray[np.int64]:
        """The rows of one epoch in the order in which they are trained on, int64 (N,)."""

    def loss(self, model: nn.Module, batch: Batch) -> LossSum:
        """The loss of a batch as a sum and its denominator; no NaN target reaches a gradient."""

    def predict(self, model: nn.Module, batch: Batch) -> Tensor:
        """Predictions of a batch, first dimension B."""

    @property
    def mirrored(self) -> bool:
        """Whether a prediction is the mean over image and mirror image."""

    def unmirror(self, prediction: Tensor, label_offset: float) -> Tensor:
        """What a prediction on mirrored images says of the images themselves."""

    def measure_offset(self, model: nn.Module, data: TrainingData) -> float:
        """How far labels stand right of the place that their mirror images imply, in pixels of the network's input."""

    def measure(self, prediction: NDArray[Any], targets: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Short metrics for the history of a run; names end in _error, _loss or _score."""


@dataclass(frozen=True)
class Keypoints:
    """Regression of K keypoints with missing targets.

    Attributes:
        schema: the keypoints.
        image_size: (height, width) of the network's input in pixels.
        loss_name, loss_options, keypoint_weights: which loss; weights (K,) or None.
        schemes: 1, or 2 where complete and partial rows were annotated by different criteria.
        mirrored: predict as the mean over image and mirror image.
    """

    schema: KeypointSchema
    image_size: tuple[int, int]
    loss_name: str = "masked_l1"
    loss_options: Mapping[str, Any] | None = None
    keypoint_weights: tuple[float, ...] | None = None
    schemes: int = 1
    mirrored: bool = False
    name: str = "keypoints"

    @classmethod
    def from_recipe(cls, recipe: Recipe, faces: Faces, image_size: tuple[int, int]) -> Keypoints:
        """The task that `recipe` describes for these training rows.

        Raises:
            RecipeError: a network whose outputs are embeddings, weights for keypoints that the data does not have, two schemes for a
                network that has one output set, or mirrored prediction where the schema knows no mirror pairs.
        """
        network = zoo.model_info(recipe.model.name)
        if network.gives == "embedding":
            others = ", ".join(info.name for info in zoo.list_models("keypoints"))
            raise RecipeError(
                f"network '{recipe.model.name}' gives embeddings of length 1, not keypoints; keypoint networks are {others}"
            )
        unknown = sorted(set(recipe.loss.keypoint_weights) - set(faces.schema.names))
        if unknown:
            raise RecipeError(
                f"loss.keypoint_weights names {unknown[0]!r}; the data has {', '.join(faces.schema.names)}"
            )
        weights = tuple(recipe.loss.keypoint_weights.get(name, 1.0) for name in faces.schema.names)
        if recipe.schemes == "two" and not network.has_schemes:
            raise RecipeError(
                f"schemes = 'two' needs a network with an output for each scheme; '{recipe.model.name}' has one"
            )
        two = recipe.schemes == "two" or (
            recipe.schemes == "auto" and network.has_schemes and bool(scheme_differences(faces))
        )
        return cls(
            schema=faces.schema,
            image_size=image_size,
            loss_name=recipe.loss.name,
            loss_options=dict(recipe.loss.options),
            keypoint_weights=weights if recipe.loss.keypoint_weights else None,
            schemes=2 if two else 1,
            mirrored=recipe.mirrored_prediction and faces.schema.can_mirror,
        )

    def network_options(self) -> dict[str, Any]:
        """Outputs 2K and, where there are two annotation schemes, their number."""
        return {"outputs": 2 * len(self.schema), **({"schemes": self.schemes} if self.schemes > 1 else {})}

    def targets(self, faces: Faces) -> dict[str, NDArray[np.int64]]:
        """The annotation scheme of each row, int64 (N,): 0 complete, 1 partial (always 0 with one scheme)."""
        scheme = np.zeros(len(faces), np.int64) if self.schemes == 1 else np.where(faces.complete, 0, 1)
        return {"scheme": scheme.astype(np.int64)}

    def row_order(self, data: TrainingData, generator: np.random.Generator) -> NDArray[np.int64]:
        """Every row once."""
        return generator.permutation(len(data))

    def loss(self, model: nn.Module, batch: Batch) -> LossSum:
        """The recipe's masked loss in unit coordinates, each row on the output of its own annotation scheme."""
        height, width = self.image_size
        prediction = self._choose(self._points(model(batch.images)), batch.targets["scheme"])  # (B, K, 2)
        target = to_unit(batch.targets["points"], width, height)
        weight = None if self.keypoint_weights is None else torch.tensor(self.keypoint_weights, device=target.device)
        loss = keypoint_loss(self.loss_name, **(self.loss_options or {}))
        return loss(prediction, target, weight=weight)

    def predict(self, model: nn.Module, batch: Batch) -> Tensor:
        """float32 (B, S, K, 2) in pixels of the batch's images, one set for each annotation scheme."""
        height, width = self.image_size
        points: Tensor = from_unit(self._points(model(batch.images)), width, height)
        return points

    def unmirror(self, prediction: Tensor, label_offset: float) -> Tensor:
        """Predictions (B, S, K, 2) on mirrored images as points of the images themselves, left and right in their places."""
        swapped = prediction[:, :, torch.as_tensor(self.schema.mirror_index, device=prediction.device)]
        return torch.stack((self.image_size[1] - 1 + 2 * label_offset - swapped[..., 0], swapped[..., 1]), -1)

    def measure_offset(self, model: nn.Module, data: TrainingData) -> float:
        """How far labels stand right of the place that their mirror images imply, in pixels of the network's input.

        A network that learns from images and mirror images with the offset that `data` assumes predicts the labels' mirror-consistent
        place plus that offset; what the labels still lie to the right of its predictions (the median over up to 512 rows) is added.
        A sum beyond 5% of the width is no offset of labels: it is left as it was.
        """
        rows = np.linspace(0, len(data) - 1, min(OFFSET_ROWS, len(data))).astype(np.int64)
        batch = data.batch(rows)
        points = self._choose(self.predict(model, batch), batch.targets["scheme"])
        rest = (batch.targets["points"] - points)[..., 0]
        rest = rest[~rest.isnan()]
        offset = data.label_offset + (float(rest.median()) if len(rest) else 0.0)
        return offset if abs(offset) <= LARGEST_OFFSET * data.width else data.label_offset

    def measure(self, prediction: NDArray[Any], targets: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """RMSE and median distance in pixels of the network's input over the labelled points."""
        chosen = prediction[np.arange(len(prediction)), targets["scheme"]]
        offset = chosen.astype(np.float64) - targets["points"]
        distance = np.hypot(offset[..., 0], offset[..., 1])
        known = ~np.isnan(distance)
        if not known.any():
            return {"valid_rmse_error": float("nan"), "valid_median_error": float("nan")}
        return {
            "valid_rmse_error": float(np.sqrt((distance[known] ** 2).mean() / 2)),
            "valid_median_error": float(np.median(distance[known])),
        }

    def _points(self, output: Tensor) -> Tensor:
        """(B, 2K) or (B, S, K, 2) network output as float32 (B, S, K, 2) in unit coordinates."""
        output = output.to(torch.float32)
        return output.reshape(len(output), -1, len(self.schema), 2)

    def _choose(self, points: Tensor, scheme: Tensor) -> Tensor:
        """(B, S, K, 2) -> (B, K, 2): each row in its own annotation scheme."""
        return points[torch.arange(len(points), device=points.device), scheme] if points.shape[1] > 1 else points[:, 0]
