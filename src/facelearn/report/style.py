"""How every figure looks, and how it becomes text that can stand inside a page: the one door to matplotlib."""

from __future__ import annotations

import base64
import html
import io
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import MissingExtraError
from facelearn.showing import for_terminal

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.axis import Axis
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure as Figure
    from matplotlib.image import AxesImage as AxesImage
    from matplotlib.patches import Rectangle
    from matplotlib.text import Annotation as Annotation

# Okabe and Ito's order darkened until each reads on white; told apart under the common colour-vision deficiencies.
RUN_COLOURS = ("#0b69b4", "#cf5600", "#0a8763", "#a8469a", "#8f6b00", "#5b21d6", "#6b6f76", "#7a3b12")
RUN_COLOURS_DARK = ("#62aef0", "#ff9a4d", "#3fcfa2", "#e08fd3", "#e0b93c", "#7c6cff", "#b4b8c0", "#d79a6d")
RUN_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK, MUTED, GRID, SURFACE, ALARM = "#1c2128", "#5b6470", "#e3e6ea", "#fefefe", "#b3261e"
TRUTH_RGB, PREDICTION_RGB, RESIDUAL_RGB = (57, 231, 137), (255, 138, 31), (255, 205, 130)
ERROR_MAP = "viridis_r"

_THEME = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    SURFACE: "var(--surface)",
    ALARM: "var(--alarm)",
    **{colour: f"var(--run-{i})" for i, colour in enumerate(RUN_COLOURS)},
}
_SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "facelearn",
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "legend.facecolor": SURFACE,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.9,
    "lines.solid_capstyle": "round",
}
# rcParams are the whole process's: two threads that draw at once would see each other's
_drawing = threading.RLock()


@contextmanager
def house_style() -> Iterator[None]:
    """Draw inside this: our settings hold until the end, then the process's own are back. One thread at a time.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("matplotlib", "train") from error
    with _drawing, matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of width x height inches that no global state knows of. Call inside `house_style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def run_colour(index: int) -> str:
    """The colour of the index-th run, the same in every figure of a report."""
    return RUN_COLOURS[index % len(RUN_COLOURS)]


def run_marker(index: int) -> str:
    """The marker of the index-th run: what tells runs apart in print."""
    return RUN_MARKERS[index % len(RUN_MARKERS)]


def plain_text(text: object, limit: int = 60) -> str:
    """A name from a file as matplotlib and a page may show it: no control characters, cut at `limit` characters."""
    clean = "".join(character if character.isprintable() else " " for character in for_terminal(str(text)))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def number_ticks(axis: Axis, most: int, *, whole: bool = False, steps: Sequence[float] | None = None) -> None:
    """At most so many ticks at round numbers; `whole` keeps them to whole numbers, `steps` says what is round (of 1 to 10)."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=most, integer=whole, steps=steps, min_n_ticks=1 if whole else 2))


def log_ticks(axis: Axis, text: Callable[[float], str], steps: Sequence[float] = (), *, narrow: bool = False) -> None:
    """Ticks of a logarithmic axis with their numbers as `text` has them, at `steps` of each decade where they are given.

    `narrow`: the axis spans a small part of a decade, in which none of those may lie; it has round numbers instead.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    if narrow:
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], min_n_ticks=2))
        axis.set_minor_locator(NullLocator())
    elif steps:
        axis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_formatter(NullFormatter())


def colour_map(name: str) -> Colormap:
    """A scale of colours: called with numbers from 0 to 1, it gives their red, green, blue and opacity."""
    import matplotlib

    return matplotlib.colormaps[name]


def two_colours(first: str, second: str) -> Colormap:
    """A scale of two colours without steps between them."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([first, second])


def red_green_blue(colour: str) -> tuple[float, float, float]:
    """A colour as numbers from 0 to 1."""
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def colour_text(colour: Sequence[float]) -> str:
    """Numbers from 0 to 1 as a colour, "#rrggbb"."""
    from matplotlib.colors import to_hex

    return to_hex(tuple(colour))  # type: ignore[arg-type]


def empty_scale(low: float, high: float, colours: str) -> ScalarMappable:
    """What a bar of colours needs where no picture has that scale."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(low, high), colours)


def rectangle(corner: tuple[float, float], width: float, height: float, **style: Any) -> Rectangle:
    """A box for `Axes.add_patch`."""
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, **style)


def note(axes: Axes, text: str) -> None:
    """Write what is missing in the middle of empty axes, instead of a picture of nothing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, transform=axes.transAxes)


def svg(figure: Figure, description: str) -> str:
    """The figure as one `<svg>` element for a page: no wider than its place, in the page's font, light or dark with it.

    Args:
        figure: what to draw.
        description: what a reader who cannot see it is told; escaped here.
    """
    content = io.StringIO()
    with house_style():
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = content.getvalue()
    text = re.sub(r"<metadata>(?:(?!<metadata>).)*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<!--(?:(?!<!--).)*?-->\s*", "", text, flags=re.DOTALL)
    # ids of groups repeat from figure to figure; only those that something points to may stay
    used = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", text)
    text = text.replace(" xlink:href=", " href=")  # what browsers read today, and it needs no namespace
    text = re.sub(r"'DejaVu Sans'(, sans-serif)?", "var(--font)", text)
    for colour, variable in _THEME.items():
        text = text.replace(f": {colour}", f": {variable}")
    text = re.sub(r"^<svg [^>]*>", lambda match: _opening(match[0], description), text)
    return text


def _opening(tag: str, description: str) -> str:
    """The `<svg>` tag sized by its view box in the page's pixels, for its style sheet to shrink."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', tag)
    if box is None:  # matplotlib always writes one
        raise AssertionError(tag)
    width = round(float(box[1]) * 4 / 3)
    label = html.escape(description, quote=True)
    return f'<svg {box[0]} style="width: {width}px" role="img" aria-label="{label}">'


def png(figure: Figure, dots_per_inch: int = 150, *, comment: str = "") -> bytes:
    """The figure as a PNG file on white, with a comment in the file where there is one."""
    content = io.BytesIO()
    with house_style():
        facts = {"Comment": comment} if comment else None
        figure.savefig(content, format="png", dpi=dots_per_inch, facecolor="white", metadata=facts)
    return content.getvalue()


def encode_image(picture: NDArray[np.uint8], kind: str = "png") -> bytes:
    """A uint8 (H, W, 3) RGB or (H, W, 1) grey picture as the bytes of a "png" or "jpeg" file."""
    from PIL import Image

    content = io.BytesIO()
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    if kind == "jpeg":
        image.save(content, format="JPEG", quality=85, subsampling=0, optimize=True)
    else:
        image.save(content, format="PNG", compress_level=7)
    return content.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """`content` of image type `kind` ("png", "jpeg") as an address that needs no request."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
