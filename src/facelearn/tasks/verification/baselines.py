"""What needs no network: faces compared by their pixels, or by the principal components of those (Turk and Pentland 1991)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.tasks.verification.domain import of_unit_length
from facelearn.transforms.preprocess import Preprocess

_SIDE = 32
_COMPONENTS = 128
_MOST = 4_000  # photos that components are fitted on


def baseline_vectors(name: str, train: ArrayLike, images: ArrayLike) -> NDArray[np.float32]:
    """Rows (N, D) of length 1 that are compared by their Euclidean distance.

    Args:
        name: "pixels": grey, 32 x 32, the image's own mean taken off; "pca": the first 128 (or as many as there are) principal components
            of those, fitted on `train`, each as wide as it is.
        train: uint8 (M, H, W, C).
        images: uint8 (N, H, W, C).
    """
    shown = _pixels(images)
    if name == "pca":
        from sklearn.decomposition import PCA

        every = np.asanyarray(train)
        few = every[np.linspace(0, len(every) - 1, min(len(every), _MOST)).astype(np.int64)]
        fitted = PCA(min(_COMPONENTS, len(few) - 1), svd_solver="randomized", random_state=0).fit(_pixels(few))
        shown = fitted.transform(shown)
    return np.asarray(of_unit_length(shown), np.float32)


def _pixels(images: ArrayLike) -> NDArray[np.float64]:
    """(N, 1024): grey, small, of mean 0 and length 1 each."""
    small = Preprocess.from_steps(["grey", {"name": "resize", "size": _SIDE}]).prepare(np.asarray(images))
    rows = small.reshape(len(small), -1).astype(np.float64)
    return np.asarray(of_unit_length(rows - rows.mean(1, keepdims=True)), np.float64)
