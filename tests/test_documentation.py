"""Every command and code block of the README and the docs runs as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)
# Whole runs in the docs beside the README's: `make test-slow`.
WHOLE = ("sudare compare", "sudare release", "sudare audit mechanism")
# Run by hand before a release: they set up the machine, or take minutes.
BY_HAND = {"make demo", "make test", "pip install -c constraints.txt -e ."}


def blocks():
    for page in PAGES:
        for index, (language, text) in enumerate(BLOCK.findall(page.read_text())):
            name = f"{page.relative_to(ROOT)}-{index}"
            long = page.name != "README.md" and any(command in text for command in WHOLE)
            marks = [pytest.mark.slow] if long else []
            yield pytest.param(language, text, id=name, marks=marks)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with what the pages speak of, and one cache for all of them."""
    base = tmp_path_factory.mktemp("reader")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("healthy", "ill")):
        folder = base / "my-images" / name
        folder.mkdir(parents=True)
        for index in range(40):
            pixels = rng.normal(90 + 60 * label, 30, size=(20, 20)).clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index:03}.png")
    # A page writes these scores itself, but its blocks may run in different processes.
    membership = np.arange(2000) < 1000
    scores = rng.normal(size=2000) + 0.5 * membership
    np.savez(base / "scores.npz", scores=scores, membership=membership)
    return base


@pytest.mark.parametrize(("language", "text"), list(blocks()))
def test_a_block_runs_as_it_stands(language, text, workplace):
    environment = {
        **os.environ,
        "SUDARE_CACHE": str(workplace / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    if language == "python":
        commands = [[sys.executable, "-c", text]]
    else:
        lines = [line for line in text.splitlines() if line.strip() and line not in BY_HAND]
        commands = [shlex.split(line) for line in lines]
    for command in commands:
        done = subprocess.run(
            command, cwd=workplace, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"


def test_commands_run_by_hand_are_still_in_the_pages():
    written = "\n".join(page.read_text() for page in PAGES).splitlines()
    assert set(written) >= BY_HAND


def test_every_relative_link_of_the_readme_leads_somewhere():
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert targets
    assert all((ROOT / target).exists() for target in targets)
