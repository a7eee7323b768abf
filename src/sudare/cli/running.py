"""What every command that compares does: run, write the report, say where it is."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sudare.audits.config import RunConfig
    from sudare.audits.record import RunResult
    from sudare.core.progress import Progress
    from sudare.report import ReportPaths


def run_and_report(
    config: RunConfig,
    folder: Path,
    *,
    cache: Path | None,
    force: bool,
    progress: Progress,
    most_minutes: float | None = None,
) -> tuple[RunResult, ReportPaths]:
    """Run a comparison, with its pages written as it goes and once more at the end.

    Args:
        config: The run.
        folder: Run folder.
        cache: Where builds are kept; the default cache if None.
        force: Replace a run of another configuration in that folder.
        progress: Where to report.
        most_minutes: Refuse what the plan foretells to take longer.
    """
    from sudare.audits.compare import compare
    from sudare.core.files import default_cache
    from sudare.fleets.cache import Cache
    from sudare.report import LANGUAGES, as_it_goes, write_report

    result = compare(
        config,
        folder,
        cache=Cache(cache or default_cache()),
        progress=progress,
        command=shlex.join(["sudare", *sys.argv[1:]]),
        after_stage=as_it_goes(),
        force=force,
        most_minutes=most_minutes,
    )
    with progress.stage("writing the report", 1):
        paths = write_report(folder, languages=LANGUAGES)
    return result, paths
