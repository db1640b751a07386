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
    """What is prepared for each input when first needed; where memory is short the oldest goes and is made again."""

    def __init__(self, make: Callable[[int], T], size: Callable[[T], int], *, most_bytes: int) -> None:
        """Keep what ``make`` returns for a number as long as the ``size`` of all stays below ``most_bytes``."""
        self._make, self._size, self._most = make, size, most_bytes
        self._kept: OrderedDict[int, T] = OrderedDict()
        self._lock = Lock()

    def __getitem__(self, number: int) -> T:
        with self._lock:
            if number in self._kept:
                return self._kept[number]
        made = self._make(number)
        with self._lock:
            self._kept[number] = made
            while len(self._kept) > 1 and sum(map(self._size, self._kept.values())) > self._most:
                self._kept.popitem(last=False)
        return made
