"""What threads hand to a page is done in the order in which it was handed over."""

from collections import deque
from collections.abc import Callable

__all__ = ["in_order"]

Callback = Callable[[], object]


def in_order(schedule: Callable[[Callback], object]) -> Callable[[Callback], object]:
    """Return a way to schedule callbacks that are run first come, first served; safe to use from any thread.

    A document's own callbacks are not (Bokeh 3.9): those added while it holds changes back wait, and when it lets
    go of them, those that other threads add meanwhile pass them by.

    Args:
        schedule: Runs a function soon where the page may be changed, such as ``Document.add_next_tick_callback``.

    >>> later, done = [], []
    >>> put = in_order(later.append)
    >>> put(lambda: done.append("first")), put(lambda: done.append("second"))
    (None, None)
    >>> for callback in reversed(later):
    ...     callback()
    >>> done
    ['first', 'second']
    """
    waiting: deque[Callback] = deque()

    def run() -> None:
        waiting.popleft()()

    def put(callback: Callback) -> object:
        waiting.append(callback)
        return schedule(run)

    return put
