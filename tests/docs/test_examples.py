"""The examples run, and what they claim holds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from facelearn.models.layers.blocks import TwoConvBlock

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def text() -> ModuleType:
    return example("text")


def test_text_reads_unknown_sentences_and_says_so(text: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    found = text.main()
    assert set(found) == {"characters, 1-D", "word vectors, 2-D"}
    assert min(accuracy for pair in found.values() for accuracy in pair) > 0.9
    printed = capsys.readouterr().out
    assert all(f"valid {valid:.1%}" in printed for _, valid in found.values())


def test_texts_corpus_asks_for_the_order_of_words(text: ModuleType) -> None:
    train, valid = text.corpus()
    assert not {sentence for sentence, _ in train} & {sentence for sentence, _ in valid}
    assert all(abs(sum(label for _, label in part) / len(part) - 0.5) < 0.05 for part in (train, valid))
    judged = dict(train + valid)
    assert judged["why not say it the soup was lovely"] == 1 and judged["the soup was not lovely"] == 0
    assert judged["the soup was not stale"] == 1 and judged["why not say it the soup was stale"] == 0


def test_text_is_an_image_of_width_one(text: ModuleType) -> None:
    """The one-dimensional block on (B, C, T) is the two-dimensional one on (B, C, T, 1)."""
    torch.manual_seed(0)
    letters = text.characters(["the soup was good", "bad"])
    assert letters.shape == (2, 27, 17) and letters.sum((1, 2)).tolist() == [17, 3]
    line = TwoConvBlock(27, 4, dimensions=1).eval()
    image = TwoConvBlock(27, 4, kernel=(3, 1)).eval()
    image.load_state_dict(
        {key: value[..., None] if value.ndim == 3 else value for key, value in line.state_dict().items()}
    )
    torch.testing.assert_close(line(letters), image(letters[..., None])[..., 0])


def test_texts_kernels_span_the_whole_of_the_word_vectors(text: ModuleType) -> None:
    model = text.WordNetwork(10, vector=6, maps=2)
    picture = model.vectors(torch.tensor([[1, 2, 3, 0]]))[:, None]
    assert [phrase(picture).shape[2:] for phrase in model.phrases] == [(5, 1), (6, 1), (7, 1)]
