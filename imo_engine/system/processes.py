"""Worker processes that end with the process that started them."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

__all__ = ["new_processes"]


def new_processes(count: int, initializer: Callable[..., object] | None = None, *arguments: Any) -> ProcessPoolExecutor:  # noqa: ANN401
    """Return an executor of ``count`` processes that begin anew, without what this one has imported or started.

    When this process is killed they end too; those of the standard library alone would wait for work for ever, with all
    the memory they have.

    Args:
        count: How many.
        initializer: Called in each process first, or None.
        arguments: Of the initializer.
    """
    return ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=_begin, initargs=(initializer, *arguments)
    )


def _begin(initializer: Callable[..., object] | None, *arguments: Any) -> None:  # noqa: ANN401
    Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
