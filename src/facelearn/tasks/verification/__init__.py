"""The task verification: whether two faces are one person's, of people never seen in training too, by embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError, RecipeError
from facelearn.losses.embedding_names import compares_images
from facelearn.models import zoo
from facelearn.models.registry import Gives
from facelearn.report.finished_run import FinishedRun
from facelearn.splits.split import Split
from facelearn.splits.split import split as split_rows
from facelearn.tasks.settings import MeasuredBeside, TaskSettings
from facelearn.tasks.study_numbers import StudyNumbers
from facelearn.tasks.task import (
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
from facelearn.tasks.verification import measure as measures
from facelearn.tasks.verification import pair_study
from facelearn.tasks.verification.answer import SAME, Embeddings, VerificationAnswering
from facelearn.tasks.verification.back_end import check_back_end
from facelearn.tasks.verification.batches_of_people import people_with_two
from facelearn.tasks.verification.pair_results import PairResult, load_pair_results, save_pair_results
from facelearn.tasks.verification.settings import DEFAULTS, NEUTRAL, OF_ANOTHER_NETWORK, VerificationSettings

if TYPE_CHECKING:
    from torch import nn

_PER_PERSON = 4
"""Images of each person in a batch, for losses that compare images, where nobody says."""


class Verification:
    """Embeddings in which a person's photos lie near each other."""

    name = "verification"
    Settings: type[TaskSettings] = VerificationSettings
    defaults = DEFAULTS
    defaults_of_another_network = OF_ANOTHER_NETWORK
    neutral_settings = NEUTRAL
    takes: tuple[Gives, ...] = ("embedding",)
    default_steps = 6_800
    purpose = "Says whether two faces are one person's, of people it has never seen too."
    search_columns: Mapping[str, str] = {}
    main_figure = "auc_score"
    study: StudyNumbers = pair_study
    in_folds = False
    answers_train = True
    usage = 'model.compare("a.jpg", "b.jpg").same'
    answers_file = ""
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
        """By person: who is held out is not trained on with any photo.

        Raises:
            DataError: nobody is named, or fewer people than parts.
        """
        own = _own(settings).split
        known = np.flatnonzero(faces.identity >= 0)
        if not len(known):
            raise DataError(self.lacking(faces, "the table", "see what is in it with: facelearn inspect DATA"))
        shares = {VALID: own.valid, TEST: own.test}
        fractions = {TRAIN: 1 - sum(shares.values()), **{name: share for name, share in shares.items() if share}}
        if len(fractions) == 1:
            return Split({TRAIN: np.arange(len(faces))}, "person")
        return split_rows(faces, fractions, by="person", seed=settings.seed)

    def measured_beside(self, settings: TaskSettings) -> MeasuredBeside | None:
        """The people of `split.test_data`, and what is done to test images before they are measured once more."""
        own = _own(settings).split
        return MeasuredBeside(own.test_data, own.test_list, own.test_jpeg, own.test_sizes)

    def folds(self, faces: Faces, settings: TaskSettings, k: int, held_out: Split | None = None) -> list[Split]:
        """Embeddings of several models cannot be averaged.

        Raises:
            RecipeError: always.
        """
        raise RecipeError(
            "verification is not trained in folds: embeddings of two models cannot be averaged; leave out --folds"
        )

    def rows(
        self, train: Faces, held_out: Mapping[str, Faces], settings: TaskSettings
    ) -> tuple[Faces, dict[str, Faces]]:
        """Rows that say who they show, without keypoints; for losses that compare images, training people with two images at least.

        Raises:
            DataError: no training row has a name, or too few people have two images.
        """
        known = train.identity >= 0
        if not known.any():
            raise DataError(
                f"none of the {len(train)} training rows says who it shows; put each person's photos into a folder of that name"
            )
        if (share := _own(settings).split.train_share) < 1:
            known &= _drawn(known, share, settings.seed)
        if compares_images(settings.loss.name):
            known &= np.isin(train.identity, people_with_two(train.identity))
            if len(np.unique(train.identity[known])) < 2:
                raise DataError(
                    f"the loss '{settings.loss.name}' compares images of one person, and fewer than two of the training people have two; "
                    "add photos, or take a loss that needs one photo a person: --loss cosine_softmax"
                )
        parts = {name: part.without_keypoints() for name, part in held_out.items()}
        return (train if known.all() else train[known]).without_keypoints(), parts

    def counts(self, train: Faces, held_out: Mapping[str, Faces]) -> dict[str, Any]:
        """Images and people of each part."""
        counts: dict[str, Any] = {"people": len(np.unique(train.identity)), "train_images": len(train)}
        for name, part in held_out.items():
            counts |= {f"{name}_images": len(part), f"{name}_people": len(np.unique(part.identity[part.identity >= 0]))}
        return counts

    def network_options(self, settings: TaskSettings, train: Faces, network: str) -> dict[str, Any]:
        """The size of the embedding.

        Raises:
            RecipeError: a network that gives no embeddings.
            DataError: fewer than two people.
        """
        info = zoo.model_info(network)
        if info.gives not in self.takes:
            others = ", ".join(one.name for one in zoo.list_models() if one.gives in self.takes)
            kin = next((kin.name for given, kin in info.kin.items() if given in self.takes), None)
            hint = f"take {kin}, which has its body, or " if kin else ""
            raise RecipeError(f"network '{network}' gives no embeddings; {hint}one of {others}")
        people = len(np.unique(train.identity[train.identity >= 0]))
        if people < 2:
            raise DataError(
                f"verification learns from at least two people; the training rows have {people}. Put each person's photos into a folder of "
                "that name, or give a CSV with the columns file and person"
            )
        return {"outputs": _own(settings).embedding or info.outputs}

    def learner(
        self, settings: TaskSettings, train: Faces, network: nn.Module, arguments: Mapping[str, Any]
    ) -> Learner:
        """Embeddings by the recipe's loss."""
        from facelearn.tasks.verification.learn import VerificationLearner

        own = _own(settings)
        asked = own.images_per_person
        images = (_PER_PERSON if compares_images(own.loss.name) else 0) if asked is None else asked
        if images < 2 and compares_images(own.loss.name):
            raise RecipeError(
                f"the loss '{own.loss.name}' compares images of one person: images_per_person must be 2 or more; received {images}"
            )
        return cast(Learner, VerificationLearner(own, train, network, int(arguments["outputs"]), images))

    def answering(self, facts: AnswerFacts, asked: Asked = NOTHING_ASKED) -> VerificationAnswering:
        """With the threshold asked for."""
        return VerificationAnswering.from_facts(facts, asked)

    def check_facts(self, facts: AnswerFacts) -> None:
        """The back end's numbers go together.

        Raises:
            BundleError: they do not.
        """
        check_back_end(facts.prediction.get("back_end") or {}, facts.arrays)

    def measure(self, held_out: HeldOut) -> Measured:
        """See `measure.measure`."""
        return measures.measure(held_out)

    def of_the_model(self, asked: Asked) -> Asked:
        """All of it: above the threshold two faces are different people's."""
        return asked

    def measure_answers(
        self, answers: Embeddings, faces: Faces, asked: Asked, train_facts: Mapping[str, Any]
    ) -> Measured:
        """See `measure.measure_answers`."""
        return measures.measure_answers(answers, faces)

    def cell_numbers(self, run: FinishedRun, faces: Faces, parts: Split) -> dict[str, Any]:
        """Nothing beside the metrics."""
        return {}

    def save_evaluation(self, file: Path, **evaluation: Any) -> Path:
        """Images, embeddings and who it is."""
        return save_pair_results(file, **evaluation)

    def load_evaluation(self, run: FinishedRun, file: Path) -> PairResult:
        """Images, embeddings and who it is."""
        return load_pair_results(run, file)

    def page(self, path: Path, run: FinishedRun, title: str) -> Path:
        """See `page.write_pair_report`."""
        from facelearn.tasks.verification.page import write_pair_report

        assert isinstance(run, PairResult)
        return write_pair_report(path, [run], title=title)

    def held_out_text(self, row: Mapping[str, float]) -> str:
        """The share of a person's pairs accepted where one in a hundred of the others is, and whether the batches still teach."""
        said = [f"{row['valid_tar_score']:.1%} accepted at FAR 1%"] if "valid_tar_score" in row else []
        said += [f"faces {row['train_mean_distance']:.2f} apart"] if "train_mean_distance" in row else []
        said += [f"{row['train_active_share']:.0%} of comparisons active"] if "train_active_share" in row else []
        return ", ".join(said)

    def baseline_facts(self, train: Faces) -> dict[str, Any]:
        """Nothing more than the counts."""
        return {}

    def shortfall(self, metrics: Mapping[str, Any]) -> str | None:
        """See `pair_text.pair_shortfall`."""
        from facelearn.tasks.verification.pair_text import pair_shortfall

        return pair_shortfall(metrics)

    def headline(self, metrics: Mapping[str, Any]) -> str:
        """The few numbers that a reader looks for first."""
        from facelearn.tasks.verification.pair_text import pair_headline

        return pair_headline(metrics)

    def notes(
        self,
        train: Faces,
        held_out: Mapping[str, Faces],
        facts: AnswerFacts,
        settings: TaskSettings,
        label_offset: float,
    ) -> list[str]:
        """What was measured, and on how many people."""
        people = len(np.unique(held_out[VALID].identity)) if len(held_out.get(VALID, ())) else 0
        if not people:
            return [
                "nobody was held out, so nothing was measured and the model has no threshold; find one with: facelearn calibrate"
            ]
        said = f"epoch, back end and threshold were chosen on {people} people held out"
        return [
            f"{said}; calibrate on pairs like those that the model will meet: facelearn calibrate MODEL --pairs FILE --images DIR"
        ]

    def card_rows(self, facts: AnswerFacts) -> list[tuple[str, str]]:
        """How faces are compared, and up to which distance they are one person's."""
        how = VerificationAnswering.from_facts(facts)
        rows = [
            ("Prediction", "mean over the image and its mirror image" if how.mirrored else "one pass"),
            ("Comparison", how.back_end.name),
            ("Space", how.space),
        ]
        stored = facts.thresholds.get(SAME)
        if stored:
            rate = f"at most {stored['false_accept']:.2%} of different people pass"
            rows.append(("Threshold", f"{how.threshold:.4f}, {rate}, by {stored.get('tuned_on')}"))
        return rows


def _own(settings: TaskSettings) -> VerificationSettings:
    assert isinstance(settings, VerificationSettings)
    return settings


def _drawn(known: NDArray[np.bool_], share: float, seed: int) -> NDArray[np.bool_]:
    """bool (N,): so large a share of the known rows, at least two; a smaller share's rows are among a larger one's."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(known))
    chosen = np.zeros(len(known), np.bool_)
    chosen[rows[: max(2, round(share * len(rows)))]] = True
    return chosen


VERIFICATION = Verification()
