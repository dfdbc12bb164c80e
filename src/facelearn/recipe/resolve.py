"""The one place that makes the recipe that runs: from a recipe file, what was typed, the weights to start from, and the data.

`train`, folds, studies and searches all go through `draft` (before the data are read: how to read them) and `resolve` (after).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from facelearn.data.faces import Faces
from facelearn.data.unknown_meaning import unpaired_note
from facelearn.errors import DataError, RecipeError
from facelearn.models import zoo
from facelearn.models.registry import SIZE_ARGUMENTS, TASK_ARGUMENTS
from facelearn.recipe.defaults import default_epochs
from facelearn.recipe.recipe import Recipe, has_setting, kind_of
from facelearn.recipe.starting_weights import TransferSettings
from facelearn.splits.split import Split
from facelearn.tasks import DEFAULT_TASK, TASKS
from facelearn.tasks.task import TRAIN, Task

_BEFORE_FITTING = "standardise"  # its place is taken by the numbers' steps that come with the weights


@dataclass(frozen=True)
class SourceNetwork:
    """What is known of the network whose weights a run starts from.

    Attributes:
        name: the zoo's, None where it is not known.
        arguments: it was built with.
        pixel_steps: the steps on pixels that its images went through, as a recipe lists them.
    """

    name: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    pixel_steps: tuple[Mapping[str, Any] | str, ...] = ()


OpenSource = Callable[[TransferSettings], SourceNetwork]


@dataclass(frozen=True)
class Draft:
    """What was asked for, before the data are known.

    Attributes:
        recipe: as far as it can be said; its `read` settings hold.
        typed: what was typed over the recipe file or the task's defaults, as `Recipe.with_changes` takes it.
        task: None where the data are to decide.
        implied: the task was not asked for by name: settings that only it has were.
        own: no recipe was given, so that what is not typed may follow the data and the weights to start from.
        runs: it ran already, and is gone on with as it stands.
    """

    recipe: Recipe
    typed: Mapping[str, Any] = field(default_factory=dict)
    task: str | None = None
    implied: bool = False
    own: bool = True
    runs: bool = False


@dataclass(frozen=True)
class Resolved:
    """The recipe that runs, its task, and the rows: one split, or one for each fold; and what is to be said of it, one sentence each."""

    recipe: Recipe
    task: Task
    splits: list[Split]
    notes: tuple[str, ...] = ()


def draft(given: Recipe | None, typed: Mapping[str, Any], *, task: str | None = None, runs: bool = False) -> Draft:
    """The recipe before the data are read.

    Args:
        given: a recipe file's, or None.
        typed: changes to it, as `Recipe.with_changes` takes them.
        task: that was asked for, or None.
        runs: `given` is the recipe of a run that is gone on with.

    Raises:
        RecipeError: a recipe of another task than the one asked for, or one that describes a search; settings that are not valid.
    """
    named = typed.get("task")
    if task and named and task != named:
        raise RecipeError(f"task is asked for twice, as '{task}' and as '{named}' among the changes; leave one out")
    task = task or named
    if task and given and given.task != task:
        raise RecipeError(
            f"the recipe is for {given.task}; leave out task (--task) = '{task}', or give a recipe for it"
        )
    if typed.get("epochs") is not None and typed.get("budget_seconds") is not None:
        raise RecipeError(
            f"epochs ({typed['epochs']}) and budget ({typed['budget_seconds']:g} s) both say how long to train; give one of the two"
        )
    implied = None if task or given else task_of_settings(typed)
    task = task or implied
    recipe = given.with_changes(**typed) if given else Recipe.for_task(task or DEFAULT_TASK, typed)
    if recipe.search:
        raise RecipeError(
            f"the recipe describes a search over {', '.join(recipe.search)}; search with: facelearn tune --data DATA --recipe FILE. To "
            "train once, take the best_recipe.toml of a search, or remove [search] from the recipe"
        )
    known = recipe.task if given or task else None
    return Draft(recipe, dict(typed), known, implied=implied is not None, own=given is None, runs=runs)


def task_of_settings(typed: Mapping[str, Any]) -> str | None:
    """The task that typed settings belong to, where the default task has not all of them and another one does."""
    paths = [name.replace("__", ".") for name, value in typed.items() if value]
    if all(has_setting(kind_of(DEFAULT_TASK), path) for path in paths):
        return None
    return next((name for name in TASKS if all(has_setting(kind_of(name), path) for path in paths)), None)


def resolve(made: Draft, faces: Faces, open_source: OpenSource, *, folds: int | None = None) -> Resolved:
    """The recipe that runs on these faces.

    Args:
        made: what was asked for.
        faces: the table; it must teach the draft's task where that is known.
        open_source: what is known of the weights in `transfer`; called only where there are some.
        folds: split into so many folds.

    Raises:
        DataError: data with keypoints, and settings that only another task has.
        RecipeError: weights that cannot be opened, settings that do not go together, or mirroring that was asked for where nobody knows
            which keypoints mirror which.
    """
    task = TASKS[made.task or task_taught(faces)]
    recipe = made.recipe
    notes: tuple[str, ...] = ()
    if made.implied and task.name != task_taught(faces) and TASKS[DEFAULT_TASK].teaches(faces):
        default = kind_of(DEFAULT_TASK)
        typed = [name.replace("__", ".") for name, value in made.typed.items() if value]
        foreign = ", ".join(path for path in typed if not has_setting(default, path))
        raise DataError(
            f"the data have {DEFAULT_TASK}, but {foreign} is about people; to learn who is who, add --task {task.name}"
        )
    if not made.runs:
        if recipe.task != task.name:
            recipe = Recipe.for_task(task.name, made.typed)
        recipe = _own_from_source(recipe, made, open_source) if made.own else completed(recipe, open_source)
        recipe, notes = without_mirroring(recipe, faces)
    if folds is not None and folds < 2:
        raise RecipeError(f"cross-validation needs at least 2 folds; received {folds}")
    held_out = task.split(faces, recipe)
    splits = task.folds(faces, recipe, folds, held_out) if folds else [held_out]
    if made.own and not made.runs and not {"epochs", "budget_seconds"} & set(made.typed):
        epochs = default_epochs(task.name, len(splits[0].parts[TRAIN]), recipe.batch_size)
        recipe = recipe if epochs is None else recipe.with_changes(epochs=epochs)
    return Resolved(recipe, task, splits, notes)


def without_mirroring(recipe: Recipe, faces: Faces) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe as it can be carried out on these faces: nothing is mirrored where nobody knows which keypoints mirror which.

    Returns:
        The recipe, and the sentence that says so where it would have mirrored otherwise.

    Raises:
        RecipeError: it asks for mirroring in so many words.
    """
    if TASKS[recipe.task].can_mirror(faces) or not (recipe.augment.mirror or recipe.mirrored_prediction):
        return recipe, ()
    note = unpaired_note(faces.schema) or ""
    if recipe.asks_for_mirroring:
        raise RecipeError(
            f"the recipe asks for mirroring (augment.mirror = {recipe.augment.mirror:g}), but {note}; or train without mirroring: "
            "--no-mirror, or augment.mirror = 0"
        )
    said = (note,) if recipe.augment.mirror else ()
    return recipe.with_changes(augment__mirror=0.0, mirrored_prediction=False), said


