"""What holds for all tests: those files that take longest begin first."""

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine draws examples, or runs one, is no property of the code.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

# Begun in the background of a script, this process was told to ignore interrupts, and would hand
# that on to the runs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Workers import nothing from the folder they are started in unless it is meant: tests mean theirs.
_ROOT = str(Path(__file__).parent.parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))

# What is remembered of ledgers outlives their folders, but not these tests.
os.environ["SUDARE_STATE"] = tempfile.mkdtemp(prefix="sudare-state-")
atexit.register(shutil.rmtree, os.environ["SUDARE_STATE"], ignore_errors=True)

LONGEST = ("test_documentation.py", "test_examples.py", "test_cli.py", "test_resume.py")


def pytest_collection_modifyitems(items):
    """A file's tests stay in one process: begun last, one would run on while the others rest."""
    rank = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))


def pytest_runtest_setup(item):
    """Tests marked ``cuda`` are skipped where there is no GPU."""
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no GPU")
