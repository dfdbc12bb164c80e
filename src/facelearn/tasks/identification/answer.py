"""How a network's outputs become names, `Identities`: who is on each photo, and the file that says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import NOBODY
from facelearn.data.writers import names_from
from facelearn.errors import BundleError, Problem, RecipeError
from facelearn.metrics.calibration import softmax
from facelearn.showing import write_rows
from facelearn.tasks.found import Found
from facelearn.tasks.task import NOTHING_ASKED, AnswerFacts, Asked, Outputs, Photos

UNKNOWN = NOBODY
_LAST = ("name", "probability", "likeliest", "second", "second_probability", "third", "third_probability")


@dataclass(frozen=True)
class NameAnswering:
    """How logits (B, C) become names.

    Attributes:
        people: the C names.
        mirrored: logits are means over the image and its mirror image.
        temperature: what logits are divided by before the softmax, tuned on held-out rows (Guo et al. 2017).
        threshold: the smallest probability at which a name is given; 0 always gives one.
    """

    people: tuple[str, ...]
    mirrored: bool = False
    temperature: float = 1.0
    threshold: float = 0.0
    output: str = "logits"

    @classmethod
    def from_facts(cls, facts: AnswerFacts, asked: Asked = NOTHING_ASKED) -> NameAnswering:
        """As a model file says, with the threshold that was asked for.

        Raises:
            RecipeError: a threshold outside 0 .. 1, or an annotation scheme, which it does not have.
        """
        if asked.threshold is not None and not 0 <= asked.threshold <= 1:
            raise RecipeError(f"threshold is a probability, 0 to 1; received {asked.threshold}")
        if asked.scheme is not None:
            raise RecipeError("scheme belongs to keypoint models; this one identifies people")
        stored = float((facts.thresholds.get("unknown") or {}).get("value") or 0.0)
        return cls(
            people=facts.people,
            mirrored=bool(facts.prediction.get("mirrored")),
            temperature=float(facts.prediction.get("temperature") or 1.0),
            threshold=stored if asked.threshold is None else asked.threshold,
        )

    def combine(self, outputs: Any, mirrored_outputs: Any | None, size: tuple[int, int]) -> Any:
        """Logits (B, C): a mirrored face shows the same person."""
        return outputs if mirrored_outputs is None else (outputs + mirrored_outputs) / 2

    def probabilities(self, combined: Outputs) -> NDArray[np.float32]:
        """float32 (N, C) from combined logits."""
        return softmax(combined, self.temperature)

    def answer(self, combined: Outputs, photos: Photos) -> Identities:
        """Who is on each photo."""
        wanted = (len(self.people),)
        if not len(photos.source):
            combined = np.zeros((0, *wanted), np.float32)
        elif combined.shape[1:] != wanted or not np.isfinite(combined).all():
            raise BundleError(
                f"the model gave {combined.shape} numbers, or NaN, instead of one finite number for each of {wanted[0]} people"
            )
        return Identities(
            probabilities=self.probabilities(combined), people=self.people, threshold=self.threshold,
            source=photos.source, row=photos.row, skipped=photos.skipped, notes=photos.notes,
            found=photos.found or Found.nowhere(len(photos.source)),
        )  # fmt: skip

    def join(self, answers: Sequence[Identities]) -> Identities:
        """All identities in order; none gives an empty one."""
        return join(answers, self.people, self.threshold)


@dataclass(frozen=True)
class FaceIdentity:
    """Who is on one photo.

    Attributes:
        name: "unknown" where nobody is likely enough.
        probability: of the likeliest person.
        likeliest: that person, whatever the threshold says.
        source, row: as in `Identities`.
    """

    name: str
    probability: float
    likeliest: str
    source: str
    row: int


@dataclass(frozen=True, eq=False)
class Identities:
    """Whose N faces these are. A photo with several faces has as many rows.

    Attributes:
        probabilities: float32 (N, C), calibrated; rows add up to 1.
        people: the C names.
        threshold: a face whose largest probability is below it is unknown; 0 gives everyone a name.
        source: str (N,), each photo's file; empty for arrays.
        row: int64 (N,), row or image id in that file, 1-based position for arrays, -1 where the file is the photo.
        skipped: photos that could not be read, left out.
        notes: what is to be known of how the photos were taken.
        found: boxes and scores of the faces, and the photos that show none.
    """

    probabilities: NDArray[np.float32]
    people: tuple[str, ...]
    threshold: float
    source: NDArray[np.str_]
    row: NDArray[np.int64]
    skipped: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    found: Found = field(default_factory=lambda: Found.nowhere(0))

    def __post_init__(self) -> None:
        if len(self.found.boxes) != len(self.probabilities):
            object.__setattr__(self, "found", Found.nowhere(len(self.probabilities)))

    def __len__(self) -> int:
        return len(self.probabilities)

    def __getitem__(self, index: int) -> FaceIdentity:
        """Who is on one photo, counted from 0, or from the end below it."""
        likeliest, probability = self.people[self.likeliest[index]], float(self.probability[index])
        name = UNKNOWN if self.unknown[index] else likeliest
        return FaceIdentity(name, probability, likeliest, str(self.source[index]), int(self.row[index]))

    def __iter__(self) -> Iterator[FaceIdentity]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        left_out = f", {len(self.skipped)} left out" if self.skipped else ""
        return f"Identities({len(self):,} photos, {int(self.unknown.sum()):,} unknown, {len(self.people)} people known{left_out})"

    @property
    def likeliest(self) -> NDArray[np.int64]:
        """int64 (N,): the likeliest person of each photo, whatever the threshold says."""
        return np.asarray(self.probabilities.argmax(1), np.int64)

    @property
    def probability(self) -> NDArray[np.float32]:
        """float32 (N,): the probability of the likeliest person."""
        return np.asarray(self.probabilities.max(1), np.float32)

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """bool (N,): True where nobody is likely enough."""
        return np.asarray(self.probability < self.threshold)

    @property
    def names(self) -> list[str]:
        """The name for each photo, "unknown" where nobody is likely enough."""
        likeliest, unknown = self.likeliest, self.unknown
        return [UNKNOWN if unknown[i] else self.people[likeliest[i]] for i in range(len(self))]

    def top(self, count: int = 3) -> list[list[tuple[str, float]]]:
        """For each photo the `count` likeliest people and their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :count]
        return [[(self.people[i], float(self.probabilities[n, i])) for i in best] for n, best in enumerate(order)]

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each face: file, row (only where photos are rows of a file), name, probability, likeliest, second and third.

        `second` and `third` are the people after the likeliest, each with its `_probability`; where faces were looked for, `score` and
        `box` are there too.
        """
        found = []
        for i, (name, best) in enumerate(zip(self.names, self.top(3), strict=True)):
            place: dict[str, Any] = {"file": str(self.source[i])}
            if self.row[i] >= 0:
                place["row"] = int(self.row[i])
            place |= {**self.found.json(i), "name": name, "probability": round(best[0][1], 4), "likeliest": best[0][0]}
            for word, (other, probability) in zip(("second", "third"), best[1:], strict=False):
                place |= {word: other, f"{word}_probability": round(probability, 4)}
            found.append(place)
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON values: images, threshold, people, and for each photo its file, row, name, probability and likeliest person."""
        return {
            "images": len(self), "threshold": self.threshold, "people": list(self.people), "faceless": list(self.found.faceless),
            "predictions": self.rows(),
        }  # fmt: skip

    def lines(self, path: Path | None = None) -> list[str]:
        """Text for a terminal: the three likeliest people of every photo, or how many photos there are in the file `path`."""
        if path is not None:
            what = "faces" if self.found.looked else "images"
            return [
                f"{len(self)} {what}, {int(self.unknown.sum())} of them unknown (threshold {self.threshold:.3f}): {path}"
            ]
        lines = []
        for i, (row, best) in enumerate(zip(self.rows(), self.top(3), strict=True)):
            place = row["file"] + (f", row {row['row']}" if "row" in row else "") + self.found.text(i)
            names = ", ".join(f"{name} {probability:.1%}" for name, probability in best)
            lines.append(f"{place}: {row['name']}  ({names})")
        return lines

    def mark(self, i: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], str]:
        """What is drawn on the photo of answer i: the name and its probability."""
        return np.zeros((0, 2)), np.zeros(0, np.bool_), f"{self.names[i]} {self.probability[i]:.0%}"

    def to_csv(self, path: str | Path) -> Path:
        """Write one row a face: file, row (where photos are rows of a file), name, probability, likeliest, and the two people after.

        Files are named relative to the folder of `path`.
        `name` is "unknown" below the threshold; `likeliest` is the likeliest person all the same, and `probability` is theirs. Where
        faces were looked for, `found.COLUMNS` stand before the name, and a photo without a face has a row of its own, with face 0.
        """
        rows = [dict(row) for row in self.rows()] + [{"file": name} for name in self.found.faceless]
        where = self.found.columns(self.source.tolist(), self.row.tolist())
        for i, (row, name) in enumerate(zip(rows, names_from([row["file"] for row in rows], path), strict=True)):
            row |= {"file": name, **{column: cells[i] for column, cells in where.items()}}
        known = [column for column in _LAST if any(column in row for row in rows)]
        columns = ["file", *(["row"] if any("row" in row for row in rows) else []), *where, *(known or _LAST[:3])]
        return write_rows(path, columns, ([row.get(column, "") for column in columns] for row in rows))


def join(parts: Sequence[Identities], people: tuple[str, ...], threshold: float) -> Identities:
    """All of `parts` in order; none gives an empty one."""
    return Identities(
        probabilities=np.concatenate([np.zeros((0, len(people)), np.float32), *(part.probabilities for part in parts)]),
        people=people,
        threshold=threshold,
        source=np.concatenate([np.zeros(0, np.str_), *(part.source for part in parts)]),
        row=np.concatenate([np.zeros(0, np.int64), *(part.row for part in parts)]),
        skipped=tuple(problem for part in parts for problem in part.skipped),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        found=Found.joined([part.found for part in parts]),
    )
