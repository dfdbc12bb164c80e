"""Where a run stands, written so that a kill at any moment leaves the previous state whole. No pickle: tensors and JSON.

The state carries a CRC-32 over all of it: a run must not go on with weights that a bad disk has changed.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from facelearn.errors import BundleError
from facelearn.files import whole_file, write_text
from facelearn.record.folder import RunFolder


@dataclass
class Progress:
    """Counters of a run; with the weights and the optimiser's tensors they are all that a resumed run needs.

    Attributes:
        epochs: epochs of the whole run (fixed before the first step).
        epoch: 0-based epoch in progress.
        batch: batches of that epoch already done.
        step: optimiser steps done since the start.
        seconds: training time so far, over all sittings.
        loss_total, loss_denominator: sums over the epoch in progress.
        best_loss, best_epoch: best validation loss and its 1-based epoch.
        history: a row for each finished epoch.
        data: fingerprint of the training rows, so that a run is not resumed on other data.
        label_offset: what the task measured of the labels so far, see `batches.TrainingData`.
        threads: [step, number of threads from it on], the first one at step 0; a run is repeated bit for bit only with the same ones.
        epoch_seconds: of training in the epoch in progress.
        step_facts: what the learner last said of its steps (`Learner.step_facts`).
        computed: on what and how, as `measured_settings.to_record`; the same holds for it.
    """

    epochs: int
    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    loss_total: float = 0.0
    loss_denominator: float = 0.0
    best_loss: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    data: str = ""
    label_offset: float = 0.0
    threads: list[list[int]] = field(default_factory=list)
    computed: dict[str, str] = field(default_factory=dict)
    epoch_seconds: float = 0.0
    step_facts: dict[str, float] = field(default_factory=dict)


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """Write the finished epochs as CSV, one row an epoch."""
    with whole_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        # epochs without a validation lack its columns
        names = dict.fromkeys(name for row in sorted(history, key=len, reverse=True) for name in row) or ["epoch"]
        writer = csv.DictWriter(file, fieldnames=list(names))
        writer.writeheader()
        writer.writerows(history)


def save_state(
    folder: Path,
    progress: Progress,
    models: dict[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    best: dict[str, Tensor],
) -> None:
    """Write `last.safetensors` (weights, moving average, optimiser, counters), then `state.json` and `history.csv` for people."""
    tensors = {f"best.{name}": tensor for name, tensor in best.items()}
    for role, model in models.items():
        tensors |= {f"{role}.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, slots in optimiser.state_dict()["state"].items():
        tensors |= {
            f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in slots.items() if value is not None
        }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts = json.dumps(asdict(progress))
    with whole_file(RunFolder(folder).last, sum(tensor.nbytes for tensor in tensors.values())) as scratch:
        save_file(tensors, scratch, metadata={"progress": facts, "checksum": str(_checksum(facts, tensors))})
    write_text(RunFolder(folder).state, json.dumps(json.loads(facts), indent=1))
    write_history(RunFolder(folder).history, progress.history)


def load_state(
    folder: Path, models: dict[str, nn.Module], optimiser: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]]:
    """Put the weights and the optimiser back to what `save_state` wrote; returns the counters and the best weights so far.

    Raises:
        BundleError: there is no such state, it is damaged, or it belongs to another network.
    """
    path = RunFolder(folder).last
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if metadata["checksum"] != str(_checksum(metadata["progress"], tensors)):
            raise ValueError("its checksum is another")
        progress = Progress(**json.loads(metadata["progress"]))
    except FileNotFoundError as error:
        raise BundleError(f"{folder} holds no {path.name} to resume from; start the run without --resume") from error
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError, RecursionError, OSError) as error:
        raise BundleError(
            f"{path} is damaged or no training state of this version ({error}); start the run anew with --overwrite"
        ) from error
    try:
        for role, model in models.items():
            model.load_state_dict(_below(tensors, f"{role}."))
    except RuntimeError as error:
        raise BundleError(
            f"{path} belongs to another network ({error}); start the run anew with --overwrite, or in another --out"
        ) from error
    state: dict[int, dict[str, Any]] = {}
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for name, tensor in _below(tensors, "optimiser.").items():
        index, slot = name.split(".", 1)
        if tensor.ndim:  # not a count of steps
            parameter = parameters[int(index)] if int(index) < len(parameters) else None
            if parameter is None or parameter.shape != tensor.shape:
                raise BundleError(
                    f"{path} was written with another optimiser or with other layers frozen; start the run anew with --overwrite"
                )
            # fused steps walk both in the order of memory: channels_last weights need their averages laid out alike
            tensor = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
        state.setdefault(int(index), {})[slot] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return progress, _below(tensors, "best.")


def recorded_computing(folder: Path) -> dict[str, str]:
    """`Progress.computed` of the state in `folder`; empty where there is none that can be read, which `load_state` then says."""
    recorded = _recorded(folder).get("computed")
    return {str(name): str(value) for name, value in recorded.items()} if isinstance(recorded, dict) else {}


def check_data(folder: Path, data: str) -> None:
    """The state in `folder`, if there is one, is of a run on these training rows.

    Args:
        folder: of the run.
        data: fingerprint of the rows.

    Raises:
        BundleError: it is of others.
    """
    if _recorded(folder).get("data", data) != data:
        raise BundleError(
            f"the state in {folder} was trained on other rows; give the same data and split, or another --out"
        )


def _recorded(folder: Path) -> Mapping[str, Any]:
    try:
        with safe_open(RunFolder(folder).last, framework="pt") as file:
            progress = json.loads((file.metadata() or {})["progress"])
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError, RecursionError, OSError):
        return {}
    return progress if isinstance(progress, dict) else {}


def _checksum(facts: str, tensors: dict[str, Tensor]) -> int:
    """CRC-32 over the counters and every tensor with its name, shape and kind."""
    found = zlib.crc32(facts.encode())
    for name, tensor in sorted(tensors.items()):
        found = zlib.crc32(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode(), found)
        found = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, found)
    return found


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
