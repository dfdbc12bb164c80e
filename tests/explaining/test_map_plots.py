"""Pictures of a network's inside: numbers stay what they are, nothing is cut off, the page is whole."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import Normalize

from facelearn.explaining import face_pictures, map_plots
from facelearn.explaining.kernels import Kernels
from facelearn.explaining.network_picture import TIMES, Block, architecture_figure
from facelearn.explaining.page import Shown, explain_page, layer_rows, layer_table
from facelearn.report.style import png, svg
from facelearn.report.tiling import tiled

LAYERS = [
    {"name": "0", "kind": "Conv2d", "output": [4, 8, 8], "parameters": 40, "multiply_adds": 2304},
    {"name": "1", "kind": "ReLU", "output": [4, 8, 8], "parameters": 0, "multiply_adds": 0},
    {"name": "2", "kind": "Linear", "output": [3], "parameters": 771, "multiply_adds": 768},
]


def pictures(figure):
    """The arrays drawn, the widest one first."""
    images = [image for axes in figure.axes for image in axes.images]
    return sorted(images, key=lambda image: -image.get_array().shape[1])


def test_tiles_keep_every_number_at_its_place():
    tiles = np.arange(5 * 2 * 3, dtype=np.float32).reshape(5, 2, 3)
    picture = tiled(tiles, 3, gap=1)
    assert picture.shape == (5, 11)
    for i, one in enumerate(tiles):
        top, left = (i // 3) * 3, (i % 3) * 4
        np.testing.assert_array_equal(picture[top : top + 2, left : left + 3], one)
    assert np.isnan(picture).sum() == 5 * 11 - 5 * 6


def test_kernels_share_one_scale_around_zero():
    tiles = np.random.default_rng(0).normal(size=(6, 20, 20)).astype(np.float32)
    tiles[4, 3, 2] = -9.0
    drawn = pictures(map_plots.kernels_figure(tiles, 3, title="weights"))[0]
    assert isinstance(drawn.norm, Normalize) and (drawn.norm.vmin, drawn.norm.vmax) == (-9, 9)
    numbers = np.ma.filled(drawn.get_array(), np.nan)
    assert sorted(numbers[np.isfinite(numbers)].tolist()) == sorted(tiles.ravel().tolist())


def test_a_sheet_has_every_layer_on_its_own_scale_under_its_name():
    rng = np.random.default_rng(0)
    layers = [
        Kernels("first", rng.normal(size=(5, 12, 12, 3)).astype(np.float32), 5, (5, 3, 12, 12), ""),
        Kernels(
            "a.very.long.name.of.a.layer.deep.inside",
            rng.normal(size=(8, 12, 12)).astype(np.float32),
            4,
            (2, 4, 12, 12),
            "",
        ),
        *[Kernels(f"block{i}", np.full((1, 6, 20), i, np.float32), 1, (6, 20, 1, 1), "") for i in range(1, 4)],
    ]
    figure = map_plots.kernel_sheet(layers, title="sheet")
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title(loc="left").split("\n")[0] for axes in drawn[2:]] == ["block1", "block2", "block3"]
    assert drawn[0].get_title(loc="left") == f"first\n5 {TIMES} 3 {TIMES} 12 {TIMES} 12"
    assert [axes.images[0].norm.vmax for axes in drawn[2:]] == [1, 2, 3]
    numbers = np.ma.filled(drawn[1].images[0].get_array(), np.nan)
    assert sorted(numbers[np.isfinite(numbers)].tolist()) == sorted(layers[1].tiles.ravel().tolist())
    figure.canvas.draw()
    boxes = [axes.title.get_window_extent() for axes in drawn] + [
        axes._left_title.get_window_extent() for axes in drawn
    ]
    shown = [box for box in boxes if box.width]
    assert not any(one.overlaps(other) for i, one in enumerate(shown) for other in shown[:i])


def test_one_tile_a_map_fills_a_square_also_where_a_stem_reads_folded_pixels():
    folded = Kernels("stem", np.ones((32, 12, 12), np.float32), 11, (32, 16, 3, 3), "", one_tile_a_map=True)
    in_rows = Kernels("block", np.ones((64, 3, 3), np.float32), 4, (64, 4, 3, 3), "")  # 16 of the 64 maps
    stem, block = (
        picture.get_array().shape for picture in pictures(map_plots.kernel_sheet([folded, in_rows], title=""))
    )
    assert 0.8 < stem[0] / stem[1] <= 1 and block[0] > 3 * block[1]


def test_small_kernels_are_enlarged_without_a_change():
    tiles = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    drawn = np.ma.filled(pictures(map_plots.kernels_figure(tiles, 2, title="weights"))[0].get_array(), np.nan)
    np.testing.assert_array_equal(drawn[:12:4, :12:4], tiles[0])


def test_colour_kernels_are_grey_at_zero():
    tiles = np.zeros((2, 12, 12, 3), np.float32)
    tiles[0, 0, 0] = [2, -2, 1]
    drawn = pictures(map_plots.kernels_figure(tiles, 2, title="weights"))[0].get_array()
    np.testing.assert_allclose(drawn[0, 0], [1, 0, 0.75, 1])
    np.testing.assert_allclose(drawn[1, 1], [0.5, 0.5, 0.5, 1])
    assert drawn[0, 12, 3] == 0  # between the tiles the page shows through


@pytest.mark.parametrize(("least", "limits"), [(-1.0, (-3, 3)), (0.0, (0, 3))])
def test_activations_share_a_scale_that_fits_their_sign(least, limits):
    maps = np.linspace(least, 3, 2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
    figure = map_plots.activations_figure(np.zeros((2, 9, 9, 1), np.uint8), maps, [0, 5, 7], title="maps")
    drawn = pictures(figure)[0]
    assert (drawn.norm.vmin, drawn.norm.vmax) == limits
    numbers = np.ma.filled(drawn.get_array(), np.nan)
    assert set(numbers[np.isfinite(numbers)].tolist()) == set(maps.ravel().tolist())
    labels = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"image", "0", "5", "7"} <= labels


def test_saliency_is_laid_over_a_pale_image():
    image = np.full((6, 6, 1), 100, np.uint8)
    values = np.zeros((6, 6), np.float32)
    values[1, 1], values[4, 4] = 2.0, -2.0
    drawn = face_pictures.overlay(image, values, (12, 12), 2.0)
    assert drawn.shape == (12, 12, 3) and drawn[0, 0].tolist() == [182, 182, 182]
    assert drawn[2, 2, 0] > drawn[2, 2, 2] + 50  # red raises
    assert drawn[9, 9, 2] > drawn[9, 9, 0] + 50  # blue lowers


@pytest.mark.parametrize("channels", [1, 3])
def test_every_figure_draws_for_grey_and_colour_and_odd_sizes(channels):
    images = np.random.default_rng(1).integers(0, 256, (2, 7, 10, channels), dtype=np.uint8)
    values = np.random.default_rng(2).normal(size=(2, 7, 10)).astype(np.float32)
    points = np.full((2, 3, 2), 4, np.float32)
    made = np.random.default_rng(3).normal(size=(2, 7, 10, channels)).astype(np.float32)
    box = (2, 1, 6, 5)
    figures = [
        face_pictures.saliency_figure(images, [("a\nb", values), ("c", values[:, ::3, ::3])], points=points, title="t"),
        face_pictures.excited_figure(
            made, [[*images], [images[0]]], [[box] * 3, [(0, 0, 10, 7)] * 2], names=["unit 1", "unit 2"],
            notes=[["0 → 1", "2", "1"], ["0 → 1", "2"]], title="t",
        ),
        map_plots.units_figure(values.reshape(2, -1), title="t"),
        map_plots.activations_figure(images, values[:, None], [0], title="t"),
    ]  # fmt: skip
    for figure in figures:
        assert png(figure).startswith(b"\x89PNG") and svg(figure, "a < b").startswith("<svg")


def test_an_architecture_is_drawn_with_every_block_in_it():
    blocks = [
        Block("convolution 3x3", (2 ** (i % 7), 64, 64), 1234, 1, ("ReLU",), repeats=1 + i % 4) for i in range(19)
    ]
    figure = architecture_figure([*blocks, Block("fully connected", (30,), 99, 1)], (1, 96, 96), title="a network")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("convolution 3x3") == 19 and {"input", "fully connected", "99 parameters"} <= set(texts)
    figure.draw_without_rendering()
    place = figure.axes[0].get_window_extent()
    outside = [text.get_text() for text in figure.axes[0].texts if text.get_text() and _outside(text, place)]
    assert not outside


def _outside(text, place):
    box = text.get_window_extent()
    return box.x0 < place.x0 - 8 or box.x1 > place.x1 + 8 or box.y0 < place.y0 - 8


def test_the_layer_table_ends_with_its_totals():
    heading, rows = layer_rows(LAYERS)
    assert len(rows) == 4 and len(heading) == 5
    assert rows[-1] == ["total", "", "", "811", "3,072"]
    assert layer_table(LAYERS).splitlines()[2].split() == ["0", "Conv2d", "4", "x", "8", "x", "8", "40", "2,304"]


def test_the_page_is_whole_and_asks_for_nothing(self_contained):
    figure = map_plots.kernels_figure(np.ones((2, 3, 3), np.float32), 2, title="<b>weights</b>")
    document = explain_page(
        "Inside <model>",
        "subtitle & more",
        layers=LAYERS * 20,
        input_shape=(1, 8, 8),
        pictures=[Shown("Architecture", svg(figure, "x"), "one"), Shown("Kernels", svg(figure, "y"), "two <i>")],
        introductions={"Kernels": "all of them"},
        notes=["look <here>"],
    )
    page = self_contained(document)
    for words in ("Inside <model>", "look <here>", "two <i>", "all of them", "All 60 layers", "16,220"):
        assert page.has(words)
