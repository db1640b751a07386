"""Inverse multiscale occlusion (Shen & Melchior 2023, arXiv:2310.20012), Algorithm 1."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from imo_engine.attribution.evaluators.base import Chunks, Evaluator, Replacement
from imo_engine.attribution.evaluators.choice import choose_evaluator
from imo_engine.attribution.evaluators.local import FrozenStatistics
from imo_engine.attribution.evaluators.local_share import LocalShares
from imo_engine.attribution.record import WEIGHTINGS, Attribution, WindowFacts
from imo_engine.attribution.tiling import Tiling, tile
from imo_engine.errors import Cancelled, InputError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = [
    "PAPER_OFFSETS",
    "PAPER_WINDOW_SIZES",
    "WindowResult",
    "checked_spectrum",
    "inverse_multiscale_occlusion",
]

PAPER_WINDOW_SIZES = (1, 4, 16, 64, 256)
"""Window sizes of the paper's Figure 2, pixels."""
PAPER_OFFSETS = (0, 2, 10, 42, 170)
"""By how much the authors shift the tiles of each of these window sizes in that figure, pixels."""


@dataclass(frozen=True, eq=False)
class WindowResult:
    """One finished window size, handed to ``on_window`` while the others are still being computed.

    Attributes:
        index: Its position in ``window_sizes``.
        window_size: Pixels.
        values: (baseline, pixel), nats per pixel; NaN where there is no meaning.
        facts: How right they are.
    """

    index: int
    window_size: int
    values: NDArray[np.float64]
    facts: WindowFacts = WindowFacts()


