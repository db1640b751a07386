"""What is new in one place of a process is told to others at once, such as what a session has saved."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["News"]

T = TypeVar("T")


class News(Generic[T]):
    """Safe to use from any thread.

    >>> news, heard = News(), []
    >>> stop = news.listen(heard.append)
    >>> news.tell("7")
    >>> stop()
    >>> news.tell("8")
    >>> heard
    ['7']
    """

    def __init__(self) -> None:
        """Start with nobody listening."""
        self._lock = threading.Lock()
        self._listeners: list[Callable[[T], object]] = []

    def listen(self, listener: Callable[[T], object]) -> Callable[[], None]:
        """Call ``listener`` with what is told, in the thread that tells; return what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop

    def tell(self, what: T) -> None:
        """Tell all who listen."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(what)
