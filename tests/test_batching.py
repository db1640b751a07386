"""Batches: joined in order, halved when they do not fit, stopped when asked."""

import pytest
import torch

from imo_engine.batching import batch_size_for, run_in_batches
from imo_engine.errors import Cancelled, InputError, OutOfMemory

CPU = torch.device("cpu")


def squares(start, stop):
    return torch.arange(start, stop) ** 2


@pytest.mark.parametrize("batch_size", [1, 3, 10, 99])
def test_the_batch_size_changes_nothing(batch_size):
    assert run_in_batches(squares, 10, batch_size).tolist() == [k * k for k in range(10)]


def test_progress_after_each_batch():
    seen = []
    run_in_batches(squares, 10, 4, on_batch=seen.append)
    assert seen == [4, 8, 10]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        MemoryError("Unable to allocate 3.00 GiB for an array"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: not enough memory: you tried"),
    ],
)
def test_halves_until_it_fits(error):
    asked, done = [], []

    def evaluate(start, stop):
        asked.append(stop - start)
        if stop - start > 3:
            raise error
        return squares(start, stop)

    result = run_in_batches(evaluate, 17, 16, on_batch=done.append)
    assert result.tolist() == [k * k for k in range(17)]
    assert asked == [16, 8, 4, *[2] * 8, 1]
    assert done == [2, 4, 6, 8, 10, 12, 14, 16, 17]


def test_a_single_item_that_does_not_fit():
    def evaluate(start, stop):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory, match="no memory left for a single spectrum: CUDA out of memory") as caught:
        run_in_batches(evaluate, 8, 8)
    assert isinstance(caught.value, MemoryError)


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), ValueError("out of memory, they say")])
def test_other_errors_pass_through_at_once(error):
    asked = []

    def evaluate(start, stop):
        asked.append(stop - start)
        raise error

    with pytest.raises(type(error)) as caught:
        run_in_batches(evaluate, 8, 8)
    assert caught.value is error
    assert asked == [8]


def test_stops_before_the_next_batch():
    done = []
    with pytest.raises(Cancelled, match="stopped after 4 of 10 evaluations"):
        run_in_batches(squares, 10, 2, on_batch=done.append, should_stop=lambda: len(done) == 2)
    assert done == [2, 4]


def test_stops_between_attempts_that_do_not_fit():
    asked = []

    def evaluate(start, stop):
        asked.append(stop - start)
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(Cancelled):
        run_in_batches(evaluate, 64, 64, should_stop=lambda: len(asked) == 1)
    assert asked == [64]


def test_batch_size():
    assert batch_size_for(1000, 10_500, CPU) == 10
    assert batch_size_for(1000, 1, CPU) == 1
    assert batch_size_for(2**20, None, CPU) == 48
    assert batch_size_for(2**20, None, torch.device("cuda")) == 4096
    for budget in (0, -5):
        with pytest.raises(InputError, match=f"'memory_budget' is {budget}"):
            batch_size_for(1000, budget, CPU)
