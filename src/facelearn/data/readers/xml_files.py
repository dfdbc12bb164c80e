"""The XML of annotation tools, element by element: nothing is fetched, nothing expanded, whatever the parser raises becomes a sentence."""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from facelearn.data.readers.label_files import read_bytes
from facelearn.errors import DataError


class XmlReading:
    """One pass through a file; what is made of its elements is up to `start`, `end` and `text` of a child.

    Attributes:
        path: the file.
        encoding: what the file declares, where its bytes are no UTF-8 and it was read so; else None.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.encoding: str | None = None
        self._declared: str | None = None

    @property
    def line(self) -> int:
        """The line that is being read, from 1."""
        return self._parser.CurrentLineNumber

    def start(self, name: str, facts: dict[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, characters: str) -> None:
        """Text inside an element, perhaps a part of it."""

    def parse(self) -> None:
        """Read the file: as UTF-8 where its bytes are that, whatever its header says, else in the encoding declared.

        Raises:
            DataError: cannot be opened, no well-formed XML, XML with declarations of types or entities, or an encoding that is not known.
        """
        data = read_bytes(self.path)
        try:
            data.decode("utf-8")
            self._parser = expat.ParserCreate("utf-8")
            declared = False
        except UnicodeDecodeError:
            self._parser = expat.ParserCreate()
            declared = True
        self._parser.XmlDeclHandler = self._declare
        self._parser.StartElementHandler = self.start
        self._parser.EndElementHandler = self.end
        self._parser.CharacterDataHandler = self.text
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise DataError(f"{self.path} is no complete XML ({error}); copy it again") from error
        except DataError:
            raise
        except (
            LookupError,
            ValueError,
        ) as error:  # an encoding that Python does not know, or of several bytes a letter
            raise DataError(
                f"{self.path} declares an encoding that cannot be read ({error}); save it as UTF-8"
            ) from error
        self.encoding = self._declared if declared else None

    def _declare(self, version: str, encoding: str | None, standalone: int) -> None:
        self._declared = encoding

    def _refuse(self, *_: object) -> None:
        raise DataError(f"{self.path} declares a document type or entities, which label files do not need; remove them")
