"""Own memory of `facelearn.train` on saved tables of growing size: it follows the batch, not the data.

    python benchmarks/memory.py [--counts 10000 30000 100000]

Each table, memory-mapped, is trained on by a small network for about as many steps, measured and reported, in a process of its own:
training keeps what it frees, and touches more of it the longer it goes on, up to a bound. Printed is the peak of that process's
anonymous memory (what it holds itself; pages of mapped files, which the system may drop at any time, are listed apart), where in
facelearn it was at the time, and the ratio to the smallest table. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CODE = """
import json, sys, threading, time
from pathlib import Path
import facelearn

def memory():
    lines = open("/proc/self/status").read().splitlines()
    return [int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024 for key in ("RssAnon", "RssFile")]

def place(frame):
    while frame is not None:
        if "facelearn" in frame.f_code.co_filename:
            return f"{Path(frame.f_code.co_filename).name}: {frame.f_code.co_name}, line {frame.f_lineno}"
        frame = frame.f_back
    return "?"

def watch():
    main = threading.main_thread().ident
    while not over.is_set():
        own, mapped = memory()
        facts["mapped"] = max(facts["mapped"], mapped)
        if own > facts["own"]:
            facts["own"], facts["where"] = own, place(sys._current_frames().get(main))
        time.sleep(0.002)

facts, over = {"own": 0.0, "mapped": 0.0, "where": ""}, threading.Event()
thread = threading.Thread(target=watch)
changes = {"model": {"name": "mlp"}, "epochs": int(sys.argv[3]), "batch_size": 128, "device": "cpu", "precision": "32", "threads": 1}
faces = facelearn.Faces.load(sys.argv[1])
thread.start()
began = time.perf_counter()
try:
    facelearn.train(faces, sys.argv[2], task="keypoints", changes=changes)
finally:
    over.set()
    thread.join()
facts |= {"seconds": time.perf_counter() - began, "images": faces.images.nbytes / 2**20}
print(json.dumps(facts))
"""


def main() -> None:
    from facelearn.data.synthetic import synthetic_faces

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    arguments = parser.parse_args()
    base = synthetic_faces(2_000, missing="competition")
    smallest = 0.0
    with tempfile.TemporaryDirectory() as name:
        for count in arguments.counts:
            # repeated rows cost as much as different ones; the copies of a face are one group, which spares the search by pixels
            rows = np.arange(count) % len(base)
            folder = base[rows].replace(group=rows).save(Path(name) / "faces")
            done = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    CODE,
                    str(folder),
                    str(Path(name) / f"run{count}"),
                    str(max(arguments.counts) // count),
                ],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            facts = json.loads(done.stdout.splitlines()[-1])
            smallest = smallest or facts["own"]
            print(
                f"{count:>8} faces, images {facts['images']:6.0f} MiB   own memory {facts['own']:6.0f} MiB, "
                f"{facts['own'] / smallest:.2f} of the smallest   mapped pages {facts['mapped']:6.0f} MiB   "
                f"{facts['seconds']:4.0f} s   peak in {facts['where']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
