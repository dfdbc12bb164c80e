"""The layouts that lists of pairs have: from lines of text to names of photos, nothing looked up yet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facelearn.errors import DataError, Problem
from facelearn.outside import int64_of
from facelearn.showing import from_spreadsheet

PairFormat = Literal["lfw", "csv", "paths"]

_NUMBER = re.compile(r"[0-9]{1,18}")
_YES, _NO = {"1", "true", "yes", "same", "1.0"}, {"0", "false", "no", "different", "-1", "0.0"}
# without case, blanks and underscores
_COLUMNS = {
    "first": ("filea", "file1", "first", "left", "a", "imagea", "image1", "patha", "path1", "photoa", "photo1", "img1", "imga"),
    "second": ("fileb", "file2", "second", "right", "b", "imageb", "image2", "pathb", "path2", "photob", "photo2", "img2", "imgb"),
    "same": ("same", "label", "issame", "sameperson", "match", "target"),
    "group": ("group",),
    "fold": ("fold",),
    "person_a": ("persona", "person1", "namea", "name1", "identitya", "identity1", "firstperson", "leftperson"),
    "person_b": ("personb", "person2", "nameb", "name2", "identityb", "identity2", "secondperson", "rightperson"),
}  # fmt: skip
_HEADER = "file_a,file_b,same"


class MalformedError(ValueError):
    """A line that cannot be used, in words."""


@dataclass(frozen=True, slots=True)
class Line:
    """One pair of a list.

    Attributes:
        number: 1-based line of the file.
        first, second: what the photos may be called, the likeliest first.
        same: whether they are one person.
        person: who is on them, "" where the list does not say.
        fold: from 0, -1 where the list has none.
        group: "" where the list has none.
        wrong: why it cannot be used; then the rest says nothing.
    """

    number: int
    first: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    same: bool = False
    person: tuple[str, str] = ("", "")
    fold: int = -1
    group: str = ""
    wrong: str = ""


def layout_of(text: Sequence[str], source: Path) -> PairFormat:
    """Which layout a list has, by its first line that holds anything.

    Raises:
        DataError: none of them.
    """
    start = next((line for _, line in _filled(text)), "")
    fields = _fields(start)
    if len(fields) <= 2 and all(_NUMBER.fullmatch(one) for one in fields) and fields:
        return "lfw"
    if len(fields) in (3, 4) and all(_NUMBER.fullmatch(one) for one in fields[1 :: len(fields) - 2]):
        return "lfw"
    names = [_plain(name) for name in _cells(start, _delimiter(start))]
    if any(name in _COLUMNS[column] for column in ("first", "second", "same", "person_a") for name in names):
        return "csv"
    if len(fields) == 3 and fields[2].lower() in _YES | _NO:
        return "paths"
    raise DataError(
        f"{source} begins with {start[:80]!r}, which is no list of pairs; accepted are LFW's lists ('1100', then 'Name 1 2' and "
        f"'Name 1 Other 3'), a CSV with the header {_HEADER}, and lines 'a.jpg b.jpg 1'"
    )


def read_lines(text: Sequence[str], layout: PairFormat, source: Path) -> Iterator[Line]:
    """Each pair of the list, in its order.

    Raises:
        DataError: the list says that it has another number of pairs than it has, or its header lacks a column.
    """
    if layout == "csv":
        return _csv_lines(text, source)
    return _lfw_lines(text, source) if layout == "lfw" else (_path_line(*line) for line in _filled(text))


def _filled(text: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(1-based number, line) of lines that hold anything and are no comment."""
    return ((i, line) for i, line in enumerate(text, start=1) if line.strip() and not line.lstrip().startswith("#"))


def _fields(line: str) -> list[str]:
    """Fields between tabs, or between commas, or between blanks: names may hold what stands further right here."""
    for separator in ("\t", ","):
        if separator in line:
            return [one.strip() for one in line.split(separator)]
    return line.split()


