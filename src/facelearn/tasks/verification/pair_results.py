"""What one run of verification left behind: its held-out images with their embeddings, and the pairs that it is most wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.arrays import as_rows
from facelearn.errors import DataError, FacelearnError
from facelearn.report.finished_run import EVALUATE_AGAIN, TASK, FinishedRun, broken, read_arrays, write_arrays

NAME = "verification"
HARD_PAIRS_KEPT = 12
"""How many wrong pairs of each kind a run keeps."""
_ARRAYS = ("images", "vectors", "identity", "people", "source", "row", "hard_pairs", "hard_distance")


@dataclass(frozen=True, eq=False, kw_only=True)
class PairResult(FinishedRun):
    """One trained or evaluated model, and the N held-out images of P people that it was measured on.

    Attributes (beside those of `FinishedRun`; the metrics are as `metrics.pairs.pair_metrics` returns them, with "summary" where it was
    recorded):
        images: uint8 (N, H, W, channels), channels 1 or 3 (RGB); (0, ...) where no pictures were kept.
        vectors: float32 (N, D), as they are compared: behind the back end.
        identity: int64 (N,), 0..P-1, -1 where nobody knows.
        people: the P names.
        source: str (N,), the file each image came from.
        row: int64 (N,), 1-based row in that file, -1 where the file is the image.
        hard_pairs: int64 (M, 2), rows of the pairs that were decided wrong, the worst first (`hardest_pairs`).
        hard_distance: float64 (M,), their distances.
    """

    images: NDArray[np.uint8]
    vectors: NDArray[np.float32]
    identity: NDArray[np.int64]
    people: tuple[str, ...]
    source: NDArray[np.str_]
    row: NDArray[np.int64]
    hard_pairs: NDArray[np.int64]
    hard_distance: NDArray[np.float64]

    def __post_init__(self) -> None:
        n, p, m = len(self.vectors), len(self.people), len(self.hard_distance)
        wanted = {"identity": (n,), "source": (n,), "row": (n,), "hard_pairs": (m, 2), "hard_distance": (m,)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise DataError(
                    f"{name} of run '{self.name}' must have shape {shape} to go with {n} embeddings and {m} hard pairs; "
                    f"received {getattr(self, name).shape}"
                )
        if self.vectors.ndim != 2:
            raise DataError(f"vectors of run '{self.name}' must have shape (N, D); received {self.vectors.shape}")
        if self.images.ndim != 4 or self.images.shape[3] not in (1, 3) or len(self.images) not in (0, n):
            raise DataError(
                f"images of run '{self.name}' must hold {n} images (or none) of shape (H, W, 1 or 3); "
                f"received an array of shape {self.images.shape}"
            )
        for name, numbers, low, high in (("identity", self.identity, -1, p), ("hard_pairs", self.hard_pairs, 0, n)):
            if numbers.size and (int(numbers.min()) < low or int(numbers.max()) >= high):
                raise DataError(
                    f"{name} of run '{self.name}' must lie between {low} and {high - 1}; "
                    f"received {int(numbers.min())} to {int(numbers.max())}"
                )

    def __len__(self) -> int:
        return len(self.vectors)


def hardest_pairs(
    first: ArrayLike,
    second: ArrayLike,
    distance: ArrayLike,
    same: ArrayLike,
    threshold: float,
    *,
    person: ArrayLike | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The pairs that are decided wrong, those farthest on the wrong side of the threshold first: at most `HARD_PAIRS_KEPT` of each kind.

    Of the wrong pairs of the same two people, or of one person, only the worst is kept, as far as it is known who they are.

    Args:
        first, second: (P,) rows of each pair.
        distance: (P,), smaller is closer.
        same: bool (P,), whether both are one person.
        threshold: pairs at or below it are taken for one person.
        person: (N,) whole numbers, who is on each row, below 0 where nobody knows.

    Returns:
        `hard_pairs` and `hard_distance` of a `PairResult`, different people who were taken for one before the others.
    """
    rows, apart = (
        np.stack([np.asarray(first), np.asarray(second)], 1).astype(np.int64),
        np.asarray(distance, np.float64),
    )
    who = np.full(rows.shape, -1) if person is None else np.sort(np.asarray(person)[rows], axis=1)
    who[who[:, 0] < 0] = -1 - rows[who[:, 0] < 0]  # nobody else's numbers
    kind, chosen = np.asarray(same, np.bool_), [np.empty(0, np.int64)]
    for wrong, key in ((~kind & (apart <= threshold), apart), (kind & (apart > threshold), -apart)):
        worst = np.flatnonzero(wrong)
        worst = worst[np.argsort(key[worst], kind="stable")]
        place = np.sort(np.unique(who[worst], axis=0, return_index=True)[1])
        chosen.append(worst[place[:HARD_PAIRS_KEPT]])
    kept = np.concatenate(chosen)
    return rows[kept], apart[kept]


