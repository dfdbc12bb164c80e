"""The parts of a self-contained page: no request leaves it, no script is in it, every text is escaped."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelearn.report.style import RUN_COLOURS, RUN_COLOURS_DARK, data_uri, encode_image, plain_text
from facelearn.report.tables import fact_rows, is_number
from facelearn.showing import for_terminal

_LIGHT = "".join(f"--run-{i}: {colour}; " for i, colour in enumerate(RUN_COLOURS))
_DARK = "".join(f"--run-{i}: {colour}; " for i, colour in enumerate(RUN_COLOURS_DARK))
_STYLE = f"""
:root {{ color-scheme: light dark; --paper: #f5f6f8; --surface: #ffffff; --ink: #1c2128; --muted: #5b6470; --grid: #e3e6ea;
  --accent: #0b69b4; --alarm: #b3261e; --true: #1fb567; --predicted: #f07a13; {_LIGHT}
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #14171b; --surface: #1d2126; --ink: #e8eaed; --muted: #a3abb6;
  --grid: #343a42; --accent: #62aef0; --alarm: #ff8a80; {_DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 var(--font); }}
main {{ max-width: 1180px; margin: 0 auto; padding: 28px 20px 60px; }}
h1 {{ font-size: 27px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -.01em; overflow-wrap: anywhere; }}
h2 {{ font-size: 19px; margin: 0 0 4px; letter-spacing: -.005em; }}
h3 {{ font-size: 15px; margin: 22px 0 8px; }}
p {{ margin: 4px 0 12px; max-width: 78ch; }}
.muted, .note, figcaption {{ color: var(--muted); }}
section {{ background: var(--surface); border: 1px solid var(--grid); border-radius: 12px; padding: 22px 24px; margin: 18px 0; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin: 18px 0; }}
.tile {{ background: var(--surface); border: 1px solid var(--grid); border-radius: 12px; padding: 13px 16px; overflow-wrap: anywhere; }}
.tile b {{ display: block; font-size: 25px; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; }}
.tile small {{ font-size: 15px; font-weight: 550; }}
.tile span {{ display: block; font-size: 13px; color: var(--muted); }}
.tile .name {{ color: var(--ink); font-weight: 550; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 470px), 1fr)); gap: 20px 28px; align-items: start;
  margin-top: 14px; }}
figure {{ margin: 0; min-width: 0; }}
figure svg {{ display: block; max-width: 100%; height: auto; }}
figcaption {{ font-size: 13px; margin-top: 6px; max-width: 78ch; }}
.scroll {{ overflow-x: auto; }} .scroll + .scroll, section > figure + figure {{ margin-top: 18px; }}
table {{ border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: 6px 18px 6px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }}
th {{ font-weight: 600; color: var(--muted); font-size: 13px; }}
td.number, th.number {{ text-align: right; white-space: nowrap; }}
tr.best td {{ font-weight: 650; }}
td:first-child, td.short {{ white-space: nowrap; }} td.long {{ min-width: 34ch; }}
.facts td {{ overflow-wrap: anywhere; }}
.facts td:first-child {{ color: var(--muted); white-space: nowrap; overflow-wrap: normal; }}
.dot {{ display: inline-block; width: .72em; height: .72em; border-radius: 50%; margin-right: .55em; }}
.true {{ border: 2px solid var(--true); }} .predicted {{ background: var(--predicted); }}
.faces {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 14px 12px; }}
.faces img {{ width: 100%; height: auto; display: block; border-radius: 8px; background: var(--grid); }}
.faces figcaption {{ line-height: 1.35; overflow-wrap: anywhere; }} .faces figcaption b {{ color: var(--ink); }}
.filter > input {{ position: absolute; opacity: 0; }}
.filter > label {{ display: inline-block; border: 1px solid var(--grid); border-radius: 99px; padding: 3px 12px; margin: 0 6px 8px 0;
  font-size: 13px; cursor: pointer; }}
