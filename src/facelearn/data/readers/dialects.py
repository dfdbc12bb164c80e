"""Tables as spreadsheets and programs write them: one reader of separators, quotes, decimal commas, and columns that only count rows.

A line without a quote is split at its separator, which is fast enough for rows of 30 KB; any other goes through `csv`, over as many
lines as its quotes span.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from facelearn.data.readers.label_files import BOM, open_text
from facelearn.errors import DataError
from facelearn.images.decode import IMAGE_EXTENSIONS
from facelearn.limits import COLUMNS
from facelearn.showing import from_spreadsheet

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_EXCEL_HINT = re.compile(rb"^\s*sep=(.)\s*$")  # what Excel writes, and takes, before a header
_COUNTING = re.compile(r"^(unnamed: ?\d+(\.\d+)?|index|idx|id|#|no\.?|nr\.?|level_0)?$", re.IGNORECASE)
_THOUSANDS = re.compile(r"^-?[1-9]\d{0,2}(,\d{3})+$")
_NUMBER = re.compile(r"^[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?$", re.IGNORECASE)
_BLOCK = 1 << 22
_LONGEST_ROW = 1 << 28
_SAMPLE = 200
FILE_COLUMN = "file"  # what a column of image files is called that has no name


@dataclass(frozen=True)
class Table:
    """A table whose header was read.

    Attributes:
        path: the file.
        header: names of its columns.
        separator: the character between columns.
        before: lines before the first row: the header, and Excel's "sep=;" where there is one.
        aside: names of columns that say nothing: they count the rows, or are empty and have no name.
        notes: what was done about such columns, one sentence each.
        sample: the first rows, as `rows` gives them.
    """

    path: Path
    header: list[str]
    separator: str
    before: int
    aside: tuple[str, ...]
    notes: tuple[str, ...]
    sample: tuple[list[bytes], ...]

    def rows(self) -> Iterator[tuple[int, list[bytes]]]:
        """(1-based row, its fields) of every row that is not blank; blank ones are counted.

        Raises:
            DataError: a row that is too long or no CSV.
        """
        with open_text(self.path) as stream:
            for number, fields in _records(stream, self.path, self.separator):
                if number >= self.before and any(field.strip() for field in fields):
                    yield number - self.before + 1, fields

    def decimal_commas(self, columns: Sequence[int]) -> bool:
        """Whether the numbers of these columns have decimal commas, by the first rows.

        Raises:
            DataError: they can be decimals or thousands.
        """
        words = [row[i].decode("utf-8", "replace").strip() for row in self.sample for i in columns if i < len(row)]
        words = [word for word in words if word]
        commas = [word for word in words if "," in word]
        if self.separator == "," and commas and len(commas) < len(words) and all(map(_THOUSANDS.match, commas)):
            raise DataError(
                f"{self.path} has numbers as '{commas[0]}', which can be {commas[0].replace(',', '')} or {commas[0].replace(',', '.', 1)}; "
                "write decimal points, and nothing between thousands"
            )
        return bool(commas)

    def wrong_width(self, fields: Sequence[bytes]) -> str:
        """The sentence for a row of another number of fields than the header."""
        said = f"has {len(fields)} fields where the header names {len(self.header)} columns"
        if self.separator == "," and len(fields) > len(self.header):
            said += (
                "; where numbers have decimal commas, save it with decimal points, or with semicolons between columns"
            )
        return said


def open_table(path: Path) -> Table:
    """Read the header of a table, and find how it was written.

    Raises:
        DataError: no table: empty, no text, no header, or a name that stands twice.
    """
    with open_text(path) as stream:
        lines = _lines(stream, path)
        first = next(lines, b"").removeprefix(BOM)
        hint = _EXCEL_HINT.match(first)
        header_line = next(lines, b"") if hint else first
    separator = hint[1].decode() if hint else separator_of(header_line)
    header, before = split_header(header_line, path, separator), 2 if hint else 1
    table = Table(path, header, separator, before, (), (), ())
    sample = tuple(fields for _, fields in islice(table.rows(), _SAMPLE))
    _same_separator(path, header, separator, sample)
    if "" in header and _names_images([row[header.index("")] for row in sample if len(row) == len(header)]):
        header[header.index("")] = FILE_COLUMN
    aside, notes = _aside(header, sample, path)
    return Table(path, header, separator, before, aside, notes, sample)


def _same_separator(path: Path, header: Sequence[str], separator: str, sample: Sequence[Sequence[bytes]]) -> None:
    """Nothing where rows are divided as the header is.

    Raises:
        DataError: no row is, and another separator stands in them.
    """
    rows = [row[0].decode("utf-8", "replace") for row in sample if len(row) == 1]
    if len(header) > 1 and rows and len(rows) == len(sample):
        other = max(_SEPARATORS, key=rows[0].count)
        if other != separator and rows[0].count(other):
            raise DataError(
                f"{path} separates columns by {_SEPARATORS[separator]} in its header and by {_SEPARATORS[other]} in its rows; save "
                "it with one of them in all lines"
            )


def _names_images(values: Sequence[bytes]) -> bool:
    endings = tuple(extension.encode() for extension in IMAGE_EXTENSIONS)
    return bool(values) and all(value.strip().lower().endswith(endings) for value in values)


def separator_of(line: bytes) -> str:
    """The commonest of comma, semicolon, tab and bar in a header; a comma where there is none of them."""
    text = re.sub(r'"[^"]*"', "", line.decode("utf-8", "replace"))
    return max(_SEPARATORS, key=text.count)


def split_header(line: bytes, path: Path, separator: str | None = None) -> list[str]:
    """Column names of a table's first line.

    Raises:
        DataError: empty, not text, or a name that stands twice.
    """
    try:
        text = line.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from error
    if not text.strip():
        raise DataError(f"{path} is empty; a CSV with a header line is needed")
    try:
        named = next(csv.reader(io.StringIO(text), delimiter=separator or separator_of(line)))
    except csv.Error as error:
        raise DataError(f"{path} has a header that is no CSV ({error})") from error
    header = [from_spreadsheet(name.strip()) for name in named]
    refuse_headerless(header, path)
    if len(header) > COLUMNS.value:
        raise DataError(f"{path} has {len(header):,} columns, more than {COLUMNS.value:,}; {COLUMNS.remedy}")
    twice = sorted(name for name, count in Counter(header).items() if name and count > 1)
    if twice:
        raise DataError(f"{path} has the column {', '.join(repr(name) for name in twice[:5])} more than once")
    return header


def csv_lines(text: str, path: Path) -> list[list[str]]:
    """The rows below a header.

    Raises:
        DataError: no CSV.
    """
    try:
        return list(csv.reader(text.splitlines()[1:]))
    except csv.Error as error:
        raise DataError(f"{path} is no CSV ({error})") from error


def refuse_headerless(words: Sequence[str], path: Path) -> None:
    """Nothing where the words of a first line are names of columns.

    Raises:
        DataError: they are a row: the name of an image beside others, or numbers.
    """
    stripped = [word.strip().strip("\"'") for word in words]
    image = any(word.lower().endswith(tuple(IMAGE_EXTENSIONS)) for word in stripped)
    numbered = [word for word in stripped if _NUMBER.match(word)]
    numbers = (
        0 if numbered == [str(i) for i in range(len(numbered))] else len(numbered)
    )  # columns may be called 0, 1, 2, ...
    if len(stripped) > 1 and (image or (numbers >= 3 and 4 * numbers >= 3 * len(stripped))):
        raise DataError(
            f"{path} has no header; make its first line name the columns, as file,person or file,x0,y0,x1,y1 (or left_eye_x, left_eye_y "
            f"and so on); it is now '{','.join(stripped[:3])[:60]}...'"
        )


def _aside(
    header: Sequence[str], sample: Sequence[Sequence[bytes]], path: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that say nothing, and the notes about them.

    Raises:
        DataError: a column without a name that holds something.
    """
    aside: list[str] = []
    notes: list[str] = []
    for i, name in enumerate(header):
        if not _COUNTING.match(name):
            continue
        values = [row[i].strip() for row in sample if i < len(row)]
        shown = f"'{name}'" if name else f"{i + 1}, which has no name,"
        if not any(values) and not name:
            aside.append(name)
        elif all(value.removesuffix(b".0").isdigit() for value in values) and len(set(values)) == len(values):
            aside.append(name)
            notes.append(f"column {shown} of {path} counts the rows; left out")
        elif not name:
            first = next(value for value in values if value).decode("utf-8", "replace")[:40]
            raise DataError(
                f"{path}: column {i + 1} has no name and holds '{first}'; name it in the first line, or remove it"
            )
    return tuple(dict.fromkeys(aside)), tuple(notes)


