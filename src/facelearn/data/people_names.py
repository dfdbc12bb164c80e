"""Names of people as they are spelled, and when two of them are one."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def spelling(name: str) -> str:
    """`name` without case, accents, separators and the order of its words: equal for `Anne Hathaway` and `hathaway_ánne`."""
    return " ".join(sorted("".join(c if c.isalnum() else " " for c in plain_name(name)).split())) or name


def letters(name: str) -> str:
    """As `spelling`, but words in their order and joined: 'AnneHathaway' has one word."""
    return "".join(c for c in plain_name(name) if c.isalnum()) or name


def plain_name(name: str) -> str:
    """`name` without case and accents, in one Unicode form."""
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).casefold()


def near_spellings(names: Sequence[str], known: Sequence[str]) -> list[tuple[str, str]]:
    """(name, known name) of those `names` that differ from a known one in case, blanks, accents, separators or the order of words."""
    by_key = {key(name): name for name in reversed(known) for key in (spelling, letters)}
    found = []
    for name in names:
        near = by_key.get(spelling(name)) or by_key.get(letters(name))
        if near is not None and near != name:
            found.append((name, near))
    return found
