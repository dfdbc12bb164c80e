"""The modules of `resnet18` and `vgg16`. Attributes are named so that the state dict has torchvision's names."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from facelearn.models.layers.blocks import Dropout


class BasicBlock(nn.Module):
    """Two 3x3 convolutions without bias, each with a batch norm, around a shortcut: (B, in, H, W) -> (B, out, H / stride, W / stride).

    The shortcut is a 1x1 convolution and a batch norm where the shape changes (He et al. 2016).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu_first, self.relu = nn.ReLU(), nn.ReLU()
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Sizes are rounded up where stride does not divide them."""
        y = self.bn2(self.conv2(self.relu_first(self.bn1(self.conv1(x)))))
        activated: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return activated


class ResNet(nn.Module):
    """A stem, four groups of basic blocks (64, 128, 256 and 512 maps), the mean over positions and one fully connected layer."""

    def __init__(self, blocks: Sequence[int], in_channels: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _group(64, 64, 1, blocks[0])
        self.layer2 = _group(64, 128, 2, blocks[1])
        self.layer3 = _group(128, 256, 2, blocks[2])
        self.layer4 = _group(256, 512, 2, blocks[3])
        self.avgpool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.dropout = Dropout(dropout)
        self.fc = nn.Linear(512, outputs)

    def features(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, 512), what the last layer sees."""
        x = self.relu(self.maxpool(self.bn1(self.conv1(x))))  # (B, 64, H/4, W/4); ReLU and max-pool commute
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 512, H/32, W/32)
        flat: Tensor = self.flatten(self.avgpool(x))
        return flat

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, outputs)."""
        logits: Tensor = self.fc(self.dropout(self.features(x)))
        return logits


def _group(in_channels: int, out_channels: int, stride: int, blocks: int) -> nn.Sequential:
    rest = [BasicBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(in_channels, out_channels, stride), *rest)


class VGG(nn.Module):
    """Groups of 3x3 convolutions, each ended by a max-pool, an average pool to 7x7 and fully connected layers."""

    def __init__(
        self, groups: Sequence[Sequence[int]], in_channels: int, outputs: int, hidden: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for group in groups:
            for maps in group:
                layers += [nn.Conv2d(in_channels, maps, 3, padding=1), nn.ReLU()]
                in_channels = maps
            layers.insert(-1, nn.MaxPool2d(2, 2))  # before the ReLU, which commutes with it: a quarter of the work
        self.features = nn.Sequential(*layers)
        self.avgpool, self.flatten = nn.AdaptiveAvgPool2d(7), nn.Flatten()
        head: list[nn.Module] = []
        inputs = in_channels * 7 * 7
        for units in hidden:  # the dropout stands there at rate 0 too: it is part of torchvision's numbering
            head += [nn.Linear(inputs, units), nn.ReLU(), Dropout(dropout)]
            inputs = units
        self.classifier = nn.Sequential(*head, nn.Linear(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, outputs)."""
        logits: Tensor = self.classifier(self.flatten(self.avgpool(self.features(x))))
        return logits
