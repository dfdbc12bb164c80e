"""Keypoints of every frame of a clip: 3-D networks, and a smoother of tracks, against the per-frame model, on people held out.

    python benchmarks/clips.py ../shared/data/ytf [--epochs 12] [--seed 0] [--threads 1]

The data is a wide CSV of video frames whose names end in tr0, te0, tr1, te1 or tr2 and whose `split` column goes by person. That order is
in time: it makes the labels' path through a video shortest more often than chance (the script prints how often). A clip has five places,
of which three or four hold a frame; an empty one shows the frame before it, and its labels are missing. Frames are far apart: a point
moves by about a seventh of the face from one to the next. All models have the same blocks and see the same frames, augmentation, epochs
and loss; the per-frame model is the clip network with one frame under each kernel. It is trained twice, on frames in any order, and on
the clips' batches, in which a clip's frames stand together and are varied alike. The smoother learns from the labelled tracks of the
training people plus what the per-frame model gets wrong on the tracks of the people of "valid", whom it has not seen, drawn at random.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.data.faces import Faces
from facelearn.geometry.coordinates import from_unit, to_unit
from facelearn.losses import LossSum
from facelearn.losses.keypoints import masked_l1
from facelearn.metrics.keypoints import keypoint_metrics, mean_face, paired_bootstrap
from facelearn.models.layers.profile import profile
from facelearn.models.networks.clips import clip_keypoints
from facelearn.models.networks.temporal import track_smoother
from facelearn.runs.prepare import read_with_report
from facelearn.training.device import describe_machine, keep_freed_memory
from facelearn.transforms.augment.variation import Augment, AugmentSettings

SIZE, PLACES, BATCH_FRAMES = 64, ("tr0", "te0", "tr1", "te1", "tr2"), 64
Predictions = NDArray[np.float64]


class Result(NamedTuple):
    """What a model found (N, K, 2) in pixels, and what it cost."""

    found: Predictions
    parameters: int
    multiply_adds: float
    seconds: float


def clips_of(faces: Faces) -> NDArray[np.int64]:
    """(V, 5) rows of `faces` in the order of time, -1 where a video has no such frame."""
    place = np.asarray([PLACES.index(Path(source).stem.rsplit("_", 1)[1]) for source in faces.source])
    videos, number = np.unique(faces.group, return_inverse=True)
    clips = np.full((len(videos), len(PLACES)), -1)
    clips[number, place] = np.arange(len(faces))
    return clips


def shortest_in_this_order(faces: Faces, clips: NDArray[np.int64]) -> float:
    """Share of the videos of four frames in which no other place of the te frame makes the labels' path shorter."""

    def length(rows: list[int]) -> float:
        points = faces.keypoints[rows]
        return float(np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1).sum())

    shortest = []
    for clip in clips[(clips >= 0).sum(1) == 4]:
        extra = int(clip[1] if clip[1] >= 0 else clip[3])
        others = [int(row) for row in clip[[0, 2, 4]] if row >= 0]
        paths = [length([*others[:i], extra, *others[i:]]) for i in range(len(others) + 1)]
        shortest.append(int(np.argmin(paths)) == (1 if clip[1] >= 0 else 2))
    return float(np.mean(shortest))


