from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facelearn.errors import BundleError, DataError
from facelearn.geometry import affine
from facelearn.transforms.framing import Framed, Framing, FramingError
from support.pictures import gradient, spot

TEMPLATE = np.asarray([[66.0, 45], [30, 45], [48, 62], [60, 75], [36, 75]])


def place(
    photo: NDArray[np.uint8],
    points: NDArray[np.float64],
    *,
    size: int | None,
    crop: float | None,
    box: tuple[float, float, float, float] | None = None,
) -> Framed:
    framing = Framing("whole", size) if crop is None else Framing("crop", size, crop)
    return framing.frame(photo, box, points)


def in_photo(to_photo: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ to_photo[:, :2].T + to_photo[:, 2]


def dotted(width: int, height: int, points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A dark photo with a soft light at each point."""
    y, x = np.mgrid[:height, :width]
    distance = (x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2
    return (255 * np.exp(-distance / 18).max(0)).astype(np.uint8)[..., None]


def brightest(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Centre of light, in pixels."""
    light = image[..., 0].astype(float)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


def test_nothing_asked_nothing_changed() -> None:
    points = np.array([[3.0, 4], [np.nan, np.nan]])
    placed = place(gradient(), points, size=None, crop=None)
    np.testing.assert_array_equal(placed.image, gradient())
    np.testing.assert_array_equal(placed.points, points)
    np.testing.assert_array_equal(placed.to_photo, np.eye(2, 3))


@pytest.mark.parametrize("size", [24, 48, 100])
@pytest.mark.parametrize("crop", [None, 0.0, 0.4])
def test_the_light_is_where_the_point_is(size: int, crop: float | None) -> None:
    corners = np.array([[30.0, 20.0], [70.0, 60.0]])
    light = np.array([[48.0, 41.0]])
    placed = place(dotted(120, 80, light), np.concatenate([light, corners]), size=size, crop=crop)
    assert placed.image.shape == (size, size, 1)
    np.testing.assert_allclose(brightest(placed.image), placed.points[0], atol=0.15)


def test_halving_averages_and_keeps_pixel_centres() -> None:
    image = np.array([[0, 100], [100, 200]], np.uint8)[..., None]
    placed = place(image, np.array([[0.5, 0.5], [0.0, 0.0]]), size=1, crop=None)
    assert placed.image.item() == 100
    np.testing.assert_allclose(placed.points, [[0, 0], [-0.25, -0.25]])


def test_proportions_are_kept_and_edges_repeated() -> None:
    placed = place(gradient(40, 20), np.array([[0.0, 0.0], [39.0, 19.0]]), size=20, crop=None)
    np.testing.assert_array_equal(placed.image[0], placed.image[5])
    np.testing.assert_array_equal(placed.image[-1], placed.image[-5])
    np.testing.assert_allclose(placed.points[:, 1], [5 - 0.25, 15 - 0.75])


def test_the_crop_is_a_square_with_its_margin() -> None:
    points = np.array([[20.0, 30.0], [60.0, 50.0]])
    placed = place(gradient(100, 100), points, size=None, crop=0.25)
    assert placed.image.shape == (61, 61, 3)  # 40 and twice a quarter of it, pixels counted at both ends
    np.testing.assert_allclose(placed.points, [[10, 20], [50, 40]])
    np.testing.assert_array_equal(placed.image[0, 0], gradient(100, 100)[10, 10])


def test_a_crop_over_the_edge_repeats_it() -> None:
    placed = place(gradient(40, 30), np.array([[0.0, 0.0], [10.0, 10.0]]), size=None, crop=0.5)
    np.testing.assert_array_equal(placed.image[:5, :5], np.broadcast_to(gradient()[0, 0], (5, 5, 3)))
    np.testing.assert_allclose(placed.points[0], [5, 5])


def test_a_tight_crop_loses_points() -> None:
    points = np.array([[0.0, 50.0], [100.0, 50.0], [50.0, 50.0]])
    placed = place(gradient(101, 101), points, size=None, crop=-0.2)
    assert placed.lost == 2 and np.isnan(placed.points[:2]).all() and placed.points[2].tolist() == [30, 30]


def test_a_box_stands_in_for_labels() -> None:
    missing = np.full((2, 2), np.nan)
    placed = place(gradient(), missing, size=None, crop=0.0, box=(5, 5, 15, 15))
    assert placed.image.shape[:2] == (11, 11)
    for points in (missing, np.array([[3.0, 3.0], [np.nan, np.nan]]), np.array([[3.0, 3.0], [3.0, 3.0]])):
        with pytest.raises(FramingError, match="at least two labelled"):
            place(gradient(), points, size=None, crop=0.0)


def test_outside_is_counted_and_far_outside_refused() -> None:
    at = lambda x, y: place(gradient(), np.array([[x, y], [5.0, 5.0]]), size=None, crop=None)  # noqa: E731
    assert at(39.5, 29.5).outside == 0 and at(39.6, 3).outside == 1 and at(-0.6, 3).outside == 1
    assert at(59.5, 3).outside == 1 and at(3, -15.5).outside == 1
    for x, y in ((59.6, 3), (-20.6, 3), (3, 44.6), (3, -15.6)):
        with pytest.raises(FramingError, match=r"keypoint 0 .* more than half an image size outside the 40 x 30"):
            at(x, y)


def test_no_pixel_in_common() -> None:
    points = np.array([[45.0, 5.0], [46.0, 6.0]])
    with pytest.raises(FramingError, match="no pixel in common"):
        place(gradient(), points, size=None, crop=0.0)


def test_a_crop_without_bound_is_refused() -> None:
    points = np.array([[0.0, 0.0], [2999.0, 2999.0]])
    with pytest.raises(FramingError, match="smaller margin"):
        place(np.zeros((3000, 3000, 1), np.uint8), points, size=None, crop=3.0)


@given(
    st.integers(1, 60), st.integers(1, 60), st.one_of(st.none(), st.integers(1, 40)),
    st.one_of(st.none(), st.floats(-0.4, 2)), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=5),
)  # fmt: skip
def test_points_map_back_to_where_they_were(
    width: int, height: int, size: int | None, crop: float | None, fractions: list[tuple[float, float]]
) -> None:
    points = np.array(fractions) * (width - 1, height - 1)
    try:
        placed = place(gradient(width, height), points, size=size, crop=crop)
    except FramingError:
        assert crop is not None
        return
    if size is not None:
        assert placed.image.shape == (size, size, 3)
    kept = ~np.isnan(placed.points[:, 0])
    np.testing.assert_allclose(in_photo(placed.to_photo, placed.points)[kept], points[kept], atol=1e-6)
    assert placed.lost == (~kept).sum() and (crop is None or crop < 0 or kept.all())


framings = st.builds(
    lambda kind, size, margin: Framing(kind, size, margin if kind == "crop" else 0.0),
    st.sampled_from(["whole", "crop"]),
    st.one_of(st.none(), st.integers(1, 40), st.tuples(st.integers(1, 40), st.integers(1, 40))),
    st.floats(-0.3, 1.5),
)


@given(
    framings,
    st.integers(4, 60),
    st.integers(4, 60),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=6),
)
def test_there_and_back_is_the_identity(
    framing: Framing, width: int, height: int, fractions: list[tuple[float, float]]
) -> None:
    points = np.array(fractions) * (width - 1, height - 1)
    if not framing.can_frame(None, points):
        return
    framed = framing.frame(gradient(width, height), None, points)
    matrix = framing.matrix(width, height, None, points)
    np.testing.assert_allclose(affine.compose(framed.to_photo, matrix), np.eye(2, 3), atol=1e-9)
    kept = ~np.isnan(framed.points[:, 0])
    np.testing.assert_allclose(affine.map_points(matrix, points)[kept], framed.points[kept], atol=1e-9)
    np.testing.assert_allclose(affine.map_points(framed.to_photo, framed.points)[kept], points[kept], atol=1e-9)
    if framing.size is not None:
        assert framed.image.shape[:2] == framing.size


