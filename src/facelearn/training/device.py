"""What makes training fast on the machine at hand, decided in one place: allocator, threads, precision, memory format."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
import time
from dataclasses import dataclass
from typing import Any, Literal

import torch

from facelearn.cores import free_threads, processor_name, usable_cores, usable_threads
from facelearn.errors import RecipeError

# glibc's mallopt parameters (malloc.h). ML-ResNet in fp32 on a 2-core EPYC: 179 images/s with them, 93 without
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_TOP_PAD_BYTES = 256 * 2**20
_PROBED_SIDE, _CLEARLY = 768, 0.9
_SLOW_BFLOAT16 = (
    "bf16 was asked for, which this processor has no instructions for (AVX512-BF16 or AMX) and works out at a fifteenth of the speed: "
    "trained in float32 (precision = bf16-forced insists)"
)


@dataclass(frozen=True)
class DeviceSettings:
    """Where and how a run computes.

    Attributes:
        accelerator: "cpu" or "cuda".
        devices: number of processes, one device each.
        precision: Lightning Fabric's name: "32-true" or "bf16-mixed".
        memory_format: channels_last, which both oneDNN and cuDNN convolve fastest.
        threads: processor threads of this process.
        note: what was asked for and is not done, and why; empty where there is nothing to say.
        adapts: nobody asked for this number of threads, so that it may change while other processes take the cores.
        most_threads: up to which it may; 0: no more than there are.
    """

    accelerator: Literal["cpu", "cuda"]
    devices: int
    precision: Literal["32-true", "bf16-mixed"]
    memory_format: torch.memory_format
    threads: int
    note: str = ""
    adapts: bool = False
    most_threads: int = 0

    @property
    def device(self) -> torch.device:
        """The device of this process when there is only one."""
        return torch.device(self.accelerator)


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory instead of handing each big tensor back to the system; True where that was possible.

    A training step frees and takes the same hundreds of megabytes again; without this the system zeroes those pages each
    time. Acts on the whole process, so training calls it, importing does not. Call it before the first big tensor.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL("libc.so.6", use_errno=True)
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, _TOP_PAD_BYTES))
    return all(libc.mallopt(parameter, value) == 1 for parameter, value in settings)


def fast_bfloat16(accelerator: str) -> bool:
    """Whether the processor multiplies bfloat16 natively (AMX or AVX512-BF16; NVIDIA from Ampere on)."""
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


@functools.cache
def bfloat16_pays() -> bool:
    """Whether this processor multiplies matrices in bfloat16 faster than in float32: four products of each, a few milliseconds each.

    Its instructions alone do not say so: with AVX512-BF16 an EPYC multiplies twice as fast in bfloat16, a Xeon half as fast.
    """
    seconds = {}
    for precision in (torch.float32, torch.bfloat16):
        matrix = torch.ones(_PROBED_SIDE, _PROBED_SIDE, dtype=precision)
        took = []
        for _ in range(4):  # the first makes kernels; others may be at work during any of them
            began = time.perf_counter()
            matrix @ matrix
            took.append(time.perf_counter() - began)
        seconds[precision] = min(took)
    return seconds[torch.bfloat16] < _CLEARLY * seconds[torch.float32]


def choose_device(
    device: str = "auto",
    *,
    devices: int = 1,
    precision: Literal["auto", "32", "bf16", "bf16-forced"] = "auto",
    threads: int | None = None,
) -> DeviceSettings:
    """The settings for a run, without changing anything yet (`apply` does).

    bfloat16 is used where the device multiplies it natively: elsewhere it is many times slower than float32 (8 images/s instead of 121 on
    two AVX2 cores), and only "bf16-forced" uses it. "auto" uses it on a processor only where it is faster there (`bfloat16_pays`).

    A processor's threads are as many as there are cores that nobody else wants at this moment, where nobody asks for a number.

    Raises:
        RecipeError: a device name that is not auto, cpu or cuda, or CUDA asked for where there is none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise RecipeError(f"received device '{device}'; accepted are auto, cpu and cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("device 'cuda' was asked for, but this torch finds no CUDA device; use --device cpu or auto")
    accelerator: Literal["cpu", "cuda"] = (
        "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
    )
    native = precision != "32" and fast_bfloat16(accelerator)
    bfloat16 = precision == "bf16-forced" or (
        native and (precision == "bf16" or accelerator == "cuda" or bfloat16_pays())
    )
    notes = [_SLOW_BFLOAT16] if precision == "bf16" and not bfloat16 else []
    if threads is not None and threads > usable_cores():
        notes.append(
            f"{threads} threads were asked for, and this process may use {usable_cores()} cores: more only wait"
        )
    adapts = threads is None and devices == 1 and accelerator == "cpu"
    free = free_threads() if adapts else max(1, usable_threads() // devices)
    return DeviceSettings(
        accelerator=accelerator,
        devices=devices,
        precision="bf16-mixed" if bfloat16 else "32-true",
        memory_format=torch.channels_last,
        threads=min(threads, usable_cores()) if threads else free,
        note="; ".join(notes),
        adapts=adapts,
        most_threads=usable_threads() if adapts else 0,
    )


def apply(settings: DeviceSettings) -> None:
    """Set this process up for training: allocator, threads, and repeatable convolution algorithms on CUDA."""
    keep_freed_memory()
    torch.set_num_threads(settings.threads)
    if settings.accelerator == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = True


def describe_machine(settings: DeviceSettings | None = None) -> dict[str, Any]:
    """Facts that a measured number needs beside it: processor, cores, memory format, precision, versions."""
    facts: dict[str, Any] = {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "amx": bool(torch.cpu._is_amx_tile_supported()),
        "avx512_bf16": bool(torch.cpu._is_avx512_bf16_supported()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if settings is not None:
        facts |= {
            "device": settings.accelerator,
            "devices": settings.devices,
            "precision": settings.precision,
            "threads": settings.threads,
        }
        if settings.accelerator == "cuda":
            facts["accelerator"] = torch.cuda.get_device_name()
    return facts
