"""Work for the fleet's tests: slow enough to be killed inside a write."""

import os
import time
from pathlib import Path

from sudare.core.errors import DataError


def write_slowly(folder, arguments, progress):
    chunks = 12
    with progress.stage("writing", chunks) as task, (folder / "value.txt").open("w") as file:
        for chunk in range(chunks):
            file.write(f"{arguments['name']} {chunk}\n")
            file.flush()
            time.sleep(0.01)
            task.advance()


def read_back(folder, arguments, progress):
    (folder / "length.txt").write_text(str(len(Path(arguments["of"]).read_text())))


def refuse(folder, arguments, progress):
    raise DataError("this cannot be", where="a test", fix="Give up.")


def crash(folder, arguments, progress):
    raise ZeroDivisionError


def die_once(folder, arguments, progress):
    if not os.path.exists(arguments["mark"]):
        Path(arguments["mark"]).touch()
        os._exit(9)
    (folder / "done.txt").write_text("yes")


def die(folder, arguments, progress):
    os._exit(9)
