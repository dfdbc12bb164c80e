"""The model card: what a bundle is, in Markdown, from nothing but the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from facelearn.bundle.document import Bundle

_PURPOSE = {
    "keypoints": "Finds facial keypoints in the crop of one face.",
    "identification": "Says which of the people it was trained on a face shows.",
    "verification": "Says whether two faces are of one person.",
}
_LIMITS = (
    "It expects one roughly centred face, cropped as the training images were; it does not find faces and answers for any image.",
    "Its errors were measured on held-out data like its training data; measure again on your own before relying on them.",
    "Accuracy may differ between groups of people that the training data holds unevenly.",
    "It is not made for decisions on people without human review, nor for surveillance.",
)
_MOST_CELLS = 8


def card(bundle: Bundle) -> str:
    """The model card of `bundle` as Markdown, each section from the bundle's own facts."""
    parts = [
        f"# {bundle.network} ({bundle.task})",
        f"{_PURPOSE.get(bundle.task, '')} Trained with facelearn, {bundle.created}.".strip(),
        _section("Model", _table(("", ""), _model_rows(bundle))),
        _section("Keypoints", _keypoints(bundle)),
        _section("People", ", ".join(bundle.people)),
        _section("Training data", _facts(bundle.data)),
        _section("Metrics", _metrics(bundle.metrics)),
        _section("Thresholds", _facts(bundle.thresholds)),
        _section("Intended use and limits", "\n".join(f"- {line}" for line in _LIMITS)),
        _section("Licence", bundle.licence or "Not stated: ask whoever trained it, for the weights and for the data."),
        _section("How to use", _usage(bundle)),
        _section("Recipe", _facts(bundle.recipe)),
        _section("Versions", _facts(bundle.versions)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _model_rows(bundle: Bundle) -> list[tuple[str, str]]:
    height, width, channels = bundle.image_shape
    steps = [_step(step) for step in bundle.preprocess.to_dict().get("steps", [])]
    rows = [
        ("Task", bundle.task),
        (
            "Network",
            f"{bundle.network}({', '.join(f'{name}={value!r}' for name, value in sorted(bundle.network_args.items()))})",
        ),
        ("Parameters", f"{bundle.parameters:,}"),
        (
            "Input",
            f"{width} x {height} pixels, {'RGB' if channels == 3 else 'grey'}, uint8; other images are resized and converted",
        ),
        ("Preprocessing", ", ".join(steps) or "none"),
    ]
    if bundle.task == "keypoints":
        rows.append(("Prediction", "mean over the image and its mirror image" if bundle.mirrored else "one pass"))
        if len(bundle.schemes) > 1:
            names = ", ".join(bundle.schemes)
            rows.append(
                (
                    "Annotation schemes",
                    f"{names}; '{bundle.schemes[bundle.scheme]}' is returned unless another is asked for",
                )
            )
    return rows


def _step(step: Any) -> str:
    """One preprocessing step on a line: its name and its short options."""
    if not isinstance(step, Mapping):
        return str(step)
    options = [f"{name}={_cell(value)}" for name, value in step.items() if name != "name"]
    return f"{step.get('name', '?')}({', '.join(options)})" if options else str(step.get("name", "?"))


def _keypoints(bundle: Bundle) -> str:
    if bundle.schema is None or not len(bundle.schema):
        return ""
    return (
        f"{len(bundle.schema)} points, schema `{bundle.schema.name}`, in this order: "
        + ", ".join(bundle.schema.names)
        + "."
    )


def _metrics(metrics: Mapping[str, Any]) -> str:
    """Metrics as a table; a group of figures that names its number of labels shows it on every row."""
    rows = list(_metric_rows("", metrics, None))
    return _table(("Metric", "Value", "Labels"), rows) if rows else "None are recorded."


def _metric_rows(prefix: str, group: Mapping[str, Any], labels: Any) -> Iterator[tuple[str, str, str]]:
    labels = group.get("labels", group.get("count", labels))
    for name, value in group.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _metric_rows(f"{path}.", value, labels)
        elif name not in ("labels", "count"):
            yield path, _cell(value), "" if labels is None else _cell(labels)


def _facts(facts: Mapping[str, Any]) -> str:
    return _table(("", ""), [(name, _cell(value)) for name, value in _flat("", facts)]) if facts else ""


def _flat(prefix: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _usage(bundle: Bundle) -> str:
    if bundle.task != "keypoints":
        return '```python\nfrom facelearn import bundle\n\nmodel = bundle.load("model.safetensors")\n```'
    return (
        "```sh\nfacelearn predict model.safetensors photos/ --out points.csv\n```\n\n"
        "```python\nfrom facelearn.predict import Predictor\n\n"
        'predictor = Predictor("model.safetensors")\n'
        'points = predictor.predict("photos/").points  # float32 (N, K, 2), x and y in pixels of each photo\n```'
    )


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        shown = ", ".join(_cell(item) for item in value[:_MOST_CELLS])
        return shown if len(value) <= _MOST_CELLS else f"{shown}, ... ({len(value)} in all)"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_cell(item)}" for name, item in value.items()) or "-"
    return str(value)
