"""Lists of pairs of face photos: who is compared with whom, and whether it is one person.

Three kinds of list are told apart by their first lines. LFW's: `Name 1 2` is two photos of a person, `Name 1 Other 3` one each of two,
after a line that says how many there are (`1100`, or `10 300` for ten folds) or without it. A CSV with a header. And lines `a.jpg b.jpg 1`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import OnError
from facelearn.data.pair_formats import Line, MalformedError, PairFormat, layout_of, read_lines
from facelearn.data.readers.label_files import read_text
from facelearn.errors import DataError, Problem
from facelearn.images.decode import IMAGE_EXTENSIONS
from facelearn.outside import what_it_is

Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of photos, as a list names them.

    Attributes:
        files: the F photos, each once.
        first, second: int64 (P,), places in `files`.
        same: bool (P,), whether both are one person.
        fold: int64 (P,), from 0; -1 where the list has no folds.
        group: str (P,), "" where the list has none.
        person: str (P, 2), names of who is on the two photos, "" where that is not known.
        line: int64 (P,), 1-based line of the list.
        source: the list.
        format: "lfw", "csv" or "paths".
        notes: what was assumed or left out, one sentence each.
        problems: lines that were left out because something is wrong with them.
    """

    files: tuple[Path, ...]
    first: Index
    second: Index
    same: NDArray[np.bool_]
    fold: Index
    group: NDArray[np.str_]
    person: NDArray[np.str_]
    line: Index
    source: Path
    format: PairFormat
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.first)

    @property
    def people(self) -> Index:
        """int64 (P, 2): a number for each person, -1 where that is not known, as `metrics.pairs.pair_metrics` takes them."""
        names, index = np.unique(self.person, return_inverse=True)
        numbers = index.reshape(self.person.shape).astype(np.int64)
        return numbers - 1 if len(names) and names[0] == "" else numbers


@dataclass
class _Table:
    """The pairs that are read so far."""

    numbers: dict[Path, int] = field(default_factory=dict)
    places: dict[tuple[int, int], int] = field(default_factory=dict)
    kept: list[Line] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)

    def add(self, line: Line, photos: tuple[Path, Path]) -> None:
        """Take a pair; one that an earlier line has is counted only.

        Raises:
            MalformedError: both photos are one, or an earlier line contradicts this one.
        """
        if photos[0] == photos[1]:
            raise MalformedError(f"both photos are {photos[0].name}; a pair needs two different ones")
        one, other = (self.numbers.setdefault(photo, len(self.numbers)) for photo in photos)
        key = (min(one, other), max(one, other))
        if key in self.places:
            before = self.kept[self.places[key]]
            if before.same != line.same:
                raise MalformedError(
                    f"line {before.number} has the same two photos as {'one person' if before.same else 'different people'}"
                )
            self.twice.append(line.number)
            return
        self.places[key] = len(self.kept)
        self.kept.append(line)
        self.rows.append((one, other))


def read_pairs(path: str | Path, images: str | Path, *, on_error: OnError = "stop") -> Pairs:
    """The pairs that a list names.

    Args:
        path: the list: LFW's View 1 (`pairsDevTest.txt`) or View 2 (`pairs.txt`), a CSV with a header (columns such as file_a, file_b
            and same; optionally group, fold, person_a, person_b), or lines `a.jpg b.jpg 1`.
        images: the folder of the photos: `Name/Name_0001.jpg` for LFW's lists, whatever the extension; paths are looked for in it,
            then beside the list.
        on_error: "skip" leaves out lines that something is wrong with; they are the `problems` of what is returned.

    Raises:
        DataError: no such list or folder, no pairs, a list that says another number than it has, and unless they are skipped: lines that
            are malformed, name photos that are not there, or one photo twice. The first ten are named.
    """
    source, folder = Path(path), Path(images)
    if on_error not in ("stop", "skip"):
        raise DataError(f"on_error must be 'stop' or 'skip'; received {on_error!r}")
    if (kind := what_it_is(folder)) != "folder":
        said = f"is a {kind}" if kind else "is not there"
        raise DataError(f"--images {folder} {said}; give the folder that holds the photos of {source}")
    if what_it_is(source) == "folder":
        raise DataError(f"{source} is a folder; give the list of pairs, such as pairsDevTest.txt")
    text = read_text(source).splitlines()
    layout = layout_of(text, source)
    finder, table = _Photos(folder, source.parent), _Table()
    problems: list[Problem] = []
    total = 0
    for line in read_lines(text, layout, source):
        total += 1
        number = line.number
        try:
            if line.wrong:
                raise MalformedError(line.wrong)
            table.add(line, (finder.find(line.first), finder.find(line.second)))
        except MalformedError as error:
            problems.append(Problem(f"{source}, line {number}", None, str(error)))
    if problems and (on_error == "stop" or not table.kept):
        count = f"{len(problems)} of {total} pairs" if total > 1 else "the only pair"
        raise DataError(f"{source}: {count} cannot be used; --on-error skip leaves such pairs out", problems)
    if not table.kept:
        raise DataError(f"{source} holds no pairs")
    return _as_arrays(table, folder, source, layout, problems)


