"""The command line, one file a command: it parses, calls one public function, and prints.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 ended by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import sys

from facelearn.cli import (  # noqa: F401 - each registers its command
    adapt_command,
    audit_command,
    bench_command,
    calibrate_command,
    card_command,
    compare_command,
    convert_command,
    embed_command,
    evaluate_command,
    explain_command,
    inspect_command,
    models_command,
    patch_command,
    predict_command,
    pseudo_label_command,
    quickstart_command,
    study_command,
    train_command,
    tune_command,
    verify_eval_command,
)  # fmt: skip
from facelearn.cli.app import app
from facelearn.cli.printing import complain
from facelearn.errors import FacelearnError, MissingExtraError, command_line

__all__ = ["app", "main"]

TRAIN_PACKAGES = (
    "torch", "lightning_fabric", "sklearn", "skimage", "matplotlib", "tomli_w", "onnx", "onnxscript",
    "networkx", "optuna", "captum", "pytorch_metric_learning",
)  # fmt: skip


def main() -> None:
    """Entry point of the `facelearn` command."""
    with command_line():
        try:
            app(standalone_mode=True)
        except FacelearnError as error:
            complain(f"facelearn: {error}")
            sys.exit(1)
        except ModuleNotFoundError as error:
            package = (error.name or "").split(".")[0]
            if package not in TRAIN_PACKAGES:
                raise
            complain(f"facelearn: {MissingExtraError(package, 'train')}")
            sys.exit(1)
        except OSError as error:  # a full disk, a folder that may not be written
            complain(f"facelearn: {error.filename or 'a file'}: {error.strerror or error}")
            sys.exit(1)
