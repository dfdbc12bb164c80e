"""The claims of a publication that runs can judge, kind by kind, as a study's file writes them.

A claim's `text` says it in the publication's sense, `where` names its section, slide or table, and `reading` says how its words were made
numbers where they hold none ("far", "slightly"); `weights` says what its cells that start from weights must have started from. How each
kind is judged stands in `judging`, when a run is long enough to judge anything in `verdicts`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from facelearn.tasks.settings import Settings

Names = tuple[str, ...]


class _Claim(Settings):
    text: str
    where: str = ""
    reading: str = ""
    weights: Literal["", "ImageNet"] = ""


class OrderClaim(_Claim):
    """Cells from the lowest to the highest value of a measure; cells in one inner list are published as equal.

    With `epoch`, the losses of that epoch are compared and not the last ones.
    """

    kind: Literal["order"] = "order"
    measure: str
    order: tuple[str | Names, ...]
    epoch: int | None = Field(None, ge=1)


class BestClaim(_Claim):
    """One of `cells` has the best value (the highest of a score, else the lowest) of `among`, of the whole study where that is empty."""

    kind: Literal["best"]
    measure: str
    cells: Names
    among: Names = ()
    epoch: int | None = Field(None, ge=1)


class RatioClaim(_Claim):
    """The value of `of` divided by that of `to` is at least and at most so much."""

    kind: Literal["ratio"]
    measure: str
    of: str
    to: str
    at_least: float | None = None
    at_most: float | None = None


class RangeClaim(_Claim):
    """No cell of `cells` has a value below `at_least` or above `at_most`."""

    kind: Literal["range"]
    measure: str
    cells: Names
    at_least: float | None = None
    at_most: float | None = None


class TrendClaim(_Claim):
    """A measure falls or rises along the cells as they are listed, or along their values of `along`: Spearman's rank correlation is 0.7 or
    more that way, and two at least are apart. Cells that were not run are left out as long as half of them are there, and three."""

    kind: Literal["trend"]
    measure: str
    cells: Names
    goes: Literal["falls", "rises"]
    along: str = ""


class OverfitsClaim(_Claim):
    """Each of `cells` overfits, or with `prevented` none does, by its curves.

    A cell overfits where its validation loss rose by a tenth or more above its lowest, or stands at `gap` times the training loss or
    more, each as the mean over the last tenth of the epochs.
    """

    kind: Literal["overfits"]
    cells: Names
    gap: float = Field(2.0, gt=1)
    prevented: bool = False


class GapClaim(_Claim):
    """`larger` overfits more than `smaller`, over the last tenth of the epochs.

    By "gap": validation loss by training loss is a tenth larger. By "rise": the validation loss stands further above its lowest, by 5% of
    it; that is the one to take where dropout at work differs, which raises a training loss.
    """

    kind: Literal["gap"]
    larger: str
    smaller: str
    by: Literal["gap", "rise"] = "gap"


class ReachClaim(_Claim):
    """`cell` takes at most `share` of what `than` takes (epochs or seconds) until the loss of the study's `reach` is reached."""

    kind: Literal["reach"]
    measure: Literal["epochs_to_reach", "seconds_to_reach"]
    cell: str
    than: str
    share: float = Field(gt=0, lt=1)


class PeopleClaim(_Claim):
    """Each of `cells` has at least `count` people whose aggregated score is above, or at or below, so much; of `of` people, if given: of
    other numbers of people as large a share, rounded, and one at least."""

    kind: Literal["people"]
    cells: Names
    count: int = Field(ge=1)
    of: int | None = Field(default=None, ge=1)
    above: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> PeopleClaim:
        if (self.above is None) == (self.at_most is None):
            raise ValueError("a claim about people needs above or at_most, one of the two")
        if self.of is not None and self.count > self.of:
            raise ValueError(f"count = {self.count} people cannot be of = {self.of}")
        return self

    def count_of(self, people: int) -> int:
        """How many of so many `people` it takes."""
        return max(1, round(self.count * people / self.of)) if self.of else self.count

    def is_met_by(self, score: float) -> bool:
        """Whether an aggregated score keeps to the limit."""
        return score > self.above if self.above is not None else self.at_most is not None and score <= self.at_most


class AssertedClaim(_Claim):
    """It follows from arithmetic, or with `holds = false` its contrary does, and a test asserts it: `by` is that test's file."""

    kind: Literal["test"]
    by: str
    holds: bool = True


class OpenClaim(_Claim):
    """No cell of the study can judge it; `because` says why."""

    kind: Literal["open"]
    because: str


def _kind(value: Any) -> str:
    return str(value.get("kind", "order") if isinstance(value, dict) else value.kind)


Claim = Annotated[
    Annotated[OrderClaim, Tag("order")]
    | Annotated[BestClaim, Tag("best")]
    | Annotated[RatioClaim, Tag("ratio")]
    | Annotated[RangeClaim, Tag("range")]
    | Annotated[TrendClaim, Tag("trend")]
    | Annotated[OverfitsClaim, Tag("overfits")]
    | Annotated[GapClaim, Tag("gap")]
    | Annotated[ReachClaim, Tag("reach")]
    | Annotated[PeopleClaim, Tag("people")]
    | Annotated[AssertedClaim, Tag("test")]
    | Annotated[OpenClaim, Tag("open")],
    Discriminator(_kind),
]


def cells_of(claim: Claim) -> list[str]:
    """Names of the cells that a claim is about, in its order; those that are only compared with (`among`) too."""
    match claim:
        case OrderClaim():
            return [name for item in claim.order for name in ((item,) if isinstance(item, str) else item)]
        case BestClaim():
            return list(dict.fromkeys((*claim.cells, *claim.among)))
        case RatioClaim():
            return [claim.of, claim.to]
        case GapClaim():
            return [claim.larger, claim.smaller]
        case ReachClaim():
            return [claim.cell, claim.than]
        case AssertedClaim() | OpenClaim():
            return []
    return list(claim.cells)


def measures_of(claim: Claim) -> list[str]:
    """Names of the measures that a claim reads from the table."""
    match claim:
        case TrendClaim():
            return [claim.measure, *([claim.along] if claim.along else [])]
        case OrderClaim() | BestClaim() | RatioClaim() | RangeClaim() | ReachClaim():
            return [claim.measure]
    return []
