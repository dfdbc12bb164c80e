"""A SHA-256 over a whole file, kept inside that file: one changed, missing or added byte is found."""

from __future__ import annotations

import hashlib
import re

from facelearn.errors import BundleError

_MARK = b"facelearn-sha256:"
_BLANK = _MARK + b"0" * 64
_FILLED = re.compile(re.escape(_MARK) + rb"([0-9a-f]{64})")

BLANK_SEAL = _BLANK.decode("ascii")
"""What a file's metadata holds where `seal` writes the digest."""


def seal(content: bytes) -> bytes:
    """`content` with its one `BLANK_SEAL` exchanged for the digest of all its bytes (the blank counted as such); same length.

    Raises:
        BundleError: the text of a seal stands somewhere else in the content too.
    """
    if len(_FILLED.findall(content)) != 1:
        raise BundleError(
            f"the text '{_MARK.decode()}' is kept for the file's own checksum; take it out of the model's facts"
        )
    digest = hashlib.sha256(content).hexdigest().encode("ascii")
    return content.replace(_BLANK, _MARK + digest, 1)


def is_whole(content: bytes) -> bool:
    """True when `content` is, byte for byte, what `seal` returned."""
    found = list(_FILLED.finditer(content))
    if len(found) != 1:
        return False
    start, end = found[0].span()
    digest = hashlib.sha256(content[:start])
    digest.update(_BLANK)
    digest.update(memoryview(content)[end:])
    return digest.hexdigest().encode("ascii") == found[0].group(1)
