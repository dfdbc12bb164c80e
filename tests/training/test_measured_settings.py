"""Before a long run, what is clearly faster is taken and recorded; a resumed run computes as it did or says what changes."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import nn

from facelearn.recipe.recipe import Recipe
from facelearn.record.folder import RunFolder
from facelearn.runs.train import train
from facelearn.training import measured_settings, plan
from facelearn.training.device import DeviceSettings
from facelearn.training.measured_settings import fastest_settings, from_record, step_timer, to_record
from facelearn.training.state import recorded_computing
from support.blobs import blob_faces

DEFAULT = DeviceSettings("cpu", 1, "bf16-mixed", torch.channels_last, 2, adapts=True, most_threads=2)
AUTO = Recipe()


class Timer:
    """Steps that take as long as said, by the settings that are not the default's."""

    def __init__(self, **seconds: float) -> None:
        self.seconds, self.asked = seconds, []

    def __call__(self, settings: DeviceSettings) -> float:
        self.asked.append(settings)
        factor = 1.0
        for name, value in (("precision", "32-true"), ("memory_format", torch.contiguous_format), ("threads", 1)):
            if getattr(settings, name) == value != getattr(DEFAULT, name):
                factor *= self.seconds.get(name, 2.0)
        return 0.1 * factor


def test_what_is_clearly_faster_is_taken_one_setting_after_the_other():
    found = fastest_settings(DEFAULT, AUTO, 10_000, Timer(precision=0.5, memory_format=0.95, threads=0.5))
    assert (found.settings.precision, found.settings.threads) == ("32-true", 1)
    assert found.settings.memory_format == torch.channels_last  # a twentieth may be chance
    assert found.milliseconds == {
        "bf16-mixed, channels_last, 2 threads": 100.0, "32-true, channels_last, 2 threads": 50.0,
        "32-true, contiguous, 2 threads": 47.5, "32-true, channels_last, 1 thread": 25.0,
    }  # fmt: skip


def test_what_was_asked_for_and_what_the_processor_lacks_is_not_tried():
    timer = Timer(precision=0.1, threads=0.1)
    asked = dataclasses.replace(DEFAULT, adapts=False)
    assert fastest_settings(asked, AUTO.with_changes(precision="bf16"), 10_000, timer).settings == asked
    assert {(one.precision, one.threads) for one in timer.asked} == {("bf16-mixed", 2)}
    plain = dataclasses.replace(DEFAULT, precision="32-true")  # no instructions for bf16 here
    timer = Timer()
    fastest_settings(plain, AUTO, 10_000, timer)
    assert {one.precision for one in timer.asked} == {"32-true"}


@pytest.mark.parametrize(
    ("settings", "recipe", "steps"),
    [
        (DEFAULT, AUTO, 500),
        (DEFAULT, AUTO.with_changes(budget_seconds=30.0), 10_000),
        (dataclasses.replace(DEFAULT, accelerator="cuda"), AUTO, 10_000),
        (dataclasses.replace(DEFAULT, devices=2), AUTO, 10_000),
    ],
)
def test_short_runs_gpus_and_several_devices_are_left_alone(settings, recipe, steps):
    timer = Timer(precision=0.1, memory_format=0.1, threads=0.1)
    found = fastest_settings(settings, recipe, steps, timer)
    assert found.settings == settings and not found.milliseconds and len(timer.asked) <= 2


def test_measuring_takes_a_small_share_of_the_run():
    timer = Timer()
    fastest_settings(DEFAULT, AUTO, 620, timer)  # 62 seconds
    assert sum(0.1 for _ in timer.asked) < 0.05 * 62


def test_timing_steps_leaves_weights_and_random_numbers_as_they_were(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(72, 2))
    before, state = [one.clone() for one in network.parameters()], torch.get_rng_state()
    timer = step_timer(network, (2, 1, 8, 8))
    for one in (DEFAULT, dataclasses.replace(DEFAULT, precision="32-true", memory_format=torch.contiguous_format)):
        assert timer(one) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) and a.grad is None for a, b in zip(network.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("native", "recorded", "here", "runs", "said"),
    [
        (True, {"precision": "bf16-mixed"}, "bf16-mixed", "bf16-mixed", ""),
        (False, {"precision": "bf16-mixed"}, "32-true", "32-true", "in bf16 so far, in float32 from now on"),
        (True, {"precision": "32-true"}, "bf16-mixed", "32-true", ""),
        (True, {"accelerator": "cuda", "precision": "bf16-mixed"}, "32-true", "32-true", "on cuda so far, on cpu"),
        (True, {}, "bf16-mixed", "bf16-mixed", ""),
    ],
)
def test_a_resumed_run_computes_as_it_did_or_says_what_changes(monkeypatch, native, recorded, here, runs, said):
    monkeypatch.setattr(measured_settings, "fast_bfloat16", lambda accelerator: native)
    found = from_record(recorded, dataclasses.replace(DEFAULT, precision=here))
    assert found.precision == runs and (said in found.note if said else not found.note)


def test_records_read_back():
    contiguous = dataclasses.replace(DEFAULT, memory_format=torch.contiguous_format, precision="32-true")
    assert from_record(to_record(contiguous), DEFAULT) == contiguous
    one = dataclasses.replace(DEFAULT, most_threads=1)
    assert (
        from_record(to_record(one), DEFAULT).most_threads == 1
        and from_record(to_record(DEFAULT), one).most_threads == 1
    )
    for unknown in ({}, {"most_threads": "0"}):
        assert from_record(unknown, DEFAULT).most_threads == 2


def test_a_run_records_what_was_measured_and_goes_on_with_it(tmp_path, monkeypatch):
    def measured(default, recipe, steps, timer):
        chosen = dataclasses.replace(default, memory_format=torch.contiguous_format)
        return measured_settings.MeasuredSettings(chosen, {"some settings": 1.5})

    monkeypatch.setattr(plan, "fastest_settings", measured)
    small = {"model": "mlp", "model__options": {"hidden": 8}, "epochs": 2, "precision": "32", "threads": 1}
    stopped = train(blob_faces(40), tmp_path, stop=lambda: True, **small)
    assert stopped.stopped and recorded_computing(tmp_path)["memory_format"] == "contiguous"
    monkeypatch.setattr(plan, "fastest_settings", lambda *_: pytest.fail("measured again"))
    train(blob_faces(40), tmp_path, resume=True)
    facts = json.loads(RunFolder(tmp_path).metrics.read_text())["environment"]
    assert facts["memory_format"] == "contiguous" and facts["precision"] == "32-true" and facts["threads"] == 1
    (tmp_path / "last.safetensors").write_bytes(b"damaged")
    assert recorded_computing(tmp_path) == {}
