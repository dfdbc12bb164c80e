"""The task keypoints: where the points of a face are, learned from labels with holes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from facelearn.data.faces import Faces
from facelearn.errors import BundleError, DataError, RecipeError
from facelearn.models import zoo
from facelearn.models.registry import Gives
from facelearn.report.finished_run import FinishedRun
from facelearn.splits.split import Split, kfold, split
from facelearn.tasks.keypoints import measure as measures
from facelearn.tasks.keypoints import point_study
from facelearn.tasks.keypoints.answer import PointAnswering, Predictions
from facelearn.tasks.keypoints.confidence import PointConfidence
from facelearn.tasks.keypoints.point_results import PointResult, load_point_results, save_point_results
from facelearn.tasks.keypoints.schemes import scheme_differences
from facelearn.tasks.keypoints.settings import DEFAULTS, NEUTRAL, OF_ANOTHER_NETWORK, KeypointSettings
from facelearn.tasks.settings import MeasuredBeside, TaskSettings
from facelearn.tasks.study_numbers import StudyNumbers
from facelearn.tasks.task import NOTHING_ASKED, VALID, AnswerFacts, Asked, HeldOut, Learner, Measured

if TYPE_CHECKING:
    from torch import nn

OFFSET_WORTH_SAYING = 0.3  # pixels of the network's input


class Keypoints:
    """Regression of K keypoints, any of them missing."""

    name = "keypoints"
    Settings: type[TaskSettings] = KeypointSettings
    defaults = DEFAULTS
    defaults_of_another_network = OF_ANOTHER_NETWORK
    neutral_settings = NEUTRAL
    takes: tuple[Gives, ...] = ("points", "logits")
    default_steps = None
    purpose = "Finds facial keypoints in the crop of one face."
    search_columns: Mapping[str, str] = {"rmse": "valid_rmse_error", "loss": "valid_loss"}
    main_figure = "rmse_error"
    study: StudyNumbers = point_study
    in_folds = False
    answers_train = False
    usage = 'points = model.predict("photos/").points  # float32 (N, K, 2), x and y in pixels of each photo'
    answers_file = "points.csv"
    answer_formats = ("csv", "coco", "submission")

    def teaches(self, faces: Faces) -> bool:
        """Data with keypoints."""
        return bool(faces.keypoints.shape[1])

    def can_mirror(self, faces: Faces) -> bool:
        """Where it is known which keypoints change places."""
        return faces.schema.can_mirror

    def lacking(self, faces: Faces, where: str, look: str) -> str:
        """Where people are named, the command that learns those."""
        names = bool((faces.identity >= 0).any())
        other = (
            f"; it names people: learn those with facelearn train --data {where} --task identification" if names else ""
        )
        return f"{where} holds no keypoints to learn{other or f'; {look}'}"

    def split(self, faces: Faces, settings: TaskSettings) -> Split:
        """By person, group or near-duplicates; nothing is held out where `settings.split.valid` is 0."""
        valid = settings.split.valid
        if valid == 0:
            return Split(parts={"train": np.arange(len(faces)), VALID: np.arange(0)}, by="none")
        return split(faces, {"train": 1 - valid, VALID: valid}, by=settings.split.by, seed=settings.seed)

    def measured_beside(self, settings: TaskSettings) -> MeasuredBeside | None:
        """None: the test is of the same data."""
        return None

    def folds(self, faces: Faces, settings: TaskSettings, k: int, held_out: Split | None = None) -> list[Split]:
        """Every row is in exactly one "valid"."""
        return kfold(faces, k, by=settings.split.by, seed=settings.seed)

    def rows(
        self, train: Faces, held_out: Mapping[str, Faces], settings: TaskSettings
    ) -> tuple[Faces, dict[str, Faces]]:
        """Rows with a label, or with all of them, as the recipe says.

        Raises:
            DataError: none of the training rows has what is wanted.
        """
        own = _own(settings)
        wanted = train.complete if own.rows == "complete" else train.labelled.any(1)
        if not wanted.any():
            lacking = (
                "has every keypoint; train on all rows with rows = 'all'"
                if own.rows == "complete"
                else "has a label; add labels"
            )
            raise DataError(f"none of the {len(train)} training rows {lacking}")
        valid = held_out[VALID]
        if own.split.valid_rows == "complete" and not valid.complete.all():
            valid = valid[valid.complete]
        return train if wanted.all() else train[wanted], {**held_out, VALID: valid}

    def counts(self, train: Faces, held_out: Mapping[str, Faces]) -> dict[str, Any]:
        """Faces and labels."""
        valid = held_out[VALID]
        return {
            "train_faces": len(train), "train_labels": int(train.labelled.sum()), "train_complete": int(train.complete.sum()),
            "valid_faces": len(valid), "valid_labels": int(valid.labelled.sum()),
        }  # fmt: skip

    def network_options(self, settings: TaskSettings, train: Faces, network: str) -> dict[str, Any]:
        """Outputs 2K and, where there are two annotation schemes, their number.

        Raises:
            RecipeError: a network whose outputs are embeddings, or two schemes for a network that has one output set.
        """
        info = zoo.model_info(network)
        if info.gives not in self.takes:
            others = ", ".join(one.name for one in zoo.list_models("keypoints"))
            raise RecipeError(
                f"network '{network}' gives embeddings of length 1, not keypoints; keypoint networks are {others}"
            )
        own, able = _own(settings), info.has_schemes
        if own.schemes == "two" and not able:
            raise RecipeError(f"schemes = 'two' needs a network with an output for each scheme; '{network}' has one")
        two = own.schemes == "two" or (own.schemes == "auto" and able and bool(scheme_differences(train)))
        return {"outputs": 2 * len(train.schema), **({"schemes": 2} if two else {})}

    def learner(
        self, settings: TaskSettings, train: Faces, network: nn.Module, arguments: Mapping[str, Any]
    ) -> Learner:
        """Masked regression in unit coordinates."""
        from facelearn.tasks.keypoints.learn import KeypointLearner

        schemes = int(arguments.get("schemes") or 1)
        learner = KeypointLearner(
            _own(settings), train, network, image_size=tuple(arguments["image_size"]), schemes=schemes
        )
        return cast(Learner, learner)

    def answering(self, facts: AnswerFacts, asked: Asked = NOTHING_ASKED) -> PointAnswering:
        """In the annotation scheme asked for."""
        return PointAnswering.from_facts(facts, asked)

    def check_facts(self, facts: AnswerFacts) -> None:
        """A keypoint model has the schema of its keypoints; a confidence is for as many."""
        if not facts.schema:
            raise BundleError("a keypoint model needs the schema of its keypoints; give Bundle(schema=...)")
        if told := facts.prediction.get("confidence"):
            PointConfidence.from_facts(told, len(facts.schema))

    def measure(self, held_out: HeldOut) -> Measured:
        """See `measure.measure`."""
        return measures.measure(held_out)

    def of_the_model(self, asked: Asked) -> Asked:
        """The threshold is the measure's: what counts as a failure."""
        return Asked(scheme=asked.scheme)

    def measure_answers(
        self, answers: Predictions, faces: Faces, asked: Asked, train_facts: Mapping[str, Any]
    ) -> Measured:
        """See `measure.measure_answers`."""
        return measures.measure_answers(answers, faces, asked, train_facts.get("mean_face"))

    def cell_numbers(self, run: FinishedRun, faces: Faces, parts: Split) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def save_evaluation(self, file: Path, **evaluation: Any) -> Path:
        """Images, labels and predictions."""
        return save_point_results(file, **evaluation)

    def load_evaluation(self, run: FinishedRun, file: Path) -> PointResult:
        """Images, labels and predictions."""
        return load_point_results(run, file)

    def page(self, path: Path, run: FinishedRun, title: str) -> Path:
        """See `page.write_report`."""
        from facelearn.tasks.keypoints.page import write_report

        assert isinstance(run, PointResult)
        return write_report(path, [run], title=title)

    def held_out_text(self, row: Mapping[str, float]) -> str:
        """The error in pixels."""
        return f"{row['valid_rmse_error']:.2f} px" if "valid_rmse_error" in row else ""

    def baseline_facts(self, train: Faces) -> dict[str, Any]:
        """The mean face of the training rows, in pixels of their images."""
        return dict(measures.mean_face_facts(train))

    def shortfall(self, metrics: Mapping[str, Any]) -> str | None:
        """See `point_text.shortfall`."""
        from facelearn.tasks.keypoints.point_text import shortfall

        return shortfall(metrics)

    def headline(self, metrics: Mapping[str, Any]) -> str:
        """The few numbers that a reader looks for first."""
        from facelearn.tasks.keypoints.point_text import headline

        return headline(metrics)

    def notes(
        self,
        train: Faces,
        held_out: Mapping[str, Faces],
        facts: AnswerFacts,
        settings: TaskSettings,
        label_offset: float,
    ) -> list[str]:
        """Annotation schemes that differ, and labels to one side."""
        two = len(facts.prediction["schemes"]) > 1
        found = sorted(scheme_differences(train).items(), key=lambda item: -item[1]) if two else []
        said = []
        if found:
            listed = ", ".join(f"{name} by {shift:.0%} of the eye distance" for name, shift in found[:3])
            said.append(
                f"complete and partial rows follow different annotation criteria ({listed}): each gets outputs of its own; "
                "predictions follow 'complete' unless asked"
            )
        if abs(label_offset) >= OFFSET_WORTH_SAYING:
            side = "right" if label_offset > 0 else "left"
            said.append(
                f"labels stand {abs(label_offset):.1f} px {side} of where mirror images put them; training and prediction allow for it"
            )
        return said

    def card_rows(self, facts: AnswerFacts) -> list[tuple[str, str]]:
        """How points are predicted, and in which annotation schemes."""
        how = PointAnswering.from_facts(facts)
        rows = [("Prediction", "mean over the image and its mirror image" if how.mirrored else "one pass")]
        if (sure := how.confidence) is not None:
            rows.append(
                (
                    "Confidence",
                    f"to lie within {sure.within:.0%} of the image's width; from {sure.labels:,} held-out labels",
                )
            )
        if len(how.schemes) > 1:
            chosen = how.schemes[how.scheme]
            names = ", ".join(how.schemes)
            rows.append(("Annotation schemes", f"{names}; '{chosen}' is returned unless another is asked for"))
        return rows


def _own(settings: TaskSettings) -> KeypointSettings:
    assert isinstance(settings, KeypointSettings)
    return settings


KEYPOINTS = Keypoints()
