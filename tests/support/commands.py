"""Commands as a person types them."""

from __future__ import annotations

import sys

from facelearn.cli import main


def run_quietly(*arguments: object) -> int:
    """The exit code of `facelearn ARGUMENTS`."""
    saved, sys.argv = sys.argv, ["facelearn", *map(str, arguments)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = saved
    return 0