def _lines(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """Lines without their ends; one may be of any length up to 256 MiB."""
    rest = b""
    while block := stream.read(_BLOCK):
        parts = (rest + block).split(b"\n")
        rest = parts.pop()
        if len(rest) > _LONGEST_ROW:
            raise DataError(f"{path} has a row longer than {_LONGEST_ROW >> 20} MiB; it is not a table of faces")
        for part in parts:
            yield part.rstrip(b"\r")
    if rest:
        yield rest.rstrip(b"\r")


def _records(stream: BinaryIO, path: Path, separator: str) -> Iterator[tuple[int, list[bytes]]]:
    """(number from 0, fields) of every row, the header among them; a quoted field may hold separators and ends of lines."""
    mark, lines = separator.encode(), _lines(stream, path)

    def text(first: bytes) -> Iterator[str]:
        yield first.decode("utf-8", "surrogateescape") + "\n"
        for line in lines:
            yield line.decode("utf-8", "surrogateescape") + "\n"

    if csv.field_size_limit() < _LONGEST_ROW:
        csv.field_size_limit(_LONGEST_ROW)
    for number, line in enumerate(lines):
        if b'"' not in line:
            yield number, line.split(mark)
            continue
        try:
            fields = next(csv.reader(text(line), delimiter=separator), [])
        except csv.Error as error:
            raise DataError(f"{path}, line {number + 1}: is no CSV ({error})") from error
        yield number, [field.encode("utf-8", "surrogateescape") for field in fields]
