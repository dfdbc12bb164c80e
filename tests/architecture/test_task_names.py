"""Which task it is, only the folders of tasks/ ask: elsewhere a task is an object that answers what is asked of it.

A string that is a task's name is a question about the task where it is compared, where it names a case, or where it stands beside
another task's name in a list, a table or a class. "keypoints" also names an array of `Faces`, a column and a key of COCO files: alone in a
container, or sought in one, it counts only where the other side is called after tasks.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import pytest
from tests.architecture.house import FILES, TASKS, room, tree

AMBIGUOUS = {"keypoints"}


def questions(parsed: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, source) of every place that asks which task it is."""
    for node in ast.walk(parsed):
        if _asks(node):
            yield getattr(node, "lineno", 0), ast.unparse(node).split("\n")[0][:100]


def _asks(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        left = [node.left, *node.comparators[:-1]]
        return any(_compared(*pair) for pair in zip(left, node.ops, node.comparators, strict=True))
    if isinstance(node, ast.MatchValue):
        return _name(node.value) is not None
    if isinstance(node, ast.Dict):
        keys = [_name(key) for key in node.keys if key is not None]
        return _several(keys) or (bool(keys) and None not in keys and not set(keys) <= AMBIGUOUS)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return _several(map(_name, node.elts))
    if isinstance(node, ast.ClassDef):  # an enumeration
        return _several(_name(line.value) for line in node.body if isinstance(line, ast.Assign))
    if isinstance(node, ast.Assign | ast.AnnAssign):  # TASK = "identification", to be compared by that name
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        return isinstance(target, ast.Name) and target.id.isupper() and _name(node.value) is not None
    if isinstance(node, ast.Subscript):  # OF_TASKS["keypoints"]
        return _name(node.slice) is not None and _called_after_tasks(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:  # task.startswith("key")
        return node.func.attr in ("startswith", "endswith", "get", "__eq__") and (
            _name(node.args[0]) is not None and _called_after_tasks(node.func.value)
        )
    return False


def _compared(left: ast.expr, operation: ast.cmpop, right: ast.expr) -> bool:
    names = [name for name in (_name(left), _name(right)) if name]
    if isinstance(operation, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
        return bool(names)
    if not isinstance(operation, ast.In | ast.NotIn):
        return False
    if name := _name(left):  # "keypoints" in annotation
        return name not in AMBIGUOUS or _called_after_tasks(right)
    inside = {_name(one) for one in getattr(right, "elts", ())} - {None}  # task in ("keypoints",)
    return bool(inside - AMBIGUOUS) or (bool(inside) and _called_after_tasks(left))


def _name(node: ast.AST | None) -> str | None:
    """The task that a constant names."""
    value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
    return value if value in TASKS else None


def _several(names: Iterable[str | None]) -> bool:
    return len(set(names) - {None}) > 1


def _called_after_tasks(node: ast.expr) -> bool:
    last = ast.unparse(node).removesuffix("()").split(".")[-1]
    return "task" in last.lower()


@pytest.mark.parametrize("module", [name for name in FILES if room(name) != "tasks"])
def test_no_task_is_asked_for_by_name(module: str) -> None:
    wrong = [f"src/facelearn/{module}.py:{line}: {source}" for line, source in questions(tree(module))]
    assert not wrong, "let the task answer instead (src/facelearn/tasks/task.py):\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    [
        "recipe.task == 'keypoints'",
        "'identification' != bundle.task",
        "a if facts.get('task') == 'verification' else b",
        "task in ('keypoints',)",
        "kind not in {'identification'}",
        "'keypoints' in known_tasks",
        "'identification' in names",
        "runs = {'keypoints': a, 'identification': b}",
        "defaults = {'identification': {}}",
        "output = {'keypoints': 'points'}[bundle.task], _TASKS['keypoints']",
        "Literal['keypoints', 'identification']",
        "match task:\n    case 'keypoints': pass",
        "match task:\n    case 'folds' | 'identification': pass",
        "class Task(StrEnum):\n    keypoints = 'keypoints'\n    identification = 'identification'",
        "PEOPLE = 'identification'",
        "recipe.task.startswith('keypoints')",
    ],
)
def test_a_question_is_seen(code: str) -> None:
    assert list(questions(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "for name in ('keypoints', 'identity'): pass",
        "'keypoints' in annotation and annotation['keypoints']",
        "facts = {'keypoints': [], 'images': 3}",
        "only = {'keypoints': names}",
        "curve = {'false_alarm': [], 'identification': [], 'threshold': []}",
        "name in ('keypoints', 'source')",
        "facts.get('keypoints')",
        "Recipe(task='identification')",
        "register(task='keypoints', input=(1, 96, 96))",
        "info.task == task",
    ],
)
def test_other_uses_of_the_words_are_none(code: str) -> None:
    assert not list(questions(ast.parse(code)))