def inverse_multiscale_occlusion(
    model: OutlierModel,
    flux: ArrayLike,
    redshift: float,
    baselines: ArrayLike | BaselinePool,
    window_sizes: Sequence[int] = PAPER_WINDOW_SIZES,
    *,
    offsets: Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    weights: str = "inverse_variance",
    evaluator: str = "exact",
    valid: ArrayLike | None = None,
    memory_budget: int | None = None,
    on_baselines: Callable[[NDArray[np.float32], NDArray[np.bool_]], None] | None = None,
    on_window: Callable[[WindowResult], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Attribution:
    """Find out which parts of a spectrum make an ordinary spectrum improbable.

    Each chunk [i, u) of each baseline ``R_j = g(f(B_j), z)`` is replaced by the same chunk of the spectrum and gets
    ``(p_j - log p of the result) / pixels replaced``. Window sizes are computed from the coarsest to the finest.

    Args:
        model: Encoder, decoder and flow.
        flux: (N,) normalised flux of the spectrum under study, observed frame.
        redshift: Its redshift.
        baselines: (M, N) normalised spectra of ordinary objects at their own redshifts, or a pool of
            their latents; at least 2.
        window_sizes: Pixels, all different.
        offsets: Where the first full chunk begins, one for each window size; 0 by default. The chunk [0, offset)
            before it is divided by its own length (the authors' code overwrites part of its value later).
        stride: Pixels from one chunk to the next; values are averaged where chunks overlap. Window sizes
            below it keep their plain tiles. Several numbers: one a window size. By default chunks do not overlap.
        weights: "inverse_variance" (the paper) or another of :data:`imo_engine.attribution.record.WEIGHTINGS`.
        evaluator: "exact", the fastest way to the definition; "local_update", several times faster for
            encoders with instance normalisation, with errors measured in the same run
            (:attr:`~imo_engine.attribution.record.Attribution.facts`); "full_passes", whole spectra through any
            encoder; "frozen_statistics", every normalisation held at the baseline's own mean and variance.
        valid: (N,) pixels that may be put into baselines; by default all finite ones. Others keep the
            baseline's flux and get NaN, as do pixels that the decoder's rest-frame grid does not reach.
        memory_budget: Bytes of activations per batch; by default 48 MiB on a CPU, half of what is free on CUDA,
            8 GiB at most. A batch that does not fit is halved.
        on_baselines: Called with the aligned baselines (M, N) and the valid pixels (N,) before the windows.
        on_window: Called with each finished window size.
        on_progress: Called after each batch with evaluations done and in all.
        should_stop: Asked before each batch.

    Returns:
        Values of every window size, baseline and pixel, and their combination.

    Raises:
        InputError: arguments that do not fit together; the message names the argument.
        Cancelled: ``should_stop`` returned True.
        OutOfMemory: not even one spectrum fits into memory.
    """
    began = time.perf_counter()
    tilings = _tilings(len(model.wavelength), window_sizes, offsets, stride)
    if weights not in WEIGHTINGS:
        raise InputError(f"'weights' is {weights!r}; expected one of {', '.join(WEIGHTINGS)}")
    flux_array, usable = checked_spectrum(model, flux, redshift, valid)
    if should_stop is not None and should_stop():
        raise Cancelled("stopped before the first evaluation")

    pool = _latents(model, baselines, memory_budget, should_stop)
    redshifts = np.full(len(pool), float(redshift))
    aligned = model.decode(pool, redshifts, memory_budget=memory_budget, should_stop=should_stop)
    if on_baselines is not None:
        on_baselines(aligned, usable)

    replacement = Replacement.of(model, aligned, flux_array, usable)
    chosen = choose_evaluator(evaluator, replacement, memory_budget=memory_budget, should_stop=should_stop)
    baseline_log_prob = chosen.base_log_prob(should_stop)
    values = np.full((len(tilings), len(pool), len(flux_array)), np.nan)
    facts = [WindowFacts()] * len(tilings)
    changes: list[_Changes] = []
    total = len(pool) * sum(int(_occupied(tiling, usable).sum()) for tiling in tilings)
    done = 0
    for index in sorted(range(len(tilings)), key=lambda k: -tilings[k].window_size):

        def report(count: int, before: int = done) -> None:
            if on_progress is not None:
                on_progress(before + count, total)

        changes.append(_one_window(chosen, tilings[index], usable, baseline_log_prob, should_stop, report))
        values[index] = changes[-1].painted(tilings[index], usable)
        done += changes[-1].log_prob_lost.size
        facts[index] = chosen.facts(tilings[index].window_size)
        if on_window is not None:
            on_window(WindowResult(index, tilings[index].window_size, values[index], facts[index]))

    if chosen.name != FrozenStatistics.name:  # what is asked for is the local pattern then
        shares = LocalShares(replacement, memory_budget=memory_budget)
        for change in changes:
            share, error = shares.of(change.starts, change.stops, change.log_prob_lost, should_stop)
            index = [tiling.window_size for tiling in tilings].index(change.window_size)
            facts[index] = replace(facts[index], local_share=share, local_share_error=error)

    return Attribution(
        values=values,
        baselines=aligned.astype(np.float32, copy=False),
        baseline_log_prob=baseline_log_prob,
        flux=flux_array.astype(np.float32, copy=False),
        redshift=float(redshift),
        wavelength=model.wavelength,
        valid=usable,
        window_sizes=tuple(t.window_size for t in tilings),
        offsets=tuple(offsets) if offsets is not None else (0,) * len(tilings),
        strides=tuple(_strides([t.window_size for t in tilings], stride)),
        weighting=weights,
        facts=tuple(facts),
        provenance={
            "model": model.name,
            "model_fingerprint": model.fingerprint,
            "device": model.device_name,
            "evaluator": chosen.name,
            "evaluations": done,
            "seconds": round(time.perf_counter() - began, 3),
        },
    )


@dataclass(frozen=True, eq=False)
class _Changes:
    """What the chunks of one window size that hold usable pixels, (n,), do to log p, (baseline, n) in nats."""

    window_size: int
    number: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    log_prob_lost: NDArray[np.float64]

    def painted(self, tiling: Tiling, usable: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return values, (baseline, pixel), per pixel that was replaced."""
        result = np.full((len(self.log_prob_lost), len(tiling)), np.nan)
        result[:, self.number] = self.log_prob_lost / _replaced_pixels(tiling, usable)[self.number]
        return np.where(usable, tiling.paint(result), np.nan)


def _one_window(
    evaluator: Evaluator,
    tiling: Tiling,
    usable: NDArray[np.bool_],
    baseline_log_prob: NDArray[np.float64],
    should_stop: Callable[[], bool] | None,
    report: Callable[[int], None],
) -> _Changes:
    n_baseline = len(baseline_log_prob)
    occupied = np.flatnonzero(_occupied(tiling, usable))
    starts, stops = tiling.starts[occupied], tiling.stops[occupied]
    chunks = Chunks(
        np.repeat(np.arange(n_baseline), len(occupied)), np.tile(starts, n_baseline), np.tile(stops, n_baseline)
    )
    log_prob = evaluator.log_prob(chunks, should_stop=should_stop, on_batch=report)
    lost = baseline_log_prob[:, None] - log_prob.reshape(n_baseline, -1)
    return _Changes(tiling.window_size, occupied, starts, stops, lost)


def _replaced_pixels(tiling: Tiling, usable: NDArray[np.bool_]) -> NDArray[np.int64]:
    before = np.concatenate([[0], np.cumsum(usable)])
    count: NDArray[np.int64] = before[tiling.stops] - before[tiling.starts]
    return count


def _occupied(tiling: Tiling, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return _replaced_pixels(tiling, usable) > 0


def _tilings(
    n_pixel: int, window_sizes: Sequence[int], offsets: Sequence[int] | None, stride: int | Sequence[int] | None
) -> list[Tiling]:
    sizes = [int(size) for size in window_sizes]
    if not sizes or len(set(sizes)) != len(sizes) or min(sizes) < 1:
        raise InputError(f"'window_sizes' is {tuple(window_sizes)}; expected different numbers of pixels above 0")
    if max(sizes) > n_pixel:
        raise InputError(f"'window_sizes' has {max(sizes)}, but the spectrum has {n_pixel} pixels")
    shifts = [0] * len(sizes) if offsets is None else [int(offset) for offset in offsets]
    if len(shifts) != len(sizes):
        raise InputError(f"'offsets' has {len(shifts)} entries but 'window_sizes' has {len(sizes)}")
    steps = _strides(sizes, stride)
    return [
        tile(n_pixel, size, offset=shift, stride=step) for size, shift, step in zip(sizes, shifts, steps, strict=True)
    ]


def _strides(sizes: list[int], stride: int | Sequence[int] | None) -> list[int]:
    if stride is None:
        return sizes
    steps = [int(step) for step in stride] if isinstance(stride, Sequence) else [int(stride)] * len(sizes)
    if len(steps) != len(sizes):
        raise InputError(f"'stride' has {len(steps)} entries but 'window_sizes' has {len(sizes)}")
    if min(steps) < 1:
        raise InputError(f"'stride' is {stride}; expected a number of pixels above 0")
    return [min(step, size) for step, size in zip(steps, sizes, strict=True)]


def checked_spectrum(
    model: OutlierModel, flux: ArrayLike, redshift: float, valid: ArrayLike | None
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return flux, (N,), 0 where it is not finite, and the pixels that can be put into baselines, (N,).

    Raises:
        InputError: another shape or type, or no such pixel.
    """
    array = np.asarray(flux)
    n_pixel = len(model.wavelength)
    if array.shape != (n_pixel,):
        raise InputError(f"'flux' has shape {array.shape}, expected ({n_pixel},)")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise InputError(f"'flux' has type {array.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # what float32 cannot hold is not finite either
        array = array.astype(np.float64 if model.dtype == torch.float64 else np.float32)
    usable = np.isfinite(array)
    if valid is not None:
        given = np.asarray(valid, dtype=bool)
        if given.shape != (n_pixel,):
            raise InputError(f"'valid' has shape {given.shape}, expected ({n_pixel},)")
        usable &= given
    usable &= model.covered(redshift)
    if not usable.any():
        raise InputError(
            f"'flux' has no valid pixel that the model reaches at redshift {redshift:g} "
            f"(rest frame {float(model.decoder.wave_rest[0]):.0f}-{float(model.decoder.wave_rest[-1]):.0f} Angstrom)"
        )
    return np.where(np.isfinite(array), array, 0).astype(array.dtype), usable


def _latents(
    model: OutlierModel,
    baselines: ArrayLike | BaselinePool,
    memory_budget: int | None,
    should_stop: Callable[[], bool] | None,
) -> NDArray[np.float32]:
    if isinstance(baselines, BaselinePool):
        if baselines.model != model.fingerprint:
            raise InputError("'baselines' is a pool of latents of another model")
        latents = baselines.latents
    else:
        array = np.asarray(baselines)
        if array.ndim != 2 or array.shape[1] != len(model.wavelength):
            raise InputError(f"'baselines' has shape {array.shape}, expected (M, {len(model.wavelength)})")
        model.checked_flux(array, "baselines")
        latents = model.encode(array, memory_budget=memory_budget, should_stop=should_stop)
    if len(latents) < 2:
        raise InputError(
            f"'baselines' has {len(latents)}; at least 2 are needed, their scatter weighs the window sizes"
        )
    return latents
