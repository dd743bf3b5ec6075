"""BiSeNet for faces, as facexlib publishes it: which of 19 parts each pixel of an aligned face belongs to.

Yu et al., "BiSeNet", 2018, with ResNet-18's second stage in the place of the spatial path. Keys and layers are those
of ``parsing_bisenet.pth`` (docs/facts/faces.md 3.6); the two heads that only training looks at are in the file, too.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, cat, nn
from torch.nn import functional as F

CLASSES = 19
_WIDTH = 128  # channels of the context path


class BiSeNet(nn.Module):
    """[N, 3, H, W], normalised as ImageNet's pictures, to [N, 19, H, W] logits. H and W: multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.cp = _ContextPath()
        self.ffm = _Fusion(2 * _WIDTH)
        self.conv_out = _head(2 * _WIDTH, 2 * _WIDTH)
        self.conv_out16 = _head(_WIDTH, 64)
        self.conv_out32 = _head(_WIDTH, 64)

    def forward(self, picture: Tensor) -> Tensor:
        logits = self.conv_out(self.ffm(*self.cp(picture)))
        return F.interpolate(logits, picture.shape[2:], mode="bilinear", align_corners=True)


class _ContextPath(nn.Module):
    """The features of an eighth of the size: ResNet's own ([N, 128, h, w]), and those that saw all of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = _ResNet18()
        self.arm16 = _Refinement(256)
        self.arm32 = _Refinement(512)
        self.conv_head32 = _convolution(_WIDTH, _WIDTH)
        self.conv_head16 = _convolution(_WIDTH, _WIDTH)
        self.conv_avg = _convolution(512, _WIDTH, kernel=1)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(picture)
        seen = self.arm32(last) + self.conv_avg(_mean(last))
        seen = self.conv_head32(F.interpolate(seen, sixteenth.shape[2:], mode="nearest"))
        seen = self.arm16(sixteenth) + seen
        return eighth, self.conv_head16(F.interpolate(seen, eighth.shape[2:], mode="nearest"))


class _ResNet18(nn.Module):
    """The features of an eighth, a sixteenth and a 32nd of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(_Block(64, 64), _Block(64, 64))
        self.layer2 = nn.Sequential(_Block(64, 128), _Block(128, 128))
        self.layer3 = nn.Sequential(_Block(128, 256), _Block(256, 256))
        self.layer4 = nn.Sequential(_Block(256, 512), _Block(512, 512))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first = F.max_pool2d(self.bn1(self.conv1(picture)).relu(), 3, stride=2, padding=1)
        eighth = self.layer2(self.layer1(first))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class _Block(nn.Module):
    """A residual block; one that widens halves the sides, too."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        stride = 1 if narrow == wide else 2
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.downsample: nn.Module | None = None
        if stride == 2:
            self.downsample = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide))

    def forward(self, features: Tensor) -> Tensor:
        change = self.bn2(self.conv2(self.bn1(self.conv1(features)).relu()))
        kept: Tensor = features if self.downsample is None else self.downsample(features)
        return (kept + change).relu()


class _Refinement(nn.Module):
    """Features whose channels are weighed by what the whole picture shows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _convolution(channels, _WIDTH)
        self.conv_atten = nn.Conv2d(_WIDTH, _WIDTH, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(_WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv(features)
        return features * self.bn_atten(self.conv_atten(_mean(features))).sigmoid()


class _Fusion(nn.Module):
    """Detail and context as one: their channels together, and weighed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convblk = _convolution(channels, channels, kernel=1)
        self.conv1 = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1, bias=False)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        both: Tensor = self.convblk(cat([detail, context], 1))
        return both * (1 + self.conv2(self.conv1(_mean(both)).relu()).sigmoid())


def _head(channels: int, middle: int) -> nn.Sequential:
    layers = {"conv": _convolution(channels, middle), "conv_out": nn.Conv2d(middle, CLASSES, 1, bias=False)}
    return nn.Sequential(OrderedDict(layers))


def _convolution(narrow: int, wide: int, kernel: int = 3) -> nn.Sequential:
    layers = {
        "conv": nn.Conv2d(narrow, wide, kernel, padding=kernel // 2, bias=False),
        "bn": nn.BatchNorm2d(wide),
        "relu": nn.ReLU(),
    }
    return nn.Sequential(OrderedDict(layers))


def _mean(features: Tensor) -> Tensor:
    """[N, C, 1, 1]"""
    return features.mean((2, 3), keepdim=True)
