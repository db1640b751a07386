"""How fast and how right the engine is on this machine, beside the plain algorithm and Captum's.

Slow ways are timed on some chunks of each window size and extrapolated; every row says so. All differences are
relative to a window's largest value of the float64 result.
"""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from imo_engine.attribution.evaluators.base import Chunks, Evaluator, Replacement
from imo_engine.attribution.evaluators.choice import choose_evaluator
from imo_engine.attribution.tiling import tile
from imo_engine.benchmark.machine import peak_memory, reset_peak_memory
from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder, SpectrumEncoder
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow
from imo_engine.model.outlier_model import OutlierModel

__all__ = [
    "WayTiming",
    "published_architecture",
    "example_spectra",
    "time_captum",
    "time_evaluator",
    "time_one_at_a_time",
]

_SAMPLES = 10
_CHECKED = 6


@dataclass(frozen=True)
class WayTiming:
    """One way to compute the values of all window sizes.

    Attributes:
        way: Its name.
        evaluations: Chunks in all.
        seconds: For all of them, preparation included.
        extrapolated: Whether only some were computed.
        first_window: Seconds until the coarsest window is there.
        operations: Additions and multiplications in convolutions and matrix products, of the chunks in all.
        peak_bytes: Memory, see :func:`imo_engine.benchmark.machine.peak_memory`.
        error: By window size the largest difference to float64 that was found.
        detail: What else is worth telling.
        plain_seconds: Of the plain algorithm at that time, see :func:`imo_engine.benchmark.process.beside_plain`.
    """

    way: str
    evaluations: int
    seconds: float
    extrapolated: bool
    first_window: float
    operations: float
    peak_bytes: float
    error: dict[int, float]
    detail: str = ""
    plain_seconds: float | None = None

    @property
    def gain(self) -> float:
        """Return how many times as fast as the plain algorithm it is; NaN where that was not timed."""
        return float("nan") if self.plain_seconds is None else self.plain_seconds / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def published_architecture(n_pixel: int = 7781, *, seed: int = 3, device: str = "auto") -> OutlierModel:
    """Return a model of the published widths with random weights, 3600 Angstrom on in steps of 0.8."""
    config = AutoencoderConfig(n_rest=64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = SpectrumEncoder(config), SpectrumDecoder(config, torch.linspace(2000.0, 10500.0, 64).double())
        flow = MaskedAutoregressiveFlow(FlowConfig(), generator=torch.Generator().manual_seed(seed))
    wavelength = 3600 + 0.8 * np.arange(n_pixel)
    return OutlierModel(
        *parts, flow, wavelength, provenance={"name": "published widths, random weights"}, device=device
    )


def example_spectra(n_pixel: int, count: int, *, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return smooth baselines with lines, (count, n_pixel), and a noisy spectrum with other lines, (n_pixel,)."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, n_pixel)
    slope, curve = rng.normal(0, 0.3, (2, count + 1, 1))
    flux = 1 + slope * x + curve * x**2
    for row in flux:
        for centre in rng.uniform(-1, 1, 8):
            row += rng.exponential(1.5) * np.exp(-0.5 * ((x - centre) / 0.0012) ** 2)
    spectrum = flux[-1] + rng.normal(0, 0.2, n_pixel)
    return flux[:-1].astype(np.float32), spectrum.astype(np.float32)


def all_chunks(replacement: Replacement, window: int) -> Chunks:
    """Return every chunk of a window size in every input."""
    count, n_pixel = replacement.base.shape
    tiling = tile(n_pixel, window)
    return Chunks(np.repeat(np.arange(count), len(tiling)), np.tile(tiling.starts, count), np.tile(tiling.stops, count))


class Reference:
    """The float64 result at some chunks of each window size: random ones, and the largest of what is checked."""

    def __init__(self, replacement: Replacement) -> None:
        """Make a float64 copy of the model."""
        model = replacement.model
        double = OutlierModel(
            deepcopy(model.encoder),
            deepcopy(model.decoder),
            deepcopy(model.flow),
            model.wavelength,
            masked_pixels=model.masked_pixels,
            device="cpu",
            dtype=torch.float64,
        )
        base, changed = (flux.double().cpu() for flux in (replacement.base, replacement.changed))
        self._evaluator = choose_evaluator("full_passes", Replacement(double, base, changed))
        self._own = self._evaluator.base_log_prob()
        self._known: dict[tuple[int, int, int], float] = {}

    def error(self, window: int, chunks: Chunks, change: NDArray[np.float64]) -> float:
        """Return the largest difference of ``change``, (n,), log p lost, at the chunks that are checked."""
        rows = self.rows(window, chunks, change)
        right = self.values(chunks[rows])
        return float(np.abs(change[rows] - right).max() / max(np.abs(right).max(), 1e-300))

    def rows(self, window: int, chunks: Chunks, change: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return which chunks are checked: random ones, and those with the largest ``change``, (n,)."""
        rng = np.random.default_rng(window)
        some = rng.choice(len(chunks), min(_CHECKED, len(chunks)), replace=False)
        return np.unique(np.concatenate([some, np.argsort(-np.abs(change))[:_CHECKED]]))

    def values(self, chunks: Chunks) -> NDArray[np.float64]:
        """Return log p lost, (n,)."""
        return np.array([self._value(chunks[np.array([k])]) for k in range(len(chunks))])

    def _value(self, chunk: Chunks) -> float:
        key = int(chunk.row[0]), int(chunk.start[0]), int(chunk.stop[0])
        if key not in self._known:
            self._known[key] = float(self._own[key[0]] - self._evaluator.log_prob(chunk)[0])
        return self._known[key]


def time_evaluator(
    name: str, replacement: Replacement, windows: tuple[int, ...], reference: Reference | None = None
) -> tuple[WayTiming, dict[int, NDArray[np.float64]]]:
    """Run one of the engine's evaluators on everything; also return its values, (input, chunk), by window size."""
    device = replacement.model.device
    reset_peak_memory(device)
    began = time.perf_counter()
    evaluator = choose_evaluator(name, replacement)
    own = evaluator.base_log_prob()
    values, errors, first = {}, {}, float("nan")
    for window in sorted(windows, reverse=True):
        chunks = all_chunks(replacement, window)
        values[window] = own[chunks.row] - evaluator.log_prob(chunks)
        if first != first:
            first = time.perf_counter() - began
    seconds = time.perf_counter() - began
    peak = peak_memory(device)
    total = sum(len(value) for value in values.values())
    if reference is not None:
        errors = {
            window: reference.error(window, all_chunks(replacement, window), values[window]) for window in windows
        }
    claims = getattr(evaluator, "errors", {})
    detail = "; ".join(f"W = {window}: measured {error:.1e}" for window, error in sorted(claims.items()) if window)
    operations = _operations(name, replacement, windows)
    timing = WayTiming(evaluator.name, total, seconds, False, first, operations, peak, errors, detail)
    return timing, {window: value.reshape(len(own), -1) for window, value in values.items()}


def _operations(name: str, replacement: Replacement, windows: tuple[int, ...]) -> float:
    """Return the operations for all inputs, counted on the first one."""
    one = Replacement(replacement.model, replacement.base[:1], replacement.changed[:1])
    with FlopCounterMode(display=False) as counter:
        evaluator: Evaluator = choose_evaluator(name, one)
        for window in windows:
            evaluator.log_prob(all_chunks(one, window))
    return float(counter.get_total_flops()) * len(replacement.base)


def time_one_at_a_time(replacement: Replacement, windows: tuple[int, ...]) -> WayTiming:
    """Time the plain algorithm: one forward pass for every chunk, as the authors' code does it."""
    model = replacement.model
    pixel = torch.arange(replacement.base.shape[1], device=replacement.base.device)

    def some(window: int) -> float:
        chunks = all_chunks(replacement, window)
        rows = np.linspace(0, len(chunks) - 1, _SAMPLES).astype(int)
        began = time.perf_counter()
        for row, start, stop in zip(chunks.row[rows], chunks.start[rows], chunks.stop[rows], strict=True):
            hybrid = torch.where((pixel >= start) & (pixel < stop), replacement.changed[row], replacement.base[row])
            float(model.flow(model.encoder(hybrid[None]))[0])
        return (time.perf_counter() - began) / len(rows)

    return _extrapolated("one at a time", replacement, windows, some)


def time_captum(replacement: Replacement, windows: tuple[int, ...]) -> WayTiming:
    """Time Captum's Occlusion with the roles swapped, at the best of several ``perturbations_per_eval``."""
    from captum.attr import Occlusion

    model = replacement.model
    base, changed = replacement.base[:1], replacement.changed[:1]

    def with_at_once(at_once: int) -> WayTiming:
        def some(window: int) -> float:
            # Captum visits every chunk of what it is given: a cut of the spectrum, put into the whole
            count = max(1, min(max(8, 2 * at_once), base.shape[1] // window))

            def forward(cut: torch.Tensor) -> torch.Tensor:
                whole = base.repeat(len(cut), 1)
                whole[:, : cut.shape[1]] = cut
                log_prob: torch.Tensor = model.flow(model.encoder(whole))
                return log_prob

            cut = slice(0, window * count)
            began = time.perf_counter()
            Occlusion(forward).attribute(
                base[:, cut], (window,), (window,), changed[:, cut], perturbations_per_eval=at_once
            )
            return (time.perf_counter() - began) / (count + 1)  # and once without a change

        return _extrapolated(f"Captum, {at_once} at a time", replacement, windows, some)

    return min((with_at_once(at_once) for at_once in (1, 4, 16)), key=lambda timing: timing.seconds)


def _extrapolated(
    way: str, replacement: Replacement, windows: tuple[int, ...], some: Callable[[int], float]
) -> WayTiming:
    """Time chunks of each window size, seconds each, after one that does not count."""
    total, seconds, first = 0, 0.0, float("nan")
    model = replacement.model
    reset_peak_memory(model.device)
    with torch.no_grad():
        some(max(windows))
        for window in sorted(windows, reverse=True):
            count = len(all_chunks(replacement, window))
            seconds += some(window) * count
            total += count
            first = seconds if first != first else first
        peak = peak_memory(model.device)
        with FlopCounterMode(display=False) as counter:
            model.flow(model.encoder(replacement.base[:1]))
    return WayTiming(way, total, seconds, True, first, float(counter.get_total_flops()) * total, peak, {})
