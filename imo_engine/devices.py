"""Choose the device to compute on, and keep its arithmetic in full float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from imo_engine.errors import InputError

__all__ = ["choose_device", "device_name", "full_precision"]


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" prefers CUDA, then MPS, then the CPU.

    Raises:
        InputError: a device that this machine or this build of torch does not have.
    """
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"'device' is {name!r}; expected auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise InputError(f"'device' is {name!r}, but torch sees {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not has_mps:
        raise InputError(f"'device' is {name!r}, but torch has no MPS here")
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"'device' is {name!r}; expected auto, cpu, cuda, cuda:N or mps")
    return device


def device_name(device: torch.device) -> str:
    """Return what to call the device in front of people: "CPU, 2 threads" or the GPU's own name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU (MPS)"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'' if threads == 1 else 's'}"


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Switch TF32 off inside: the attribution of one pixel is a small difference of two log p."""
    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
