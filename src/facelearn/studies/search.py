"""A search in its storage: trials that begin, end and are counted, so that a search killed at any moment can be taken up again."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from facelearn.recipe.space import Dimension
from facelearn.studies.storage import agree, open_storage
from facelearn.studies.suggest import suggest

SamplerName = Literal["random", "tpe"]
State = Literal["complete", "pruned", "refused", "failed", "running"]
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
LOST_SECONDS = 600.0  # a trial that said nothing for so long is lost
STARTUP_TRIALS = 5  # complete ones before any is pruned
LEAST_FOR_IMPORTANCE = 4
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
    TrialState.RUNNING: "running", TrialState.WAITING: "running",
}  # fmt: skip


@dataclass(frozen=True)
class TrialFacts:
    """One trial.

    Attributes:
        number: 0-based, in the order of the trials' beginnings.
        state: "complete"; "pruned": ended before its last epoch, worse than half of the others or diverged; "refused": a combination
            that makes no network, which costs nothing and does not count; "failed": killed or stopped, and replaced by a trial with the
            same values; "running".
        score: of a complete trial, lower is better.
        values: path of the recipe -> value.
        seconds: from begin to end.
        epochs: finished ones.
        reason: why it did not complete.
        folds: score of each fold, where there are folds.
    """

    number: int
    state: State
    score: float | None
    values: dict[str, Any]
    seconds: float
    epochs: int
    reason: str
    folds: tuple[float, ...]


class Column(NamedTuple):
    """A parameter over the complete trials: float64 (N,) values, NaN where a trial has none; of choices, their place in `choices`."""

    values: NDArray[np.float64]
    log: bool
    choices: tuple[str, ...]


class Search:
    """A study, and how its trials are drawn. Open it with `open_search`.

    A trial's values are a function of the seed and of its place among the trials that did not fail, so that the trial that replaces a
    killed one draws the same values, and a search in several sittings is the search in one.
    """

    def __init__(self, study: optuna.Study, sampler: SamplerName, seed: int) -> None:
        self.study, self.sampler, self.seed = study, sampler, seed

    def begin(self, space: Mapping[str, Dimension]) -> tuple[Trial, dict[str, Any]]:
        """A new trial and its values (path -> value); one of the methods below tells it its end."""
        trial = self.study.ask()
        trial.set_user_attr("owner", {"machine": socket.gethostname(), "process": os.getpid()})
        place = self._place(trial.number)
        self.study.sampler = sampler_for(self.sampler, self.seed, place)
        values = suggest(trial, space)
        # one attribute: to a storage each is a write that waits for the disk
        trial.set_user_attr("drawn", {"place": place, "values": values})
        return trial, values

    def alive(self, trial: Trial) -> None:
        """Say that the trial is still computed; to be called every minute or so."""
        trial.set_user_attr("seen", time.time())

    def report(self, trial: Trial, step: int, score: float) -> bool:
        """Report the score so far; True where the trial should end here, because half of the others were better at this step."""
        trial.report(score, step)
        return trial.should_prune()

    def complete(self, trial: Trial, score: float, folds: tuple[float, ...] = ()) -> None:
        """The trial has its score."""
        if folds:
            trial.set_user_attr("folds", folds)
        self.study.tell(trial, score)

    def prune(self, trial: Trial, reason: str, *, refused: bool = False) -> None:
        """The trial gets no score; `refused` where its recipe makes no network at all."""
        trial.set_user_attr("reason", reason)
        if refused:
            trial.set_user_attr("refused", True)
        self.study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """The trial does not count: another one takes its place."""
        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=TrialState.FAIL)

    def count(self) -> int:
        """Trials that count: complete and pruned ones, and those that other processes are at."""
        return sum(trial.state not in ("failed", "refused") for trial in self.trials())

    def trials(self) -> list[TrialFacts]:
        """All trials by number."""
        return [_facts(trial) for trial in self.study.get_trials(deepcopy=False)]

    def best(self) -> TrialFacts | None:
        """The complete trial with the lowest score, the earliest of equals; None where there is none."""
        complete = [trial for trial in self.trials() if trial.score is not None]
        return min(complete, key=lambda trial: trial.score or 0.0, default=None)

    def importance(self) -> dict[str, float]:
        """Share of the score's variance that each parameter explains, the largest first; sums to 1.

        Functional analysis of variance over a random forest (Hutter, Hoos and Leyton-Brown, ICML 2014), of the parameters that all
        complete trials have. Empty below four complete trials.
        """
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(complete) < LEAST_FOR_IMPORTANCE or len({trial.value for trial in complete}) == 1:
            return {}
        found = get_param_importances(self.study, evaluator=FanovaImportanceEvaluator(seed=0))
        varied = self.columns()
        return {name: float(share) for name, share in found.items() if name in varied}

    def columns(self) -> dict[str, Column]:
        """Parameters that vary, by name, over the complete trials in the order of their numbers."""
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        distributions = {name: kind for trial in complete for name, kind in trial.distributions.items()}
        columns = {}
        for name, kind in distributions.items():
            if kind.single():
                continue
            choices = kind.choices if isinstance(kind, CategoricalDistribution) else ()
            # what the storage holds is a number for every kind of distribution
            values = [
                kind.to_internal_repr(trial.params[name]) if name in trial.params else np.nan for trial in complete
            ]
            log = bool(getattr(kind, "log", False))
            columns[name] = Column(np.array(values, np.float64), log, tuple(str(choice) for choice in choices))
        return columns

    def release_lost(self) -> int:
        """Mark the trials whose process is gone as failed; returns how many they are."""
        lost = [
            trial for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)) if _is_lost(trial)
        ]
        for trial in lost:
            self.study.tell(trial.number, state=TrialState.FAIL)
        return len(lost)

    def _place(self, number: int) -> int:
        """The first place that no earlier trial has."""
        trials = self.study.get_trials(deepcopy=False)
        earlier = [trial for trial in trials if trial.number < number and trial.state != TrialState.FAIL]
        taken = {trial.user_attrs["drawn"]["place"] for trial in earlier if "drawn" in trial.user_attrs}
        # those that another process has only just begun will take the first free ones
        waiting = sum("drawn" not in trial.user_attrs for trial in earlier)
        return [place for place in range(number + 1) if place not in taken][waiting]


@contextmanager
def open_search(
    url: str,
    name: str,
    facts: Mapping[str, Any],
    *,
    sampler: SamplerName = "random",
    seed: int = 0,
    prune_after: int | None = None,
) -> Iterator[Search]:
    """Open the search `name` in a storage, or make it there; the storage is closed at the block's end.

    Args:
        url: an Optuna (SQLAlchemy) address such as sqlite:///tuning.sqlite.
        name: of the search among those in the storage.
        facts: what decides a score, as JSON values: all sittings of a search must agree on it. "recipe" holds the base recipe.
        sampler: "random", or "tpe" (tree-structured Parzen estimator; Bergstra et al., NeurIPS 2011).
        seed: of the sampler.
        prune_after: epochs before a trial that is worse than the median of the complete ones is ended; None prunes none.

    Raises:
        FacelearnError: a storage that cannot be opened, or a search in it that differs in `facts`; what differs is named.
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)  # it announces every trial; the caller does that
    storage = open_storage(url)
    try:
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if prune_after is not None:
            pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=prune_after)
        study = optuna.create_study(storage=storage, study_name=name, pruner=pruner, load_if_exists=True)
        agree(study, json.loads(json.dumps(facts)))
        search = Search(study, sampler, seed)
        search.release_lost()
        yield search
    finally:
        storage.remove_session()
        storage.engine.dispose()


