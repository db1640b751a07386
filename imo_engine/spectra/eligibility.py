"""Which spectra a ranking is of: galaxies at redshifts that the model was trained with, observed as targets.

A star, a quasar, or a galaxy far outside the training's redshifts has a low log p because the model has never seen its
like, not because it is odd. It keeps its log p, and is told apart from what is ranked by a reason in words.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError
from imo_engine.spectra.spectra import Spectra

__all__ = ["ZWARN_BITS", "redshift_range_of", "why_not_ranked", "zwarn_words"]

ZWARN_BITS = {
    0: "SKY",
    1: "LITTLE_COVERAGE",
    2: "SMALL_DELTA_CHI2",
    3: "NEGATIVE_MODEL",
    4: "MANY_OUTLIERS",
    5: "Z_FITLIMIT",
    6: "NEGATIVE_EMISSION",
    7: "UNPLUGGED",
    8: "BAD_TARGET",
    9: "NODATA",
    10: "BAD_MINFIT",
    11: "POORDATA",
}
"""Bits of redrock's ZWARN (redrock.zwarning), of which 0 to 9 are those of SDSS's ZWARNING."""

_NO_SPECTRUM = 1 << 0 | 1 << 7 | 1 << 8 | 1 << 9
_GALAXIES = ("", "GALAXY", "UNKNOWN")


def zwarn_words(zwarn: int) -> str:
    """Name the bits of a redshift warning.

    >>> zwarn_words(516), zwarn_words(1 << 40)
    ('SMALL_DELTA_CHI2, NODATA', 'bit 40')
    """
    return ", ".join(ZWARN_BITS.get(bit, f"bit {bit}") for bit in range(63) if zwarn >> bit & 1)


def redshift_range_of(provenance: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the redshifts that a model was trained with, lowest and highest, None where its file does not say.

    Args:
        provenance: of the model, ``OutlierModel.provenance``.

    Raises:
        InputError: ``redshift_range`` is there and not two ascending numbers.
    """
    found = provenance.get("redshift_range")
    if found is None:
        return None
    try:
        low, high = (float(value) for value in found)
    except (TypeError, ValueError):
        low = high = np.nan
    if not low < high:
        raise InputError(f"'redshift_range' of the model is {found!r}; expected its lowest and highest redshift")
    return low, high


def why_not_ranked(spectra: Spectra, redshift_range: tuple[float, float] | None) -> NDArray[np.str_]:
    """Say of each spectrum, (n,), why a ranking by log p leaves it out; empty where it does not.

    Left out are what is no target (OBJTYPE), what has no spectrum by its redshift warning (SKY, UNPLUGGED, BAD_TARGET,
    NODATA), what the survey takes for something else than a galaxy, and redshifts outside ``redshift_range``, unless
    that is None. A class that is not known counts as a galaxy; other redshift warnings do not matter here.
    """
    reasons = []
    for kind, objtype, zwarn, z in zip(
        spectra.spectype.tolist(),
        spectra.objtype.tolist(),
        spectra.zwarn.tolist(),
        spectra.redshift.tolist(),
        strict=True,
    ):
        reason = ""
        if objtype not in ("", "TGT"):
            reason = f"not a target: OBJTYPE is {'blank' if objtype == 'NONE' else objtype}"
        elif zwarn > 0 and zwarn & _NO_SPECTRUM:
            reason = f"redshift warning {zwarn_words(zwarn & _NO_SPECTRUM)}: no spectrum of the target"
        elif kind.upper() not in _GALAXIES:
            reason = f"class {kind}: the model was made for galaxies"
        elif redshift_range is not None and np.isfinite(z) and not redshift_range[0] <= z <= redshift_range[1]:
            low, high = redshift_range
            reason = f"redshift {z:.4g} is outside the model's training, {low:g} to {high:g}"
        reasons.append(reason)
    return np.array(reasons, dtype=np.str_)
