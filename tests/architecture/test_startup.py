"""What loading facelearn costs and touches. Each case is a process of its own, because an import cannot be undone."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "facelearn"
HEAVY = {
    "torch", "lightning_fabric", "cv2", "matplotlib", "pandas", "sklearn", "skimage", "scipy", "PIL", "numpy", "onnxruntime", "onnx",
    "safetensors", "pydantic",
}  # fmt: skip
TRAIN_ONLY = {"torch", "lightning_fabric", "sklearn", "skimage", "pandas", "onnx", "onnxscript", "scipy", "matplotlib"}
# Rooms that work where only the core dependencies are installed; drawing a report needs matplotlib, but not torch.
WITHOUT_TRAIN = (
    "facelearn.data.schema", "facelearn.data.faces", "facelearn.images.decode", "facelearn.data.readers", "facelearn.splits.split",
    "facelearn.data.synthetic", "facelearn.geometry.coordinates", "facelearn.transforms.preprocess", "facelearn.geometry.affine",
    "facelearn.models.zoo", "facelearn.metrics.keypoints", "facelearn.bundle", "facelearn.prediction",
)  # fmt: skip
WITHOUT_TORCH = ("facelearn.report",)
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


@pytest.mark.parametrize("module", WITHOUT_TRAIN)
def test_room_imports_with_core_dependencies_alone(module: str) -> None:
    run(f"{REFUSE.format(refused=TRAIN_ONLY)}\nimport {module}")


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_room_imports_without_torch(module: str) -> None:
    folder = SOURCE / module.removeprefix("facelearn.").replace(".", "/")
    names = [module, *(f"{module}.{path.stem}" for path in sorted(folder.glob("[a-z]*.py")))]
    run(f"{REFUSE.format(refused={'torch', 'lightning_fabric'})}\nimport {', '.join(names)}")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_importing_a_module_changes_no_setting(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
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