def save_pair_results(
    file: str | Path,
    *,
    images: NDArray[np.uint8],
    vectors: ArrayLike,
    identity: ArrayLike,
    people: Sequence[str],
    source: ArrayLike,
    row: ArrayLike,
    hard_pairs: ArrayLike | None = None,
    hard_distance: ArrayLike | None = None,
) -> Path:
    """Write the held-out images and their embeddings to `file`, whole or not at all.

    Args:
        file: `record.folder.RunFolder.evaluation`.
        images, vectors, identity, people, source, row: as the attributes of `PairResult`.
        hard_pairs, hard_distance: as `hardest_pairs` gives them; None for none.

    Raises:
        DataError: shapes that do not go together.
    """
    checked = PairResult(
        name=str(Path(file).parent),
        images=as_rows(images, np.uint8),
        vectors=np.asarray(vectors, np.float32),
        identity=np.asarray(identity, np.int64),
        people=tuple(map(str, people)),
        source=as_rows(source, np.str_),
        row=np.asarray(row, np.int64),
        hard_pairs=np.empty((0, 2), np.int64) if hard_pairs is None else np.asarray(hard_pairs, np.int64),
        hard_distance=np.empty(0) if hard_distance is None else np.asarray(hard_distance, np.float64),
    )
    arrays = {
        name: np.asarray(value, np.str_) if isinstance(value := getattr(checked, name), tuple) else value
        for name in _ARRAYS
    }
    return write_arrays(file, **{TASK: np.asarray(NAME)}, **arrays)


def load_pair_results(run: FinishedRun, file: Path) -> PairResult:
    """A run with its held-out images; without any where there is no `file` yet.

    Raises:
        FacelearnError: a file that is cut short, or that of another task.
    """
    if not file.is_file():
        return PairResult(
            **vars(run), images=np.empty((0, 1, 1, 1), np.uint8), vectors=np.empty((0, 0), np.float32),
            identity=np.empty(0, np.int64), people=(), source=np.empty(0, np.str_), row=np.empty(0, np.int64),
            hard_pairs=np.empty((0, 2), np.int64), hard_distance=np.empty(0),
        )  # fmt: skip
    stored = read_arrays(file)
    task = str(stored.get(TASK, "keypoints"))
    if task != NAME:
        raise FacelearnError(
            f"{file} holds the evaluation of a run of {task}, not of {NAME}; "
            f"give the folder of a run that was trained with --task {NAME}"
        )
    try:
        return PairResult(
            **vars(run), images=stored["images"], source=stored["source"], row=stored["row"],
            vectors=stored["vectors"].astype(np.float32), identity=stored["identity"].astype(np.int64),
            people=tuple(map(str, stored["people"])), hard_pairs=stored["hard_pairs"].astype(np.int64),
            hard_distance=stored["hard_distance"].astype(np.float64),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise broken(file, error, EVALUATE_AGAIN) from error
