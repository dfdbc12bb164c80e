"""How a network's outputs become keypoints, `Predictions`: keypoints found, and the files they are written to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.readers.coco import CocoPlace
from facelearn.data.schema import KeypointSchema
from facelearn.data.writers import names_from, write_predictions_csv
from facelearn.errors import BundleError, FacelearnError, Problem, RecipeError, unknown_name
from facelearn.files import write_text
from facelearn.geometry.affine import map_points
from facelearn.geometry.coordinates import from_unit, mirrored
from facelearn.images.decode import IMAGE_EXTENSIONS
from facelearn.tasks.found import Found
from facelearn.tasks.keypoints.confidence import DOUBTFUL, PointConfidence
from facelearn.tasks.task import NOTHING_ASKED, AnswerFacts, Asked, Outputs, Photos


@dataclass(frozen=True)
class PointAnswering:
    """How outputs (B, 2K) or (B, S, K, 2) in unit coordinates become keypoints in pixels of photos.

    Attributes:
        schema: the K keypoints.
        mirrored: points are means over the image and its mirror image.
        label_offset: pixels of the network's input by which the labels stand right of the place that their mirror images imply.
        schemes: names of the S annotation schemes; one, "all", where the network has a single set of outputs.
        scheme: index of the one that is returned.
        confidence: how sure points are, by the disagreement of image and mirror image; None where that is not known.
    """

    schema: KeypointSchema
    mirrored: bool = False
    label_offset: float = 0.0
    schemes: tuple[str, ...] = ("all",)
    scheme: int = 0
    confidence: PointConfidence | None = None
    output: str = "points"

    @classmethod
    def from_facts(cls, facts: AnswerFacts, asked: Asked = NOTHING_ASKED) -> PointAnswering:
        """As a model file says, in the annotation scheme that was asked for.

        Raises:
            RecipeError: a scheme that the model does not have, or a threshold, which it has no use for.
            BundleError: the file's own scheme is none of its schemes.
        """
        assert facts.schema is not None  # a file of this task has one, see `bundle.document`
        kept = facts.prediction
        if asked.threshold is not None:
            raise RecipeError("threshold belongs to identification models; this one finds keypoints")
        schemes = tuple(kept.get("schemes") or ("all",))
        return cls(
            schema=facts.schema,
            mirrored=bool(kept.get("mirrored")) and facts.schema.can_mirror,
            label_offset=float(kept.get("label_offset") or 0.0),
            schemes=schemes,
            scheme=_scheme_index(schemes, int(kept.get("scheme") or 0), asked.scheme),
            confidence=PointConfidence.from_facts(told, len(facts.schema))
            if (told := kept.get("confidence"))
            else None,
        )

    def combine(self, outputs: Any, mirrored_outputs: Any | None, size: tuple[int, int]) -> Any:
        """Points in pixels of the network's input of `size` (height, width), origin at the centre of the top-left pixel.

        Returns:
            (B, S, K, 2) x and y; with `mirrored_outputs` (B, S, K, 3), x and y of the mean and the distance between the two that it is
            the mean of.
        """
        height, width = size
        points = from_unit(self._sets(outputs), width, height)
        if mirrored_outputs is None:
            return points
        swapped = from_unit(self._sets(mirrored_outputs), width, height)[:, :, self.schema.mirror_index.tolist()]
        others = mirrored(swapped, width, 2 * self.label_offset)
        combined = ((points + others) / 2)[..., [0, 1, 1]]  # room for a third number, the same way in NumPy and torch
        combined[..., 2] = ((points - others) ** 2).sum(-1) ** 0.5
        return combined

    def _sets(self, outputs: Any) -> Any:
        return outputs.reshape(outputs.shape[0], -1, len(self.schema), 2)

    def answer(self, combined: Outputs, photos: Photos) -> Predictions:
        """The points in pixels of the photos, and how sure they are.

        Graphs that were exported before disagreements were give (B, S, K, 2) for mirrored answers too.
        """
        wanted = (len(self.schemes), len(self.schema), 2)
        points = np.zeros((0, *wanted), np.float32)
        confidence = np.full((len(photos.source), len(self.schema)), np.nan, np.float32)
        if len(photos.source):
            if combined.shape[1:] not in (wanted, (*wanted[:2], 3)) or not np.isfinite(combined).all():
                raise BundleError(
                    f"the model gave {combined.shape} numbers, or NaN, instead of {wanted[0]} x {wanted[1]} finite points"
                )
            places = combined[..., :2].astype(np.float64)
            stored = photos.preprocess.points_from_prepared(places, *photos.shape[:2])
            points = np.stack([_moved(own, maps) for own, maps in zip(stored, photos.maps, strict=True)])
            if self.confidence is not None and combined.shape[3] == 3:
                confidence = self.confidence.of(combined[:, self.scheme, :, 2])
        return Predictions(
            points=points[:, self.scheme].astype(np.float32),
            schemes=points.astype(np.float32),
            scheme_names=self.schemes,
            schema=self.schema,
            source=photos.source,
            row=photos.row,
            size=photos.size,
            skipped=photos.skipped,
            notes=photos.notes,
            found=photos.found or Found.nowhere(len(points)),
            confidence=confidence,
        )

    def join(self, answers: Sequence[Predictions]) -> Predictions:
        """All predictions in order; none gives an empty one."""
        return join(answers, self.schema, self.schemes)


def _moved(points: NDArray[np.float64], maps: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(S, K, 2) in pixels of the model's image, through each (2, 3) map in turn."""
    for step in maps:
        points = map_points(step, points)
    return points


