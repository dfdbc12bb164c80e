"""How training and prediction do beside other busy processes: images per second of processor time, as ratios to the idle machine's.

    python benchmarks/busy.py [--rounds 3] [--seconds 10] [--competitors 0 1 2 4]

It starts the competitors itself (each an endless loop in a process of its own) and runs, beside them, each way of
waiting in a fresh process: OpenMP's threads spin as they do by default, sleep (OMP_WAIT_POLICY=passive), or there is
only one; "ours" is what `facelearn train` does, which begins as it finds the machine and adapts its threads. All run
for as long as another; a round goes through all numbers of competitors and all ways, and a ratio is the median of the
rounds'. Only an otherwise idle machine gives figures to keep: the load before the first competitor is printed, and so
is the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

WAYS = {
    "spinning": {"GOMP_SPINCOUNT": "300000"},  # libgomp's own default
    "sleeping": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "ours": {},
}
WORK = ("training", "prediction")
SIDE, BATCH = 96, 32


@contextmanager
def competitors(count: int) -> Iterator[None]:
    """So many processes that want a core each, for as long as the block lasts."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


def train(seconds: float, adapts: bool) -> int:
    """Images that `facelearn_keypoints` is trained on in so many seconds."""
    import torch

    from facelearn.models import zoo
    from facelearn.training.contention import Threads
    from facelearn.training.device import apply, choose_device

    settings = choose_device("cpu", threads=None if adapts else torch.get_num_threads())
    apply(settings)
    threads = Threads(settings, lambda text: print(text, file=sys.stderr))
    network = zoo.build("facelearn_keypoints").to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    images = torch.rand(BATCH, 1, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bf16-mixed"):
            loss = network(images).float().square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        done += 1
        threads.heed(done)
    return done * BATCH


def predict(seconds: float) -> int:
    """Images that the network answers in torch in so many seconds."""
    import torch

    from facelearn.models import zoo

    network = zoo.build("facelearn_keypoints").eval().to(memory_format=torch.channels_last)
    images = torch.rand(BATCH, 1, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    done, begin = 0, time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - begin < seconds:
            network(images)
            done += BATCH
    return done


def measure(work: str, way: str, seconds: float) -> dict[str, float]:
    """Images per second, and per second of processor time, of one way in a fresh process."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, __file__, "--one", work, "--way", way, "--seconds", str(seconds)],
        env={**own, **WAYS[way]}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--competitors", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--one", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        from facelearn.cores import wait_politely

        if arguments.way == "ours":
            wait_politely()
        work = (lambda: train(arguments.seconds, arguments.way == "ours")) if arguments.one == "training" else (
            lambda: predict(arguments.seconds)
        )  # fmt: skip
        wall, used = time.perf_counter(), time.process_time()
        images = work()
        wall, used = time.perf_counter() - wall, time.process_time() - used
        print(json.dumps({"per_second": images / wall, "per_cpu_second": images / used}))
        return
    from facelearn.training.device import describe_machine

    print(json.dumps({**describe_machine(), "load": os.getloadavg()[0]}))
    found: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    for _ in range(arguments.rounds):
        for count in arguments.competitors:
            with competitors(count):
                for work in WORK:
                    for way in WAYS:
                        found.setdefault((work, way, count), []).append(measure(work, way, arguments.seconds))
    idle = arguments.competitors[0]
    print(
        f"images per second of processor time, against the same way beside {idle} competitors | images per second, against spinning there"
    )
    for work in WORK:
        print(work, *(f"{count:>14}" for count in arguments.competitors))
        for way in WAYS:
            cells = []
            for count in arguments.competitors:
                rounds = zip(
                    found[work, way, count], found[work, way, idle], found[work, "spinning", idle], strict=True
                )
                ratios = [
                    (a["per_cpu_second"] / b["per_cpu_second"], a["per_second"] / c["per_second"]) for a, b, c in rounds
                ]
                kept, speed = np.median(ratios, 0)
                cells.append(f"{kept:6.2f} | {speed:5.2f}")
            print(f"  {way:<12}", *cells)


if __name__ == "__main__":
    main()
