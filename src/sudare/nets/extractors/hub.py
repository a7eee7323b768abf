"""Any vision backbone of `transformers`: DINOv2 and v3, ViT, ConvNeXt, by hub name or folder."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from sudare.core.errors import ConfigError
from sudare.nets.extractors.base import Extractor

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class _Pooled(nn.Module):
    """The pooled output where there is one, else the class token, else the mean over places.

    Args:
        model: The backbone.
        pooler: Whether its pooler is trained; a checkpoint of a classifier lacks it, and weights
            drawn anew at each load would make other features each time.
    """

    def __init__(self, model: nn.Module, *, pooler: bool = True) -> None:
        super().__init__()
        self.model, self.pooler = model, pooler

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        given = self.model(pixel_values=images)
        pooled = getattr(given, "pooler_output", None) if self.pooler else None
        if pooled is None:
            last = given.last_hidden_state
            pooled = last[:, 0] if last.ndim == 3 else last.mean(dim=(2, 3))
        flat: torch.Tensor = pooled.flatten(1)
        return flat


def from_hub(name: str, size_px: int, *, download: bool = True) -> Extractor:
    """A frozen backbone with safetensors weights; code that comes with a model is never run.

    Args:
        name: Name on the hub, or a local folder with ``config.json`` and ``model.safetensors``.
        size_px: Side of the square that images are resized to.
        download: Whether it may be fetched; else it must be on this machine.

    Raises:
        ConfigError: `transformers` is not installed, or the model is not at hand.
    """
    try:
        from transformers import AutoImageProcessor, AutoModel
    except ImportError as error:
        raise ConfigError(
            "transformers is not installed",
            where="extractor",
            fix="pip install 'sudare[foundation]'.",
        ) from error
    try:
        model, told = AutoModel.from_pretrained(
            name,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=not download,
            output_loading_info=True,
        )
    except (OSError, ValueError, ImportError) as error:
        how = "could not be" if download else "was named by a release alone, so it was not"
        raise ConfigError(
            f"{name!r} is neither in the local hub cache nor a folder with a model, and {how} "
            f"downloaded ({str(error).splitlines()[0][:120]})",
            where="extractor",
            fix="Give a local folder (config.json and model.safetensors), or fetch it where there "
            "is a network: `huggingface-cli download NAME`.",
        ) from error
    try:
        processor = AutoImageProcessor.from_pretrained(
            name, trust_remote_code=False, local_files_only=not download
        )
        mean, std = processor.image_mean, processor.image_std
    except (OSError, ValueError, AttributeError, ImportError):
        mean, std = None, None
    levels = [
        tuple(255.0 * float(v) for v in values)
        for values in (mean or _IMAGENET[0], std or _IMAGENET[1])
    ]
    channels = [cast("tuple[float, float, float]", values) for values in levels]
    # Of a model of images and text only the part that sees.
    seeing = cast("nn.Module", getattr(model, "vision_model", model))
    trained = not any("pooler" in str(key) for key in told.get("missing_keys", ()))
    return Extractor(
        _Pooled(seeing, pooler=trained), size_px=size_px, mean=channels[0], std=channels[1]
    )
