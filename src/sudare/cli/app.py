"""The command line: which commands there are, and how errors and exit statuses look."""

from __future__ import annotations

import sys

from cyclopts import App

from sudare import __version__
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
# By dotted name: a command's module, and torch with it, is imported when the command runs.
app.command("sudare.cli.compare:compare", name="compare")
app.command("sudare.cli.release:release", name="release")
app.command("sudare.cli.release:open_release", name="open")
app.command("sudare.cli.audit:app", name="audit")
app.command("sudare.cli.sweep:app", name="sweep")
app.command("sudare.cli.federate:app", name="federate")
app.command("sudare.cli.report:report", name="report")
app.command("sudare.cli.data:app", name="data")
app.command("sudare.cli.doctor:doctor", name="doctor")
app.command("sudare.cli.config:app", name="config")
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
