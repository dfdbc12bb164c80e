"""What the facts in a model file must be like, checked before anything is made of them: whoever wrote the file may have sealed it too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from facelearn.errors import BundleError

_Name = Annotated[str, StringConstraints(max_length=10_000)]
_Index = Annotated[int, Field(ge=0, le=100_000)]
_Side = Annotated[int, Field(ge=1, le=16_384)]
_Pair = Annotated[list[_Index], Field(min_length=2, max_length=2)]


class _Facts(BaseModel):
    """Exact types (a text is no number), and finite numbers; facts of later versions may stand beside."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, arbitrary_types_allowed=False)


class _Schema(_Facts):
    name: _Name
    names: list[_Name]
    mirror: list[_Pair] = []
    edges: list[_Pair] = []
    eyes: Annotated[list[list[_Index]], Field(min_length=2, max_length=2)] | None = None


class _Confidence(_Facts):
    within: Annotated[float, Field(gt=0, le=1)]
    labels: Annotated[int, Field(ge=0)]
    usual_error: list[Annotated[float, Field(ge=0)]]
    expected_error: Annotated[list[float], Field(min_length=1, max_length=1000)]
    share: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1, max_length=1000)]


class _Answer(_Facts):
    schema_: _Schema | None = Field(alias="schema")
    people: list[_Name]
    mirrored: bool | None = None
    label_offset: float | None = None
    scheme: _Index | None = None
    schemes: list[_Name] | None = None
    confidence: _Confidence | None = None
    temperature: Annotated[float, Field(gt=0)] | None = None


class _Unknown(_Facts):
    value: Annotated[float, Field(ge=0, le=1)] | None = None


class _Thresholds(_Facts):
    unknown: _Unknown | None = None


class _Data(_Facts):
    image_shape: Annotated[list[_Side], Field(min_length=3, max_length=3)] | None = None


class _Rows(_Facts):
    rows: Annotated[int, Field(ge=1)]
    fingerprint: _Name


class _Measured(_Rows):
    figure: _Name
    before: float
    after: float


class _Int8(_Facts):
    calibration: _Rows
    measured: _Measured


class _Recipe(_Facts):
    read: dict[str, Any] | None = None


class _Document(_Facts):
    task: _Name
    network: _Name
    network_args: dict[str, Any]
    licence: str
    created: _Name
    preprocess: dict[str, Any]
    framing: dict[str, Any]
    answer: _Answer
    thresholds: _Thresholds
    metrics: dict[str, Any]
    data: _Data
    recipe: _Recipe
    versions: dict[str, Any]
    int8: _Int8 | None = None


def check_document(document: Mapping[str, Any], source: str) -> None:
    """The facts in a document of the present version are of their kinds.

    Args:
        document: as `bundle.document.to_document` gives it.
        source: named in errors.

    Raises:
        BundleError: names the first fact that is missing or cannot be.
    """
    try:
        _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BundleError(
            f"{source} lacks facts that a model needs, or has others ({place}: {first['msg']}); make it again with facelearn train"
        ) from error
    except RecursionError as error:
        raise BundleError(f"{source} has facts that are nested too deep; make it again with facelearn train") from error
