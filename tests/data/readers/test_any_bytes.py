"""Whatever bytes stand in a file: it is read, or one sentence says why not; no foreign error, no hang, no memory out of proportion."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facelearn.errors import FacelearnError
from facelearn.runs.prepare import read_with_report
from support.label_examples import EXAMPLES, Example
from support.mutations import mutations

FEW, MANY = 200, 3_000
_SECONDS = 20  # of processor time, for what takes milliseconds
_MEMORY = 3 << 29


@contextmanager
def bounded() -> Iterator[None]:
    """A hang becomes an error here, and so does an allocation out of proportion."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"took more than {_SECONDS} s of processor time")

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGVTALRM, stop)
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


@pytest.mark.parametrize("kind", EXAMPLES)
def test_examples_are_read(tmp_path: Path, kind: str) -> None:
    example = EXAMPLES[kind](tmp_path)
    result = read_with_report(example.data, cache=False)
    assert len(result.faces) in (1, 2, 4) and not result.skipped


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_damaged_file_ends_in_a_sentence(tmp_path: Path, kind: str) -> None:
    example = EXAMPLES[kind](tmp_path)
    assert not foreign_errors(example.file.read_bytes(), FEW, read_again(example))


@pytest.mark.slow
@pytest.mark.parametrize("kind", EXAMPLES)
def test_many_damaged_files_end_in_a_sentence(tmp_path: Path, kind: str) -> None:
    example = EXAMPLES[kind](tmp_path)
    assert not foreign_errors(example.file.read_bytes(), MANY, read_again(example))