@given(st.floats(-3, 3), st.floats(0.4, 2.5), st.integers(-20, 20))
def test_a_template_turns_the_photo_and_leads_back(angle: float, scale: float, shift: int) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE - 48) @ turn.T + 80 + shift
    framing = Framing("template", 96, template=tuple(map(tuple, TEMPLATE.tolist())))
    framed = framing.frame(spot(points[[2]]), points=points)
    np.testing.assert_allclose(framed.points, TEMPLATE, atol=1e-9)
    np.testing.assert_allclose(affine.map_points(framed.to_photo, TEMPLATE), points, atol=1e-6)
    matrix = framing.matrix(160, 160, points=points)
    np.testing.assert_allclose(affine.compose(framed.to_photo, matrix), np.eye(2, 3), atol=1e-9)


@pytest.mark.parametrize(
    ("size", "crop", "to_photo", "points", "light", "lost"),
    [
        (
            48, None, [[2.104166666666667, 0, 0.5520833333333335], [0, 2.09375, -16.203125]],
            [[14.113861386138613, 17.529850746268657], [33.004950495049506, 27.67910447761194], [47.024752475247524, 36.3955223880597]],
            [292608, 293088, 138240], 0,
        ),
        (
            48, 0.25, [[2.1875, 0, 13.59375], [0, 2.1875, -11.40625]],
            [[7.614285714285714, 14.585714285714285], [25.785714285714285, 24.3], [39.27142857142857, 32.64285714285714]],
            [372432, 332208, 138240], 0,
        ),
        (None, -0.2, [[1, 0, 44], [0, 1, 19]], [[np.nan, np.nan], [26, 22.75], [np.nan, np.nan]], [305601, 284875, 110940], 2),
    ],
)  # fmt: skip
def test_golden_numbers_of_tables_made_before_framing_was_a_value(
    size: int | None, crop: float | None, to_photo: object, points: object, light: list[int], lost: int
) -> None:
    labels = np.array([[30.25, 20.5], [70, 41.75], [np.nan, np.nan], [99.5, 60]])
    framed = place(gradient(101, 67), labels, size=size, crop=crop)
    np.testing.assert_array_equal(framed.to_photo, to_photo)  # bit for bit
    np.testing.assert_array_equal(framed.points[[0, 1, 3]], points)
    assert framed.image.astype(int).sum((0, 1)).tolist() == light and framed.lost == lost


