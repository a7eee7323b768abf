"""Every command line that a `--help` shows is one the command takes."""

import re
import shlex
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from sudare.audits.compare import check
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.audits.decisions.gates import parse_gate
from sudare.cli.app import app
from sudare.cli.options import choose_route, choose_routes, with_options
from tests.cli.wrong_usage import outcome

FACTORY = """import torch


def build():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
"""
# Minutes each, or a download: their configuration is checked instead.
NOT_RUN = (
    "sudare compare",
    "sudare release ",
    "sudare data fetch",
    "sudare federate simulate",
    # Processes that talk to each other: tests/routes/test_network.py runs them.
    "sudare federate rehearse",
    "sudare federate server",
    "sudare federate client",
    "sudare sweep",
    # tests/cli/test_poc.py runs it small.
    "sudare poc",
)


def helps(command):
    function = command.default_command
    yield (function.__doc__ if function else command.help) or ""
    for name in command:
        if not name.startswith("-"):
            yield from helps(command[name])


# A command spoken of by its name is no example.
NAMES = {"sudare audit", "sudare audit export", "sudare compare", "sudare release"}
SMALL = (
    "--rounds 2 --set data.pool=64 --set data.population=32 --set data.public=32 "
    "--set 'attacks.membership=[\"rmia\"]' --set 'routes.0.net={name=\"mlp\", width=8}' "
    "--set routes.0.recipe.epochs=2 --set 'routes.1.net={name=\"mlp\", width=8}'"
)
EXAMPLES = sorted(
    {line for text in helps(app) for line in re.findall(r"`(sudare [^`]+)`", text)} - NAMES
)


def words(example):
    """What follows ``sudare``, up to where a shell would redirect."""
    found = shlex.split(example)[1:]
    return found[: found.index(">")] if ">" in found else found


def parse(example):
    command, bound, *_ = app.parse_args(words(example), print_error=False, exit_on_error=False)
    return command, bound.arguments


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_taken_by_its_command(example):
    command, _ = parse(example)
    assert callable(command)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.startswith("sudare compare ")])
def test_an_example_of_compare_is_a_run_that_can_start(example):
    _, given = parse(example)
    values = choose_routes(read_toml(given.get("preset", "demo")), given.get("routes"))
    options = {"audit.canaries": list(given.get("canaries", ())) or None}
    config = load_config(apply_overrides(with_options(values, options), given.get("override", ())))
    check(config)
    named = {parse_gate(expression).release for expression in given.get("fail_on", ())} - {""}
    assert named <= {route.name for route in config.routes}


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.startswith("sudare release ")])
def test_an_example_of_release_is_one_route_and_its_settings_reach_it(example):
    _, given = parse(example)
    values = choose_route(read_toml(given.get("preset", "demo")), given["route"])
    (before,) = load_config(values).routes
    config = load_config(apply_overrides(values, given.get("override", ())))
    check(config)
    assert (config.routes[0] != before) == ("override" in given)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """``sudare`` in a folder that has what the examples name."""
    base = tmp_path_factory.mktemp("examples")
    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    for name, first in (("in", 0), ("out", 150), ("my-images", 300)):
        for row in range(first, first + 150):
            folder = base / name / str(digits.target[row])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[row]).save(folder / f"{row}.png")
    np.savez(base / "scores.npz", scores=np.arange(400.0), membership=np.arange(400) % 2)
    (base / "my").mkdir()
    (base / "my" / "nets.py").write_text(FACTORY)
    torch.manual_seed(0)
    weights = {"1.weight": torch.randn(10, 64), "1.bias": torch.zeros(10)}
    save_file(weights, base / "w.safetensors")
    patched = pytest.MonkeyPatch()
    patched.setenv("SUDARE_CACHE", str(base / "cache"))
    patched.setattr("webbrowser.open", lambda address: True)

    def sudare(line):
        # In this process: forty times Python and torch would take minutes.
        status, printed, complained = outcome(shlex.join(["sudare", *words(line)]), base)
        return SimpleNamespace(returncode=status, stdout=printed, stderr=complained)

    for line in (
        "sudare release plain --preset smoke --set data.population=100",
        "sudare release features --preset smoke --out releases/gaussian-rank10 "
        "--set 'routes.0.extractor={name=\"random-features\", size_px=16}'",
        "sudare compare --preset smoke --routes plain --out runs/demo",
        f"sudare federate simulate {SMALL}",
    ):
        done = sudare(line)
        assert done.returncode == 0, done.stderr
    shutil.copytree(base / "releases/plain/release", base / "theirs")
    yield sudare
    patched.undo()


@pytest.mark.parametrize("example", [e for e in EXAMPLES if not e.startswith(NOT_RUN)])
def test_an_example_runs_as_it_stands(run, example):
    if example == "sudare audit verify evidence/":
        run("sudare audit export runs/demo --out evidence/")
    done = run(example)
    # 1 and 3 are answers of an audit: a gate fails, or is undecided.
    asks = "--fail-on" in example or "--require" in example
    allowed = {0, 1, 3} if asks else {0}
    assert done.returncode in allowed, done.stdout + done.stderr
