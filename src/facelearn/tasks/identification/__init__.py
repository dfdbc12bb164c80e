"""The task identification: which of the people it knows a face shows, however uneven their photos."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from facelearn.data.faces import Faces
from facelearn.data.listing import NOBODY
from facelearn.errors import BundleError, DataError, RecipeError
from facelearn.models import zoo
from facelearn.models.registry import Gives
from facelearn.report.finished_run import FinishedRun
from facelearn.splits.groups import By, Rows, WithinBy, person_units
from facelearn.splits.listed import split_listed
from facelearn.splits.split import Parts, Split, SplitReport, reported
from facelearn.splits.within_people import kfold_within_people, split_within_people
from facelearn.tasks.identification import class_study
from facelearn.tasks.identification import measure as measures
from facelearn.tasks.identification.answer import Identities, NameAnswering
from facelearn.tasks.identification.class_results import ClassResult, load_class_results, save_class_results
from facelearn.tasks.identification.measure import STRANGERS_TUNE
from facelearn.tasks.identification.settings import DEFAULTS, NEUTRAL, OF_ANOTHER_NETWORK, IdentificationSettings
from facelearn.tasks.settings import MeasuredBeside, TaskSettings
from facelearn.tasks.study_numbers import StudyNumbers
from facelearn.tasks.task import (
    FALSE_ALARM,
    NOTHING_ASKED,
    TEST,
    TRAIN,
    VALID,
    AnswerFacts,
    Asked,
    HeldOut,
    Learner,
    Measured,
)

if TYPE_CHECKING:
    from torch import nn


class Identification:
    """Classification into the people of the training rows."""

    name = "identification"
    Settings: type[TaskSettings] = IdentificationSettings
    defaults = DEFAULTS
    defaults_of_another_network = OF_ANOTHER_NETWORK
    neutral_settings = NEUTRAL
    takes: tuple[Gives, ...] = ("logits",)
    default_steps = 10_200
    purpose = "Says which of the people it was trained on a face shows."
    search_columns: Mapping[str, str] = {}
    main_figure = "balanced_accuracy_score"
    study: StudyNumbers = class_study
    in_folds = True
    answers_train = False
    usage = 'names = model.predict("photos/").names  # "unknown" where nobody is likely enough'
    answers_file = "names.csv"
    answer_formats = ("csv",)

    def teaches(self, faces: Faces) -> bool:
        """Data that name people."""
        return bool((faces.identity >= 0).any())

    def can_mirror(self, faces: Faces) -> bool:
        """A mirrored face is the same person's."""
        return True

    def lacking(self, faces: Faces, where: str, look: str) -> str:
        """How people are named."""
        return f"{where} does not say who is who; put each person's photos into a folder of that name, or {look}"

    def split(self, faces: Faces, settings: TaskSettings) -> Split:
        """Within each person; some people are held out whole, as strangers.

        Raises:
            DataError: one person and photos of nobody in particular.
        """
        _check_two(faces)
        own = _own(settings).split
        shares = {VALID: own.valid, TEST: own.test}
        fractions = {TRAIN: 1 - sum(shares.values()), **{name: share for name, share in shares.items() if share}}
        if own.train_list:
            return split_listed(
                faces, own.train_list, fractions, by=_within(own.by, "its training rows"), seed=settings.seed
            )
        return split_within_people(
            faces, fractions, by=_within(own.by, "its training rows"), strangers=own.strangers, seed=settings.seed
        )

    def measured_beside(self, settings: TaskSettings) -> MeasuredBeside | None:
        """None: the test is of the same data."""
        return None

    def folds(self, faces: Faces, settings: TaskSettings, k: int, held_out: Split | None = None) -> list[Split]:
        """Every row is in exactly one "valid", but those of a person with a single unit, who is always trained on.

        The parts of `held_out` other than "train" and "valid" stay out of all folds and are parts of each; what its report says of them,
        strangers and warnings, stands in each fold's report too.
        """
        by = _within(settings.split.by, "every fold")
        if held_out is None:
            return kfold_within_people(faces, k, by=by, seed=settings.seed)
        others = {name: rows for name, rows in held_out.parts.items() if name not in (TRAIN, VALID)}
        rest = np.sort(np.concatenate([held_out.parts[name] for name in (TRAIN, VALID) if name in held_out.parts]))
        duplicates = person_units(faces, by)[0].duplicates  # what it finds answers for the rest too
        found = kfold_within_people(faces[rest], k, by=by, seed=settings.seed)
        return [_with_others(faces, one, rest, others, held_out, duplicates) for one in found]

    def rows(
        self, train: Faces, held_out: Mapping[str, Faces], settings: TaskSettings
    ) -> tuple[Faces, dict[str, Faces]]:
        """Rows that say who they show, without keypoints.

        Raises:
            DataError: no training row has a name.
        """
        known = train.identity >= 0
        if not known.any():
            raise DataError(
                f"none of the {len(train)} training rows says who it shows; put each person's photos into a folder of that name"
            )
        parts = {name: part.without_keypoints() for name, part in held_out.items()}
        return (train if known.all() else train[known]).without_keypoints(), parts

    def counts(self, train: Faces, held_out: Mapping[str, Faces]) -> dict[str, Any]:
        """Images and people; "images_per_person" in the order of the model's people."""
        sizes = np.unique(train.identity, return_counts=True)[1]
        return {
            "people": len(sizes), "smallest_class": int(sizes.min()), "largest_class": int(sizes.max()), "train_images": len(train),
            "images_per_person": sizes.tolist(),
            **{f"{name}_images": len(part) for name, part in held_out.items()},
        }  # fmt: skip

    def network_options(self, settings: TaskSettings, train: Faces, network: str) -> dict[str, Any]:
        """One output for each person.

        Raises:
            RecipeError: a network that gives keypoints or embeddings.
            DataError: fewer than two people.
        """
        info = zoo.model_info(network)
        if info.gives not in self.takes:
            others = ", ".join(one.name for one in zoo.list_models("identification"))
            what = "embeddings" if info.gives == "embedding" else "places in the image"
            raise RecipeError(
                f"network '{network}' gives {what}, not one number a person; networks for people are {others}"
            )
        people = len(np.unique(train.identity[train.identity >= 0]))
        if people < 2:
            raise DataError(
                f"identification needs the names of at least two people; the training rows have {people}. "
                "Put each person's photos into a folder of that name, or give a CSV with the columns file and person"
            )
        return {"outputs": people}

    def learner(
        self, settings: TaskSettings, train: Faces, network: nn.Module, arguments: Mapping[str, Any]
    ) -> Learner:
        """Cross-entropy over uneven classes."""
        from facelearn.tasks.identification.learn import IdentificationLearner

        return cast(Learner, IdentificationLearner(_own(settings), train, network))

    def answering(self, facts: AnswerFacts, asked: Asked = NOTHING_ASKED) -> NameAnswering:
        """With the threshold asked for."""
        return NameAnswering.from_facts(facts, asked)

    def check_facts(self, facts: AnswerFacts) -> None:
        """An identification model has the names of its people."""
        if not facts.people:
            raise BundleError("an identification model needs the names of its people; give Bundle(people=...)")

    def measure(self, held_out: HeldOut) -> Measured:
        """See `measure.measure`."""
        return measures.measure(held_out)

    def of_the_model(self, asked: Asked) -> Asked:
        """All of it: below the threshold a face is unknown."""
        return asked

    def measure_answers(
        self, answers: Identities, faces: Faces, asked: Asked, train_facts: Mapping[str, Any]
    ) -> Measured:
        """See `measure.measure_answers`."""
        return measures.measure_answers(answers, faces, (train_facts.get("counts") or {}).get("images_per_person"))

    def cell_numbers(self, run: FinishedRun, faces: Faces, parts: Split) -> dict[str, Any]:
        """See `measure.cell_numbers`."""
        assert isinstance(run, ClassResult)
        return measures.cell_numbers(run, measures.measured_groups(faces, parts))

    def save_evaluation(self, file: Path, **evaluation: Any) -> Path:
        """Images, truth and probabilities, of known people and strangers."""
        return save_class_results(file, **evaluation)

    def load_evaluation(self, run: FinishedRun, file: Path) -> ClassResult:
        """Images, truth and probabilities, of known people and strangers."""
        return load_class_results(run, file)

    def page(self, path: Path, run: FinishedRun, title: str) -> Path:
        """See `page.write_class_report`."""
        from facelearn.tasks.identification.page import write_class_report

        assert isinstance(run, ClassResult)
        return write_class_report(path, [run], title=title)

    def held_out_text(self, row: Mapping[str, float]) -> str:
        """The balanced accuracy."""
        column = "valid_balanced_accuracy_score"
        return f"{row[column]:.1%} right" if column in row else ""

    def baseline_facts(self, train: Faces) -> dict[str, Any]:
        """Nothing more than the counts."""
        return {}

    def shortfall(self, metrics: Mapping[str, Any]) -> str | None:
        """See `class_text.class_shortfall`."""
        from facelearn.tasks.identification.class_text import class_shortfall

        return class_shortfall(metrics)

    def headline(self, metrics: Mapping[str, Any]) -> str:
        """The few numbers that a reader looks for first."""
        from facelearn.tasks.identification.class_text import class_headline

        return class_headline(metrics)

    def notes(
        self,
        train: Faces,
        held_out: Mapping[str, Faces],
        facts: AnswerFacts,
        settings: TaskSettings,
        label_offset: float,
    ) -> list[str]:
        """What was measured, and on how many strangers."""
        said = []
        tuned_on = len(held_out.get(STRANGERS_TUNE, ()))
        if not tuned_on:
            hint = (
                ""
                if _own(settings).split.train_list
                else "; --strangers 0.1 holds a tenth of the people out, from 10 people on"
            )
            said.append(
                f"no strangers were held out, so the model has no threshold and gives everyone one of its names{hint}"
            )
        elif tuned_on < 1 / FALSE_ALARM:
            said.append(
                f"the threshold for 'unknown' rests on {tuned_on} photos of strangers: too few to let {FALSE_ALARM:.0%} of them pass; "
                "measure it on more with: facelearn evaluate MODEL PHOTOS-OF-OTHERS"
            )
        if not any(len(held_out.get(part, ())) for part in (TEST, VALID)):
            said.append("no photo of a known person was held out, so nothing was measured")
        return said

    def card_rows(self, facts: AnswerFacts) -> list[tuple[str, str]]:
        """How names are predicted, and by which temperature."""
        how = NameAnswering.from_facts(facts)
        return [
            ("Prediction", "mean over the image and its mirror image" if how.mirrored else "one pass"),
            ("Temperature", f"{how.temperature:.3g}, what logits are divided by before the softmax"),
        ]


