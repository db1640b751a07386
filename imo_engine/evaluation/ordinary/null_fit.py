"""Fit the null distribution of inverse occlusion to a sample of ordinary spectra."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError
from imo_engine.reasons.counting import counted_p
from imo_engine.reasons.null_distribution import TAIL_LEVELS, MapNull, NullDistribution, NullSettings, PlaceBins

__all__ = ["NullSample", "fit_null", "smallest_p", "smallest_p_in_turns"]

_FOLDS = 10
_FEWEST = 20
_ROUNDS = 8
_PRIOR = 6.0  # values that say nothing, in each bin of rest wavelength: some are hardly ever observed
_NORMAL = 0.6351814  # mean of -log |x| of the standard normal distribution
_SMALLEST = 1e-6  # of the median; below it a value is rounding


@dataclass(frozen=True, eq=False)
class NullSample:
    """Attributions of n spectra with one model and one choice of settings."""

    model: str
    """Fingerprint of the model."""
    settings: NullSettings
    wavelength: NDArray[np.float64]
    """(N,) vacuum Angstrom, observed frame."""
    values: tuple[NDArray[np.float32], ...]
    """(n, chunk) a map: mean over baselines, nats per pixel; NaN where a chunk has no valid pixel."""
    redshift: NDArray[np.float64]
    """(n,)."""
    target_id: NDArray[np.str_]
    """(n,)."""
    log_prob: NDArray[np.float64]
    """(n,) nats."""

    def __len__(self) -> int:
        return len(self.redshift)

    def __getitem__(self, rows: NDArray[np.bool_ | np.integer]) -> "NullSample":
        """Select spectra with a mask or a list of positions."""
        values = tuple(one[rows] for one in self.values)
        names = ("redshift", "target_id", "log_prob")
        return replace(self, values=values, **{name: getattr(self, name)[rows] for name in names})

    def with_more(self, other: "NullSample") -> "NullSample":
        """Return these spectra and those of another sample of the same model and settings."""
        pairs = zip(self.values, other.values, strict=True)
        names = ("redshift", "target_id", "log_prob")
        joined: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return replace(self, values=tuple(np.concatenate(pair) for pair in pairs), **joined)

    @property
    def bins(self) -> list[PlaceBins]:
        """One a map."""
        return [PlaceBins(size, self.wavelength) for size in self.settings.chunk_sizes]


def fit_null(sample: NullSample, provenance: dict[str, Any]) -> NullDistribution:
    """Fit location, spread and tails of all maps.

    Each spectrum is scored by maps that were fitted to the others (ten folds), so that its scores are those of a
    spectrum that nobody has seen; the maps that are kept are fitted to all.

    Raises:
        InputError: fewer than 20 spectra, or values that do not vary.
    """
    count = len(sample)
    if count < _FEWEST:
        raise InputError(f"{count} ordinary spectra; a null distribution needs {_FEWEST} at least")
    folds = np.arange(count) % _FOLDS
    maps, maxima = [], np.empty((count, len(sample.values)), np.float32)
    for number, (values, bins) in enumerate(zip(sample.values, sample.bins, strict=True)):
        scores = np.empty_like(values)
        for fold in range(_FOLDS):
            other, own = folds != fold, folds == fold
            fitted = _fit_map(values[other], bins, sample.redshift[other])
            scores[own] = fitted.score(values[own], bins, sample.redshift[own])
        maxima[:, number] = np.nanmax(scores, axis=1)
        tail = np.quantile(scores[np.isfinite(scores)], 1 - TAIL_LEVELS).astype(np.float32)
        kept = _fit_map(values, bins, sample.redshift)
        maps.append(MapNull(kept.location, kept.observed, kept.rest, tail))
    if not (np.quantile(maxima, 0.9, axis=0) > np.quantile(maxima, 0.5, axis=0)).all() or maxima.min() <= 0:
        raise InputError("ordinary spectra whose attributions do not vary have no null distribution")
    ends = float(sample.redshift.min()), float(sample.redshift.max())
    return NullDistribution(sample.model, sample.settings, tuple(maps), maxima, ends, provenance)


def smallest_p(null: NullDistribution, sample: NullSample) -> NDArray[np.float64]:
    """Return the smallest corrected p-value of each spectrum, (n, map + 1): of each map alone, then of all together."""
    highest = np.stack(
        [
            np.nanmax(one.score(values, bins, sample.redshift), axis=1)
            for one, values, bins in zip(null.maps, sample.values, sample.bins, strict=True)
        ]
    )
    alone = [counted_p(row, np.sort(null.maxima[:, k])) for k, row in enumerate(highest)]
    together = counted_p(null.comparable(highest).max(axis=0), null.highest)
    return np.stack([*alone, together], axis=1)


def smallest_p_in_turns(sample: NullSample, *, parts: int = 4, seed: int = 0) -> NDArray[np.float64]:
    """Return :func:`smallest_p` of every spectrum, from a null distribution of those in the other parts.

    The parts are drawn at random. All spectra are used, so that the error is smaller than with a few held out.
    """
    part = np.random.default_rng(seed).permutation(len(sample)) % parts
    found = np.empty((len(sample), len(sample.values) + 1))
    for number in range(parts):
        found[part == number] = smallest_p(fit_null(sample[part != number], {}), sample[part == number])
    return found


def _fit_map(values: NDArray[np.float32], bins: PlaceBins, redshift: NDArray[np.float64]) -> MapNull:
    """Fit location and spread to values (n, chunk); spread = factor by observed times factor by rest wavelength.

    Factors are geometric means of absolute deviations, which a few wild values do not move; both are found in turns.
    """
    observed, rest = bins.observed, bins.rest(redshift)
    n_observed = int(observed[-1]) + 1
    location = np.zeros(n_observed)
    starts = np.searchsorted(observed, np.arange(n_observed + 1))
    for place, (start, stop) in enumerate(zip(starts[:-1], starts[1:], strict=True)):
        inside = values[:, start:stop]
        finite = inside[np.isfinite(inside)]
        location[place] = np.median(finite) if finite.size else 0.0
    off = np.abs(values - location[observed])
    known = np.isfinite(off)
    if not off[known].any():
        raise InputError("ordinary spectra whose attributions do not vary have no null distribution")
    floor = _SMALLEST * float(np.median(off[known & (off > 0)]))
    logs = np.log(np.maximum(off[known], floor)) + _NORMAL
    of_observed, of_rest = np.broadcast_to(observed, values.shape)[known], rest[known]
    count_observed = np.bincount(of_observed, minlength=n_observed)
    count_rest = np.bincount(of_rest, minlength=bins.n_rest)
    by_observed, by_rest = np.zeros(n_observed), np.zeros(bins.n_rest)
    for _ in range(_ROUNDS):
        by_observed = np.bincount(of_observed, logs - by_rest[of_rest], n_observed) / np.maximum(count_observed, 1)
        by_rest = np.bincount(of_rest, logs - by_observed[of_observed], bins.n_rest) / (count_rest + _PRIOR)
    typical = float(by_observed[count_observed > 0].mean())
    by_observed = np.where(count_observed > 0, by_observed, typical)
    return MapNull(
        location.astype(np.float32),
        by_observed.astype(np.float32),
        by_rest.astype(np.float32),
        tail=np.zeros(len(TAIL_LEVELS), np.float32),
    )
