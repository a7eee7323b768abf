"""VoG and PLIS: how much a record's gradients move, exactly, and no per-sample gradient is held.

A record must not see another one: nets with batch norm are refused by what trains them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sudare.core.arrays import FloatArray, IntArray
from sudare.core.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Target = Literal["logit", "prob", "loss"]
PlisVariant = Literal["A", "B"]
_BATCH = 256


def input_gradients(
    net: nn.Module,
    images: Float[torch.Tensor, "n c h w"],
    labels: Int[torch.Tensor, " n"],
    *,
    target: Target = "logit",
) -> Float[torch.Tensor, "n h w"]:
    """Gradient of each record's target by its pixels, mean over channels.

    One backward pass: records are independent, so the gradient of the sum is theirs side by side.

    Args:
        net: The net, in evaluation mode.
        images: Normalised images.
        labels: Their classes.
        target: The true class's logit (as published for ImageNet), its probability (as in the
            authors' small example), or the loss.
    """
    parts = []
    for some, own in zip(images.split(_BATCH), labels.split(_BATCH), strict=True):
        pixels = some.detach().requires_grad_()
        logits = net(pixels)
        match target:
            case "logit":
                values = logits.gather(1, own[:, None])
            case "prob":
                values = logits.softmax(dim=1).gather(1, own[:, None])
            case "loss":
                values = functional.cross_entropy(logits, own, reduction="none")
        (gradient,) = torch.autograd.grad(values.sum(), pixels)
        parts.append(gradient.mean(dim=1))
    return torch.cat(parts)


class StreamingVog:
    """Variance of gradients over checkpoints, in memory of two maps a record (Welford).

    Despite its name the published score is a standard deviation: over checkpoints, of each pixel,
    and then the mean over pixels.

    Source:
        Agarwal, D'souza and Hooker 2022, "Estimating example difficulty using variance of
        gradients". (The authors' small example divides the sum over all epochs by the length of a
        stage, so that its early, middle and late scores have a wrong mean; ours does not.)
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: torch.Tensor | None = None
        self._squares: torch.Tensor | None = None

    def add(self, gradients: Float[torch.Tensor, "n h w"]) -> None:
        """One checkpoint."""
        values = gradients.detach().double()
        if self._mean is None or self._squares is None:
            self._mean, self._squares = torch.zeros_like(values), torch.zeros_like(values)
        self._count += 1
        apart = values - self._mean
        self._mean += apart / self._count
        self._squares += apart * (values - self._mean)

    def scores(self) -> Float[FloatArray, " n"]:
        """The score of each record.

        Raises:
            ConfigError: Fewer than two checkpoints.
        """
        if self._count < 2 or self._squares is None:
            raise ConfigError("the variance of gradients needs two checkpoints at least")
        deviations = (self._squares / self._count).clamp_min(0).sqrt()
        found: FloatArray = deviations.flatten(1).mean(dim=1).cpu().numpy()
        return found


def class_normalised(
    scores: Float[FloatArray, " n"], labels: Int[IntArray, " n"]
) -> Float[FloatArray, " n"]:
    """Standard scores within each class; zero where a class does not vary.

    Means and deviations couple the records of a class: what is computed from them has not the
    sensitivity of one record, and is for the house only.
    """
    found = np.zeros(len(scores))
    for label in np.unique(labels):
        own = labels == label
        centred = scores[own] - scores[own].mean()
        spread = float(centred.std())
        # Equal scores have a spread of rounding size, by which everything would be divided.
        varies = spread > 1e-12 * float(np.abs(scores[own]).max(initial=0.0))
        found[own] = centred / spread if varies else 0.0
    return found


@dataclass
class _Seen:
    """What a layer got and gave in one pass, with a graph."""

    module: nn.Module
    inputs: torch.Tensor
    outputs: torch.Tensor


def squared_norms(
    net: nn.Module,
    images: Float[torch.Tensor, "n c h w"],
    labels: Int[torch.Tensor, " n"],
    *,
    graph: bool = False,
) -> Float[torch.Tensor, " n"]:
    """Squared norm of each record's loss gradient by all weights, from activations alone.

    For a linear layer with input a and output gradient d it is |d|^2 (|a|^2 + 1); for a
    convolution the Gram matrices of its patches and of d are multiplied entry by entry and summed;
    for a group norm the gradient itself is short enough. No per-sample gradient is held.

    Args:
        net: Made of linear layers, convolutions of one group and group norms, with anything
            without weights between them.
        images: Normalised images; they need a gradient where ``graph`` is set.
        labels: Their classes.
        graph: Whether the result may be differentiated again.

    Raises:
        ConfigError: A layer with weights of another kind, one that is used twice, pads other than
            with zeros, or learns only some of its weights.

    Source:
        Goodfellow 2015; Rochette et al. 2019; Li et al. 2022, eq. 4 (ghost norms).
    """
    seen: list[_Seen] = []
    hooks = []

    def keep(module: nn.Module, inputs: tuple[torch.Tensor, ...], outputs: torch.Tensor) -> None:
        seen.append(_Seen(module, inputs[0], outputs))

    for name, module in net.named_modules():
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        if not own:
            continue
        if type(module) not in _NORMS:
            raise ConfigError(
                f"no exact norm is known for the layer {name!r} ({type(module).__name__})",
                fix="Use linear layers, convolutions and group norms.",
            )
        _refuse_inexact(name, module)
        hooks.append(module.register_forward_hook(keep))
    try:
        logits = net(images)
    finally:
        for hook in hooks:
            hook.remove()
    if len({id(layer.module) for layer in seen}) < len(seen):
        raise ConfigError(
            "no exact norm is known where a layer is used twice",
            fix="Give each use a layer of its own.",
        )
    loss = functional.cross_entropy(logits, labels, reduction="sum")
    gradients = torch.autograd.grad(
        loss, [layer.outputs for layer in seen], create_graph=graph, retain_graph=graph
    )
    total = torch.zeros(len(images), device=images.device, dtype=images.dtype)
    for layer, gradient in zip(seen, gradients, strict=True):
        total = total + _NORMS[type(layer.module)](layer.module, layer.inputs, gradient)
    return total


