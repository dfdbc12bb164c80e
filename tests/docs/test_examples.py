"""The examples run, and what they claim holds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

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


@pytest.mark.slow
def test_text_reads_unknown_sentences_and_says_so(text: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    found = text.main()
    assert set(found) == {
        "characters, 1-D", "word vectors, 2-D", "word vectors, one channel fixed and one trained",
    }  # fmt: skip
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


def test_texts_first_channel_stays_and_the_second_is_trained(text: ModuleType) -> None:
    """Kim's two channels: both begin with the same vectors."""
    torch.manual_seed(0)
    numbers = torch.randint(1, 10, (40, 5))
    known = text.counted_vectors(numbers, 10, 6)
    assert known.shape == (10, 6) and not known[0].any() and known[1:].norm(dim=1).mean() == pytest.approx(1, abs=1e-5)
    model = text.WordNetwork(10, vector=6, maps=2, known=known)
    assert torch.equal(model.fixed.weight, known) and torch.equal(model.vectors.weight, known)
    assert [phrase[0][0].in_channels for phrase in model.phrases] == [2, 2, 2]
    text.fit(model, numbers, torch.randint(0, 2, (40,)), 2)
    assert torch.equal(model.fixed.weight, known) and not torch.equal(model.vectors.weight, known)


def test_texts_counted_vectors_set_words_of_like_neighbours_together(text: ModuleType) -> None:
    # 1 and 2 stand between 5 and 6, 3 and 4 between 7 and 8
    numbers = torch.tensor([[5, one, 6] for one in (1, 2)] * 3 + [[7, one, 8] for one in (3, 4)] * 3)
    known = nn.functional.normalize(text.counted_vectors(numbers, 9, 4), dim=1)
    assert known[1] @ known[2] > 0.99 and known[3] @ known[4] > 0.99 and abs(known[1] @ known[3]) < 0.01