.filter > input:checked + label {{ background: var(--accent); border-color: var(--accent); color: var(--surface); }}
.filter > input:focus-visible + label {{ outline: 2px solid var(--accent); outline-offset: 2px; }} .filter > .faces {{ margin-top: 8px; }}
.pairs, .couples, .people {{ display: grid; gap: 18px 26px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); }}
.couples {{ grid-template-columns: repeat(auto-fill, minmax(min(100%, 225px), 1fr)); }}
.strip {{ display: grid; grid-template-columns: repeat(var(--columns), 1fr); gap: 4px; }}
.strip img {{ width: 100%; aspect-ratio: 1; object-fit: contain; display: block; border-radius: 6px; background: var(--grid); }}
.strip span {{ aspect-ratio: 1; border: 1px dashed var(--grid); border-radius: 6px; }}
.people .strip :first-child {{ outline: 2px solid var(--accent); outline-offset: -1px; }}
.pairs figcaption, .couples figcaption, .people figcaption {{ line-height: 1.4; overflow-wrap: anywhere; }}
.pairs b, .couples b, .people b {{ color: var(--ink); }}
.wide {{ overflow-x: auto; }} .wide svg {{ max-width: none; }}
.sheet {{ max-width: 100%; height: auto; display: block; border-radius: 8px; }}
details {{ margin-top: 12px; }} summary {{ cursor: pointer; font-weight: 600; }}
pre {{ font: 13px/1.5 var(--mono); background: var(--paper); border-radius: 8px; padding: 14px 16px; overflow-x: auto; margin: 8px 0; }}
ul {{ margin: 6px 0; padding-left: 20px; }}
@media (max-width: 640px) {{ main {{ padding: 18px 12px 40px; }} section {{ padding: 16px; }}
  .facts td:first-child {{ white-space: normal; }}
  .faces {{ grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)); }} }}
@media print {{ body {{ background: white; }} section, .tile {{ break-inside: avoid; }} }}
"""


@dataclass(frozen=True)
class Tile:
    """One headline number: its name, the number with its unit, and a line or two below it. Plain text."""

    name: str
    value: str
    notes: tuple[str, ...] = ()


def escape(text: object) -> str:
    """`text` as it may stand in an element or in a quoted attribute."""
    return html.escape(for_terminal(str(text)), quote=True)


def page(title: str, subtitle: str, body: Iterable[str], *, footer: str) -> str:
    """A whole HTML document. `title`, `subtitle` and `footer` are plain text, `body` is HTML made by the functions below."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # whatever a name from a file should contain: nothing is fetched, nothing runs
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<header><h1>{escape(title)}</h1><p class="muted">{escape(subtitle)}</p></header>\n'
        + "\n".join(part for part in body if part)
        + f'\n<p class="note">{escape(footer)}</p>\n</main>\n</body>\n</html>\n'
    )


def section(title: str, *parts: str, intro: str = "") -> str:
    """A titled box of HTML parts; nothing where every part is empty. `title` and `intro` are plain text."""
    if not any(parts):
        return ""
    opening = f'<p class="muted">{escape(intro)}</p>' if intro else ""
    return (
        f"<section>\n<h2>{escape(title)}</h2>\n{opening}\n" + "\n".join(part for part in parts if part) + "\n</section>"
    )


def tiles(numbers: Iterable[Tile]) -> str:
    """Headline numbers side by side."""
    boxes = [
        f'<div class="tile"><span class="name">{escape(tile.name)}</span><b>{_with_unit(tile.value)}</b>'
        + "".join(f"<span>{escape(line)}</span>" for line in tile.notes)
        + "</div>"
        for tile in numbers
    ]
    return f'<div class="tiles">{"".join(boxes)}</div>' if boxes else ""


def _with_unit(value: str) -> str:
    """A number with its unit, the unit smaller."""
    number, _, unit = value.partition(" ")
    return f"{escape(number)} <small>{escape(unit)}</small>" if unit else escape(number)


def figure(content: str, caption: str = "", *, wide: bool = False) -> str:
    """One picture (HTML or SVG) with a caption of plain text; a `wide` one is scrolled in a narrow window, not shrunk."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    shown = f'<div class="wide">{content}</div>' if wide else content
    return f"<figure>{shown}{below}</figure>"


def plots(*figures: str) -> str:
    """Figures beside each other where the window is wide enough."""
    shown = "".join(item for item in figures if item)
    return f'<div class="plots">{shown}</div>' if shown else ""


def table(
    heading: Sequence[str], rows: Sequence[Sequence[str]], *, best: int | None = None, colours: Sequence[str] = ()
) -> str:
    """A table of plain texts, columns of numbers to the right.

    Args:
        heading: a name for each column.
        rows: as many texts each.
        best: the row to set in bold.
        colours: a CSS colour for each row, shown as a dot before its first cell.
    """
    right = [bool(rows) and all(is_number(row[i]) for row in rows) for i in range(len(heading))]
    kinds = [' class="number"' if at_right else "" for at_right in right]
    head = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, heading, strict=True))
    lines = []
    for i, row in enumerate(rows):
        dot = f'<span class="dot" style="background: {escape(colours[i])}"></span>' if colours else ""
        cells = "".join(
            f"<td{kind or _wrapping(cell)}>{dot if j == 0 else ''}{escape(cell)}</td>"
            for j, (kind, cell) in enumerate(zip(kinds, row, strict=True))
        )
        kind = ' class="best"' if i == best else ""
        lines.append(f"<tr{kind}>{cells}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _wrapping(cell: str) -> str:
    """Short texts stay on one line, long ones get room: a narrow window scrolls a table sooner than it breaks every word."""
    return ' class="short"' if len(cell) <= 26 else ' class="long"' if len(cell) > 48 else ""


def facts_table(facts: Mapping[str, object]) -> str:
    """Nested facts as a table of names and values; nothing where there are none."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in fact_rows(facts))
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>' if rows else ""


