"""What a file says of its targets besides their pixels, and the words for what is wrong with them."""

import numpy as np
from numpy.typing import NDArray

from imo_engine.readers.pixels import Pixels, resample, typical_flux
from imo_engine.readers.redshift_tables import RedshiftTable
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.spectra.spectra import Spectra, normalise

__all__ = ["Targets"]

_USUAL_POWERS = -4, 5


class Targets:
    """Identifiers, positions, redshifts, problems and remarks of the n targets of a file.

    Where ``has_noise`` is False the pixels' ivar tells only which were measured (1) and which not (0). ``noise`` is
    what the file calls that from which the ivar is made.

    The most fundamental problem is the one that is reported: no data before sky fibre before no redshift.
    """

    def __init__(self, source: str, target_id: list[str], instrument: str | list[str] = "") -> None:
        n = len(target_id)
        self.source = source
        self.instrument = instrument
        self.has_noise = True
        self.noise = "ivar"
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
        known = np.zeros(len(self.target_id), bool)
        for row, target in enumerate(self.target_id):
            z = given.of(target)
            if z is not None:
                self.redshift[row] = z
                known[row] = True
                self.remark("redshift given by hand", row)
        if given.catalogue is not None:
            new = self.look_up(given.catalogue, ~known, given.catalogue.name)
            for row in np.flatnonzero(new).tolist():
                self.remark(f"redshift from {given.catalogue.name}", row)
            known |= new
        return known

    def look_up(self, table: RedshiftTable, wanted: NDArray[np.bool_], fitter: str = "redrock") -> NDArray[np.bool_]:
        """Take redshift, warning and class of the targets ``wanted``, (n,), from a table; return which are in it.

        ``fitter`` is who is said to have classified them.
        """
        best, count = table.rows(self.target_id)
        found = wanted & (best >= 0)
        for row in np.flatnonzero(found).tolist():
            z, warning, kind = table.z[best[row]], table.zwarn[best[row]], str(table.spectype[best[row]])
            self.redshift[row] = z
            # what the table does not say stays as the file says it
            self.zwarn[row] = warning if warning >= 0 else self.zwarn[row]
            self.spectype[row] = kind or self.spectype[row]
            if not np.isfinite(z):
                self.say(row, f"no redshift: it is {z} in {table.name}")
            if count[row] > 1:
                which = table.which(best[row])
                self.remark(f"{table.name} has {count[row]} redshifts of it, {which} is used", row)
            if warning > 0:
                self.remark(f"ZWARN {warning}", row)
            if kind not in ("GALAXY", ""):
                self.remark(f"{fitter} calls it a {kind}", row)
        return found

    def normalised(
        self, pixels: Pixels, observed: NDArray[np.float64], wavelength: NDArray[np.float64], rows: slice
    ) -> Spectra:
        """Resample the pixels of some rows from ``observed`` to ``wavelength`` and normalise them.

        Flux of an unusual size is brought to a power of ten of the file's unit, with a remark: a flux in
        erg/s/cm2/Angstrom has an ivar of about 1e34, and single precision ends there.
        """
        self._remark_on_ivar(pixels, rows)
        pixels = self._of_usual_size(pixels, rows)
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

    def _remark_on_ivar(self, pixels: Pixels, rows: slice) -> None:
        """Say of each target how many pixels have a noise that means nothing."""
        for row, counts in enumerate([] if pixels.odd is None else pixels.odd.tolist()):
            kinds = [
                f"{count} pixel{'s' * (count != 1)} with {kind} {self.noise}"
                for count, kind in zip(counts, ("infinite", "negative"), strict=True)
                if count
            ]
            if kinds:
                text = f"{self.source}: {' and '.join(kinds)}, treated as not measured"
                self.remark(text, range(len(self.target_id))[rows][row])

    def _of_usual_size(self, pixels: Pixels, rows: slice) -> Pixels:
        power = np.floor(np.log10(typical_flux(pixels.flux, pixels.ivar)))
        low, high = _USUAL_POWERS
        power[(low <= power) & (power < high)] = 0
        if not power.any():
            return pixels
        for row in np.flatnonzero(power).tolist():
            self.remark(f"flux in 1e{power[row]:.0f} of the file's unit", range(len(self.target_id))[rows][row])
        scale = 10.0 ** power[:, None]
        return Pixels(pixels.flux / scale, pixels.ivar * scale**2 if self.has_noise else pixels.ivar)
