"""`Recipe`: everything that decides one training run, validated before anything is read or computed.

A recipe is one of several kinds, one a task: what all have stands here, what a task adds in `tasks/<task>/settings.py`, and a setting of
another task is refused by name.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from facelearn.data.filled import missing_values
from facelearn.data.schema import KNOWN_SCHEMAS
from facelearn.data.schema_file import known_schema
from facelearn.errors import RecipeError, unknown_name
from facelearn.outside import read_toml
from facelearn.recipe.defaults import defaults_of, merged
from facelearn.recipe.space import Space, check_paths
from facelearn.recipe.starting_weights import TransferSettings
from facelearn.tasks import DEFAULT_TASK, TASKS
from facelearn.tasks.settings import Options, Settings, TaskSettings
from facelearn.transforms.augment.settings import AugmentSettings


class ModelSettings(Settings):
    """Which network of the zoo, with which options, and how its weights start."""

    name: str = "facelearn_keypoints"
    options: Options = Field(default_factory=dict)
    initialise: Literal["default", "normal", "xavier", "kaiming", "orthogonal"] = "default"
    initial_deviation: float = Field(0.02, gt=0, description="standard deviation of the 'normal' initialisation")


class OptimiserSettings(Settings):
    """The optimiser. `weight_decay` is decoupled in `adamw` and `muon` and an L2 penalty in `adam` and `sgd`.

    `muon` is `adamw` with orthogonal steps for convolutions (Jordan et al. 2024); both want the same learning rate.
    """

    name: Literal["adam", "adamw", "muon", "sgd"] = "adamw"
    learning_rate: float = Field(4e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(0.02, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum of `sgd`; the first beta of the others")
    final_momentum: float | None = Field(
        None, ge=0, lt=1, description="momentum of `sgd` at the last step, reached along a straight line; None keeps it"
    )
    second_momentum: float = Field(0.99, ge=0, lt=1, description="the second beta of all but `sgd`")
    clip_gradient_norm: float = Field(1.0, ge=0, description="largest norm of a step's gradient; 0 for any")

    @model_validator(mode="after")
    def _momentum_moves_in_sgd_only(self) -> Self:
        if self.final_momentum is not None and self.name != "sgd":
            raise ValueError(f"final_momentum belongs to optimiser 'sgd'; '{self.name}' keeps its betas")
        return self


class ScheduleSettings(Settings):
    """The learning rate over the run, as a function of the step.

    `constant` keeps it; `linear` and `cosine` fall from the start to `final` of it; `one_cycle` (Smith 2018) rises over `warm_up` of
    all steps, then falls along a cosine to `final` of the highest.
    """

    name: Literal["one_cycle", "cosine", "linear", "constant"] = "one_cycle"
    warm_up: float = Field(0.1, ge=0, lt=1)
    start: float = Field(0.04, ge=0, le=1)
    final: float = Field(1e-4, ge=0, le=1)


def _number_or_none(value: Any) -> Any:
    """What `read.missing` is written as: a number, several, or "none"."""
    numbers = missing_values(value)
    if not numbers:
        return None if numbers is None else "none"
    return numbers[0] if len(numbers) == 1 else numbers


with warnings.catch_warnings():
    # "schema" is what people say; pydantic's own method of that name is deprecated, and nobody here calls it
    warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)

    class SchemaSettings(Settings):
        """What the keypoints are, where the data do not say it: the name of a known set, or a table of names, pairs, eyes and edges.

        A file is taken in whole, so that a run can be gone on with, and its model measured, without that file.
        """

        schema: str | dict[str, Any] | None = None  # type: ignore[assignment]

        @field_validator("schema")
        @classmethod
        def _whole_schema(cls, value: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
            schema = known_schema(value)
            if schema is None:
                return None
            return schema.name if KNOWN_SCHEMAS.get(schema.name) == schema else schema.to_dict()


class ReadSettings(SchemaSettings):
    """How images become a table: the stored size in pixels, the crop by the labels (margin as a share of their box), grey or RGB.

    None keeps images as the files have them.
    """

    size: int | None = Field(None, ge=8)
    crop: float | None = Field(None, ge=0)
    color: Literal["grey", "rgb"] | None = None
    on_error: Literal["stop", "skip"] = Field("stop", description="bad rows stop the run, or are left out and listed")
    list_file: str | None = Field(None, description="a text file of image paths, one a line: only these are read")
    missing: str | float | tuple[float, ...] | None = Field(
        None, description="the number in x and y that means a missing keypoint, or several; 'none' where all are labels"
    )
    units: Literal["pixels", "fraction", "percent"] | None = Field(
        None, description="of the coordinates in the label file"
    )
    framing: Literal["whole", "crop", "template", "tight"] | None = Field(
        None, description="which part of a photo is a face's image; by default the photos decide"
    )
    detector: str = Field(
        "facelearn",
        description="what finds faces where labels do not say: facelearn, libfacedetection, a YuNet .onnx file, none",
    )

    @field_validator("missing", mode="before")
    @classmethod
    def _missing(cls, value: Any) -> Any:
        return _number_or_none(value)


class Recipe(TaskSettings):
    """One training run; `Recipe()` is our best for keypoints of 96x96 faces with missing labels, `Recipe(task="identification")` our best
    for naming people in photos of about 112x112.

    Written to and read from TOML. What is not given takes the task's default. Every field is checked: unknown keys, settings of another
    task and impossible values are errors. An instance is of its task's kind, and has the fields of `tasks/<task>/settings.py` too.
    """

    model: ModelSettings = ModelSettings()
    transfer: TransferSettings = TransferSettings()
    read: ReadSettings = ReadSettings()
    preprocess: tuple[str | dict[str, Any], ...] = ("grey", {"name": "resize", "size": 96}, "standardise_image")
    augment: AugmentSettings = AugmentSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    epochs: int = Field(26, ge=1)
    budget_seconds: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="choose the epochs so that training takes about this long"
    )
    batch_size: int = Field(32, ge=1, description="rows per optimiser step, over all devices and accumulated parts")
    accumulate: int = Field(1, ge=1, description="parts that a batch is computed in, to save memory")
    average_decay: float = Field(
        0.998, ge=0, lt=1, description="decay of the exponential moving average of the weights; 0 keeps none"
    )
    patience: int | None = Field(None, ge=1, description="stop after so many epochs without a better validation loss")
    keep: Literal["best", "last"] = Field("last", description="which epoch's weights the model file gets")
    validate_every: int = Field(1, ge=1, description="epochs between validations")
    precision: Literal["auto", "32", "bf16", "bf16-forced"] = Field(
        "auto",
        description="bf16 where the processor is faster in it ('auto'), where it has it ('bf16'), always ('bf16-forced'), or never ('32')",
    )
    device: str = Field("auto", description="auto, cpu or cuda")
    devices: int = Field(1, ge=1)
    threads: int | None = Field(
        None, ge=1, description="processor threads; where not given, as many as others leave cores"
    )
    search: Space = Field(default_factory=dict, description="what `facelearn tune` varies, see `recipe.space`")

    def __new__(cls, **facts: Any) -> Self:
        """An instance of the task's kind: `Recipe(task="identification")` has what identification adds."""
        kind = kind_of(facts.get("task")) if cls is Recipe else cls
        return super().__new__(kind)  # type: ignore[return-value]

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, facts: Any) -> Any:
        if not isinstance(facts, Mapping):
            return facts
        facts = _without_the_neutral(facts, cls)
        defaults = defaults_of({"task": cls.model_fields["task"].default, **facts})
        return merged(defaults, facts) if defaults else facts

    @field_validator("preprocess", mode="before")
    @classmethod
    def _steps(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("search")
    @classmethod
    def _search(cls, value: Space) -> Space:
        check_paths(value, cls)
        return value

    @classmethod
    def from_toml(cls, path: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
        """Read a recipe file, with `changes` (as `with_changes` takes them) to what stands in it.

        Raises:
            RecipeError: the file is missing, no TOML, or has unknown keys or impossible values; each is named.
        """
        try:
            facts = read_toml(path)
        except (OSError, ValueError) as error:
            raise RecipeError(f"cannot read the recipe {path}: {error}") from error
        return cls.from_dict(_changed(facts, changes or {}), where=str(path))

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any], *, where: str = "recipe") -> Recipe:
        """A recipe from nested dictionaries, with every problem named in one RecipeError."""
        try:
            return kind_of(facts.get("task")).model_validate(dict(facts))
        except ValidationError as error:
            lines = [f"{where}: the recipe is not valid"]
            for problem in error.errors():
                key = ".".join(str(part) for part in problem["loc"])
                owner = _owner(key) if problem["type"] == "extra_forbidden" else None
                if owner is not None:
                    said = (
                        f"{key}: received {problem.get('input')!r}; settings such as this belong to task = '{owner}': leave it out, "
                        f"or set task = '{owner}'"
                    )
                else:
                    # what is wrong with several settings at once is said by the message; the whole recipe would drown it
                    said = f"{key}: {problem['msg']} (received {problem.get('input')!r})" if key else problem["msg"]
                lines.append(f"  {said}")
            raise RecipeError("\n".join(lines)) from error

    @classmethod
    def for_task(cls, task: str, changes: Mapping[str, Any] | None = None) -> Recipe:
        """The task's recipe with `changes` (as `with_changes` takes them); what they leave open suits the network they name.

        Raises:
            RecipeError: an unknown task or setting, or an impossible value.
        """
        return cls.from_dict(_changed({"task": task}, changes or {}))

    def with_changes(self, **changes: Any) -> Recipe:
        """A checked copy; keys are dotted paths, or have `__` for the dot: `with_changes(optimiser__learning_rate=1e-3)`."""
        if changes.get("task", self.task) != self.task:
            wanted = changes["task"]
            raise RecipeError(
                f"a recipe for {self.task} does not become one for {wanted}; start from Recipe(task='{wanted}')"
            )
        changed = Recipe.from_dict(_changed(self.to_dict(), changes))
        if not self.asks_for_mirroring and not {"augment", "augment__mirror"} & set(changes):
            changed.augment.model_fields_set.discard("mirror")  # nobody has asked for it yet
        return changed

    def __repr__(self) -> str:
        return f"Recipe({self.task} with {self.model.name}, {self.epochs} epochs; to_toml() says all)"

    @property
    def asks_for_mirroring(self) -> bool:
        """Whether images are to be mirrored because somebody said so, and not only because nobody said otherwise."""
        return self.augment.mirror > 0 and "mirror" in self.augment.model_fields_set

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values without the empty ones, as `from_dict` and TOML take them."""
        facts: dict[str, Any] = self.model_dump(mode="json", exclude_none=True)
        if not self.search:
            del facts["search"]
        return facts

    def __reduce__(self) -> tuple[Any, ...]:
        return Recipe.from_dict, (self.to_dict(),)  # a process of its own gets it as its file has it

    def to_toml(self) -> str:
        """The recipe as a TOML document; `from_toml` reads it back to an equal recipe."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())


