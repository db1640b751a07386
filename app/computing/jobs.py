"""What waits in the queue of computations: jobs, and the claims that sessions have on them."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from app.computing.events import Event, Listener, Request

__all__ = ["Claim", "Job", "Key", "Ticket"]

Key = tuple[str, Request]
"""A target, and how it is explained or repaired."""


@dataclass(frozen=True, eq=False)
class Claim:
    """Somebody who waits: a session, what it is told with, and whether its browser is still there.

    Who is patient waits until nobody else does.
    """

    session: Hashable
    listener: Listener
    alive: Callable[[], bool]
    patient: bool = False


@dataclass(eq=False)
class Job:
    """One computation, shared by everybody who asks for the same.

    Attributes:
        key: What is computed.
        ahead_for: The session for which it is computed before anybody asks.
        waiting: For its turn.
        patient: For an engine that has nothing else to do.
        stop: Set when nobody waits for it any more.
        interrupted: Whether it is to begin anew later.
        claims: By ticket number.
        events: What a late listener has missed, progress excepted.
        disk_key: Under which the result is kept.
    """

    key: Key
    ahead_for: Hashable | None = None
    waiting: bool = False
    patient: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    interrupted: bool = False
    claims: dict[int, Claim] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    disk_key: str | None = None

    def put_off(self) -> None:
        """Let it wait patiently, and begin anew."""
        self.stop.clear()
        self.interrupted, self.waiting, self.patient = False, True, True
        self.events = self.events[:1]


@dataclass(frozen=True)
class Ticket:
    """A session's claim on a computation."""

    number: int
    key: Key
