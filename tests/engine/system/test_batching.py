"""Batches: joined in order, halved when they do not fit, stopped when asked."""

import platform
import subprocess
import sys

import pytest
import torch

from imo_engine.errors import Cancelled, InputError, OutOfMemory
from imo_engine.system.batching import batch_size_for, default_memory_budget, run_in_batches

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
    for budget in (0, -5):
        with pytest.raises(InputError, match=f"'memory_budget' is {budget}"):
            batch_size_for(1000, budget, CPU)


class TestFreeMemory:
    """A GPU that is not there answers what the test says."""

    @pytest.fixture
    def gpu(self, monkeypatch):
        def answers(free, reserved=0, allocated=0):
            asked = []
            monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: asked.append(device) or (free, 80 << 30))
            monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved)
            monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: allocated)
            return asked

        return answers

    def test_half_of_what_is_free_on_that_device(self, gpu):
        asked = gpu(10 << 30)
        device = torch.device("cuda", 1)
        assert default_memory_budget(device) == 5 << 30
        assert batch_size_for(1 << 20, None, device) == 5 << 10
        assert asked == [device, device]

    def test_what_torch_holds_without_using_it_is_free(self, gpu):
        gpu(2 << 30, reserved=5 << 30, allocated=1 << 30)
        assert default_memory_budget(torch.device("cuda")) == 3 << 30

    def test_neither_nothing_nor_more_than_kernels_can_address(self, gpu):
        gpu(1 << 20)
        assert default_memory_budget(torch.device("cuda")) == 1 << 26
        gpu(75 << 30)
        assert default_memory_budget(torch.device("cuda")) == 1 << 33

    def test_others_are_not_asked(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "mem_get_info", None)
        assert default_memory_budget(CPU) == 48 << 20
        assert default_memory_budget(torch.device("mps")) == 1 << 30


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep freed memory")
def test_the_system_is_not_asked_for_the_memory_of_each_batch_anew():
    program = """
import resource
import torch
from imo_engine.system.batching import hold_freed_memory

def pages_of_batches():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        [torch.ones(size << 20) for size in (1, 2, 3, 4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = pages_of_batches()
hold_freed_memory()
print(before, pages_of_batches())
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(int, run.stdout.split())
    once = (40 << 20) // 4096
    assert after < once < before