def _scheme_index(names: tuple[str, ...], own: int, wanted: str | int | None) -> int:
    if wanted is None:
        if not 0 <= own < len(names):
            raise BundleError(
                f"the model file says that annotation scheme {own} is the one to return, of {len(names)}; it is damaged: copy it again"
            )
        return own
    if isinstance(wanted, str) and wanted in names:
        return names.index(wanted)
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(names):
        return wanted
    listed = ", ".join(f"{i} '{name}'" for i, name in enumerate(names))
    raise RecipeError(f"the model has no annotation scheme {wanted!r}; it has {listed}")


@dataclass(frozen=True, eq=False)
class FaceKeypoints:
    """The keypoints of one photo.

    Attributes:
        points: float32 (K, 2), (x, y) in pixels of the photo, origin at the centre of the top-left pixel.
        names: of the K keypoints.
        source, row: as in `Predictions`.
        confidence: float32 (K,), as in `Predictions`.
    """

    points: NDArray[np.float32]
    names: tuple[str, ...]
    source: str
    row: int
    confidence: NDArray[np.float32]

    def __getitem__(self, name: str) -> tuple[float, float]:
        """(x, y) of the keypoint of that name."""
        if name not in self.names:
            raise FacelearnError(unknown_name("keypoint", str(name), self.names))
        x, y = self.points[self.names.index(name)].tolist()
        return x, y

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"FaceKeypoints({len(self)} keypoints of {self.source or f'image {self.row}'})"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Keypoints of N faces; every one of the K points is there, none is NaN. A photo with several faces has as many rows.

    Attributes:
        points: float32 (N, K, 2), (x, y) in pixels of each photo, origin at the centre of the top-left pixel.
        schemes: float32 (N, S, K, 2), the same in each annotation scheme the model knows; S is 1 for most models.
        scheme_names: the S schemes' names, such as ("complete", "partial").
        schema: names of the K keypoints.
        source: str (N,), each photo's file; empty for arrays.
        row: int64 (N,), row or image id in that file, 1-based position for arrays, -1 where the file is the photo.
        size: int64 (N, 2), width and height of each photo; -1 where only a crop or a resized copy of it was at hand.
        skipped: photos that could not be read, left out.
        notes: what is to be known of how the photos were taken.
        found: boxes and scores of the faces, and the photos that show none.
        confidence: float32 (N, K), 0 to 1, the probability that the point lies within 5% of the width of the network's image of the
            place where the training data's annotators would have put it, for faces such as those; NaN where that is not known: the model
            does not answer with the mean over image and mirror image, or had fewer than 50 labels held out.
    """

    points: NDArray[np.float32]
    schemes: NDArray[np.float32]
    scheme_names: tuple[str, ...]
    schema: KeypointSchema
    source: NDArray[np.str_]
    row: NDArray[np.int64]
    size: NDArray[np.int64]
    skipped: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    found: Found = field(default_factory=lambda: Found.nowhere(0))
    confidence: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __post_init__(self) -> None:
        if not self.confidence.size:
            object.__setattr__(self, "confidence", np.full(self.points.shape[:2], np.nan, np.float32))
        if len(self.found.boxes) != len(self.points):
            object.__setattr__(self, "found", Found.nowhere(len(self.points)))

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> FaceKeypoints:
        """The keypoints of one photo, counted from 0, or from the end below it."""
        return FaceKeypoints(
            self.points[index], self.schema.names, str(self.source[index]), int(self.row[index]), self.confidence[index]
        )

    def __iter__(self) -> Iterator[FaceKeypoints]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        left_out = f", {len(self.skipped)} left out" if self.skipped else ""
        return f"Predictions({len(self):,} photos, {len(self.schema)} keypoints each{left_out})"

    def to_json(self) -> dict[str, Any]:
        """JSON values: images, keypoints, the photos without a face, and for each face its file, row, points, their confidences,
        score and box, the last three where known.
        """
        return {
            "images": len(self), "keypoints": list(self.schema.names), "faceless": list(self.found.faceless),
            "predictions": [
                {
                    "file": str(file), "row": int(row), "points": [[round(float(v), 3) for v in point] for point in points],
                    **self._told("confidence", i), **self.found.json(i),
                }
                for i, (file, row, points) in enumerate(zip(self.source, self.row, self.points, strict=True))
            ],
        }  # fmt: skip

    def lines(self, path: Path | None = None) -> list[str]:
        """Text for a terminal: every point, or how many there are in the file `path`."""
        if path is not None:
            what = "faces" if self.found.looked else "images"
            return [f"{len(self)} {what}, {len(self.schema)} keypoints each: {path}"]
        lines = []
        for i, (file, row, points) in enumerate(zip(self.source, self.row, self.points, strict=True)):
            lines.append(str(file) + (f", row {row}" if row >= 0 else "") + self.found.text(i))
            for name, (x, y), sure in zip(self.schema.names, points, self.confidence[i], strict=True):
                lines.append(f"  {name}: {x:.2f} {y:.2f}" + ("" if np.isnan(sure) else f", confidence {sure:.2f}"))
        return lines

    def _told(self, name: str, i: int) -> dict[str, list[float]]:
        """The confidences of answer i as a JSON value called `name`; nothing where not known."""
        sure = self.confidence[i].astype(np.float64).round(4)
        return {} if np.isnan(sure).any() else {name: sure.tolist()}

    def mark(self, i: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], str]:
        """What is drawn on the photo of answer i: its points, which of them are doubtful, and how sure the detector was."""
        score = float(self.found.scores[i])
        text = "" if np.isnan(score) else f"{score:.2f}"
        return self.points[i].astype(np.float64), self.confidence[i] < DOUBTFUL, text

    def to_csv(self, path: str | Path) -> Path:
        """Write one row a face: file, row (where photos are rows of a file), then NAME_x and NAME_y in pixels of the photo, and, where
        known, NAME_confidence.

        Where faces were looked for, `found.COLUMNS` stand between: which face of its photo, score and box; a photo without a face has
        a row of its own, with face 0 and nothing else.
        Files are named relative to the folder of `path`. It reads back with `facelearn.read`, unless the photos stood in a table.
        """
        bare, k = len(self.found.faceless), len(self.schema)
        sure = np.concatenate([self.confidence, np.full((bare, k), np.nan, np.float32)])
        return write_predictions_csv(
            path, source=[*self.source.tolist(), *self.found.faceless], row=np.append(self.row, np.full(bare, -1)),
            points=np.concatenate([self.points, np.full((bare, k, 2), np.nan, np.float32)]), names=self.schema.names,
            confidence=None if np.isnan(sure).all() else sure, columns=self.found.columns(self.source.tolist(), self.row.tolist()),
        )  # fmt: skip

    def to_coco(self, path: str | Path, *, places: Mapping[int, CocoPlace] | None = None) -> Path:
        """Write COCO keypoints JSON: one image for each file and one annotation (v = 2, "score" 1) for each face; "keypoint_scores" are the
        confidences, where known.

        It reads back with `facelearn.read`, and pycocotools' COCOeval takes it as the detections: COCOeval(COCO(labels), COCO(path),
        "keypoints"), with `params.kpt_oks_sigmas` of as many numbers as there are keypoints. Boxes are those of the points. Files are
        named relative to the folder of `path`. Photos of unknown size have no width and height.

        Args:
            path: where to write.
            places: of the COCO file that the faces came from (`data.readers.coco.coco_places`): its ids of images, annotations and
                categories are kept, so that the two files can be compared.
        """
        names = names_from(self.source.tolist(), path)
        kept = [None if places is None else places.get(int(row)) for row in self.row]
        if any(place is None for place in kept):
            kept = [None] * len(self)
        keys = [self._photo(i) if place is None else str(place.image["id"]) for i, place in enumerate(kept)]
        number = {key: i for i, key in enumerate(dict.fromkeys(keys), start=1)}
        images: dict[Any, dict[str, Any]] = {}
        annotations = []
        categories: dict[Any, dict[str, Any]] = {}
        for i, place in enumerate(kept):
            image = number[keys[i]] if place is None else place.image["id"]
            category = 1 if place is None else place.category_id
            images.setdefault(image, self._coco_image(i, image, names[i], {} if place is None else place.image))
            categories.setdefault(category, self._coco_category(category, {} if place is None else place.category))
            annotations.append(self._coco_annotation(i, i + 1 if place is None else int(self.row[i]), image, category))
        whole = {
            "images": list(images.values()), "annotations": annotations,
            "categories": list(categories.values()) or [self._coco_category(1, {})],
        }  # fmt: skip
        return write_text(path, json.dumps(whole))

    def _photo(self, i: int) -> str:
        """The same for faces of one photo: a file of its own, else a row of a table, else a place among arrays."""
        source = str(self.source[i])
        alone = source and (self.row[i] < 0 or Path(source).suffix.lower() in IMAGE_EXTENSIONS)
        return source if alone else f"{source} {self.row[i]} {i}"

    def _coco_image(self, i: int, number: Any, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        width, height = self.size[i].tolist()
        known = {"width": width, "height": height} if width > 0 else {}
        stated = {key: given[key] for key in ("width", "height") if key in given}
        return {"id": number, "file_name": name or f"{number}", **known, **stated}

    def _coco_category(self, number: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        skeleton = [[first + 1, second + 1] for first, second in self.schema.edges]
        named = {key: given[key] for key in ("name", "supercategory") if key in given}
        return {
            "id": number, "name": "face", "supercategory": "person", "keypoints": list(self.schema.names), "skeleton": skeleton, **named,
        }  # fmt: skip

    def _coco_annotation(self, i: int, number: int, image: Any, category: Any) -> dict[str, Any]:
        points = self.points[i].astype(np.float64).round(4)
        low, high = points.min(0), points.max(0)
        score = float(self.found.scores[i])
        width, height = (high - low).tolist()
        values = np.concatenate([points, np.full((len(points), 1), 2.0)], 1).ravel().tolist()
        return {
            "id": number, "image_id": image, "category_id": category, "iscrowd": 0, "num_keypoints": len(points), "keypoints": values,
            # from pixel centres to COCO's box, which is measured from the image's edge
            "bbox": [round(value, 4) for value in (*(low + 0.5).tolist(), width, height)], "area": round(width * height, 4),
            # where no detector was asked every face is alike, and COCOeval asks for a number
            "score": 1.0 if np.isnan(score) else round(score, 4),
            **self._told("keypoint_scores", i),
        }  # fmt: skip


def join(parts: Sequence[Predictions], schema: KeypointSchema, scheme_names: tuple[str, ...]) -> Predictions:
    """All predictions of `parts` in order; none gives an empty one."""
    k, s = len(schema), len(scheme_names)
    return Predictions(
        points=np.concatenate([np.zeros((0, k, 2), np.float32), *(part.points for part in parts)]),
        schemes=np.concatenate([np.zeros((0, s, k, 2), np.float32), *(part.schemes for part in parts)]),
        scheme_names=scheme_names,
        schema=schema,
        source=np.concatenate([np.zeros(0, np.str_), *(part.source for part in parts)]),
        row=np.concatenate([np.zeros(0, np.int64), *(part.row for part in parts)]),
        size=np.concatenate([np.zeros((0, 2), np.int64), *(part.size for part in parts)]),
        skipped=tuple(problem for part in parts for problem in part.skipped),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        found=Found.joined([part.found for part in parts]),
        confidence=np.concatenate([np.zeros((0, k), np.float32), *(part.confidence for part in parts)]),
    )


def submission_points(predictions: Predictions, asked: Mapping[int, int]) -> NDArray[np.float32]:
    """The points a Kaggle submission takes: each photo in the annotation scheme that its hidden labels most likely follow.

    Photos of which every keypoint is asked for were labelled with all of them; in that data they follow another annotation
    scheme than the photos labelled with some.

    Args:
        predictions: of the test file; `row` is the image id.
        asked: image id -> how many values (x or y of a keypoint) are asked for.

    Returns:
        float32 (N, K, 2): "complete" where at least 2K values are asked for, "partial" elsewhere; `predictions.points` where the
        model does not know these two schemes.
    """
    names = predictions.scheme_names
    if "complete" not in names or "partial" not in names:
        return predictions.points
    every = 2 * len(predictions.schema)
    complete = np.asarray([asked.get(int(image), 0) >= every for image in predictions.row], bool)
    chosen = np.where(complete, names.index("complete"), names.index("partial"))
    return predictions.schemes[np.arange(len(predictions)), chosen]
