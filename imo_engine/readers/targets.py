"""What a file says of its targets besides their pixels, and the words for what is wrong with them."""

import numpy as np
from numpy.typing import NDArray

from imo_engine.readers.pixels import Pixels, resample
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.spectra import Spectra, normalise

__all__ = ["Targets"]


class Targets:
    """Identifiers, positions, redshifts, problems and remarks of the n targets of a file.

    Where ``has_noise`` is False the pixels' ivar tells only which were measured (1) and which not (0).

    The most fundamental problem is the one that is reported: no data before sky fibre before no redshift.
    """

    def __init__(self, source: str, target_id: list[str], instrument: str | list[str] = "") -> None:
        n = len(target_id)
        self.source = source
        self.instrument = instrument
        self.has_noise = True
        self.target_id = target_id
        self.ra: NDArray[np.float64] = np.full(n, np.nan)
        self.dec: NDArray[np.float64] = np.full(n, np.nan)
        self.redshift: NDArray[np.float64] = np.full(n, np.nan)
        self.spectype = [""] * n
        self.zwarn: NDArray[np.int64] = np.full(n, -1, np.int64)
        self.objtype = [""] * n
        self.problem = [""] * n
        self._remarks: list[list[str]] = [[] for _ in range(n)]

    def remark(self, text: str, row: int | None = None) -> None:
        """Add a remark to one target, or to all of them."""
        for remarks in self._remarks if row is None else [self._remarks[row]]:
            remarks.append(text)

    def say(self, row: int, problem: str) -> None:
        """Record a problem of a target that has no more fundamental one."""
        self.problem[row] = self.problem[row] or problem

    def give_redshifts(self, given: GivenRedshifts) -> NDArray[np.bool_]:
        """Take over the redshifts that the caller gave and return which targets, (n,), these are."""
        by_hand = np.zeros(len(self.target_id), bool)
        for row, target in enumerate(self.target_id):
            z = given.of(target)
            if z is not None:
                self.redshift[row] = z
                by_hand[row] = True
                self.remark("redshift given by hand", row)
        return by_hand

    def normalised(
        self, pixels: Pixels, observed: NDArray[np.float64], wavelength: NDArray[np.float64], rows: slice
    ) -> Spectra:
        """Resample the pixels of some rows from ``observed`` to ``wavelength`` and normalise them."""
        has_data = pixels.has_data
        if observed.shape != wavelength.shape or not np.allclose(observed, wavelength, rtol=0, atol=1e-6):
            pixels = resample(pixels, observed, wavelength)
        problem = self.problem[rows]
        for i, (before, after) in enumerate(zip(has_data, pixels.has_data, strict=True)):
            if not before:
                problem[i] = ""  # normalise() says that no pixel was measured, which comes first
            elif not after:
                low, high = wavelength[[0, -1]]
                problem[i] = f"no measured pixel in the model's range, {low:.0f}-{high:.0f} Angstrom"
        return normalise(
            wavelength,
            pixels.flux,
            pixels.ivar if self.has_noise else np.zeros_like(pixels.ivar),
            self.redshift[rows],
            target_id=self.target_id[rows],
            measured=pixels.ivar > 0,
            ra=self.ra[rows],
            dec=self.dec[rows],
            problem=problem,
            note=["; ".join(remarks) for remarks in self._remarks[rows]],
            source=self.source,
            instrument=self.instrument if isinstance(self.instrument, str) else self.instrument[rows],
            spectype=self.spectype[rows],
            zwarn=self.zwarn[rows],
            objtype=self.objtype[rows],
        )
