"""Which precision, memory format and number of threads are fastest here for this network: measured before a run that is long enough.

One setting after the other is changed, and both are timed in turns over a few steps on random images; the shortest step counts, which other
processes disturb least. A change is taken only where it is clearly faster, so that the same machine decides alike each time. What was
decided is part of the run's state: a resumed run computes as it did, or says what changes.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from facelearn.recipe.recipe import Recipe
from facelearn.training.device import DeviceSettings, fast_bfloat16

PAYS_SECONDS = 60.0
"""Runs that would take less are not measured."""
SHARE = 0.02
"""Of the run's time that measuring may take."""
FASTER = 0.9
"""A step must take less than this share of the other's to be preferred."""
MOST_ROUNDS = 5
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}

TimeStep = Callable[[DeviceSettings], float]
"""Seconds of one training step with these settings."""


@dataclass(frozen=True)
class MeasuredSettings:
    """What was measured before a run.

    Attributes:
        settings: the fastest.
        milliseconds: of a step, by what it was computed with; empty where nothing was measured.
    """

    settings: DeviceSettings
    milliseconds: Mapping[str, float] = field(default_factory=dict)


def fastest_settings(default: DeviceSettings, recipe: Recipe, steps: int, time_step: TimeStep) -> MeasuredSettings:
    """The fastest settings for a run; the default ones where it is short, on a GPU, or on several devices.

    Args:
        default: what `choose_device` says.
        recipe: what it fixes (precision, threads) stays.
        steps: of the run; with a time budget that counts instead.
        time_step: measures one step.
    """
    if default.accelerator != "cpu" or default.devices > 1:
        return MeasuredSettings(default)
    time_step(default)  # warms up: memory is taken, kernels are made
    first = time_step(default)
    length = recipe.budget_seconds or steps * first
    if length < PAYS_SECONDS:
        return MeasuredSettings(default)
    best, found = default, {settings_text(default): first}
    for change in _changes(default, recipe):
        other = dataclasses.replace(best, **change)
        rounds = min(MOST_ROUNDS, int(SHARE * length / (6 * first)))  # two contenders, three changes
        if rounds < 1:
            break
        time_step(other)
        shortest = dict.fromkeys((best, other), math.inf)
        for _ in range(rounds):
            shortest = {one: min(seconds, time_step(one)) for one, seconds in shortest.items()}
        found |= {settings_text(one): seconds for one, seconds in shortest.items()}
        best = other if shortest[other] < FASTER * shortest[best] else best
    return MeasuredSettings(best, {text: round(1000 * seconds, 3) for text, seconds in found.items()})


def _changes(default: DeviceSettings, recipe: Recipe) -> Iterator[Mapping[str, Any]]:
    """What is tried: bfloat16 never where the processor lacks it, which takes fifteen times as long."""
    if recipe.precision == "auto" and default.precision == "bf16-mixed":
        yield {"precision": "32-true"}
    yield {"memory_format": torch.contiguous_format}
    if default.adapts and default.threads == default.most_threads > 1:  # where others are at work, they decide
        yield {"threads": default.threads // 2, "most_threads": default.threads // 2}


def settings_text(settings: DeviceSettings) -> str:
    """Settings in words: "bf16-mixed, channels_last, 2 threads"."""
    threads = f"{settings.threads} thread{'s' if settings.threads > 1 else ''}"
    return f"{settings.precision}, {_format_name(settings)}, {threads}"


def step_timer(network: nn.Module, images: tuple[int, int, int, int]) -> TimeStep:
    """Times forward and backward of `network` on random images (B, C, H, W); draws no random numbers that training would miss.

    The network's weights stay; it may be left in another memory format, and torch with another number of threads.
    """
    pixels = torch.rand(images, generator=torch.Generator().manual_seed(0))

    def time_step(settings: DeviceSettings) -> float:
        torch.set_num_threads(settings.threads)
        network.train().to(memory_format=settings.memory_format)  # type: ignore[call-overload]
        batch = pixels.contiguous(memory_format=settings.memory_format)
        begin = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bf16-mixed"):
                outputs = network(batch)
            outputs.float().square().mean().backward()
        seconds = time.perf_counter() - begin
        network.zero_grad(set_to_none=True)
        return seconds

    return time_step


def to_record(settings: DeviceSettings) -> dict[str, str]:
    """What of the settings a run's state keeps; threads are kept by step (`contention.Threads`)."""
    return {
        "accelerator": settings.accelerator, "precision": settings.precision, "memory_format": _format_name(settings),
        "most_threads": str(settings.most_threads),
    }  # fmt: skip


def from_record(record: Mapping[str, str], here: DeviceSettings) -> DeviceSettings:
    """The settings of a stopped run, as far as they can be had here; `note` says what cannot, and that results differ by it.

    Args:
        record: as `to_record`; empty from a state that has none, which leaves `here` as it is.
        here: what `choose_device` says.
    """
    precision: Literal["32-true", "bf16-mixed"]
    precision = "bf16-mixed" if record.get("precision", here.precision) == "bf16-mixed" else "32-true"
    changed = []
    if record.get("accelerator", here.accelerator) != here.accelerator:
        changed.append(f"on {record['accelerator']} so far, on {here.accelerator} from now on")
        precision = here.precision
    elif precision == "bf16-mixed" != here.precision and not fast_bfloat16(here.accelerator):
        changed.append("in bf16 so far, in float32 from now on, because this processor has no instructions for bf16")
        precision = here.precision
    note = f"the run was trained {' and '.join(changed)}: what it learns differs by that" if changed else ""
    return dataclasses.replace(
        here, precision=precision, memory_format=FORMATS.get(record.get("memory_format", ""), here.memory_format),
        most_threads=min(here.most_threads, int(record.get("most_threads") or 0) or here.most_threads),
        note="; ".join(filter(None, [here.note, note])),
    )  # fmt: skip


def _format_name(settings: DeviceSettings) -> str:
    return next(name for name, one in FORMATS.items() if one == settings.memory_format)
