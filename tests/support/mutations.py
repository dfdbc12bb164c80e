"""Valid files made wrong, reproducibly: what a damaged disk, another program or an ill-willed sender makes of them.

`mutations` gives as many as asked of one file. Each says in a few words what was done, so that a failure can be read; the same bytes,
seed and count always give the same ones.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_VALUE = re.compile(rb"(?m)^([^\n=#\[\]]{1,60}=[ \t]*)([^\n]+)$")
_DELIMITERS = b",;:|\t \n{}[]<>\"'()=/"
NUMBERS = (
    b"0", b"-1", b"-0.0", b"1e308", b"1e999", b"-1e999", b"NaN", b"Infinity", b"-inf", b"nan", b"0x10", b"1_000", b"1,5",
    b"\xd9\xa1\xd9\xa2", b"2147483648", b"-9223372036854775809", b"18446744073709551616", b"9" * 40, b"9" * 400, b"1" * 5000,
    b"-" + b"7" * 5000, b"0." + b"3" * 5000, b"null", b"true", b'"7"', b"[1]", b"{}", b"[[[1]]]", b"", b"99999", b"4294967295", b"1e-400",
)  # fmt: skip
"""What is written where a number stood."""
ODD_TEXTS = (
    b"\0", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\xc3\x28", b"\xf4\x90\x80\x80", b"\xe2\x80\xae",
    b"\x1b[31m", b"\r", b"\n\n\n", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\x0b\x0c\x1c", b"../../../../", b"/dev/zero", b"%s%n", b"${x}",
    b"__proto__", b"=1+1", b"<!DOCTYPE x [<!ENTITY e 'e'>]>", b"&e;", b"&#0;", b"&#xD800;", b"]]>", b"<!--", b"#", b"//", b"\\", b'"',
    b'""', b"'", b"A" * 5000, "é".encode("latin-1"), "日本".encode("shift-jis"), b"\xf0\x9d\x92\xb3",
)  # fmt: skip
ENCODINGS = (
    b"utf-7", b"utf-16", b"utf-32", b"idna", b"punycode", b"rot13", b"hex", b"no-such", b"shift_jis", b"latin-1", b"undefined",
)  # fmt: skip
OTHER_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 3, 10**400, -(10**30), 2**63, 0.5, 1e308, float("nan"), float("inf"), "", "x", "0", "a" * 5000, "\0",
    "\ud800", "../..", [], [1], [None], [[]], ["x"], {}, {"x": 1}, {"": None}, [1, "x", None], [[1, 2], [3]], {"id": []},
)  # fmt: skip
"""What is put in the place of a value of JSON."""


def mutations(valid: bytes, count: int, *, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` damaged forms of `valid`: (what was done, the bytes). Of JSON, half of them have only other values in it."""
    draw = random.Random(f"{seed} {len(valid)}")
    structured = [mutated_json] * len(_PLAIN) if _is_json(valid) else []
    structured += [mutated_assignment] * (len(_PLAIN) // 2) if len(_VALUE.findall(valid)) > 1 else []
    for number in range(count):
        data, names = valid, []
        for _ in range(1 if draw.random() < 0.75 else draw.randint(2, 4)):
            mutate = draw.choice([*_PLAIN, *structured])
            if mutate is mutated_json and not _is_json(data):
                continue
            data = mutate(data, draw)
            names.append(mutate.__name__.strip("_"))
        yield f"seed {seed}, number {number}: {', '.join(names)}", data


def mutated_json(valid: bytes, draw: random.Random) -> bytes:
    """JSON with one or two values replaced by ones of another type or size, removed, repeated or nested."""
    facts = json.loads(valid)
    for _ in range(draw.choice((1, 1, 1, 2))):
        places = list(_places(facts))
        if not places:
            return json.dumps(draw.choice(OTHER_VALUES)).encode()
        holder, key = draw.choice(places)
        what = draw.random()
        if what < 0.7:
            holder[key] = copy.deepcopy(draw.choice(OTHER_VALUES))
        elif what < 0.8:
            del holder[key]
        elif what < 0.9:
            holder[key] = [holder[key]] if draw.random() < 0.5 else {"value": holder[key]}
        elif isinstance(holder, list):
            holder.extend([holder[key]] * draw.randint(1, 5))
        else:
            holder[draw.choice(("", "id", "\0", "x" * 300))] = holder.pop(key)
    # a whole number of so many digits cannot be written by Python, but by others
    return json.dumps(facts).encode("utf-8", "surrogatepass").replace(b"1" + b"0" * 400, b"1" * 5000)


def mutated_assignment(valid: bytes, draw: random.Random) -> bytes:
    """`key = value` lines, as TOML has them, with one value of another type."""
    spans = [match.span(2) for match in _VALUE.finditer(valid)]
    if not spans:
        return valid
    start, end = draw.choice(spans)
    value = draw.choice(
        (*NUMBERS, b'"x"', b'""', b"[]", b"['x']", b"{}", b"{x=1}", b"1979-05-27", b"'''", b"[" * 3000, b"inf", b"-nan")
    )
    return valid[:start] + value + valid[end:]


def _is_json(data: bytes) -> bool:
    if data[:1] not in (b"{", b"["):
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every value inside `value`."""
    inside = [value]
    while inside:
        holder = inside.pop()
        items = (
            list(holder.items())
            if isinstance(holder, dict)
            else list(enumerate(holder))
            if isinstance(holder, list)
            else []
        )
        for key, item in items:
            yield holder, key
            inside.append(item)


def _somewhere(data: bytes, draw: random.Random) -> tuple[int, int]:
    """The ends of a piece of `data`, mostly a short one."""
    start = draw.randint(0, len(data))
    return start, min(len(data), start + draw.choice((1, 1, 2, 4, 16, 64, 256, 1024)))


def _flip_bits(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(draw.choice((1, 1, 2, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _set_bytes(data: bytes, draw: random.Random) -> bytes:
    start, end = _somewhere(data, draw)
    return (
        data[:start] + bytes(draw.choice((0, 255, 127, draw.randrange(256))) for _ in range(end - start)) + data[end:]
    )


def _truncate(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.choice((0, 1, 2, 16, draw.randint(0, len(data)), len(data) - 1))]


def _delete(data: bytes, draw: random.Random) -> bytes:
    start, end = _somewhere(data, draw)
    return data[:start] + data[end:]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start, end = _somewhere(data, draw)
    return data[:end] + data[start:end] * draw.choice((1, 1, 2, 50)) + data[end:]


def _move(data: bytes, draw: random.Random) -> bytes:
    start, end = _somewhere(data, draw)
    rest, to = data[:start] + data[end:], draw.randint(0, len(data))
    return rest[:to] + data[start:end] + rest[to:]


def _lines(data: bytes, draw: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    done = draw.randrange(4)
    if done == 0:
        del lines[at]
    elif done == 1:
        lines.insert(at, lines[draw.randrange(len(lines))])
    elif done == 2:
        draw.shuffle(lines)
    else:
        lines = lines[:at]
    return b"\n".join(lines)


def _number(data: bytes, draw: random.Random) -> bytes:
    spans = [match.span() for match in _NUMBER.finditer(data)]
    if not spans:
        return _insert(data, draw)
    start, end = draw.choice(spans)
    return data[:start] + draw.choice(NUMBERS) + data[end:]


def _insert(data: bytes, draw: random.Random) -> bytes:
    at = draw.choice((0, len(data), draw.randint(0, len(data))))
    return data[:at] + draw.choice(ODD_TEXTS) + data[at:]


def _nest(data: bytes, draw: random.Random) -> bytes:
    at, depth = draw.choice((0, draw.randint(0, len(data)))), draw.choice((50, 1000, 100_000))
    start, end = draw.choice(
        ((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"), (b"<a>", b"</a>"), (b"[", b""), (b"<a>", b""))
    )
    return data[:at] + start * depth + (b"0" if draw.random() < 0.5 else data[at:]) + end * depth


def _delimiter(data: bytes, draw: random.Random) -> bytes:
    old, new = (bytes([draw.choice(_DELIMITERS)]) for _ in range(2))
    return data.replace(old, new, draw.choice((1, 1, 5, -1)))


def _encode(data: bytes, draw: random.Random) -> bytes:
    if b"encoding=" in data or draw.random() < 0.3:
        declared = b"<?xml version='1.0' encoding='" + draw.choice(ENCODINGS) + b"'?>"
        return declared + re.sub(rb"<\?xml[^>]*\?>", b"", data)
    text = data.decode("utf-8", "replace")
    return text.encode(
        draw.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp037", "utf-7")), "replace"
    )


_PLAIN: tuple[Mutation, ...] = (
    _flip_bits, _set_bytes, _truncate, _delete, _repeat, _move, _lines, _number, _number, _number, _insert, _insert, _nest, _delimiter,
    _delimiter, _encode,
)  # fmt: skip