def sampler_for(name: SamplerName, seed: int, place: int) -> optuna.samplers.BaseSampler:
    """The sampler of the trial at 0-based `place`: its draws do not depend on what earlier ones drew."""
    own = int(np.random.SeedSequence((seed, place)).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=own) if name == "tpe" else optuna.samplers.RandomSampler(seed=own)


def _is_lost(trial: FrozenTrial) -> bool:
    """Whether a running trial's process is gone: on this machine it can be looked for, and it must have said something lately."""
    owner = trial.user_attrs.get("owner", {})
    process = owner.get("process")
    if process is not None and owner["machine"] == socket.gethostname() and os.name == "posix":
        if process == os.getpid():  # numbers are given again, and this process has begun none yet
            return True
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it lives, and is another user's
            pass
    begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    return bool(time.time() - trial.user_attrs.get("seen", begun) > LOST_SECONDS)


def _facts(trial: FrozenTrial) -> TrialFacts:
    known = trial.user_attrs
    state = "refused" if known.get("refused") else _STATES[trial.state]
    reason = known.get("reason", "killed" if state == "failed" else "")
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return TrialFacts(
        number=trial.number,
        state=state,
        score=trial.value if state == "complete" else None,
        values=known.get("drawn", {}).get("values", {}),
        seconds=seconds,
        epochs=known.get("epochs", 0),
        reason=reason,
        folds=tuple(known.get("folds", ())),
    )
