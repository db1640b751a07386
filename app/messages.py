"""What changes in one turn of a document is sent in one message.

Bokeh (3.9) sends each change by itself: a target's thirty messages cost the server and the browser more than what is
in them, and the browser draws in between.
"""

from collections.abc import Awaitable, Generator
from typing import Any

from bokeh.document.events import DocumentPatchedEvent
from bokeh.server.connection import ServerConnection

__all__ = ["send_together"]


def send_together() -> None:
    """Let all servers of this process send the changes of a turn together."""
    ServerConnection.send_patch_document = _send_patch_document


def _send_patch_document(connection: ServerConnection, event: DocumentPatchedEvent) -> Awaitable[None]:
    return _Sending(connection, event)


class _Sending:
    """One of the changes of a turn: the first that is awaited, which is at its end, sends them all.

    After an error none is; they are sent with those of the next turn.
    """

    def __init__(self, connection: ServerConnection, event: DocumentPatchedEvent) -> None:
        self._connection = connection
        # kept by the connection, so that they go when it goes
        self._waiting: list[DocumentPatchedEvent] = vars(connection).setdefault("_waiting_changes", [])
        self._waiting.append(event)

    def __await__(self) -> Generator[Any, None, None]:
        events = self._waiting.copy()
        self._waiting.clear()
        if events:
            connection = self._connection
            message = connection.protocol.create("PATCH-DOC", events)
            yield from connection._socket.send_message(message).__await__()
