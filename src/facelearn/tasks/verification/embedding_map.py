"""A map of embeddings: faces that the model finds alike lie near each other, each as a thumbnail framed in its person's colour.

t-SNE (van der Maaten and Hinton 2008) lays the embeddings out in the plane. Thumbnails would hide each other there, so that each takes a
place of its own on a grid: the places are given so that all together move least.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import MissingExtraError
from facelearn.report.contact_sheet import PAPER
from facelearn.report.tiling import as_rgb, enlarged

PEOPLE_SHOWN, IMAGES_SHOWN, FEWEST = 14, 16, 5
_SIDE, _FRAME, _GAP = 44, 3, 2
_WIDE = 1.6  # width of the map by its height
_ROOM = 1.5  # places for each thumbnail: the rest is the space between groups
_ITERATIONS = 500  # half of what is usual: more moves no thumbnail to another place
_GOLDEN = 0.618034  # of a turn: neighbours in a list get colours far apart


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """A map, and who is on it.

    Attributes:
        picture: uint8 (H, W, 3) RGB.
        people: int64 (P,), who is shown, those of most images first.
        colours: (red, green, blue) of each one's frame, 0 to 255.
        images: how many are shown.
    """

    picture: NDArray[np.uint8]
    people: NDArray[np.int64]
    colours: tuple[tuple[int, int, int], ...]
    images: int


def embedding_map(
    images: NDArray[np.uint8], vectors: NDArray[np.float32], identity: NDArray[np.int64], *, seed: int = 0
) -> EmbeddingMap | None:
    """A map of at most `IMAGES_SHOWN` images of each of the `PEOPLE_SHOWN` people with the most; None where those are below `FEWEST`.

    Args:
        images: uint8 (N, H, W, 1 or 3).
        vectors: (N, D), compared by their Euclidean distance.
        identity: int64 (N,), below 0 is nobody known and not shown.
        seed: of the choice and the layout.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    people, counts = np.unique(identity[identity >= 0], return_counts=True)
    people = people[np.argsort(-counts, kind="stable")][:PEOPLE_SHOWN]
    generator = np.random.default_rng(seed)
    shown = [generator.permutation(np.flatnonzero(identity == person))[:IMAGES_SHOWN] for person in people]
    if sum(map(len, shown)) < FEWEST:
        return None
    rows, place = np.concatenate(shown), np.repeat(np.arange(len(people)), list(map(len, shown)))
    cells, size = _places(_layout(np.asarray(vectors, np.float64)[rows], seed))
    colours = tuple(_colour(i) for i in range(len(people)))
    step = _SIDE + 2 * _FRAME + _GAP
    picture = np.full((size[1] * step + _GAP, size[0] * step + _GAP, 3), PAPER, np.uint8)
    for row, one, (column, line) in zip(rows.tolist(), place.tolist(), cells.tolist(), strict=True):
        thumbnail = _framed(as_rgb(images[row]), colours[one])
        top, left = line * step + _GAP, column * step + _GAP
        picture[top : top + len(thumbnail), left : left + thumbnail.shape[1]] = thumbnail
    return EmbeddingMap(picture, people, colours, len(rows))


def _layout(vectors: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(M, 2) places of the vectors in the plane."""
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "train") from error
    if not np.ptp(vectors, axis=0).any():  # all alike: no order among them
        return np.zeros((len(vectors), 2))
    few = min(vectors.shape) < 3  # the start from two principal components needs them
    layout = TSNE(
        perplexity=min(20.0, (len(vectors) - 1) / 3),
        init="random" if few else "pca",
        random_state=seed,
        n_jobs=1,
        max_iter=_ITERATIONS,
    )
    return np.asarray(layout.fit_transform(vectors.astype(np.float32)), np.float64)


def _places(points: NDArray[np.float64]) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """(M, 2) column and line of each point, one a place, and how many columns and lines there are."""
    from scipy.optimize import linear_sum_assignment

    lines = max(2, math.ceil(math.sqrt(len(points) * _ROOM / _WIDE)))
    columns = max(2, math.ceil(len(points) * _ROOM / lines))
    span = np.ptp(points, axis=0)
    wanted = (points - points.min(0)) / np.where(span > 0, span, 1) * [columns - 1, lines - 1]
    places = np.stack(np.meshgrid(np.arange(columns), np.arange(lines)), 2).reshape(-1, 2)
    way = ((wanted[:, None] - places) ** 2).sum(2)
    return places[linear_sum_assignment(way)[1]].astype(np.int64), (columns, lines)


def _colour(place: int) -> tuple[int, int, int]:
    """Bright enough for light and dark paper, every third a little darker."""
    red, green, blue = colorsys.hls_to_rgb(place * _GOLDEN % 1, (0.5, 0.38, 0.62)[place % 3], 0.75)
    return round(red * 255), round(green * 255), round(blue * 255)


def _framed(image: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    small = enlarged(image, _SIDE)
    side = _SIDE + 2 * _FRAME
    framed = np.empty((side, side, 3), np.uint8)
    framed[:] = colour
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    framed[top : top + small.shape[0], left : left + small.shape[1]] = small
    return framed
