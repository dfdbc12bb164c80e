"""Left and right in the names of keypoints, as people write them: which name mirrors which, and which has lost its partner.

A name is cut into words at `_ - . : /`, spaces, digits and capitals (`LeftEye`, `eyeL`, `l_eye_2`); then a word says a side if it is one of
`_SIDES`, has left or right in it (`lefteye`, `mouthright`), or is l or r glued to a part of the face (`leye`, `browr`). The mirror
image of a name has every side in it exchanged: `LeftEyeRightCorner` mirrors `RightEyeLeftCorner`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

LEFT, RIGHT = "left", "right"

_LEFTS = "left l lt lft lhs links gauche izquierda izquierdo sinistra sinistro esquerda esquerdo"
_RIGHTS = "right r rt rgt rhs rechts droite droit derecha derecho destra destro direita direito"
_SIDES = {**dict.fromkeys(_LEFTS.split(), LEFT), **dict.fromkeys(_RIGHTS.split(), RIGHT)}
_PARTS = {  # of a face, which may have an l or r glued to them
    "eye", "eyes", "eb", "brow", "brows", "eyebrow", "ear", "ears", "mouth", "nose", "nostril", "cheek", "jaw", "pupil", "iris", "temple",
    "corner", "eyelid", "eyelash", "lip", "lips", "tragus",
}  # fmt: skip
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_INSIDE = re.compile(r"(?<!c)left|(?<!b)(?<!f)(?<!up)(?<!out)right")  # not in cleft, bright, upright
_EYE = re.compile(r"^(eye|eyes|pupil|eyecent(er|re)|eyeball|pupilcent(er|re))$")


@dataclass(frozen=True)
class SidedName:
    """A keypoint's name, its sides taken out.

    Attributes:
        words: the name in lower case, word by word, with "left" and "right" where a side stands.
    """

    words: tuple[str, ...]

    @property
    def sided(self) -> bool:
        """Whether the name says a side."""
        return LEFT in self.words or RIGHT in self.words

    @property
    def mirrored(self) -> tuple[str, ...]:
        """The words of the keypoint on the other side."""
        other = {LEFT: RIGHT, RIGHT: LEFT}
        return tuple(other.get(word, word) for word in self.words)

    @property
    def eye(self) -> str | None:
        """The side of the eye whose centre this is, None where the name says something else."""
        sides = [word for word in self.words if word in (LEFT, RIGHT)]
        rest = "".join(word for word in self.words if word not in (LEFT, RIGHT))
        return sides[0] if len(sides) == 1 and _EYE.match(rest) else None


def sided_name(name: str) -> SidedName:
    """The sides in a name. A lone letter is no side: `l` stands beside `m` and `n` more often than beside `r`."""
    if len(name.strip()) == 1:
        return SidedName((name.strip().lower(),))
    words: list[str] = []
    for word in _WORDS.findall(name.replace("左", " left ").replace("右", " right ")):
        words += _split_word(word)
    return SidedName(tuple(words))


def _split_word(word: str) -> list[str]:
    lower = word.lower()
    if lower in _SIDES:
        return [_SIDES[lower]]
    if match := _INSIDE.search(lower):
        before, after = lower[: match.start()], lower[match.end() :]
        return [*(_split_word(before) if before else []), match[0], *(_split_word(after) if after else [])]
    for side, letter in ((LEFT, "l"), (RIGHT, "r")):
        if lower[0] == letter and lower[1:] in _PARTS:
            return [side, lower[1:]]
        if lower[-1] == letter and lower[:-1] in _PARTS:
            return [lower[:-1], side]
    return [lower]


def _with_short_sides(read: Sequence[SidedName]) -> list[SidedName]:
    """Names such as `lm` and `rm`, whose only sign of a side is that the other one is there too."""
    known = {one.words for one in read}
    found = []
    for one in read:
        words = one.words
        for i, word in enumerate(one.words if not one.sided else ()):
            for cut, place in ((word[1:], 0), (word[:-1], -1)):
                if cut and word[place] in "lr" and i < len(words) and words[i] == word:
                    other = {"l": "r", "r": "l"}[word[place]]
                    twin = other + cut if place == 0 else cut + other
                    if (*one.words[:i], twin, *one.words[i + 1 :]) in known:
                        side = LEFT if word[place] == "l" else RIGHT
                        words = (*words[:i], *((side, cut) if place == 0 else (cut, side)), *words[i + 1 :])
        found.append(SidedName(words))
    return found


@dataclass(frozen=True)
class Sides:
    """What names say of left and right.

    Attributes:
        pairs: indices of names that are each other's mirror image, the left one first.
        lone: names that say a side and have no partner.
        series: names that say a side and are numbered along it (`left_eye_0`, `left_eye_1`): which of the other side's numbers mirrors
            which depends on where each count begins, and the names do not say that.
        eyes: indices of the left and of the right eye's centre, empty where the names do not say both.
    """

    pairs: tuple[tuple[int, int], ...]
    lone: tuple[str, ...]
    series: tuple[str, ...]
    eyes: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def mirror(self) -> tuple[tuple[int, int], ...]:
        """The pairs to mirror by: none where any name's partner is not known, because some labels would change sides and others not."""
        return () if self.lone or self.series else self.pairs


def sides_of(names: Sequence[str]) -> Sides:
    """What `names` say of left and right; two names that say the same thing have no partner, because nobody can tell whose it is."""
    read = _with_short_sides([sided_name(name) for name in names])
    at: dict[tuple[str, ...], list[int]] = {}
    for i, one in enumerate(read):
        at.setdefault(one.words, []).append(i)
    stems = Counter(_without_numbers(one) for one in read)
    series = tuple(
        name for name, one in zip(names, read, strict=True) if one.sided and stems[_without_numbers(one)] > 1
    )
    pairs, lone = [], []
    for i, one in enumerate(read):
        if not one.sided:
            continue
        others = at.get(one.mirrored, [])
        if len(others) != 1 or len(at[one.words]) != 1:
            lone.append(names[i])
        elif next(word for word in one.words if word in (LEFT, RIGHT)) == LEFT:
            pairs.append((i, others[0]))
    eyes = [[i for i, one in enumerate(read) if one.eye == side] for side in (LEFT, RIGHT)]
    found = ((eyes[0][0],), (eyes[1][0],)) if [len(side) for side in eyes] == [1, 1] else ((), ())
    return Sides(tuple(pairs), tuple(lone), series, found)


def _without_numbers(name: SidedName) -> tuple[str, ...]:
    return tuple("#" if word.isdecimal() else word for word in name.words)
