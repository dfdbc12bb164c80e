"""The errors that callers can cause, each saying what was received, what is accepted and what to type instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

FIRST_PROBLEMS = 10

_VERBS = "quickstart|train|tune|study|evaluate|predict|convert|audit|patch|pseudo-label|inspect|explain|models|card"
# what is typed in a shell stays so; the same thing in Python stands beside it, or after it; else an option is a keyword
_SPELLINGS = re.compile(
    rf"(?P<command>(?:facelearn (?:{_VERBS})\b|pip install\b)[^;,)'\n]*)"
    r"|(?<![\w-])--[a-z][\w-]*(?: [^\s()]+)?(?: to the command)? \((?P<python>[^()]*) in Python\)"
    r"|(?P<aside> \(--[^()]*\))"
    r"|(?<![\w-])--(?P<option>[a-z][a-z0-9-]+)(?: (?P<value>-?\d+(?:\.\d+)?(?:,-?\d+(?:\.\d+)?)*(?!\w)|[A-Z]{2,}\b|[\w/-]*[./\d][\w./-]*\w|"
    r"(?:skip|stop|none|pixels|fraction|percent|identification|keypoints|verification|auto|cpu|cuda|grey|rgb|label-studio|cvat)\b))?"
)
_FLAGS = ("resume", "overwrite", "no-mirror")
_IN_PYTHON = re.compile(r" \([^()]* in Python\)")
_AS_OPTION = re.compile(r"(?<!\w)\w+=(?:'[^']*'|\"[^\"]*\"|[\w.]+) \((--[^()]*)\)")
_typed = False


class FacelearnError(ValueError):
    """Base of every error that a caller can cause and mend.

    Messages are written as for the command line, `--size 96`; its text says `size=96` unless `command_line` says that it is typed.
    """

    def __str__(self) -> str:
        return spelled(super().__str__())


@contextmanager
def command_line() -> Iterator[None]:
    """Within the block remedies are spelled as options that are typed, and not as arguments of Python."""
    global _typed
    before, _typed = _typed, True
    try:
        yield
    finally:
        _typed = before


def spelled(text: str) -> str:
    """`text`, which names options of the command line, as it is spelled where it is read: for Python `--size 96` is `size=96`."""
    if _typed:
        return _AS_OPTION.sub(r"\1", _IN_PYTHON.sub("", text))
    return _SPELLINGS.sub(_in_python, text)


def _in_python(found: re.Match[str]) -> str:
    if found["command"] or found["python"] or found["aside"]:
        return found["command"] or found["python"] or ""
    name, value = found["option"], found["value"]
    keyword = "source" if name == "from" else name.replace("-", "_")
    if value is None:
        return f"{keyword}=True" if name in _FLAGS else keyword
    if name in _FLAGS:
        return f"{keyword}=True {value}"
    return f"{keyword}={value}" if re.fullmatch(r"-?\d+(\.\d+)?", value) else f'{keyword}="{value}"'


class WriteError(FacelearnError, OSError):
    """A file that cannot be written: no room, no right, too large."""


class RecipeError(FacelearnError):
    """A recipe, model name or option that does not describe a possible run."""


class DivergedError(RecipeError):
    """Training whose loss became NaN or infinite."""


class BundleError(FacelearnError):
    """A model file that cannot be used: cut short, edited, from a newer version, or of another kind."""


class MissingExtraError(FacelearnError, ImportError):
    """An optional part of facelearn is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package '{package}', which is not installed; type: pip install 'facelearn[{extra}]'"
        )


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one row of the data.

    Attributes:
        source: file (or file inside an archive) the row came from.
        row: 1-based row in that file as a text editor counts data rows after the header; None where the file is the row.
        message: one sentence saying what was received and what is accepted.
    """

    source: str
    row: int | None
    message: str

    def __str__(self) -> str:
        place = self.source if self.row is None else f"{self.source}, row {self.row}"
        return f"{place}: {self.message}"


class DataError(FacelearnError):
    """Data that cannot be read or used as asked; `problems` lists every offending row."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        lines = [message, *(f"  {problem}" for problem in self.problems[:FIRST_PROBLEMS])]
        if len(self.problems) > FIRST_PROBLEMS:
            lines.append(f"  ... and {len(self.problems) - FIRST_PROBLEMS} more")
        super().__init__("\n".join(lines))


def unknown_name(kind: str, received: str, accepted: Sequence[str]) -> str:
    """One sentence for a name that is not known: the closest accepted ones first, then all of them."""
    import difflib

    longer = [name for name in accepted if received and name.startswith(received.lower())]
    close = longer[:3] or difflib.get_close_matches(received.lower(), accepted, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else "."
    return f"unknown {kind} '{received}'{hint} Accepted: {', '.join(sorted(accepted)) or 'none'}"
