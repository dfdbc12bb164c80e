"""Near-duplicate images, such as frames of one video, found by a perceptual hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError

HASH_BITS = 256
NEAR_DUPLICATE_DISTANCE = 72
"""Bits of 256. Chosen by eye on the Kaggle faces: 40 of 40 sampled pairs 60 to 66 bits apart show the same moment, about 37 of 40 at
66 to 72, and fewer than two thirds at 72 to 78. At 72 the largest group of its 3,396 images has 9; from 80 on groups chain together."""
SAME_PHOTO_DISTANCE = 40
"""Bits of 256 between two copies of one photo, whatever is on it. Of 68 million pairs of different people in four collections (web photos,
a laboratory's, video frames, tight crops of news photos) one lies within 44, a photo under two names; at 72 there are 14,000."""
_THUMBNAIL = 64
_CHUNK = 1024


def perceptual_hash(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the 16 x 16 lowest cosine frequencies of each image, made grey and 64 x 64, lie above their median (pHash, Zauner 2010).

    256 bits and not the usual 64, which see little but the pose: portraits of strangers come as close as frames of one video.

    Args:
        images: uint8 (N, H, W, C), in memory or memory-mapped; read a batch at a time.

    Returns:
        bool (N, 256).
    """
    import cv2

    side = int(np.sqrt(HASH_BITS))
    frequency, position = np.arange(side)[:, None], np.arange(_THUMBNAIL)
    cosines = np.cos(np.pi * frequency * (2 * position + 1) / (2 * _THUMBNAIL)).astype(
        np.float32
    )  # the DCT's first rows
    bits = np.empty((len(images), HASH_BITS), np.bool_)
    for start in range(0, len(images), _CHUNK):
        chunk = np.asarray(images[start : start + _CHUNK])
        thumbnails = np.empty((len(chunk), _THUMBNAIL, _THUMBNAIL, chunk.shape[3]), np.uint8)
        for i, image in enumerate(chunk):
            thumbnail = cv2.resize(image, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
            thumbnails[i] = thumbnail.reshape(thumbnails.shape[1:])
        # the mean of the channels, added one by one: NumPy's over a last axis of 3 takes four times as long
        small = sum(thumbnails[..., c].astype(np.float32) for c in range(chunk.shape[3])) / np.float32(chunk.shape[3])
        coefficients = (cosines @ small @ cosines.T).reshape(len(chunk), HASH_BITS)
        median = np.median(coefficients[:, 1:], 1, keepdims=True)  # without the mean of the image
        bits[start : start + _CHUNK] = coefficients > median
    return bits


def near_duplicate_groups(
    images: NDArray[np.uint8],
    *,
    max_distance: int = NEAR_DUPLICATE_DISTANCE,
    identity: NDArray[np.int64] | None = None,
    across_people: bool = True,
) -> NDArray[np.int64]:
    """Groups of images that look the same: linked, directly or through others, by hashes at most `max_distance` bits of 256 apart.

    Time grows with the square of N: under a second of one core for 10,000 images beside the 2 s of their hashes, memory with N.

    Args:
        images: uint8 (N, H, W, C), in memory or memory-mapped.
        max_distance: 0 finds equal hashes only; 72 by default, see `NEAR_DUPLICATE_DISTANCE`.
        identity: int64 (N,), who is on each image, -1 unknown. Where anyone is known, `max_distance` counts between images of one
            person, and all others are linked only where they are one photo (`SAME_PHOTO_DISTANCE`): two people may look alike.
        across_people: False compares only images of one known person, which takes time with the square of a person's images.

    Returns:
        int64 (N,): groups numbered from 0 in order of their first image, -1 for an image that is like no other.

    Raises:
        DataError: a distance outside 0 .. 255, or not one identity an image.
    """
    if not 0 <= max_distance < HASH_BITS:
        raise DataError(f"max_distance is a number of bits, 0 to {HASH_BITS - 1}; received {max_distance}")
    if identity is not None and identity.shape != (len(images),):
        raise DataError(f"identity must have shape ({len(images)},), one for each image; received {identity.shape}")
    # with bits as -1 and 1, a scalar product is 256 - 2 * distance, exactly: the fastest popcount is a matrix product
    signs = np.where(perceptual_hash(images), np.float32(1), np.float32(-1))
    root = np.arange(len(signs))
    everything = max_distance
    if identity is not None and (identity >= 0).any():
        everything = min(max_distance, SAME_PHOTO_DISTANCE)
        by_person = np.argsort(identity, kind="stable")
        starts = np.flatnonzero(np.diff(identity[by_person], prepend=-1))  # of each known person
        for rows in np.split(by_person, starts)[1:]:
            _link(root, signs[rows], rows, max_distance)
    if across_people:
        _link(root, signs, np.arange(len(signs)), everything)
    return _numbered(root)


def _link(root: NDArray[np.int64], signs: NDArray[np.float32], rows: NDArray[np.int64], distance: int) -> None:
    """Join, in `root`, those of `rows` whose `signs` (len(rows), 256) are at most `distance` bits apart."""
    for start in range(0, len(rows), _CHUNK):
        near = signs[start : start + _CHUNK] @ signs[start:].T >= HASH_BITS - 2 * distance
        first, second = np.nonzero(near)
        join(root, rows[first + start], rows[second + start])


def join(root: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    """Union-find, all pairs at once, in place: afterwards root[first] == root[second], the smallest index of each set.

    Args:
        root: int64 (N,), smallest index of the set each index is in, to begin with itself.
        first: int64 (P,), indices.
        second: int64 (P,), indices.
    """
    while True:
        one, other = root[first], root[second]
        apart = one != other
        if not apart.any():
            return
        first, second = first[apart], second[apart]
        one, other = one[apart], other[apart]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(root[root], root):
            root[:] = root[root]


def _numbered(root: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sets of at least two, numbered in order of their first index; -1 for the others."""
    sizes = np.bincount(root, minlength=len(root))
    number = np.cumsum(sizes > 1) - 1
    return np.where(sizes[root] > 1, number[root], -1)
