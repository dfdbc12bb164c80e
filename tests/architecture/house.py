"""The house, and the walk through it: which modules there are, in which order, and what each of them imports.

The one place that knows every module. A new file is written into `ORDER` where it belongs, or every test here fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "facelearn"

# From the top down. An import goes only to a file that stands before: further up, or on the same line further left. A folder may stand
# on several lines. An `__init__` stands here where it holds more than its docstring.
ORDER = """
errors.py
files.py
cores.py
runtime_imports.py
limits.py
outside.py
showing.py
geometry                  coordinates affine warp
images                    decode hashes quality
data                      arrays array_files checksums sides schema schema_file stored_table faces seen_rows people_names unknown_meaning stated_size
data                      listing filled coordinate_units cache
data/readers              unpacked label_files xml_files unread dialects columns simple_yaml kaggle wide_csv image_list image_folder coco_wholebody json_files coco coco_folders pts dlib_xml
data/readers              ultralytics shapes label_studio cvat labelme via mtfl celeba wflw helen muct udacity array_values parquet
data/readers              npz_arrays saved sniffing __init__
data                      pair_formats pair_lists row_pairs
data/writers              to_files to_label_studio to_cvat submission __init__
data/synthetic            numbers grid surface textures traits features camera paint labelling scene render __init__
splits                    groups leaks split within_people listed
transforms                detected framing align
transforms/steps          pixel_steps number_steps
transforms                preprocess
transforms/augment        settings dct variation
losses                    __init__ class_names classes keypoints embedding_names class_directions compared embeddings
models                    registry
models/layers             sizes locally_connected initialise blocks maxout response_norm fused cosine imagenet_parts random_wiring profile convolutional
models/networks           facelearn_keypoints facelearn_identity w207 ml_resnet ucsd deepface facenet imagenet randwire clips temporal
models                    zoo
metrics                   measure stratified keypoint_errors keypoints answers class_tables class_averages calibration open_set classes
metrics                   pair_curves pair_resamples pair_facts pairs pair_calibration ranks one_shot
report                    style shown_numbers labels tiling finished_run headline plots contact_sheet tables page run_sections
tasks                     study_numbers found settings batch task draws
tasks/keypoints           settings schemes confidence answer learn measure point_results point_text error_curves keypoint_plots best_and_worst page point_study __init__
tasks/identification      settings answer sampling learn class_results measure class_text class_plots unknown_plots confusion pictures sections page class_study __init__
tasks/verification        settings batches_of_people synthetic_people two_covariances chi_square domain back_end back_end_choice domain_choice adapter pairs_of_rows answer pair_results one_to_many baselines measure learn
tasks/verification        pair_text pair_plots embedding_map hard_pairs page pair_study __init__
tasks                     __init__
recipe                    starting_weights space defaults recipe keywords resolve
bundle                    seal document_types document file adapter_file onnx_file graph onnx onnx_int8 card __init__
detect                    face_box guesses crops detections refine finder others given __init__ fitted
detect/refiner            scenes face_networks finder_learning refiner_learning graphs
prediction                photos finding stream runtimes backends bench open __init__ embedding_files drawing predict
record                    folder results
training                  batches device contention measured_settings schedule muon
training/transfer         stages weights matching
training                  state evaluation optimiser budget budget_choice loop plan point_evidence
detect/refiner            make
runs                      train_result default_framing placing decoding prepare fit_rows train folds_summary folds deployed evaluate verify adapt convert int8 quickstart
studies                   measures claims study_file definition cell_numbers checkpoints judging verdicts suggest storage store cells pool cost_plot study_plots overview page study
studies                   search search_plots search_page search_files trial tune
explaining                opened layers network_picture architecture kernels activations saliency excite receptive face_pictures map_plots page album parts units dense explain
auditing                  fault people suspects findings page inspect
auditing                  judges residuals explanations label_faults missing_labels scheme_offsets image_faults error_split keypoint_audit
auditing                  patch_file replay corrected patch decisions queue_page name_faults people_audit audit regions pseudo_label
gallery
serve
cli                       app signals printing display options typed_settings train_command evaluate_command predict_command inspect_command
cli                       models_command card_command convert_command audit_command patch_command pseudo_label_command explain_command study_command tune_command quickstart_command verify_eval_command calibrate_command compare_command embed_command adapt_command bench_command __init__
__main__.py
"""  # noqa: E501
# The package itself names all its public functions, and fetches each where it is first used: it may know everybody.
PACKAGE = "__init__"
TASKS = ("keypoints", "identification", "verification")
# Where a tensor may be touched. What stands elsewhere works where the core dependencies alone are installed.
TORCH = (
    "losses", "models/layers", "models/networks", "transforms/augment/variation", "transforms/augment/dct", "tasks/*/learn",
    "tasks/verification/synthetic_people",
    "bundle/graph", "bundle/onnx", "detect/refiner", "training", "explaining",
)  # fmt: skip


def _read_order() -> list[str]:
    modules = []
    for line in ORDER.split("\n"):
        folder, *files = line.split() or [""]
        modules += [folder.removesuffix(".py")] if folder.endswith(".py") else [f"{folder}/{name}" for name in files]
    return modules


KNOWN = _read_order()
"""Every module in its order, as its path without `.py`: `data/faces`, `data/readers/__init__`."""
PLACE = {module: place for place, module in enumerate(KNOWN)}

FILES = {str(path.relative_to(SOURCE).with_suffix("")): path for path in sorted(SOURCE.rglob("*.py"))}
"""The file of every module that there is."""


def dotted(module: str) -> str:
    """The name that Python imports it by: `facelearn.data.readers` of `data/readers/__init__`."""
    return ".".join(["facelearn", *(part for part in module.split("/") if part != "__init__")])


_BY_DOTTED = {dotted(module): module for module in FILES}


def room(module: str) -> str:
    """The folder at the top, or the file itself that stands there: `data` of `data/readers/coco`, `errors` of `errors`."""
    return module.split("/", maxsplit=1)[0]


def within(module: str, places: tuple[str, ...] | set[str]) -> bool:
    """Whether `module` is one of `places`, or stands in a folder that is one of them; `*` stands for one folder or file."""
    return any(re.match(re.escape(place).replace(r"\*", "[^/]+") + "(/|$)", module) for place in places)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


@cache
def ours(module: str) -> tuple[tuple[int, str], ...]:
    """(line, module) of all of ours that `module` imports: at its top, inside functions, for type checkers, or by a name in quotes."""
    return tuple(imported_modules(tree(module)))


@cache
def packages(module: str, *, for_types: bool = True) -> tuple[tuple[int, str], ...]:
    """(line, package) of everything else that `module` imports; without what only type checkers see unless `for_types`."""
    return tuple(imported_packages(tree(module), for_types=for_types))


def imported_modules(parsed: ast.Module) -> Iterator[tuple[int, str]]:
    quoted_docstrings = {id(text) for text in _docstrings(parsed)}
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, _BY_DOTTED[alias.name]) for alias in node.names if alias.name in _BY_DOTTED)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            if node.module is None or node.module.split(".")[0] != "facelearn":
                continue
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                # what is not there keeps its dotted name, which stands nowhere in the order
                yield node.lineno, _BY_DOTTED.get(inner) or _BY_DOTTED.get(node.module, node.module)
        elif isinstance(node, ast.Constant) and id(node) not in quoted_docstrings:
            # import_module("facelearn.tasks.keypoints.learn"), or a table of such names
            if isinstance(node.value, str) and node.value != "facelearn" and node.value in _BY_DOTTED:
                yield node.lineno, _BY_DOTTED[node.value]
        elif isinstance(node, ast.JoinedStr):
            yield from ((node.lineno, module) for module in _matching(node))


def _matching(text: ast.JoinedStr) -> Iterator[str]:
    """Modules that an f-string may name: import_module(f"facelearn.tasks.{name}.learn")."""
    parts = [part.value if isinstance(part, ast.Constant) else None for part in text.values]
    if not str(parts[0]).startswith("facelearn."):
        return
    pattern = "".join(r"\w+" if part is None else re.escape(str(part)) for part in parts)
    yield from (module for dotted, module in _BY_DOTTED.items() if re.fullmatch(pattern, dotted))


def imported_packages(parsed: ast.Module, *, for_types: bool = True) -> Iterator[tuple[int, str]]:
    hidden: set[int] = set()
    if not for_types:
        guards = (n for n in ast.walk(parsed) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))
        hidden = {id(inner) for guard in guards for statement in guard.body for inner in ast.walk(statement)}
    for node in ast.walk(parsed):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "import_module" and node.args:
            names = [str(getattr(node.args[0], "value", ""))]
        if id(node) not in hidden:
            yield from (
                (node.lineno, name.split(".")[0]) for name in names if name and name.split(".")[0] != "facelearn"
            )


def _docstrings(parsed: ast.Module) -> Iterator[ast.Constant]:
    """Texts that stand alone as statements: docstrings of modules, classes, functions and constants."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
