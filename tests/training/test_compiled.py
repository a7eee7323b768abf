"""Generated code: where it is made, that it repeats itself, and that it learns the same."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sudare.core.errors import ConfigError
from sudare.core.progress import Silent
from sudare.fleets.builds import make_deterministic
from sudare.nets import NetConfig, build
from sudare.nets.convnet import MeanPool2
from sudare.training import Recipe, compiled
from sudare.training.compiled import forward_of, require_compiler, worth_compiling
from sudare.training.loop import TrainingData, train


def net_of(width=4):
    return build(
        NetConfig(name="convnet", width=width), image_shape=(1, 28, 28), n_classes=4, seed=0
    )


def pixels(n=128):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(n, 1, 28, 28), dtype=np.uint8)
    return images, rng.integers(4, size=n)


def test_short_trainings_stay_eager_and_long_ones_do_not():
    images = torch.from_numpy(pixels()[0])
    assert not worth_compiling(net_of(16), images, Recipe(), 10)
    assert worth_compiling(net_of(16), images, Recipe(), 10_000)
    # None of a hundred short ones alone, all of them together.
    assert worth_compiling(net_of(16), images, Recipe(), 100, expected_runs=100)
    assert not worth_compiling(net_of(16), images, Recipe(), 100)


def test_what_is_asked_for_is_done():
    images = torch.from_numpy(pixels()[0])
    net = net_of()
    assert forward_of(net, images, Recipe(compile="off"), steps=10**6) is net
    assert forward_of(net, images, Recipe(), steps=10) is net
    assert forward_of(net, images, Recipe(), steps=10**6, features=True) is net


def test_without_a_compiler_auto_is_eager_and_on_is_refused(monkeypatch):
    monkeypatch.setattr(compiled, "missing_compiler", lambda: "no C++ compiler")
    images = torch.from_numpy(pixels()[0])
    net = net_of(16)
    assert forward_of(net, images, Recipe(), steps=10**6) is net
    with pytest.raises(ConfigError, match=r"no C\+\+ compiler"):
        require_compiler(Recipe(compile="on"), device="cpu", where="recipe.compile")


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (1, 1, 7, 9), (3, 2, 2, 2)])
def test_pooling_by_reshape_is_average_pooling(monkeypatch, shape):
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    eager = MeanPool2()(images)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(MeanPool2()(images), eager)
    torch.testing.assert_close(eager, torch.nn.AvgPool2d(2)(images))


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (1, 1, 7, 9)])
def test_gradients_of_pooling_are_those_of_average_pooling(shape):
    images = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    slopes = [
        torch.autograd.grad(pool(images).square().sum(), images)[0]
        for pool in (MeanPool2(), torch.nn.AvgPool2d(2))
    ]
    torch.testing.assert_close(*slopes)
    assert torch.autograd.gradgradcheck(MeanPool2(), (images[:1, :1],))


# Torch's own: importing its compiler warns of its own old parts.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("before", [None, "torch's own"])
def test_generated_code_lies_in_the_cache_folder_of_its_owner(tmp_path, monkeypatch, before):
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    name, folder = "TORCHINDUCTOR_CACHE_DIR", tmp_path / "cache" / "compiled"
    monkeypatch.setenv("SUDARE_CACHE", str(tmp_path / "cache"))
    if before is None:
        monkeypatch.delenv(name, raising=False)
    else:
        # Torch writes its default into the environment when it is imported.
        monkeypatch.setenv(name, default_cache_dir())
    images = torch.from_numpy(pixels()[0])
    forward_of(net_of(), images, Recipe(compile="on"), steps=1)
    assert os.environ[name] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_code_is_not_read_from_a_folder_that_is_not_the_user_s(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDARE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)

    def refused(self, mode):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    images, net = torch.from_numpy(pixels()[0]), net_of(16)
    assert forward_of(net, images, Recipe(), steps=10**6) is net
    with pytest.raises(ConfigError, match="generated code cannot lie in"):
        forward_of(net, images, Recipe(compile="on"), steps=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_generated_code_lies_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDARE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "mine"))
    forward_of(net_of(), torch.from_numpy(pixels()[0]), Recipe(compile="on"), steps=1)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "mine")


@pytest.mark.slow
# Torch's own: importing its compiler warns of its own old parts.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_training_repeats_itself_and_agrees_with_eager():
    make_deterministic()
    images, labels = pixels()

    def weights(how):
        net = net_of()
        recipe = Recipe(steps=20, batch_size=32, lr=0.02, compile=how)
        data = TrainingData.of(images, labels, device="cpu")
        train(net, data, recipe, seed=0, progress=Silent())
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    one, two, eager = weights("on"), weights("on"), weights("off")
    assert torch.equal(one, two)
    torch.testing.assert_close(one, eager, atol=1e-4, rtol=0)
