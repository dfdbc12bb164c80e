"""Learning who is who: a network with an output for each person, and cross-entropy over uneven classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.data.faces import Faces
from facelearn.errors import RecipeError
from facelearn.losses import LossSum
from facelearn.losses.classes import ClassLoss
from facelearn.tasks.batch import BatchSource
from facelearn.tasks.identification.answer import NameAnswering
from facelearn.tasks.identification.sampling import row_order
from facelearn.tasks.identification.settings import IdentificationSettings
from facelearn.tasks.task import AnswerFacts


class IdentificationLearner(nn.Module):
    """Classification into the C people of the training rows, however uneven their numbers of images.

    Args:
        settings: what is done about uneven classes, and the loss's options.
        train: the training rows; every one has a person.
        network: gives logits (B, C).

    Raises:
        RecipeError: another loss than cross-entropy, or options it does not have.
    """

    def __init__(self, settings: IdentificationSettings, train: Faces, network: nn.Module) -> None:
        super().__init__()
        if settings.loss.name != "cross_entropy":
            raise RecipeError(
                f"identification has the loss 'cross_entropy'; received '{settings.loss.name}'. What is done about uneven classes is "
                "recipe.imbalance (--imbalance)"
            )
        classes, counts = np.unique(train.identity[train.identity >= 0], return_counts=True)
        self.network = network
        self.chosen_by: tuple[str, Literal["lower", "higher"]] = ("valid_loss", "lower")
        self.copies = None
        self.people = tuple(train.people[i] for i in classes)
        self.mirrored = settings.mirrored_prediction
        self.imbalance = settings.imbalance
        self.criterion = ClassLoss(
            torch.tensor(counts.tolist()), settings.imbalance, **dict[str, Any](settings.loss.options)
        )
        self.class_of_row = train.identity_among(self.people)

    def targets(self, faces: Faces) -> dict[str, NDArray[np.int64]]:
        """The class of each row, int64 (N,)."""
        return {"identity": faces.identity_among(self.people)}

    def epoch(self, generator: np.random.Generator, batch_size: int) -> NDArray[np.int64]:
        """Every row once, or as often as the sampler draws it."""
        return row_order(len(self.class_of_row), self.class_of_row, self.imbalance, generator)

    def forward(self, images: Tensor, targets: Mapping[str, Tensor]) -> LossSum:
        """The loss of a batch."""
        return self.loss(self.outputs(images), targets)

    def outputs(self, images: Tensor) -> Tensor:
        """Logits, float32 (B, C)."""
        return cast(Tensor, self.network(images).to(torch.float32))

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> LossSum:
        """The recipe's loss on logits; rows of people that the model does not know do not belong here."""
        with torch.autocast(outputs.device.type, enabled=False):
            return self.criterion(outputs, targets["identity"])

    def combine(self, outputs: Tensor, mirrored: Tensor | None, label_offset: float) -> Tensor:
        """Logits, float32 (B, C); names have no place in the image, so that the offset does not matter."""
        return cast(Tensor, NameAnswering(self.people, self.mirrored).combine(outputs, mirrored, (0, 0)))

    def measure_offset(self, data: BatchSource) -> float:
        """People's names have no place in the image: the offset stays as it is."""
        return data.label_offset

    def settled_offset(self, data: BatchSource) -> float:
        """As `measure_offset`."""
        return data.label_offset

    def step_facts(self) -> dict[str, float]:
        """Nothing beside the loss."""
        return {}

    def warning(self) -> str | None:
        """Nothing beside the loss."""
        return None

    def measure(self, combined: NDArray[Any], targets: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Shares of 1: images named right, and the mean of that over the people who have images."""
        truth = targets["identity"]
        right = (combined.argmax(1) == truth).astype(np.float64)
        images = np.bincount(truth, minlength=len(self.people))
        recall = np.bincount(truth, weights=right, minlength=len(self.people))[images > 0] / images[images > 0]
        return {
            "valid_accuracy_score": float(right.mean()) if len(right) else float("nan"),
            "valid_balanced_accuracy_score": float(recall.mean()) if len(recall) else float("nan"),
        }

    def answer_facts(self) -> AnswerFacts:
        """The people, and mirrored answers; temperature and threshold are tuned on held-out rows."""
        return AnswerFacts(people=self.people, prediction={"mirrored": self.mirrored})
