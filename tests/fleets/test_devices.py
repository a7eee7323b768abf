"""Builds on a GPU, and what determinism they lack."""

import json
import warnings

import numpy as np
import pytest

from sudare.fleets.builds import kernels_of, lacking_determinism
from sudare.fleets.cache import Cache
from sudare.fleets.executors import make_executor
from sudare.routes import make_route, parse_route
from sudare.routes.context import BuildContext
from tests.routes.test_conformance import SMALL, images


def test_kernels_without_a_deterministic_form_are_written_down_and_not_fatal(tmp_path):
    with kernels_of(tmp_path):
        warnings.warn(
            "grid_sampler_2d_backward_cuda does not have a deterministic implementation, but you "
            "set 'torch.use_deterministic_algorithms(True, warn_only=True)'.",
            UserWarning,
            stacklevel=1,
        )
    assert json.loads((tmp_path / "kernels.json").read_text()) == ["grid_sampler_2d_backward_cuda"]
    assert lacking_determinism([tmp_path, tmp_path / "other"]) == ["grid_sampler_2d_backward_cuda"]


def test_other_warnings_of_a_build_go_on(tmp_path):
    with pytest.warns(UserWarning, match="look out"), kernels_of(tmp_path):
        warnings.warn("look out", UserWarning, stacklevel=1)
    assert lacking_determinism([tmp_path]) == []


@pytest.mark.parametrize(
    ("device", "workers", "expected"), [("cuda", None, 1), ("cuda", 3, 3), ("cpu", 2, 2)]
)
def test_workers_that_are_asked_for_are_given_on_a_gpu_too(tmp_path, device, workers, expected):
    executor = make_executor("local", Cache(tmp_path), workers=workers, device=device)
    assert executor.workers == expected


@pytest.mark.cuda
def test_a_build_on_a_gpu_repeats_itself_and_resembles_the_one_on_the_cpu():
    route = make_route(parse_route({"kind": "plain", **SMALL}))
    data = images(n=96)

    def weights(device):
        made = route.build(data, BuildContext.of(data[:0], seed=3, device=device))
        return {name: value.numpy() for name, value in made.releases["plain"].tensors().items()}

    one, two, cpu = weights("cuda"), weights("cuda"), weights("cpu")
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name])
        np.testing.assert_allclose(value, cpu[name], atol=1e-2)
