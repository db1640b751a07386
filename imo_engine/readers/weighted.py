"""Spectra as spender stores them: normalised, with a weight that is ivar except on bright sky lines, where it is 0."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imo_engine.readers.pixels import Pixels
from imo_engine.readers.targets import Targets
from imo_engine.spectra.instrument import sky_line_mask
from imo_engine.spectra.spectra import Spectra

__all__ = ["weighted_spectra"]


def weighted_spectra(
    targets: Targets,
    flux: ArrayLike,
    weight: ArrayLike,
    observed: NDArray[np.float64],
    wavelength: NDArray[np.float64],
    rows: slice,
) -> Spectra:
    """Return spectra of some rows of ``targets``, on ``wavelength``.

    On sky lines the flux is the survey's own (spender.data.desi: "the spectrum itself is not altered") and was seen by
    the encoder in training, so such a pixel counts as measured if it has a flux other than 0; its noise is not known,
    and ``ivar`` is 0 there.

    Args:
        targets: what is known of them.
        flux: (n, N)
        weight: (n, N)
        observed: (N,) vacuum Angstrom, observed frame.
        wavelength: (M,) the same for the result.
        rows: n of the targets.
    """
    flux, weight = np.array(flux, np.float64, ndmin=2), np.array(weight, np.float64, ndmin=2)
    usable = np.isfinite(weight) & (weight > 0)
    hidden = ~usable & sky_line_mask(observed) & np.isfinite(flux) & (flux != 0)
    # any ivar will do: sky lines are left out of the normalisation, and lose it below
    typical = np.array([np.median(w[good]) if good.any() else 0.0 for w, good in zip(weight, usable, strict=True)])
    for row in np.flatnonzero(hidden.any(axis=1)).tolist():
        targets.remark("noise not known on bright sky lines (weight 0)", rows.start + row)
    ivar = np.where(hidden, typical[:, None], weight)
    targets.noise = "weight"
    spectra = targets.normalised(Pixels.from_file(flux, ivar), observed, wavelength, rows)
    return replace(spectra, ivar=spectra.weight)
