"""One name for one thing: files, folders, and public functions and classes."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.architecture.house import FILES, SOURCE, ours, tree

# File names that may stand in several folders: what every task has, and what every room with a page has.
REPEATED_FILES = {"__init__", "page", "settings", "answer", "measure", "learn", "keypoints", "classes", "pairs"}
# Public names that stand in several modules, tasks and commands aside, and why.
REPEATED_NAMES: dict[str, str] = {}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_no_file_name_stands_twice() -> None:
    homes = defaultdict(list)
    for module in FILES:
        homes[module.split("/")[-1]].append(module)
    twice = {name: found for name, found in homes.items() if len(found) > 1 and name not in REPEATED_FILES}
    assert not twice, "\n".join(f"{name}: {', '.join(found)}" for name, found in sorted(twice.items()))


def test_no_package_is_named_like_a_public_function() -> None:
    import facelearn

    public = set(facelearn.__all__)
    wrong = [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*") if path.is_dir() and path.name in public]
    assert not wrong, f"folders named like functions of facelearn: {', '.join(wrong)}"


def public_definitions(module: str) -> list[str]:
    return [node.name for node in tree(module).body if isinstance(node, Definition) and not node.name.startswith("_")]


def one_a_task(modules: list[str]) -> bool:
    """Whether each of these stands in the folder of another task: what every task answers, it answers under one name."""
    folders = [module.split("/")[1] for module in modules if module.startswith("tasks/") and module.count("/") > 1]
    return len(set(folders)) == len(modules)


def without_commands(modules: list[str]) -> list[str]:
    """`modules` without those of the command line that import another of them: a command is named like the function that it calls."""
    return [
        module
        for module in modules
        if not (module.startswith("cli/") and {other for _, other in ours(module)} & set(modules))
    ]


def test_no_public_name_stands_for_two_things() -> None:
    homes = defaultdict(list)
    for module in FILES:
        for name in public_definitions(module):
            homes[name].append(module)
    several = {name: without_commands(found) for name, found in homes.items() if name not in REPEATED_NAMES}
    twice = {name: found for name, found in several.items() if len(found) > 1 and not one_a_task(found)}
    assert not twice, "\n".join(f"{name}: {', '.join(found)}" for name, found in sorted(twice.items()))


def test_what_is_allowed_to_stand_twice_does() -> None:
    for name in REPEATED_NAMES:
        assert sum(name in public_definitions(module) for module in FILES) > 1, f"take {name} out of REPEATED_NAMES"


def test_only_tasks_and_commands_share_names() -> None:
    assert one_a_task(["tasks/keypoints/answer", "tasks/identification/answer"])
    assert not one_a_task(["tasks/keypoints/answer", "tasks/keypoints/page"])
    assert not one_a_task(["tasks/keypoints/answer", "tasks/task"]) and not one_a_task(
        ["tasks/keypoints/answer", "splits/groups"]
    )
    assert without_commands(["cli/__init__", "cli/app"]) == ["cli/app"]
