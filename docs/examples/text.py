"""Text on the blocks that read faces: as an image of width 1, and as a matrix of word vectors.

    python docs/examples/text.py

A convolution asks only for an axis along which neighbours belong together. Text has one, and two ways to be laid out on it:

- Characters, one-hot: a sentence is (alphabet, T), an image of width 1 whose channels are the letters; the blocks work with
  `dimensions=1` (Zhang et al., "Character-level convolutional networks for text classification", 2015).
- Word vectors: a sentence is a picture (1, words, vector) of one channel. Kernels span the whole vector, so they slide over the words
  only; several heights side by side see phrases of several lengths (Kim, "Convolutional neural networks for sentence classification",
  2014). With Kim's two channels the picture is (2, words, vector): both begin with the same vectors, one keeps them as they are, one
  is trained. Vectors that know something before (Kim's come from a hundred billion words of news) keep it in the first, and words that
  the task sets apart move in the second. Ours are counted here: which words stand next to which.

The corpus is made here: remarks on food and hotels, praise or complaint. "not" turns a remark round when it stands before the
adjective, and means nothing in "why not say it", so that counting words does not do: the order has to be read.
"""

from __future__ import annotations

import itertools
import time

import torch
from torch import Tensor, nn

from facelearn.models.layers.blocks import ConvNorm, Dropout, TwoConvBlock, dense_head

OPENERS = ("", "honestly ", "why not say it ", "this time ", "as we feared not for long ", "once again ")
NOUNS = ("soup", "bread", "room", "view", "waiter", "coffee", "pillow", "breakfast", "music", "garden")
MIDDLES = ("was ", "was not ", "was really ", "was not really ", "seemed ", "seemed not that ")
PRAISE = ("good", "lovely", "fresh", "friendly", "warm", "fine")
BLAME = ("bad", "awful", "stale", "rude", "cold", "poor")
ALPHABET = " abcdefghijklmnopqrstuvwxyz"


def corpus() -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """(sentence, 1 for praise and 0 for complaint), to learn from and to be tested on.

    Every fifth pair of noun and adjective stands in the second list only, so that no remark is known by heart.
    """
    train, valid = [], []
    adjectives = [(word, 1) for word in PRAISE] + [(word, 0) for word in BLAME]
    for (i, noun), (j, (adjective, praise)) in itertools.product(enumerate(NOUNS), enumerate(adjectives)):
        for opener, middle in itertools.product(OPENERS, MIDDLES):
            sentence = f"{opener}the {noun} {middle}{adjective}"
            (valid if (i + j) % 5 == 0 else train).append((sentence, praise ^ ("not" in middle)))
    return train, valid


def characters(sentences: list[str]) -> Tensor:
    """Float (B, 27, T): one-hot letters, the channels of an image of width 1; 0 after the end."""
    length = max(map(len, sentences))
    images = torch.zeros(len(sentences), len(ALPHABET), length)
    for number, sentence in enumerate(sentences):
        images[number, [ALPHABET.index(letter) for letter in sentence], range(len(sentence))] = 1
    return images


def words(sentences: list[str], vocabulary: dict[str, int]) -> Tensor:
    """int64 (B, T): the number of each word, 0 after the end."""
    rows = [torch.tensor([vocabulary[word] for word in sentence.split()]) for sentence in sentences]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


def character_network(maps: int = 24) -> nn.Module:
    """Float (B, 27, T) -> (B, 2): the blocks in one dimension, the strongest answer along the text, one fully connected layer."""
    return nn.Sequential(
        ConvNorm(len(ALPHABET), maps, 5, padding=2, dimensions=1),  # (B, maps, T)
        nn.MaxPool1d(2),  # (B, maps, T/2)
        nn.ReLU(),
        TwoConvBlock(maps, maps, strides=(2, 1), dimensions=1),  # (B, maps, T/4)
        TwoConvBlock(maps, maps, dilation=2, dimensions=1),
        nn.AdaptiveMaxPool1d(1),  # (B, maps, 1)
        dense_head(maps, (), 2, dropout_before=0.2),
    )


