"""Photos with the answers drawn on them: boxes, points, names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facelearn.detect.fitted import is_photo
from facelearn.files import whole_file
from facelearn.images.decode import decode_image
from facelearn.tasks.found import Found

_BOX, _POINT, _INK, _PLATE = (255, 176, 0), (0, 208, 255), (255, 255, 255), (0, 0, 0)
_LARGEST = 1600  # pixels of the longer side of a drawn photo
_QUALITY = 90


class Drawable(Protocol):
    """Answers about faces."""

    @property
    def source(self) -> NDArray[np.str_]:
        """str (N,), each answer's photo."""

    @property
    def found(self) -> Found:
        """Where their faces stand."""

    def mark(self, i: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], str]:
        """What is drawn of answer i: points (P, 2) in pixels of its photo, perhaps none, which of them are doubtful, and a line of text."""


def draw_answers(answers: Drawable, folder: Path) -> list[Path]:
    """Write every photo of `answers`, with what was said of it, to `folder` as JPEG, at most 1600 pixels wide or high.

    Points are discs; those that are doubtful are rings.
    Photos that are rows of a table are not drawn. Files of the same name in several folders get numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    of_photo: dict[str, list[int]] = {name: [] for name in (*answers.source.tolist(), *answers.found.faceless)}
    for i, name in enumerate(answers.source.tolist()):
        of_photo[name].append(i)
    names: Counter[str] = Counter()
    written = []
    for source, rows in of_photo.items():
        if not is_photo(source):
            continue
        stem = Path(source).stem
        names[stem] += 1
        target = folder / (f"{stem}.jpg" if names[stem] == 1 else f"{stem}-{names[stem]}.jpg")
        picture = _drawn(source, answers, rows)
        with whole_file(target) as scratch:
            picture.save(scratch, "JPEG", quality=_QUALITY)
        written.append(target)
    return written


def _drawn(source: str, answers: Drawable, rows: list[int]) -> Image.Image:
    picture = Image.fromarray(decode_image(Path(source), color="rgb"))
    scale = min(1.0, _LARGEST / max(picture.size))
    if scale < 1:
        picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    brush = ImageDraw.Draw(picture)
    longer = max(picture.size)
    line = max(1, round(longer / 400))
    if not rows:
        _write(brush, (2, 2), "no face found", max(10, longer // 40))
    for i in rows:
        points, doubtful, text = answers.mark(i)
        box = answers.found.boxes[i] * scale
        radius = max(1.0, min(4.0, longer / 300))
        if not np.isnan(box).any():
            radius = max(1.0, min(4.0, (box[2] - box[0]) / 60))
            brush.rectangle(box.tolist(), outline=_BOX, width=line)
        for (x, y), hollow in zip(((points + 0.5) * scale - 0.5).tolist(), doubtful.tolist(), strict=True):
            fill, outline = (None, _POINT) if hollow else (_POINT, _PLATE)
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill, outline=outline)
        if text:
            place = (2.0, 2.0) if np.isnan(box).any() else (float(box[0]), float(box[3]) + line)
            _write(brush, place, text, max(10, longer // 45))
    return picture


def _write(brush: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int) -> None:
    """Text on a dark plate, moved so that it lies within the picture."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = brush.textbbox((0, 0), text, font=font)
    width, height = brush.im.size
    x = min(max(0.0, place[0]), max(0.0, width - (right - left) - 4))
    y = min(max(0.0, place[1]), max(0.0, height - (bottom - top) - 4))
    brush.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=_PLATE)
    brush.text((x + 2 - left, y + 2 - top), text, fill=_INK, font=font)
