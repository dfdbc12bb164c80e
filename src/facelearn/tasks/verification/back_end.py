"""What is done with a network's embeddings before two are compared, and how far apart they then are: fitted on training people.

Every back end turns a row of the network into a row that is stored and compared, and a pair of those into a distance, smaller for one
person. `transform` is arithmetic that NumPy and torch share (no torch is imported), so that an exported graph holds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import BundleError, DataError, RecipeError, unknown_name
from facelearn.tasks.verification import two_covariances
from facelearn.tasks.verification.chi_square import LEAST_MAXIMUM, chi_square_distance, chi_square_weights
from facelearn.tasks.verification.domain import Domain, of_unit_length

Vectors = NDArray[np.float32]
Facts = dict[str, str | int | bool]

BACK_ENDS: dict[str, str] = {
    "none": "rows of length 1, squared Euclidean distance: 2 - 2 cos",
    "whitening": "the axes along which people differ most, photos of a person made equally wide in all of them; then as none",
    "plda": "log likelihood ratio of one person against two, both Gaussian; covariances from the mean squares",
    "joint_bayes": "the same, covariances by expectation-maximisation (Chen et al. 2012)",
    "chi_square": "DeepFace's: features over their maxima, weighted chi-square distance, weights from a linear SVM (Taigman et al. 2014)",
}
"""What each value of a verification recipe's `back_end` does; the simplest first."""

# the arrays of each, with their shapes: D numbers of the network, d of what is stored
_ARRAYS: dict[str, dict[str, str]] = {
    "none": {},
    "whitening": {"mean": "D", "matrix": "Dd"},
    "plda": {"mean": "D", "matrix": "Dd", "between": "d"},
    "joint_bayes": {"mean": "D", "matrix": "Dd", "between": "d"},
    "chi_square": {"maxima": "D", "weights": "D"},
}
_WIDEST = 512  # of wider embeddings the so many principal axes are kept: covariances of more cannot be told from a few thousand photos
_PAIRS_AT_A_TIME = 32_768
_DOMAIN = ("domain_mean", "domain_matrix")
_LEAST_BETWEEN = (
    0.1  # of the variance within a person: axes that tell people apart less would be made as wide as the others
)


