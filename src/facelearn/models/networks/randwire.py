"""`randwire`: networks wired by a random graph (Xie et al., "Exploring randomly wired neural networks", ICCV 2019)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from facelearn.errors import MissingExtraError, RecipeError
from facelearn.models.registry import choice, rate, register, whole_number

if TYPE_CHECKING:
    from torch import nn

GRAPHS = ("watts_strogatz", "erdos_renyi", "barabasi_albert", "chain")
ATTEMPTS = 1_000
Edge = tuple[int, int]


@register(
    task="identification",
    input=(3, 224, 224),
    outputs=1_000,
    parameters=5_603_275,
    source="Xie et al., ICCV 2019",
)
def randwire(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (224, 224),
    outputs: int = 1_000,
    graph: str = "watts_strogatz",
    seed: int = 0,
    nodes: int = 32,
    channels: int = 78,
    stages: int = 3,
    neighbours: int = 4,
    probability: float | None = None,
    attachments: int = 5,
    features: int = 1_280,
    dropout: float = 0.2,
) -> nn.Module:
    """Randomly wired network: in each stage a random graph says which separable convolution feeds which.

    Float (B, in_channels, H, W) -> logits (B, outputs); `network.features(images)` gives what the last layer sees. Any image size; each
    of the `stages` halves it (after a stem that quarters it) and doubles the maps, from `channels` on. The defaults are the
    publication's small regime, WS(4, 0.75).

    Args:
        graph: watts_strogatz (a ring in which each node knows `neighbours` others, each edge rewired with `probability`, 0.75 unless
            given), erdos_renyi (each edge exists with `probability`, 0.2 unless given) or barabasi_albert (each new node is tied to
            `attachments` of the earlier ones, preferring those with many ties). To compare with: chain, each node after the one before.
        seed: of all graphs; the same seed and options give the same network.
        nodes: of each stage's graph.
        features: maps of the last 1x1 convolution.
        dropout: rate before the last layer.

    Raises:
        RecipeError: an option out of its range, or graph options that make no connected graph.
        MissingExtraError: networkx is not installed.
    """
    name = "randwire"
    for option, value in (("channels", channels), ("features", features), ("stages", stages)):
        whole_number(name, option, value, 2 if option == "channels" else 1)
    choice(name, "graph", graph, GRAPHS)
    dropped = rate(name, "dropout", dropout)
    generator = random.Random(whole_number(name, "seed", seed, 0))
    graphs = [
        random_edges(graph, nodes, generator, neighbours=neighbours, probability=probability, attachments=attachments)
        for _ in range(stages)
    ]
    from facelearn.models.layers.blocks import Dropout
    from facelearn.models.layers.initialise import initialise
    from facelearn.models.layers.random_wiring import RandWire

    network = RandWire(graphs, nodes, in_channels, channels, features, outputs, Dropout(dropped))
    return initialise(network, "kaiming")


def random_edges(
    graph: str,
    nodes: int,
    generator: random.Random,
    *,
    neighbours: int = 4,
    probability: float | None = None,
    attachments: int = 5,
) -> list[Edge]:
    """The edges (from, to) of a connected graph, each from its lower to its higher node, sorted: a directed graph without circles.

    Graphs are drawn from `generator` until one is connected. Options as those of `randwire`.

    Raises:
        RecipeError: an option out of its range, or none of 1,000 graphs was connected.
        MissingExtraError: networkx is not installed.
    """
    try:
        import networkx
    except ImportError as error:
        raise MissingExtraError("networkx", "train") from error
    count = whole_number("randwire", "nodes", nodes, 2)
    if probability is None:
        probability = 0.75 if graph == "watts_strogatz" else 0.2
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise RecipeError(f"randwire: probability must be a number from 0 to 1; received {probability!r}")
    number = attachments if graph == "barabasi_albert" else neighbours
    if graph == "chain":
        return [(node, node + 1) for node in range(count - 1)]
    option = "attachments" if graph == "barabasi_albert" else "neighbours"
    if graph != "erdos_renyi" and whole_number("randwire", option, number) >= count:
        raise RecipeError(f"randwire: {option} must be fewer than nodes ({count}); received {number}")
    for _ in range(ATTEMPTS):
        if graph == "erdos_renyi":
            made = networkx.gnp_random_graph(count, probability, seed=generator)
        elif graph == "barabasi_albert":
            made = networkx.barabasi_albert_graph(count, number, seed=generator)
        else:
            made = networkx.watts_strogatz_graph(count, number, probability, seed=generator)
        if networkx.is_connected(made):
            return sorted((min(edge), max(edge)) for edge in made.edges)
    raise RecipeError(
        f"randwire: none of {ATTEMPTS} {graph} graphs of {count} nodes was connected; raise probability or neighbours"
    )
