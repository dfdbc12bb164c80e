"""Where searches are kept: opening an Optuna storage, and checking that a search in it is the one that is meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import optuna
from sqlalchemy.exc import SQLAlchemyError

from facelearn.errors import FacelearnError
from facelearn.recipe.recipe import Recipe

FACTS = "facelearn"
_MACHINE = ("device", "devices", "threads", "search")  # of a recipe: what does not decide a trial's score


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """The storage at an Optuna address; close it with `remove_session()` and `engine.dispose()`.

    Raises:
        FacelearnError: no address, no driver for it, or nothing that opens there.
    """
    if "://" not in url:
        raise FacelearnError(
            f"received the storage '{url}'; write its address, e.g. sqlite:///{url} or postgresql://..."
        )
    try:
        return optuna.storages.RDBStorage(url)
    except (SQLAlchemyError, ImportError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        # the address may hold a password: it is not repeated
        kind = url.split(":", 1)[0]
        reason = str(error).splitlines()[0].replace(url, f"{kind}://...")
        raise FacelearnError(f"cannot open the storage of kind '{kind}': {reason}") from error


def agree(study: optuna.Study, facts: dict[str, Any]) -> None:
    """Check that the search of `study` was begun with the same facts; a new one gets them.

    Raises:
        FacelearnError: it was not; up to five differences are named.
    """
    stored = study.user_attrs.get(FACTS)
    if stored is None and study.get_trials(deepcopy=False):
        raise FacelearnError(
            f"the study '{study.study_name}' in this storage is not facelearn's; choose another --name"
        )
    if stored is None:
        study.set_user_attr(FACTS, facts)
        return
    found = list(_differences(_comparable(stored), _comparable(facts)))
    if found:
        rest = [f"  ... and {len(found) - 5} more"] if len(found) > 5 else []
        raise FacelearnError(
            "\n".join(
                [
                    f"the search '{study.study_name}' was begun with other settings; go on with those, or begin another with another "
                    "--out or --name. What differs:",
                    *found[:5],
                    *rest,
                ]
            )
        )


def _comparable(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without the machine's; the recipe with the settings that it did not name yet at the time."""
    recipe = Recipe.from_dict(facts.get("recipe", {})).to_dict()
    return {**facts, "recipe": {key: value for key, value in recipe.items() if key not in _MACHINE}}


def _differences(stored: Any, given: Any, path: str = "") -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(given, dict):
        for key in sorted(stored.keys() | given.keys()):
            yield from _differences(stored.get(key), given.get(key), f"{path}.{key}" if path else key)
    elif stored != given:
        yield f"  {path}: {_text(stored)} then, {_text(given)} now"


def _text(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)
