"""One range of a spectrum, put into the baselines and replaced by theirs: what each does to log p."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imo_engine.attribution.occlusion import checked_spectrum
from imo_engine.errors import InputError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool

__all__ = ["Probe", "probe_range"]


@dataclass(frozen=True, eq=False)
class Probe:
    """log p, nats, with the range of one object swapped for that of another.

    Attributes:
        low: First wavelength of the range, vacuum Angstrom, observed frame.
        high: Last wavelength.
        pixels: How many pixels were swapped.
        own: log p of the spectrum as it is.
        repaired: (M,) log p of the spectrum with the range of each baseline.
        baselines: (M,) log p of the baselines as they are.
        spoiled: (M,) log p of each baseline with the range of the spectrum.
    """

    low: float
    high: float
    pixels: int
    own: float
    repaired: NDArray[np.float64]
    baselines: NDArray[np.float64]
    spoiled: NDArray[np.float64]


def probe_range(
    model: OutlierModel,
    flux: ArrayLike,
    redshift: float,
    baselines: BaselinePool,
    low: float,
    high: float,
    *,
    valid: ArrayLike | None = None,
    aligned: NDArray[np.float32] | None = None,
) -> Probe:
    """Swap the range [low, high] between a spectrum and aligned baselines, both ways.

    Args:
        model: Encoder, decoder and flow.
        flux: (N,) normalised flux, observed frame.
        redshift: Its redshift.
        baselines: Ordinary objects.
        low: Vacuum Angstrom, observed frame.
        high: The same.
        valid: (N,) pixels that may be swapped; by default all finite ones.
        aligned: (M, N) the baselines at ``redshift``, if they are known already.

    Raises:
        InputError: a range without valid pixels, or a spectrum that does not fit the model.
    """
    array, usable = checked_spectrum(model, flux, redshift, valid)
    inside = usable & (model.wavelength >= low) & (model.wavelength <= high)
    if not inside.any():
        raise InputError(f"no valid pixel from {low:g} to {high:g} Angstrom")
    if aligned is None:
        aligned = model.decode(baselines.latents, np.full(len(baselines), float(redshift))).astype(np.float32)
    spoiled = np.where(inside, array, aligned)
    repaired = np.where(inside, aligned, array)
    count = len(aligned)
    log_prob = model.log_prob(np.concatenate([array[None], repaired, aligned, spoiled])).astype(float)
    wave = model.wavelength[inside]
    return Probe(
        float(wave[0]),
        float(wave[-1]),
        int(inside.sum()),
        float(log_prob[0]),
        log_prob[1 : count + 1],
        log_prob[count + 1 : 2 * count + 1],
        log_prob[2 * count + 1 :],
    )
