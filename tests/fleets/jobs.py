"""Work for the fleet's tests: slow enough to be killed inside a write."""

import os
import time
from pathlib import Path

from sudare.core.errors import DataError
from sudare.fleets.jobs import Job


class Slow(Job):
    name: str

    def run(self, folder, cache, progress):
        chunks = 12
        with progress.stage("writing", chunks) as task, (folder / "value.txt").open("w") as file:
            for chunk in range(chunks):
                file.write(f"{self.name} {chunk}\n")
                file.flush()
                time.sleep(0.01)
                task.advance()


class Reading(Job):
    of: Slow

    def run(self, folder, cache, progress):
        text = (cache.path(self.of.key) / "value.txt").read_text()
        (folder / "length.txt").write_text(str(len(text)))


class Refusing(Job):
    turn: str = ""

    def run(self, folder, cache, progress):
        raise DataError("this cannot be", where="a test", fix="Give up.")


class Crashing(Job):
    def run(self, folder, cache, progress):
        raise ZeroDivisionError


class DyingOnce(Job):
    mark: str

    def run(self, folder, cache, progress):
        if not os.path.exists(self.mark):
            Path(self.mark).touch()
            os._exit(9)
        (folder / "done.txt").write_text("yes")


class Dying(Job):
    def run(self, folder, cache, progress):
        os._exit(9)
