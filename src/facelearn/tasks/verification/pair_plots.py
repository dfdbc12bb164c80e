"""Pictures of how well distances part pairs of one person from pairs of different people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facelearn.metrics.pair_facts import ENOUGH
from facelearn.report.headline import numbers_of, table_of, tables_of, whole
from facelearn.report.shown_numbers import number_text, to_number
from facelearn.report.style import (
    ALARM,
    GRID,
    MUTED,
    SURFACE,
    house_style,
    log_ticks,
    new_figure,
    note,
    plain_text,
    run_colour,
    run_marker,
)

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

_SIZE = (5.6, 3.7)
_SAME, _DIFFERENT = run_colour(0), run_colour(1)
_DET_TICKS = (1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.4)
_DET_HIGHEST = 0.5


def roc_figure(names: Sequence[str], metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Share of the pairs of one person that are accepted against that of different people, the latter on a logarithmic axis.

    Marks with lines are the rates of `tar` with their intervals. Left of the dotted line the rule of 30 asks for more pairs.

    Args:
        names: of the runs.
        metrics: of each, as `metrics.pairs.pair_metrics` returns them; one without a curve is left out.
    """
    with house_style():
        figure = new_figure(*_SIZE)
        axes = figure.add_subplot()
        curves = _curves(names, metrics)
        if not curves:
            note(axes, "no pairs were measured")
            return figure
        axes.set_title("Pairs of one person accepted")
        left = min(1e-3, min(1 / _pairs(facts, "different") for _, _, facts, _ in curves))
        _enough(axes, curves, upright=True)
        for i, name, facts, (accepted, found) in curves:
            label = _label(name, facts, "auc_score", "area", len(curves))
            axes.plot(np.maximum(accepted, left), found * 100, color=run_colour(i), label=label, drawstyle="steps-post")
            _rates(axes, i, facts)
        axes.set_xscale("log")
        axes.set_xlim(left, 1)
        log_ticks(axes.xaxis, lambda value: f"{value * 100:.3g}%", (1.0,) if left < 2e-3 else (1.0, 3.0))
        axes.set_xlabel("pairs of different people accepted")
        axes.set_ylim(-2, 104)
        axes.yaxis.set_major_formatter("{x:g}%")
        axes.legend(loc="best")
    return figure


