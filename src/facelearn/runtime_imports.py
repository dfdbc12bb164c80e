"""ONNX Runtime and OpenVINO, imported so that they do not report to their makers, which their packages otherwise do without being asked.

ONNX Runtime's writes an identifier of the machine below `~/.cache` and collects events as soon as it is imported,
unless ORT_DISABLE_TELEMETRY is set at that moment; OpenVINO's sends an event where it finds the package
`openvino_telemetry`, and has a stub for where it does not. Both are set only for the import: the environment and
`sys.modules` are left as they were.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from facelearn.errors import MissingExtraError

_SWITCH = "ORT_DISABLE_TELEMETRY"
_REPORTER = "openvino_telemetry"


def import_onnxruntime() -> Any:
    """The package `onnxruntime`, reporting nothing. One that somebody else has imported is told to stop."""
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "1"
    try:
        import onnxruntime
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def import_openvino() -> Any:
    """The package `openvino`, reporting nothing.

    Raises:
        MissingExtraError: it is not installed.
    """
    hidden = _REPORTER not in sys.modules
    if hidden:
        sys.modules[_REPORTER] = None  # type: ignore[assignment]  # importing it is then an ImportError, on which the stub is used
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", "openvino") from error
    finally:
        if hidden:
            del sys.modules[_REPORTER]
    return openvino
