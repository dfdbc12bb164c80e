"""Whatever bytes stand in a file: it is read, or one sentence says why not; no foreign error, no hang, no memory out of proportion."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from facelearn.data.schema_file import known_schema
from facelearn.data.writers import read_lookup
from facelearn.errors import FacelearnError
from facelearn.recipe.recipe import Recipe
from facelearn.runs.prepare import read_with_report
from facelearn.splits.listed import listed_rows
from facelearn.studies.definition import FOLDER, load_study
from support.label_examples import EXAMPLES, Example, some_faces
from support.mutations import mutations
from support.pictures import gradient, save_picture

FEW, MANY = 200, 3_000
# as others, but for what they are packed in or how they lie
ALIKE = {
    "kaggle gz",
    "kaggle zip",
    "wide semicolons",
    "wide in a folder",
    "coco in a folder",
    "wholebody",
    "coco folders",
}
ALIKE |= {"jpeg", "png", "tiff", "gif", "bmp", "webp", "pnm"}
_SECONDS = 20  # of processor time, for what takes milliseconds
_MEMORY = 3 << 29
_PAGES = Path("/proc/self/statm")


@contextmanager
def bounded() -> Iterator[None]:
    """A hang becomes an error here, and so does an allocation out of proportion."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"took more than {_SECONDS} s of processor time")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGVTALRM, stop)
    if _PAGES.exists():  # not on macOS
        used = int(_PAGES.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def foreign_errors(valid: bytes, count: int, use: Callable[[bytes], object]) -> list[str]:
    """What else than a FacelearnError `use` raises of `count` damaged forms of `valid`."""
    failures = []
    with bounded():
        for what, data in mutations(valid, count):
            signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
            try:
                use(data)
            except FacelearnError as error:
                if not str(error).strip():
                    failures.append(f"{what}: an error without a word")
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                where = error.__traceback__
                while where is not None and where.tb_next is not None:
                    where = where.tb_next
                place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else ""
                failures.append(f"{what}: {type(error).__name__}: {str(error)[:150]} at {place}")
    return failures


def read_again(example: Example) -> Callable[[bytes], object]:
    def use(data: bytes) -> None:
        example.file.write_bytes(data)
        read_with_report(example.data, cache=False, on_error="skip")

    return use


def _listed(folder: Path) -> tuple[bytes, Callable[[Path], object]]:
    for name in ("ann/a", "ann/b", "bob/c"):
        save_picture(folder / f"{name}.png", gradient(8, 8))
    return b"ann/a.png\nbob\\c.png\nann/b.png\n", lambda file: read_with_report(
        folder, cache=False, on_error="skip", list_file=file
    )


def _listed_for_training(folder: Path) -> tuple[bytes, Callable[[Path], object]]:
    faces = some_faces().replace(source=np.asarray(["x/ann/a.png", "x/bob/b.png"]))
    return b"ann/a.png\nbob/b.png\n", lambda file: listed_rows(faces, file)


_SCHEMA = b'name = "x"\nnames = ["a_left", "a_right", "n"]\npairs = [["a_left", "a_right"]]\neyes = ["a_left", "a_right"]\nedges = []\n'
_LOOKUP = b"RowId,ImageId,FeatureName,Location\n1,1,left_eye_x,\n2,1,left_eye_y,\n3,2,nose_x,\n"
OTHERS: dict[str, Callable[[Path], tuple[bytes, Callable[[Path], object]]]] = {
    "recipe": lambda _: (Recipe.for_task("identification").to_toml().encode(), Recipe.from_toml),
    "schema": lambda _: (_SCHEMA, known_schema),
    "study": lambda _: ((FOLDER / "ml_resnet.toml").read_bytes(), load_study),
    "lookup": lambda _: (_LOOKUP, read_lookup),
    "list": _listed,
    "list for training": _listed_for_training,
}
"""What else is read from files: from a folder, a valid file's bytes and what reads such a file."""


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_else_is_read_ends_in_a_sentence_too(tmp_path: Path, kind: str, count: int) -> None:
    valid, read = OTHERS[kind](tmp_path / "data")
    file = tmp_path / "file.toml"
    file.write_bytes(valid)
    read(file)

    def use(data: bytes) -> None:
        file.write_bytes(data)
        read(file)

    assert not foreign_errors(valid, count if kind != "study" else count // 5, use)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_examples_are_read(tmp_path: Path, kind: str) -> None:
    example = EXAMPLES[kind](tmp_path)
    result = read_with_report(example.data, cache=False)
    assert len(result.faces) in (1, 2, 4) and not result.skipped


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of damaged EXIF, which says nothing of the pixels
@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_damaged_file_ends_in_a_sentence(tmp_path: Path, kind: str) -> None:
    example = EXAMPLES[kind](tmp_path)
    assert not foreign_errors(example.file.read_bytes(), FEW // 4 if kind in ALIKE else FEW, read_again(example))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of damaged EXIF, which says nothing of the pixels
@pytest.mark.slow
@pytest.mark.parametrize("kind", EXAMPLES)
def test_many_damaged_files_end_in_a_sentence(tmp_path: Path, kind: str) -> None:
    example = EXAMPLES[kind](tmp_path)
    assert not foreign_errors(example.file.read_bytes(), MANY, read_again(example))
