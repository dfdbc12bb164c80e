"""The house: an import goes only to a room above, and some packages live in one room only."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "facelearn"
FILES = sorted(SOURCE.rglob("*.py"))

# The rooms, top first. A file imports from rooms above its own, and from the files of its own room listed before it.
ROOMS = (
    "__init__", "errors", "files", "data", "transforms", "models", "losses", "metrics", "bundle", "training", "predict",
    "audit", "gallery", "report", "serve", "explain", "display", "verbs", "cli", "__main__",
)  # fmt: skip
# The order inside a room. What is not named here (one file a format, a family, a verb) may serve the named ones, in no circle.
INSIDE = {
    "data": ("schema", "faces", "images", "readers", "splits", "synthetic"),
    "transforms": ("coordinates", "preprocess", "augment", "align"),
    "models": ("zoo",),
    "losses": ("keypoints", "classes", "metric"),
    "metrics": ("keypoints", "classes", "verification"),
    "training": ("recipe", "device", "tasks", "loop", "crossval", "tune", "study"),
}
# Packages and the only rooms that may import them.
ONLY_IN = {
    "matplotlib": {"report"},
    "fastapi": {"serve"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "typer": {"cli"},
    "pickle": set(),
    "torchvision": set(),
    "timm": set(),
    "torchmetrics": set(),
    "albumentations": set(),
}  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


MODULES = {module_name(path): path for path in FILES}


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """(line, module) of every import statement in a file, wherever it stands; names of our own modules in full."""
    return tuple(_imports(ast.parse(path.read_text(encoding="utf-8"))))


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else str(node.module)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def allowed(importer: str, imported: str) -> bool:
    ours, theirs = room(importer), room(imported)
    if ours != theirs:
        return ROOMS.index(theirs) < ROOMS.index(ours)
    order = INSIDE.get(ours, ())
    file = [(module.split(".") + ["__init__"])[2] for module in (importer, imported)]
    if file[0] in order and file[1] in order and file[0] != file[1]:
        return order.index(file[1]) < order.index(file[0])
    return True


def test_every_file_stands_in_a_known_room() -> None:
    assert {room(module) for module in MODULES} <= set(ROOMS)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "facelearn.__init__"])
def test_imports_go_up(module: str) -> None:
    wrong = [
        f"{MODULES[module]}:{line} imports {imported}, which stands below {module}"
        for line, imported in imports(MODULES[module])
        if imported.split(".")[0] == "facelearn" and not allowed(module, imported)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_imports_in_a_circle() -> None:
    graph = {name: {i for _, i in imports(path) if i in MODULES} for name, path in MODULES.items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", ONLY_IN)
def test_package_stays_in_its_room(package: str) -> None:
    wrong = [
        f"{path}:{line}"
        for name, path in MODULES.items()
        for line, imported in imports(path)
        if imported.split(".")[0] == package and room(name) not in ONLY_IN[package]
    ]
    assert not wrong, f"{package} is only for {sorted(ONLY_IN[package]) or 'nobody'}: {', '.join(wrong)}"


def test_metrics_need_numpy_only() -> None:
    outside = {
        imported.split(".")[0]
        for name, path in MODULES.items()
        if room(name) == "metrics"
        for _, imported in imports(path)
    }
    assert outside <= {"numpy", "facelearn"} | sys.stdlib_module_names


def test_the_walk_sees_imports_inside_functions_and_below() -> None:
    tree = ast.parse("def f():\n    from facelearn.cli import main\n    import facelearn.splits.split")
    assert [line for line, _ in _imports(tree)] == [2, 3]
    assert allowed("facelearn.data.faces", "facelearn.data.schema")
    assert allowed("facelearn.report.plots", "facelearn.metrics.keypoints")
    assert not allowed("facelearn.data.schema", "facelearn.data.faces")
    assert not allowed("facelearn.images.decode", "facelearn.data.readers.kaggle")
    assert not allowed("facelearn.models.zoo", "facelearn.training.loop")
    assert allowed("facelearn.losses.keypoints", "facelearn.losses")
