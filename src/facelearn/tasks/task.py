"""What a task is: the one list of things that the loop, the model file, prediction, evaluation, reports and the command line ask of it.

A task is torch-free: it says which rows it learns from, how they are divided, how a network's outputs become answers, what is measured and
how it is shown. Its learner, which needs torch, owns the network and the loss and is imported where a run begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.schema import KeypointSchema
from facelearn.models.registry import Gives
from facelearn.report.finished_run import FinishedRun
from facelearn.splits.split import Split
from facelearn.tasks.batch import BatchSource, ChangedCopies
from facelearn.tasks.found import Found
from facelearn.tasks.settings import MeasuredBeside, TaskSettings
from facelearn.tasks.study_numbers import StudyNumbers
from facelearn.transforms.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import Tensor, nn

    from facelearn.losses import LossSum

TRAIN, VALID, TEST = "train", "valid", "test"
"""Parts of a table: trained on, chosen by, measured at the end."""
FALSE_ALARM = 0.01
"""Share of strangers that may be called by a name."""
Outputs = NDArray[np.float32]


class Answering(Protocol):
    """How outputs become answers: the one place that training's measures, `evaluate`, `predict`, ONNX and the server go through."""

    @property
    def mirrored(self) -> bool:
        """Whether an answer is the mean over the image and its mirror image."""

    @property
    def output(self) -> str:
        """What an exported graph's result is called."""

    def combine(self, outputs: Any, mirrored_outputs: Any | None, size: tuple[int, int]) -> Any:
        """What the network said of images (and of their mirror images) as one statement about the images.

        Args:
            outputs: float32 (B, ...), NumPy or torch: the network's outputs on the images.
            mirrored_outputs: those on the mirror images, or None.
            size: (height, width) of the network's input in pixels.
        """

    def answer(self, combined: Outputs, photos: Photos) -> Any:
        """The task's Answer for a batch of photos, from what `combine` gave.

        Raises:
            BundleError: numbers of another shape, or not finite.
        """

    def join(self, answers: Sequence[Any]) -> Any:
        """All answers in order; none gives an empty one."""


@dataclass(frozen=True, eq=False)
class Photos:
    """Where the images of a batch came from, for its answers.

    Attributes:
        source: str (B,), each photo's file; empty for arrays.
        row: int64 (B,), row or image id in that file, 1-based position for arrays, -1 where the file is the photo.
        size: int64 (B, 2), width and height of each photo; -1 where only a crop or a resized copy of it was at hand.
        maps: for each, the float64 (2, 3) maps that lead from the pixels of the image that `preprocess` takes to the photo's, in order.
        preprocess, shape: of the model; the shape (H, W, C) of the images it takes.
        skipped: photos that could not be read (`errors.Problem`).
        notes: what is to be known of them, each once in a stream.
        found: where in the photos the faces stand; None where nobody looked.
    """

    source: NDArray[np.str_]
    row: NDArray[np.int64]
    size: NDArray[np.int64]
    maps: Sequence[Sequence[NDArray[np.float64]]]
    preprocess: Preprocess
    shape: tuple[int, int, int]
    skipped: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    found: Found | None = None


