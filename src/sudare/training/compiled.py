"""A net's forward and backward pass as generated code, where that repays its compilation."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path

import torch

from sudare.core.errors import ConfigError
from sudare.core.files import default_cache
from sudare.nets.normalisation import normalise
from sudare.training.recipe import Recipe

Forward = Callable[[torch.Tensor], torch.Tensor]

_WORTH = 9e10
"""Multiplications and additions of a training from which on loading generated code that is on the
disk is repaid within that one training (``docs/decisions``, 11)."""

SURE_BUILDS = 2
"""Builds that a worker is taken to make: the fewest that four builds on two cores come to. A
constant, so that what a build learns does not depend on how many others there are."""

_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_BACKWARD = 3
"""A step's arithmetic over that of its forward pass."""

_SHAPES = 64
"""Kinds of net one process may compile; torch stops after eight and says so on every step."""


def missing_compiler() -> str:
    """What this machine lacks to compile for its processor; empty if nothing.

    Torch writes C++ and needs a compiler and the headers of this Python.
    """
    if not any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++") if name):
        return "no C++ compiler"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "no headers of Python (Python.h)"
    return ""


def require_compiler(recipe: Recipe, *, device: str, where: str) -> None:
    """Refuse a recipe that insists on compiling where that cannot be done.

    Raises:
        ConfigError: ``compile = "on"`` on a CPU without a compiler.
    """
    if (
        recipe.compile == "on"
        and torch.device(device).type == "cpu"
        and (why := missing_compiler())
    ):
        raise ConfigError(
            f'compile is "on" and this machine has {why}',
            where=where,
            fix='Install g++ and the Python headers, or leave compile at "auto".',
        )


def worth_compiling(
    net: torch.nn.Module,
    images: torch.Tensor,
    recipe: Recipe,
    steps: int,
    *,
    expected_runs: int = 1,
) -> bool:
    """Whether a training is long enough to repay it; depends on nothing but the work.

    Args:
        net: The net.
        images: ``uint8 [n, c, h, w]`` it will learn from.
        recipe: How it learns.
        steps: Steps it will take.
        expected_runs: Trainings of this kind that the process is taken to do, this one among them.
    """
    from torch.utils.flop_counter import FlopCounterMode

    was_training = net.training
    # In evaluation mode one image is enough, and no statistic of a batch is moved by it.
    net.eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        net(normalise(images[:1]))
    net.train(was_training)
    batch = min(recipe.batch_size, len(images))
    return float(counter.get_total_flops()) * _BACKWARD * batch * steps * expected_runs >= _WORTH


def forward_of(
    net: torch.nn.Module,
    images: torch.Tensor,
    recipe: Recipe,
    *,
    steps: int,
    features: bool = False,
    expected_runs: int = 1,
) -> Forward:
    """What a training calls with a full batch: the net, or its compiled form.

    ``auto`` compiles float32 trainings on a CPU that are long enough to repay it. On a GPU it
    does not, for nobody has measured it there; a head on fixed features is one product of two
    matrices and is never compiled.

    Args:
        net: The net.
        images: What it will learn from.
        recipe: How it learns.
        steps: Steps it will take.
        features: Whether the images are features.
        expected_runs: Trainings of this kind that the process is taken to do, this one among them.

    Raises:
        ConfigError: ``compile = "on"`` on a CPU without a compiler, or without a folder of the
            user's own for what it writes.
    """
    device = images.device
    require_compiler(recipe, device=str(device), where="recipe.compile")
    if recipe.compile == "off" or features:
        return net
    if recipe.compile == "on":
        return _compiled(net)
    able = device.type == "cpu" and recipe.precision == "float32" and not missing_compiler()
    if not able or not worth_compiling(net, images, recipe, steps, expected_runs=expected_runs):
        return net
    try:
        return _Cautious(net)
    except ConfigError:
        return net


class _Cautious:
    """The compiled net, or from the first failure to compile it on the net itself."""

    def __init__(self, net: torch.nn.Module) -> None:
        self._net, self._forward = net, _compiled(net)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._forward(images)
        except TorchDynamoException:
            self._forward = self._net
        values: torch.Tensor = self._net(images)
        return values


def _compiled(net: torch.nn.Module) -> Forward:
    import torch._dynamo
    import torch._inductor.config

    _keep_code_private()
    torch._dynamo.config.recompile_limit = _SHAPES
    # A pool of compiling processes in each worker would only compete for its one core.
    torch._inductor.config.compile_threads = 1
    compiled: Forward = torch.compile(net, dynamic=False)
    return compiled


def _keep_code_private() -> None:
    """Let generated code lie in our cache folder, unless the user named another.

    It is read back as code, so nobody else may write there. Torch's own default is a folder in
    /tmp, which whoever comes first may make; torch writes it into the environment as soon as it is
    imported, from where workers inherit it.

    Raises:
        ConfigError: The folder is another user's.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    folder = default_cache() / "compiled"
    if os.environ.get(_FOLDER, default_cache_dir()) != default_cache_dir():
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only the owner may do this.
        folder.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"generated code cannot lie in {folder}: {error.strerror}",
            where="recipe.compile",
            fix=f"Name a folder of your own in SUDARE_CACHE or {_FOLDER}.",
        ) from error
    os.environ[_FOLDER] = str(folder)
