"""Several inputs at a time on a CPU: one thread each is quicker than all threads on one after the other."""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

import torch

__all__ = ["Prepared", "side_by_side"]


T = TypeVar("T")


def side_by_side(work: Callable[[int], T], count: int, device: torch.device) -> list[T]:
    """Return ``work(0)``, ..., ``work(count - 1)``; on a CPU as many at a time as torch has threads, one for each.

    Raises:
        Exception: the first that ``work`` raised; what has not begun by then is left out.
    """
    own = torch.get_num_threads()
    threads = min(own, count)
    if device.type != "cpu" or threads < 2:
        return [work(number) for number in range(count)]
    # the number of threads is each thread's own, but threads that begin later take the number that was set last
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = [pool.submit(work, number) for number in range(count)]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(own)


class Prepared(Generic[T]):
    """What is prepared for each input when first needed, and kept for the next time if there is room for all."""

    def __init__(
        self, make: Callable[[int], T], size: Callable[[T], int], *, count: int, most_bytes: int, at_once: int
    ) -> None:
        """Keep what ``make`` returns for a number.

        Args:
            make: Returns what is prepared for an input; all take about as much memory.
            size: Returns bytes.
            count: How many inputs there are, taken in turns.
            most_bytes: Where all of them take more, each would be gone before its next turn: then none is kept.
            at_once: How many are in use at a time; these stay.
        """
        self._make, self._size, self._most = make, size, most_bytes
        self._count, self._at_once = count, at_once
        self._kept: OrderedDict[int, T] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, number: int) -> bool:
        return number in self._kept

    def __getitem__(self, number: int) -> T:
        with self._lock:
            if number in self._kept:
                return self._kept[number]
        made = self._make(number)
        with self._lock:
            self._kept[number] = made
            if self._count * self._size(made) > self._most:
                while len(self._kept) > self._at_once:
                    self._kept.popitem(last=False)
        return made
