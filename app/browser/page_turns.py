"""What threads hand to a page is done in the order in which it was handed over."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from bokeh.document import Document
from tornado.ioloop import IOLoop

__all__ = ["PageTurns", "in_turn"]

Callback = Callable[[], None]


class PageTurns:
    """Runs callbacks first come, first served, where a page may be changed; called from any thread.

    A document's own callbacks are not run in order (Bokeh 3.9): those added while it holds changes back wait, and when
    it lets go of them, those that other threads add meanwhile pass them by.

    All that wait are run in one turn, and what they change is sent together when it ends.

    >>> later, done = [], []
    >>> turns = PageTurns(later.append)
    >>> turns(lambda: done.append("first"))
    >>> turns(lambda: done.append("second"))
    >>> for callback in reversed(later):
    ...     callback()
    >>> done
    ['first', 'second']
    """

    def __init__(
        self,
        schedule: Callable[[Callback], object],
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Start with nothing waiting.

        Args:
            schedule: Runs a function soon where the page may be changed, such as ``Document.add_next_tick_callback``.
            around: Makes the context of a turn.
        """
        self._schedule, self._around = schedule, around
        self._waiting: deque[Callback] = deque()
        self._ended = False

    @classmethod
    def of(cls, document: Document) -> "PageTurns":
        """Return those of a document; call this in the thread of the server's loop."""
        loop = IOLoop.current()

        def add(callback: Callback) -> None:
            context = document.session_context
            if context is None or not context.destroyed:  # else nobody is left to see it
                document.add_next_tick_callback(callback)

        # by way of the loop: one that another thread adds just when the document lets go of what it holds may be lost
        return cls(lambda callback: loop.add_callback(add, callback), partial(in_turn, document))

    def __call__(self, callback: Callback) -> None:
        """Run ``callback`` soon, after all that came before it."""
        self._waiting.append(callback)
        self._schedule(self._run)

    def send(self) -> None:
        """End the turn after the callback that calls this: what was changed is sent before the next one is run."""
        self._ended = True

    def _run(self) -> None:
        self._ended = False
        with self._around():
            for _ in range(len(self._waiting)):  # and not what they schedule in turn
                self._waiting.popleft()()
                if self._ended:
                    break


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