@dataclass(frozen=True)
class AnswerFacts:
    """What a model file keeps of how it answers.

    Attributes:
        schema: of keypoints, None for other tasks.
        people: names of the classes, in the order of the outputs.
        prediction: the numbers of `Answering`: mirrored, temperature, label_offset, schemes, ...
        thresholds: decision thresholds and where they were tuned.
        arrays: float32, fitted numbers of `Answering` that are many: verification's back end.
    """

    schema: KeypointSchema | None = None
    people: tuple[str, ...] = ()
    prediction: dict[str, Any] = field(default_factory=dict)
    thresholds: dict[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Learner(Protocol):
    """An `nn.Module` that owns the network, the loss and the loss's own weights: all that the loop knows of a task.

    Attributes:
        network: what the model file gets.
        mirrored: answers are means over image and mirror image.
        chosen_by: the history's column by which the best epoch is chosen, and whether it is better "lower" or "higher".
        copies: what is trained on beside the training rows; None: nothing.
    """

    network: nn.Module
    mirrored: bool
    chosen_by: tuple[str, Literal["lower", "higher"]]
    copies: ChangedCopies | None

    def targets(self, faces: Faces) -> Mapping[str, NDArray[Any]]:
        """Per-row targets beside the keypoints, first dimension N."""

    def epoch(self, generator: np.random.Generator, batch_size: int) -> NDArray[np.int64]:
        """The training rows of one epoch in the order in which they are trained on, int64, enough for `batches_in` batches of that size.

        Of N rows, row + N * copy is a copy of `copies`.
        """

    def outputs(self, images: Tensor) -> Tensor:
        """The network's outputs for images float32 (B, C, H, W), float32 with first dimension B."""

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> LossSum:
        """The loss of a batch as a sum and its denominator; no NaN target reaches a gradient."""

    def combine(self, outputs: Tensor, mirrored: Tensor | None, label_offset: float) -> Tensor:
        """The task's `Answering.combine`, with the label offset as it stands."""

    def measure_offset(self, data: BatchSource) -> float:
        """How far labels stand right of the place that their mirror images imply, in pixels of the network's input; unchanged where the
        task has no places.
        """

    def settled_offset(self, data: BatchSource) -> float:
        """The offset that `data` assumes at the end of training, or 0 where the trained network does not show it beyond its own error."""

    def step_facts(self) -> dict[str, float]:
        """What the last batch says of how training goes beside its loss, for the progress bar; {} where that is nothing."""

    def warning(self) -> str | None:
        """One sentence where the last batch shows that training goes astray; None where it does not."""

    def measure(self, combined: NDArray[Any], targets: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Short metrics for the history of a run; names end in _error, _loss or _score."""

    def answer_facts(self) -> AnswerFacts:
        """What the model file keeps, before anything is tuned on held-out rows."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a trained network said of the rows it was not trained on.

    Attributes:
        train: the rows it was trained on.
        parts: held-out rows by the name of their part; "valid" is always there and may be empty.
        combined: float32, `Answering.combine` of each part; where the task `answers_train`, of "train" too.
        facts: `Learner.answer_facts`.
        label_offset: as measured in training.
        preprocess: fitted.
        image_size: (height, width) of the network's input.
        settings: of the run.
    """

    train: Faces
    parts: Mapping[str, Faces]
    combined: Mapping[str, Outputs]
    facts: AnswerFacts
    label_offset: float
    preprocess: Preprocess
    image_size: tuple[int, int]
    settings: TaskSettings


@dataclass(frozen=True, eq=False)
class Measured:
    """What held-out rows say.

    Attributes:
        metrics: each with its count and interval; empty where nothing was held out.
        facts: for the model file, thresholds and temperature tuned.
        evaluation: arguments of the task's `save_evaluation`; None where nothing was measured.
        notes: what is to be known of the labels that were measured against.
    """

    metrics: Mapping[str, Any]
    facts: AnswerFacts
    evaluation: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What a person may ask of an opened model.

    Attributes:
        scheme: annotation scheme, its name or index; None is the model's own choice.
        threshold: smallest probability at which a name is given; None is the model's own.
    """

    scheme: str | int | None = None
    threshold: float | None = None


NOTHING_ASKED = Asked()


class Task(Protocol):
    """One thing that models learn. There is one instance of each, in `facelearn.tasks.TASKS`."""

    @property
    def name(self) -> str:
        """As recipes and model files call it."""

    @property
    def Settings(self) -> type[TaskSettings]:  # noqa: N802 - a class
        """What it adds to a recipe."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Of its recipe, over the recipe's own."""

    @property
    def defaults_of_another_network(self) -> Mapping[str, Any]:
        """Instead of those where another network than the default is named."""

    @property
    def neutral_settings(self) -> Mapping[str, Sequence[Any]]:
        """Its own settings by dotted path, with the values that mean nothing to another task."""

    @property
    def takes(self) -> Sequence[Gives]:
        """What a network may give, to be of use to it."""

    @property
    def default_steps(self) -> int | None:
        """Optimiser steps of a run whose epochs nobody gave; None: the recipe's epochs."""

    @property
    def purpose(self) -> str:
        """One sentence for a model card."""

    @property
    def usage(self) -> str:
        """One line of Python that uses an opened `model`."""

    @property
    def answers_file(self) -> str:
        """What a file of its answers may be called, for the next command that is suggested; "" where that is to compare two photos."""

    @property
    def answer_formats(self) -> Sequence[str]:
        """Files that its answers can be written to: "csv", "coco", "submission"."""

    @property
    def search_columns(self) -> Mapping[str, str]:
        """What a search may lower, and the column of the history that holds it; empty where its recipes are not searched."""

    @property
    def main_figure(self) -> str:
        """The metric of `measure_answers` that says first of all how well a model does: an `*_error` (lower is better) or a `*_score`."""

    @property
    def in_folds(self) -> bool:
        """Whether `train` makes k models of it on k folds, whose answers are averaged."""

    @property
    def answers_train(self) -> bool:
        """Whether what is fitted after training needs the network's answers for the training rows too."""

    def teaches(self, faces: Faces) -> bool:
        """Whether the table has the labels that this task learns."""

    def can_mirror(self, faces: Faces) -> bool:
        """Whether the labels of mirrored images are known."""

    def lacking(self, faces: Faces, where: str, look: str) -> str:
        """The sentence for data that do not teach it; `where` they are, `look` what to do to see what is in them."""

    def split(self, faces: Faces, settings: TaskSettings) -> Split:
        """Rows to train on and rows held out."""

    def measured_beside(self, settings: TaskSettings) -> MeasuredBeside | None:
        """What is measured beside what the split says, where the settings name anything."""

    def folds(self, faces: Faces, settings: TaskSettings, k: int, held_out: Split | None = None) -> list[Split]:
        """k splits; the parts of `held_out` other than train and valid stay out of all of them."""

    def rows(
        self, train: Faces, held_out: Mapping[str, Faces], settings: TaskSettings
    ) -> tuple[Faces, dict[str, Faces]]:
        """The rows that take part."""

    def counts(self, train: Faces, held_out: Mapping[str, Faces]) -> dict[str, Any]:
        """Sizes for the model's facts."""

    def network_options(self, settings: TaskSettings, train: Faces, network: str) -> dict[str, Any]:
        """What the zoo's builder of `network` needs beside the image's shape: outputs, annotation schemes, ...

        Raises:
            RecipeError, DataError: a network that cannot answer this task, or rows that cannot teach it.
        """

    def learner(
        self, settings: TaskSettings, train: Faces, network: nn.Module, arguments: Mapping[str, Any]
    ) -> Learner:
        """The learner of a run, around a network that was built with `arguments`.

        Raises:
            RecipeError, DataError: what cannot be learned with these settings or these rows.
        """

    def answering(self, facts: AnswerFacts, asked: Asked = NOTHING_ASKED) -> Answering:
        """How a model with these facts answers."""

    def check_facts(self, facts: AnswerFacts) -> None:
        """That a model file says what its answers need.

        Raises:
            BundleError: it does not.
        """

    def measure(self, held_out: HeldOut) -> Measured:
        """Tune what is tuned on held-out rows, and measure."""

    def of_the_model(self, asked: Asked) -> Asked:
        """What of a measure's settings is asked of the model."""

    def measure_answers(self, answers: Any, faces: Faces, asked: Asked, train_facts: Mapping[str, Any]) -> Measured:
        """An opened model's answers for labelled faces, measured.

        Args:
            answers: its Answer for all of `faces`, in pixels of their images.
            faces: labelled rows.
            asked: what was asked of the model; `threshold` also of the measure, where the task has one.
            train_facts: what the model file says of its training data.
        """

    @property
    def study(self) -> StudyNumbers:
        """Its part of the page of a study."""

    def cell_numbers(self, run: FinishedRun, faces: Faces, parts: Split) -> dict[str, Any]:
        """What a study keeps of a finished run, as `load_evaluation` gives it, beside its metrics."""

    def save_evaluation(self, file: Path, **evaluation: Any) -> Path:
        """Write the held-out images and what was said of them to `file`, from which the page draws."""

    def load_evaluation(self, run: FinishedRun, file: Path) -> FinishedRun:
        """The run with what `save_evaluation` wrote to `file`; without any where there is no such file yet."""

    def page(self, path: Path, run: FinishedRun, title: str) -> Path:
        """Write the page about a run, as `load_evaluation` gives it, to `path`."""

    def held_out_text(self, row: Mapping[str, float]) -> str:
        """What an epoch's row of the history says of the held-out rows, in a word or two; "" where that is nothing, or another task's."""

    def baseline_facts(self, train: Faces) -> dict[str, Any]:
        """What a model file keeps of its training rows so that an evaluation knows what it has to beat."""

    def shortfall(self, metrics: Mapping[str, Any]) -> str | None:
        """One sentence where the model is no better than its baseline, as far as can be told; None where it is, or nothing was measured."""

    def headline(self, metrics: Mapping[str, Any]) -> str:
        """The few numbers that a reader looks for first, as text for a terminal, each beside its baseline; first of all a `shortfall`."""

    def notes(
        self,
        train: Faces,
        held_out: Mapping[str, Faces],
        facts: AnswerFacts,
        settings: TaskSettings,
        label_offset: float,
    ) -> list[str]:
        """What a run found out about its data, for the person who started it."""

    def card_rows(self, facts: AnswerFacts) -> list[tuple[str, str]]:
        """What a model card says of how it answers."""
