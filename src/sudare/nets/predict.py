"""What a net says about images: pixels in, logits out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch

from sudare.core.arrays import ByteArray, FloatArray
from sudare.nets.normalisation import normalise

if TYPE_CHECKING:
    from jaxtyping import Float


@runtime_checkable
class AnswersPixels(Protocol):
    """A net with a shorter way to its answer than through its layers: features already at hand."""

    def answer(self, images: ByteArray, *, device: str) -> FloatArray:
        """Logits of uint8 images, ``float64 [n, C]``."""


def predict(
    net: torch.nn.Module, images: ByteArray, *, device: str, batch: int = 512
) -> Float[FloatArray, "n C"]:
    """Logits of uint8 images, ``float64 [n, C]``, without augmentation."""
    net.eval()
    if isinstance(net, AnswersPixels):
        return net.answer(images, device=device)
    parts = []
    with torch.inference_mode():
        for at in range(0, len(images), batch):
            view = torch.from_numpy(np.array(images[at : at + batch])).to(device)
            parts.append(net(normalise(view)).double().cpu().numpy())
    return np.concatenate(parts)
