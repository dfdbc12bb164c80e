"""Learning embeddings: a network that turns a face into numbers, and a loss that draws a person's photos together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.data.faces import Faces
from facelearn.losses import LossSum
from facelearn.losses.embeddings import DISTANCE, embedding_loss
from facelearn.tasks.batch import BatchSource, batches_in
from facelearn.tasks.task import AnswerFacts
from facelearn.tasks.verification.answer import SPACE, raw_combined
from facelearn.tasks.verification.batches_of_people import people_order
from facelearn.tasks.verification.pairs_of_rows import quick_scores
from facelearn.tasks.verification.settings import VerificationSettings
from facelearn.tasks.verification.synthetic_people import SyntheticPeople

COLLAPSED = 0.05
"""Mean distance of two unit embeddings of a batch (they lie 0 to 2 apart, 1.41 at random) below which they all say the same."""


class VerificationLearner(nn.Module):
    """Embeddings of the C people of the training rows, by a loss that owns the people's directions where it has any.

    Args:
        settings: loss, and how batches are composed.
        train: the training rows; every one has a person.
        network: gives embeddings (B, D).
        embedding: D.
        images_per_person: photos of each person of a batch; 0 draws rows at random.

    Raises:
        RecipeError: a loss or an option that does not exist.
    """

    def __init__(
        self, settings: VerificationSettings, train: Faces, network: nn.Module, embedding: int, images_per_person: int
    ) -> None:
        super().__init__()
        classes = np.unique(train.identity[train.identity >= 0])
        self.people = tuple(train.people[i] for i in classes)
        self.copies = SyntheticPeople(len(classes), settings.synthetic_people, settings.seed)
        self.network = network
        self.criterion = embedding_loss(
            settings.loss.name,
            dict(settings.loss.options),
            embedding=embedding,
            people=len(classes) * (1 + settings.synthetic_people),
        )
        self.chosen_by: tuple[str, Literal["lower", "higher"]] = ("valid_tar_score", "higher")
        self.mirrored = settings.mirrored_prediction
        self.images_per_person = images_per_person
        self.person_of_row = train.identity_among(self.people)

    def targets(self, faces: Faces) -> dict[str, NDArray[np.int64]]:
        """The training person of each row, int64 (N,), -1 for others; and whoever it is, as the table counts."""
        return {"identity": faces.identity_among(self.people), "person": np.array(faces.identity, np.int64)}

    def epoch(self, generator: np.random.Generator, batch_size: int) -> NDArray[np.int64]:
        """Every row once, as itself or as one of its copies; or batches of people, made-up ones among them, as many as the rows fill."""
        rows, copies = len(self.person_of_row), self.copies.copies
        if not self.images_per_person:
            return generator.permutation(rows) + rows * generator.integers(0, 1 + copies, rows)
        people = batch_size // self.images_per_person
        everyone = np.concatenate([self.person_of_row + len(self.people) * copy for copy in range(1 + copies)])
        return people_order(everyone, people, self.images_per_person, batches_in(rows, batch_size), generator)

    def forward(self, images: Tensor, targets: Mapping[str, Tensor]) -> LossSum:
        """The loss of a batch."""
        return self.loss(self.outputs(images), targets)

    def outputs(self, images: Tensor) -> Tensor:
        """Embeddings, float32 (B, D), not brought to any length."""
        return cast(Tensor, self.network(images).to(torch.float32))

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> LossSum:
        """The recipe's loss over the rows that show a person trained on; people held out have no place in it."""
        return cast(LossSum, self.criterion(outputs, targets["identity"]))

    def combine(self, outputs: Tensor, mirrored: Tensor | None, label_offset: float) -> Tensor:
        """Embeddings before any back end, float32 (B, D); people have no place in the image, so that the offset does not matter."""
        return cast(Tensor, raw_combined(outputs, mirrored))

    def measure_offset(self, data: BatchSource) -> float:
        """Who it is has no place in the image: the offset stays as it is."""
        return data.label_offset

    def settled_offset(self, data: BatchSource) -> float:
        """As `measure_offset`."""
        return data.label_offset

    def measure(self, combined: NDArray[Any], targets: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Of all pairs of held-out rows: the share of a person's pairs that are nearer than 1% of the others', and the area."""
        return quick_scores(combined, targets["person"])

    def step_facts(self) -> dict[str, float]:
        """Of the last batch: mean distance of two embeddings, and the share of triplets or pairs that teach anything."""
        return dict(self.criterion.facts())

    def warning(self) -> str | None:
        """That the embeddings have collapsed: all faces are given nearly the same numbers."""
        distance = self.step_facts().get(DISTANCE)
        if distance is None or not distance < COLLAPSED:
            return None
        return (
            f"the embeddings have collapsed: two faces of a batch lie {distance:.3f} apart on average, whoever they are (1.41 at random). "
            "Take the miner semi_hard or all instead of hard, a lower learning rate, or begin with --loss softmax"
        )

    def answer_facts(self) -> AnswerFacts:
        """Mirrored answers, and which embeddings these are; back end and thresholds are chosen on held-out people."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().to("cpu", torch.float32).numpy().tobytes())
        return AnswerFacts(prediction={"mirrored": self.mirrored, SPACE: digest.hexdigest()[:16]})