def face_card(panel: NDArray[np.uint8], name: str, lines: Sequence[str]) -> str:
    """One face's picture uint8 (H, W, 3) RGB with lines of plain text below it, the first in bold; `name` is for who cannot see it."""
    first, *others = lines
    text = "<br>".join([f"<b>{escape(first)}</b>", *map(escape, others)])
    return f'<figure><img src="{picture(panel)}" alt="{escape(name)}" loading="lazy"><figcaption>{text}</figcaption></figure>'


def faces(shown: Iterable[tuple[NDArray[np.uint8], str, Sequence[str]]]) -> str:
    """Pictures of faces beside each other, each with what it is called and lines of plain text below it, the first of them in bold.

    Args:
        shown: uint8 (H, W, 3) RGB pictures, each with its name for those who cannot see it, and its lines.
    """
    boxes = [face_card(panel, name, lines) for panel, name, lines in shown]
    return f'<div class="faces">{"".join(boxes)}</div>' if boxes else ""


def filtered_cards(cards: Sequence[tuple[str, str]], everything: str = "all") -> str:
    """HTML cards beside each other, each with what it is, and buttons above that show one kind of them alone; no script is needed.

    Args:
        cards: the kind of each, in plain text, and its HTML.
        everything: the button's name that shows all.
    """
    counts = Counter(kind for kind, _ in cards)
    if not counts:
        return ""
    kinds = {kind: f"kind-{i}" for i, kind in enumerate(counts)}
    buttons, rules = [], []
    for kind, name, count in (
        (everything, "kind-all", len(cards)),
        *((kind, kinds[kind], counts[kind]) for kind in kinds),
    ):
        chosen = " checked" if name == "kind-all" else ""
        buttons.append(
            f'<input type="radio" name="kind" id="{name}"{chosen}><label for="{name}">{escape(kind)} {count:,}</label>'
        )
        if name != "kind-all":
            rules.append(f"#{name}:checked ~ .faces > :not(.{name}) {{ display: none; }}")
    shown = "".join(f'<div class="{kinds[kind]}">{card}</div>' for kind, card in cards)
    return (
        f'<style>{" ".join(rules)}</style><div class="filter">{"".join(buttons)}<div class="faces">{shown}</div></div>'
    )


def strip(panels: Sequence[NDArray[np.uint8] | None], name: str, lines: Sequence[str], columns: int) -> str:
    """Pictures close beside each other in rows of `columns`, an empty place for None, and lines of HTML below them.

    Args:
        panels: uint8 (H, W, 3) RGB each.
        name: what they show, in plain text, for those who cannot see them.
        lines, columns: as above.
    """
    cells = [
        "<span></span>" if panel is None else f'<img src="{picture(panel)}" alt="{escape(name)}" loading="lazy">'
        for panel in panels
    ]
    shown = f'<div class="strip" style="--columns: {columns}">{"".join(cells)}</div>' if cells else ""
    return f"<figure>{shown}<figcaption>{'<br>'.join(lines)}</figcaption></figure>"


def details(summary: str, content: str, *, opened: bool = False) -> str:
    """HTML `content` behind a line of plain text that opens it."""
    return (
        f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>{content}</details>"
        if content
        else ""
    )


def preformatted(text: str) -> str:
    """Plain text as it is, in a fixed-width font."""
    return f"<pre>{escape(text)}</pre>" if text.strip() else ""


def bullets(lines: Sequence[str], most: int = 10) -> str:
    """Plain lines as a list, cut after `most` with a line that says how many were left out."""
    rest = [f"... and {len(lines) - most:,} more"] if len(lines) > most else []
    items = "".join(f"<li>{escape(line)}</li>" for line in [*lines[:most], *rest])
    return f"<ul>{items}</ul>" if items else ""


def place_text(source: str, row: int) -> str:
    """Where a face came from: its row, where that is 0 or more, and file; or the file that it is, in its folder."""
    folder, _, name = source.replace("\\", "/").rpartition("/")
    if row >= 0:
        return f"{plain_text(name, 40)}, row {row}"
    return plain_text(f"{folder.rpartition('/')[2]}/{name}".lstrip("/"), 70)


def picture(panel: NDArray[np.uint8]) -> str:
    """A uint8 (H, W, 3) RGB picture as an address for an `img` of a page."""
    return data_uri(encode_image(panel, "jpeg"), "jpeg")
