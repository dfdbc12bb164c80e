"""A study: one TOML file that says a base recipe, its variations and the published numbers. Reading one needs no torch."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from facelearn.errors import RecipeError, unknown_name
from facelearn.models import zoo
from facelearn.training.recipe import Recipe, Settings
from facelearn.training.recipe_defaults import merged

FOLDER = Path(__file__).resolve().parents[1] / "studies"
BASES = "bases"
MEASURES = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "best_valid_loss": "best validation loss",
    "normalised_valid_loss": "normalised validation loss",
    "rmse_error": "RMSE px",
    "robust_rmse_error": "RMSE px without far points",
    "point_failure_error": "failed points",
    "face_failure_error": "failed faces",
    "face_any_failure_error": "faces with a failed point",
    "unsteadiness": "unsteadiness of the curve",
    "epochs_to_reach": "epochs to reach it",
    "seconds_to_reach": "seconds to reach it",
}
"""What a study's table may show, and its heading. Losses are mean squares in unit coordinates; with `masked_mse_per_valid`, RMSE px =
width / 2 * sqrt(loss), with `masked_mse_per_target` the square is that times the share of targets that are present."""

# where a cell runs does not change what it is; `threads` and `device` change the last digits at most
_NOT_IN_THE_KEY = ("device", "devices", "threads")
_WARPS = ("shift", "scale", "stretch", "rotate", "crop", "padding")


class Claim(Settings):
    """A published order: cells from the lowest to the highest value of a measure; cells in one inner list are published as equal."""

    measure: str
    order: tuple[str | tuple[str, ...], ...]
    text: str


class Reach(Settings):
    """Count epochs and seconds until each cell's validation loss is at or below the best one of the cell `of`."""

    of: str
    published: str = ""


class ShortRuns(Settings):
    """Settings for runs of fewer epochs than `below`, where the published ones would not get anywhere; `note` says so in every table."""

    below: int
    recipe: dict[str, Any]
    note: str


class _Cell(Settings):
    name: str
    position: float | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    published: dict[str, float] = Field(default_factory=dict)


