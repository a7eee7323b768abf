"""Checks are prepared beside the first builds, and only where there is something to prepare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sudare.audits.checks.jobs import CheckWork, prepare_checks
from sudare.core.progress import Progress, Silent
from sudare.fleets.jobs import Chain, Job
from tests.fleets.jobs import Slow


class Written:
    """An executor that writes down what it was asked for."""

    overlaps: ClassVar[bool] = False

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[Chain], str]] = []

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *of_error: object) -> None:
        pass

    def run(self, chains: Sequence[Chain], *, progress: Progress, label: str) -> None:
        self.asked.append((chains, label))


def task(name: str) -> Job:
    return Slow(name=name)


def works(*prepared: Any) -> list[CheckWork]:
    config: Any = None
    return [
        CheckWork(config=config, prepared=made, pooled=None, parts={}, threads=1)
        for made in prepared
    ]


def test_what_checks_share_is_made_first_and_builds_fill_idle_workers() -> None:
    executor, builds = Written(), [(task("build"), task("answers"))]
    prepare_checks(works(task("nets"), None), executor, progress=Silent(), beside=builds)
    assert executor.asked == [([(task("nets"),), *builds], "preparing checks, first builds")]


def test_builds_wait_for_their_own_stage_where_no_check_shares_anything() -> None:
    executor = Written()
    prepare_checks(works(None), executor, progress=Silent(), beside=[(task("build"),)])
    assert executor.asked == []