def task_taught(faces: Faces) -> str:
    """The first task that the table can teach; the default one where it can teach none."""
    return next((name for name, task in TASKS.items() if task.teaches(faces)), DEFAULT_TASK)


def completed(recipe: Recipe, open_source: OpenSource) -> Recipe:
    """A recipe that was given, with the options of the network whose weights it starts from, where it is its own and does not name them.

    Whether tensors of another network fit is seen when they are taken over.
    """
    if not recipe.transfer.source:
        return recipe
    source = open_source(recipe.transfer)
    if source.name is None or source.name != recipe.model.name:
        return recipe
    return recipe.with_changes(model__options={**_options_of(source, source.name), **recipe.model.options})


def _own_from_source(recipe: Recipe, made: Draft, open_source: OpenSource) -> Recipe:
    """The task's recipe with the network of the weights it starts from, its options and its pixel steps, unless something else was typed.

    Weights that do not say which network they are of leave the recipe as it is.
    """
    if not recipe.transfer.source:
        return recipe
    source = open_source(recipe.transfer)
    if source.name is None:
        return recipe
    kin = zoo.successor(source.name, TASKS[recipe.task].takes)
    name = kin.name
    if made.typed.get("model__name", name) != name:
        return recipe
    changes: dict[str, Any] = {"model__name": name, "model__options": {**_options_of(source, name), **kin.options}}
    steps = list(source.pixel_steps)
    fixed_size = zoo.model_info(name).fixed_size
    if fixed_size and not steps:
        steps = [{"name": "resize", "size": fixed_size}]
    if steps:
        changes["preprocess"] = [*steps, _BEFORE_FITTING]
    return Recipe.for_task(recipe.task, {**changes, **made.typed})


def _options_of(source: SourceNetwork, name: str) -> dict[str, Any]:
    """The options of the network `name` at which the source's differ from the defaults."""
    known = zoo.model_info(name).options
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in source.arguments.items()
        if key in known and key not in (*SIZE_ARGUMENTS, *TASK_ARGUMENTS) and value != known[key]
    }
