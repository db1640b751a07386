"""Browser sessions without a browser: the page is fetched and its websocket opened and spoken to."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from bokeh.util.token import get_session_id
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

_numbers = count(1)
_PATIENT: dict[str, Any] = {"connect_timeout": 300, "request_timeout": 300}


@dataclass
class RawSession:
    """One open session; of what the server sends, the changes in each message are kept, without their buffers."""

    socket: WebSocketClientConnection
    token: str
    session_id: str
    received: list[int] = field(default_factory=list)
    patches: list[list[dict[str, Any]]] = field(default_factory=list)
    reader: asyncio.Task[None] | None = None

    async def send(self, *events: dict[str, Any]) -> None:
        """Send changes of the document."""
        number = str(next(_numbers))
        for part in ({"msgid": number, "msgtype": "PATCH-DOC"}, {}, {"events": list(events)}):
            await self.socket.write_message(json.dumps(part))

    async def ready(self) -> None:
        """Say that the page was drawn, which selects its first target."""
        message = {"type": "event", "name": "document_ready", "values": {"type": "map"}}
        await self.send({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": message})

    async def press(self, channel_id: str, key: str, number: int) -> None:
        """Press a key; ``channel_id`` names the source of the page's channel, ``number`` counts its messages."""
        columns = {"action": "key", "payload": json.dumps(key), "count": number}
        data = {"type": "map", "entries": [[name, [value]] for name, value in columns.items()]}
        await self.send({"kind": "ModelChanged", "model": {"id": channel_id}, "attr": "data", "new": data})

    async def close(self) -> None:
        """Go away as a closed tab does."""
        self.socket.close()
        if self.reader is not None:
            await self.reader


async def open_session(url: str, cookie: str = "") -> RawSession:
    """Fetch the page at ``url`` and open its websocket."""
    headers = {"Cookie": cookie} if cookie else {}
    page = (await AsyncHTTPClient().fetch(url, headers=headers, **_PATIENT)).body.decode()
    token = re.search(r'"token":\s*"([^"]+)"', page)
    assert token, page[:500]
    return await connect(url, token[1])


async def connect(url: str, token: str) -> RawSession:
    """Open the websocket of a page that was fetched from ``url``, or open it again."""
    socket = await websocket_connect(
        HTTPRequest(f"ws://{urlsplit(url).netloc}/ws", headers={"Origin": url.rstrip("/")}, **_PATIENT),
        subprotocols=["bokeh", token],
        max_message_size=200 << 20,
    )
    await socket.read_message()  # three parts of the greeting
    session = RawSession(socket, token, get_session_id(token))

    async def read() -> None:
        while (message := await socket.read_message()) is not None:
            session.received.append(len(message))
            if isinstance(message, str) and message.startswith('{"events"'):
                session.patches.append(json.loads(message)["events"])

    session.reader = asyncio.create_task(read())
    return session
