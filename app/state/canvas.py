"""What a session draws on: the plots of a page, or anything else that shows the same things."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.record import Attribution
from imo_engine.reasons.significance import Significance
from imo_engine.spectra.spectra import Spectra

__all__ = ["Canvas", "MethodRow"]


MethodState = Literal["waiting", "computing", "done", "failed"]


@dataclass(frozen=True, eq=False)
class MethodRow:
    """What one panel shows.

    Attributes:
        name: Of the method.
        title: Above the curve.
        unit: Of the values.
        note: In place of a curve: why there is none, or none yet. Empty beside a curve.
        values: (N,) or None.
        state: waiting, computing, done or failed.
    """

    name: str
    title: str
    unit: str = ""
    note: str = ""
    values: NDArray[np.floating] | None = None
    state: MethodState = "waiting"


class Canvas(Protocol):
    """Shows a target, its attribution as it arrives, and what is said of it."""

    def show_spectrum(self, spectra: Spectra, row: int) -> None:
        """Show a spectrum and nothing that was computed of another."""

    def show_reconstruction(self, flux: NDArray[np.floating]) -> None:
        """Show what the model makes of it, (N,)."""

    def show_baselines(self, baselines: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Show its baselines, (M, N)."""

    def show_window(self, window_size: int, values: NDArray[np.float32]) -> None:
        """Show the values of one window size, (M, N)."""

    def show_combination(self, combined: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        """Show the combination of the window sizes that are there, (N,)."""

    def show_attribution(
        self, attribution: Attribution, significance: Significance | None = None, why_not: str = ...
    ) -> None:
        """Show a complete attribution, and what of it is significant or why nothing is."""

    def show_features(
        self, features: Sequence[tuple[float, float, str, str]], combined: NDArray[np.floating] | None = None
    ) -> None:
        """Mark what stands out."""

    def show_repair(self, regions: Sequence[tuple[int, int]], flux: NDArray[np.floating]) -> None:
        """Show which pixels a repair replaced, first and one past the last, and the repaired spectrum, (N,)."""

    def show_methods(self, shown: bool, rows: Sequence[MethodRow]) -> None:
        """Show other methods from top to bottom; ``shown``: whether they are on the page at all."""
