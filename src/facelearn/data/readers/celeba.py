"""CelebA: the five landmarks as the original text or as Kaggle's CSV, with identities and the partition where they lie beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import parse_points, reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder, read_text
from facelearn.data.readers.mtfl import VIEWERS_FIVE
from facelearn.data.schema import FIVE
from facelearn.errors import DataError, Problem

COLUMNS = tuple(
    f"{name}_{axis}" for name in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
)
IMAGE_FOLDERS = (
    "img_align_celeba",
    "img_align_celeba/img_align_celeba",
    "img_align_celeba_png",
    "img_celeba",
    "Img/img_align_celeba",
)
_SPLITS = {"0": "train", "1": "valid", "2": "test"}


def looks_like_celeba(first: str, second: str) -> bool:
    """The header of `list_landmarks_celeba`, in the first line or, after the number of images, in the second."""
    return _names(first) == COLUMNS or (first.strip().isdecimal() and _names(second) == COLUMNS)


def _names(line: str) -> tuple[str, ...]:
    return tuple(word for word in line.lower().replace(",", " ").split() if word != "image_id")


def list_celeba(path: Path, asked: ListingOptions) -> Listing:
    """Read `list_landmarks_align_celeba` or `list_landmarks_celeba`, `.txt` or `.csv`.

    CelebA's left and right are the viewer's; here they are the person's own. Coordinates are pixels and taken as they are.
    `identity_CelebA` and `list_eval_partition` beside the file give person and split. `Faces.row` is the 1-based data row.

    Raises:
        DataError: no such list, or keypoints asked for that CelebA does not have.
    """
    schema, order, notes = settle_schema(VIEWERS_FIVE, False, asked.schema, str(path))
    listing = Listing("celeba", schema, [], [], notes, [path])
    listing.warnings.append(
        f"CelebA calls the viewer's sides left and right; read as '{FIVE.name}', whose sides are the person's own"
    )
    people = _beside(path, "identity_CelebA", listing)
    splits = _beside(path, "list_eval_partition", listing)
    finder = ImageFinder(path, IMAGE_FOLDERS)
    declared, lines = _lines(path)
    count = 0
    for count, words in enumerate(lines, start=1):
        try:
            if len(words) != 1 + len(COLUMNS):
                raise ValueError(f"has {len(words)} fields where the image and x, y of five points are needed")
            points = reorder(parse_points(words[1:], VIEWERS_FIVE), order)
            split = splits.get(words[0])
            listing.records.append(
                Record(
                    finder.find(words[0]), points, row=count, label=str(path), label_row=count,
                    person=people.get(words[0]), split=None if split is None else _SPLITS.get(split, split),
                )
            )  # fmt: skip
        except ValueError as error:
            listing.problems.append(Problem(str(path), count, str(error)))
    if declared not in (None, count):
        listing.warnings.append(f"{path.name} says {declared} images and has {count}")
    if not count:
        raise DataError(f"{path} holds no landmarks below its header")
    unnamed = sum(record.person is None for record in listing.records) if people else 0
    if unnamed:
        listing.warnings.append(f"{unnamed} images stand in no line of identity_CelebA; their people are unknown")
    listing.warnings += finder.notes()
    return listing


def _lines(path: Path) -> tuple[int | None, Iterator[list[str]]]:
    """The number of images that the file declares, and the words of each line below its header."""
    lines = read_text(path).splitlines()
    declared = int(lines[0]) if lines[0].strip().isdecimal() and len(lines[0]) < 12 else None
    below = lines[1 if declared is None else 2 :]
    comma = "," in lines[0]
    return declared, (
        [word.strip() for word in (line.split(",") if comma else line.split())] for line in below if line.strip()
    )


def _beside(path: Path, name: str, listing: Listing) -> dict[str, str]:
    """Image -> word, of a list of two columns that lies beside the landmarks or in a neighbouring folder, if it does."""
    folders = [
        path.parent,
        *(child for child in sorted(path.parent.parent.iterdir()) if child.name in ("Anno", "Eval")),
    ]
    file = next((f for folder in folders for end in (".txt", ".csv") if (f := folder / f"{name}{end}").is_file()), None)
    if file is None:
        return {}
    listing.label_files.append(file)
    rows = [line.replace(",", " ").split() for line in read_text(file).splitlines() if line.strip()]
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != 2), None)
    if wrong is not None:
        raise DataError(
            f"{file}, row {wrong}: has {len(rows[wrong - 1])} words where the image and one more are needed"
        )
    return {image: word for image, word in rows if image != "image_id"}
