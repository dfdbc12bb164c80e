"""The modules of `randwire`: a graph of separable convolutions (Xie et al., ICCV 2019). Tensors are float (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Edge = tuple[int, int]


class Node(nn.Module):
    """ReLU, separable 3x3 convolution and batch norm of the weighted sum of its inputs: (B, in, H, W) -> (B, out, H', W').

    The weight of each input is the sigmoid of a learned number, which starts at 0.
    """

    def __init__(self, inputs: int, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        # one input from the stage before comes as it is
        self.mix = nn.Parameter(torch.zeros(inputs)) if inputs else None
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Tensors of one shape -> (B, out, H', W'); sizes are rounded up at stride 2."""
        x = inputs[0]
        if self.mix is not None:
            weights = self.mix.sigmoid().unbind()
            x = x * weights[0]
            for weight, other in zip(weights[1:], inputs[1:], strict=True):
                x = torch.addcmul(x, other, weight)
        y: Tensor = self.norm(self.pointwise(self.depthwise(self.relu(x))))
        return y


class RandomStage(nn.Module):
    """A stage whose nodes feed each other along `edges`: (B, in, H, W) -> (B, out, H/2, W/2), rounded up.

    Nodes that no edge enters take the stage's input, at stride 2; the output is the mean of the nodes that no edge leaves. The
    edges are kept in the state dict (int64 (E, 2), from and to): weights refuse to load into another graph.

    Args:
        edges: (from, to) with from < to, the nodes being 0 ... nodes - 1.
    """

    edges: Tensor

    def __init__(self, edges: Sequence[Edge], nodes: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.sources = [sorted(start for start, end in edges if end == node) for node in range(nodes)]
        starts = {start for start, _ in edges}
        self.ends = [node for node in range(nodes) if node not in starts]
        self.nodes = nn.ModuleList(
            Node(len(sources), out_channels if sources else in_channels, out_channels, 1 if sources else 2)
            for sources in self.sources
        )
        self.graph = sorted(edges)
        self.register_buffer("edges", torch.tensor(self.graph, dtype=torch.int64).reshape(-1, 2))
        self.register_load_state_dict_pre_hook(_same_graph)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        results: list[Tensor] = []
        for node, sources in zip(self.nodes, self.sources, strict=True):
            results.append(node(*[results[source] for source in sources]) if sources else node(x))
        return torch.stack([results[node] for node in self.ends]).mean(0)


def _same_graph(module: Any, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
    """Before loading: the weights belong to the graph that this network has."""
    errors: list[str] = rest[-1]
    found = state.get(f"{prefix}edges")
    if found is not None and [tuple(edge) for edge in found.tolist()] != module.graph:
        errors.append(
            f"{prefix}edges: these weights belong to another graph; build the network with the seed, graph and networkx version "
            "that they were trained with"
        )


class RandWire(nn.Module):
    """Stem of two convolutions (H/4), random stages, a 1x1 convolution, the mean over positions and one fully connected layer."""

    def __init__(
        self,
        graphs: Sequence[Sequence[Edge]],
        nodes: int,
        in_channels: int,
        channels: int,
        features: int,
        outputs: int,
        dropout: nn.Module,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels // 2, 3, 2, 1, bias=False), nn.BatchNorm2d(channels // 2),
            nn.ReLU(), nn.Conv2d(channels // 2, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip
        stages = []
        width = channels
        for number, edges in enumerate(graphs):
            stages.append(RandomStage(edges, nodes, width, channels * 2**number))
            width = channels * 2**number
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, features, 1, bias=False), nn.BatchNorm2d(features),
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.dropout = dropout
        self.classifier = nn.Linear(features, outputs)

    def features(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, features), what the last layer sees."""
        flat: Tensor = self.head(self.stages(self.stem(x)))
        return flat

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, outputs)."""
        logits: Tensor = self.classifier(self.dropout(self.features(x)))
        return logits