def _lfw_lines(text: Sequence[str], source: Path) -> Iterator[Line]:
    lines = list(_filled(text))
    says = _fields(lines[0][1])
    if not all(_NUMBER.fullmatch(one) for one in says):
        for number, line in lines:
            yield _lfw_line(number, line, None, -1)
        return
    folds, each = (1, int(says[0])) if len(says) == 1 else (int(says[0]), int(says[1]))
    body = lines[1:]
    if len(body) != 2 * folds * each:
        said = f"{each} pairs of one person and {each} of different people"
        said = said if len(says) == 1 else f"{folds} folds of {said}"
        raise DataError(
            f"{source}, line {lines[0][0]} says {lines[0][1].strip()!r}, {said}, that is {2 * folds * each:,} lines; "
            f"{len(body):,} follow: copy the list again, or put the first line right"
        )
    for place, (number, line) in enumerate(body):
        yield _lfw_line(number, line, place % (2 * each) < each, place // (2 * each) if len(says) == 2 else -1)


def _lfw_line(number: int, line: str, same: bool | None, fold: int) -> Line:
    """`same` is what the line's place in the list says of it; None where there is no such order."""
    fields = _fields(line)
    kind = {3: True, 4: False}.get(len(fields))
    numbers = fields[1:] if kind else fields[1::2]
    if kind is None or not all(_NUMBER.fullmatch(one) for one in numbers):
        return Line(number, wrong=f"expected 'Name 1 2' or 'Name 1 Other 3'; received {line.strip()[:80]!r}")
    if same is not None and kind != same:
        here = "one person ('Name 1 2')" if same else "different people ('Name 1 Other 3')"
        return Line(number, wrong=f"by the first line's count this is a pair of {here}; received {line.strip()[:80]!r}")
    first, second = (fields[0], fields[0]) if kind else (fields[0], fields[2])
    if not kind and first == second:
        return Line(number, wrong=f"'{first}' stands for both of two different people; write 'Name 1 2' for one person")
    photos = [_lfw_names(name, int(one)) for name, one in zip((first, second), numbers, strict=True)]
    return Line(number, photos[0], photos[1], kind, (first, second), fold)


def _lfw_names(name: str, number: int) -> tuple[str, ...]:
    """`Name/Name_0001` as LFW has it, all in one folder, or a folder a person with numbers for names."""
    plain = f"{name}_{number:04d}"
    return (f"{name}/{plain}", plain, f"{name}/{name}_{number}", f"{name}/{number:04d}", f"{name}/{number}")


def _path_line(number: int, line: str) -> Line:
    fields = _fields(line)
    if len(fields) != 3 or not fields[0] or not fields[1] or fields[2].lower() not in _YES | _NO:
        return Line(
            number,
            wrong=f"expected two photos and 1 (one person) or 0, 'a.jpg b.jpg 1', with tabs between them where names hold blanks; "
            f"received {line.strip()[:80]!r}",
        )
    return Line(number, _path_names(fields[0]), _path_names(fields[1]), fields[2].lower() in _YES)


def _path_names(path: str) -> tuple[str, ...]:
    return (path, path.replace("\\", "/")) if "\\" in path else (path,)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _csv_lines(text: Sequence[str], source: Path) -> Iterator[Line]:
    start, header = next(_filled(text))
    delimiter = _delimiter(header)
    names = [_plain(name) for name in _cells(header, delimiter)]
    where = {
        column: next((names.index(one) for one in known if one in names), None) for column, known in _COLUMNS.items()
    }
    people = where["person_a"] is not None and where["person_b"] is not None
    lacking = [name for name in ("first", "second") if where[name] is None]
    lacking += ["same"] if where["same"] is None and not people else []
    if lacking:
        words = {"first": "file_a", "second": "file_b", "same": "same (1 or 0)"}
        raise DataError(
            f"{source}, line {start} lacks the column {', '.join(words[one] for one in lacking)}; received {header.strip()[:120]!r}; "
            f"write for example {_HEADER} (with group, fold, person_a and person_b where they are known)"
        )
    reader = csv.reader(text[start:], delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{source}: no CSV", [Problem(f"{source}, line {start + reader.line_num}", None, str(error))]
            ) from None
        if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#"):
            values = {
                name: from_spreadsheet(cells[at].strip()) if at is not None and at < len(cells) else ""
                for name, at in where.items()
            }
            yield _csv_line(start + reader.line_num, values, len(cells), len(names), people)


def _csv_line(number: int, values: dict[str, str], cells: int, columns: int, people: bool) -> Line:
    if cells != columns:
        return Line(number, wrong=f"it has {cells} cells where the header has {columns}")
    if not values["first"] or not values["second"]:
        return Line(number, wrong="it names no two photos")
    said = values["same"].lower()
    if said not in _YES | _NO and (said or not people):
        return Line(number, wrong=f"whether it is one person must be 1 or 0; received {values['same'][:40]!r}")
    person = (values["person_a"], values["person_b"])
    known = all(person)
    same = said in _YES if said else person[0] == person[1]
    if not said and not known:
        return Line(number, wrong="it says neither whether it is one person nor who both are")
    if known and same != (person[0] == person[1]):
        is_said = "one person" if same else "different people"
        return Line(number, wrong=f"it is said to be of {is_said}, and has the people '{person[0]}' and '{person[1]}'")
    fold = -1
    if values["fold"]:
        try:
            fold = int64_of(values["fold"])
        except ValueError as error:
            return Line(number, wrong=f"fold {error}")
    if fold < -1:
        return Line(number, wrong=f"fold must be 0 or more; received {fold}")
    first, second = _path_names(values["first"]), _path_names(values["second"])
    return Line(number, first, second, same, person, fold, values["group"])