def _refuse_inexact(name: str, module: nn.Module) -> None:
    """Refuse layers for which the formula would be wrong by a few percent, in silence.

    Raises:
        ConfigError: Padding other than zeros, or weights of which only some are learned.
    """
    if getattr(module, "padding_mode", "zeros") != "zeros":
        raise ConfigError(
            f"no exact norm is known for the layer {name!r}, which pads with {module.padding_mode}",
            fix="Pad with zeros.",
        )
    if not all(parameter.requires_grad for parameter in module.parameters(recurse=False)):
        raise ConfigError(
            f"no exact norm is known for the layer {name!r}, of which a part is frozen",
            fix="Freeze all of its weights or none.",
        )


def gradient_norms(
    net: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> Float[FloatArray, " n"]:
    """Norm of each record's gradient: the baseline that PLIS must be told apart from."""
    parts = [
        squared_norms(net, some, own).detach().sqrt()
        for some, own in zip(images.split(_BATCH), labels.split(_BATCH), strict=True)
    ]
    found: FloatArray = torch.cat(parts).double().cpu().numpy()
    return found


def plis(
    net: nn.Module,
    images: Float[torch.Tensor, "n c h w"],
    labels: Int[torch.Tensor, " n"],
    *,
    variant: PlisVariant = "A",
    noise_multiplier: float = 1.0,
    clip: float = 1.0,
) -> Float[torch.Tensor, "n c h w"]:
    """Privacy loss-input susceptibility: by how much a pixel moves the record's privacy loss.

    With g the record's gradient, sigma the noise multiplier and C the clipping norm, one Gaussian
    release costs rho = |g|^2 / (2 sigma^2 C^2). Variant A is d rho / dx, variant B d|g| / dx over
    sigma C. The norm is that before clipping: after it, it is constant for every clipped record.

    Args:
        net: As for ``squared_norms``; a smooth activation, for a second derivative is taken.
        images: Normalised images.
        labels: Their classes.
        variant: Which of the two.
        noise_multiplier: sigma; it cancels in any ranking within one step.
        clip: C; likewise.

    Source:
        After Mueller et al. 2022, "How do input attributes impact the privacy loss in
        differential privacy?"; the symbols could not be read and are a reconstruction.
    """
    parts = []
    for some, own in zip(images.split(_BATCH), labels.split(_BATCH), strict=True):
        pixels = some.detach().requires_grad_()
        squares = squared_norms(net, pixels, own, graph=True)
        if variant == "A":
            values = squares / (2 * noise_multiplier**2 * clip**2)
        else:
            values = squares.clamp_min(1e-24).sqrt() / (noise_multiplier * clip)
        (found,) = torch.autograd.grad(values.sum(), pixels)
        parts.append(found)
    return torch.cat(parts)


def _linear(module: nn.Module, inputs: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    squares = gradient.square().sum(dim=1)
    extra = 1.0 if getattr(module, "bias", None) is not None else 0.0
    return squares * (inputs.square().sum(dim=1) + extra)


def _convolution(module: nn.Module, inputs: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    if not isinstance(module, nn.Conv2d) or module.groups != 1:
        raise ConfigError("no exact norm is known for a convolution of several groups")
    padding = module.padding if not isinstance(module.padding, str) else (0, 0)
    if isinstance(module.padding, str) and module.padding != "valid":
        raise ConfigError("give the padding of a convolution in pixels")
    patches = functional.unfold(inputs, module.kernel_size, module.dilation, padding, module.stride)
    rows = gradient.flatten(2)
    # Whichever is smaller: the gradient itself, or the Gram matrices of patches and outputs.
    if rows.shape[1] * patches.shape[1] <= 2 * rows.shape[2] ** 2:
        whole = torch.einsum("nol,nil->noi", rows, patches).square().sum(dim=(1, 2))
    else:
        gram = torch.einsum("nil,nik->nlk", patches, patches)
        whole = (gram * torch.einsum("nol,nok->nlk", rows, rows)).sum(dim=(1, 2))
    if module.bias is None:
        return whole
    return whole + rows.sum(dim=2).square().sum(dim=1)


def _group_norm(module: nn.Module, inputs: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    if not isinstance(module, nn.GroupNorm):
        raise TypeError("a group norm was expected")
    normed = functional.group_norm(inputs, module.num_groups, None, None, module.eps)
    scale = (gradient * normed).flatten(2).sum(dim=2).square().sum(dim=1)
    offset = gradient.flatten(2).sum(dim=2).square().sum(dim=1)
    return scale + offset


_NORMS: dict[type[nn.Module], Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.GroupNorm: _group_norm,
}
