"""The command line: which commands there are, and how errors and exit statuses look."""

from __future__ import annotations

import errno
import io
import os
import sys

from cyclopts import App, CycloptsError, Parameter

from sudare import __version__
from sudare.cli.audit import app as audit_app
from sudare.cli.compare import compare
from sudare.cli.config import app as config_app
from sudare.cli.data import app as data_app
from sudare.cli.doctor import doctor
from sudare.cli.federate import app as federate_app
from sudare.cli.hints import hinted
from sudare.cli.poc import poc
from sudare.cli.release import open_release, release
from sudare.cli.report import report
from sudare.cli.sweep import app as sweep_app
from sudare.core.errors import NotEvaluableError, SudareError
from sudare.core.memory import keep_memory
from sudare.core.parents import end_with_parent
from sudare.core.printable import escaped


def _shown(default: object) -> object:
    """A default as the help says it; an empty one says nothing."""
    return "none" if default == () else default


app = App(
    name="sudare",
    version=__version__,
    default_parameter=Parameter(negative_iterable=(), show_default=_shown),
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
    *(poc, compare, release, open_release, audit_app, sweep_app, federate_app),
    *(report, data_app, doctor, config_app),
):
    app.command(_command, name="open" if _command is open_release else None)
app.register_install_completion_command()

ERROR, NOT_EVALUABLE, INTERRUPTED, CLOSED_PIPE = 2, 3, 130, 141
FULL = " Make room there; the same command goes on where it was."
_EXPECTED = (CycloptsError, SudareError, OSError, MemoryError, KeyboardInterrupt)
BUG = "SUDARE_DEBUG=1 shows where; please report it."


def _end_of_pipe() -> None:
    """Whoever read what was printed has gone: end as other programs do, and say nothing."""
    # What is still in the buffer has nowhere to go either.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(CLOSED_PIPE)


def main() -> None:
    """Run the command line. Exit: 0 pass, 1 a gate fails, 2 error, 3 undecided."""
    keep_memory()
    end_with_parent()
    for stream in (sys.stdout, sys.stderr):
        # A class called "entzündet" on a terminal without umlauts is escaped; nothing fails.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        result = app(
            sys.argv[1:], result_action="return_value", print_error=False, exit_on_error=False
        )
    except BrokenPipeError:
        _end_of_pipe()
    except SystemExit as error:
        # The terminal's own library ends so where nobody reads on; status 1 is a gate's.
        if error.code == 1:
            _end_of_pipe()
        raise
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("SUDARE_DEBUG") and not isinstance(error, _EXPECTED):
            raise
        sys.exit(_said(error))
    sys.exit(result if isinstance(result, int) else 0)


def _said(error: BaseException) -> int:
    """Print what went wrong in a sentence; the exit status."""
    from rich.console import Console

    console = Console(stderr=True)
    if isinstance(error, KeyboardInterrupt):
        console.print("\nStopped. The same command goes on where it was.")
        return INTERRUPTED
    console.print("[bold red]error:[/]", end=" ")
    # No markup: a file name in brackets is not a colour, nor may it act on the terminal.
    console.print(escaped(_sentence(error)), highlight=False, markup=False)
    return NOT_EVALUABLE if isinstance(error, NotEvaluableError) else ERROR


def _sentence(error: BaseException) -> str:
    match error:
        case CycloptsError():
            return hinted(error, sys.argv[1:])
        case SudareError():
            return str(error)
        case OSError():
            # A full disk, a file where a folder should be, no permission: not ours, nor a bug.
            place = f" ({error.filename})" if error.filename else ""
            cure = FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            return f"{error.strerror or error}{place}.{cure}"
        case MemoryError():
            return "not enough memory. Take fewer or smaller images."
        case _:
            # Status 1 says that a gate failed; a bug must not look like one.
            return f"this is a bug in Sudare: {type(error).__name__}: {error}. {BUG}"
