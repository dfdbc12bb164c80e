"""Reading only the images that a list names."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from facelearn.data.readers.common import Listing, Settings
from facelearn.data.readers.files import read_text
from facelearn.errors import DataError, Problem


def keep_listed(listing: Listing, where: Path, settings: Settings) -> Listing:
    """`listing` with only the images that `settings.list_file` names (one path a line, relative to the data's folder).

    Raises:
        DataError: the list cannot be read or names none of the images.
    """
    list_file = settings.list_file
    if list_file is None:
        return listing
    base = where if where.is_dir() else where.parent
    lines = read_text(list_file).splitlines()
    wanted = {os.path.normpath(base / line.strip()): i for i, line in enumerate(lines, start=1) if line.strip()}
    kept = [record for record in listing.records if os.path.normpath(record.image) in wanted]
    if not kept:
        raise DataError(
            f"{list_file} names none of the {len(listing.records)} images of {where}; its lines are paths relative to "
            f"{base}, as {os.path.relpath(listing.records[0].image, base) if listing.records else 'person/photo.jpg'}"
        )
    found = {os.path.normpath(record.image) for record in kept}
    absent = [
        Problem(str(list_file), row, f"{os.path.relpath(path, base)} is not in {base}")
        for path, row in wanted.items()
        if path not in found
    ]
    return dataclasses.replace(
        listing, records=kept, problems=[*listing.problems, *absent], label_files=[*listing.label_files, list_file]
    )
