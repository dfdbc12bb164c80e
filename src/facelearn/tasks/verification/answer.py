"""How a network's outputs become embeddings that can be compared: `Embeddings`, and what is said of two faces, `Comparison`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.writers import names_from
from facelearn.errors import BundleError, DataError, Problem, RecipeError
from facelearn.metrics.pair_calibration import PairCalibration
from facelearn.showing import write_rows
from facelearn.tasks.found import Found
from facelearn.tasks.task import NOTHING_ASKED, AnswerFacts, Asked, Outputs, Photos
from facelearn.tasks.verification.back_end import BackEnd, back_end_from_facts

SPACE = "space"
"""Key of the facts: which model's embeddings these are; numbers of two spaces say nothing of each other."""
SAME, EQUAL_COST, CALIBRATION = "same", "equal_cost", "calibration"
"""Keys of the thresholds: up to which distance two faces are one person's; the one of most right answers; from distance to probability."""


@dataclass(frozen=True)
class VerificationAnswering:
    """How outputs (B, D) become embeddings.

    Attributes:
        back_end: how embeddings are compared.
        space: which embeddings these are.
        mirrored: an embedding is the mean over the image and its mirror image.
        threshold: largest distance at which two faces are called the same person's; NaN where the model has none.
        false_accept: the share of pairs of different people below the threshold, where that is what it was chosen by; else NaN.
        calibration: from distances to probabilities; None where the model has none.
        most_right, most_right_from: the distance that decides most of the pairs right it was chosen on, and which those were; NaN without.
    """

    back_end: BackEnd
    space: str
    mirrored: bool = False
    threshold: float = float("nan")
    false_accept: float = float("nan")
    calibration: PairCalibration | None = None
    most_right: float = float("nan")
    most_right_from: str = ""
    output: str = "embedding"

    @classmethod
    def from_facts(cls, facts: AnswerFacts, asked: Asked = NOTHING_ASKED) -> VerificationAnswering:
        """As a model file says, with the threshold that was asked for.

        Raises:
            RecipeError: a threshold that is no distance, or an annotation scheme, which it does not have.
        """
        if asked.scheme is not None:
            raise RecipeError("scheme belongs to keypoint models; this one compares faces")
        stored, equal_cost = (facts.thresholds.get(name) or {} for name in (SAME, EQUAL_COST))
        threshold = _number(stored.get("value")) if asked.threshold is None else float(asked.threshold)
        if asked.threshold is not None and not np.isfinite(threshold):
            raise RecipeError(f"threshold is a distance between embeddings; received {asked.threshold}")
        calibration = facts.thresholds.get(CALIBRATION)
        return cls(
            back_end=back_end_from_facts(facts.prediction.get("back_end") or {}, facts.arrays),
            space=str(facts.prediction.get(SPACE) or ""),
            mirrored=bool(facts.prediction.get("mirrored")),
            threshold=threshold,
            false_accept=_number(stored.get("false_accept")) if asked.threshold is None else float("nan"),
            calibration=PairCalibration.from_dict(calibration) if calibration else None,
            most_right=_number(equal_cost.get("value")) if asked.threshold is None else threshold,
            most_right_from=str(equal_cost.get("tuned_on") or "") if asked.threshold is None else "given",
        )

    def combine(self, outputs: Any, mirrored_outputs: Any | None, size: tuple[int, int]) -> Any:
        """Embeddings (B, D'): the mean over image and mirror image, as the back end takes it."""
        return self.back_end.transform(raw_combined(outputs, mirrored_outputs))

    def answer(self, combined: Outputs, photos: Photos) -> Embeddings:
        """The embedding of each face."""
        if not len(photos.source):
            combined = np.zeros((0, combined.shape[1] if combined.ndim == 2 else 0), np.float32)
        elif combined.ndim != 2 or not np.isfinite(combined).all():
            raise BundleError(
                f"the model gave numbers of shape {combined.shape}, or NaN, instead of one embedding a face"
            )
        return Embeddings(
            vectors=np.asarray(combined, np.float32), space=self.space, source=photos.source, row=photos.row,
            skipped=photos.skipped, notes=photos.notes, found=photos.found or Found.nowhere(len(photos.source)), answering=self,
        )  # fmt: skip

    def join(self, answers: Sequence[Embeddings]) -> Embeddings:
        """All embeddings in order, the two of a face that was seen twice (`prediction.finding`) as their mean; none gives an empty one."""
        filled = [part.vectors for part in answers if len(part)]
        found = Found.joined([part.found for part in answers])
        whole = Embeddings(
            vectors=np.concatenate(filled) if filled else np.zeros((0, 0), np.float32),
            space=self.space,
            source=np.concatenate([np.zeros(0, np.str_), *(part.source for part in answers)]),
            row=np.concatenate([np.zeros(0, np.int64), *(part.row for part in answers)]),
            skipped=tuple(problem for part in answers for problem in part.skipped),
            notes=tuple(dict.fromkeys(note for part in answers for note in part.notes)),
            found=found,
            answering=self,
        )
        boxed = np.asarray(~np.isnan(found.boxes).any(1), np.bool_)
        again = np.zeros(len(whole), np.bool_)  # the second look at the face before
        again[1:] = (
            boxed[:-1] & ~boxed[1:] & (whole.source[1:] == whole.source[:-1]) & (whole.row[1:] == whole.row[:-1])
        )
        if not again.any():
            return whole
        second = np.flatnonzero(again)
        vectors = whole.vectors.copy()
        vectors[second - 1] = self.back_end.mean(vectors[second - 1], vectors[second])
        return dataclasses.replace(whole, vectors=vectors).take(np.flatnonzero(~again))

    def compare(self, first: Embeddings, second: Embeddings) -> Comparison:
        """Whether two faces are one person's; each of one face.

        Raises:
            DataError: embeddings of another model, or not of one face each.
        """
        for which in (first, second):
            self.check_space(which)
            if len(which) != 1:
                raise DataError(f"two faces are compared at a time; received embeddings of {len(which)} faces")
        distance = float(self.back_end.distance(first.vectors, second.vectors)[0])
        known = self.calibration
        return Comparison(
            distance=distance,
            threshold=self.threshold,
            false_accept=self.false_accept,
            probability=float("nan") if known is None else float(known.probability(np.array([distance]))[0]),
            accepted_at=float("nan") if known is None else float(known.false_accept_at(distance)),
            first=str(first.source[0]),
            second=str(second.source[0]),
        )

    def check_space(self, embeddings: Embeddings) -> None:
        """These are this model's embeddings.

        Raises:
            DataError: they are another's.
        """
        if embeddings.space != self.space:
            raise DataError(
                f"these embeddings are of another model (space {embeddings.space or 'not stated'}; this one's is {self.space}): numbers of "
                "two models say nothing of each other; embed the photos with this model again (facelearn embed)"
            )


