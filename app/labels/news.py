"""What one session of a process has saved is told to the others at once."""

import threading
from collections.abc import Callable, Sequence

from app.labels.records import LabelRecord

__all__ = ["LabelNews"]

Listener = Callable[[Sequence[LabelRecord]], object]


class LabelNews:
    """Safe to use from any thread.

    >>> news, heard = LabelNews(), []
    >>> stop = news.listen(heard.extend)
    >>> news.tell([LabelRecord("7", "ann")])
    >>> stop()
    >>> news.tell([LabelRecord("8", "ann")])
    >>> [one.target_id for one in heard]
    ['7']
    """

    def __init__(self) -> None:
        """Start with nobody listening."""
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with what is saved, in the thread that saves; return what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop

    def tell(self, records: Sequence[LabelRecord]) -> None:
        """Tell all who listen what labels have become."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(records)
