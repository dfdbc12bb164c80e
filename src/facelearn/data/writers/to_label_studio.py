"""Faces as tasks of Label Studio, with the labelling configuration that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.writers.to_files import ImagesMode, person_of, place_images
from facelearn.errors import DataError
from facelearn.files import write_text
from facelearn.images.decode import image_facts

_POINT_SIZE = 0.5  # per cent of the image's width: how large Label Studio draws a point


def write_label_studio(faces: Faces, out: str | Path, *, images: ImagesMode = "auto") -> Path:
    """Write Label Studio's JSON, one task an image; `NAME.config.xml` beside it is the labelling configuration that it belongs to.

    A face is a rectangle (of its labelled keypoints) whose children are the keypoints that are labelled; person and group are texts on the
    rectangle. Images are addressed as local files (`/data/local-files/?d=images/a.png`), relative to the JSON's folder: start Label Studio
    with that folder as `LOCAL_FILES_DOCUMENT_ROOT`. Per cents are of the image's size, as `read` takes them back.

    Args:
        faces: what to write; must have keypoints.
        out: the JSON, or a folder in which it becomes `tasks.json`; appears whole or not at all, after its images.
        images: as `write_wide_csv`.

    Raises:
        DataError: faces without keypoints, or "reference" where a photo does not exist.
    """
    if len(faces.schema) == 0:
        raise DataError(
            "these faces have no keypoints, which Label Studio's tasks are made of here; write a CSV instead (faces.csv)"
        )
    out, files, points, _ = place_images(faces, out, "tasks.json", images)
    tasks = []
    for number, file in enumerate(dict.fromkeys(files), start=1):
        facts = image_facts(out.parent / file)
        size = np.asarray([facts.width, facts.height], np.float64)
        rows = [i for i, other in enumerate(files) if other == file]
        result = [part for i in rows for part in _results(faces, i, points[i], size)]
        tasks.append(
            {
                "id": number,
                "data": {"image": f"/data/local-files/?d={quote(file)}"},
                "annotations": [{"result": result, "was_cancelled": False, "ground_truth": False}],
                "predictions": [],
            }
        )
    write_text(out.with_name(f"{out.stem}.config.xml"), labelling_configuration(faces))
    return write_text(out, json.dumps(tasks))


def labelling_configuration(faces: Faces) -> str:
    """The configuration of a Label Studio project in which the tasks of `faces` can be seen and corrected."""
    labels = "\n".join(f"    <Label value={quoteattr(name)}/>" for name in faces.schema.names)
    texts = "\n".join(
        f'  <TextArea name="{name}" toName="image" perRegion="true" whenTagName="face" editable="true"/>'
        for name in ("person", "group")
    )
    return (
        f'<View>\n  <Image name="image" value="$image"/>\n'
        f'  <KeyPointLabels name="keypoint" toName="image">\n{labels}\n  </KeyPointLabels>\n'
        f'  <RectangleLabels name="face" toName="image">\n    <Label value="face"/>\n  </RectangleLabels>\n{texts}\n</View>\n'
    )


def _results(faces: Faces, i: int, points: NDArray[np.float64], size: NDArray[np.float64]) -> list[dict[str, Any]]:
    """The regions of one face: its rectangle, what is known of it, and its labelled keypoints."""
    known = np.flatnonzero(~np.isnan(points[:, 0]))
    face = f"face{i + 1}"
    shown = {
        "to_name": "image",
        "original_width": int(size[0]),
        "original_height": int(size[1]),
        "image_rotation": 0,
        "origin": "manual",
    }
    low, high = (points[known].min(0), points[known].max(0)) if len(known) else (np.zeros(2), size - 1)
    left, top, width, height = (np.r_[low + 0.5, high - low] / np.r_[size, size] * 100).tolist()
    place = {"x": left, "y": top, "width": width, "height": height, "rotation": 0}
    parts: list[dict[str, Any]] = [
        {
            "id": face,
            "from_name": "face",
            "type": "rectanglelabels",
            **shown,
            "value": {**place, "rectanglelabels": ["face"]},
        }
    ]
    group = str(faces.group[i]) if faces.group[i] >= 0 else None
    for name, text in (("person", person_of(faces, i)), ("group", group)):
        if text is not None:
            parts.append(
                {"id": face, "from_name": name, "type": "textarea", **shown, "value": {**place, "text": [text]}}
            )
    for k in known.tolist():
        x, y = (points[k] / size * 100).tolist()
        value = {"x": x, "y": y, "width": _POINT_SIZE, "keypointlabels": [faces.schema.names[k]]}
        parts.append(
            {
                "id": f"{face}_{k}",
                "parentID": face,
                "from_name": "keypoint",
                "type": "keypointlabels",
                **shown,
                "value": value,
            }
        )
    return parts
