"""Moving on without the photos: `adapt` learns the way from one model's embeddings to another's on photos that one still has."""

from __future__ import annotations

from pathlib import Path

from facelearn.bundle.adapter_file import load_adapter, save_adapter
from facelearn.errors import BundleError, DataError
from facelearn.prediction.open import OpenModel
from facelearn.runs.verify import read_as_trained
from facelearn.tasks.verification.adapter import EmbeddingAdapter, fit_adapter
from facelearn.tasks.verification.answer import Embeddings


def adapt(
    old_model: str | Path,
    new_model: str | Path,
    photos: str | Path,
    out: str | Path,
    *,
    held_out: float = 0.2,
    seed: int = 0,
    device: str = "auto",
) -> EmbeddingAdapter:
    """Learn to turn the old model's embeddings into the new one's, and write the adapter to a file.

    Args:
        old_model, new_model: files of two verification models.
        photos: a folder a person (or anything that names people), which both models embed: photos that one still has, of any people.
        out: the adapter, a `.safetensors` file.
        held_out: share of the people that measure what is lost; 0 measures nothing.
        seed: which people those are.
        device: auto, cpu or cuda.

    Returns:
        The adapter, with what is lost in `measured`.

    Raises:
        BundleError: no verification models, the same one twice, or `out` that is no .safetensors file.
        DataError: photos that cannot be read, name nobody, or show too few people.
    """
    if Path(out).suffix != ".safetensors":
        raise BundleError(f"an adapter is a .safetensors file; received {Path(out).name}")
    models = [OpenModel(model, device=device) for model in (old_model, new_model)]
    old, new = (model.comparing() for model in models)
    if old.space == new.space:
        raise BundleError(
            f"{old_model} and {new_model} give the same embeddings (space {old.space}): there is nothing to adapt"
        )
    tables = [read_as_trained(model, photos).faces for model in models]
    if tables[0].source.tolist() != tables[1].source.tolist() or tables[0].people != tables[1].people:
        raise DataError(
            f"the two models do not read the same faces from {photos}; leave out photos that cannot be read"
        )
    first, second = (model.embed(faces).vectors for model, faces in zip(models, tables, strict=True))
    adapter = fit_adapter(
        first, second, tables[0].identity, source=old.space, target=new.space, old_back_end=old.back_end, new_back_end=new.back_end,
        held_out=held_out, seed=seed,
    )  # fmt: skip
    save_adapter(adapter, out)
    return adapter


def adapt_embeddings(found: Embeddings, adapter: str | Path | EmbeddingAdapter) -> Embeddings:
    """Stored embeddings of an old model as the new model's.

    Args:
        found: as `facelearn.prediction.embedding_files.read_embeddings` gives them.
        adapter: made by `adapt`, or its file.

    Raises:
        BundleError: a file that is no adapter.
        DataError: embeddings that the adapter does not lead from.
    """
    way = adapter if isinstance(adapter, EmbeddingAdapter) else load_adapter(adapter)
    return Embeddings(
        way.adapt(found.vectors, found.space),
        way.target,
        found.source,
        found.row,
        found.skipped,
        found.notes,
        found.found,
    )
