"""What sets the identification and embedding networks apart; sizes and gradients of all networks stand in test_zoo."""

from __future__ import annotations

import random

import networkx
import pytest
import torch
from torch import nn

from facelearn.errors import RecipeError
from facelearn.models.layers.imagenet_parts import BasicBlock
from facelearn.models.layers.maxout import Maxout, UnitLength
from facelearn.models.layers.random_wiring import Node, RandomStage
from facelearn.models.layers.response_norm import LocalResponseNorm
from facelearn.models.layers.sizes import SizeChange, least_size
from facelearn.models.networks import randwire as randwire_file
from facelearn.models.networks.randwire import random_edges
from facelearn.models.zoo import build, model_info

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvision_resnet18_names():
    def norm(prefix):
        return [f"{prefix}.{name}" for name in NORM]

    names = ["conv1.weight", *norm("bn1")]
    for group in (1, 2, 3, 4):
        for block in (0, 1):
            prefix = f"layer{group}.{block}"
            names += [
                f"{prefix}.conv1.weight",
                *norm(f"{prefix}.bn1"),
                f"{prefix}.conv2.weight",
                *norm(f"{prefix}.bn2"),
            ]
            if group > 1 and block == 0:
                names += [f"{prefix}.downsample.0.weight", *norm(f"{prefix}.downsample.1")]
    return [*names, "fc.weight", "fc.bias"]


def test_resnet18_has_the_names_and_shapes_of_torchvision():
    with torch.device("meta"):
        state = build("resnet18", dropout=0.5).state_dict()
        embedding = build("resnet18_embedding").state_dict()
    assert list(state) == list(embedding) == torchvision_resnet18_names()
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer3.0.conv1.weight"].shape == (256, 128, 3, 3)
    assert state["layer4.0.downsample.0.weight"].shape == (512, 256, 1, 1)
    assert state["fc.weight"].shape == (1000, 512)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_vgg16_has_the_names_and_shapes_of_torchvision(dropout):
    with torch.device("meta"):
        state = build("vgg16", dropout=dropout).state_dict()
    convolutions = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    layers = [f"features.{index}" for index in convolutions] + [f"classifier.{index}" for index in (0, 3, 6)]
    assert list(state) == [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert state["features.28.weight"].shape == (512, 512, 3, 3)
    assert state["classifier.0.weight"].shape == (4096, 512 * 7 * 7)


def test_a_basic_block_adds_its_input_after_the_second_norm():
    torch.manual_seed(0)
    block, x = BasicBlock(4, 4, 1).eval(), torch.randn(2, 4, 5, 5)
    y = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    torch.testing.assert_close(block(x), torch.relu(y + x))
    down = BasicBlock(4, 8, 2).eval()
    y = down.bn2(down.conv2(torch.relu(down.bn1(down.conv1(x)))))
    torch.testing.assert_close(down(x), torch.relu(y + down.downsample(x)))


@pytest.mark.parametrize(
    ("options", "kinds"),
    [  # a rising nonlinearity and the max-pool commute, so that the pool stands before the last one
        ({}, ["ReLU", "BatchNorm2d", "MaxPool2d", "ReLU"]),
        ({"second_stage": "norm, activation"}, ["BatchNorm2d", "MaxPool2d", "ReLU"]),
        ({"second_stage": "activation, norm"}, ["ReLU", "BatchNorm2d", "MaxPool2d"]),
    ],
)
def test_what_follows_tronnets_second_convolution_is_as_printed_or_an_option(options, kinds):
    network = build("tronnet", image_size=60, **options)
    names = [type(layer).__name__ for layer in network]
    assert names[:3] == ["Conv2d", "ReLU", "Conv2d"] and names[3 : 3 + len(kinds) + 1] == [*kinds, "Conv2d"]
    printed = build("tronnet", image_size=60)
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in printed.parameters())