_KINDS: dict[str, type[Recipe]] = {
    name: type(
        f"{name.capitalize()}Recipe", (task.Settings, Recipe), {"__module__": __name__, "__doc__": Recipe.__doc__}
    )
    for name, task in TASKS.items()
}


def kind_of(task: Any) -> type[Recipe]:
    """The class of recipes for a task; for the default task where None.

    Raises:
        RecipeError: an unknown task.
    """
    name = DEFAULT_TASK if task is None else str(task)
    if name not in _KINDS:
        raise RecipeError(unknown_name("task", name, list(_KINDS)))
    return _KINDS[name]


def _owner(path: str) -> str | None:
    """The task whose recipes have the setting at a dotted path, where only one has."""
    owners = [name for name, kind in _KINDS.items() if has_setting(kind, path)]
    return owners[0] if len(owners) == 1 else None


def has_setting(settings: type[Settings], path: str) -> bool:
    """Whether recipes of this kind have a setting at the dotted path."""
    first, _, rest = path.partition(".")
    if first not in settings.model_fields:
        return False
    inner: Any = settings.model_fields[first].annotation
    nested = isinstance(inner, type) and issubclass(inner, BaseModel)
    return not rest or (has_setting(inner, rest) if nested else True)


def _without_the_neutral(facts: Mapping[str, Any], kind: type[Recipe]) -> dict[str, Any]:
    """`facts` without the settings of other tasks at values that mean nothing, which earlier versions wrote into every recipe."""
    kept = dict(facts)
    for path, values in (item for task in TASKS.values() for item in task.neutral_settings.items()):
        if has_setting(kind, path):
            continue
        outer, _, inner = path.rpartition(".")
        holder = kept.get(outer) if outer else kept
        if isinstance(holder, Mapping) and inner in holder and holder[inner] in values:
            rest = {key: value for key, value in holder.items() if key != inner}
            kept = {**kept, outer: rest} if outer else rest
    return kept


def _changed(facts: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`facts`, in place, with values put at dotted paths, which may have `__` for the dot."""
    for path, value in changes.items():
        target = facts
        *parents, last = path.replace("__", ".").split(".")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return facts


def seconds(text: str) -> float:
    """A duration as people type it, in seconds: "90", "90s", "5m", "1.5h".

    Raises:
        RecipeError: anything else.
    """
    match = re.fullmatch(r"(\d{1,12}(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None or float(match[1]) <= 0:
        raise RecipeError(f"received the duration '{text}'; write seconds, minutes or hours, e.g. 90s, 5m or 1.5h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
