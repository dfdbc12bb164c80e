"""The order of the house: every module is known, an import goes only up, and some packages live in one room only."""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter

import pytest
from tests.architecture.house import (
    FILES,
    KNOWN,
    PACKAGE,
    PLACE,
    TASKS,
    TORCH,
    imported_modules,
    imported_packages,
    ours,
    packages,
    room,
    tree,
    within,
)  # fmt: skip

# Packages, and the only places that may import them.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "matplotlib": ("report/style",),
    "fastapi": ("serve",),
    "starlette": ("serve",),
    "uvicorn": ("serve",),
    "jinja2": ("serve",),
    "sqlalchemy": ("studies/storage", "gallery", "serve"),
    "typer": ("cli",),
    "rich": ("cli",),
    "pickle": (),
    "torchvision": (),
    "timm": (),
    "torchmetrics": (),
    "albumentations": (),
}
TORCH_PACKAGES = ("torch", "lightning_fabric")

each_module = pytest.mark.parametrize("module", [name for name in FILES if name != PACKAGE])


def allowed(importer: str, imported: str) -> bool:
    return PLACE.get(imported, len(PLACE)) < PLACE.get(importer, -1)


@each_module
def test_module_is_known(module: str) -> None:
    if module.endswith("/__init__") and module not in PLACE:
        body = tree(module).body
        assert len(body) == 1 and ast.get_docstring(tree(module)), (
            f"src/facelearn/{module}.py holds more than its docstring: write __init__ into ORDER of tests/architecture/house.py"
        )
    else:
        assert module in PLACE, f"src/facelearn/{module}.py stands nowhere in ORDER of tests/architecture/house.py"


def test_the_order_names_nothing_twice_and_nothing_that_is_gone() -> None:
    assert len(KNOWN) == len(PLACE), f"twice: {sorted(name for name in PLACE if KNOWN.count(name) > 1)}"
    assert set(KNOWN) <= set(FILES), f"no such files: {sorted(set(KNOWN) - set(FILES))}"


@each_module
def test_imports_go_up(module: str) -> None:
    # an empty __init__ is imported with everything below it, and may be by everybody
    wrong = [
        f"src/facelearn/{module}.py:{line} imports {imported}, which does not stand above it"
        for line, imported in ours(module)
        if imported != PACKAGE and not allowed(module, imported)
    ]
    assert not wrong, "\n".join(wrong)


@each_module
def test_only_the_version_is_taken_from_the_package_itself(module: str) -> None:
    wrong = [
        f"src/facelearn/{module}.py:{node.lineno} takes {alias.name} from facelearn; import it from its own module"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ImportFrom) and node.module == "facelearn"
        for alias in node.names
        if alias.name != "__version__" and not {f"{alias.name}", f"{alias.name}/__init__"} & set(FILES)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_imports_in_a_circle() -> None:
    graph = {name: {other for _, other in ours(name)} for name in FILES if name != PACKAGE}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


@each_module
def test_tasks_do_not_know_each_other(module: str) -> None:
    home = next((task for task in TASKS if within(module, (f"tasks/{task}",))), None)
    others = tuple(f"tasks/{task}" for task in TASKS if task != home)
    wrong = [
        f"src/facelearn/{module}.py:{line} imports {other}" for line, other in ours(module) if within(other, others)
    ]
    assert home is None or not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", ONLY_IN)
def test_package_stays_in_its_room(package: str) -> None:
    wrong = [
        f"src/facelearn/{module}.py:{line}"
        for module in FILES
        for line, imported in packages(module, for_types=False)
        if imported == package and not within(module, ONLY_IN[package])
    ]
    assert not wrong, f"{package} is only for {', '.join(ONLY_IN[package]) or 'nobody'}:\n" + "\n".join(wrong)


@each_module
def test_torch_stays_where_tensors_are(module: str) -> None:
    wrong = [
        f"src/facelearn/{module}.py:{line} imports {package}"
        for line, package in packages(module, for_types=False)
        if package in TORCH_PACKAGES
    ]
    assert within(module, TORCH) or not wrong, "\n".join(wrong)


def test_metrics_need_numpy_only() -> None:
    outside = {package for name in FILES if room(name) == "metrics" for _, package in packages(name)}
    assert outside <= {"numpy"} | sys.stdlib_module_names


def test_the_walk_sees_imports_inside_functions_in_quotes_and_for_types() -> None:
    inside = ast.parse("def f():\n    from facelearn.cli import main\n    import facelearn.splits.split")
    assert list(imported_modules(inside)) == [(2, "cli/__init__"), (3, "splits/split")]
    quoted = ast.parse(
        "import_module('facelearn.data.faces')\nnames = {'a': 'facelearn.bundle'}\nimport_module(f'facelearn.data.{x}')"
    )
    found = set(imported_modules(quoted))
    assert {(1, "data/faces"), (2, "bundle/__init__"), (3, "data/schema")} <= found and (3, "splits/split") not in found
    assert not list(imported_modules(ast.parse("def f():\n    'facelearn.bundle'\n'facelearn'")))
    assert list(imported_modules(ast.parse("from facelearn.verbs import train"))) == [(1, "facelearn.verbs")]
    types = ast.parse(
        "if TYPE_CHECKING:\n    from torch import nn\n    from facelearn.data.faces import Faces\nimport cv2"
    )
    assert list(imported_modules(types)) == [(3, "data/faces")]
    assert list(imported_packages(types)) == [(4, "cv2"), (2, "torch")]
    assert list(imported_packages(types, for_types=False)) == [(4, "cv2")]
    assert list(imported_packages(ast.parse("import_module('torch.nn')"))) == [(1, "torch")]


def test_the_order_is_read_as_it_is_written() -> None:
    assert allowed("data/faces", "data/schema") and not allowed("data/schema", "data/faces")
    assert allowed("data/readers/coco", "data/faces") and not allowed("images/decode", "data/readers/kaggle")
    assert not allowed("models/zoo", "training/loop") and allowed("models/zoo", "models/networks/w207")
    assert not allowed("models/networks/w207", "models/zoo") and not allowed("data/faces", "data/faces")
    assert not allowed("unknown", "errors") and not allowed("cli/__init__", "unknown")
    assert within("tasks/keypoints/learn", TORCH) and not within("tasks/keypoints/answer", TORCH)
    assert within("models/layers/blocks", TORCH) and not within("models/registry", TORCH)
