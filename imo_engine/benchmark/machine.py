"""What a measurement was made on: processor, versions, and how fast it multiplies matrices."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from imo_engine.system.devices import device_name

__all__ = ["describe_machine", "matrix_rate", "peak_memory", "reset_peak_memory"]


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return processor, cores, memory, device and versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device_name(device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "captum": _version("captum"),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def matrix_rate(device: torch.device, size: int = 2048, repeats: int = 5) -> float:
    """Return the best of some float32 products of square matrices, operations a second."""
    a = torch.randn(size, size, device=device)
    best = float("inf")
    for _ in range(repeats + 1):
        began = time.perf_counter()
        product = a @ a
        float(product[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def reset_peak_memory(device: torch.device) -> None:
    """Forget the largest memory seen so far, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        pass


def peak_memory(device: torch.device) -> float:
    """Return the largest memory since the last reset, bytes: the device's own, or the whole process's on a CPU."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return 1024.0 * float(line.split()[1])
    except OSError:
        pass
    return float("nan")
