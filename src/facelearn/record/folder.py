"""The folder of a run: the names of its files, who may begin or go on in it, and a lock while somebody writes.

A run directory holds the recipe, the history, the state to go on from, the model file, the metrics, the held-out images with what was said
of them, and the report; one of k folds holds a run directory for each fold and what they amount to. No other file of the package spells
these names.

The lock is the operating system's, on a file that is there only while somebody writes. It goes with the process that holds it, however
that ends, so a killed run leaves nothing to clean up: its file stays, and the next one takes it over.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

from facelearn.errors import FacelearnError, RecipeError, WriteError
from facelearn.files import SCRATCH, write_text, writing
from facelearn.recipe.recipe import Recipe

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK")
"""What launchers of runs on several devices tell each process; none is above 0 in the one that writes."""
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class RunFolder:
    """A run directory, whether or not it exists yet.

    Args:
        path: of the directory.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    # ---------------------------------------------------------------- the files

    @property
    def recipe(self) -> Path:
        """The recipe that the run was trained with."""
        return self.path / "recipe.toml"

    @property
    def source(self) -> Path:
        """The place of the data that it was started with, one line; missing where they were in memory."""
        return self.path / "data.txt"

    @property
    def skipped(self) -> Path:
        """The rows of the data that were left out."""
        return self.path / "skipped.csv"

    @property
    def last(self) -> Path:
        """Weights, optimiser and counters to go on from."""
        return self.path / "last.safetensors"

    @property
    def state(self) -> Path:
        """The counters in it, for people."""
        return self.path / "state.json"

    @property
    def history(self) -> Path:
        """A row for each finished epoch."""
        return self.path / "history.csv"

    @property
    def model(self) -> Path:
        """The model file: of the run, or of the best of its folds. It is written last of what must be whole."""
        return self.path / "model.safetensors"

    @property
    def metrics(self) -> Path:
        """What the held-out rows say, and facts about machine, data and split."""
        return self.path / "metrics.json"

    @property
    def evaluation(self) -> Path:
        """The held-out images and what the model said of them."""
        return self.path / "evaluation.npz"

    @property
    def report(self) -> Path:
        """The page about the run."""
        return self.path / "report.html"

    @property
    def folds(self) -> Path:
        """How many folds a run in folds has and, once all are trained, what they amount to."""
        return self.path / "kfold.json"

    @property
    def folds_page(self) -> Path:
        """The same for people, as Markdown."""
        return self.path / "kfold.md"

    @property
    def cell(self) -> Path:
        """The numbers of the finished cell of a study."""
        return self.path / "cell.json"

    @property
    def lock(self) -> Path:
        """There while somebody writes, and says who; left behind by a killed process, when it means nothing."""
        return self.path / ".lock"

    def fold(self, number: int) -> RunFolder:
        """The run directory of a fold, counted from 1."""
        return RunFolder(self.path / f"fold-{number}")

    # ---------------------------------------------------------------- what stands in it

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self.model.exists()

    @property
    def can_go_on(self) -> bool:
        """Whether there is a state to go on from."""
        return self.last.exists()

    @property
    def fold_count(self) -> int | None:
        """How many folds the run has; None where it is no run in folds."""
        try:
            count = json.loads(self.folds.read_text(encoding="utf-8"))["count"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        return count if isinstance(count, int) else None

    def read_source(self) -> Path:
        """The place of the data that the run was started with, for going on with it.

        Raises:
            FacelearnError: there is no such run, or it was started with data in memory.
        """
        if not self.path.is_dir():
            raise FacelearnError(f"there is no run in {self}; give the folder of one, or start it without --resume")
        if not self.source.exists():
            raise FacelearnError(f"{self} does not say which data it was trained on; give it again with --data")
        try:
            place = self.source.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            place = ""
        if not place or "\0" in place or "\n" in place:
            raise FacelearnError(f"{self.source} does not name a place of data; give the data again with --data")
        return Path(place)

    def write_source(self, data: str | Path) -> None:
        """Say which data the run is trained on; the place is made absolute. Not called for data in memory."""
        write_text(self.source, f"{Path(data).resolve()}\n")

    # ---------------------------------------------------------------- who may write in it

    def claim(self, *, resume: bool, overwrite: bool, folds: int | None = None) -> Recipe | None:
        """Whether a run may begin here, or go on. Call it under `locked`: what it found is then still so when the run begins.

        Args:
            resume: go on with the run in the folder.
            overwrite: replace it. `clear` does, once all that can be refused has been.
            folds: how many, for a run in folds.

        Returns:
            The recipe of the run to go on with; None for a new run.

        Raises:
            FacelearnError: the folder holds a run and neither was asked for, it holds none to go on with or one of another kind, or
                both were asked for.
        """
        if resume and overwrite:
            raise FacelearnError(
                f"--resume goes on with the run in {self}, --overwrite deletes it and starts anew; give one of the two"
            )
        if overwrite:
            return None
        return self._claim_run(resume) if folds is None else self._claim_folds(resume, folds)

    def _claim_run(self, resume: bool) -> Recipe | None:
        if self.folds.exists():
            raise FacelearnError(
                f"{self} holds a run in folds; choose another --out, go on with --resume and --folds, or replace it with --overwrite"
            )
        if resume:
            if not self.recipe.exists():
                raise FacelearnError(f"{self} holds no run to resume; start one without --resume")
            return Recipe.from_toml(self.recipe)
        if self.is_finished:
            raise FacelearnError(
                f"{self} already holds a finished run; choose another --out, or replace it with --overwrite"
            )
        if self.can_go_on:
            raise FacelearnError(f"{self} holds an unfinished run; go on with --resume, or replace it with --overwrite")
        return None

    def _claim_folds(self, resume: bool, folds: int) -> Recipe | None:
        count = self.fold_count
        if resume:
            if count is None or not self.recipe.exists():
                raise FacelearnError(f"{self} holds no run in folds to resume; start one without --resume")
            if count != folds:
                raise FacelearnError(
                    f"{self} was started with {count} folds; go on with --folds {count}, received {folds}"
                )
            return Recipe.from_toml(self.recipe)
        if count is not None or self.is_finished or self.can_go_on:
            raise FacelearnError(
                f"{self} already holds a run; choose another --out, go on with --resume, or replace it with --overwrite"
            )
        return None

    def check_source_stays(self, recipe: Recipe, *, overwrite: bool) -> None:
        """The weights to start from are no file that overwriting deletes: a stopped run needs them again.

        Raises:
            RecipeError: they are.
        """
        source = recipe.transfer.source
        if overwrite and source and Path(source).resolve().is_relative_to(self.path.resolve()):
            raise RecipeError(
                f"--overwrite would delete the weights to start from, {source}; copy them out of {self} first, or choose another --out"
            )

    @contextmanager
    def locked(self, *, wait: bool = False) -> Iterator[None]:
        """Nobody else is inside `locked` of this folder, in any process of this machine, until the block ends or its process does.

        The folder is made if needed, and goes again where nothing was put into it. Where the system (Windows) or the file system (some
        network ones) has no locks, nobody is kept out. The further processes of a run on several devices write nothing and pass: the
        first one has the lock.

        Args:
            wait: until the other one is done, for work that several processes share; else the second is refused.

        Raises:
            FacelearnError: somebody else writes there: which process, since when, and what to do.
        """
        made, descriptor = not self.path.exists(), None
        try:
            with writing(self.lock), nullcontext() if wait else _interrupts_wait():
                descriptor = self._lock(wait)
                if descriptor is None:
                    self.path.mkdir(parents=True, exist_ok=True)
            if descriptor is not None and not wait:
                self._drop_scratch()
            try:
                yield
            except WriteError as error:
                if self.can_go_on or self.folds.exists():
                    raise WriteError(f"{error}. What was trained before is kept: go on with --resume") from error
                raise
        finally:
            with _interrupts_wait():
                if descriptor is not None:
                    if _is_file_at(descriptor, self.lock):
                        self.lock.unlink()
                    os.close(descriptor)
                if made:
                    with suppress(OSError):  # something stands in it
                        self.path.rmdir()

    def _lock(self, wait: bool) -> int | None:
        """The open file that holds the lock; None where there are no locks, or where another process of this run has it."""
        try:
            import fcntl
        except ImportError:
            return None
        if any(os.environ.get(name, "0") not in ("", "0") for name in _RANKS):
            return None
        while True:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o666)  # child processes do not get it
            except (FileNotFoundError, FileExistsError, NotADirectoryError):
                if self.path.is_symlink() or any(path.is_file() for path in (self.path, *self.path.parents)):
                    raise FacelearnError(
                        f"{self} is no folder; a run needs one of its own: choose another --out"
                    ) from None
                continue  # the one before took the empty folder away, between two looks at it
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except OSError as error:
                holder = _read_holder(descriptor)
                os.close(descriptor)
                if error.errno in _NO_LOCKS:
                    return None
                if not isinstance(error, BlockingIOError):
                    raise
                raise FacelearnError(
                    f"{self} is being written to by {holder}; wait until it is done or end it, or choose another --out"
                ) from None
            if _is_file_at(descriptor, self.lock):
                break
            os.close(descriptor)  # the one before took the file away between our opening and our locking it
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # a full disk: it is locked all the same, only by nobody in particular
            facts = {"process": os.getpid(), "machine": platform.node(), "since": since}
            os.write(descriptor, json.dumps(facts).encode())
        return descriptor

    # ---------------------------------------------------------------- taking away

    def clear(self) -> None:
        """Remove what an earlier run left, in folds or not. Its recipe stays until the next one's replaces it, and files of others do."""
        for folder in self.path.glob("fold-*"):
            if RunFolder(folder).recipe.exists():
                shutil.rmtree(folder)
        self.drop_state()
        self.drop_results()
        for file in (self.source, self.history, self.folds, self.folds_page):
            file.unlink(missing_ok=True)

    def _drop_scratch(self) -> None:
        """Remove what killed runs had begun to write here. Called under the lock: nobody is writing it."""
        for folder in (self.path, *self.path.glob("fold-*")):
            for file in folder.glob(".*.*"):
                if SCRATCH.fullmatch(file.name) and file.is_file():
                    file.unlink(missing_ok=True)
            for arrays in folder.glob("scratch-*"):
                if arrays.name.removeprefix("scratch-").isdecimal():
                    shutil.rmtree(arrays, ignore_errors=True)

    def drop_state(self) -> None:
        """Remove what a run goes on from."""
        for file in (self.last, self.state):
            file.unlink(missing_ok=True)

    def drop_results(self) -> None:
        """Remove the model, what was measured of it and the report; recipe and history stay."""
        for file in (self.model, self.metrics, self.evaluation, self.report):
            file.unlink(missing_ok=True)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Within the block Ctrl-C and SIGTERM are only remembered, and act at its end: between the making of a file and the note that it is
    ours, an exception would leave it behind. Outside the main thread, where Python raises none, nothing is done; nor with the handler of a
    program in C around this Python, which Python could not put back."""
    came: list[int] = []
    previous = {}
    if threading.current_thread() is threading.main_thread():
        ours = [number for number in _INTERRUPTS if signal.getsignal(number) is not None]
        previous = {number: signal.signal(number, lambda number, _: came.append(number)) for number in ours}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _is_file_at(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read_holder(descriptor: int) -> str:
    """Who holds the lock, in words, from what it wrote into the file."""
    try:
        facts = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {facts['process']} on {facts['machine']}, since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # it has only just begun
