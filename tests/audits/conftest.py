import pytest

from sudare.audits.compare import compare
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache


class Heard(Silent):
    """Keeps what was said."""

    def __init__(self):
        self.told = []

    def say(self, text):
        self.told.append(text)


def run_smoke(folder, cache, *overrides, progress=None):
    config = load_config(apply_overrides(read_toml("smoke"), overrides))
    return compare(
        config,
        folder,
        cache=Cache(cache),
        progress=progress or Silent(),
        command="sudare compare -c smoke",
    )


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """One smoke run for every test that only reads: its folder, cache and result."""
    base = tmp_path_factory.mktemp("smoke")
    return base / "run", base / "cache", run_smoke(base / "run", base / "cache")
