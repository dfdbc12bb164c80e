"""`Bundle`: a trained model and every fact needed to use it, and its form as one JSON document plus named tensors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.bundle.document_types import check_document
from facelearn.data.schema import KeypointSchema
from facelearn.errors import BundleError, FacelearnError
from facelearn.models import zoo
from facelearn.tasks import TASKS
from facelearn.tasks.task import NOTHING_ASKED, AnswerFacts, Answering, Asked, Task
from facelearn.transforms.framing import WHOLE, Framing, framing_as_read
from facelearn.transforms.preprocess import Preprocess

_NETWORK = "network."
_PREPROCESS = "preprocess."
ANSWER = "answer."
_BUFFERS = ("running_mean", "running_var")
_WEIGHT_DTYPES = (np.dtype(np.float32), np.dtype(np.int64))
_FACTS = ("thresholds", "metrics", "data", "recipe", "versions")
_TEXTS = ("task", "network", "network_args", "licence", "created")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained model, complete: what `save` writes and `load` returns. Facts are JSON values; NaN in them becomes None.

    Attributes:
        task: a name in `facelearn.tasks.TASKS`.
        network: the zoo's name of the network; `facelearn.models.zoo.build(network, **network_args)` makes it.
        network_args: the builder's arguments (lists become tuples).
        weights: the network's `state_dict` as NumPy arrays, float32 or int64, all finite.
        preprocess: the fitted preprocessing.
        framing: how a face in a photo becomes the image that `preprocess` takes.
        schema: names and mirror pairs of the K keypoints; None for tasks without.
        people: names of the classes of an identification model, in the order of its outputs.
        thresholds: decision thresholds and where they were tuned.
        metrics: measured figures, each beside the number of labels it was measured on.
        data: facts of the training data: "fingerprint", "source", "counts", "split" and
            "image_shape" [H, W, C], the shape of the images that `preprocess` takes.
        recipe: the recipe the model was trained with.
        prediction: how to predict: "mirrored" (average with the mirrored image), "label_offset" (pixels of the network's input by
            which the labels stand right of the place that their mirror images imply), "scheme" (index of the annotation scheme
            to return), "schemes" (the names of the network's annotation schemes) and "confidence" (from the disagreement of image and
            mirror image to the probability that a point is right: `tasks.keypoints.confidence`).
        arrays: float32, fitted numbers of how it answers that are many: the back end of a verification model.
        versions: versions of the libraries that trained it.
        int8: of an exported model in eight-bit numbers how it was calibrated and what that cost (`runs.int8`); empty for others.
        licence: a note on the terms of the weights and of the data behind them.
        created: ISO 8601 time in UTC; empty is now.
    """

    task: str
    network: str
    network_args: dict[str, Any]
    weights: dict[str, NDArray[Any]]
    preprocess: Preprocess
    framing: Framing = WHOLE
    schema: KeypointSchema | None = None
    people: tuple[str, ...] = ()
    thresholds: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    prediction: dict[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    int8: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    created: str = ""

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "network_args", {name: _tuples(_plain(value)) for name, value in self.network_args.items()})
        put(self, "people", tuple(self.people))
        put(self, "created", self.created or _now())
        for name in (*_FACTS, "prediction", "int8"):
            put(self, name, _plain(getattr(self, name)))
        put(self, "weights", {name: _checked(name, array) for name, array in self.weights.items()})
        put(self, "arrays", {name: _checked(ANSWER + name, array) for name, array in self.arrays.items()})
        if self.task not in TASKS:
            raise BundleError(
                f"the model is for the task '{self.task}', which this version does not know: {', '.join(TASKS)}"
            )
        self.of_task.check_facts(self.answer_facts)

    def __repr__(self) -> str:
        answers = (
            f"{len(self.people)} people"
            if self.people
            else f"{len(self.schema)} keypoints"
            if self.schema
            else "embeddings"
        )
        size = f"{self.parameters:,} parameters" if self.weights else "int8" if self.int8 else "exported"
        return f"Bundle({self.task} with {self.network}, {size}, {answers})"

    @property
    def parameters(self) -> int:
        """Number of trained numbers (running statistics of batch norm and whole numbers, as of a wiring, are not counted)."""
        trained = (name for name, array in self.weights.items() if array.dtype.kind == "f")
        return sum(self.weights[name].size for name in trained if name.rpartition(".")[2] not in _BUFFERS)

    @property
    def of_task(self) -> Task:
        """The task that it was trained for."""
        return TASKS[self.task]

    @property
    def answer_facts(self) -> AnswerFacts:
        """What it keeps of how it answers."""
        return AnswerFacts(self.schema, self.people, self.prediction, self.thresholds, self.arrays)

    def answering(self, asked: Asked = NOTHING_ASKED) -> Answering:
        """How its outputs become answers.

        Raises:
            RecipeError: something was asked that it does not have.
        """
        return self.of_task.answering(self.answer_facts, asked)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the uint8 images that `preprocess` takes: the training images' shape.

        Raises:
            BundleError: the model's facts do not hold it.
        """
        shape = self.data.get("image_shape")
        if shape is None and "image_size" in self.network_args:
            size = self.network_args["image_size"]
            height, width = size if isinstance(size, tuple) else (size, size)
            shape = (height, width, self.network_args.get("in_channels", 1))
        if shape is None or len(shape) != 3:
            raise BundleError(
                "the model does not say which images it takes; store data={'image_shape': [height, width, channels]}"
            )
        return int(shape[0]), int(shape[1]), int(shape[2])

    def replace(self, **changes: Any) -> Bundle:
        """A copy with some attributes exchanged, checked again."""
        return dataclasses.replace(self, **changes)


def to_document(bundle: Bundle) -> dict[str, Any]:
    """Everything but the tensors, as JSON values.

    Version 2: "answer" holds what the model answers (schema, people, and the numbers of its `Answering`), "framing" how a face in a photo
    becomes the image it takes.
    """
    document = {name: getattr(bundle, name) for name in (*_FACTS, *_TEXTS)}
    document["preprocess"] = _plain(bundle.preprocess.to_dict())
    document["framing"] = _plain(bundle.framing.to_dict())
    schema = None if bundle.schema is None else bundle.schema.to_dict()
    document["answer"] = {"schema": schema, "people": list(bundle.people), **bundle.prediction}
    if bundle.int8:
        document["int8"] = bundle.int8
    return document


def from_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """A document of version 1 as one of version 2: answers in one place, and the framing, which stood in the recipe alone."""
    document = dict(document)
    answer = {name: document.pop(name) for name in ("schema", "people")}
    document["answer"] = {**answer, **document.pop("prediction")}
    read = (document.get("recipe") or {}).get("read") or {}
    shape = (document.get("data") or {}).get("image_shape")
    document["framing"] = framing_as_read(
        read.get("size"), read.get("crop"), tuple(shape[:2]) if shape else None
    ).to_dict()
    return document


def to_tensors(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """The weights as "network.NAME", the fitted arrays of preprocessing as "preprocess.NAME" and of answering as "answer.NAME"."""
    tensors = {_NETWORK + name: array for name, array in bundle.weights.items()}
    tensors.update({ANSWER + name: array for name, array in bundle.arrays.items()})
    tensors.update(
        {_PREPROCESS + name: np.array(array, order="C") for name, array in bundle.preprocess.arrays().items()}
    )
    return tensors


def from_document(document: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], source: str) -> Bundle:
    """Inverse of `to_document` and `to_tensors`.

    Raises:
        BundleError: a fact is missing or not of its kind; `source` names the file.
    """
    check_document(document, source)
    weights, arrays, fitted = (
        {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
        for prefix in (_NETWORK, _PREPROCESS, ANSWER)
    )
    try:
        document = {**document, "network_args": _with_earlier_options(document["network"], document["network_args"])}
        answer = dict(document["answer"])
        schema, people = answer.pop("schema"), tuple(answer.pop("people"))
        return Bundle(
            weights=weights,
            preprocess=Preprocess.from_dict(document["preprocess"], arrays),
            schema=None if schema is None else KeypointSchema.from_dict(schema),
            people=people,
            prediction=answer,
            arrays=fitted,
            int8=document.get("int8") or {},
            framing=Framing.from_dict(document["framing"]),
            **{name: document[name] for name in (*_FACTS, *_TEXTS)},
        )
    except FacelearnError as error:
        raise BundleError(f"{source} cannot be used: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BundleError(
            f"{source} lacks facts a model needs ({error!r}); make it again with facelearn train"
        ) from error


def _with_earlier_options(network: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The builder's arguments with the options that the network did not have when the file was written, as it was built then."""
    known = any(info.name == network for info in zoo.list_models())
    return {**(zoo.model_info(network).earlier if known else {}), **arguments}


def _checked(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """A read-only, C-ordered copy of one weight."""
    array = np.array(array, order="C")
    if array.dtype not in _WEIGHT_DTYPES:
        raise BundleError(
            f"weight '{name}' is {array.dtype}; a model file holds float32 and int64, convert with weight.float()"
        )
    if not np.isfinite(array).all():
        raise BundleError(
            f"weight '{name}' holds NaN or infinity: the training went astray; use an earlier state or a lower learning rate"
        )
    array.flags.writeable = False
    return array


def _plain(value: Any) -> Any:
    """`value` as JSON holds it: NumPy numbers and arrays become Python's, NaN and infinity None, keys text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
