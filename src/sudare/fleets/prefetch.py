"""One step ahead: the next thing is made in a thread while the last one is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

MadeT = TypeVar("MadeT")


def prefetch(
    make: Callable[[int], MadeT], count: int, *, ahead: bool = True
) -> Iterator[tuple[int, MadeT]]:
    """What `make` gives for 0, 1, ... in order.

    Args:
        make: Makes one; never two at once.
        count: How many.
        ahead: Whether the next is made while the caller has the last. Its error is raised when
            its turn comes. A caller who stops leaves the maker to itself: it must end it.
    """
    if not ahead:
        for index in range(count):
            yield index, make(index)
        return
    coming = [_begun(make, 0)] if count else []
    for index in range(count):
        made = coming.pop().result()
        if index + 1 < count:
            coming.append(_begun(make, index + 1))
        yield index, made


def _begun(make: Callable[[int], MadeT], index: int) -> Future[MadeT]:
    future: Future[MadeT] = Future()

    def work() -> None:
        try:
            future.set_result(make(index))
        except BaseException as error:
            future.set_exception(error)

    # A daemon: a run that is stopped does not wait for builds that nobody will look at.
    threading.Thread(target=work, daemon=True, name=f"turn {index}").start()
    return future