def test_tronnet_without_batch_norm_has_one_relu_after_each_convolution():
    with torch.device("meta"):
        network = build("tronnet", norm="none")
    assert [type(layer).__name__ for layer in network[:-1]] == [
        "Conv2d", "ReLU", "Conv2d", "MaxPool2d", "ReLU", "Conv2d", "ReLU", "Conv2d", "MaxPool2d", "ReLU", *["Conv2d", "ReLU"] * 3,
    ]  # fmt: skip
    norms = 2 * (30 + 35 + 25 + 20 + 15 + 10)
    assert sum(p.numel() for p in network.parameters()) == 458_739 - norms
    with pytest.raises(RecipeError, match="norm of tronnet"):
        build("tronnet", norm="layer")


def test_tronnets_pool_before_the_last_relu_gives_what_the_printed_order_gives():
    torch.manual_seed(0)
    network = build("tronnet", image_size=60).eval()
    conv1, _, conv2, _, norm, pool, _, *rest = network
    norm.weight.data[::2] *= -1  # a norm that turns values round is where the order would matter
    x = torch.randn(2, 3, 60, 60)
    printed = pool(torch.relu(norm(torch.relu(conv2(torch.relu(conv1(x)))))))
    torch.testing.assert_close(nn.Sequential(*rest)(printed), network(x))


def test_what_the_ml_resnet_study_says_of_its_form_can_be_tried():
    def build_small(**options):
        return build("ml_resnet", image_size=(21, 24), **options).eval()

    x, plain = torch.randn(2, 1, 21, 24), build_small()
    deeper, pooled, small = build_small(extra_blocks=2), build_small(reduction="pool"), build_small(stem_kernel=3)
    assert all(network(x).shape == (2, 30) for network in (deeper, pooled, small))
    assert len(deeper) == len(plain) + 2 and sum(isinstance(layer, nn.MaxPool2d) for layer in pooled) == 3
    assert small[0][0].kernel_size == (3, 3) and pooled[3].first[0].stride == (1, 1)
    assert build("plain_cnn", image_size=24, extra_blocks=1)[5].shortcut is None
    with pytest.raises(RecipeError, match="stem_kernel must be odd"):
        build_small(stem_kernel=4)


def test_deepface_gives_its_f7_feature():
    torch.manual_seed(0)
    network = build("deepface", image_size=72, hidden=16, outputs=5).eval()
    x = torch.randn(2, 3, 72, 72)
    feature = network.features(x)
    assert feature.shape == (2, 16) and (feature >= 0).all() and feature.any()
    torch.testing.assert_close(network.classifier(feature), network(x))


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"name": "ucsd_baseline", "nonlinearity": "tanh", "image_size": 64}, nn.Tanh),
        ({"name": "tronnet", "nonlinearity": "sigmoid", "image_size": 64}, nn.Sigmoid),
        ({"name": "deepface", "nonlinearity": "tanh", "image_size": 72, "hidden": 4}, nn.Tanh),
    ],
)
def test_nonlinearity_is_an_option(arguments, kind):
    modules = list(build(**arguments).modules())
    assert any(isinstance(module, kind) for module in modules)
    assert not any(isinstance(module, nn.ReLU) for module in modules)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("ucsd_baseline", [300]), ("tronnet", []), ("vgg16", [20, 10]), ("deepface", [64, 32]), ("facenet_nn1", [16])],
)
def test_hidden_layers_are_an_option(name, hidden):
    with torch.device("meta"):
        network = build(name, hidden=hidden, outputs=7)
    widths = [module.out_features for module in network.modules() if isinstance(module, nn.Linear)]
    assert widths == [*([2 * units for units in hidden] if name == "facenet_nn1" else hidden), 7]


def test_facenet_embeddings_have_length_one():
    torch.manual_seed(0)
    network = build("facenet_nn1", image_size=48, hidden=[16], outputs=12)
    lengths = network(torch.randn(3, 3, 48, 48)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(3))
    assert not UnitLength()(torch.zeros(1, 3)).any()


