"""Pictures of how people that a model does not know are told from those it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.report.headline import estimate, numbers_of, table_of
from facelearn.report.shown_numbers import to_number
from facelearn.report.style import (
    ALARM,
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
from facelearn.tasks.identification.class_text import false_alarm

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure

_SIZE = (5.6, 3.7)
_KNOWN, _STRANGER = run_colour(0), run_colour(1)


def open_set_curves(names: Sequence[str], metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Share of the known people named right against the share of strangers given a name, the latter on a logarithmic axis.

    The mark is what the model's own threshold gives; the upright line is the false alarm rate that was asked for.

    Args:
        names: of the runs.
        metrics: of each, with "open_set" as `metrics.open_set.open_set_metrics` returns it; one without is left out.
    """
    with house_style():
        figure = new_figure(*_SIZE)
        axes = figure.add_subplot()
        shown = [(i, name, table_of(one, "open_set")) for i, (name, one) in enumerate(zip(names, metrics, strict=True))]
        curves = [(i, name, facts, *curve) for i, name, facts in shown if len((curve := _curve(facts))[0])]
        if not curves:
            note(axes, "no strangers were measured")
            return figure
        axes.set_title("Known people named right, by strangers given a name")
        rates = np.concatenate([rate[rate > 0] for *_, rate, _ in curves])
        left = max(1e-5, float(rates.min(initial=0.02)) / 2)  # what lies at 0 is drawn at the left edge
        wanted = false_alarm(metrics[curves[0][0]])
        axes.axvline(max(wanted, left), color=MUTED, linewidth=1.0, linestyle="--", zorder=1)
        for i, name, facts, rate, identification in curves:
            label = plain_text(name, 30) if len(curves) > 1 else "any threshold"
            axes.plot(
                np.maximum(rate, left), identification * 100, color=run_colour(i), label=label, drawstyle="steps-post"
            )
            at = [estimate(facts, key) for key in ("false_alarm_error", "identification_score")]
            if at[0] and at[1]:
                label = f"the model's threshold, {to_number(facts.get('threshold')):.3f}" if len(curves) == 1 else "_"
                axes.plot(max(at[0].value, left), at[1].value * 100, run_marker(i), color=run_colour(i), markersize=8,
                          markeredgecolor=SURFACE, linestyle="none", label=label, zorder=4)  # fmt: skip
        _rate_axis(axes, left)
        axes.set_ylim(-2, 104)
        axes.yaxis.set_major_formatter("{x:g}%")
        axes.legend(loc="best")
    return figure


def _curve(facts: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(false alarm, identification), rising; empty where nothing was measured."""
    curve = table_of(facts, "curve")
    rate, score = (numbers_of(curve, key) for key in ("false_alarm", "identification"))
    if rate.shape != score.shape or not (np.isfinite(rate) & np.isfinite(score)).any():
        return np.empty(0), np.empty(0)
    order = np.lexsort((score, rate))
    return rate[order], score[order]


def _rate_axis(axes: Axes, left: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(left, 1)
    log_ticks(axes.xaxis, lambda value: f"{value * 100:.3g}%", (1.0,) if left < 2e-3 else (1.0, 3.0))
    axes.set_xlabel("strangers given a name")


def probability_histogram(known: ArrayLike, strangers: ArrayLike, *, threshold: float) -> Figure:
    """The largest probability of each image of known people and of strangers, as shares of each, and the threshold.

    Args:
        known: (N,) from 0 to 1.
        strangers: (S,) from 0 to 1.
        threshold: from which on a face is given a name; NaN draws none.
    """
    parts = [(f"{len(values):,} images of {who}", values, colour) for who, values, colour in (
        ("known people", np.asarray(known, np.float64), _KNOWN), ("strangers", np.asarray(strangers, np.float64), _STRANGER),
    ) if len(values)]  # fmt: skip
    with house_style():
        figure = new_figure(*_SIZE)
        axes = figure.add_subplot()
        if not parts:
            note(axes, "no image was measured")
            return figure
        axes.set_title("How sure the model is")
        edges = np.linspace(0, 100, 26)
        for label, values, colour in parts:
            weights = np.full(len(values), 100 / len(values))
            share, _ = np.histogram(np.clip(values, 0, 1) * 100, edges, weights=weights)
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.35)
            axes.stairs(share, edges, color=colour, linewidth=1.6, label=label)
        if np.isfinite(threshold):
            axes.axvline(
                threshold * 100, color=ALARM, linewidth=1.6, label=f"named from {threshold:.3f} on, else unknown"
            )
        axes.set_xlim(0, 100)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("largest probability")
        axes.set_ylabel("share of the images")
        for one in (axes.xaxis, axes.yaxis):
            one.set_major_formatter("{x:g}%")
        axes.legend(loc="best")
    return figure
