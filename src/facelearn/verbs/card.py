"""The verb `card`: a model file's card."""

from __future__ import annotations

from pathlib import Path

from facelearn import bundle as bundles
from facelearn.bundle.model_card import card as model_card


def card(model: str | Path) -> str:
    """The Markdown model card of a model file: what it is, what it was trained on, how well it does, how to use it.

    Raises:
        BundleError: not a whole model file.
    """
    return model_card(bundles.load(model))
