"""The schema that a person means: a known set by its name, or a TOML file (or what stands in it) of names, pairs, eyes and edges.

```toml
names = ["nose", "eye_a", "eye_b"]      # in the order of the data, where its keypoints have no names of their own
pairs = [["eye_a", "eye_b"]]            # which change places in a mirror; without it left and right in the names say it, [] is none
eyes = ["eye_a", "eye_b"]               # the person's left and right, a name or a list of names each; without it as the names say
edges = [["nose", "eye_a"]]             # lines to draw
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facelearn.data.schema import KNOWN_SCHEMAS, KeypointSchema, schema_for_names
from facelearn.errors import DataError
from facelearn.outside import read_toml

_KEYS = ("name", "names", "pairs", "eyes", "edges")
_FORM = (
    'names = ["nose", "left_eye", "right_eye"], pairs = [["left_eye", "right_eye"]], eyes = ["left_eye", "right_eye"]'
)
WantedSchema = KeypointSchema | str | Path | Mapping[str, Any]


def known_schema(wanted: WantedSchema | None) -> KeypointSchema | None:
    """The schema that `read(schema=...)` and `--schema` mean.

    Args:
        wanted: a schema, the name of a known one, the path of a TOML file, or what stands in such a file.

    Raises:
        DataError: a name that is not known, or a file that is no schema; it says what is wrong with it.
    """
    if wanted is None or isinstance(wanted, KeypointSchema):
        return wanted
    if isinstance(wanted, Mapping):
        return schema_from_table(wanted, "schema")
    if str(wanted) in KNOWN_SCHEMAS:
        return KNOWN_SCHEMAS[str(wanted)]
    path = Path(wanted).expanduser()
    if path.is_file():
        return _read(path)
    if isinstance(wanted, Path) or path.suffix or len(path.parts) > 1:
        raise DataError(f"the schema file {path} does not exist; known schemas are {', '.join(KNOWN_SCHEMAS)}")
    raise DataError(
        f"schema '{wanted}' is not known; known are {', '.join(KNOWN_SCHEMAS)}; or give the path of a TOML file that holds {_FORM}"
    )


def _read(path: Path) -> KeypointSchema:
    try:
        table = read_toml(path)
    except (OSError, ValueError) as error:
        raise DataError(f"the schema file {path} is no TOML that can be read ({error}); it holds {_FORM}") from error
    return schema_from_table({"name": path.stem, **table}, str(path))


def schema_from_table(table: Mapping[str, Any], where: str) -> KeypointSchema:
    """The schema that a table of names, pairs, eyes and edges describes; `where` names it in errors.

    Raises:
        DataError: a key that is not known, or a value that is not of the form above.
    """
    table = {"pairs" if key == "mirror" else key: value for key, value in table.items()}  # `KeypointSchema.to_dict`
    if strange := [key for key in table if key not in _KEYS]:
        raise DataError(f"{where} has {strange[0]!r}, which no schema has; its keys are {', '.join(_KEYS)}: {_FORM}")
    names = table.get("names")
    if not isinstance(names, Sequence) or isinstance(names, str) or not all(isinstance(one, str) for one in names):
        raise DataError(f"{where} needs names, a list of the keypoints' names in their order: {_FORM}")
    try:
        by_name = schema_for_names(names)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    pairs = _pairs(table["pairs"], names, "pairs", where) if "pairs" in table else by_name.mirror
    edges = _pairs(table["edges"], names, "edges", where) if "edges" in table else by_name.edges
    eyes = _eyes(table["eyes"], names, where) if "eyes" in table else by_name.eyes
    try:
        return KeypointSchema(str(table.get("name", "custom")), tuple(names), pairs, edges, eyes)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _place(keypoint: Any, names: Sequence[str], key: str, where: str) -> int:
    if isinstance(keypoint, int) and not isinstance(keypoint, bool) and 0 <= keypoint < len(names):
        return keypoint
    if isinstance(keypoint, str) and keypoint in names:
        return list(names).index(keypoint)
    known = ", ".join(names[:20])
    raise DataError(f"{where}: {key} has {keypoint!r}, which is none of its names (or numbers from 0): {known}")


def _pairs(value: Any, names: Sequence[str], key: str, where: str) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise DataError(f"{where}: {key} is a list of pairs of names; received {value!r}: {_FORM}")
    found = []
    for pair in value:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
            raise DataError(f"{where}: {key} has {pair!r} where a pair of two names belongs: {_FORM}")
        found.append((_place(pair[0], names, key, where), _place(pair[1], names, key, where)))
    return tuple(found)


def _eyes(value: Any, names: Sequence[str], where: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in (0, 2):
        raise DataError(f"{where}: eyes are two, left and right, each a name or a list of names; received {value!r}")
    sides = [
        tuple(_place(one, names, "eyes", where) for one in ([side] if isinstance(side, str | int) else side))
        for side in value
    ]
    if len(sides) == 2 and bool(sides[0]) != bool(sides[1]):
        raise DataError(f"{where}: eyes need both sides, or neither; received {value!r}")
    return (sides[0], sides[1]) if sides else ((), ())
