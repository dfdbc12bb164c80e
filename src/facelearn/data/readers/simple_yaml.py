"""The part of YAML that data set descriptions are written in: nested tables and lists, by indentation or in brackets, and plain values.

A file is cut into its top-level entries first, and only the entries that are asked for are read, so that a script under `download: |` or
an anchor elsewhere is nobody's trouble. What is asked for and written in a way that is not read here is refused, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from facelearn.outside import int64_of

_TOP = re.compile(r"""^(["']?)([^\s"'#:\[\]{},&*!|>%@`-][^\s"'#:]*)\1\s*:(?=\s|$)(.*)$""")
_KEY = re.compile(
    r"""^(?:"([^"]*)"|'([^']*)'|([^\s"'#:\[\]{},&*!|>%@`](?:[^#:\[\]{},]*[^\s#:\[\]{},])?))\s*:(?=\s|$)\s*(.*)$"""
)
_INT, _FLOAT = re.compile(r"^[-+]?\d+$"), re.compile(r"^[-+]?(\d+\.\d*|\.\d+|\d+)(e[-+]?\d+)?$", re.IGNORECASE)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "/": "/", "0": "\0"}

Lines = list[tuple[int, str]]


def read_entries(text: str, wanted: Collection[str]) -> Mapping[str, Any]:
    """The values under those of the top-level keys `wanted` that the text has.

    Raises:
        ValueError: one of them is written in a way that is not read here; one sentence with its key.
    """
    found: dict[str, Any] = {}
    for key, lines in _entries(text).items():
        if key in wanted:
            try:
                found[key] = _block(lines)
            except (ValueError, IndexError, RecursionError) as error:
                kinds = {
                    IndexError: "a bracket or quote is not closed",
                    RecursionError: "its brackets are nested too deeply",
                }
                why = kinds.get(type(error), str(error))
                raise ValueError(
                    f"'{key}' cannot be read ({why}); write it as [a, b], one item a line, or a plain value"
                ) from error
    return found


def _entries(text: str) -> dict[str, Lines]:
    entries: dict[str, Lines] = {}
    lines: Lines = []
    for raw in text.splitlines():
        if raw.startswith(("---", "%", "...")):
            continue
        if match := _TOP.match(raw):
            lines = entries.setdefault(match[2], [])
            lines.clear()
            raw = match[3]
            if content := _without_comment(raw):
                lines.append((-1, content))
        elif content := _without_comment(raw):
            lines.append((len(raw) - len(raw.lstrip()), content))
    return entries


def _without_comment(line: str) -> str:
    quote, before = "", " "
    for i, char in enumerate(line):
        if quote:
            quote = "" if char == quote and not (quote == '"' and before == "\\") else quote
        elif char in "\"'" and before in " \t[{,:":
            quote = char
        elif char == "#" and before in " \t":
            return line[:i].strip()
        before = char
    return line.strip()


def _block(lines: Lines) -> Any:
    """The value of some lines, each with its indentation; -1 stands for what follows the key on its own line."""
    if not lines:
        return None
    first = lines[0][1]
    if first[0] in "|>&*!":
        raise ValueError(f"it begins with {first[0]}")
    if first == "-" or first.startswith("- "):
        return _items(lines)
    if first[0] not in "[{\"'" and _KEY.match(first) and lines[0][0] >= 0:
        return _table(lines)
    if first[0] in "[{":
        return _flow(" ".join(content for _, content in lines))
    return _scalar(" ".join(content for _, content in lines))


def _items(lines: Lines) -> list[Any]:
    indent = lines[0][0]
    groups: list[Lines] = []
    for depth, content in lines:
        if depth == indent and (content == "-" or content.startswith("- ")):
            rest = content[1:].strip()
            groups.append([(depth + 2, rest)] if rest else [])
        elif depth <= indent or not groups:
            raise ValueError(f"{content[:40]!r} stands where an item of the list belongs")
        else:
            groups[-1].append((depth, content))
    return [_block(group) for group in groups]


def _table(lines: Lines) -> Mapping[str, Any]:
    indent = lines[0][0]
    groups: dict[str, Lines] = {}
    current: Lines | None = None
    for depth, content in lines:
        match = _KEY.match(content) if depth == indent else None
        if match:
            current = groups[next(part for part in match.groups()[:3] if part is not None)] = []
            if match[4]:
                current.append((-1, match[4]))
        elif current is None or depth < indent or (depth == indent and not content.startswith("-")):
            raise ValueError(f"{content[:40]!r} stands where a key belongs")
        else:
            current.append((depth, content))
    return {key: _block(group) for key, group in groups.items()}


def _flow(text: str) -> Any:
    value, end = _flow_value(text, 0)
    if text[end:].strip():
        raise ValueError(f"{text[end:].strip()[:40]!r} follows a closing bracket")
    return value


def _flow_value(text: str, at: int) -> tuple[Any, int]:
    at = _past_space(text, at)
    if text[at] in "[{":
        return _flow_collection(text, at)
    if text[at] in "\"'":
        end = at + 1
        while text[end] != text[at]:
            end += 2 if text[end] == "\\" and text[at] == '"' else 1
        return _scalar(text[at : end + 1]), end + 1
    end = at
    while text[end] not in ",]}" and not (text[end] == ":" and text[end + 1] in " ,[]{}"):
        end += 1
    return _scalar(text[at:end].strip()), end


def _flow_collection(text: str, at: int) -> tuple[Any, int]:
    closing = {"[": "]", "{": "}"}[text[at]]
    items: list[Any] = []
    table: dict[str, Any] = {}
    at = _past_space(text, at + 1)
    while text[at] != closing:
        value, at = _flow_value(text, at)
        at = _past_space(text, at)
        if closing == "}":
            if text[at] != ":":
                raise ValueError(f"{value!r} has no ':' in a table")
            table[str(value)], at = _flow_value(text, at + 1)
            at = _past_space(text, at)
        else:
            items.append(value)
        if text[at] == ",":
            at = _past_space(text, at + 1)
        elif text[at] != closing:
            raise ValueError(f"{text[at : at + 20]!r} stands where a comma belongs")
    return (table if closing == "}" else items), at + 1


def _past_space(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at


def _scalar(word: str) -> Any:
    if len(word) >= 2 and word[0] == word[-1] == '"':
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), word[1:-1])
    if len(word) >= 2 and word[0] == word[-1] == "'":
        return word[1:-1].replace("''", "'")
    if word[:1] in "|>&*!%@`" and word:
        raise ValueError(f"{word[:20]!r} begins with {word[0]}")
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if _INT.match(word):
        return int64_of(word)
    return float(word) if _FLOAT.match(word) else word
