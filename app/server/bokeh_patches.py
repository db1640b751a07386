"""Functions of Bokeh and Panel in whose place the server puts its own, each where it is as expected and not elsewhere.

What changes in one turn of a document is sent in one message, and in the order in which it changed. Bokeh (3.9) sends
each change by itself: a target's thirty messages cost the server and the browser more than what is in them, and the
browser draws in between. Panel (1.9) writes what its own models change to the socket by itself, and where the socket is
in use just then, tries again some milliseconds later: what changes in between would pass it by, and a "scoring" that
comes after its "done" would stand for ever.

What the page replaces in the browser is in ``app/browser/js/patches.js``.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.server.connection import ServerConnection
from panel.io import document as panel_documents

__all__ = ["Patch", "put_in_place", "send_together"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patch:
    """A function that stands in for another one.

    Attributes:
        package: Of the other, as it is installed.
        since: First release, such as (3, 8), that it was seen to fit.
        before: First release that it was not.
        holder: Class or module of the other.
        name: Its name there.
        takes: Names of its arguments.
        own: What stands in for it.
        why: What the other does that makes it necessary.
    """

    package: str
    since: tuple[int, int]
    before: tuple[int, int]
    holder: Any
    name: str
    takes: tuple[str, ...]
    own: Callable[..., object]
    why: str

    @property
    def place(self) -> str:
        """Where the other is, for people."""
        return f"{self.holder.__name__}.{self.name}"

    def refusal(self) -> str:
        """Return why it cannot stand in, or nothing."""
        release = version(self.package)
        if not self.since <= tuple(map(int, release.split(".")[:2])) < self.before:
            since, before = (".".join(map(str, one)) for one in (self.since, self.before))
            return f"{self.package} is {release}, expected {since} or later, before {before}"
        there = getattr(self.holder, self.name, None)
        if not callable(there):
            return f"{self.package} {release} has no such function"
        takes = tuple(inspect.signature(there).parameters)
        if there is not self.own and takes != self.takes:
            return f"in {self.package} {release} it takes ({', '.join(takes)}), expected ({', '.join(self.takes)})"
        return ""


def put_in_place(patches: Iterable[Patch]) -> dict[str, str]:
    """Let each stand in where it can; return why the others cannot, by place. Both are logged, once a process."""
    refused = {}
    for patch in patches:
        why_not = patch.refusal()
        if why_not:
            refused[patch.place] = why_not
        else:
            setattr(patch.holder, patch.name, patch.own)
        if (patch.place, why_not) in _logged:
            continue
        _logged.add((patch.place, why_not))
        if why_not:
            log.warning("%s is left as it is: %s. What it does: %s.", patch.place, why_not, patch.why)
        else:
            log.info("%s is replaced: %s", patch.place, patch.why)
    return refused


_logged: set[tuple[str, str]] = set()


def send_together() -> dict[str, str]:
    """Let all servers of this process send the changes of a turn together; return what could not be replaced, and why.

    Nothing else depends on it: without, all changes arrive too, one message each.
    """
    return put_in_place(_PATCHES)


def _send_patch_document(connection: ServerConnection, event: DocumentPatchedEvent) -> Awaitable[None]:
    return _Sending(connection, [event])


def _write_events(
    document: Document, connections: Iterable[ServerConnection], events: Sequence[DocumentPatchedEvent]
) -> None:
    for connection in connections:
        task = asyncio.ensure_future(_Sending(connection, events))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


_tasks: set[asyncio.Task[None]] = set()  # a loop alone does not keep them


class _Sending:
    """Changes of a turn: the first that is awaited, which is at its end, sends those of all.

    After an error none is; they are sent with those of the next turn.
    """

    def __init__(self, connection: ServerConnection, events: Sequence[DocumentPatchedEvent]) -> None:
        self._connection = connection
        # kept by the connection, so that they go when it goes
        self._waiting: list[DocumentPatchedEvent] = vars(connection).setdefault("_waiting_changes", [])
        self._waiting += events

    def __await__(self) -> Generator[Any, None, None]:
        events = self._waiting.copy()
        self._waiting.clear()
        if events:
            connection = self._connection
            message = connection.protocol.create("PATCH-DOC", events)
            yield from connection._socket.send_message(message).__await__()


_PANEL: dict[str, Any] = {
    "package": "panel",
    "since": (1, 9),
    "before": (1, 10),
    "holder": panel_documents,
    "takes": ("doc", "connections", "events"),
    "own": _write_events,
}
_PATCHES = (
    Patch(
        "bokeh",
        (3, 8),
        (3, 10),
        ServerConnection,
        "send_patch_document",
        ("self", "event"),
        _send_patch_document,
        "Bokeh sends each change of a turn in a message of its own",
    ),
    Patch(name="write_events", why="Panel sends changes past those of Bokeh that wait", **_PANEL),
    Patch(name="schedule_write_events", why="Panel sends changes later where the socket is in use", **_PANEL),
)
