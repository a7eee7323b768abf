"""The command line: which commands there are, and how errors and exit statuses look."""

from __future__ import annotations

import errno
import os
import sys

from cyclopts import App, CycloptsError

from sudare import __version__
from sudare.cli.audit import app as audit_app
from sudare.cli.compare import compare
from sudare.cli.config import app as config_app
from sudare.cli.data import app as data_app
from sudare.cli.doctor import doctor
from sudare.cli.federate import app as federate_app
from sudare.cli.poc import poc
from sudare.cli.release import open_release, release
from sudare.cli.report import report
from sudare.cli.sweep import app as sweep_app
from sudare.core.errors import NotEvaluableError, SudareError
from sudare.core.memory import keep_memory
from sudare.core.printable import escaped

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
    *(poc, compare, release, open_release, audit_app, sweep_app, federate_app),
    *(report, data_app, doctor, config_app),
):
    app.command(_command, name="open" if _command is open_release else None)
app.register_install_completion_command()

ERROR, NOT_EVALUABLE, INTERRUPTED = 2, 3, 130
FULL = " Make room there; the same command goes on where it was."
BUG = "SUDARE_DEBUG=1 shows where; please report it."


def _preset_meant(error: CycloptsError) -> str:
    """The option that was left out before the name of a preset."""
    from sudare.audits.config import PRESETS

    unused = getattr(error, "unused_tokens", ())
    return f" Write --preset {unused[0]}." if unused and unused[0] in PRESETS else ""


def main() -> None:
    """Run the command line. Exit: 0 pass, 1 a gate fails, 2 error, 3 undecided."""
    from rich.console import Console

    keep_memory()
    console = Console(stderr=True)
    try:
        result = app(
            sys.argv[1:], result_action="return_value", print_error=False, exit_on_error=False
        )
    except CycloptsError as error:
        console.print("[bold red]error:[/]", end=" ")
        message = " ".join(str(error).split())
        console.print(escaped(message) + _preset_meant(error), highlight=False, markup=False)
        sys.exit(ERROR)
    except SudareError as error:
        console.print("[bold red]error:[/]", end=" ")
        # No markup: a file name in brackets is not a colour, nor may it act on the terminal.
        console.print(escaped(str(error)), highlight=False, markup=False)
        sys.exit(NOT_EVALUABLE if isinstance(error, NotEvaluableError) else ERROR)
    except OSError as error:
        # A full disk, a file where a folder should be, no permission: not ours, nor a bug.
        console.print("[bold red]error:[/]", end=" ")
        place = f" ({error.filename})" if error.filename else ""
        cure = FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        message = f"{error.strerror or error}{place}.{cure}"
        console.print(escaped(message), highlight=False, markup=False)
        sys.exit(ERROR)
    except MemoryError:
        console.print("[bold red]error:[/] not enough memory. Take fewer or smaller images.")
        sys.exit(ERROR)
    except KeyboardInterrupt:
        console.print("\nStopped. The same command goes on where it was.")
        sys.exit(INTERRUPTED)
    except Exception as error:
        # Status 1 says that a gate failed; a bug must not look like one.
        if os.environ.get("SUDARE_DEBUG"):
            raise
        console.print("[bold red]error:[/]", end=" ")
        console.print(
            escaped(f"this is a bug in Sudare: {type(error).__name__}: {error}. ") + BUG,
            highlight=False,
            markup=False,
        )
        sys.exit(ERROR)
    sys.exit(result if isinstance(result, int) else 0)
