"""How much ordinary spectra deviate from their twins: what is fitted to them.

The numbers are those of a :class:`~imo_engine.reasons.deviation_null.DeviationNull`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.model.outlier_model import OutlierModel
from imo_engine.reasons.deviation_null import LINE_SHARE, OBSERVED_BIN, REST_EDGES, WIDTHS, DeviationNull
from imo_engine.reasons.deviations import Comparison, window_sums
from imo_engine.reasons.twin import ordinary_twin
from imo_engine.spectra.spectra import Spectra

__all__ = ["OrdinarySums", "compare_all", "fit_deviations"]

_MEDIAN = 0.4549  # of chi square with one degree of freedom
_ROUNDS = 2
_HALVINGS = 14
_FEWEST = (60, 20)  # values in a bin of rest wavelength, of observed wavelength
_SMALLEST_FACTOR = 0.7
_FOLDS = 4
_EVERY, _THINNED = 4, 8  # pixels; wide windows are looked at every eighth of their width


@dataclass(frozen=True, eq=False)
class OrdinarySums:
    """Sums over windows of n ordinary spectra, (n, width, N), and their redshifts, (n,)."""

    difference: NDArray[np.float32]
    twin: NDArray[np.float32]
    lines: NDArray[np.float32]
    redshift: NDArray[np.float64]
    wavelength: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.redshift)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "OrdinarySums":
        """Select spectra."""
        cut: dict[str, Any] = {name: getattr(self, name)[rows] for name in ("difference", "twin", "lines", "redshift")}
        return replace(self, **cut)

    def maxima(self, null: DeviationNull) -> NDArray[np.float32]:
        """Return the highest score of each spectrum at each width, (n, width)."""
        found = np.zeros((len(self), len(WIDTHS)), np.float32)
        for row in range(len(self)):
            score = null.scores(
                self.difference[row], self.twin[row], self.lines[row], self.wavelength, float(self.redshift[row])
            )
            found[row] = np.nanmax(np.abs(score), axis=1)
        return found


def compare_all(
    model: OutlierModel,
    spectra: Spectra,
    latents: NDArray[np.floating],
    *,
    on_done: Callable[[int], None] = lambda count: None,
) -> OrdinarySums:
    """Compare n spectra with their twins; 0.2 s a spectrum on a core."""
    flux, typical = model.prepare(spectra), DeviationNull.typical(len(spectra.wavelength))
    sums = np.empty((3, len(spectra), len(WIDTHS), len(spectra.wavelength)), np.float32)
    for row in range(len(spectra)):
        z, x, ivar = float(spectra.redshift[row]), flux[row].astype(float), spectra.ivar[row].astype(float)
        twin = ordinary_twin(model, x, ivar, z, latents)
        sums[:, row] = window_sums(Comparison(spectra.wavelength, x, ivar, z, twin.flux, typical))
        on_done(row + 1)
    return OrdinarySums(sums[0], sums[1], sums[2], spectra.redshift.copy(), spectra.wavelength)


def fit_deviations(sums: OrdinarySums, model: str, provenance: dict[str, Any]) -> DeviationNull:
    """Fit what ordinary spectra show; the highest scores of each are by numbers that were fitted to the others."""
    whole = _fitted(sums, model, provenance)
    maxima = np.zeros_like(whole.maxima, shape=(len(sums), len(WIDTHS)))
    fold = np.arange(len(sums)) % _FOLDS
    for number in range(_FOLDS):
        maxima[fold == number] = sums[fold == number].maxima(_fitted(sums[fold != number], model, provenance))
    return replace(whole, maxima=maxima)


def _fitted(sums: OrdinarySums, model: str, provenance: dict[str, Any]) -> DeviationNull:
    n, _, n_pixel = sums.difference.shape
    rest = np.stack([np.searchsorted(REST_EDGES, sums.wavelength / (1 + z)) for z in sums.redshift])
    observed = np.broadcast_to(np.arange(n_pixel) // OBSERVED_BIN, (n, n_pixel))
    blank = DeviationNull.typical(n_pixel)
    share, factor = blank.share.astype(np.float64), blank.factor.astype(np.float64)
    for row, width in enumerate(WIDTHS):
        step = max(_EVERY, width // _THINNED)
        pixels = slice(step // 2, None, step)
        square = (sums.difference[:, row, pixels].astype(np.float64) ** 2) / _MEDIAN
        twin = sums.twin[:, row, pixels].astype(np.float64) ** 2
        lines = (LINE_SHARE * sums.lines[:, row, pixels].astype(np.float64)) ** 2
        known = np.isfinite(square)
        share[row], factor[row] = _factors(
            square[known],
            twin[known],
            lines[known],
            _Bins.of(rest[:, pixels][known], len(REST_EDGES) + 1),
            _Bins.of(observed[:, pixels][known], factor.shape[1]),
        )
    return DeviationNull(share.astype(np.float32), factor.astype(np.float32), blank.maxima, model, provenance)


@dataclass(frozen=True, eq=False)
class _Bins:
    """Which bin each value is in, and the values of each bin."""

    of_value: NDArray[np.int64]
    members: list[NDArray[np.int64]]

    @classmethod
    def of(cls, of_value: NDArray[np.int64], count: int) -> "_Bins":
        order = np.argsort(of_value, kind="stable")
        edges = np.searchsorted(of_value[order], np.arange(count + 1))
        return cls(of_value, [order[edges[k] : edges[k + 1]] for k in range(count)])


def _factors(
    square: NDArray[np.float64], twin: NDArray[np.float64], lines: NDArray[np.float64], rest: _Bins, observed: _Bins
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share by rest bin and the factor by observed bin that make the median square 1 in every bin."""
    share, factor = np.zeros(len(rest.members)), np.ones(len(observed.members))
    for _ in range(_ROUNDS):
        for k, members in enumerate(rest.members):
            share[k] = np.nan
            if len(members) >= _FEWEST[0]:
                scaled = square[members] / factor[observed.of_value[members]]
                share[k] = _share(scaled, 1 + lines[members], twin[members])
        known = np.flatnonzero(np.isfinite(share))
        share = np.interp(np.arange(len(share)), known, share[known])
        base = square / (1 + lines + share[rest.of_value] ** 2 * twin)
        for k, members in enumerate(observed.members):
            if len(members) >= _FEWEST[1]:
                factor[k] = max(float(np.median(base[members])), _SMALLEST_FACTOR)
    return share, factor


def _share(square: NDArray[np.float64], own: NDArray[np.float64], twin: NDArray[np.float64]) -> float:
    """Return the share e at which the median of square / (own + e^2 twin) is 1, by halving; 0 if it is below 1."""
    if np.median(square / own) <= 1:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if np.median(square / (own + middle**2 * twin)) > 1 else (low, middle)
    return high
