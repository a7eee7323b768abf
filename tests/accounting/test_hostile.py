"""Whatever a ledger claims to have spent, its sum is known in seconds and little memory."""

import math
import resource
import subprocess
import sys

import pytest
from pydantic import ValidationError

from sudare.accounting.accountants import epsilon_of_history, epsilon_spent
from sudare.accounting.ledger import LedgerEntry

BOMBS = [
    ((1e-3, 1.0, 1), (1e-3, 0.5, 1)),
    ((0.1, 0.1, 20),),
    ((0.07, 0.1, 20),),
    ((10.0, 0.01, 10**9),),
    ((1000.0, 1.0, 10**6),),
    ((1e6, 1.0, 10**9),),
    ((0.5, 0.1, 1000),),
]


def test_no_history_takes_gigabytes():
    code = (
        "import resource, time\n"
        "import torch\n"
        "from sudare.accounting.accountants import epsilon_of_history\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"for history in {BOMBS!r}:\n"
        "    assert epsilon_of_history(history, delta=1e-5) > 0\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print((after - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (60, 60)),
    )
    assert int(done.stdout) < 700


@pytest.mark.parametrize("history", BOMBS)
def test_a_coarser_bound_is_never_smaller_than_the_moments_would_allow(history):
    found = epsilon_of_history(history, delta=1e-5)
    assert math.isfinite(found)
    for sigma, rate, steps in history:
        # Composing more cannot cost less than one of the parts by a tight bound.
        alone = epsilon_spent(sigma, sample_rate=rate, steps=steps, delta=1e-5)
        assert found >= alone * 0.99


def test_steps_beyond_any_training_are_no_entry():
    with pytest.raises(ValidationError):
        LedgerEntry(
            purpose="x", mechanism="Gaussian", noise_multiplier=1.0, sample_rate=1.0,
            steps=10**12, delta=1e-5, epsilon=1.0,
        )  # fmt: skip
