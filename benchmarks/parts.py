"""Benchmarks that are cut into parts: each leaves a committed file, and a run goes on where it was.

python -m benchmarks.NAME.run WHAT SEED     # one part
python -m benchmarks.NAME.run all           # every part that is not there yet
python -m benchmarks.NAME.run render        # README.md from the parts
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


class Parts:
    """The parts of one benchmark.

    Args:
        about: The docstring of its script, for ``--help``.
        here: Its folder; parts lie in ``parts``, the page is ``README.md``.
        what: What there is to measure: data sets, nets.
        every: The parts of ``all``, what and seed of each; in this order.
    """

    def __init__(
        self, about: str, here: Path, what: Sequence[str], every: Iterable[tuple[str, int]]
    ) -> None:
        self.parser = argparse.ArgumentParser(
            description=about, formatter_class=argparse.RawTextHelpFormatter
        )
        self.parser.add_argument("what", choices=[*what, "all", "render"])
        self.parser.add_argument("seed", nargs="?", type=int, default=0)
        self.parser.add_argument("--preset", choices=["", "smoke"], default="")
        self._here, self._every = here, list(every)

    def run(
        self,
        measured: Callable[[str, int, argparse.Namespace], dict],
        render: Callable[[], str],
        *,
        name: Callable[[str, int], str] = "{}-{}".format,
    ) -> None:
        """Measure what is asked for, keep each part as it is done, and write the page.

        Args:
            measured: One part, given what, seed and the options.
            render: The page, from the parts that are there.
            name: The name of a part's file.
        """
        options = self.parser.parse_args()
        whole = options.what == "all"
        asked = self._every if whole else [(options.what, options.seed)]
        for what, seed in asked if options.what != "render" else []:
            target = self._here / "parts" / f"{name(what, seed)}.json"
            if whole and target.exists():
                continue
            text = json.dumps(measured(what, seed, options), indent=1) + "\n"
            if options.preset:
                print(text)
                return
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
            (self._here / "README.md").write_text(render())
        (self._here / "README.md").write_text(render())
