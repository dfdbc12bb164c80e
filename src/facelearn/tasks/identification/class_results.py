"""What one run of identification left behind: its held-out images with the probabilities of all people, and the surest strangers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.arrays import as_rows
from facelearn.errors import DataError, FacelearnError
from facelearn.report.finished_run import EVALUATE_AGAIN, TASK, FinishedRun, broken, read_arrays, write_arrays

NAME = "identification"
STRANGERS_KEPT = 64
"""How many pictures of strangers a run keeps: those that came closest to being given a name."""
_ARRAYS = (
    "images", "truth", "probabilities", "people", "examples", "source", "row", "stranger_images", "stranger_probabilities",
)  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassResult(FinishedRun):
    """One trained or evaluated classifier of C people, and the N held-out images that it was measured on.

    Attributes (beside those of `FinishedRun`; the metrics are as `metrics.classes.class_metrics` returns them,
    with "open_set", "temperature" and "summary" where these were measured):
        images: uint8 (N, H, W, channels), channels 1 or 3 (RGB); (0, ...) where no pictures were kept.
        truth: int64 (N,), 0..C-1.
        probabilities: float32 (N, C), after temperature; rows sum to 1.
        people: the C names.
        examples: uint8 (C, H, W, channels), a training image of each person; (0, ...) where none were kept.
        source: str (N,), the file each image came from.
        row: int64 (N,), 1-based row in that file, -1 where the file is the image.
        stranger_images: uint8 (M, H, W, channels), of the first M <= S strangers.
        stranger_probabilities: float32 (S, C), of images of people that the model does not know, the surest first.
    """

    images: NDArray[np.uint8]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    people: tuple[str, ...]
    examples: NDArray[np.uint8]
    source: NDArray[np.str_]
    row: NDArray[np.int64]
    stranger_images: NDArray[np.uint8]
    stranger_probabilities: NDArray[np.float32]

    def __post_init__(self) -> None:
        n, c = len(self.truth), len(self.people)
        strangers = len(self.stranger_probabilities)
        wanted = {
            "truth": (n,), "probabilities": (n, c), "source": (n,), "row": (n,), "stranger_probabilities": (strangers, c),
        }  # fmt: skip
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise DataError(
                    f"{name} of run '{self.name}' must have shape {shape} to go with {n} images and {c} people; "
                    f"received {getattr(self, name).shape}"
                )
        for name, most in (("images", n), ("examples", c), ("stranger_images", strangers)):
            pictures = getattr(self, name)
            some = name == "stranger_images" and len(pictures) <= most
            if pictures.ndim != 4 or pictures.shape[3] not in (1, 3) or not (some or len(pictures) in (0, most)):
                raise DataError(
                    f"{name} of run '{self.name}' must hold {'at most ' if name == 'stranger_images' else ''}{most} images "
                    f"(or none) of shape (H, W, 1 or 3); received an array of shape {pictures.shape}"
                )
        if n and (int(self.truth.min()) < 0 or int(self.truth.max()) >= c):
            raise DataError(
                f"truth of run '{self.name}' must count from 0 to {c - 1} for {c} people; "
                f"received {int(self.truth.min())} to {int(self.truth.max())}"
            )

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (N,): the class with the largest probability, the first of equals."""
        return self.probabilities.argmax(1).astype(np.int64) if len(self.people) else np.zeros(len(self), np.int64)


def save_class_results(
    file: str | Path,
    *,
    images: NDArray[np.uint8],
    truth: ArrayLike,
    probabilities: ArrayLike,
    people: Sequence[str],
    examples: NDArray[np.uint8] | None = None,
    source: ArrayLike,
    row: ArrayLike,
    stranger_images: NDArray[np.uint8] | None = None,
    stranger_probabilities: ArrayLike | None = None,
) -> Path:
    """Write the held-out images and their probabilities to `file`, whole or not at all.

    Args:
        file: `record.folder.RunFolder.evaluation`.
        images, truth, probabilities, people, examples, source, row: as the attributes of `ClassResult`.
        stranger_images, stranger_probabilities: in any order, an image for each row of probabilities (or None): they are stored by
            falling largest probability, with the pictures of the first `STRANGERS_KEPT`.

    Raises:
        DataError: shapes that do not go together.
    """
    unknown, pictures = _surest_strangers(stranger_images, stranger_probabilities, len(people))
    checked = ClassResult(
        name=str(Path(file).parent),
        images=_pictures(images),
        truth=np.asarray(truth, np.int64),
        probabilities=np.asarray(probabilities, np.float32),
        people=tuple(map(str, people)),
        examples=_pictures(examples),
        source=as_rows(source, np.str_),
        row=np.asarray(row, np.int64),
        stranger_images=pictures,
        stranger_probabilities=unknown,
    )
    # float32, not float16: who is largest, and whether it lies above the threshold, must stay what the metrics saw
    arrays = {
        name: np.asarray(value) if isinstance(value := getattr(checked, name), tuple) else value for name in _ARRAYS
    }
    return write_arrays(file, **{TASK: np.asarray(NAME)}, **arrays)


def _surest_strangers(
    images: NDArray[np.uint8] | None, probabilities: ArrayLike | None, people: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Probabilities of all strangers by falling largest one, and the pictures of the first of them."""
    given = np.zeros((0, people)) if probabilities is None else probabilities
    unknown: NDArray[np.float32] = np.asarray(given, np.float32)
    pictures = _pictures(images)
    if len(pictures) not in (0, len(unknown)):
        raise DataError(
            f"stranger_images must hold an image for each of the {len(unknown)} rows of stranger_probabilities, or none; "
            f"received {len(pictures)}"
        )
    if unknown.ndim != 2 or not unknown.size:
        return unknown, pictures
    surest = np.argsort(-unknown.max(1), kind="stable")
    return unknown[surest], pictures[surest[:STRANGERS_KEPT]] if len(pictures) else pictures


def load_class_results(run: FinishedRun, file: Path) -> ClassResult:
    """A run with its held-out images; without any where there is no `file` yet.

    Raises:
        FacelearnError: a file that is cut short, or that of another task.
    """
    if not file.is_file():
        none, nobody = _pictures(None), np.empty((0, 0), np.float32)
        return ClassResult(
            **vars(run), images=none, truth=np.empty(0, np.int64), probabilities=nobody, people=(), examples=none,
            source=np.empty(0, np.str_), row=np.empty(0, np.int64), stranger_images=none, stranger_probabilities=nobody,
        )  # fmt: skip
    stored = read_arrays(file)
    task = str(stored.get(TASK, "keypoints"))
    if task != NAME:
        raise FacelearnError(
            f"{file} holds the evaluation of a run of {task}, not of {NAME}; "
            "give the folder of a run that was trained with --task identification"
        )
    try:
        arrays: dict[str, Any] = {
            name: stored[name] for name in ("images", "examples", "stranger_images", "source", "row")
        }
        return ClassResult(
            **vars(run), **arrays, truth=stored["truth"].astype(np.int64),
            probabilities=stored["probabilities"].astype(np.float32), people=tuple(map(str, stored["people"])),
            stranger_probabilities=stored["stranger_probabilities"].astype(np.float32),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise broken(file, error, EVALUATE_AGAIN) from error


def _pictures(images: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    pictures: NDArray[np.uint8] = np.empty((0, 1, 1, 1), np.uint8) if images is None else as_rows(images, np.uint8)
    return pictures
