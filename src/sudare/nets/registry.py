"""Nets by name; the only place where weights are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sudare.core.errors import ConfigError
from sudare.core.limits import MAX_SIZE_PX, MIN_SIZE_PX
from sudare.core.registry import Registry

if TYPE_CHECKING:
    from torch import nn

NETS = Registry(
    "net",
    {
        "linear": "sudare.nets.dense:linear",
        "mlp": "sudare.nets.dense:mlp",
        "convnet": "sudare.nets.convnet:convnet",
        "resnet9": "sudare.nets.resnet:resnet9",
        "resnet14": "sudare.nets.resnet:resnet14",
        "resnet18": "sudare.nets.resnet:resnet18",
        "random-features": "sudare.nets.random_features:random_features",
    },
)


class NetConfig(BaseModel):
    """Which net, and how large.

    Attributes:
        name: A name in the registry.
        width: Channels of the first block (hidden units for ``mlp``); None for the net's own.
        depth: Blocks (hidden layers for ``mlp``); None for the net's own.
        activation: What stands between layers. Scores that take a second derivative (PLIS) see
            nothing of a ReLU, which has none; the others are smooth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="convnet", description="Name of the net.")
    width: int | None = Field(default=None, ge=1, le=1024, description="Channels or units.")
    depth: int | None = Field(default=None, ge=1, le=5, description="Blocks or hidden layers.")

    activation: Literal["relu", "silu", "tanh", "softplus"] = Field(
        default="relu", description="Activation between layers; all but relu are smooth."
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in NETS:
            raise ValueError(f"there is no net {name!r}; there are: {', '.join(sorted(NETS))}")
        return name


class _Factory(Protocol):
    def __call__(
        self, shape: tuple[int, int, int], classes: int, *, width: int | None, depth: int | None
    ) -> nn.Module: ...


def build(
    config: NetConfig, *, image_shape: tuple[int, int, int], n_classes: int, seed: int
) -> nn.Module:
    """A net with weights drawn from the seed, leaving the global generator as it was.

    Args:
        config: Name and size.
        image_shape: Channels (1 or 3), height and width (8 to 128 pixels).
        n_classes: Number of outputs, at least 2.
        seed: Seed of the weights.

    Raises:
        ConfigError: Unknown net, a shape it cannot take, or no activation to change.
    """
    import torch

    channels, height, width = image_shape
    if channels not in (1, 3) or not all(
        MIN_SIZE_PX <= side <= MAX_SIZE_PX for side in (height, width)
    ):
        raise ConfigError(
            f"nets take 1 or 3 channels and {MIN_SIZE_PX} to {MAX_SIZE_PX} pixels, "
            f"not {image_shape}",
            fix="Give an image size, for example --image-size 32.",
        )
    if n_classes < 2:
        raise ConfigError("a classifier needs at least two classes", where="class_names")
    factory = cast("_Factory", NETS.load(config.name))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = factory(image_shape, n_classes, width=config.width, depth=config.depth)
    return net if config.activation == "relu" else _activated(net, config)


def _activated(net: nn.Module, config: NetConfig) -> nn.Module:
    """The net with another activation in the place of every ReLU."""
    from torch import nn

    own = {"silu": nn.SiLU, "tanh": nn.Tanh, "softplus": nn.Softplus}[config.activation]
    places = [
        (parent, name)
        for parent in net.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ReLU)
    ]
    if not places:
        raise ConfigError(
            f"the net {config.name!r} has no ReLU in whose place {config.activation} could stand",
            fix="Leave activation = 'relu'.",
        )
    for parent, name in places:
        setattr(parent, name, own())
    return net
