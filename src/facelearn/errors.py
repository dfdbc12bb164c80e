"""The errors that callers can cause, each saying what was received, what is accepted and what to type instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_PROBLEMS = 10


class FacelearnError(ValueError):
    """Base of every error that a caller can cause and mend."""


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
