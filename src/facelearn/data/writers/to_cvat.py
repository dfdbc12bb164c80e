"""Faces as CVAT's XML for images 1.1: a skeleton a face."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.writers.to_files import ImagesMode, person_of, place_images
from facelearn.errors import DataError
from facelearn.files import write_text
from facelearn.images.decode import ImageFacts, image_facts

LABEL, BOX_LABEL = "face", "face_box"
_SHAPE = 'source="manual" occluded="0"'


def write_cvat(faces: Faces, out: str | Path, *, images: ImagesMode = "auto") -> Path:
    """Write CVAT for images 1.1: each face a skeleton "face" of its keypoints, those that are missing "outside".

    A skeleton has the attributes "person" and "group" where they are known, and in its group the box "face_box" of its labelled keypoints.
    The task in CVAT needs these labels, which stand in the file's <labels>. Pixels are written as they are, as `read` takes them back.

    Args:
        faces: what to write; must have keypoints.
        out: the XML, or a folder in which it becomes `annotations.xml`; appears whole or not at all, after its images.
        images: as `write_wide_csv`.

    Raises:
        DataError: faces without keypoints, or "reference" where a photo does not exist.
    """
    if len(faces.schema) == 0:
        raise DataError(
            "these faces have no keypoints, which CVAT's skeletons are made of; write a CSV instead (faces.csv)"
        )
    out, files, points, _ = place_images(faces, out, "annotations.xml", images)
    rows: dict[str, list[int]] = {}
    for i, file in enumerate(files):
        rows.setdefault(file, []).append(i)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "  <version>1.1</version>",
        *_meta(faces, len(rows)),
    ]
    for number, (file, inside) in enumerate(rows.items()):
        facts = image_facts(out.parent / file)
        lines.append(f'  <image id="{number}" name={quoteattr(file)} width="{facts.width}" height="{facts.height}">')
        for i in inside:
            lines += _face(faces, i, points[i], facts)
        lines.append("  </image>")
    return write_text(out, "\n".join([*lines, "</annotations>"]) + "\n")


def _meta(faces: Faces, images: int) -> list[str]:
    """The <meta> of a task with the labels that the shapes have."""
    attributes = [
        f"<attribute><name>{name}</name><mutable>False</mutable><input_type>text</input_type><default_value></default_value>"
        "<values></values></attribute>"
        for name in ("person", "group")
    ]
    labels = [f"<label><name>{LABEL}</name><type>skeleton</type><attributes>{''.join(attributes)}</attributes></label>"]
    labels += [
        f"<label><name>{escape(name)}</name><type>points</type><attributes></attributes><parent>{LABEL}</parent></label>"
        for name in faces.schema.names
    ]
    labels.append(f"<label><name>{BOX_LABEL}</name><type>rectangle</type><attributes></attributes></label>")
    return [
        f"  <meta><task><name>facelearn</name><size>{images}</size><mode>annotation</mode><labels>",
        *(f"    {label}" for label in labels),
        "  </labels></task></meta>",
    ]


def _face(faces: Faces, i: int, points: NDArray[np.float64], facts: ImageFacts) -> list[str]:
    known = ~np.isnan(points[:, 0])
    group = i + 1
    lines = []
    if known.any():
        (left, top), (right, bottom) = (
            points[known].min(0) + 0.5,
            points[known].max(0) + 0.5,
        )  # measured from the image's edge
        corners = f'xtl="{left:.4f}" ytl="{top:.4f}" xbr="{right:.4f}" ybr="{bottom:.4f}"'
        lines.append(f'    <box label="{BOX_LABEL}" {_SHAPE} {corners} z_order="0" group_id="{group}"></box>')
    lines.append(f'    <skeleton label="{LABEL}" {_SHAPE} z_order="0" group_id="{group}">')
    for name, (x, y), there in zip(faces.schema.names, points.tolist(), known.tolist(), strict=True):
        place = (x, y) if there else (facts.width / 2, facts.height / 2)  # where CVAT shows a point that is outside
        state = f'{_SHAPE} outside="{int(not there)}" points="{place[0]:.4f},{place[1]:.4f}"'
        lines.append(f"      <points label={quoteattr(name)} {state}></points>")
    number = str(faces.group[i]) if faces.group[i] >= 0 else None
    for key, value in (("person", person_of(faces, i)), ("group", number)):
        if value is not None:
            lines.append(f'      <attribute name="{key}">{escape(value)}</attribute>')
    return [*lines, "    </skeleton>"]