def counted_vectors(given: Tensor, vocabulary: int, vector: int = 24) -> Tensor:
    """Float (vocabulary, vector): the words' neighbours in sentences int64 (B, T), weighed by surprise and reduced to `vector` numbers.

    Row 0, what stands behind the end, is 0; the others have a length of 1 in the mean.
    """
    counts = torch.zeros(vocabulary, vocabulary)
    for first, second in ((given[:, :-1], given[:, 1:]), (given[:, 1:], given[:, :-1])):
        counts.index_put_((first.flatten(), second.flatten()), torch.ones(first.numel()), accumulate=True)
    counts[0], counts[:, 0] = 0, 0
    expected = counts.sum(1, keepdim=True) * counts.sum(0) / counts.sum()
    surprise = (counts / expected.clamp(min=1e-9)).clamp(min=1).log()  # positive pointwise mutual information
    left, strengths, _ = torch.linalg.svd(surprise)
    vectors = left[:, :vector] * strengths[:vector].sqrt()
    return vectors / vectors[1:].norm(dim=1).mean()


class WordNetwork(nn.Module):
    """Kernels over 2, 3 and 4 words and the whole of their vectors, side by side: int64 (B, T) -> (B, 2).

    Args:
        vocabulary: numbers of words, 0 among them.
        vector: numbers of a word.
        maps: of each height.
        heights: words that a kernel spans.
        known: float (vocabulary, vector), vectors that are known before: then there are two channels that begin with them, of which the
            first stays.
    """

    def __init__(
        self,
        vocabulary: int,
        vector: int = 24,
        maps: int = 16,
        heights: tuple[int, ...] = (2, 3, 4),
        known: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vocabulary, vector, padding_idx=0)
        self.fixed: nn.Embedding | None = None
        if known is not None:
            self.fixed = nn.Embedding.from_pretrained(known.clone(), freeze=True, padding_idx=0)
            self.vectors = nn.Embedding.from_pretrained(known.clone(), freeze=False, padding_idx=0)
        channels = 1 if known is None else 2
        self.phrases = nn.ModuleList(
            nn.Sequential(ConvNorm(channels, maps, (height, vector), padding=(height - 1, 0)), nn.ReLU())
            for height in heights
        )
        self.head = nn.Sequential(Dropout(0.3), nn.Linear(maps * len(heights), 2))

    def forward(self, numbers: Tensor) -> Tensor:
        """int64 (B, T) -> (B, 2)."""
        channels = [self.vectors(numbers)] if self.fixed is None else [self.fixed(numbers), self.vectors(numbers)]
        picture = torch.stack(channels, 1)  # (B, 1 or 2, T, vector)
        strongest = [phrase(picture).amax((2, 3)) for phrase in self.phrases]  # of (B, maps, T', 1)
        answer: Tensor = self.head(torch.cat(strongest, 1))
        return answer


def fit(model: nn.Module, given: Tensor, wanted: Tensor, epochs: int) -> None:
    """Cross-entropy, Adam, batches of 128."""
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 3e-3)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(given)).split(128):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(given[rows]), wanted[rows]).backward()
            optimiser.step()


@torch.no_grad()
def accuracy(model: nn.Module, given: Tensor, wanted: Tensor) -> float:
    """Share of the sentences that are judged right."""
    return float((model.eval()(given).argmax(1) == wanted).float().mean())


def main(epochs: int = 3, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Train the networks and print (train, valid) accuracy of each; returned by name."""
    torch.manual_seed(seed)
    train, valid = corpus()
    sentences = [[sentence for sentence, _ in part] for part in (train, valid)]
    wanted = [torch.tensor([praise for _, praise in part]) for part in (train, valid)]
    vocabulary = {word: i for i, word in enumerate(sorted(set(" ".join(sentences[0] + sentences[1]).split())), 1)}
    numbers, count = [words(part, vocabulary) for part in sentences], len(vocabulary) + 1
    known = counted_vectors(numbers[0], count)  # of the sentences to learn from alone
    layouts = {
        "characters, 1-D": (character_network(), [characters(part) for part in sentences]),
        "word vectors, 2-D": (WordNetwork(count), numbers),
        "word vectors, one channel fixed and one trained": (WordNetwork(count, known=known), numbers),
    }
    print(f"{len(train):,} sentences to learn from, {len(valid):,} held out, e.g. {sentences[1][7]!r}")
    found = {}
    for name, (model, given) in layouts.items():
        start = time.perf_counter()
        fit(model, given[0], wanted[0], epochs)
        found[name] = (accuracy(model, given[0], wanted[0]), accuracy(model, given[1], wanted[1]))
        seconds = time.perf_counter() - start
        print(f"{name:<47} train {found[name][0]:.1%}  valid {found[name][1]:.1%}  {seconds:.1f} s")
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
