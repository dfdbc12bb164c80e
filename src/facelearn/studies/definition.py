"""A study: one TOML file that says a base recipe, its variations and the published numbers. Reading one needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from facelearn.errors import RecipeError, unknown_name
from facelearn.models import zoo
from facelearn.outside import read_toml
from facelearn.recipe.defaults import merged
from facelearn.recipe.recipe import Recipe, has_setting
from facelearn.recipe.starting_weights import hub_file
from facelearn.studies.claims import Claim, PeopleClaim, ReachClaim, cells_of, measures_of
from facelearn.studies.measures import MEASURES
from facelearn.studies.study_file import CellEntry, Checkpoint, Reach, ShortRuns, StudyFile
from facelearn.tasks import TASKS

FOLDER = Path(__file__).resolve().parent / "catalogue"
BASES = "bases"
# where a cell runs does not change what it is; `threads` and `device` change the last digits at most
_NOT_IN_THE_KEY = ("device", "devices", "threads")
_WARPS = ("shift", "scale", "stretch", "rotate", "crop", "padding")


@dataclass(frozen=True)
class Variation:
    """One cell of a study.

    Attributes:
        name: as tables and plots call it.
        recipe: everything that decides the run.
        position: its place on the study's axis, where it has one.
        published: measure -> published number; "epochs" and "seconds_per_epoch" among them where they were given.
        epochs: of the study's own recipe; the recipe here may run fewer.
        published_best, published_worst: rows of the five best and five worst classes by accuracy, as published (number of the
            class, accuracy, precision, recall, BCR, aggregated); may be empty.
        checkpoints: published places on its curves.
        lacks: what must be given before it can be trained, and how; "" where nothing is missing.
        shows: what of its metrics is shown: what was measured beside the model by that name; "" the model's own.
    """

    name: str
    recipe: Recipe
    epochs: int
    position: float | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    published_best: tuple[tuple[float, ...], ...] = ()
    published_worst: tuple[tuple[float, ...], ...] = ()
    lacks: str = ""
    checkpoints: tuple[Checkpoint, ...] = ()
    shows: str = ""


@dataclass(frozen=True)
class Study:
    """A published experiment.

    Attributes:
        name: what `facelearn study` calls it.
        title, source, question: for people.
        axis: what varies along a sweep, with its unit; "" where the cells are no sweep.
        measures: columns of the table, names of `MEASURES`.
        published_images: training images of a published epoch, or None.
        folds: how many folds each cell is trained in; None for a plain split.
        repeats: how often each cell is trained, with a seed of its own each time; None: once.
        against_cost: the measure that is drawn against multiply-adds, or None.
        variations: the cells in their published order.
        claims: what was published, to be judged.
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
    folds: int | None = None
    repeats: int | None = None
    against_cost: str | None = None

    @property
    def task(self) -> str:
        """What its cells learn: a key of `tasks.TASKS`."""
        return self.variations[0].recipe.task