def det_figure(names: Sequence[str], metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Detection error tradeoff (Martin et al. 1997): both kinds of errors, on axes where normal distances give a straight line.

    The marks are the equal error rates. Args as `roc_figure`.
    """
    with house_style():
        figure = new_figure(*_SIZE)
        axes = figure.add_subplot()
        curves = _curves(names, metrics)
        if not curves:
            note(axes, "no pairs were measured")
            return figure
        axes.set_title("Both errors")
        lowest = [min(1e-2, min(1 / _pairs(facts, kind) for *_, facts, _ in curves)) for kind in ("different", "same")]
        low, high = _deviates(lowest).tolist(), float(_deviates([_DET_HIGHEST])[0])
        axes.plot([max(low), high], [max(low), high], color=MUTED, linewidth=1.0, linestyle="--", zorder=1)
        _enough(axes, curves, upright=False)
        for i, name, facts, (accepted, found) in curves:
            shown = (accepted >= lowest[0]) & (1 - found >= lowest[1] / 2)
            x, y = _deviates(accepted[shown]), _deviates(np.maximum(1 - found[shown], lowest[1]))
            axes.plot(x, y, color=run_colour(i), label=_label(name, facts, "equal_error", "equal", len(curves)))
            equal = to_number(table_of(facts, "equal_error").get("value"))
            if 0 < equal < _DET_HIGHEST:
                at = float(_deviates([equal])[0])
                axes.plot(at, at, run_marker(i), color=run_colour(i), markersize=8, markeredgecolor=SURFACE, zorder=4)
        for axis, start in ((axes.xaxis, low[0]), (axes.yaxis, low[1])):
            ticks = [one for one in _DET_TICKS if float(_deviates([one])[0]) >= start - 1e-9]
            axis.set_ticks(_deviates(ticks), [f"{one * 100:g}%" for one in ticks])
        axes.set_xlim(low[0], high)
        axes.set_ylim(low[1], high)
        axes.set_xlabel("different people accepted")
        axes.set_ylabel("one person refused")
        axes.legend(loc="best")
    return figure


def _curves(
    names: Sequence[str], metrics: Sequence[Mapping[str, Any]]
) -> list[tuple[int, str, Mapping[str, Any], Curve]]:
    """(place, name, metrics, (false, true acceptance)) of every run with a curve."""
    found = []
    for i, (name, facts) in enumerate(zip(names, metrics, strict=True)):
        curve = table_of(facts, "curve")
        accepted, true = (numbers_of(curve, key) for key in ("false_accept", "true_accept"))
        if len(accepted) and accepted.shape == true.shape and np.isfinite([accepted, true]).all():
            found.append((i, name, facts, (accepted, true)))
    return found


def _pairs(facts: Mapping[str, Any], kind: str) -> int:
    return max(1, whole(table_of(facts, "pairs").get(kind)))


def _label(name: str, facts: Mapping[str, Any], key: str, word: str, runs: int) -> str:
    """The run's name and a number, or with one run the number alone."""
    value = to_number(table_of(facts, key).get("value"))
    said = f"{word} {value:.3f}" if key == "auc_score" else f"{word} error {number_text(value * 100)}%"
    return f"{plain_text(name, 24)}, {said}" if runs > 1 else said


def _rates(axes: Axes, place: int, facts: Mapping[str, Any]) -> None:
    """The rates of `tar` that have a figure, with their intervals."""
    for one in tables_of(facts, "tar"):
        at, value, low, high = (to_number(one.get(key)) for key in ("far", "tar", "low", "high"))
        if not np.isfinite(value):
            continue
        if np.isfinite([low, high]).all():
            axes.plot([at, at], [low * 100, high * 100], color=run_colour(place), linewidth=1.4, zorder=3)
        axes.plot(
            at, value * 100, run_marker(place), color=run_colour(place), markersize=6, markeredgecolor=SURFACE, zorder=4
        )


def _enough(axes: Axes, curves: Sequence[tuple[int, str, Mapping[str, Any], Curve]], *, upright: bool) -> None:
    """A dotted line at the lowest rate that the fewest pairs of a run can show by the rule of 30."""
    rate = ENOUGH / min(_pairs(facts, "different") for *_, facts, _ in curves)
    if rate < (1 if upright else _DET_HIGHEST):
        at = rate if upright else float(_deviates([rate])[0])
        axes.axvline(at, color=MUTED, linewidth=1.1, linestyle=":", zorder=1)


def _deviates(shares: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The normal deviates of shares, which are kept apart from 0 and 1."""
    normal = NormalDist()
    return np.asarray([normal.inv_cdf(min(max(float(one), 1e-9), 1 - 1e-9)) for one in shares], np.float64)


def distance_figure(metrics: Mapping[str, Any]) -> Figure:
    """The distances of pairs of one person and of pairs of different people, as shares of each, and the threshold.

    Args:
        metrics: as `metrics.pairs.pair_metrics` returns them.
    """
    histogram = table_of(metrics, "histogram")
    edges = numbers_of(histogram, "edges")
    counts = [numbers_of(histogram, kind) for kind in ("same", "different")]
    with house_style():
        figure = new_figure(*_SIZE)
        axes = figure.add_subplot()
        if len(edges) < 2 or not all(len(one) == len(edges) - 1 and one.sum() > 0 for one in counts):
            note(axes, "no pairs were measured")
            return figure
        axes.set_title("Distances of pairs")
        for who, count, colour in zip(("one person", "different people"), counts, (_SAME, _DIFFERENT), strict=True):
            share = count / count.sum() * 100
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.35)
            axes.stairs(share, edges, color=colour, linewidth=1.6, label=f"{count.sum():,.0f} pairs of {who}")
        threshold = to_number(metrics.get("threshold"))
        if np.isfinite(threshold):
            axes.axvline(threshold, color=ALARM, linewidth=1.6, label=f"one person up to {threshold:.3g}")
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("distance")
        axes.set_ylabel("share of the pairs")
        axes.yaxis.set_major_formatter("{x:g}%")
        axes.legend(loc="best")
    return figure


def group_figure(metrics: Mapping[str, Any]) -> Figure:
    """The share of wrong decisions in each group of pairs, with its interval, the worst group first.

    Args:
        metrics: with `groups`, as `metrics.pairs.pair_metrics` returns them.
    """
    groups = sorted(tables_of(metrics, "groups"), key=lambda one: -to_number(one.get("error")))
    with house_style():
        figure = new_figure(_SIZE[0], 1.2 + 0.34 * max(1, len(groups)))
        axes = figure.add_subplot()
        if not groups:
            note(axes, "pairs have no groups")
            return figure
        axes.set_title("Wrong decisions by group")
        axes.grid(visible=False, axis="y")
        for i, one in enumerate(groups):
            value, low, high = (to_number(one.get(key)) * 100 for key in ("error", "low", "high"))
            axes.plot([0, value], [i, i], color=GRID, linewidth=6, solid_capstyle="butt", zorder=1)
            if np.isfinite([low, high]).all():
                axes.plot([low, high], [i, i], color=_SAME, linewidth=2.4)
            axes.plot(value, i, "o", color=_SAME, markersize=7, markeredgecolor=SURFACE)
        axes.set_yticks(range(len(groups)), [plain_text(one.get("name"), 28) for one in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:g}%")
    return figure
