"""One step ahead: order, one maker at a time, and errors in their turn."""

import threading
import time

import pytest

from sudare.core.errors import CacheError
from sudare.fleets.cache import Cache
from sudare.fleets.local import LocalExecutor
from sudare.fleets.prefetch import prefetch


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_things_come_in_order_and_none_is_left_out(ahead, count):
    assert list(prefetch(lambda i: i * i, count, ahead=ahead)) == [(i, i * i) for i in range(count)]


def test_the_next_is_made_while_the_last_is_looked_at_and_never_two_at_once():
    making, most, begun = threading.Semaphore(1), [], []

    def make(index):
        assert making.acquire(blocking=False)
        begun.append(index)
        time.sleep(0.05)
        making.release()
        return index

    for index, _ in prefetch(make, 3):
        time.sleep(0.02)
        most.append(max(begun))
        assert index == len(most) - 1
    assert most == [1, 2, 2]


def test_without_running_ahead_nothing_begins_before_its_turn():
    begun = []
    for index, _ in prefetch(lambda i: begun.append(i), 3, ahead=False):
        assert begun == list(range(index + 1))


def test_an_error_is_raised_when_its_turn_comes():
    def make(index):
        if index == 1:
            raise ValueError("the second")
        return index

    seen = []
    with pytest.raises(ValueError, match="the second"):
        seen += [index for index, _ in prefetch(make, 3)]
    turns = prefetch(make, 3)
    assert next(turns) == (0, 0)
    with pytest.raises(ValueError, match="the second"):
        next(turns)


def test_workers_that_were_ended_are_not_brought_back(tmp_path):
    """A run in another thread sees its worker die, and would give the chain to a new one."""
    with LocalExecutor(Cache(tmp_path), workers=1) as executor:
        pass
    with pytest.raises(CacheError, match="the workers were ended"):
        executor._start()
