"""Whose turn it is: waiting things of several owners, served one owner after the other."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["FairQueue"]

T = TypeVar("T", bound=Hashable)


class FairQueue(Generic[T]):
    """Things that wait, each under the key of its owner.

    Owners are served in turn, whoever waits longest for a turn first, and each owner's newest thing comes
    first: somebody who selects five targets wants the last of them. A thing that several owners wait for is
    taken once. Not safe across threads; the caller holds a lock.

    >>> queue = FairQueue[str]()
    >>> for owner, thing in [("ann", "a"), ("ann", "b"), ("bob", "c")]:
    ...     queue.add(owner, thing)
    >>> [queue.take() for _ in range(4)]
    [('ann', 'b'), ('bob', 'c'), ('ann', 'a'), None]
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, list[T]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many different things wait."""
        return len({thing for things in self._waiting.values() for thing in things})

    def add(self, owner: Hashable, thing: T) -> None:
        """Let ``thing`` wait as the newest of ``owner``."""
        self._waiting.setdefault(owner, []).append(thing)

    def remove(self, owner: Hashable, thing: T) -> None:
        """Let ``owner`` wait for ``thing`` once less; harmless if it does not wait."""
        things = self._waiting.get(owner, [])
        if thing in things:
            things.remove(thing)
            if not things:
                del self._waiting[owner]

    def drop(self, owner: Hashable) -> None:
        """Let ``owner`` wait for nothing any more."""
        self._waiting.pop(owner, None)

    def take(self) -> tuple[Hashable, T] | None:
        """Return whose turn it is and what comes next, for all who wait for it; None if nothing waits."""
        if not self._waiting:
            return None
        owner, things = self._waiting.popitem(last=False)
        chosen = things[-1]
        self._waiting[owner] = things  # behind all others
        for other in list(self._waiting):
            self._waiting[other] = [thing for thing in self._waiting[other] if thing != chosen]
            if not self._waiting[other]:
                del self._waiting[other]
        return owner, chosen