@dataclass(frozen=True, eq=False)
class BackEnd:
    """A fitted back end; made by `fit_back_end` or `back_end_from_facts`.

    Attributes:
        name: a key of BACK_ENDS.
        arrays: float32; mean (D,), matrix (D, d), between (d,), maxima (D,), weights (D,), those that it has.
        unit: of the linear ones, whether rows are brought to length 1 before the matrix.
        domain: of none and whitening, the kind of photos that a model was calibrated for: what is stored stays as it is, and distances are
            measured from the middle of such photos.
    """

    name: str = "none"
    arrays: Mapping[str, Vectors] = field(default_factory=dict)
    unit: bool = True
    domain: Domain | None = None

    @property
    def takes_domain(self) -> bool:
        """Whether what it stores has length 1 and is compared by angle, so that a domain can be taken out."""
        return self.name in ("none", "whitening")

    @property
    def stored(self) -> Mapping[str, Vectors]:
        """All arrays that a model file keeps, the domain's among them."""
        of_domain = (
            {} if self.domain is None else dict(zip(_DOMAIN, (self.domain.mean, self.domain.matrix), strict=True))
        )
        return {**self.arrays, **of_domain}

    @property
    def facts(self) -> Facts:
        """JSON values that, with `arrays`, give it back (`back_end_from_facts`)."""
        return {"name": self.name, "unit": self.unit}

    def transform(self, vectors: Any) -> Any:
        """What is stored and compared, of what the network gives.

        Args:
            vectors: float (N, D), NumPy or torch.

        Returns:
            float (N, d), of the same library; of length 1 but for plda and joint_bayes. A row of zeros stays zeros where it has to be
            brought to length 1.
        """
        if self.name == "none":
            return of_unit_length(vectors)
        as_given = getattr(vectors, "new_tensor", np.asarray)
        arrays = {name: as_given(array) for name, array in self.arrays.items()}
        if self.name == "chi_square":
            return of_unit_length(vectors / arrays["maxima"])
        rows = of_unit_length(vectors) if self.unit else vectors
        rows = (rows - arrays["mean"]) @ arrays["matrix"]
        return of_unit_length(rows) if self.name == "whitening" else rows

    def mean(self, first: Vectors, second: Vectors) -> Vectors:
        """(N, d) between two transformed embeddings (N, d) of the same faces, of length 1 where those are."""
        rows = (first + second) / 2
        return np.asarray(rows if "between" in self.arrays else of_unit_length(rows), np.float32)

    def distance(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
        """(N,) distances of rows (N, d) and rows (N, d), both transformed; smaller is closer.

        none and whitening: squared Euclidean, 0 to 4; plda and joint_bayes: the negative log likelihood ratio, any number; chi_square: the
        weighted sum, any number.
        """
        return self._distance(self._seen(first), self._seen(second))

    def _seen(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Transformed rows (N, d) as they are compared: from the middle of the domain's photos, where there is one."""
        return np.asarray(rows, np.float64) if self.domain is None else self.domain.moved(rows)

    def _distance(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.name == "chi_square":
            return chi_square_distance(a, b, self.arrays["weights"])
        if "between" not in self.arrays:
            return np.asarray(((a - b) ** 2).sum(-1), np.float64)
        cross, own, constant = self._ratio()
        return np.asarray(((a**2 + b**2) @ own - (a * b) @ cross) - constant, np.float64)

    def distance_of_pairs(
        self, vectors: NDArray[Any], first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(P,) distances between rows `first` (P,) and `second` (P,) of transformed vectors (N, d), some thousands at a time."""
        used, place = np.unique(np.stack([first, second]), return_inverse=True)
        a, b = place.reshape(2, -1)
        seen = self._seen(vectors[used])  # each photo once, in however many pairs it is
        distance = np.empty(len(first))
        for start in range(0, len(first), _PAIRS_AT_A_TIME):
            part = slice(start, start + _PAIRS_AT_A_TIME)
            distance[part] = self._distance(seen[a[part]], seen[b[part]])
        return distance

    def distance_matrix(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
        """(N, M) distances of all rows (N, d) to all rows (M, d), both transformed."""
        if (
            self.name == "chi_square"
        ):  # D times as many numbers as there are distances: half the memory is twice the speed
            columns = np.asarray(second, np.float32)
            rows = [chi_square_distance(row, columns, self.arrays["weights"]) for row in np.asarray(first, np.float32)]
            return np.stack(rows) if rows else np.empty((0, len(columns)))
        a, b = self._seen(first), self._seen(second)
        cross, own, constant = self._ratio() if "between" in self.arrays else (2.0, np.ones(a.shape[1]), 0.0)
        distances = (a**2 @ own)[:, None] + b**2 @ own - (a * cross) @ b.T - constant
        return np.asarray(distances if "between" in self.arrays else np.maximum(distances, 0), np.float64)

    def _ratio(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Of the negative log likelihood ratio: what a * b is weighted with, what a^2 and b^2 are, and what is subtracted.

        Along an axis one photo is N(0, b + 1), two of a person have the covariance b.
        """
        b = np.asarray(self.arrays["between"], np.float64)
        both = 2 * b + 1
        return b / both, b**2 / (2 * both * (b + 1)), float(np.log((b + 1) / np.sqrt(both)).sum())


def fit_back_end(
    name: str, vectors: NDArray[Any], identity: NDArray[np.int64], *, size: int | None = None, unit: bool = True
) -> BackEnd:
    """The back end `name`, fitted.

    Args:
        name: a key of BACK_ENDS.
        vectors: (N, D) of training photos, as the network gives them.
        identity: int64 (N,), whose they are; rows of -1, unknown, are left out.
        size: d of whitening, plda and joint_bayes: the axes along which people differ most. Of plda and joint_bayes all along which they
            differ, of whitening those along which they do by a tenth of the variance within a person.
        unit: of those three, whether rows are brought to length 1 first.

    Raises:
        RecipeError: an unknown name.
        DataError: vectors that are not finite, of chi_square below 0; too few people or photos, or photos of a person that do not differ.
    """
    if name not in BACK_ENDS:
        raise RecipeError(unknown_name("back end", str(name), list(BACK_ENDS)))
    if name == "none":
        return BackEnd()
    rows, person = _checked(name, vectors, identity)
    if name == "chi_square":
        if (rows < 0).any():
            raise DataError(
                "back_end = 'chi_square' compares features that are never below 0, such as those of deepface_embedding; "
                "of this network some are: choose 'auto', 'none' or 'plda'"
            )
        maxima = np.maximum(rows.max(0), LEAST_MAXIMUM).astype(np.float32)
        scaled = BackEnd(name, {"maxima": maxima}).transform(rows)
        return BackEnd(name, {"maxima": maxima, "weights": chi_square_weights(scaled, person).astype(np.float32)})
    exact = np.asarray(of_unit_length(rows) if unit else rows, np.float64)
    principal = _principal_axes(exact)
    fit = two_covariances.by_expectation_maximisation if name == "joint_bayes" else two_covariances.from_moments
    axes = fit(exact @ principal, person)
    differ = int((axes.between > (_LEAST_BETWEEN if name == "whitening" else 0)).sum())
    kept = max(1, min(size or differ, axes.matrix.shape[1]))
    arrays = {"mean": exact.mean(0), "matrix": principal @ axes.matrix[:, :kept]}
    if name != "whitening":
        arrays["between"] = axes.between[:kept]
    return BackEnd(name, {key: array.astype(np.float32) for key, array in arrays.items()}, unit)


def _checked(
    name: str, vectors: NDArray[Any], identity: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows of known people, and 0..C-1 for each."""
    rows = np.asarray(vectors, np.float32)
    if rows.ndim != 2 or identity.shape != rows.shape[:1] or not np.isfinite(rows).all():
        raise DataError(
            f"a back end is fitted on finite embeddings (N, D) and one person for each; received {rows.shape} and {identity.shape}"
        )
    known = identity >= 0
    people, person = np.unique(identity[known], return_inverse=True)
    if len(people) < 2 or len(person) <= len(people):
        raise DataError(
            f"back_end = {name!r} learns from photos of at least two people, one of them with two; "
            f"received {len(person)} photos of {len(people)} people. Choose back_end = 'none'"
        )
    return rows[known], person.astype(np.int64)


def _principal_axes(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D, d) orthonormal; the identity up to `_WIDEST`, and where there are fewer rows than columns no axis that they do not reach."""
    most = min(_WIDEST, len(rows) - 1)
    if rows.shape[1] <= most:
        return np.eye(rows.shape[1])
    from sklearn.decomposition import PCA

    fitted = PCA(most, svd_solver="randomized", random_state=0).fit(rows)
    return np.asarray(fitted.components_.T, np.float64)


def back_end_from_facts(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> BackEnd:
    """The back end that a model file holds; "none" of no facts.

    Raises:
        BundleError: facts and arrays that are no back end.
    """
    name = facts.get("name", "none")
    if not isinstance(name, str) or name not in _ARRAYS:
        raise BundleError(f"the model's back end is {name!r}; this version of facelearn knows {', '.join(_ARRAYS)}")
    unit = facts.get("unit", True)
    if not isinstance(unit, bool):
        raise BundleError(f"the model's back end says unit = {unit!r} instead of true or false")
    sizes: dict[str, int] = {}
    domain = dict(zip(_DOMAIN, ("d", "dd"), strict=True)) if any(key in arrays for key in _DOMAIN) else {}
    for key, axes in {**_ARRAYS[name], **domain}.items():
        array = arrays.get(key)
        fits = array is not None and array.ndim == len(axes) and np.issubdtype(array.dtype, np.floating)
        if not fits or not all(sizes.setdefault(axis, n) == n for axis, n in zip(axes, array.shape, strict=True)):  # type: ignore[union-attr]
            shape = None if array is None else array.shape
            raise BundleError(f"the model's back end {name} has no {key} that fits the rest; found shape {shape}")
        if not np.isfinite(array).all():  # type: ignore[arg-type]
            raise BundleError(f"{key} of the model's back end {name} holds NaN or infinity")
    back_end = BackEnd(name, {key: np.asarray(arrays[key], np.float32) for key in _ARRAYS[name]}, unit)
    if not domain:
        return back_end
    if not back_end.takes_domain:
        raise BundleError(f"the model's back end {name} does not compare by angle, and yet holds a domain")
    mean, matrix = (np.asarray(arrays[key], np.float32) for key in _DOMAIN)
    return dataclasses.replace(back_end, domain=Domain(mean, matrix))


def check_back_end(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """As `back_end_from_facts`, which it throws away."""
    back_end_from_facts(facts, arrays)