def tensors(faces: Faces, clips: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """uint8 images (V, T, H, W) and pixels (V, T, K, 2), NaN where a clip has no frame."""
    shown = clips.copy()
    for place in range(1, clips.shape[1]):
        shown[:, place] = np.where(clips[:, place] < 0, shown[:, place - 1], clips[:, place])
    shown = np.where(shown < 0, clips.max(1, keepdims=True), shown)  # nothing before it: any frame of the video
    points = np.where((clips >= 0)[:, :, None, None], faces.keypoints[shown], np.nan)
    return torch.from_numpy(faces.images[shown][..., 0]), torch.from_numpy(points.astype(np.float32))


def standardised(images: Tensor) -> Tensor:
    """(B, T, H, W) of 0 .. 255 -> (B, 1, T, H, W), each frame of mean 0 and deviation 1."""
    mean, deviation = images.mean((2, 3), keepdim=True), images.std((2, 3), keepdim=True)
    return ((images - mean) / deviation.clamp(min=1))[:, None]


def fit(model: nn.Module, loss: Callable[[Tensor], LossSum], rows: int, batch: int, epochs: int) -> float:
    """Train by `loss(row numbers)`; returns seconds of processor time, which other work on the machine does not lengthen."""
    start = time.process_time()
    steps = epochs * -(-rows // batch)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    model.train()
    for _ in range(epochs):
        for some in torch.randperm(rows).split(batch):
            optimiser.zero_grad()
            loss(some).mean().backward()
            optimiser.step()
            schedule.step()
    model.eval()
    return time.process_time() - start


def fit_images(model: nn.Module, faces: Faces, clips: NDArray[np.int64], epochs: int) -> float:
    """Train a clip network, each clip varied as a whole."""
    images, points = tensors(faces, clips)
    augment = Augment(AugmentSettings(), faces.schema)  # frames in the place of channels: one draw for a clip

    def loss(rows: Tensor) -> LossSum:
        varied, moved = augment(images[rows], points[rows])
        target = to_unit(moved, SIZE, SIZE).flatten(2)  # (B, T, 2K)
        return masked_l1(model(standardised(varied)).flatten(0, 1), target.flatten(0, 1))

    frames = (clips >= 0).sum() / len(clips)
    return fit(model, loss, len(clips), round(BATCH_FRAMES / frames), epochs)


@torch.no_grad()
def predict(model: nn.Module, faces: Faces, clips: NDArray[np.int64]) -> Predictions:
    """(N, K, 2) pixels of every face of `faces` that stands in `clips`, NaN for the others."""
    images, _ = tensors(faces, clips)
    found = torch.cat([model(standardised(part.float())) for part in images.split(64)]).unflatten(2, (-1, 2))
    return scatter(from_unit(found, SIZE, SIZE), clips, len(faces))


def scatter(points: Tensor, clips: NDArray[np.int64], rows: int) -> Predictions:
    """Clips' points (V, T, K, 2) as (N, K, 2) by the row of each frame."""
    result = np.full((rows, *points.shape[2:]), np.nan)
    result[clips[clips >= 0]] = points.double().numpy()[clips >= 0]
    return result


def tracks(points: NDArray[np.floating], clips: NDArray[np.int64]) -> Tensor:
    """(N, K, 2) pixels as tracks (V, 2K, T) in unit coordinates, NaN where a clip has no frame."""
    placed = np.where((clips >= 0)[:, :, None, None], points[clips], np.nan)
    return torch.from_numpy(to_unit(placed.astype(np.float32), SIZE, SIZE)).flatten(2).transpose(1, 2)


def fit_tracks(model: nn.Module, wanted: Tensor, errors: Tensor, faces: Faces, epochs: int) -> float:
    """Train a smoother from labelled tracks (V, 2K, T) plus errors (M, 2K, T) to the labelled tracks.

    Half of the pairs are mirrored, half run backwards, and a tenth of the frames is lost.
    """
    order = torch.from_numpy(faces.schema.mirror_index.copy())

    def loss(rows: Tensor) -> LossSum:
        wrong = wanted[rows] + errors[torch.randint(len(errors), (len(rows),))]
        pair = torch.stack([wrong, wanted[rows]]).unflatten(2, (-1, 2))  # (2, B, K, 2, T)
        mirrored = pair[:, :, order] * torch.tensor([-1.0, 1.0])[:, None]
        pair = torch.where(torch.rand(len(rows), 1, 1, 1) < 0.5, mirrored, pair)
        pair = torch.where(torch.rand(len(rows), 1, 1, 1) < 0.5, pair.flip(-1), pair).flatten(2, 3)
        track = torch.where(torch.rand(len(rows), 1, len(PLACES)) < 0.1, torch.nan, pair[0])
        return masked_l1(*(points.transpose(1, 2).flatten(0, 1) for points in (model(track), pair[1])))

    return fit(model, loss, len(wanted), 32, epochs)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    run(arguments.data, arguments.epochs)


def run(data: Path, epochs: int) -> None:
    read = read_with_report(data, size=SIZE, color="grey", schema="ibug68")
    train, valid, test = (read.faces[read.split == name] for name in ("train", "valid", "test"))
    people = [set(part.identity) for part in (train, valid, test)]
    assert not (people[0] & people[2] or people[0] & people[1] or people[1] & people[2])
    clips, unseen, held_out = clips_of(train), clips_of(valid), clips_of(test)
    print(describe_machine())
    print(
        f"{len(clips)} clips of {len(people[0])} people to train, {len(held_out)} of {len(people[2])} held out; "
        f"the order of names is the shortest path in {shortest_in_this_order(train, clips):.0%} (by chance 25%)"
    )
    outputs = 2 * len(train.schema)
    mean = np.broadcast_to(mean_face(train.keypoints), test.keypoints.shape).astype(np.float64)
    results = {"mean face": Result(mean, 0, 0.0, 0.0)}
    networks = {}
    for name, options, whole in (
        ("per frame", {"stem_frames": 1}, False),
        ("per frame, in clips", {"stem_frames": 1}, True),
        ("3-D stem", {"stem_frames": 3}, True),
        ("3-D throughout", {"stem_frames": 3, "block_frames": 3}, True),
    ):
        networks[name] = network = clip_keypoints(outputs=outputs, **options)
        seconds = fit_images(network, train, clips if whole else single(clips), epochs)
        cost = multiply_adds(network, (1, len(PLACES), SIZE, SIZE))
        results[name] = Result(predict(network, test, held_out), parameters(network), cost, seconds)
    smoother = track_smoother(outputs=outputs, dilations=(1, 2))
    found = predict(networks["per frame"], valid, unseen)
    errors = tracks(found, unseen) - tracks(valid.keypoints, unseen)
    seconds = fit_tracks(smoother, tracks(train.keypoints, clips), errors, train, 10 * epochs)
    with torch.no_grad():
        smooth = smoother(tracks(results["per frame"].found, held_out)).transpose(1, 2).unflatten(2, (-1, 2))
    found = scatter(from_unit(smooth, SIZE, SIZE), held_out, len(test))
    results["per frame, smoothed"] = Result(
        found, parameters(smoother), multiply_adds(smoother, (outputs, len(PLACES))), seconds
    )
    table(results, test)


def single(clips: NDArray[np.int64]) -> NDArray[np.int64]:
    """Clips of one frame each."""
    return clips[clips >= 0][:, None]


def multiply_adds(model: nn.Module, shape: tuple[int, ...]) -> float:
    """Of one frame of a clip."""
    return sum(layer.multiply_adds for layer in profile(model, shape)) / len(PLACES)


def table(results: dict[str, Result], test: Faces) -> None:
    print(
        f"{'':<22}{'RMSE px (95%)':>24}{'NME % (95%)':>24}{'parameters':>12}{'M mult-adds/frame':>19}{'CPU s':>9}"
        f"{'  RMSE - per frame (95%)'}"
    )
    baseline = results["per frame"].found
    for name, (found, count, cost, seconds) in results.items():
        facts = keypoint_metrics(
            found, test.keypoints, schema=test.schema, width=SIZE, height=SIZE, groups=test.identity
        )
        rmse, nme = facts["rmse_error"], facts["nme_interocular_error"]
        pair = paired_bootstrap(found, baseline, test.keypoints, schema=test.schema, width=SIZE, groups=test.identity)
        print(
            f"{name:<22}{rmse['value']:>10.3f} ({rmse['low']:.3f}-{rmse['high']:.3f})"
            f"{100 * nme['value']:>10.2f} ({100 * nme['low']:.2f}-{100 * nme['high']:.2f})"
            f"{count:>12,}{cost / 1e6:>19.2f}{seconds:>9.0f}"
            + ("" if found is baseline else f"  {pair['difference']:+.3f} ({pair['low']:+.3f} to {pair['high']:+.3f})"),
            flush=True,
        )


if __name__ == "__main__":
    main()
