from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facelearn.data import cache as caches
from facelearn.data import checksums, listing
from facelearn.data.cache import Cache
from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from support.pictures import gradient, save_picture


def photos(folder: Path, count: int = 3) -> Path:
    for i in range(count):
        pixels = gradient()
        pixels[0, 0] = i
        save_picture(folder / f"{i}.bmp", pixels)
    return folder


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "entries").iterdir() if not path.name.startswith("."))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Collects every image that is decoded."""
    seen: list[Path] = []
    real = listing.decode_with_facts

    def watched(source: Path, **options: object) -> object:
        seen.append(source)
        return real(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(listing, "decode_with_facts", watched)
    return seen


def age(folder: Path) -> None:
    """Make files look settled, so that their dates are trusted."""
    old = time.time() - 100
    for path in folder.rglob("*"):
        os.utime(path, (old, old))


def test_a_second_read_decodes_nothing_and_maps_the_images(
    tmp_path: Path, own_cache: Path, decoded: list[Path]
) -> None:
    folder = photos(tmp_path / "photos")
    first, second = read(folder), read(folder)
    assert len(decoded) == 3 and len(entries(own_cache)) == 1
    for name in ("images", "keypoints", "source", "row", "identity", "to_photo"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    base = second.images if isinstance(second.images, np.memmap) else second.images.base
    assert isinstance(base, np.memmap) and not second.images.flags.writeable
    read(folder, cache=False)
    assert len(decoded) == 6
    read(folder, cache=tmp_path / "elsewhere")
    assert len(decoded) == 9 and len(entries(tmp_path / "elsewhere")) == 1


def test_settings_and_content_make_the_key(tmp_path: Path, decoded: list[Path]) -> None:
    folder = photos(tmp_path / "photos")
    read(folder)
    assert read(folder, size=8).images.shape[1:3] == (8, 8) and read(folder, color="grey").channels == 1
    assert len(decoded) == 9
    changed = gradient()
    changed[0, 0] = 99
    size, stat = (folder / "1.bmp").stat().st_size, (folder / "1.bmp").stat()
    save_picture(folder / "1.bmp", changed)
    assert (folder / "1.bmp").stat().st_size == size, "the test needs a change that the size does not show"
    os.utime(folder / "1.bmp", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert read(folder).images[1, 0, 0, 0] == 99
    save_picture(folder / "3.bmp")
    assert len(read(folder)) == 4
    (folder / "0.bmp").unlink()
    assert len(read(folder)) == 3


def test_dates_alone_change_nothing(tmp_path: Path, decoded: list[Path]) -> None:
    folder = photos(tmp_path / "photos")
    read(folder)
    age(folder)
    read(folder)
    assert len(decoded) == 3


def test_known_dates_spare_the_hash(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photos(tmp_path / "photos")
    read(folder)
    assert not (own_cache / "digests").exists(), "files changed a moment ago are not trusted"
    monkeypatch.setattr(caches, "SETTLED_SECONDS", -1.0)
    read(folder)
    assert len(list((own_cache / "digests").iterdir())) == 1
    monkeypatch.setattr(caches.hashlib, "file_digest", None)
    read(folder)


def test_the_same_data_elsewhere_is_found_and_named_by_its_new_place(tmp_path: Path, decoded: list[Path]) -> None:
    read(photos(tmp_path / "photos"))
    (tmp_path / "photos").rename(tmp_path / "moved")
    faces = read(tmp_path / "moved")
    assert len(decoded) == 3 and faces.source[0] == str(tmp_path / "moved" / "0.bmp")


def test_skipped_rows_and_warnings_are_kept(tmp_path: Path, decoded: list[Path]) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "bad.bmp").touch()
    first = read_with_report(folder, on_error="skip")
    second = read_with_report(folder, on_error="skip")
    assert first.skipped == second.skipped and len(first.skipped) == 1 and first.warnings == second.warnings
    assert len(decoded) == 3
    with pytest.raises(DataError, match="empty"):
        read(folder)


def test_a_damaged_entry_is_made_again(tmp_path: Path, own_cache: Path) -> None:
    folder = photos(tmp_path / "photos")
    expected = read(folder).images.copy()
    for damage in ("images.npy", "facts.json", "faces.json"):
        entry = entries(own_cache)[0]
        (entry / damage).write_bytes((entry / damage).read_bytes()[:20])
        np.testing.assert_array_equal(read(folder).images, expected)
        assert len(entries(own_cache)) == 1 and read(folder).fingerprint()


@pytest.mark.parametrize("always", [checksums.ALWAYS_BYTES, 0])
def test_one_changed_bit_of_an_entry_is_found_and_said(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, always: int
) -> None:
    monkeypatch.setattr(checksums, "ALWAYS_BYTES", always)
    folder = photos(tmp_path / "photos")
    expected = read(folder).fingerprint()
    for file in sorted(entries(own_cache)[0].iterdir()):
        content = bytearray(file.read_bytes())
        content[-2] ^= 4
        file.write_bytes(content)
        again = read_with_report(folder)
        assert again.faces.fingerprint() == expected, file.name
        assert again.warnings[-1] == "the decoded copy of these data in the cache was damaged; it has been made again"
        assert read_with_report(folder).warnings == again.warnings[:-1]


def test_a_large_file_is_read_through_once_and_again_when_it_changes(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "ALWAYS_BYTES", 0)
    monkeypatch.setattr(checksums, "SETTLED_SECONDS", -1.0)
    folder = read(photos(tmp_path / "photos")).save(tmp_path / "faces")
    seen = []
    real = checksums.checksum
    monkeypatch.setattr(checksums, "checksum", lambda path: seen.append(path.name) or real(path))
    Faces.load(folder)
    assert len(seen) == 7
    Faces.load(folder)
    assert len(seen) == 7
    content = bytearray((folder / "row.npy").read_bytes())
    content[-1] ^= 1
    (folder / "row.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"row.npy is damaged"):
        Faces.load(folder)
    assert seen[7:] == ["row.npy"]


def test_the_oldest_entries_go_when_there_are_too_many(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    faces = read(folder, cache=False)
    store = Cache(tmp_path / "small", limit=2 * faces.images.nbytes + 20_000)
    for i in range(4):
        with store.writer(f"key{i}") as writer:
            writer.commit(faces, {})
        os.utime(tmp_path / "small" / "entries" / f"key{i}", (i, i))
    with store.writer("last") as writer:
        writer.commit(faces, {})
    names = [path.name for path in entries(tmp_path / "small")]
    assert "last" in names and "key0" not in names and len(names) < 5
    caches.clear(tmp_path / "small")
    assert list((tmp_path / "small").iterdir()) == []


def test_what_a_killed_writer_left_is_tidied_a_day_later(tmp_path: Path, own_cache: Path) -> None:
    for name, when in ((".old.1", 0), (".new.1", time.time())):
        left = own_cache / "entries" / name
        left.mkdir(parents=True)
        os.utime(left, (when, when))
    read(photos(tmp_path / "photos"))
    assert [path.name for path in (own_cache / "entries").iterdir() if path.name.startswith(".")] == [".new.1"]


def test_an_unwritable_cache_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FACELEARN_CACHE", str(tmp_path / "file" / "cache"))
    assert len(read(photos(tmp_path / "photos"))) == 3


def test_a_full_disk_costs_the_cache_not_the_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caches.Writer, "commit", full)
    assert read(photos(tmp_path / "photos")).images.shape == (3, 30, 40, 3)
    monkeypatch.setattr(caches.Writer, "allocate", full)
    assert read(photos(tmp_path / "photos")).images.shape == (3, 30, 40, 3)


READ = """
import os, sys
from facelearn.runs.prepare import read
def progress(done, total):
    if sys.argv[2] == "kill" and done == total:
        os.kill(os.getpid(), 9)
print(read(sys.argv[1], progress=progress).fingerprint())
"""


def start(folder: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", READ, str(folder), how], stdout=subprocess.PIPE, text=True)


def test_a_kill_leaves_no_half_entry(tmp_path: Path, own_cache: Path) -> None:
    folder = photos(tmp_path / "photos", 40)
    with start(folder, "kill") as killed:
        killed.communicate()
    assert killed.returncode == -9
    assert entries(own_cache) == [] and len(list((own_cache / "entries").iterdir())) == 1
    expected = read(folder, cache=False).fingerprint()
    assert read(folder).fingerprint() == expected == read(folder).fingerprint()
    assert len(entries(own_cache)) == 1


def test_processes_that_read_the_same_at_once_agree(tmp_path: Path, own_cache: Path) -> None:
    folder = photos(tmp_path / "photos", 40)
    running = [start(folder, "whole") for _ in range(3)]
    answers = {process.communicate()[0].strip() for process in running}
    assert answers == {read(folder, cache=False).fingerprint()} and len(entries(own_cache)) == 1
