"""Every regular expression in the source, found in the source itself, and the texts that are worst for it.

Run as a program with sizes, it tries each expression on texts of so many characters and prints its name before; or those given after them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from re import _constants as kinds  # type: ignore[attr-defined] # how Python itself takes an expression apart
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src" / "facelearn"
_REPEATS = (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT)
_SAMPLES = {
    kinds.CATEGORY_DIGIT: "1", kinds.CATEGORY_SPACE: " ", kinds.CATEGORY_WORD: "a", kinds.CATEGORY_NOT_DIGIT: "a",
    kinds.CATEGORY_NOT_SPACE: "a", kinds.CATEGORY_NOT_WORD: " ",
}  # fmt: skip


def patterns() -> dict[str, re.Pattern[Any]]:
    """Every expression by where it stands: those that modules hold, and those written where they are used."""
    found: dict[str, re.Pattern[Any]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re.")
        ]
        if not calls:
            continue
        module = import_module(
            ".".join(["facelearn", *file.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")
        )
        held = {value.pattern: value for value in vars(module).values() if isinstance(value, re.Pattern)}
        for call in calls:
            name = f"{file.relative_to(SOURCE)}:{call.lineno}"
            verb, first = ast.unparse(call.func)[3:], call.args[0] if call.args else None
            if verb in ("escape", "purge"):
                continue
            if isinstance(first, ast.Constant):
                flags = next((ast.unparse(word.value) for word in call.keywords if word.arg == "flags"), "0")
                found[name] = held.get(first.value) or re.compile(first.value, eval(flags))
            else:
                assert verb == "compile", (
                    f"{name}: an expression put together where it is used cannot be found; compile it in the module"
                )
        for pattern in held.values():
            found.setdefault(f"{file.relative_to(SOURCE)}: {str(pattern.pattern)[:40]!a}", pattern)
    return found


def worst_texts(pattern: re.Pattern[Any], length: int) -> Iterator[str]:
    """Texts of about `length` characters: pieces that repeat inside the expression, again and again, with an end that does not fit."""
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    tree = parser.parse(pattern.pattern, flags)
    pieces = {piece for piece in _pieces(tree) if piece}
    alphabet = sorted({char for piece in pieces for char in piece})
    if length <= 2000:
        pieces |= {one + other for one, other in product(alphabet[:12], repeat=2)}
    pieces |= set(alphabet[:8]) | {" ", "1", "a"}
    # an end that fits is no trouble where the same without it is none; the short texts try it all the same
    ends = ("", "\0!") if length <= 2000 else ("\0!",)
    starts = sorted({"", _sample(tree, 1)[:50]})
    for start, piece, end in product(starts, sorted(pieces, key=lambda piece: (len(piece), piece)), ends):
        yield start + piece * (length // len(piece)) + end


def _pieces(tree: Any) -> Iterator[str]:
    literals = ""
    for kind, value in tree:
        literals = literals + chr(value) if kind is kinds.LITERAL else ""
        yield literals
        if kind in _REPEATS:
            # least, and three times, so that what can be shared out in several ways is
            yield from (_sample(value[2], times, optional) for times in (0, 1, 3) for optional in (0, 1))
            yield from _pieces(value[2])
        elif kind is kinds.SUBPATTERN:
            yield from _pieces(value[3])
        elif kind is kinds.BRANCH:
            for branch in value[1]:
                yield from _pieces(branch)
        elif kind in (kinds.ASSERT, kinds.ASSERT_NOT):
            yield from _pieces(value[1])
        elif kind is kinds.ATOMIC_GROUP:
            yield from _pieces(value)


def _sample(tree: Any, times: int, optional: int = 1) -> str:
    """A text that the expression fits, more or less, what repeats `times` times, `optional` times what may be once."""
    text = ""
    for kind, value in tree:
        if kind is kinds.LITERAL:
            text += chr(value)
        elif kind is kinds.NOT_LITERAL or kind is kinds.ANY:
            text += "a"
        elif kind is kinds.IN:
            text += next((sample for one in value if (sample := _of_set(one))), "a")
        elif kind in _REPEATS:
            wanted = optional if value[1] == 1 else times
            text += _sample(value[2], times, optional) * min(max(value[0], min(wanted, value[1])), 20)
        elif kind is kinds.SUBPATTERN:
            text += _sample(value[3], times, optional)
        elif kind is kinds.BRANCH:
            text += _sample(value[1][0], times, optional)
        elif kind is kinds.ATOMIC_GROUP:
            text += _sample(value, times, optional)
    return text


def _of_set(one: tuple[Any, Any]) -> str:
    kind, value = one
    if kind is kinds.LITERAL:
        return chr(value)
    if kind is kinds.RANGE:
        return chr(value[0])
    return _SAMPLES.get(value, "") if kind is kinds.CATEGORY else ""


def _try_all(length: int, tried: dict[str, re.Pattern[Any]]) -> None:
    for name, pattern in tried.items():
        print(f"{length} characters: {name}: {str(pattern.pattern)[:100]!a}", flush=True)
        for text in worst_texts(pattern, length):
            given: Any = text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text
            pattern.search(given), pattern.fullmatch(given)


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    others = {word: re.compile(word) for word in sys.argv[1:] if not word.isdecimal()}
    asked = others or patterns()
    for size in sizes:
        _try_all(size, asked)
    print(f"all {len(asked)} done")
