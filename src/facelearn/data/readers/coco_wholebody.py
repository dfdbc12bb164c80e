"""COCO-WholeBody: COCO's people with 133 keypoints, of which 68 are the face's."""

from __future__ import annotations

from typing import Any

from facelearn.data.schema import IBUG68

_CATEGORY = "face of COCO-WholeBody"


def faces_of_wholebody(facts: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], list[str]]:
    """The faces of a COCO-WholeBody file as plain COCO, and what is to be said of it; any other file as it is.

    `face_kpts` become the keypoints (the 68 of 300-W, as the set's paper says), `face_box` the box. People whose face is not annotated
    (`face_valid` false, or no face keypoint) are left out and counted.
    """
    people = [a for a in facts["annotations"] if isinstance(a, dict) and isinstance(a.get("face_kpts"), list)]
    if not people:
        return facts, []
    ids = [category.get("id") for category in facts["categories"] if isinstance(category, dict)]
    number = max((i for i in ids if isinstance(i, int)), default=0) + 1
    faces = []
    for person in people:
        marked = any(person["face_kpts"][2::3]) and person.get("face_valid", True)
        if marked and not person.get("iscrowd"):
            faces.append(
                {**person, "category_id": number, "keypoints": person["face_kpts"], "bbox": person.get("face_box")}
            )
    category = {"id": number, "name": _CATEGORY, "keypoints": list(IBUG68.names)}
    notes = ["COCO-WholeBody: the 68 keypoints of the face (face_kpts) were read, not those of body, hands and feet"]
    if left_out := len(facts["annotations"]) - len(faces):
        notes.append(f"{left_out} of {len(facts['annotations'])} people without face keypoints were left out")
    return {**facts, "annotations": faces, "categories": [*facts["categories"], category]}, notes
