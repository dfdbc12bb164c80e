"""Learning keypoints: a network, and a loss that learns from the labels that are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.data.faces import Faces
from facelearn.errors import RecipeError
from facelearn.geometry.coordinates import to_unit
from facelearn.losses import LossSum
from facelearn.losses.keypoints import heat_map_cross_entropy, keypoint_loss
from facelearn.models.layers.fused import heat_maps_of
from facelearn.tasks.batch import BatchSource
from facelearn.tasks.keypoints.answer import PointAnswering
from facelearn.tasks.keypoints.schemes import SCHEMES
from facelearn.tasks.keypoints.settings import KeypointSettings
from facelearn.tasks.task import AnswerFacts

OFFSET_ROWS = 512
LARGEST_OFFSET = 0.05  # of the width; a network that finds more has not learned yet where the points are
LEAST_OFFSET_ROWS = 64  # faces below which no offset is told from chance
OFFSET_ERRORS = 3.0  # standard errors that an offset must exceed
FITTED = 0.5  # a network has fitted where its typical error is at most this share of how far labels typically lie from their median
_TO_DEVIATION = 1.4826  # from a median absolute deviation to the standard deviation of a normal distribution
_OF_A_MEDIAN = 1.2533  # standard error of a median over that of a mean, normal distribution


class KeypointLearner(nn.Module):
    """Regression of K keypoints with missing targets.

    Args:
        settings: loss, its options and weights by keypoint.
        train: the training rows.
        network: gives (B, 2K), or (B, S, K, 2) with S annotation schemes, in unit coordinates.
        image_size: (height, width) of the network's input in pixels.
        schemes: 1, or 2 where complete and partial rows were annotated by different criteria.

    Raises:
        RecipeError: an unknown loss, or weights for keypoints that the data does not have.
    """

    def __init__(
        self,
        settings: KeypointSettings,
        train: Faces,
        network: nn.Module,
        *,
        image_size: tuple[int, int],
        schemes: int = 1,
    ) -> None:
        super().__init__()
        unknown = sorted(set(settings.loss.keypoint_weights) - set(train.schema.names))
        if unknown:
            raise RecipeError(
                f"loss.keypoint_weights names {unknown[0]!r}; the data has {', '.join(train.schema.names)}"
            )
        self.network = network
        self.chosen_by: tuple[str, Literal["lower", "higher"]] = ("valid_loss", "lower")
        self.copies = None
        self.schema, self.image_size, self.schemes, self.rows = train.schema, image_size, schemes, len(train)
        # pixels of the images as they were read to one of the network's input, across and down
        self.pixels_read = np.asarray([train.width / image_size[1], train.height / image_size[0]])
        self.mirrored = settings.mirrored_prediction and train.schema.can_mirror
        self.allows_for_offset = settings.label_offset == "auto"
        self.criterion = keypoint_loss(settings.loss.name, **dict[str, Any](settings.loss.options))
        weights = [settings.loss.keypoint_weights.get(name, 1.0) for name in train.schema.names]
        self.keypoint_weights = weights if settings.loss.keypoint_weights else None
        self.heat_map_weight = settings.loss.heat_map_weight

    def targets(self, faces: Faces) -> dict[str, NDArray[np.int64]]:
        """The annotation scheme of each row, int64 (N,): 0 complete, 1 partial (always 0 with one scheme)."""
        scheme = np.zeros(len(faces), np.int64) if self.schemes == 1 else np.where(faces.complete, 0, 1)
        return {"scheme": scheme.astype(np.int64)}

    def epoch(self, generator: np.random.Generator, batch_size: int) -> NDArray[np.int64]:
        """Every row once."""
        return generator.permutation(self.rows)

    def forward(self, images: Tensor, targets: Mapping[str, Tensor]) -> LossSum:
        """The loss of a batch; its gradient has that of the heat maps in it, where the network has some."""
        with heat_maps_of(self.network) as maps:
            loss = self.loss(self.outputs(images), targets)
        if not (maps and self.heat_map_weight):
            return loss
        height, width = self.image_size
        of_each_scheme = maps[0].reshape(len(images), -1, len(self.schema), *maps[0].shape[2:])
        with torch.autocast(images.device.type, enabled=False):
            beside = heat_map_cross_entropy(
                _in_own_scheme(of_each_scheme, targets["scheme"]),
                to_unit(targets["points"], width, height),
                weight=self._weight(images.device),
            )
        # both as means, whatever each counts by
        added = self.heat_map_weight * loss.denominator / beside.denominator.clamp_min(1e-9) * beside.total
        # in the gradient alone: the number stays the recipe's loss, which validation measures too
        return LossSum(loss.total + (added - added.detach()), loss.denominator)

    def outputs(self, images: Tensor) -> Tensor:
        """float32 (B, S, K, 2) in unit coordinates, one set of points for each annotation scheme."""
        output: Tensor = self.network(images).to(torch.float32)
        return output.reshape(len(output), -1, len(self.schema), 2)

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> LossSum:
        """The recipe's masked loss in unit coordinates, each row on the output of its own annotation scheme."""
        height, width = self.image_size
        with torch.autocast(outputs.device.type, enabled=False):
            target = to_unit(targets["points"], width, height)
            points = _in_own_scheme(outputs, targets["scheme"])
            return self.criterion(points, target, weight=self._weight(target.device))

    def _weight(self, device: torch.device) -> Tensor | None:
        return None if self.keypoint_weights is None else torch.tensor(self.keypoint_weights, device=device)

    def combine(self, outputs: Tensor, mirrored: Tensor | None, label_offset: float) -> Tensor:
        """float32 (B, S, K, 2 or, with `mirrored`, 3), as `PointAnswering.combine`."""
        return cast(Tensor, self._answering(label_offset).combine(outputs, mirrored, self.image_size))

    def measure_offset(self, data: BatchSource) -> float:
        """How far labels stand right of the place that their mirror images imply, in pixels of the network's input.

        A network that learns from images and mirror images with the offset that `data` assumes predicts the labels' mirror-consistent
        place plus that offset; what the labels still lie to the right of its predictions (the median over up to 512 rows) is added.
        A sum beyond 5% of the width is no offset of labels: it is left as it was. Below 64 rows nothing is measured.
        """
        if not self.allows_for_offset:
            return data.label_offset
        if len(data) < LEAST_OFFSET_ROWS:
            return 0.0
        rows = np.linspace(0, len(data) - 1, min(OFFSET_ROWS, len(data))).astype(np.int64)
        batch = data.batch(rows)
        points = _in_own_scheme(self.combine(self.outputs(batch.images), None, 0.0), batch.targets["scheme"])
        rest = (batch.targets["points"] - points)[..., 0]
        rest = rest[~rest.isnan()]
        offset = data.label_offset + (float(rest.median()) if len(rest) else 0.0)
        return offset if abs(offset) <= LARGEST_OFFSET * data.width else data.label_offset

    def settled_offset(self, data: BatchSource) -> float:
        """The offset that `data` assumes where the trained network shows it, else 0.

        The mean of a network's points on an image and, mirrored back, on its mirror image lies where both images put them, whatever the
        network has got wrong to one side. An offset shows where labels lie beside that place, to the same side, by more than three
        standard errors of the median over at least 64 faces; and where the network has fitted: its typical distance is at most half of
        that of the labels from their own medians. A set in which every image stands beside its mirror image shows none.
        """
        if not (self.allows_for_offset and self.schema.can_mirror and data.label_offset):
            return data.label_offset
        rows = np.linspace(0, len(data) - 1, min(OFFSET_ROWS, len(data))).astype(np.int64)
        batch = data.batch(rows)
        both = self.combine(self.outputs(batch.images), self.outputs(data.batch(rows, mirror=True).images), 0.0)
        labels = batch.targets["points"][..., 0]
        rest = labels - _in_own_scheme(both, batch.targets["scheme"])[..., 0]
        of_faces = rest.nanmedian(1).values
        of_faces = of_faces[~of_faces.isnan()]
        if len(of_faces) < LEAST_OFFSET_ROWS:
            return 0.0
        found = float(of_faces.median())
        error = _OF_A_MEDIAN * _TO_DEVIATION * float((of_faces - found).abs().median()) / len(of_faces) ** 0.5
        fitted = (rest - found).abs().nanmedian() <= FITTED * (labels - labels.nanmedian(0).values).abs().nanmedian()
        shown = bool(fitted) and abs(found) > OFFSET_ERRORS * error and found * data.label_offset > 0
        return data.label_offset if shown else 0.0

    def step_facts(self) -> dict[str, float]:
        """Nothing beside the loss."""
        return {}

    def warning(self) -> str | None:
        """Nothing beside the loss."""
        return None

    def measure(self, combined: NDArray[Any], targets: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """RMSE and median distance in pixels of the images as they were read over the labelled points."""
        chosen = combined[np.arange(len(combined)), targets["scheme"], :, :2]
        offset = (chosen.astype(np.float64) - targets["points"]) * self.pixels_read
        distance = np.hypot(offset[..., 0], offset[..., 1])
        known = ~np.isnan(distance)
        if not known.any():
            return {"valid_rmse_error": float("nan"), "valid_median_error": float("nan")}
        return {
            "valid_rmse_error": float(np.sqrt((distance[known] ** 2).mean() / 2)),
            "valid_median_error": float(np.median(distance[known])),
        }

    def answer_facts(self) -> AnswerFacts:
        """The schema, mirrored answers and the annotation schemes; the label offset is known at the run's end."""
        schemes = list(SCHEMES[: self.schemes]) if self.schemes > 1 else ["all"]
        return AnswerFacts(self.schema, prediction={"mirrored": self.mirrored, "scheme": 0, "schemes": schemes})

    def _answering(self, label_offset: float) -> PointAnswering:
        return PointAnswering(self.schema, self.mirrored, label_offset)


def _in_own_scheme(of_each: Tensor, scheme: Tensor) -> Tensor:
    """(B, S, ...) -> (B, ...): each row in its own annotation scheme."""
    return of_each[torch.arange(len(of_each), device=of_each.device), scheme] if of_each.shape[1] > 1 else of_each[:, 0]
