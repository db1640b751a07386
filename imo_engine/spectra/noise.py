"""The noise of one spectrum, as files of attributions have it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.spectra.spectra import Spectra

__all__ = ["NOT_KNOWN", "ivar_in_words", "noise_variables"]

NOT_KNOWN = "noise not known"
"""What is said of a spectrum whose file says nothing of its noise."""


def ivar_in_words(spectrum: Spectra) -> tuple[NDArray[np.float32], str]:
    """Return the inverse variance, (N,), of the flux of one spectrum, and what it is; NaN where it is not known."""
    if not spectrum.has_noise[0] and spectrum.measured[0].any():
        return np.full(len(spectrum.wavelength), np.nan, np.float32), f"inverse variance of flux: {NOT_KNOWN}"
    return spectrum.ivar[0], "inverse variance of flux, as the file has it, sky lines included; 0: not measured"


def noise_variables(spectrum: Spectra) -> dict[str, tuple[Any, ...]]:
    """Return the noise of one spectrum as variable of :meth:`imo_engine.attribution.record.Attribution.to_xarray`."""
    ivar, words = ivar_in_words(spectrum)
    return {"ivar": ("pixel", ivar, {"long_name": words})}
