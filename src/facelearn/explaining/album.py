"""Pictures on their way into a folder and a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facelearn.bundle.file import write_bytes
from facelearn.explaining.page import Shown
from facelearn.report.style import png, svg

if TYPE_CHECKING:
    from facelearn.report.style import Figure


@dataclass
class Album:
    """The pictures so far, written into the folder as PNG files and kept for the page.

    Attributes:
        folder: where the files go.
        pictures: for the page, in order.
        files: paths of the files.
        notes: sentences for the top of the page.
    """

    folder: Path
    pictures: list[Shown] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, section: str, figure: Figure, file: str, caption: str) -> None:
        """Write `figure` as `file`, and put it into the page's section."""
        self.files.append(str(write_bytes(self.folder / file, png(figure))))
        self.pictures.append(Shown(section, svg(figure, caption), caption))
