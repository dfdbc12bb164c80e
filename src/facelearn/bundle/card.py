"""The model card: what a bundle is, in Markdown, from nothing but the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from facelearn.bundle.document import Bundle, to_document
from facelearn.bundle.file import load
from facelearn.bundle.onnx import load_onnx
from facelearn.errors import BundleError
from facelearn.showing import markdown_text

_LIMITS = (
    "It expects one roughly centred face, cropped as the training images were; it does not find faces and answers for any image.",
    "Its errors were measured on held-out data like its training data; measure again on your own before relying on them.",
    "Accuracy may differ between groups of people that the training data holds unevenly.",
    "It is not made for decisions on people without human review, nor for surveillance.",
)
_MOST_CELLS = 8


def card(model: Bundle | str | Path) -> str:
    """The model card as Markdown: what a model is, what it was trained on, how well it does, how to use it.

    Args:
        model: a bundle, or a model file, exported or not; every section comes from its own facts.

    Raises:
        BundleError: not a whole model file.
    """
    bundle = model if isinstance(model, Bundle) else _read(model)
    try:
        return "\n\n".join(part for part in _parts(bundle) if part) + "\n"
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"the model's facts are not what facelearn writes ({error!r}); make it again with facelearn train"
        ) from error


def _parts(bundle: Bundle) -> list[str]:
    return [
        f"# {bundle.network} ({bundle.task})",
        f"{bundle.of_task.purpose} Trained with facelearn, {markdown_text(str(bundle.created))}.".strip(),
        _section("Model", _table(("", ""), _model_rows(bundle))),
        _section("Keypoints", _keypoints(bundle)),
        _section("People", ", ".join(map(markdown_text, bundle.people))),
        _section(
            "Training data", _facts({key: value for key, value in bundle.data.items() if key not in _FOR_EVALUATION})
        ),
        _section("Metrics", _metrics(bundle.metrics)),
        _section("Int8", _facts(bundle.int8)),
        _section("Thresholds", _facts(bundle.thresholds)),
        _section("Intended use and limits", "\n".join(f"- {line}" for line in _LIMITS)),
        _section(
            "Licence",
            markdown_text(bundle.licence) or "Not stated: ask whoever trained it, for the weights and for the data.",
        ),
        _section("How to use", _usage(bundle)),
        _section("Recipe", _facts(bundle.recipe)),
        _section("Versions", _facts(bundle.versions)),
    ]


# of the training rows, kept for `evaluate` alone
_FOR_EVALUATION = ("train_rows", "mean_face")


def facts(model: str | Path) -> dict[str, Any]:
    """Everything in a model file's header as JSON values, and its number of parameters (None of an exported one, which does not say).

    Raises:
        BundleError: not a whole model file.
    """
    bundle = _read(model)
    return {**to_document(bundle), "parameters": bundle.parameters if bundle.weights else None}


def _read(model: str | Path) -> Bundle:
    return load_onnx(model).bundle if Path(model).suffix == ".onnx" else load(model)


def _model_rows(bundle: Bundle) -> list[tuple[str, str]]:
    height, width, channels = bundle.image_shape
    steps = [_step(step) for step in bundle.preprocess.to_dict().get("steps", [])]
    rows = [
        ("Task", bundle.task),
        (
            "Network",
            f"{bundle.network}({', '.join(f'{name}={value!r}' for name, value in sorted(bundle.network_args.items()))})",
        ),
        ("Parameters", f"{bundle.parameters:,}" if bundle.weights else "in the exported graph"),
        (
            "Input",
            f"{width} x {height} pixels, {'RGB' if channels == 3 else 'grey'}, uint8; other images are resized and converted",
        ),
        ("Preprocessing", ", ".join(steps) or "none"),
        ("Numbers", "int8, the first and last steps float32" if bundle.int8 else "float32"),
    ]
    rows += bundle.of_task.card_rows(bundle.answer_facts)
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
        f"{len(bundle.schema)} points, schema {markdown_text(bundle.schema.name)}, in this order: "
        + ", ".join(map(markdown_text, bundle.schema.names))
        + "."
    )


def _metrics(metrics: Mapping[str, Any]) -> str:
    """Every measured figure with its interval and what it was measured over, then the errors keypoint by keypoint.

    A group of figures of the same names, such as those of the mean face, becomes a column beside; the figures about strangers are
    further rows, and averages over people a table of their own.
    """
    metrics = {
        **metrics,
        **{f"open_set.{name}": found for name, found in _measures(metrics.get("open_set") or {}).items()},
    }
    metrics.pop("open_set", None)
    beside = {
        name: group
        for name, group in metrics.items()
        if isinstance(group, Mapping)
        and any(isinstance(found, Mapping) and "value" in found for found in group.values())
    }
    rows = [
        (name, *_measure(found), *(_measure(group.get(name, {}))[0] for group in beside.values()))
        for name, found in _measures(metrics).items()
    ]
    head = ("Metric", "Value", "95% interval", "Measured over", *(name.replace("_", " ") for name in beside))
    parts = [_table(head, rows)] if rows else ["None are recorded."]
    keypoints = [row for row in metrics.get("keypoints", ()) if isinstance(row, Mapping)]
    if keypoints:
        names = tuple(keypoints[0])
        parts.append(_table(names, [tuple(_cell(row.get(name)) for name in names) for row in keypoints]))
    averages = metrics.get("averages")
    if isinstance(averages, Mapping):
        medians = metrics.get("medians") or {}
        head = ("Over people", "Average", "Median")
        parts.append(_table(head, [(name, _cell(value), _cell(medians.get(name))) for name, value in averages.items()]))
    return "\n\n".join(parts)


def _measures(group: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The figures of a group: {"value": ..., "count": ...} or a lone number."""
    found = {name: {"value": value} if isinstance(value, int | float) else value for name, value in group.items()}
    return {name: value for name, value in found.items() if isinstance(value, Mapping) and "value" in value}


def _measure(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Value with its unit, interval, and count with what was counted."""
    interval = f"{_cell(found['low'])} to {_cell(found['high'])}" if found.get("low") is not None else ""
    value = f"{_cell(found.get('value'))} {found.get('unit', '')}".strip()
    return value, interval, f"{_cell(found['count'])} {found.get('over', '')}".strip() if "count" in found else ""


def _facts(facts: Mapping[str, Any]) -> str:
    return _table(("", ""), [(name, _cell(value)) for name, value in _flat("", facts)]) if facts else ""


def _flat(prefix: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _usage(bundle: Bundle) -> str:
    task = bundle.of_task
    answers = task.answers_file
    file = "model.safetensors" if bundle.weights else "model.onnx"
    use = f"predict {file} photos/ --out {answers}" if answers else f"compare {file} a.jpg b.jpg"
    return (
        f"```sh\nfacelearn {use}\n```\n\n"
        f'```python\nimport facelearn\n\nmodel = facelearn.open("{file}")\n{task.usage}\n```'
    )


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(markdown_text, line)) + " |" for line in lines)


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
