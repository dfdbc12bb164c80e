"""Which precision runs, bf16 only where the processor has it, unless somebody insists; and what is left out where it does not exist."""

import platform
import sys

import pytest
import torch

from facelearn.errors import RecipeError
from facelearn.recipe.recipe import Recipe
from facelearn.training import device
from facelearn.training.device import choose_device


@pytest.mark.parametrize(
    ("asked", "native", "pays", "runs", "said"),
    [
        ("auto", True, True, "bf16-mixed", False),
        ("auto", True, False, "32-true", False),
        ("auto", False, True, "32-true", False),
        ("32", True, True, "32-true", False),
        ("bf16", True, False, "bf16-mixed", False),
        ("bf16", False, True, "32-true", True),
        ("bf16-forced", False, False, "bf16-mixed", False),
        ("bf16-forced", True, True, "bf16-mixed", False),
    ],
)
def test_bf16_runs_where_the_processor_has_it_and_gains_by_it(monkeypatch, asked, native, pays, runs, said):
    monkeypatch.setattr(device, "fast_bfloat16", lambda accelerator: native)
    monkeypatch.setattr(device, "bfloat16_pays", lambda: pays)
    chosen = choose_device("cpu", precision=asked)
    assert chosen.precision == runs and bool(chosen.note) == said
    if said:
        assert "trained in float32 (precision = bf16-forced insists)" in chosen.note
    assert Recipe(precision=asked).precision == asked


@pytest.mark.parametrize(("slower", "pays"), [(torch.float32, True), (torch.bfloat16, False)])
def test_bf16_pays_where_its_products_take_less_time(monkeypatch, slower, pays):
    now = [0.0]
    product = torch.Tensor.__matmul__

    def timed(one, other):
        now[0] += 2.0 if one.dtype == slower else 1.0
        return product(one[:1], other)

    monkeypatch.setattr(torch.Tensor, "__matmul__", timed)
    monkeypatch.setattr(device.time, "perf_counter", lambda: now[0])
    assert device.bfloat16_pays.__wrapped__() == pays


def test_other_precisions_are_refused():
    with pytest.raises(RecipeError, match="bf16-forced"):
        Recipe.from_dict({"precision": "16"})


@pytest.mark.parametrize(("system", "libc"), [("darwin", ""), ("linux", ""), ("linux", "musl")])
def test_the_allocator_is_left_alone_where_it_is_not_glibcs(monkeypatch, system, libc):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(device.ctypes, "CDLL", lambda *words, **more: pytest.fail("asked for glibc"))
    assert not device.keep_freed_memory()


def test_a_machine_is_described_without_linuxs_files(monkeypatch):
    monkeypatch.setattr("builtins.open", lambda *words, **more: (_ for _ in ()).throw(FileNotFoundError()))
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert device.describe_machine()["processor"] == "arm"
