"""The command line: which commands there are, and how errors and exit statuses look."""

from __future__ import annotations

import sys

from cyclopts import App

from sudare import __version__
from sudare.cli.audit import app as audit_app
from sudare.cli.compare import compare
from sudare.cli.config import app as config_app
from sudare.cli.data import app as data_app
from sudare.cli.doctor import doctor
from sudare.cli.federate import app as federate_app
from sudare.cli.release import open_release, release
from sudare.cli.report import report
from sudare.cli.sweep import app as sweep_app
from sudare.core.errors import NotEvaluableError, SudareError
from sudare.core.memory import keep_memory

__all__ = ["app", "main"]

app = App(
    name="sudare",
    version=__version__,
    # A stopped run can be resumed, and main says how.
    suppress_keyboard_interrupt=False,
    help="""Share what a private image collection teaches, not what it shows.

    Sudare builds releases from a private collection (a classifier, a set of images ...), attacks
    each of them, and puts what an attacker learns beside what the recipient can do.

    Start with `sudare compare --preset demo`, then open `runs/demo/report.html`.
    """,
)
# Commands import what they need when they run, so that this costs no torch.
for _command in (
    *(compare, release, open_release, audit_app, sweep_app, federate_app),
    *(report, data_app, doctor, config_app),
):
    app.command(_command, name="open" if _command is open_release else None)
app.register_install_completion_command()

ERROR, NOT_EVALUABLE, INTERRUPTED = 2, 3, 130


def main() -> None:
    """Run the command line. Exit: 0 pass, 1 a gate fails, 2 error, 3 undecided."""
    from rich.console import Console

    keep_memory()
    console = Console(stderr=True)
    try:
        result = app(result_action="return_value")
    except SudareError as error:
        console.print("[bold red]error:[/]", end=" ")
        # No markup: a file name in brackets is not a colour.
        console.print(str(error), highlight=False, markup=False)
        sys.exit(NOT_EVALUABLE if isinstance(error, NotEvaluableError) else ERROR)
    except OSError as error:
        # A full disk, a file where a folder should be, no permission: not ours, nor a bug.
        console.print("[bold red]error:[/]", end=" ")
        place = f" ({error.filename})" if error.filename else ""
        message = f"{error.strerror or error}{place}."
        console.print(message, highlight=False, markup=False)
        sys.exit(ERROR)
    except KeyboardInterrupt:
        console.print("\nStopped. The same command goes on where it was.")
        sys.exit(INTERRUPTED)
    sys.exit(result if isinstance(result, int) else 0)
