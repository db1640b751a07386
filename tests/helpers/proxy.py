"""A proxy between browser and server whose connection can be cut, go silent and come back, as a test says."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Proxy", "proxy_to"]


@dataclass(eq=False)
class _Connection:
    browser: socket.socket
    server: socket.socket
    mute: set[str]  # "up" to the server, "down" to the browser; bytes that were lost are never made up for

    def close(self) -> None:
        for one in (self.browser, self.server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class Proxy:
    """Passes everything on at first."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._refusing, self._mute = False, set[str]()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        with self._lock:
            self._refusing = True
            connections, self._connections = self._connections, set()
        for one in connections:
            one.close()

    def swallow(self, *directions: str) -> None:
        """Lose without a word all that goes "up" to the server or "down" to the browser, on new connections too."""
        with self._lock:
            self._mute = set(directions)
            for one in self._connections:
                one.mute |= self._mute

    def mend(self) -> None:
        """Pass new connections on; those that lost something stay silent."""
        with self._lock:
            self._refusing, self._mute = False, set()

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                browser, _ = self._listener.accept()
            except OSError:  # closed
                return
            with self._lock:
                try:
                    if self._refusing:
                        raise ConnectionRefusedError
                    server = socket.create_connection(("127.0.0.1", self.server_port))
                except OSError:
                    browser.close()
                    continue
                connection = _Connection(browser, server, set(self._mute))
                self._connections.add(connection)
            for direction in ("up", "down"):
                threading.Thread(target=self._pass, args=(connection, direction), daemon=True).start()

    def _pass(self, connection: _Connection, direction: str) -> None:
        ends = connection.browser, connection.server
        source, sink = ends if direction == "up" else ends[::-1]
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if direction not in connection.mute:
                    sink.sendall(data)
        if not connection.mute:  # who has gone silent does not say that it closes either
            connection.close()


@contextmanager
def proxy_to(server_port: int) -> Iterator[Proxy]:
    proxy = Proxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
