"""What part of the machine's arithmetic a training step of a network reaches, so that one knows what a faster loop could gain at most.

    python benchmarks/arithmetic.py [--networks facelearn_keypoints:96 facelearn_identity:80 facelearn_embedding:64] [--threads 2]

The peak is that of a product of two matrices of 2048x2048. A step is forward and backward of a batch of 64, channels last, without data,
loss and optimiser; its operations are counted by `torch.utils.flop_counter`. Medians of nine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from facelearn.cores import usable_threads
from facelearn.models import zoo
from facelearn.training.device import choose_device, describe_machine, keep_freed_memory

BATCH, SIDE, RUNS = 64, 3072, 9
PRECISIONS = (torch.float32, torch.bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--networks", nargs="+", default=["facelearn_keypoints:96", "facelearn_identity:80", "facelearn_embedding:64"]
    )
    parser.add_argument("--threads", type=int, default=usable_threads())
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    print(json.dumps(describe_machine(choose_device("cpu", threads=arguments.threads))))
    peak = {precision: 2 * SIDE**3 / seconds_of(product(precision)) for precision in PRECISIONS}
    for precision, most in peak.items():
        print(f"matrix product, {precision}: {most / 1e9:.0f} billion operations a second")
    for one in arguments.networks:
        name, side = one.split(":")
        network = zoo.build(name, in_channels=3, image_size=(int(side), int(side))).to(
            memory_format=torch.channels_last
        )
        images = torch.randn(BATCH, 3, int(side), int(side)).to(memory_format=torch.channels_last)
        with FlopCounterMode(display=False) as counter:
            step(network, images, torch.float32)()
        for precision in PRECISIONS:
            seconds = seconds_of(step(network, images, precision))
            reached = counter.get_total_flops() / seconds
            print(
                f"{name}, {side} px, {precision}: {seconds * 1e3:.0f} ms, {BATCH / seconds:.0f} images/s, {reached / 1e9:.0f} billion "
                f"operations a second, {reached / max(peak.values()):.0%} of the faster peak"
            )


def product(precision: torch.dtype) -> Callable[[], object]:
    """One product of two square matrices."""
    first, second = (torch.randn(SIDE, SIDE).to(precision) for _ in range(2))
    return lambda: first @ second


def step(network: torch.nn.Module, images: torch.Tensor, precision: torch.dtype) -> Callable[[], object]:
    """Forward and backward of one batch."""

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            outputs = network(images)
        outputs.float().square().mean().backward()

    return run


def seconds_of(run: Callable[[], object]) -> float:
    """The median of several runs, after two that are not counted."""
    took = []
    for number in range(RUNS + 2):
        began = time.perf_counter()
        run()
        if number >= 2:
            took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
