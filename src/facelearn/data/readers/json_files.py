"""Opening the JSON of annotation tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facelearn.data.readers.label_files import read_text
from facelearn.errors import DataError
from facelearn.outside import parse_json


def load_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: cannot be opened, or is no complete JSON.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise DataError(f"{path} is no complete JSON ({str(error)[:200]}); copy it again") from error


def looks_like_labelme(facts: Any) -> bool:
    """A JSON of labelme: one image, and the shapes drawn on it."""
    return isinstance(facts, dict) and isinstance(facts.get("shapes"), list) and "imagePath" in facts


def looks_like_label_studio(facts: Any) -> bool:
    """A list of tasks as Label Studio exports them: in full, or in its short form (JSON-MIN) with keypoints beside the image."""
    tasks = [task for task in facts[:20] if isinstance(task, dict)] if isinstance(facts, list) else []
    return any(
        (
            isinstance(task.get("data"), dict)
            and ("annotations" in task or "completions" in task or "predictions" in task)
        )
        or any(_is_mark(value) for value in task.values())
        for task in tasks
    )


def _is_mark(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "keypointlabels" in value[0]


def looks_like_via(facts: Any) -> bool:
    """A project or export of the VGG Image Annotator (version 2)."""
    if not isinstance(facts, dict):
        return False
    images = facts.get("_via_img_metadata", facts)
    return isinstance(images, dict) and any(
        isinstance(image, dict) and "regions" in image and "filename" in image for image in list(images.values())[:20]
    )
