"""The verb `card`: a model file's card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facelearn import bundle as bundles
from facelearn.bundle.document import to_document
from facelearn.bundle.model_card import card as model_card


def card(model: str | Path) -> str:
    """The Markdown model card of a model file: what it is, what it was trained on, how well it does, how to use it.

    Raises:
        BundleError: not a whole model file.
    """
    return model_card(bundles.load(model))


def facts(model: str | Path) -> dict[str, Any]:
    """Everything in a model file's header as JSON values, and its number of parameters.

    Raises:
        BundleError: not a whole model file.
    """
    loaded = bundles.load(model)
    return {**to_document(loaded), "parameters": loaded.parameters}
