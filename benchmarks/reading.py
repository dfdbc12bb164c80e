"""Seconds to read a data set the first time and from the cache, each in a fresh process.

python benchmarks/reading.py ../shared/data/fkd/training.zip
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

CODE = """
import sys, time
import numpy, cv2
from facelearn.data.readers import read
begin = time.perf_counter()
faces = read(sys.argv[1], cache=sys.argv[2])
print(f"{time.perf_counter() - begin:.3f} s, {len(faces)} faces")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        code = CODE.replace("sys.argv[2]", "__import__('pathlib').Path(sys.argv[2])")
        for label in ("first read", "from the cache", "from the cache"):
            done = subprocess.run(
                [sys.executable, "-c", code, str(arguments.data), cache], capture_output=True, text=True, check=True
            )
            print(f"{label:<16}{done.stdout.strip()}")


if __name__ == "__main__":
    main()
