"""What is installed from `constraints.txt` is what was resolved, extras and build included."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def test_every_dependency_is_pinned_to_a_version_it_allows():
    pins = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text()))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = described["project"]
    wanted = [
        *described["build-system"]["requires"],
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not pinned"
        assert requirement.specifier.contains(pinned[name]), f"{name} {pinned[name]}"
