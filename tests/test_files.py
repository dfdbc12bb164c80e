"""Files are written whole or not at all, with the rights that a new file has here; where that cannot be, one sentence says what to do."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import facelearn
from facelearn import files
from facelearn.errors import FacelearnError, WriteError, command_line, spelled
from facelearn.files import allocate, in_bytes, whole_file, writing

# Each of the ways in which a library of ours says that it cannot write, under a limit of 200,000 bytes a file.
WRITING = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from PIL import Image
import facelearn
from facelearn import bundle
from facelearn.data.arrays import array_on_disk
from facelearn.files import whole_file, write_text
from facelearn.report.finished_run import write_arrays
from facelearn.training.state import Progress, save_state
out = Path(sys.argv[1])
noise = np.random.default_rng(0).integers(0, 256, (600, 600), dtype=np.uint8)
network = torch.nn.Linear(1000, 300)
faces = facelearn.synthetic_faces(60)
def picture():
    with whole_file(out / "picture.png") as scratch:
        Image.fromarray(noise).save(scratch, format="PNG")
def numpy():
    with whole_file(out / "numbers.npy") as scratch, scratch.open("wb") as file:
        noise.tofile(file)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
for write in (
    lambda: save_state(out, Progress(1), {"model": network}, torch.optim.SGD(network.parameters(), lr=1.0), {}),
    lambda: faces.save(out / "faces"), lambda: array_on_disk(out / "mapped.npy", (300, 1000)), picture, numpy,
    lambda: write_text(out / "text.txt", "x" * 300_000), lambda: write_arrays(out / "arrays.npz", noise=noise),
):
    try:
        write()
        print("written")
    except facelearn.FacelearnError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
def test_what_libraries_say_of_a_write_becomes_one_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITING, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    names = ("last.safetensors", "faces", "mapped.npy", "picture.png", "numbers.npy", "text.txt", "arrays.npz")
    for line, name in zip(done.stdout.splitlines(), names, strict=True):
        assert line.startswith(f"{tmp_path / name} cannot be written: it is larger than a file may be there"), line
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 10 MB, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(folder)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_says_how_much_is_needed_and_how_to_go_on(tmp_path: Path, small_disk: Path) -> None:
    facelearn.synthetic_faces(40, seed=1).save(tmp_path / "faces")
    run = small_disk / "run"
    typed = ["train", "--data", tmp_path / "faces", "--model", "mlp", "--epochs", "1", "--out", run]
    done = subprocess.run(
        [sys.executable, "-m", "facelearn", *map(str, typed)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"facelearn: {run / 'last.safetensors'} cannot be written: the disk is full (it needs 14.8 MB, 10."
    )
    assert last.endswith("MB are free); make room there, or choose another place (--out)")
    assert sorted(file.name for file in run.iterdir()) == ["data.txt", "recipe.toml"]


def test_a_file_keeps_the_rights_of_new_files_whatever_the_library_does(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "file") as scratch:
            scratch.unlink()
            os.close(os.open(scratch, os.O_CREAT | os.O_WRONLY, 0o600))  # as tempfile, and safetensors, make theirs
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"inner.txt cannot be written: a file stands where its folder should"):
        files.write_text(tmp_path / "file" / "inner.txt", "")
    with pytest.raises(WriteError, match="the disk is full") as caught, whole_file(tmp_path / "other"):
        raise RuntimeError("(sqlite3.OperationalError) database or disk is full")
    assert isinstance(caught.value, FacelearnError | OSError) and not (tmp_path / "other").exists()
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "other"):
        (tmp_path / "elsewhere" / "x").read_text()  # what is read meanwhile is not what is written
    with pytest.raises(PermissionError), writing(tmp_path / "other"):
        raise PermissionError(errno.EACCES, "", "/somewhere/else")


@pytest.mark.parametrize("supported", [True, False])
def test_allocated_files_have_all_their_blocks(tmp_path: Path, monkeypatch, supported: bool) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    if not supported:
        monkeypatch.setattr(os, "posix_fallocate", unsupported, raising=False)
    path = tmp_path / "file"
    path.write_bytes(b"header")
    allocate(path, 3_000_000)
    assert path.stat().st_size == 3_000_000 and path.stat().st_blocks * 512 >= 3_000_000
    assert path.read_bytes()[:7] == b"header\0"


def test_bytes_are_said_as_people_say_them() -> None:
    assert [in_bytes(n) for n in (0, 999, 1000, 3_400_000, 12_000_000_000, 5 * 10**15)] == [
        "0 bytes", "999 bytes", "1.0 kB", "3.4 MB", "12.0 GB", "5000.0 TB"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "python", "typed"),
    [
        ("go on with --resume, or choose another --out", "go on with resume=True, or choose another out", None),
        ("add --size 112 to the command (size=112 in Python), or", "add size=112, or", "add --size 112 to the command, or"),
        ("leave them out with on_error='skip' (--on-error skip)", "leave them out with on_error='skip'",
         "leave them out with --on-error skip"),
        ("add --missing 0,-1; or --units fraction", 'add missing="0,-1"; or units="fraction"', None),
        ("--strangers 0.1 holds a tenth out; leave out --from", "strangers=0.1 holds a tenth out; leave out source", None),
        ("type: facelearn train --data DATA --out RUN; or --folds 3", "type: facelearn train --data DATA --out RUN; or folds=3",
         None),
        ("pip install --upgrade facelearn", "pip install --upgrade facelearn", None),
        ("no model a--b.safetensors", "no model a--b.safetensors", None),
    ],
)  # fmt: skip
def test_remedies_are_spelled_where_they_are_read(written: str, python: str, typed: str | None) -> None:
    assert spelled(written) == python == str(FacelearnError(written))
    with command_line():
        assert str(FacelearnError(written)) == (typed or written)
    assert str(FacelearnError(written)) == python


def test_a_remedy_of_any_length_is_spelled_at_once() -> None:
    for text in (
        "-" * 10**6,
        " (--" * 10**5,
        "--a" * 10**5,
        "--a (" * 10**5,
        "facelearn train" * 10**5,
        "--a " + "1.," * 10**5,
    ):
        assert len(spelled(text)) <= 3 * len(text)


def test_numpy_arrays_are_mapped_where_they_have_their_place(tmp_path: Path) -> None:
    from facelearn.data.arrays import array_on_disk

    array = array_on_disk(tmp_path / "x.npy", (5, 3))
    array[2] = 7
    array.flush()
    assert np.load(tmp_path / "x.npy").sum() == 21 and (tmp_path / "x.npy").stat().st_blocks > 0
