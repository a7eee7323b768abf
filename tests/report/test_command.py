from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from sudare.cli.report import report
from tests.report.conftest import write_run


def test_command_writes_both_pages_and_prints_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write_run(tmp_path / "run", finished=1)
    app = App(result_action="return_value")
    app.command(report)
    app(["report", str(folder)])
    said = capsys.readouterr().out
    assert "guessing gets 50" in said
    for name in ("report.html", "report-public.html"):
        assert (folder / name).is_file()
        assert name in said


def test_importing_the_command_loads_no_charts():
    code = (
        "import sys, sudare.cli.report\n"
        "print([m for m in ('altair', 'vl_convert', 'jinja2', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
