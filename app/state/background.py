"""A session's work in other threads, its place in the queue of computations, and the way back of what comes of them.

A session is changed in one thread, the page's. Everything that takes time runs in another and is handed back with
``schedule``; when it arrives the session may want something else, and then it is dropped.
"""

import logging
import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import TypeVar

from app.computing.events import Event, Request
from app.computing.explainer import Explainer, Ticket
from imo_engine.errors import ImoError

__all__ = ["Background", "Claim", "Schedule", "Submit"]

log = logging.getLogger(__name__)

T = TypeVar("T")

Submit = Callable[[Callable[[], None]], object]
"""Runs a function in another thread."""
Schedule = Callable[[Callable[[], None]], object]
"""Runs a function soon where the session may be changed, in the order in which they come; called from any thread."""


class Background:
    """Work in another thread whose outcome is handed back, unless :meth:`renew` was called meanwhile.

    What goes wrong is handed back in words: those of an :class:`~imo_engine.errors.ImoError`; of any other error its
    kind and words, and the log has it with its traceback.

    >>> told = []
    >>> background = Background(submit=lambda work: work(), schedule=lambda call: call())
    >>> background.run(lambda: 6 * 7, told.append, told.append, about="multiplying")
    >>> background.run(lambda: int("six"), told.append, told.append, about="reading a number")
    >>> told
    [42, "unexpected ValueError: invalid literal for int() with base 10: 'six'"]
    """

    def __init__(self, submit: Submit, schedule: Schedule) -> None:
        """Start with nothing under way.

        Args:
            submit: Runs a function in another thread.
            schedule: Runs a function soon where the session may be changed; called from that thread.
        """
        self._submit, self._schedule = submit, schedule
        self._generation = 0
        self._lock = threading.Lock()
        self._newest: Callable[[], None] | None = None
        self._queued = False

    def renew(self) -> None:
        """Drop the outcome of everything that is under way; what has not begun is not done."""
        self._generation += 1

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        failed: Callable[[str], object] | None = None,
        *,
        about: str,
        anyway: bool = False,
    ) -> None:
        """Do ``work`` in another thread, then call ``done`` with what it returns or ``failed`` with what went wrong.

        Args:
            work: What takes time.
            done: Called where the session may be changed.
            failed: The same, with words; None: nobody is told, and the log has them.
            about: What is being done, for the log.
            anyway: Whether to do it even if nobody wants the outcome any more, because others profit from it.
        """
        self._submit(self._job(work, done, failed, about, anyway=anyway))

    def run_newest(
        self, work: Callable[[], T], done: Callable[[T], object], failed: Callable[[str], object], *, about: str
    ) -> None:
        """As :meth:`run`, in place of what was asked for in this way and has not begun.

        It keeps the place in the line of what it replaces: whoever asks often waits no longer than who asks once. What
        is asked for while something is being done comes next, behind the work of others.
        """
        with self._lock:
            self._newest = self._job(work, done, failed, about)
            begin, self._queued = not self._queued, True
        if begin:
            self._submit(self._do_newest)

    def _do_newest(self) -> None:
        with self._lock:
            job, self._newest = self._newest, None
            self._queued = job is not None
        if job is not None:
            job()
            self._submit(self._do_newest)

    def _job(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        failed: Callable[[str], object] | None,
        about: str,
        *,
        anyway: bool = False,
    ) -> Callable[[], None]:
        generation = self._generation

        def job() -> None:
            if generation != self._generation and not anyway:
                return
            try:
                call: Callable[[], object] = partial(done, work())
            except Exception as error:
                words = _error_words(error, about, told=failed is not None)
                if failed is None:
                    return
                call = partial(failed, words)
            self._hand_back(generation, call)

        return job

    def hand_back(self, call: Callable[[], object]) -> None:
        """Call something where the session may be changed, unless :meth:`renew` is called before; from any thread."""
        self._hand_back(self._generation, call)

    def _hand_back(self, generation: int, call: Callable[[], object]) -> None:
        def now() -> None:
            if generation == self._generation:
                call()

        self._schedule(now)


def _error_words(error: Exception, about: str, *, told: bool) -> str:
    """Say what went wrong in ``about``; the log has what nobody expected, and what nobody is told."""
    if isinstance(error, ImoError):
        if not told:
            log.warning("%s: %s", about, error)
        return str(error)
    log.error("%s failed", about, exc_info=error)
    return f"unexpected {type(error).__name__}: {error}"


class Claim:
    """One place in the queue of computations, for one thing at a time; its events are handed back until it is given up.

    Args:
        explainer: The queue that all sessions share.
        schedule: Runs a function soon where the session may be changed; called from any thread.
        session: In whose name things are asked for.
        alive: Whether a browser is still connected.
    """

    def __init__(
        self, explainer: Explainer, schedule: Schedule, session: Hashable, alive: Callable[[], bool] = lambda: True
    ) -> None:
        self._explainer, self._schedule = explainer, schedule
        self._session, self._alive = session, alive
        self._generation = 0
        self._ticket: Ticket | None = None

    @property
    def held(self) -> bool:
        """Whether something was asked for that has neither ended nor been given up."""
        return self._ticket is not None

    def ask(self, target_id: str, settings: Request, hear: Callable[[Event], object], *, patient: bool = False) -> None:
        """Ask for a target in place of what was asked for before; ``hear`` is called with each event, in order."""
        self.release()
        generation = self._generation

        def hand_over(event: Event) -> None:
            if generation == self._generation:
                hear(event)

        def listen(event: Event) -> None:
            self._schedule(partial(hand_over, event))

        ticket = self._explainer.request(
            target_id, listen, settings, session=self._session, alive=self._alive, patient=patient
        )
        if generation == self._generation:  # else it has ended already
            self._ticket = ticket

    def cancel(self) -> None:
        """Stop it; the event :class:`~app.computing.events.Stopped` is still heard."""
        if self._ticket is not None:
            self._explainer.cancel(self._ticket)

    def release(self) -> None:
        """Give it up; nothing more is heard of it."""
        self._generation += 1
        if self._ticket is not None:
            self._explainer.release(self._ticket)
            self._ticket = None

    def end(self) -> None:
        """Note that nothing more will come."""
        self._generation += 1
        self._ticket = None