def test_a_box_is_taken_whatever_the_kind_and_widened_to_the_images_proportions() -> None:
    photo = gradient(100, 80)
    for framing in (Framing("whole", 20), Framing("crop", 20, 0.5)):
        framed = framing.frame_box(photo, (10, 20, 50, 60))
        np.testing.assert_allclose(framed.to_photo, [[2, 0, 10.5], [0, 2, 20.5]])
        assert framed.image.shape == (20, 20, 3)
    wide = Framing("whole", (20, 40)).frame_box(photo, (10, 20, 50, 60))
    np.testing.assert_allclose(wide.to_photo, [[2, 0, -9.5], [0, 2, 20.5]])
    np.testing.assert_array_equal(wide.image[:, 0], wide.image[:, 4])  # the photo begins at column 5
    own = Framing("whole").frame_box(photo, (10, 20, 50, 61))
    np.testing.assert_array_equal(own.image, photo[20:61, 10:50])


def test_a_photo_of_other_proportions_than_an_oblong_image_is_widened() -> None:
    framed = Framing("whole", (10, 30)).frame(gradient(40, 20))
    assert framed.image.shape == (10, 30, 3)
    np.testing.assert_allclose(framed.to_photo, [[2, 0, -9.5], [0, 2, 0.5]])
    photo = gradient(30, 10)
    assert Framing("whole", (10, 30)).frame(photo).image is photo


def test_what_a_face_must_bring() -> None:
    two, one = np.array([[3.0, 4], [9, 9]]), np.array([[3.0, 4], [np.nan, np.nan]])
    crop, template = Framing("crop", 8, 0.25), Framing("template", 8, template=((1, 1), (5, 5)))
    assert Framing("whole", 8).can_frame() and not crop.can_frame() and not template.can_frame()
    assert crop.can_frame(None, two) and crop.can_frame((1, 2, 3, 4), one) and not crop.can_frame(None, one)
    assert not crop.can_frame(None, two[[0, 0]])
    assert template.can_frame(None, two) and not template.can_frame((1, 2, 3, 4), one)
    assert not template.can_frame(None, np.zeros((3, 2)))
    assert crop.whole() == template.whole() == Framing("whole", 8)
    with pytest.raises(FramingError, match="two different points"):
        template.frame(gradient(), points=one)


@pytest.mark.parametrize(
    "framing",
    [
        Framing(), Framing("whole", 96), Framing("whole", (112, 92)), Framing("crop", 112, 0.25), Framing("crop", None, -0.1),
        Framing("template", 112, template=((38.3, 51.7), (float("nan"), 1), (73.5, 51.5))),
    ],
)  # fmt: skip
def test_stored_and_read_back(framing: Framing) -> None:
    facts = json.loads(json.dumps(framing.to_dict(), allow_nan=False))
    again = Framing.from_dict(facts)
    assert again.to_dict() == framing.to_dict() and (framing.template or again == framing)
    assert facts["kind"] == framing.kind
    with pytest.raises(BundleError, match="upgrade"):
        Framing.from_dict({**facts, "kind": "ellipse"})
    with pytest.raises(BundleError, match="upgrade"):
        Framing.from_dict({})


def test_another_size() -> None:
    assert Framing("crop", 112, 0.25).sized(56) == Framing("crop", 56, 0.25)
    assert Framing("template", 100, template=((49.5, 9.5), (19.5, 49.5))).sized((50, 100)).template == (
        (49.5, 4.5),
        (19.5, 24.5),
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Framing("square"), "'whole', 'crop' or 'template'"),  # type: ignore[arg-type]
        (lambda: Framing("whole", 0), "size must be 1 to 8192"),
        (lambda: Framing("whole", (10, 9000)), "size must be 1 to 8192"),
        (lambda: Framing("crop", 8, -0.5), "crop is a margin"),
        (lambda: Framing("crop", 8, 5.1), "crop is a margin"),
        (lambda: Framing("template", 8, template=((1, 1),)), "at least two points"),
        (lambda: Framing("template", template=((1, 1), (2, 2))), "needs a size"),
    ],
)
def test_framings_that_no_image_can_have(make: Callable[[], Framing], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()
