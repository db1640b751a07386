"""Evaluate many spectra in batches that fit into memory, and stop promptly when asked to."""

import ctypes
import platform
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from imo_engine.errors import Cancelled, InputError, OutOfMemory

__all__ = ["batch_size_for", "check_stop", "default_memory_budget", "hold_freed_memory", "run_in_batches"]

_ON_CPU = 48 * 2**20  # a batch that stays near the cache is the fastest
_ELSEWHERE = 2**28
_LEAST, _MOST = 2**26, 2**33
"""On CUDA; arrays of more than 2**31 elements are more than many of its kernels can address."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def default_memory_budget(device: torch.device) -> int:
    """Return how many bytes of activations a batch may take: on CUDA half of what is free now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # what torch holds without using it is free too
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return min(max(free // 2, _LEAST), _MOST)
    if device.type == "mps":
        return 2**30
    return _ON_CPU if device.type == "cpu" else _ELSEWHERE


@cache
def hold_freed_memory() -> None:
    """Have the process keep some freed memory for the next batch, where glibc allots it.

    By itself it gives memory back to the system after each batch, and the system hands it out again page by page, each
    filled with zeros first: a quarter of the time of windows of one pixel (2 cores of a Xeon). Source: mallopt(3).
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 2**25)
        mallopt(_M_TRIM_THRESHOLD, 2**26)


def check_stop(should_stop: Callable[[], bool] | None) -> None:
    """Ask whether to go on.

    Raises:
        Cancelled: ``should_stop`` returned True.
    """
    if should_stop is not None and should_stop():
        raise Cancelled("stopped during the preparation")


def batch_size_for(bytes_per_spectrum: int, memory_budget: int | None, device: torch.device) -> int:
    """Return how many spectra fit into ``memory_budget`` bytes, at least 1.

    Raises:
        InputError: a budget that is not positive.
    """
    budget = default_memory_budget(device) if memory_budget is None else memory_budget
    if budget <= 0:
        raise InputError(f"'memory_budget' is {budget}; expected a positive number of bytes")
    return max(1, budget // bytes_per_spectrum)


def run_in_batches(
    evaluate: Callable[[int, int], Tensor],
    count: int,
    batch_size: int,
    *,
    should_stop: Callable[[], bool] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Tensor:
    """Join ``evaluate(start, stop)`` over 0..count; a batch that does not fit into memory is halved.

    Args:
        evaluate: Returns a tensor whose first axis has ``stop - start`` entries.
        count: Number of items, at least 1.
        batch_size: Items per call at the start.
        should_stop: Asked before each batch.
        on_batch: Told after each batch how many items are done.

    Raises:
        Cancelled: ``should_stop`` returned True.
        OutOfMemory: a single item does not fit.
    """
    parts: list[Tensor] = []
    start = 0
    while start < count:
        if should_stop is not None and should_stop():
            raise Cancelled(f"stopped after {start} of {count} evaluations")
        stop = min(start + batch_size, count)
        try:
            parts.append(evaluate(start, stop))
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if stop - start == 1:
                raise OutOfMemory(f"no memory left for a single spectrum: {error}") from None
            batch_size = max(1, (stop - start) // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        start = stop
        if on_batch is not None:
            on_batch(start)
    return torch.cat(parts)


def _is_out_of_memory(error: BaseException) -> bool:
    # torch raises OutOfMemoryError on CUDA, but plain RuntimeErrors on CPU and MPS
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "out of memory" in text or "not enough memory" in text or "can't allocate memory" in text
    )
