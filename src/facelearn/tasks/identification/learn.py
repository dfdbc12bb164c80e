"""Identification: which of the people it was trained on a face shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.data.faces import Faces
from facelearn.errors import DataError, RecipeError
from facelearn.losses import LossSum
from facelearn.losses.classes import ClassLoss
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.tasks.identification.sampling import row_order
from facelearn.training.batches import Batch, TrainingData

NOT_CLASSIFIERS = ("facelearn_keypoints",)


@dataclass(frozen=True)
class Identification:
    """Classification into the C people of the training rows, however uneven their numbers of images.

    Attributes:
        people: names of the classes.
        counts: training images of each class.
        imbalance: what is done about uneven classes, a name of `losses.class_names.IMBALANCES`.
        loss_options: numbers of the loss: label_smoothing, gamma, beta, tau, margin.
        mirrored: predict as the mean of the logits over image and mirror image.
    """

    people: tuple[str, ...]
    counts: tuple[int, ...]
    imbalance: str = "none"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    mirrored: bool = False
    name: str = "identification"

    @classmethod
    def from_recipe(cls, recipe: Recipe, faces: Faces) -> Identification:
        """The task that `recipe` describes for these training rows.

        Raises:
            DataError: fewer than two people.
            RecipeError: a network that gives keypoints or embeddings, another loss than cross-entropy, or options it does not have.
        """
        info = zoo.model_info(recipe.model.name)
        if info.task == "verification" or recipe.model.name in NOT_CLASSIFIERS:
            others = ", ".join(one.name for one in zoo.list_models("identification"))
            what = "embeddings" if info.task == "verification" else "places in the image"
            raise RecipeError(
                f"network '{recipe.model.name}' gives {what}, not one number a person; networks for people are {others}"
            )
        if recipe.loss.name != "cross_entropy":
            raise RecipeError(
                f"identification has the loss 'cross_entropy'; received '{recipe.loss.name}'. What is done about uneven classes is "
                "recipe.imbalance (--imbalance)"
            )
        classes, counts = np.unique(faces.identity[faces.identity >= 0], return_counts=True)
        if len(classes) < 2:
            raise DataError(
                f"identification needs the names of at least two people; the training rows have {len(classes)}. "
                "Put each person's photos into a folder of that name, or give a CSV with the columns file and person"
            )
        task = cls(
            people=tuple(faces.people[i] for i in classes),
            counts=tuple(counts.tolist()),
            imbalance=recipe.imbalance,
            loss_options=dict(recipe.loss.options),
            mirrored=recipe.mirrored_prediction,
        )
        _ = task.criterion  # its options are checked before anything is trained
        return task

    @cached_property
    def criterion(self) -> ClassLoss:
        """The loss that the recipe describes."""
        return ClassLoss(torch.tensor(self.counts), self.imbalance, **self.loss_options)

    def network_options(self) -> dict[str, Any]:
        """One output for each person."""
        return {"outputs": len(self.people)}

    def targets(self, faces: Faces) -> dict[str, NDArray[np.int64]]:
        """The class of each row, int64 (N,)."""
        return {"identity": faces.identity_among(self.people)}

    def row_order(self, data: TrainingData, generator: np.random.Generator) -> NDArray[np.int64]:
        """Every row once, or as often as the sampler draws it."""
        return row_order(len(data), data.own_targets["identity"].cpu().numpy(), self.imbalance, generator)

    def loss(self, model: nn.Module, batch: Batch) -> LossSum:
        """The recipe's loss on logits; rows of people that the model does not know do not belong here."""
        return self.criterion(self.predict(model, batch), batch.targets["identity"])

    def predict(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits, float32 (B, C)."""
        logits: Tensor = model(batch.images)
        return logits.to(torch.float32)

    def unmirror(self, prediction: Tensor, label_offset: float) -> Tensor:
        """A mirrored face shows the same person."""
        return prediction

    def measure_offset(self, model: nn.Module, data: TrainingData) -> float:
        """People's names have no place in the image: the offset stays as it is."""
        return data.label_offset

    def measure(self, prediction: NDArray[Any], targets: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Shares of 1: images named right, and the mean of that over the people who have images."""
        truth = targets["identity"]
        right = (prediction.argmax(1) == truth).astype(np.float64)
        images = np.bincount(truth, minlength=len(self.people))
        recall = np.bincount(truth, weights=right, minlength=len(self.people))[images > 0] / images[images > 0]
        return {
            "valid_accuracy_score": float(right.mean()) if len(right) else float("nan"),
            "valid_balanced_accuracy_score": float(recall.mean()) if len(recall) else float("nan"),
        }
