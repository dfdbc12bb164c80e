"""What `facenet_nn1` costs beside its own convolutions and products: all that norms, pools, ReLU, maxout and the rest add.

    python benchmarks/facenet.py [--batch 4] [--rounds 7] [--size 220] [--threads 1]

Forward and backward in fp32, channels_last, the training loop's allocator setting. The convolutions and fully connected layers alone
are the network's own, each on an input of the size that it sees there, forward and backward (of the first only its weights' gradient, as in
the network). Interleaved rounds in one process; a ratio is the median of each round's. What each other kind of layer adds is
timed likewise; "torch's norm" is the network with torch.nn.LocalResponseNorm for ours.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from facelearn.models.layers.response_norm import LocalResponseNorm
from facelearn.models.zoo import build
from facelearn.training.device import keep_freed_memory

Work = Callable[[], None]
PRODUCTS = (nn.Conv2d, nn.Linear)


def whole(network: nn.Module, images: Tensor, slope: Tensor) -> Work:
    """Forward and backward of the network."""

    def work() -> None:
        network.zero_grad()
        network(images).backward(slope)

    return work


def alone(module: nn.Module, given: Tensor, first: bool) -> Work:
    """Forward and backward of one layer on what it receives in the network."""
    given = given.detach().requires_grad_(not first)
    slope = torch.randn_like(module(given).detach())  # with the memory format of the output

    def work() -> None:
        module.zero_grad()
        given.grad = None
        module(given).backward(slope)

    return work


def layers(network: nn.Module, images: Tensor) -> dict[str, list[Work]]:
    """Each layer alone, by kind."""
    found: dict[str, list[Work]] = defaultdict(list)
    received: list[tuple[nn.Module, Tensor]] = []
    handles = [
        module.register_forward_pre_hook(lambda module, inputs: received.append((module, inputs[0])))
        for module in network.modules()
        if not any(module.children())
    ]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    for number, (module, given) in enumerate(received):
        if isinstance(module, PRODUCTS):
            found["products"].append(alone(module, given, number == 0))
        elif not isinstance(module, nn.Flatten):
            found[type(module).__name__].append(alone(module, given, False))
    return found


def with_torchs_norm(network: nn.Module) -> nn.Module:
    """The network, sharing its weights, with PyTorch's own local response normalisation."""
    changed = copy.copy(network)
    changed._modules = dict(network._modules)
    for name, module in network.named_children():
        if isinstance(module, LocalResponseNorm):
            changed._modules[name] = nn.LocalResponseNorm(module.size, module.alpha, module.beta, module.k)
    return changed


def seconds(works: list[Work]) -> float:
    """Wall clock of all of them, one after the other."""
    start = time.perf_counter()
    for work in works:
        work()
    return time.perf_counter() - start


def main() -> None:
    """Print the network's time over that of its products, and what each kind of layer adds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=220)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = build("facenet_nn1", image_size=options.size).to(memory_format=torch.channels_last)
    images = torch.randn(options.batch, 3, options.size, options.size).contiguous(memory_format=torch.channels_last)
    slope = torch.randn(options.batch, 128)
    contenders = {
        "network": [whole(network, images, slope)],
        **layers(network, images),
        "with torch's norm": [whole(with_torchs_norm(network), images, slope)],
    }
    for works in contenders.values():
        seconds(works)
    rounds = [{name: seconds(works) for name, works in contenders.items()} for _ in range(options.rounds)]
    print(
        f"torch {torch.__version__}, batch {options.batch}, {options.size}x{options.size}, median of {options.rounds} rounds"
    )
    for name in contenders:
        share = median(one[name] / one["products"] for one in rounds)
        print(f"{name:20}{1000 * median(one[name] for one in rounds):9.1f} ms   {share:6.3f} of its products")


if __name__ == "__main__":
    main()
