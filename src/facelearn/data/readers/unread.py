"""Files that look like labels and were not read: named, and never passed over as if a folder held photos alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from facelearn.files import is_own_run
from facelearn.outside import open_regular, what_it_is

LABEL_LIKE = frozenset(
    {
        ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".txt", ".pts", ".mat", ".yaml", ".yml", ".parquet", ".npz", ".npy", ".h5",
        ".hdf5", ".pkl", ".pickle", ".xlsx", ".xls", ".sqlite", ".db3", ".lst", ".ann", ".land", ".cat", ".shape", ".rda", ".toml",
    }
)  # fmt: skip
_PROSE = re.compile(
    r"^(readme|licen[cs]e|copying|citation|changelog|changes|authors|notice|requirements|terms)\b", re.IGNORECASE
)
_BINARY = frozenset(
    {".mat", ".npz", ".npy", ".h5", ".hdf5", ".pkl", ".pickle", ".parquet", ".xlsx", ".xls", ".sqlite", ".db3", ".rda"}
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?", re.IGNORECASE)
_FILE = re.compile(r"\.(jpe?g|png|bmp|gif|tiff?|webp|pgm|ppm|jfif|avif|heic)$")
_NAMED = 5
_START = 1 << 16
_LOOKED_AT = 1 << 20


def label_like(folder: Path, *, deep: bool = True) -> list[Path]:
    """Files under `folder` (in it alone unless `deep`) whose extension is one that labels are kept in; hidden ones, prose such as a README
    and the folders of facelearn's own runs left out."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if deep and not name.startswith((".", "__MACOSX")))
        if is_own_run(files):
            folders.clear()
            continue
        for name in sorted(files):
            path = Path(root, name)
            if (
                path.suffix.lower() in LABEL_LIKE
                and not name.startswith(".")
                and not _PROSE.match(name)
                and what_it_is(path) == "file"
            ):
                found.append(path)
    return [path for path in found if path.suffix.lower() != ".txt" or not _is_prose(path)]


def _is_prose(path: Path) -> bool:
    """A text without a line of two numbers and without one that puts more beside a file's name: notes, or a list of paths."""
    try:
        with open_regular(path) as file:
            text = file.read(_START).decode("utf-8", "replace")
    except OSError:
        return True
    if "\0" in text:
        return False
    lines = [re.split(r"[\s,;|]+", line.strip()) for line in text.splitlines()[:200]]
    return not any(
        sum(_NUMBER.fullmatch(word) is not None for word in words) > 1
        or (len(words) > 1 and any(_FILE.search(word.lower()) for word in words))
        for words in lines
    )


def unread_labels_note(folder: Path, read: Iterable[Path], why: Callable[[Path], str]) -> list[str]:
    """One sentence that counts and names what looks like labels under `folder` and is not among `read`, with `why` where that is known."""
    known = {os.path.realpath(path) for path in read}
    left = [path for path in label_like(folder) if os.path.realpath(path) not in known]
    if not left:
        return []
    named = [(path.relative_to(folder).as_posix(), why(path)) for path in left[:_NAMED]]
    first = ", ".join(f"{name} ({reason})" if reason else name for name, reason in named)
    first += f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    files = "1 file that looks like labels was" if len(left) == 1 else f"{len(left)} files that look like labels were"
    return [f"{files} not read: {first}"]


def labels_beside(folder: Path, images: Sequence[Path], ignored: Collection[Path] = ()) -> list[Path]:
    """Files at the top of `folder` that may hold labels of `images`: those that name one of them and say something of it, and binary ones,
    which cannot be looked into. A list of nothing but paths is none."""
    names = {image.name for image in images}
    stems = {image.stem for image in images if not image.stem.isdecimal()}
    skip = {os.path.realpath(path) for path in ignored}
    files = [path for path in label_like(folder, deep=False) if os.path.realpath(path) not in skip]
    return [path for path in files if path.suffix.lower() in _BINARY or speaks_of(path, names, stems)]


def speaks_of(path: Path, names: Collection[str], stems: Collection[str]) -> bool:
    """Whether a text names one of the images, by base name or (where that is no mere number) without extension, beside other words."""
    try:
        with open_regular(path) as file:
            text = file.read(_LOOKED_AT).decode("utf-8", "replace")
    except OSError:
        return False
    for line in text.splitlines():
        words = re.split(r"[\s,;:|\"'<>=(){}\[\]]+", line.replace("\\", "/"))
        bases = [word.rsplit("/", 1)[-1] for word in words if word]
        if len(bases) > 1 and any(base in names or base in stems for base in bases):
            return True
    return False