def raw_combined(outputs: Any, mirrored_outputs: Any | None) -> Any:
    """The mean over images and mirror images (B, D), NumPy or torch: a mirrored face shows the same person."""
    return outputs if mirrored_outputs is None else (outputs + mirrored_outputs) / 2


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


@dataclass(frozen=True)
class Comparison:
    """What is said of two faces.

    Attributes:
        distance: between their embeddings, by the model's back end; smaller is more alike.
        threshold: up to it they are called the same person's; NaN where the model has none.
        false_accept: share of pairs of different people that the threshold lets pass, as calibrated; NaN where not known.
        probability: that they are one person's, at even odds; NaN where the model is not calibrated.
        accepted_at: the false accept rate at which this pair would just pass; NaN where not known.
        first, second: the photos.
    """

    distance: float
    threshold: float
    false_accept: float
    probability: float
    accepted_at: float
    first: str = ""
    second: str = ""

    @property
    def same(self) -> bool | None:
        """True for the same person, False for different ones, None where the model has no threshold."""
        return None if np.isnan(self.threshold) else self.distance <= self.threshold

    def to_json(self) -> dict[str, Any]:
        """JSON values; None where a number is not known."""
        numbers = {
            name: None if np.isnan(value := getattr(self, name)) else value
            for name in ("distance", "threshold", "probability", "false_accept", "accepted_at")
        }
        return {"same": self.same, **numbers, "first": self.first, "second": self.second}

    def lines(self) -> list[str]:
        """Text for a terminal."""
        if self.same is None:
            verdict = "the model has no threshold; find one with: facelearn calibrate MODEL --pairs FILE --images DIR --far 0.01"
        else:
            verdict = "same person" if self.same else "different people"
        lines = [verdict, f"distance {self.distance:.4f}" + self._beside_the_threshold()]
        if not np.isnan(self.probability):
            lines.append(
                f"probability {self.probability:.1%} that it is one person, if both answers were as likely before"
            )
        if not np.isnan(self.accepted_at):
            lines.append(f"of pairs of different people {self.accepted_at:.2%} are as near as this")
        return lines

    def _beside_the_threshold(self) -> str:
        if np.isnan(self.threshold):
            return ""
        rate = "" if np.isnan(self.false_accept) else f", which lets {self.false_accept:.2%} of different people pass"
        return f", threshold {self.threshold:.4f}{rate}"