def test_maxout_is_the_largest_of_its_pieces():
    torch.manual_seed(0)
    layer, x = Maxout(5, 4, 3), torch.randn(2, 5)
    pieces = [x @ layer.product.weight[4 * p : 4 * p + 4].T + layer.product.bias[4 * p : 4 * p + 4] for p in range(3)]
    torch.testing.assert_close(layer(x), torch.stack(pieces).max(0).values)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("maps", "size", "beta"), [(9, 5, 0.75), (4, 7, 0.5), (1, 3, 0.75), (2, 5, 0.75), (6, 1, 1.0)])
def test_response_norm_and_its_gradient_are_those_of_torch(maps, size, beta, memory_format):
    torch.manual_seed(0)
    options = {"alpha": 0.3, "beta": beta, "k": 2.0}
    x = torch.randn(2, maps, 4, 3, dtype=torch.double).contiguous(memory_format=memory_format).requires_grad_()
    slope = torch.randn_like(x)
    wanted, made = nn.LocalResponseNorm(size, **options)(x), LocalResponseNorm(size, **options)(x)
    torch.testing.assert_close(made, wanted)
    gradients = [torch.autograd.grad((y * slope).sum(), x)[0] for y in (made, wanted)]
    torch.testing.assert_close(*gradients)
    with torch.no_grad():
        torch.testing.assert_close(LocalResponseNorm(size, **options)(x), wanted)


def test_response_norm_of_one_pixel_by_hand():
    x = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    y = LocalResponseNorm(3, alpha=3.0, beta=1.0, k=1.0)(x).flatten()
    torch.testing.assert_close(y, torch.tensor([1 / (1 + 5), 2 / (1 + 14), 3 / (1 + 13)]))
    with pytest.raises(ValueError, match="odd number of maps"):
        LocalResponseNorm(4)


