"""Nothing in the working folder runs: workers are started in a folder that somebody sent."""

import subprocess
import sys
from pathlib import Path


def test_a_module_of_the_working_folder_is_not_imported_by_workers(tmp_path: Path):
    for name in ("token", "random", "torch"):
        (tmp_path / f"{name}.py").write_text(
            "from pathlib import Path\nPath('RAN').write_text(__name__)\nraise SystemExit(3)\n"
        )
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sudare.fleets.local import search_path\n"
        "sys.path.insert(0, str(Path.cwd()))\n"
        "assert str(Path.cwd()) not in search_path()\n"
    )
    # As the `sudare` command does: without -P the interpreter itself would put the folder first.
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    worker = subprocess.run(
        [sys.executable, "-P", "-m", "sudare.fleets.worker"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert worker.returncode == 0
    assert not (tmp_path / "RAN").exists()