@dataclass(frozen=True)
class FaceEmbedding:
    """The embedding of one face.

    Attributes:
        vector: float32 (D,).
        source, row: as in `Embeddings`.
    """

    vector: NDArray[np.float32]
    source: str
    row: int


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of N faces. A photo with several faces has as many rows.

    Attributes:
        vectors: float32 (N, D).
        space: which model's they are; those of another are refused wherever two meet.
        source: str (N,), each photo's file; empty for arrays.
        row: int64 (N,), row or image id in that file, 1-based position for arrays, -1 where the file is the photo.
        skipped: photos that could not be read, left out.
        notes: what is to be known of how the photos were taken.
        found: boxes and scores of the faces, and the photos that show none.
        answering: how the model that made them compares them; None where only the numbers are at hand.
    """

    vectors: NDArray[np.float32]
    space: str
    source: NDArray[np.str_]
    row: NDArray[np.int64]
    skipped: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    found: Found = field(default_factory=lambda: Found.nowhere(0))
    answering: VerificationAnswering | None = None

    def __post_init__(self) -> None:
        if len(self.found.boxes) != len(self.vectors):
            object.__setattr__(self, "found", Found.nowhere(len(self.vectors)))

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int) -> FaceEmbedding:
        """The embedding of one face, counted from 0, or from the end below it."""
        return FaceEmbedding(self.vectors[index], str(self.source[index]), int(self.row[index]))

    def __iter__(self) -> Iterator[FaceEmbedding]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        left_out = f", {len(self.skipped)} left out" if self.skipped else ""
        return f"Embeddings({len(self):,} faces of {self.vectors.shape[1]} numbers, space {self.space}{left_out})"

    def take(self, index: Sequence[int] | NDArray[np.int64]) -> Embeddings:
        """Some of the faces, by their indices."""
        rows = np.asarray(index, np.int64)
        return Embeddings(
            self.vectors[rows], self.space, self.source[rows], self.row[rows], self.skipped, self.notes,
            Found(self.found.boxes[rows], self.found.scores[rows], self.found.faceless), self.answering,
        )  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each face: file, row (only where photos are rows of a file), embedding; where faces were looked for, score, box."""
        found = []
        for i in range(len(self)):
            place: dict[str, Any] = {"file": str(self.source[i])}
            if self.row[i] >= 0:
                place["row"] = int(self.row[i])
            found.append(place | {**self.found.json(i), "embedding": self.vectors[i].tolist()})
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON values: images, space, and for each face its file, row and embedding."""
        return {
            "images": len(self), "space": self.space, "faceless": list(self.found.faceless), "predictions": self.rows(),
        }  # fmt: skip

    def lines(self, path: Path | None = None) -> list[str]:
        """Text for a terminal."""
        size = self.vectors.shape[1]
        if path is not None:
            return [f"{len(self)} embeddings of {size} numbers, space {self.space}: {path}"]
        return [
            f"{row['file']}"
            + (f", row {row['row']}" if "row" in row else "")
            + self.found.text(i)
            + f": {size} numbers"
            for i, row in enumerate(self.rows())
        ]

    def mark(self, i: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], str]:
        """What is drawn on the photo of face i: nothing but its box."""
        return np.zeros((0, 2)), np.zeros(0, np.bool_), ""

    def ids(self, path: str | Path) -> tuple[list[str], dict[str, list[Any]]]:
        """The columns that say which face is which: names of `file` relative to the folder of `path`, and beside them row, face and box."""
        files = names_from([str(name) for name in self.source], path)
        where: Mapping[str, list[Any]] = self.found.columns(self.source.tolist(), self.row.tolist())
        rows = {"row": [int(n) for n in self.row]} if (self.row >= 0).any() else {}
        return files, {**rows, **{name: cells[: len(self)] for name, cells in where.items()}}

    def to_csv(self, path: str | Path) -> Path:
        """Write one row a face: file, row (where photos are rows of a file), where the face is, space, and the numbers as e0, e1, ..."""
        files, where = self.ids(path)
        numbers = [f"e{k}" for k in range(self.vectors.shape[1])]
        lines = (
            [files[i], *(cells[i] for cells in where.values()), self.space, *(f"{x:.7g}" for x in self.vectors[i])]
            for i in range(len(self))
        )
        return write_rows(path, ["file", *where, SPACE, *numbers], lines)
