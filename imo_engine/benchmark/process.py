"""Measurements in a process of their own, so that the memory of one is not that of those before it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.evaluators.base import Replacement
from imo_engine.benchmark.ways import (
    Reference,
    WayTiming,
    example_spectra,
    published_architecture,
    time_captum,
    time_evaluator,
    time_one_at_a_time,
)
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.system.processes import new_processes

__all__ = ["Subject", "alone", "beside_plain", "measure"]

T = TypeVar("T")
_Measured = tuple[WayTiming, dict[int, NDArray[np.float64]]]


@dataclass(frozen=True)
class Subject:
    """What is measured; any process can load it.

    Attributes:
        file: Model file; without one the published widths with random weights.
        device: Where it computes.
        n_pixel: Of the published widths; a file has its own.
    """

    file: str | None
    device: str = "auto"
    n_pixel: int = 7781

    def load(self) -> OutlierModel:
        """Return the model."""
        if self.file is None:
            return published_architecture(self.n_pixel, device=self.device)
        return OutlierModel.load(self.file, device=self.device)

    def of_published_widths(self, n_pixel: int) -> "Subject":
        """Return the published widths on the same device."""
        return replace(self, file=None, n_pixel=n_pixel)


def alone(work: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 - those of ``work``
    """Return ``work(*arguments)``, computed by a new process, which ends; both are pickled.

    Raises:
        Exception: what ``work`` raised.
    """
    with new_processes(1) as pool:
        return pool.submit(work, *arguments).result()


def measure(subject: Subject, way: str, n_baselines: int, windows: tuple[int, ...]) -> _Measured:
    """Time one way, one of the evaluators, "one at a time" or "captum"; also return an evaluator's values."""
    model = subject.load()
    base, flux = example_spectra(len(model.wavelength), n_baselines)
    replacement = Replacement.of(model, base, flux, np.ones(len(flux), bool))
    if way == "one at a time":
        return time_one_at_a_time(replacement, windows), {}
    if way == "captum":
        return time_captum(replacement, windows), {}
    reference = None if way == "frozen_statistics" else Reference(replacement)
    return time_evaluator(way, replacement, windows, reference)


def beside_plain(subject: Subject, ways: list[str], n_baselines: int, windows: tuple[int, ...]) -> Iterator[_Measured]:
    """Measure ways one after the other, each alone, and the plain algorithm before the first and after each.

    A shared machine may be twice as fast a minute later. A way's ``plain_seconds`` is therefore the mean of what the
    plain algorithm took right before and right after it.

    Yields:
        What :func:`measure` returns for each way, and in the end for the plain algorithm: the mean of all its times.
    """
    plain = [alone(measure, subject, "one at a time", n_baselines, windows)[0]]
    for name in ways:
        way, values = alone(measure, subject, name, n_baselines, windows)
        plain.append(alone(measure, subject, "one at a time", n_baselines, windows)[0])
        yield replace(way, plain_seconds=(plain[-2].seconds + plain[-1].seconds) / 2), values
    seconds = sum(one.seconds for one in plain) / len(plain)
    first_window = sum(one.first_window for one in plain) / len(plain)
    peak_bytes = max(one.peak_bytes for one in plain)
    mean = replace(plain[0], seconds=seconds, first_window=first_window, peak_bytes=peak_bytes, plain_seconds=seconds)
    yield mean, {}
