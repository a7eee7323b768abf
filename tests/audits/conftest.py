import re

import pytest

from sudare.audits.compare import compare
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache
from sudare.report import write_report


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


def english_in(folder, *brought):
    """Phrases of three English words or more on a run's Japanese page, but what a run brings.

    Args:
        folder: The run; its page is written.
        *brought: Beginnings of what configuration and data bring: titles, licences, sources.
    """
    page = write_report(folder, languages=("ja",)).internal.read_text()
    text = re.sub(r"<(style|script|pre)\b.*?</\1>", "", page, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", "\n", text)
    phrases = re.findall(r"[A-Za-z]{2,}(?:[ ,]+[A-Za-z]{2,}){2,}", text)
    return [phrase for phrase in phrases if not phrase.startswith(brought)]


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """One smoke run for every test that only reads: its folder, cache and result."""
    base = tmp_path_factory.mktemp("smoke")
    return base / "run", base / "cache", run_smoke(base / "run", base / "cache")