def study_names() -> list[str]:
    """The studies that come with facelearn."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_study(
    name: str | Path,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    source: str | Mapping[str, str] | None = None,
    sha256: str | None = None,
    train_list: str | Path | None = None,
    test_data: str | Path | None = None,
    test_list: str | Path | None = None,
) -> Study:
    """A study by its name, or from a TOML file of one's own.

    Args:
        name: one of `study_names()`, or the path of a TOML file.
        epochs: of every cell instead of its own; with few of them, the study's settings for short runs are taken, and noted.
        seed: of every cell instead of its own: other rows are held out, and first weights and order are others.
        source: weights for every cell that freezes a part of its network, as `recipe.transfer.source` takes them; or, where cells of
            different networks do, the weights of each by its network's name.
        sha256: of that file; a local file's is found out, so that its cells are named by what it holds.
        train_list: a file that names the images to train on, for every cell; all others of these people are the test.
        test_data, test_list: another data set that every cell is measured on, instead of people held out, and a file that names its images.

    Raises:
        RecipeError: no such study, a file with unknown keys, impossible recipes, or claims about cells that are not there; weights, a
            list or other data that no cell takes; a seed for cells that differ in theirs.
    """
    path = Path(name) if Path(name).suffix == ".toml" else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise RecipeError(unknown_name("study", str(name), study_names()))
    try:
        facts = StudyFile.model_validate(_read(path))
    except ValidationError as error:
        problems = "\n".join(f"  {'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise RecipeError(f"{path}: the study is not valid\n{problems}") from error
    short = facts.short_runs if facts.short_runs and epochs and epochs < facts.short_runs.below else None
    cells = facts.cells or (tuple(facts.sweep.cells()) if facts.sweep else ())
    given = _Given(epochs, _sources(source, sha256), train_list, test_data, test_list)
    variations = tuple(_variation(path, facts, cell, short, given) for cell in cells)
    _check(path, facts, variations)
    if seed is not None:
        own = sorted({one.recipe.seed for one in variations})
        if len(own) > 1:
            raise RecipeError(
                f"cells of the study '{path.stem}' differ in their seeds ({', '.join(map(str, own))}); leave out --seed"
            )
        variations = tuple(replace(one, recipe=one.recipe.with_changes(seed=seed)) for one in variations)
    takers = {one.recipe.model.name for one in variations if starts_from_weights(one.recipe)}
    if source and not takers:
        raise RecipeError(f"no cell of the study '{path.stem}' starts from given weights; leave out --from")
    for network in given.sources:
        if network and network not in takers:
            raise RecipeError(unknown_name("network that starts from given weights", network, sorted(takers)))
    return Study(
        name=path.stem, title=facts.title, source=facts.source, question=facts.question, axis=facts.axis,
        measures=facts.measures, variations=variations, claims=facts.claims, reach=facts.reach,
        normalise=facts.normalise, notes=(*facts.notes, *((short.note,) if short else ())), published_images=facts.published_images,
        folds=facts.folds, repeats=facts.repeats, against_cost=facts.against_cost,
    )  # fmt: skip


@dataclass(frozen=True)
class _Given:
    """What a person types for a study that its file cannot hold."""

    epochs: int | None
    sources: Mapping[str, tuple[str, str | None]]
    train_list: str | Path | None
    test_data: str | Path | None
    test_list: str | Path | None

    def changes(self, recipe: Recipe) -> dict[str, Any]:
        """What of it concerns a cell of this recipe."""
        changes: dict[str, Any] = {"epochs": self.epochs} if self.epochs else {}
        if self.train_list is not None:
            if not has_setting(type(recipe), "split.train_list"):
                raise RecipeError(f"this study learns {recipe.task}; --train-list belongs to studies of people")
            changes["split"] = {"train_list": str(self.train_list), "test": 0.0, "strangers": 0.0}
        if self.test_data is not None or self.test_list is not None:
            if not has_setting(type(recipe), "split.test_data"):
                raise RecipeError(
                    f"this study learns {recipe.task}; --test-data and --test-list belong to studies of verification"
                )
            if self.test_data is None:
                raise RecipeError("test_list names images of test_data; give it too: --test-data")
            changes["split"] = {"test_data": str(self.test_data), "test": 0.0}
            changes["split"] |= {"test_list": str(self.test_list)} if self.test_list is not None else {}
        source, sha256 = self.sources.get(recipe.model.name) or self.sources.get("") or ("", None)
        if source and starts_from_weights(recipe):
            changes["transfer"] = {"source": source, **({"sha256": sha256} if sha256 else {})}
        return changes


def starts_from_weights(recipe: Recipe) -> bool:
    """Whether it holds a part of its network still, which makes no sense with weights drawn at random."""
    return recipe.transfer.freeze != "none"


def _sources(source: str | Mapping[str, str] | None, sha256: str | None) -> dict[str, tuple[str, str | None]]:
    """Network ("" for all) -> its weights and their checksum."""
    each = {} if source is None else {"": source} if isinstance(source, str) else dict(source)
    return {network: (file, sha256 or _checksum(file)) for network, file in each.items()}


def _checksum(source: str) -> str | None:
    """SHA-256 of a local file; None of a file of the Hub, which must come with its own."""
    if hub_file(source) is not None:
        return None
    try:
        with Path(source).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecipeError(
            f"cannot read the weights {source}: {error.strerror}; give --from a model file of facelearn or .safetensors or .pth weights"
        ) from error


def cell_key(recipe: Recipe, data: str, fold: tuple[int, int] | None = None) -> str:
    """Name of a cell: a hash of what its recipe does, of the rows it may see (`Faces.fingerprint`), and of its fold (index, folds)."""
    text = json.dumps([_effective(recipe), data, fold], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def network_facts(recipe: Recipe) -> dict[str, Any]:
    """What tells a network from one of the same name that was built otherwise: all its options, and its size as published.

    Returns:
        JSON values: options, those of the recipe over the defaults, and parameters.
    """
    network = zoo.model_info(recipe.model.name)
    options = {**dict(network.options), **recipe.model.options}
    return {"options": json.loads(json.dumps(options)), "parameters": network.parameters}


def same_network(stored: Mapping[str, Any], recipe: Recipe) -> bool:
    """Whether the network that a cell trained is built like this today.

    Options that the cell did not know yet are as they were built then (`ModelInfo.earlier`), or change nothing.

    Args:
        stored: the cell's `network_facts`; may be empty.
        recipe: of the cell.
    """
    now, info = network_facts(recipe), zoo.model_info(recipe.model.name)
    options = {**info.earlier, **stored.get("options", {})}
    return stored.get("parameters", now["parameters"]) == now["parameters"] and all(
        now["options"].get(name) == value for name, value in options.items()
    )


def changed_settings(then: Recipe, now: Recipe) -> list[str]:
    """What decides a cell's numbers and is not the same in both recipes, setting by setting, "" where nothing is.

    How long they ran, which rows they read, and which files they took up are facts of a run and not of a study: they are left out.
    """
    first, second = (_flat(_effective(recipe)) for recipe in (then, now))
    changed = [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]
    return [
        f"{name} was {json.dumps(first.get(name))} and is {json.dumps(second.get(name))}"
        for name in changed
        if not name.startswith(_OF_A_RUN)
    ]


_OF_A_RUN = (
    "epochs", "read.", "transfer.source", "transfer.sha256", "split.train_list", "split.test_data", "split.test_list", "model.parameters",
)  # fmt: skip


def _flat(facts: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in facts.items():
        path = f"{above}{name}"
        found |= _flat(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
    return found


def _effective(recipe: Recipe) -> dict[str, Any]:
    """The recipe without what changes nothing: options spelled out at their defaults, and amounts of an augmentation that is off."""
    facts = {key: value for key, value in recipe.to_dict().items() if key not in _NOT_IN_THE_KEY}
    facts["model"].update(network_facts(recipe))
    off = [prefix for share, prefix in (("warp", _WARPS), ("dct", ("dct_",))) if facts["augment"][share] == 0]
    unused = tuple(name for prefix in off for name in prefix)
    facts["augment"] = {
        key: value for key, value in facts["augment"].items() if not (unused and key.startswith(unused))
    }
    # files are named by what they hold: weights by their checksum, lists of images and test data with the data (`study._name_of`)
    if recipe.transfer.sha256:
        del facts["transfer"]["source"]
    for name in ("train_list", "test_data", "test_list"):
        if facts["split"].get(name):
            facts["split"][name] = True
    return facts


def _variation(path: Path, facts: StudyFile, cell: CellEntry, short: ShortRuns | None, given: _Given) -> Variation:
    base = _base_recipe(path, cell.base or facts.base)
    own = merged(merged(base, facts.recipe), cell.recipe)
    published = dict(cell.published)
    if facts.published_epochs:
        published.setdefault("epochs", facts.published_epochs)
    where = f"{path}, cell '{cell.name}'"
    planned = Recipe.from_dict(own, where=where)
    if short and cell.name in (short.cells or (cell.name,)):
        own = merged(merged(own, short.recipe), cell.recipe)  # what a cell is about stays
    recipe = Recipe.from_dict(merged(own, given.changes(planned)), where=where)
    lacks = ""
    if starts_from_weights(recipe) and not recipe.transfer.source:
        lacks = (
            f"it starts from weights that were trained elsewhere: give them with --from {recipe.model.name}=FILE (a model file of "
            "facelearn with this network, or published weights as .safetensors or .pth)"
        )
    return Variation(
        cell.name,
        recipe,
        planned.epochs,
        cell.position,
        published,
        cell.published_best,
        cell.published_worst,
        lacks,
        cell.checkpoints,
        cell.shows,
    )


def _check(path: Path, facts: StudyFile, variations: tuple[Variation, ...]) -> None:
    names = [variation.name for variation in variations]
    if not names or len(set(names)) < len(names):
        raise RecipeError(f"{path}: a study needs cells of different names; received {names}")
    drawn = (facts.against_cost,) if facts.against_cost else ()
    for measure in (*facts.measures, *(name for claim in facts.claims for name in measures_of(claim)), *drawn):
        if measure not in MEASURES:
            raise RecipeError(f"{path}: " + unknown_name("measure", measure, list(MEASURES)))
    wanted = [name for claim in facts.claims for name in cells_of(claim)]
    if not facts.reach and any(isinstance(claim, ReachClaim) for claim in facts.claims):
        raise RecipeError(f"{path}: a claim of kind 'reach' needs the study's [reach]: of which cell the best loss is")
    task = variations[0].recipe.task
    named = "average_aggregated_score" in TASKS[task].study.MEASURES
    if not named and any(isinstance(claim, PeopleClaim) for claim in facts.claims):
        raise RecipeError(
            f"{path}: a claim of kind 'people' counts scores of people who are named; this study's task is {task}"
        )
    short = list(facts.short_runs.cells) if facts.short_runs else []
    for name in wanted + short + ([facts.reach.of] if facts.reach else []):
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
        return read_toml(path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read the study {path}: {error}") from error
