"""What a locally connected layer costs beside the batched product inside it, and beside the ways people write one.

    python benchmarks/locally_connected.py [--batch 8] [--rounds 5] [--precision 32]

DeepFace's L4, L5 and L6, forward and backward (input, weights, biases), one thread, channels_last, the training loop's allocator
setting for all. Interleaved rounds in one process; a ratio is the median of each round's.

- product: `torch.bmm` on ready-made patches, forward and backward; the least that the layer can cost.
- layer: facelearn's.
- broadcast: torch.nn.functional.unfold, a broadcast multiply and a sum; the usual snippet. It needs a multiplication's result for each
  weight and sample at once, so it runs on `--batch` samples in parts that fit into memory.
- einsum: torch.nn.functional.unfold and an einsum over positions, which becomes the same batched product; weights lie as it likes them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional

from facelearn.models.layers.locally_connected import LocallyConnected2d, patches
from facelearn.training.device import keep_freed_memory

LAYERS = {"L4": (63, 9, 1), "L5": (55, 7, 2), "L6": (25, 5, 1)}  # size, kernel, stride; 16 maps in and out
MAPS = 16
PART_BYTES = 300_000_000  # of the broadcast product


def contenders(layer: LocallyConnected2d, batch: int) -> dict[str, Callable[[], None]]:
    """Forward and backward of each, on the same numbers."""
    size, dtype = layer.image_size[0], layer.weight.dtype
    x = torch.randn(batch, MAPS, size, size).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    positions, values = layer.weight.shape[:2]
    ready = patches(x.detach(), layer.kernel, layer.stride).requires_grad_()
    ready_slope = torch.randn(positions, batch, MAPS).to(dtype)
    slope = torch.randn_like(layer(x).detach())
    flat_slope = slope.reshape(batch, MAPS, positions)
    # what the snippets keep: (out, values, positions) and (out, positions), values in unfold's order
    weight = layer.weight.detach().reshape(positions, layer.kernel, layer.kernel, MAPS, MAPS).permute(4, 3, 1, 2, 0)
    own = weight.reshape(MAPS, values, positions).contiguous().requires_grad_()
    friendly = own.detach().permute(2, 1, 0).contiguous().requires_grad_()  # the layout that einsum need not turn
    bias = layer.bias.detach().T.contiguous().requires_grad_()
    part = max(1, PART_BYTES // (own.numel() * own.element_size()))

    def clear() -> None:
        for tensor in (x, ready, own, friendly, bias, layer.weight, layer.bias):
            tensor.grad = None

    def product() -> None:
        clear()
        torch.bmm(ready, layer.weight).backward(ready_slope)

    def ours() -> None:
        clear()
        layer(x).backward(slope)

    def broadcast() -> None:
        clear()
        for start in range(0, batch, part):
            columns = functional.unfold(
                x[start : start + part], layer.kernel, stride=layer.stride
            )  # (B, values, positions)
            y = (columns.unsqueeze(1) * own).sum(2) + bias
            y.backward(flat_slope[start : start + part])

    def einsum() -> None:
        clear()
        columns = functional.unfold(x, layer.kernel, stride=layer.stride)
        y = torch.einsum("bkp,pko->bop", columns, friendly) + bias
        y.backward(flat_slope)

    check(layer, x, own, bias)
    return {"product": product, "layer": ours, "broadcast": broadcast, "einsum": einsum}


def check(layer: LocallyConnected2d, x: Tensor, own: Tensor, bias: Tensor) -> None:
    """The contenders mean the same."""
    with torch.no_grad():
        y = layer(x[:1]).flatten(2)
        columns = functional.unfold(x[:1], layer.kernel, stride=layer.stride)
        torch.testing.assert_close((columns.unsqueeze(1) * own).sum(2) + bias, y, rtol=0.05, atol=0.05)


def seconds(work: Callable[[], None]) -> float:
    """Wall clock of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print a line a layer, and all three together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, batch {options.batch}, {options.precision}, median of {options.rounds} rounds")
    print(
        f"{'':6}{'product':>9}{'layer':>9}{'broadcast':>11}{'einsum':>9}   layer/product  broadcast/layer  einsum/layer"
    )
    total: list[dict[str, float]] = [{} for _ in range(options.rounds)]
    for label, (size, kernel, stride) in LAYERS.items():
        layer = LocallyConnected2d(MAPS, MAPS, kernel, image_size=(size, size), stride=stride)
        layer = layer.to(torch.bfloat16 if options.precision == "bf16" else torch.float32)
        works = contenders(layer, options.batch)
        for work in works.values():
            work()
        rounds = [{name: seconds(work) for name, work in works.items()} for _ in range(options.rounds)]
        for all_layers, one in zip(total, rounds, strict=True):
            all_layers.update({name: all_layers.get(name, 0) + value for name, value in one.items()})
        print(line(label, rounds), flush=True)
        del works, layer
    print(line("all", total))


def line(label: str, rounds: list[dict[str, float]]) -> str:
    """Milliseconds of each contender and the three ratios."""
    shown = "".join(
        f"{1000 * median(one[name] for one in rounds):{width}.0f}"
        for name, width in (("product", 9), ("layer", 9), ("broadcast", 11), ("einsum", 9))
    )
    ratios = [
        median(one[above] / one[below] for one in rounds)
        for above, below in (("layer", "product"), ("broadcast", "layer"), ("einsum", "layer"))
    ]
    return f"{label:6}{shown}   {ratios[0]:13.2f}  {ratios[1]:15.2f}  {ratios[2]:12.2f}"


if __name__ == "__main__":
    main()
