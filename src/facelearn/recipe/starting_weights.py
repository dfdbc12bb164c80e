"""Where first weights come from and what of the network they hold still. Needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from facelearn.errors import RecipeError

HUB = "hf://"
_HUB_FORM = (
    "hf://OWNER/NAME/FILE@REVISION, such as hf://timm/resnet18.tv_in1k/model.safetensors@ and 40 hexadecimal digits"
)
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubFile:
    """One file of the Hugging Face Hub at one revision.

    Attributes:
        repository: "owner/name".
        file: its path in there.
        revision: the commit, 40 hexadecimal digits.
    """

    repository: str
    file: str
    revision: str


def hub_file(source: str) -> HubFile | None:
    """The Hub file that `source` names; None where it names none (it does not begin with hf://).

    Raises:
        RecipeError: no owner, name, file or revision, or a revision that can move (a branch, a tag, the first digits of a commit).
    """
    if not source.startswith(HUB):
        return None
    place, _, revision = source.removeprefix(HUB).partition("@")
    parts = place.split("/")
    if len(parts) < 3 or not all(parts) or {".", ".."} & set(parts):
        raise RecipeError(f"received the source '{source}'; a file of the Hub is written {_HUB_FORM}")
    repository, file = "/".join(parts[:2]), "/".join(parts[2:])
    if not _REVISION.fullmatch(revision):
        raise RecipeError(
            f"'{source}' must end in the revision, the 40 hexadecimal digits of a commit after '@' (received '{revision}'), "
            f"because a branch may change; commits are listed at https://huggingface.co/{repository}/commits/main"
        )
    return HubFile(repository, file, revision)


def require_hash(file: HubFile, sha256: str | None) -> str:
    """`sha256`, which a file from the Hub must come with.

    Raises:
        RecipeError: there is none; says where to find it.
    """
    if sha256 is None:
        raise RecipeError(
            f"the file '{file.file}' of the Hub needs its SHA-256 too: give sha256 = \"...\", the 64 hexadecimal digits that "
            f"https://huggingface.co/{file.repository}/blob/{file.revision}/{file.file} shows, or, of a copy that you trust, "
            "what sha256sum prints"
        )
    return sha256


def _stage_count(value: Any) -> Any:
    if isinstance(value, bool):  # True would count as one stage
        raise ValueError('freeze must be "none", "body" or a number of stages, e.g. 3')
    return value


class TransferSettings(BaseModel):
    """First weights from a file, and what happens to them: all of it is trained, or some of it stays as it was.

    `freeze = "body"` trains only the last layer; a number holds that many of the first stages (see `training.stages.stages`) still.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = Field(
        None,
        min_length=1,
        description="a model file of facelearn, ResNet-18 or VGG-16 weights as .safetensors or .pth, or hf://OWNER/NAME/FILE@REVISION",
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{64}$", description="checksum of the file; a file of the Hub must have one"
    )
    freeze: Annotated[Literal["none", "body"] | Annotated[int, Field(ge=0)], BeforeValidator(_stage_count)] = Field(
        "none", description="what is not trained: nothing, all but the last layer, or that many of the first stages"
    )
    body_rate: float = Field(
        1.0, gt=0, le=1, description="learning rate of all below the last layer, as a share of the last layer's"
    )

    @field_validator("sha256")
    @classmethod
    def _small_letters(cls, value: str | None) -> str | None:
        return None if value is None else value.lower()

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        file = hub_file(self.source) if self.source else None
        if file is not None:
            require_hash(file, self.sha256)
        return self
