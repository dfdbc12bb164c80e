"""What loading facelearn costs and touches. Each case is a process of its own, because an import cannot be undone."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.architecture.house import FILES, SOURCE, TORCH, dotted, within

HEAVY = {
    "torch", "lightning_fabric", "cv2", "matplotlib", "pandas", "sklearn", "skimage", "scipy", "PIL", "numpy", "onnxruntime", "onnx",
    "safetensors", "pydantic",
}  # fmt: skip
TRAIN_ONLY = {
    "torch", "lightning_fabric", "sklearn", "skimage", "pandas", "onnx", "onnxscript", "scipy", "matplotlib", "optuna", "networkx",
    "captum", "tomli_w",
}  # fmt: skip
# Rooms that call training, and may load torch with it; of these, what reads, measures and shows works without.
CALLS_TRAINING = ("runs", "studies", "auditing")
LIGHT = (
    "runs/evaluate", "runs/convert", "runs/prepare", "studies/definition", "studies/study_file", "studies/measures", "studies/verdicts",
    "studies/page", "studies/search_page",
    "auditing/fault", "auditing/people", "auditing/suspects", "auditing/findings", "auditing/page", "auditing/inspect",
    "auditing/patch_file", "auditing/replay", "auditing/corrected", "auditing/patch", "auditing/decisions", "auditing/queue_page",
    "auditing/name_faults", "auditing/regions", "auditing/pseudo_label",
)  # fmt: skip
# Calls that change the process for everyone; none may run while a module is imported.
SIDE_EFFECTS = {
    "setdefault", "putenv", "set_num_threads", "set_num_interop_threads", "setNumThreads", "signal", "basicConfig", "filterwarnings",
    "simplefilter", "mallopt", "seed", "manual_seed", "use",
}  # fmt: skip

REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"{{name}} is not part of this room", name=name)
sys.meta_path.insert(0, Refuse())
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "statement",
    [
        "import facelearn",
        "import facelearn; facelearn.FacelearnError; dir(facelearn)",
        "import sys; sys.argv = ['facelearn', '--help']\nfrom facelearn.cli import main\ntry: main()\nexcept SystemExit: pass",
    ],
    ids=["import", "a light name", "help"],
)
def test_starting_is_light_and_touches_nothing(statement: str) -> None:
    output = run(
        "import os, sys, threading, signal, warnings\n"
        "state = lambda: (dict(os.environ), threading.active_count(), os.getcwd(), signal.getsignal(signal.SIGINT), "
        "signal.getsignal(signal.SIGTERM), list(warnings.filters))\n"
        f"before = state()\n{statement}\nassert state() == before, 'the process changed'\n"
        f"print('LOADED', sorted({HEAVY!r} & set(sys.modules)))"
    )
    assert output.splitlines()[-1] == "LOADED []"


def test_every_module_without_tensors_imports_with_the_core_dependencies_alone() -> None:
    light = [
        module
        for module in FILES
        if not within(module, TORCH)
        and (within(module, LIGHT) or not within(module, CALLS_TRAINING))
        and module != "__main__"
    ]
    assert len(light) > 100  # the walk has seen the house
    refused = run(
        f"{REFUSE.format(refused=TRAIN_ONLY)}\nfrom importlib import import_module\n"
        f"for name in {[dotted(module) for module in light]}:\n"
        "    try: import_module(name)\n"
        "    except ModuleNotFoundError as error: print(f'{name}: {error}')"
    )
    assert not refused, refused


def test_what_is_refused_is_refused() -> None:
    attempt = "try: import facelearn.training.batches\nexcept ModuleNotFoundError as error: print(error.name)"
    assert run(f"{REFUSE.format(refused=TRAIN_ONLY)}\n{attempt}") == "torch"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_importing_a_module_changes_no_setting(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(statement, ast.With) and ast.unparse(statement.items[0]) == "warnings.catch_warnings()":
            continue  # puts back what is changed inside
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                assert name not in SIDE_EFFECTS, f"{path}:{node.lineno} calls {name} while it is imported"
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                assert ast.unparse(node.value) != "os.environ", f"{path}:{node.lineno} sets an environment variable"


def test_every_public_name_is_there_and_documented() -> None:
    import facelearn

    for name in facelearn.__all__:
        if name == "__version__":
            continue
        assert getattr(facelearn, name).__doc__, f"facelearn.{name} has no docstring"
    assert set(facelearn.__all__) <= set(dir(facelearn))
    with pytest.raises(AttributeError, match="it has Bundle"):
        facelearn.nothing  # noqa: B018


def test_type_checkers_see_the_same_public_names() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    home = next(node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOME")
    assert seen == ast.literal_eval(home.value)


def test_types_are_shipped() -> None:
    assert (SOURCE / "py.typed").exists()
    assert find_spec("facelearn") is not None
