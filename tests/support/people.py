"""Small, quick material for identification: every person is a colour and a stripe, on a ground that no two photos share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facelearn.data.faces import Faces

NAMES = (
    "Ada",
    "Boris",
    "Clara",
    "Deniz",
    "Emma",
    "Farid",
    "Grete",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Lars",
    "Mona",
    "Nils",
    "Olga",
)


def photo(person: int, random: np.random.Generator, size: int = 32) -> NDArray[np.uint8]:
    """uint8 (size, size, 3): smooth noise that differs from photo to photo, and the person's colour and stripe at a random place."""
    coarse = random.uniform(0, 130, (7, 7, 3)).astype(np.float32)
    steps = np.linspace(0, 5.999, size)
    whole, part = steps.astype(int), (steps % 1)[:, None]
    rows = coarse[whole] * (1 - part)[..., None] + coarse[whole + 1] * part[..., None]
    ground = rows[:, whole] * (1 - part)[None] + rows[:, whole + 1] * part[None]
    colour = np.array([person % 3 == 0, person % 3 == 1, person % 3 == 2]) * 90.0
    angle = person // 3 * np.pi / 5
    y, x = np.mgrid[:size, :size]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 8 + random.uniform(0, 6.28))
    return np.clip(ground + (wave[..., None] > 0) * (colour + 30), 0, 255).astype(np.uint8)


def people_faces(counts: Sequence[int], *, size: int = 32, seed: int = 0) -> Faces:
    """`counts[i]` photos of person i."""
    random = np.random.default_rng(seed)
    identity = np.repeat(np.arange(len(counts)), counts)
    images = np.stack([photo(int(person), random, size) for person in identity])
    source = [f"{NAMES[person]}/{number:04d}.png" for number, person in enumerate(identity)]
    return Faces.create(images, identity=identity, people=NAMES[: len(counts)], source=np.asarray(source))


def people_folder(folder: Path, counts: Sequence[int], *, size: int = 32, seed: int = 0) -> Path:
    """The same as a folder a person."""
    faces = people_faces(counts, size=size, seed=seed)
    for image, name in zip(faces.images, faces.source.tolist(), strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder
