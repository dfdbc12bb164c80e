"""Which faces a model was trained on, in few bytes, so that measuring on them again can be told from a test.

Of each image 32 bits of a hash of its grey pixels are kept, sorted and in base 64. Of large tables those hashes are kept that lie below a
limit: a fixed share of all images, whichever they are, of which every other table is asked too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.images.decode import to_channels

MOST_KEPT = 20_000


def seen_facts(faces: Faces) -> Mapping[str, object]:
    """What a model file keeps of its training rows: "size" of the images, "share" of the hashes kept, "hashes" (little-endian uint32)."""
    hashes = np.unique(_hashes(faces))
    share = min(1.0, MOST_KEPT / max(len(hashes), 1))
    kept = hashes[hashes < np.uint64(share * 2**32)] if share < 1 else hashes
    text = base64.b64encode(kept.astype("<u4").tobytes()).decode("ascii")
    return {"size": [faces.height, faces.width], "share": share, "hashes": text}


def seen_rows(faces: Faces, facts: object) -> tuple[int, int] | None:
    """How many of how many `faces` were trained on, by `seen_facts`; where those are of a share of the images, counted among that share.

    None where the model file does not say, or keeps images of another size, of which nothing can be told.
    """
    known = _kept(faces, facts)
    if known is None:
        return None
    kept, share = known
    hashes = _hashes(faces)
    asked = hashes[hashes < np.uint64(share * 2**32)] if share < 1 else hashes
    return int(np.isin(asked, kept).sum()), len(asked)


def unseen(faces: Faces, facts: object) -> NDArray[np.bool_] | None:
    """bool (N,): faces that are known not to have been trained on, by `seen_facts`; of large training tables that is a part of them.

    None as `seen_rows`.
    """
    known = _kept(faces, facts)
    if known is None:
        return None
    kept, share = known
    hashes = _hashes(faces)
    return np.asarray((hashes < np.uint64(share * 2**32)) & ~np.isin(hashes, kept))


def _kept(faces: Faces, facts: object) -> tuple[NDArray[np.uint32], float] | None:
    """The hashes that `seen_facts` kept, and which share of all; None where nothing can be told about images of this size."""
    if not isinstance(facts, Mapping) or list(facts.get("size") or ()) != [faces.height, faces.width]:
        return None
    kept = np.frombuffer(base64.b64decode(str(facts.get("hashes") or "")), "<u4")
    return kept, float(facts.get("share") or 1.0)


def _hashes(faces: Faces) -> NDArray[np.uint64]:
    """uint64 (N,) below 2^32. Grey, because photos that are all grey are read as such, and beside coloured ones are not."""
    hashes = (
        int.from_bytes(
            hashlib.blake2b(np.ascontiguousarray(to_channels(image, 1)).data, digest_size=4).digest(), "little"
        )
        for image in faces.images
    )
    return np.fromiter(hashes, np.uint64, len(faces))  # a list of a million numbers would be the peak of a run's memory
