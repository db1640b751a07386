"""What an attribution method found, in the same form for all of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import ImoError

__all__ = ["MethodAttribution", "NotApplicable"]


class NotApplicable(ImoError):
    """A method has no meaning for this model; the message says why, with the numbers that show it."""


@dataclass(frozen=True, eq=False)
class MethodAttribution:
    """One method's attribution of one spectrum.

    Positive values mark pixels that make the spectrum more anomalous: they lower log p. Nothing is
    normalised and no absolute value is taken, except by the controls that say so.
    """

    method: str
    """Its name in :data:`imo_engine.methods.registry.METHODS`."""
    values: NDArray[np.float64]
    """(N,) in :attr:`unit`; NaN where the pixel is not valid."""
    valid: NDArray[np.bool_]
    """(N,) measured, and reached by the decoder's rest-frame grid."""
    unit: str
    """"nat": of log p, for a pixel or for the window or segment it is in; "nat / pixel"; or of a control."""
    relative_to: str
    """What the spectrum is compared with, in words."""
    settings: dict[str, Any]
    """Every setting with its value, defaults included."""
    evaluations: int
    """Spectra sent through encoder and flow, those with a gradient included."""
    gradients: int
    """Those of them whose gradient was computed too."""
    seconds: float
    """Wall-clock time."""
    per_baseline: NDArray[np.float64] | None = None
    """(M, N) the same for each baseline alone, if the method has that; ``values`` is their mean."""
    completeness_gap: float | None = None
    """Sum of the values over the change of log p that it should equal, less 1; None if the method has no such sum."""
    caveat: str = ""
    """What to keep in mind when reading these values; empty if nothing."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Model, its fingerprint, and the device."""
