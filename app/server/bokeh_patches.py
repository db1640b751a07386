"""What changes in one turn of a document is sent in one message, and in the order in which it changed.

Bokeh (3.9) sends each change by itself: a target's thirty messages cost the server and the browser more than what is
in them, and the browser draws in between. Panel (1.9) writes what its own models change to the socket by itself, and
where the socket is in use just then, tries again some milliseconds later: what changes in between would pass it by, and
a "scoring" that comes after its "done" would stand for ever.
"""

import asyncio
from collections.abc import Awaitable, Generator, Iterable, Sequence
from typing import Any

from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.server.connection import ServerConnection
from panel.io import document as panel_documents

__all__ = ["send_together"]


def send_together() -> None:
    """Let all servers of this process send the changes of a turn together, and Panel's with them."""
    ServerConnection.send_patch_document = _send_patch_document
    panel_documents.write_events = panel_documents.schedule_write_events = _write_events


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
