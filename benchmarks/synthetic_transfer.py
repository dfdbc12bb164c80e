"""Do synthetic faces teach what real faces look like? A network trained on them alone is measured on the real photos of ytf.

    python benchmarks/synthetic_transfer.py --steps 1200

Prints the NME (mean distance over the 68 points, divided by the distance between the outer eye corners) of three predictors on
the same crops of the valid and test people of ytf: the mean of the synthetic training points, the mean of the real training
people's points (the stronger baseline; it has seen real labels, the network has not), and the network. Both kinds of faces are
cropped by the same rule: the square around the box of the points, 25% of its side added on every side.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facelearn.data.schema import IBUG68
from facelearn.data.synthetic import synthetic_faces
from facelearn.runs.prepare import read
from facelearn.training.device import keep_freed_memory

YTF = Path(__file__).resolve().parents[1] / "../shared/data/ytf"
MARGIN, SIDE, BATCH = 0.25, 96, 32


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.skip = nn.Identity() if inputs == outputs and stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class Network(nn.Module):
    """(B, 1, 96, 96) to (B, 68, 2) in pixels: residual stages to 12x12, back to 24x24, a soft-argmax for each point."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(
            nn.Conv2d(1, 24, 5, 2, 2, bias=False), nn.BatchNorm2d(24), nn.ReLU(True), Residual(24, 48, 2)
        )
        self.late = nn.Sequential(Residual(48, 96, 2), Residual(96, 96), Residual(96, 128, 2), Residual(128, 128))
        self.up, self.mix, self.head = nn.Conv2d(128, 48, 1), Residual(48 + 48, 64), nn.Conv2d(64, 68, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.early(x)
        coarse = F.interpolate(self.up(self.late(fine)), scale_factor=4.0, mode="bilinear")
        heat = self.head(self.mix(torch.cat([fine, coarse], 1))).float().flatten(2).softmax(-1).unflatten(2, (24, 24))
        place = (torch.arange(24, device=x.device) + 0.5) * (SIDE / 24) - 0.5
        return torch.stack([(heat.sum(2) * place).sum(-1), (heat.sum(3) * place).sum(-1)], -1)


def augment(images: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Crop by the labels with a little jitter, turn, stretch, mirror; then contrast, gamma, blur, noise, erasing, standardise."""
    count, size = len(images), images.shape[-1]
    low, high = points.amin(1), points.amax(1)
    side = (high - low).amax(1) * (1 + 2 * MARGIN) * torch.empty(count).uniform_(0.95, 1.05)
    centre = (low + high) / 2 + torch.randn(count, 2) * 0.012 * side[:, None]
    angle, stretch = torch.randn(count) * 0.10, torch.empty(count).uniform_(0.93, 1.07)
    flip = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) * side / 2, torch.sin(angle) * side / 2
    matrix = torch.stack([torch.stack([cos * flip * stretch, -sin], 1), torch.stack([sin * flip * stretch, cos], 1)], 1)
    theta = torch.cat([matrix, (centre - (size - 1) / 2)[..., None]], 2) * (2 / size)
    grid = F.affine_grid(theta, [count, 1, SIDE, SIDE], align_corners=False)
    out = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    unit = torch.linalg.solve(matrix, (points - centre[:, None]).transpose(1, 2)).transpose(1, 2)
    moved = (unit + 1) * SIDE / 2 - 0.5
    mirror = torch.from_numpy(IBUG68.mirror_index)
    moved = torch.where(flip[:, None, None] < 0, moved[:, mirror], moved)
    blurred = F.avg_pool2d(F.pad(out, (2, 2, 2, 2), mode="replicate"), 5, 1)
    share = torch.rand(count, 1, 1, 1).pow(2)
    out = out + share * (blurred - out)
    peak = out.amax((2, 3), keepdim=True) + 1e-3
    out = (out / peak).clamp(1e-4).pow(torch.exp(0.35 * torch.randn(count, 1, 1, 1)))
    out = out + torch.randn_like(out) * 0.05 * torch.rand(count, 1, 1, 1).pow(2)
    for k in range(0, count, 4):
        y, x = torch.randint(0, 76, (2,)).tolist()
        h, w = torch.randint(8, 30, (2,)).tolist()
        out[k, :, y : y + h, x : x + w] = torch.rand(1)
    return standardise(out), moved


def standardise(images: Tensor) -> Tensor:
    return (images - images.mean((1, 2, 3), keepdim=True)) / (images.std((1, 2, 3), keepdim=True) + 1e-3)


def train(faces: int, steps: int, seed: int) -> tuple[Network, np.ndarray]:
    torch.manual_seed(seed)
    started = time.perf_counter()
    data = synthetic_faces(faces, size=128, schema="ibug68", seed=seed)
    print(f"{faces} synthetic faces in {time.perf_counter() - started:.1f} s", flush=True)
    images, points = torch.from_numpy(data.images.copy())[..., 0][:, None], torch.from_numpy(data.keypoints.copy())
    network = Network().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    started, loss_sum = time.perf_counter(), 0.0
    for step in range(1, steps + 1):
        done = step / steps
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1.0, 25 * done + 0.02) * 0.5 * (1 + np.cos(np.pi * done)) + 1e-6
        chosen = torch.randint(0, len(images), (BATCH,))
        batch, target = augment(images[chosen].float(), points[chosen])
        with torch.autocast("cpu", torch.bfloat16):
            predicted = network(batch.to(memory_format=torch.channels_last))
        loss = (predicted - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update_parameters(network)
        loss_sum += float(loss.detach())
        if step % 100 == 0:
            print(
                f"step {step}: {loss_sum / 100:.2f} px, {step * BATCH / (time.perf_counter() - started):.0f} images/s",
                flush=True,
            )
            loss_sum = 0.0
    mean_points = np.mean([augment(images[:512].float(), points[:512])[1].numpy() for _ in range(4)], axis=(0, 1))
    return average.module.eval(), mean_points  # type: ignore[return-value]


@torch.no_grad()
def predict(network: Network, images: Tensor) -> np.ndarray:
    """Mean of the prediction and of the mirrored picture's."""
    mirror = torch.from_numpy(IBUG68.mirror_index)
    parts = []
    for batch in standardise(images).split(128):
        other = network(batch.flip(3))[:, mirror]
        other[..., 0] = SIDE - 1 - other[..., 0]
        parts.append((network(batch) + other) / 2)
    return torch.cat(parts).numpy()


def nme(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance over the distance between the outer eye corners, in per cent."""
    scale = np.linalg.norm(truth[:, 45] - truth[:, 36], axis=1)
    return float((np.linalg.norm(predicted - truth, axis=2).mean(1) / scale).mean() * 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=10000)
    parser.add_argument("--steps", type=int, default=1200, help="about 3 minutes on two idle cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--split",
        choices=["train", "held-out"],
        default="held-out",
        help="people of ytf measured on; tune on train only",
    )
    parser.add_argument("--save", type=Path, help="write predictions here (.npz)")
    options = parser.parse_args()
    keep_freed_memory()
    real = read(YTF, size=SIDE, crop=MARGIN, color="grey", schema="ibug68")
    with (YTF / "annotations.csv").open() as file:
        split = {row["file"]: row["split"] for row in csv.DictReader(file)}
    in_train = np.array([split[Path(str(name)).name] == "train" for name in real.source])
    chosen = in_train if options.split == "train" else ~in_train
    truth = np.asarray(real.keypoints[chosen])
    network, synthetic_mean = train(options.faces, options.steps, options.seed)
    predicted = predict(network, torch.from_numpy(real.images[chosen].copy()).permute(0, 3, 1, 2).float())
    real_mean = np.nanmean(real.keypoints[in_train], 0)
    baseline, model = nme(real_mean[None], truth), nme(predicted, truth)
    print(f"{len(truth)} real faces ({options.split}); {sum(p.numel() for p in network.parameters()):,} parameters")
    print(
        f"NME synthetic mean face {nme(synthetic_mean[None], truth):.2f}%, real mean face {baseline:.2f}%, network {model:.2f}%"
    )
    print(f"ratio to the real mean face {model / baseline:.3f}")
    if options.save:
        np.savez(options.save, images=real.images[chosen], truth=truth, predicted=predicted)


if __name__ == "__main__":
    main()
