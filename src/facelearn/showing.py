"""Names from outside, as they are written: for a file, a terminal, a spreadsheet, Markdown.

A name may hold bytes that are no UTF-8 (folders of old archives), control characters that move a terminal's cursor, a `=` that a
spreadsheet takes for a formula, or a `|` that ends a cell. Inside, a file's name stays as the system has it, so that it can be opened.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from facelearn.files import whole_file

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(udc[89a-f][0-9a-f])")
# what moves the cursor or turns the direction of writing; line ends and tabs are layout
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_GUARDED = re.compile("'[=+\\-@\t\r]")
_MARKDOWN = re.compile(r"[|`<>&\\]|\](?=[(\[:])")


def escaped(name: str) -> str:
    """`name` as text that UTF-8 can hold: a byte that is none of UTF-8 becomes `\\udce9` (for 0xe9)."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", name)


def unescaped(name: str) -> str:
    """The file's name that `escaped` wrote."""
    return _ESCAPED.sub(lambda found: chr(int(found[1][1:], 16)), name)


def for_terminal(text: str) -> str:
    """`text` without anything that a terminal obeys, such as `\\x1b`; lines and tabs stay."""
    # from 0x7f on as JSON has it, which leaves those below escaped already
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}" if found[0] < " " else f"\\u{ord(found[0]):04x}", text)


def spreadsheet_cell(value: Any) -> Any:
    """A value for a cell of CSV: a text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay."""
    if not isinstance(value, str):
        return value
    text = escaped(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def from_spreadsheet(text: str) -> str:
    """What stood in a cell before `spreadsheet_cell`."""
    return text[1:] if _GUARDED.match(text) else text


def write_rows(path: str | Path, heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a CSV, whole or not at all, every cell as `spreadsheet_cell` makes it.

    Raises:
        WriteError: it cannot be written.
    """
    with whole_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([spreadsheet_cell(name) for name in heading])
        writer.writerows([spreadsheet_cell(value) for value in row] for row in rows)
    return Path(path)


def markdown_text(text: str) -> str:
    """`text` on one line of Markdown, as it is: no cell ends in it, no code, element or link begins in it."""
    flat = " ".join(for_terminal(text).split("\n"))
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    return _MARKDOWN.sub(lambda found: entities.get(found[0], f"\\{found[0]}"), flat)
