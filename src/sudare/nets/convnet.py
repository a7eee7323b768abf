"""ConvNet-D: the net of the dataset-distillation literature."""

from __future__ import annotations

import torch
from torch import nn


class MeanPool2(nn.Module):
    """Means of 2 x 2 squares, an odd last row or column left out: ``AvgPool2d(2)``.

    In generated code it is a reshape: backwards a broadcast that fuses with what is before it,
    where pooling is a kernel of its own. On a processor, where that kernel goes pixel by pixel, it
    is sums of rows and of columns, which go by vectors (``docs/decisions``, 11).
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Half the height and width, ``[n, c, h // 2, w // 2]``."""
        height, width = images.shape[2] // 2, images.shape[3] // 2
        even = images[:, :, : 2 * height, : 2 * width]
        if not torch.compiler.is_compiling():
            if images.device.type != "cpu":
                pooled: torch.Tensor = torch.nn.functional.avg_pool2d(images, 2)
                return pooled
            rows = even[:, :, 0::2] + even[:, :, 1::2]
            return (rows[..., 0::2] + rows[..., 1::2]) * 0.25
        squares = even.unflatten(3, (width, 2)).unflatten(2, (height, 2))
        return torch.mean(squares, dim=(3, 5))


class ConvNet(nn.Module):
    """Blocks of 3 x 3 convolution, instance norm, ReLU and 2 x 2 average pooling, then linear.

    "Instance norm" is a group norm with one channel a group and no running statistics, so
    that no image sees another. Grey images of 28 pixels are padded to 32 by the first layer.

    Args:
        shape: Channels, height and width.
        classes: Number of outputs.
        width: Channels of every block.
        depth: Number of blocks.

    Source:
        Zhao, Mopuri and Bilen 2021, "Dataset condensation with gradient matching"; layout
        and padding as in the authors' code.
    """

    def __init__(
        self, shape: tuple[int, int, int], classes: int, *, width: int, depth: int
    ) -> None:
        super().__init__()
        channels, height, side = shape
        padding = 3 if channels == 1 and (height, side) == (28, 28) else 1
        height, side = height + 2 * (padding - 1), side + 2 * (padding - 1)
        layers: list[nn.Module] = []
        for block in range(depth):
            layers += [
                nn.Conv2d(channels, width, 3, padding=padding if block == 0 else 1),
                nn.GroupNorm(width, width),
                # Not in place: per-sample gradient hooks keep the activations.
                nn.ReLU(),
                MeanPool2(),
            ]
            channels, height, side = width, height // 2, side // 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width * height * side, classes)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """The flattened features before the linear layer, ``[n, width * h * w]``."""
        flat: torch.Tensor = self.features(images).flatten(1)
        return flat

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[n, classes]`` of normalised images ``[n, c, h, w]``."""
        logits: torch.Tensor = self.classifier(self.embed(images))
        return logits


def convnet(
    shape: tuple[int, int, int], classes: int, *, width: int | None, depth: int | None
) -> nn.Module:
    """ConvNet-3 of width 128 by default."""
    return ConvNet(shape, classes, width=width or 128, depth=depth or 3)
