"""Repair: the smallest set of regions of a spectrum whose replacement makes it ordinary.

The opposite direction of inverse occlusion: parts of the spectrum are replaced by what ordinary spectra have there,
until log p of the rest reaches an ordinary value. What had to go is what made it an outlier.
"""

import time
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imo_engine.attribution.occlusion import checked_spectrum
from imo_engine.attribution.record import Attribution
from imo_engine.errors import Cancelled, InputError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.repair.candidates import Range, repair_candidates
from imo_engine.repair.fill import FILLS, filled, stand_ins
from imo_engine.repair.record import Repair, RepairedRegion
from imo_engine.repair.search import Search, covered

__all__ = ["Repair", "RepairedRegion", "repair"]

_AT_ONCE = 32  # spectra from one question whether to stop to the next
_BLOCK = 128  # pixels by which more and more of the spectrum is replaced where regions are not enough
_GRADES = 8
_TRIMMING = 600  # evaluations, about


def repair(
    model: OutlierModel,
    flux: ArrayLike,
    redshift: float,
    baselines: BaselinePool,
    attribution: Attribution,
    *,
    target_log_prob: float,
    valid: ArrayLike | None = None,
    max_regions: int = 8,
    max_share: float = 0.45,
    n_baselines: int = 8,
    which: str = "nearest",
    fill: str = "plain",
    instrument: str = "",
    seed: int = 0,
    max_evaluations: int = 6000,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Repair:
    """Find the smallest set of regions whose replacement by ordinary baselines brings log p to a target.

    Regions come from the attribution at all its scales and are added greedily by log p itself, median over the
    baselines that fill them; then those that are not needed are left out, and the ends of the others are cut as far
    as the target allows. The spectrum is not normalised again where rest 5300 to 5850 Angstrom is replaced: all other
    pixels stay what they are, as in inverse occlusion.

    Args:
        model: Encoder, decoder and flow.
        flux: (N,) normalised flux, observed frame.
        redshift: Of the spectrum.
        baselines: Ordinary objects, best others than those of the attribution
            (:func:`imo_engine.repair.fill.held_out`); those with a log p below the target are not used.
        attribution: Of the spectrum.
        target_log_prob: What is ordinary, nats; see :func:`imo_engine.ranking.reference.ordinary_log_prob`.
        valid: (N,) pixels that may be replaced; by default all finite ones.
        max_regions: How many at most.
        max_share: Of the usable pixels that may be replaced; an object that needs more has no local cause.
        n_baselines: How many fill the regions.
        which: Which: one of :data:`imo_engine.repair.fill.STAND_INS`.
        fill: How: one of :data:`imo_engine.repair.fill.FILLS`.
        instrument: What observed the spectrum, a name of :data:`imo_engine.spectra.instrument.INSTRUMENTS`, whose arms
            or cameras are tried as regions; empty if that is not known.
        seed: Of the draw of baselines.
        max_evaluations: After which the search makes do with what it has found.
        should_stop: Asked before each batch.
        on_progress: Told after each batch how many spectra are scored, of about how many.

    Raises:
        InputError: arguments that do not fit together; the message names the argument.
        Cancelled: ``should_stop`` returned True.
        OutOfMemory: not even one spectrum fits into memory.
    """
    began = time.perf_counter()
    array, usable = checked_spectrum(model, flux, redshift, valid)
    _check(model, attribution, redshift, target_log_prob, max_regions, max_share, n_baselines, fill)
    usable = usable & attribution.valid
    if not usable.any():
        raise InputError("'attribution' has no valid pixel in common with the spectrum")
    if baselines.model != model.fingerprint:
        raise InputError("'baselines' is a pool of latents of another model")
    ordinary = baselines[np.flatnonzero(baselines.log_prob >= target_log_prob)]
    fills = stand_ins(model, array, usable, redshift, ordinary, n_baselines, which=which, seed=seed)
    scorer = _Scorer(model, array, fills, usable, fill, should_stop, on_progress)
    own = float(scorer.log_prob([np.zeros(len(array), bool)], 1)[0, 0])
    ranges: list[Range] = []
    search = Search(
        scorer.log_prob,
        usable,
        target_log_prob,
        most_ranges=max_regions,
        most_pixels=int(max_share * usable.sum()),
        may_go_on=lambda: scorer.done < max_evaluations,
    )
    if own < target_log_prob:
        candidates = repair_candidates(attribution, instrument)
        scorer.expected = max_regions * (3 * len(candidates) + 8 * len(fills)) // 2 + _TRIMMING
        ranges = search.run(candidates, own)
    complete = scorer.done < max_evaluations
    replaced = covered(ranges, usable)
    steps = [covered(ranges[: k + 1], usable) for k in range(len(ranges))]
    values = scorer.log_prob(steps, None) if steps else np.full((1, len(fills)), own)
    regions = tuple(
        _region(model, redshift, one, usable, row) for one, row in zip(ranges, values.tolist(), strict=False)
    )
    reached = float(np.median(values[-1])) >= target_log_prob
    needed = None if reached else _needed(scorer, attribution, usable, replaced, target_log_prob)
    middle = int(np.argsort(values[-1], kind="stable")[(len(fills) - 1) // 2])
    if on_progress is not None:
        on_progress(scorer.done, scorer.done)
    return Repair(
        regions=regions,
        own=own,
        target=float(target_log_prob),
        reached=reached,
        needed=needed,
        usable=int(usable.sum()),
        flux=filled(array, fills[middle : middle + 1], replaced, usable, fill)[0].astype(np.float32),
        replaced=replaced,
        evaluations=scorer.done,
        seconds=time.perf_counter() - began,
        complete=complete,
    )


class _Scorer:
    """log p of one spectrum with pixels replaced; counts, tells and stops."""

    def __init__(
        self,
        model: OutlierModel,
        flux: NDArray[np.floating],
        fills: NDArray[np.float32],
        usable: NDArray[np.bool_],
        fill: str,
        should_stop: Callable[[], bool] | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._model, self._flux, self._fills, self._usable, self._fill = model, flux, fills, usable, fill
        self._should_stop, self._on_progress = should_stop, on_progress
        self.done, self.expected = 0, _TRIMMING

    def log_prob(self, masks: Sequence[NDArray[np.bool_]], baselines: int | None) -> NDArray[np.float64]:
        """Return log p, (n, M), of n masks with the first so many baselines, or with all."""
        fills = self._fills[:baselines]
        hybrids = (row for mask in masks for row in filled(self._flux, fills, mask, self._usable, self._fill))
        parts = []
        while batch := list(islice(hybrids, _AT_ONCE)):
            if self._should_stop is not None and self._should_stop():
                raise Cancelled(f"stopped after {self.done} evaluations")
            parts.append(self._model.log_prob(np.array(batch)).astype(float))
            self.done += len(batch)
            if self._on_progress is not None:
                self._on_progress(self.done, max(self.expected, self.done + 1))
        return np.concatenate(parts).reshape(len(masks), len(fills))


def _needed(
    scorer: _Scorer,
    attribution: Attribution,
    usable: NDArray[np.bool_],
    replaced: NDArray[np.bool_],
    target: float,
) -> int | None:
    """Return how many pixels are needed if more and more blocks are replaced, the highest attribution first."""
    block = np.arange(len(usable)) // _BLOCK
    total = np.bincount(block, np.where(usable, np.nan_to_num(attribution.combined), 0.0))
    order = np.empty(len(total), np.int64)
    order[np.argsort(-total, kind="stable")] = np.arange(len(total))
    turn = np.where(replaced, -1, order[block])
    grades = [usable & (turn < len(total) * grade / _GRADES) for grade in range(1, _GRADES + 1)]
    medians = np.median(scorer.log_prob(grades, None), axis=1)
    enough = np.flatnonzero(medians >= target)
    return int(grades[enough[0]].sum()) if len(enough) else None


def _region(
    model: OutlierModel, redshift: float, pixels: Range, usable: NDArray[np.bool_], log_prob: list[float]
) -> RepairedRegion:
    start, stop = pixels
    low, high = float(model.wavelength[start]), float(model.wavelength[stop - 1])
    stretch = 1 + float(redshift)
    return RepairedRegion(
        start, stop, int(usable[start:stop].sum()), (low, high), (low / stretch, high / stretch), tuple(log_prob)
    )


def _check(
    model: OutlierModel,
    attribution: Attribution,
    redshift: float,
    target: float,
    max_regions: int,
    max_share: float,
    n_baselines: int,
    fill: str,
) -> None:
    if attribution.valid.shape != model.wavelength.shape:
        raise InputError(f"'attribution' has {attribution.valid.shape[0]} pixels, the model {len(model.wavelength)}")
    if abs(attribution.redshift - float(redshift)) > 1e-9:
        raise InputError(f"'attribution' is of redshift {attribution.redshift:g}, the spectrum of {float(redshift):g}")
    if not np.isfinite(target):
        raise InputError(f"'target_log_prob' is {target}; expected a finite number")
    if max_regions < 1:
        raise InputError(f"'max_regions' is {max_regions}; expected 1 or more")
    if not 0 < max_share <= 1:
        raise InputError(f"'max_share' is {max_share:g}; expected a share above 0, to 1")
    if n_baselines < 2:
        raise InputError(f"'n_baselines' is {n_baselines}; at least 2 are needed")
    if fill not in FILLS:
        raise InputError(f"'fill' is {fill!r}; expected one of {', '.join(FILLS)}")
