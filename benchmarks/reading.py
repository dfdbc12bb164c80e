"""Seconds to read a data set the first time and from the cache, each in a fresh process, and images a second.

python benchmarks/reading.py ../shared/data/fkd/training.zip
python benchmarks/reading.py ../shared/data/pins
python benchmarks/reading.py ../shared/data/ytf --size 96
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CODE = """
import json, sys, time
import numpy, cv2
from facelearn.runs.prepare import read
asked = json.loads(sys.argv[1])
begin = time.perf_counter()
faces = read(asked["data"], size=asked["size"], list_file=asked["list"], cache=asked["cache"])
seconds = time.perf_counter() - begin
height, width, channels = faces.images.shape[1:]
print(f"{seconds:7.3f} s, {len(faces):,} faces of {width} x {height} x {channels}, {len(faces) / seconds:,.0f} a second")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, help="pixels a side, where the photos differ in size")
    parser.add_argument("--list", type=Path, help="text file of the images to read")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{arguments.data}, on {cores} cores")
    with tempfile.TemporaryDirectory() as cache:
        asked = {"data": arguments.data, "size": arguments.size, "list": arguments.list, "cache": cache}
        for label in ("first read", "from the cache", "from the cache"):
            done = subprocess.run(
                [sys.executable, "-c", CODE, json.dumps(asked, default=str)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(done.stderr.strip().rsplit("Error: ", 1)[-1])
            print(f"{label:<16}{done.stdout.rstrip()}")


if __name__ == "__main__":
    main()