class _Sweep(Settings):
    field: str
    values: list[Any]
    names: list[str] = Field(default_factory=list)
    positions: list[float] = Field(default_factory=list)
    published: dict[str, list[float]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _equally_long(self) -> _Sweep:
        lists: dict[str, list[Any]] = {"names": self.names, "positions": self.positions, **self.published}
        for key, values in lists.items():
            if values and len(values) != len(self.values):
                raise ValueError(f"{key} has {len(values)} entries for {len(self.values)} values")
        return self

    def cells(self) -> list[_Cell]:
        """One cell for each value."""
        *parents, last = self.field.split(".")
        found = []
        for index, value in enumerate(self.values):
            recipe: dict[str, Any] = {last: value}
            for parent in reversed(parents):
                recipe = {parent: recipe}
            found.append(_Cell(
                name=self.names[index] if self.names else str(value), recipe=recipe,
                position=self.positions[index] if self.positions else None,
                published={key: values[index] for key, values in self.published.items()},
            ))  # fmt: skip
        return found


class _File(Settings):
    title: str
    source: str
    question: str
    base: str | None = None
    axis: str = ""
    measures: tuple[str, ...] = ("train_loss", "valid_loss")
    published_epochs: int | None = None
    published_images: int | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    cells: tuple[_Cell, ...] = ()
    sweep: _Sweep | None = None
    claims: tuple[Claim, ...] = ()
    reach: Reach | None = None
    normalise: bool = False
    notes: tuple[str, ...] = ()
    short_runs: ShortRuns | None = None


@dataclass(frozen=True)
class Variation:
    """One cell of a study.

    Attributes:
        name: as tables and plots call it.
        recipe: everything that decides the run.
        position: its place on the study's axis, where it has one.
        published: measure -> published number; "epochs" and "seconds_per_epoch" among them where they were given.
        epochs: of the study's own recipe; the recipe here may run fewer.
    """

    name: str
    recipe: Recipe
    epochs: int
    position: float | None = None
    published: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A published experiment.

    Attributes:
        name: what `facelearn study` calls it.
        title, source, question: for people.
        axis: what varies along a sweep, with its unit; "" where the cells are no sweep.
        measures: columns of the table, names of `MEASURES`.
        published_images: training images of a published epoch, or None.
        variations: the cells in their published order.
        claims: published orders to check.
        reach: a loss to count epochs and seconds to, or None.
        normalise: draw the curves as shares of the largest loss.
        notes: where our setting differs from the published one, and why.
    """

    name: str
    title: str
    source: str
    question: str
    axis: str
    measures: tuple[str, ...]
    variations: tuple[Variation, ...]
    claims: tuple[Claim, ...] = ()
    reach: Reach | None = None
    normalise: bool = False
    notes: tuple[str, ...] = ()
    published_images: int | None = None


def study_names() -> list[str]:
    """The studies that come with facelearn."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_study(name: str | Path, *, epochs: int | None = None) -> Study:
    """A study by its name, or from a TOML file of one's own.

    Args:
        name: one of `study_names()`, or the path of a TOML file.
        epochs: of every cell instead of its own; with few of them, the study's settings for short runs are taken, and noted.

    Raises:
        RecipeError: no such study, or a file with unknown keys, impossible recipes, or claims about cells that are not there.
    """
    path = Path(name) if Path(name).suffix == ".toml" else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise RecipeError(unknown_name("study", str(name), study_names()))
    try:
        facts = _File.model_validate(_read(path))
    except ValidationError as error:
        problems = "\n".join(f"  {'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise RecipeError(f"{path}: the study is not valid\n{problems}") from error
    base = _base_recipe(path, facts.base)
    short = facts.short_runs if facts.short_runs and epochs and epochs < facts.short_runs.below else None
    cells = facts.cells or (tuple(facts.sweep.cells()) if facts.sweep else ())
    over = {**(short.recipe if short else {}), **({"epochs": epochs} if epochs else {})}
    variations = tuple(_variation(path, facts, base, cell, over) for cell in cells)
    _check(path, facts, variations)
    return Study(
        name=path.stem, title=facts.title, source=facts.source, question=facts.question, axis=facts.axis,
        measures=facts.measures, variations=variations, claims=facts.claims, reach=facts.reach,
        normalise=facts.normalise, notes=(*facts.notes, *((short.note,) if short else ())), published_images=facts.published_images,
    )  # fmt: skip


def cell_key(recipe: Recipe, data: str, fold: tuple[int, int] | None = None) -> str:
    """Name of a cell: a hash of what its recipe does, of the rows it may see (`Faces.fingerprint`), and of its fold (index, folds)."""
    text = json.dumps([_effective(recipe), data, fold], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _effective(recipe: Recipe) -> dict[str, Any]:
    """The recipe without what changes nothing: options spelled out at their defaults, and amounts of an augmentation that is off."""
    facts = {key: value for key, value in recipe.to_dict().items() if key not in _NOT_IN_THE_KEY}
    known = json.loads(json.dumps(dict(zoo.model_info(recipe.model.name).options)))
    options = facts["model"].get("options", {})
    facts["model"]["options"] = {
        key: value for key, value in options.items() if key not in known or known[key] != value
    }
    off = [prefix for share, prefix in (("warp", _WARPS), ("dct", ("dct_",))) if facts["augment"][share] == 0]
    unused = tuple(name for prefix in off for name in prefix)
    facts["augment"] = {
        key: value for key, value in facts["augment"].items() if not (unused and key.startswith(unused))
    }
    return facts


def _variation(path: Path, facts: _File, base: Mapping[str, Any], cell: _Cell, over: Mapping[str, Any]) -> Variation:
    own = merged(merged(base, facts.recipe), cell.recipe)
    published = dict(cell.published)
    if facts.published_epochs:
        published.setdefault("epochs", facts.published_epochs)
    where = f"{path}, cell '{cell.name}'"
    recipe = Recipe.from_dict(merged(own, over), where=where)
    return Variation(cell.name, recipe, Recipe.from_dict(own, where=where).epochs, cell.position, published)


def _check(path: Path, facts: _File, variations: tuple[Variation, ...]) -> None:
    names = [variation.name for variation in variations]
    if not names or len(set(names)) < len(names):
        raise RecipeError(f"{path}: a study needs cells of different names; received {names}")
    for measure in (*facts.measures, *(claim.measure for claim in facts.claims)):
        if measure not in MEASURES:
            raise RecipeError(f"{path}: " + unknown_name("measure", measure, list(MEASURES)))
    wanted = [
        name for claim in facts.claims for item in claim.order for name in ((item,) if isinstance(item, str) else item)
    ]
    for name in wanted + ([facts.reach.of] if facts.reach else []):
        if name not in names:
            raise RecipeError(f"{path}: " + unknown_name("cell", name, names))


def _base_recipe(path: Path, base: str | None) -> dict[str, Any]:
    """The recipe of a base, over that of its own base where it names one."""
    if base is None:
        return {}
    for folder in (path.parent, FOLDER):
        found = folder / BASES / f"{base}.toml"
        if found.is_file():
            recipe = _read(found)
            return merged(_base_recipe(path, recipe.pop("base", None)), recipe)
    raise RecipeError(
        f"{path}: " + unknown_name("base recipe", base, [p.stem for p in (FOLDER / BASES).glob("*.toml")])
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"cannot read the study {path}: {error}") from error
