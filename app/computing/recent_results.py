"""Finished results in memory: what is exact takes the place of what is quick."""

from dataclasses import replace

from cachetools import LRUCache

from app.computing.events import Finished, Result, Settings
from app.computing.jobs import Key

__all__ = ["RecentResults", "exact_key"]

_METHODS_KEPT = 512  # about 70 kB each


def exact_key(key: Key) -> Key:
    """Return the key of the exact values of what a key stands for."""
    target_id, settings = key
    return (target_id, settings.exactly) if isinstance(settings, Settings) else key


class RecentResults:
    """The results used last. Not safe across threads; the caller holds a lock."""

    def __init__(self, keep: int) -> None:
        """Keep ``keep`` attributions (about 3 MB each), other methods' results and repairs."""
        self._attributions: LRUCache[Key, Finished] = LRUCache(keep)
        self._methods: LRUCache[Key, Result] = LRUCache(_METHODS_KEPT)

    def __contains__(self, key: Key) -> bool:
        return key in self._methods or key in self._attributions or exact_key(key) in self._attributions

    def get(self, key: Key) -> Result | None:
        """Return what is known, exact values if there are any."""
        for one in (exact_key(key), key):
            if one in self._attributions:
                return self._attributions[one]
        return self._methods.get(key)

    def put(self, key: Key, result: Result) -> None:
        """Remember a result; the one used longest ago goes if there are too many."""
        if not isinstance(result, Finished):
            self._methods[key] = result
            return
        target_id, settings = key
        if isinstance(settings, Settings):
            for name in ("auto", "local_update") if settings.evaluator == "exact" else ():
                self._attributions.pop((target_id, replace(settings, evaluator=name)), None)
        self._attributions[key] = result
