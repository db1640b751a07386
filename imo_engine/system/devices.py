"""Choose the device to compute on, and keep its arithmetic in full float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch
from torch import Tensor

from imo_engine.errors import InputError

__all__ = ["all_devices", "choose_device", "device_name", "full_precision", "moved"]


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


def all_devices(name: str) -> list[str]:
    """Return the devices that outliers may be computed on side by side.

    "auto" and "cuda" stand for every CUDA device there is; any other name for one device.

    Raises:
        InputError: as :func:`choose_device`.
    """
    device = choose_device(name)
    if device.type == "cuda" and device.index is None:
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [str(device)]


def moved(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return ``tensor`` on a device; to a GPU from pinned memory, so that nothing waits for it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, dtype, non_blocking=True)


_lock = Lock()
_inside = 0
_outside = (False, False)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Switch TF32 off inside: the attribution of one pixel is a small difference of two log p.

    The switches are the process's, so the first of several threads turns them, and the last turns them back.
    """
    global _inside, _outside
    if device.type != "cuda":
        yield
        return
    matmul, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    with _lock:
        if not _inside:
            _outside = matmul.allow_tf32, convolutions.allow_tf32
            matmul.allow_tf32 = convolutions.allow_tf32 = False
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                matmul.allow_tf32, convolutions.allow_tf32 = _outside
