"""What threads hand to a page is done in the order in which it was handed over."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from bokeh.document import Document
from tornado.ioloop import IOLoop

__all__ = ["in_order", "in_turn", "page_schedule"]

Callback = Callable[[], object]


def page_schedule(document: Document) -> Callable[[Callback], object]:
    """Return what runs a function soon where a page may be changed, in order; call it from any thread.

    Call this in the thread of the server's loop.
    """
    loop = IOLoop.current()

    def add(callback: Callback) -> None:
        context = document.session_context
        if context is None or not context.destroyed:  # else nobody is left to see it
            document.add_next_tick_callback(callback)

    # by way of the loop: one that another thread adds just when the document lets go of what it holds may be lost
    return in_order(lambda callback: loop.add_callback(add, callback), partial(in_turn, document))


@contextmanager
def in_turn(document: Document) -> Iterator[None]:
    """Let Bokeh send what is changed within, in order, when it is left.

    Else Panel (1.9) sends what its models change by itself. ``app.server.bokeh_patches`` has it sent in order with all
    else where a server uses that; this holds everywhere.
    """
    if document.callbacks.hold_value:
        yield
        return
    document.hold("collect")
    try:
        yield
    finally:
        document.unhold()


def in_order(
    schedule: Callable[[Callback], object], around: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Callable[[Callback], object]:
    """Return a way to schedule callbacks that are run first come, first served; safe to use from any thread.

    A document's own callbacks are not (Bokeh 3.9): those added while it holds changes back wait, and when it lets
    go of them, those that other threads add meanwhile pass them by.

    All that wait are run in one turn, and what they change is sent together. One that returns True ends the turn.

    Args:
        schedule: Runs a function soon where the page may be changed, such as ``Document.add_next_tick_callback``.
        around: Makes the context of a turn.

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
        with around():
            for _ in range(len(waiting)):  # and not what they schedule in turn
                if waiting.popleft()() is True:
                    break

    def put(callback: Callback) -> object:
        waiting.append(callback)
        return schedule(run)

    return put