@pytest.mark.parametrize("ceil", [False, True])
def test_sizes_are_those_of_torchs_pools(ceil):
    for kernel in range(1, 5):
        for stride in range(1, 6):
            for padding in range(kernel // 2 + 1):
                step = SizeChange("a pool", kernel, stride, padding, ceil)
                pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
                least = least_size([step])
                for size in range(1, 14):
                    try:
                        found = pool(torch.zeros(1, 1, size, size)).shape[-1]
                    except RuntimeError:
                        found = 0
                    assert max(step.after(size), 0) == found
                    assert (found > 0) == (size >= least)
                    if found:
                        fewest = step.least(found)
                        assert step.after(fewest) == found and (fewest == 1 or step.after(fewest - 1) < found)


def test_sizes_of_the_lectures_examples():
    steps = [SizeChange("depth", 3, 2, 4), SizeChange("height", 5, 1, 2), SizeChange("width", 2, 1, 0)]
    clip = nn.Conv3d(16, 33, (3, 5, 2), stride=(2, 1, 1), padding=(4, 2, 0), device="meta")
    made = clip(torch.empty(20, 16, 10, 50, 100, device="meta")).shape
    assert tuple(made) == (20, 33, *(step.after(size) for step, size in zip(steps, (10, 50, 100), strict=True)))
    assert tuple(made) == (20, 33, 8, 50, 99)
    # p = (s(o - 1) - w + k) / 2 is the padding that makes o of w
    for stride, out, width, kernel, padding in ((1, 14, 14, 3, 1), (2, 7, 14, 2, 0)):
        assert padding == (stride * (out - 1) - width + kernel) / 2
        assert SizeChange("the lecture's", kernel, stride, padding).after(width) == out


# The graphs that networkx draws are part of what a saved model means: these lists must never change.
GRAPHS = {
    ("watts_strogatz", None): [
        (0, 1), (0, 2), (0, 4), (0, 5), (0, 6), (1, 4), (1, 5), (2, 6), (3, 4), (3, 5), (3, 6), (4, 5), (4, 6), (5, 6),
    ],
    ("erdos_renyi", 0.4): [(0, 1), (0, 3), (0, 6), (1, 2), (1, 4), (1, 5), (3, 4)],
    ("barabasi_albert", None): [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (1, 3), (3, 4), (3, 5), (5, 6)],
}  # fmt: skip


@pytest.mark.parametrize(("graph", "probability"), GRAPHS)
def test_a_seed_fixes_the_graph(graph, probability):
    def drawn(seed):
        return random_edges(graph, 7, random.Random(seed), probability=probability, attachments=2)

    assert drawn(3) == GRAPHS[graph, probability]
    assert drawn(3) != drawn(4)


@pytest.mark.parametrize("graph", randwire_file.GRAPHS)
@pytest.mark.parametrize("seed", range(5))
def test_graphs_are_connected_and_lead_forwards(graph, seed):
    edges = random_edges(graph, 20, random.Random(seed))
    assert all(0 <= start < end < 20 for start, end in edges) and len(set(edges)) == len(edges)
    made = networkx.DiGraph(edges)
    assert networkx.is_directed_acyclic_graph(made) and networkx.is_weakly_connected(made) and len(made) == 20
    if graph == "watts_strogatz":
        assert len(edges) == 20 * 4 // 2
    if graph == "barabasi_albert":
        assert len(edges) == (20 - 5) * 5
    if graph == "chain":
        assert edges == [(node, node + 1) for node in range(19)]


def test_the_same_options_build_the_same_network_and_other_weights_are_refused():
    options = {"channels": 4, "nodes": 6, "features": 8, "outputs": 3}
    first, same = build("randwire", seed=2, **options), build("randwire", seed=2, **options)
    same.load_state_dict(first.state_dict())
    x = torch.randn(2, 3, 33, 20)
    torch.testing.assert_close(first.eval()(x), same.eval()(x))
    graphs = [stage.graph for stage in first.stages]
    assert graphs == [stage.graph for stage in same.stages] and graphs[0] != graphs[1]
    for graph in randwire_file.GRAPHS[1:]:
        assert build("randwire", graph=graph, **options, attachments=2, probability=0.5)(x).shape == (2, 3)
    changed = first.state_dict()
    changed["stages.0.edges"] = changed["stages.0.edges"].flip(0)
    with pytest.raises(RuntimeError, match=r"stages\.0\.edges: these weights belong to another graph"):
        same.load_state_dict(changed)


def test_a_node_weighs_its_inputs_by_sigmoids():
    torch.manual_seed(0)
    node = Node(3, 4, 4, 1).eval()
    with torch.no_grad():
        node.mix.copy_(torch.tensor([0.0, 1.0, -2.0]))
    inputs = [torch.randn(2, 4, 5, 5) for _ in range(3)]
    x = 0.5 * inputs[0] + 0.7310585786 * inputs[1] + 0.1192029220 * inputs[2]
    wanted = node.norm(node.pointwise(node.depthwise(torch.relu(x))))
    torch.testing.assert_close(node(*inputs), wanted)


def test_a_stage_follows_its_edges():
    torch.manual_seed(0)
    stage = RandomStage([(0, 2), (1, 2), (1, 3)], 4, 3, 5).eval()
    x = torch.randn(2, 3, 7, 6)
    first, second = stage.nodes[0](x), stage.nodes[1](x)
    wanted = (stage.nodes[2](first, second) + stage.nodes[3](second)) / 2
    torch.testing.assert_close(stage(x), wanted)
    assert wanted.shape == (2, 5, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"graph": "watts"}, "graph of randwire 'watts'; did you mean 'watts_strogatz'"),
        ({"nodes": 4}, r"neighbours must be fewer than nodes \(4\); received 4"),
        ({"graph": "barabasi_albert", "nodes": 5}, r"attachments must be fewer than nodes \(5\); received 5"),
        ({"probability": 1.5}, "probability must be a number from 0 to 1; received 1.5"),
        ({"graph": "erdos_renyi", "probability": 0.0}, "none of 1000 erdos_renyi graphs of 32 nodes was connected"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"channels": 1}, "channels must be a whole number of at least 2"),
    ],
)
def test_wrong_graph_options_are_met(arguments, message):
    with pytest.raises(RecipeError, match=message):
        build("randwire", **arguments)


def test_tasks():
    tasks = {name: model_info(name).task for name in ("tronnet", "resnet18", "deepface", "facenet_nn1", "randwire")}
    assert tasks.pop("facenet_nn1") == "verification" and set(tasks.values()) == {"identification"}