def _as_arrays(table: _Table, folder: Path, source: Path, layout: PairFormat, problems: Sequence[Problem]) -> Pairs:
    kept, files = table.kept, tuple(table.numbers)
    first, second = np.array(table.rows, np.int64).T
    same = np.array([line.same for line in kept], np.bool_)
    person = np.array([line.person for line in kept], np.str_)
    notes = []
    if not (person != "").any():
        folders = [_folder_of(file, folder) for file in files]
        if _folders_are_people(folders, first, second, same):
            person = np.array(folders, np.str_)[np.stack([first, second], 1)]
            notes.append("people are named by the folders of their photos, with which every pair agrees")
    if table.twice:
        stand = "pair stands" if len(table.twice) == 1 else "pairs stand"
        shown = ", ".join(map(str, table.twice[:5])) + (", ..." if len(table.twice) > 5 else "")
        notes.append(f"{len(table.twice)} {stand} in an earlier line of {source.name} and count once (line {shown})")
    if problems:
        notes.append(f"{len(problems)} {'pair was' if len(problems) == 1 else 'pairs were'} left out: {problems[0]}")
    return Pairs(
        files=files,
        first=first,
        second=second,
        same=same,
        fold=np.array([line.fold for line in kept], np.int64),
        group=np.array([line.group for line in kept], np.str_),
        person=person,
        line=np.array([line.number for line in kept], np.int64),
        source=source,
        format=layout,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _folder_of(file: Path, folder: Path) -> str:
    """The folder that a photo lies in below `folder`; "" for one that lies directly in it, or elsewhere."""
    parent = os.path.relpath(file.parent, folder)
    return "" if parent == "." or parent.startswith("..") else parent


def _folders_are_people(folders: Sequence[str], first: Index, second: Index, same: NDArray[np.bool_]) -> bool:
    names = np.array(folders, np.str_)
    together = names[first] == names[second]
    return bool((names != "").all() and same.any() and (together == same).all())


class _Photos:
    """Finds photos in a folder, each folder looked at once."""

    def __init__(self, folder: Path, beside: Path) -> None:
        self._folders = (folder, beside)
        self._known: dict[tuple[str, ...], Path] = {}
        self._listed: dict[Path, dict[str, str]] = {}

    def find(self, names: tuple[str, ...]) -> Path:
        """The photo that has one of `names`, paths without or with an extension.

        Raises:
            MalformedError: none has.
        """
        if (found := self._known.get(names)) is None:
            found = self._known[names] = self._look(names)
        return found

    def _look(self, names: tuple[str, ...]) -> Path:
        for folder in self._folders:
            for name in names:
                path = Path(os.path.normpath(folder / name))
                held = self._images(path.parent)
                if (real := held.get(path.name) or held.get(path.name + "\0")) is not None:
                    return path.with_name(real)
        shown = names[0] if len(names[0]) <= 200 else names[0][:200] + "..."
        raise MalformedError(f"{shown} is not in {self._folders[0]}{_other_kind(self._folders[0], names[0])}")

    def _images(self, folder: Path) -> dict[str, str]:
        """Names of the images in a folder, by themselves and, marked by a zero that no name has, by what they are without extension."""
        if folder not in self._listed:
            held: dict[str, str] = {}
            for name in sorted(_names_in(folder)):
                stem, extension = os.path.splitext(name)
                if extension.lower() in IMAGE_EXTENSIONS:
                    held[name] = name
                    held.setdefault(stem + "\0", name)
            self._listed[folder] = held
        return self._listed[folder]


def _names_in(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if what_it_is(entry.path) == "file")
    except (OSError, ValueError):  # not there, or a name that no folder can have
        return


def _other_kind(folder: Path, name: str) -> str:
    """What stands where a photo should, in words; empty for nothing."""
    kind = what_it_is(os.path.join(folder, name))
    if kind == "file":
        return f", where that file has no extension of an image ({', '.join(sorted(IMAGE_EXTENSIONS)[:5])}, ...)"
    return f", where that is a {kind}" if kind else ""
