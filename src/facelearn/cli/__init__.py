"""The command line: it parses, calls one public function a verb, and prints. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys

import typer

from facelearn.cli import explaining as _explaining  # noqa: F401 - registers its commands
from facelearn.cli import studying as _studying  # noqa: F401 - registers its command
from facelearn.cli import training as _training  # noqa: F401 - registers its commands
from facelearn.cli import tuning as _tuning  # noqa: F401 - registers its commands
from facelearn.cli import using as _using  # noqa: F401 - registers its commands
from facelearn.cli.app import app
from facelearn.errors import FacelearnError, MissingExtraError

__all__ = ["app", "main"]

TRAIN_PACKAGES = (
    "torch", "lightning_fabric", "sklearn", "skimage", "matplotlib", "tomli_w", "onnx", "onnxscript",
    "networkx", "optuna", "captum",
)  # fmt: skip


def main() -> None:
    """Entry point of the `facelearn` command."""
    try:
        app(standalone_mode=True)
    except FacelearnError as error:
        typer.echo(f"facelearn: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in TRAIN_PACKAGES:
            raise
        typer.echo(f"facelearn: {MissingExtraError(package, 'train')}", err=True)
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that may not be written
        typer.echo(f"facelearn: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("facelearn: stopped", err=True)
        sys.exit(1)