def _check_two(faces: Faces) -> None:
    known = np.unique(faces.identity[faces.identity >= 0])
    nobody = int((faces.identity < 0).sum())
    if len(known) == 1 and nobody:
        name = faces.people[known[0]]
        raise DataError(
            f"the data name one person, '{name}', and {nobody} photos of nobody in particular (a folder or person called '{NOBODY}', or no "
            f"name), which are strangers and never learned; to tell '{name}' from others, call those by a name of their own, as 'others' "
            f"(mv {NOBODY} others), and train again; or add photos of a second person"
        )


def _own(settings: TaskSettings) -> IdentificationSettings:
    assert isinstance(settings, IdentificationSettings)
    return settings


def _within(by: str, where: str) -> WithinBy:
    if by == "person":
        raise RecipeError(
            f"split.by = 'person' keeps people whole, and identification needs each in {where}; leave it at 'auto'"
        )
    return cast(WithinBy, by)


def _with_others(faces: Faces, fold: Split, rest: Rows, others: Parts, held_out: Split, duplicates: Rows) -> Split:
    """A fold of the rows `rest` with the `others` of `held_out` as further parts, counted and searched for leaks as a whole."""
    parts = {**{name: rest[rows] for name, rows in fold.parts.items()}, **others}
    # the share of the validation images is that of a fold, not the one that the recipe asks for
    warnings = [line for line in held_out.report()["warnings"] if not line.startswith("valid holds ")]
    split = reported(faces, parts, cast(By, fold.by), duplicates, warnings)
    split.facts["leaks"].pop("person", None)  # that a person is in several parts is what was asked for
    left_out = np.setdiff1d(np.arange(len(faces)), np.concatenate(list(parts.values())))
    own: SplitReport = {"one_unit": fold.facts["one_unit"], "left_out": left_out.tolist(), **split.facts}
    return dataclasses.replace(split, facts={**fold.facts, **held_out.facts, **own})


IDENTIFICATION = Identification()
