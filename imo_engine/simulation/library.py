"""A library of noiseless galaxies in the rest frame, from which spectra at any redshift are made.

One galaxy serves many spectra: stars and nebular continuum are kept on a logarithmic rest-frame grid,
emission lines as a list of fluxes, so that lines are drawn at the instrument's resolution and can be changed.
"""

import zipfile
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.simulation.lines import LINE_WAVELENGTHS, SPEED_OF_LIGHT, render_lines
from imo_engine.spectra.spectra import NORMALISATION_RANGE
from imo_engine.system.files import write_atomically

__all__ = [
    "LIBRARY_PATTERN",
    "GalaxyLibrary",
    "concatenate_libraries",
    "interpolate_log",
    "read_library",
    "read_library_file",
    "rest_wavelength",
]

LIBRARY_PATTERN = "library-*.npz"
"""Names of the files of a library in its folder."""

_FIRST, _LAST, _STEP = 2245.0, 9830.0, 2.0e-4


def rest_wavelength() -> NDArray[np.float64]:
    """Return the rest-frame grid, vacuum Angstrom, 60 km/s a bin, covering 3600-9824 observed at z = 0 to 0.6.

    >>> len(rest_wavelength()), float(rest_wavelength()[0])
    (7384, 2245.0)
    """
    wavelength: NDArray[np.float64] = _FIRST * np.exp(_STEP * np.arange(int(np.log(_LAST / _FIRST) / _STEP) + 1))
    return wavelength


@dataclass(frozen=True, eq=False)
class GalaxyLibrary:
    """Noiseless spectra of n galaxies whose median continuum at rest 5300-5850 Angstrom is 1."""

    continuum: NDArray[np.float16]
    """(n, R) on :func:`rest_wavelength`, stellar dispersion included."""
    line_flux: NDArray[np.float32]
    """(n, L) Angstrom times the normalised flux density (:data:`~imo_engine.simulation.lines.LINE_NAMES`)."""
    line_dispersion: NDArray[np.float32]
    """(n,) km/s."""
    family: NDArray[np.int64]
    """(n,) index into :data:`~imo_engine.simulation.priors.FAMILIES`."""
    seyfert: NDArray[np.bool_]
    """(n,) whether the galaxy has a strong narrow-line AGN."""

    def __len__(self) -> int:
        return len(self.continuum)

    def __getitem__(self, rows: ArrayLike | slice) -> "GalaxyLibrary":
        """Select galaxies."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def observe(
        self,
        rows: NDArray[np.int64],
        redshift: NDArray[np.float64],
        wavelength: NDArray[np.float64],
        *,
        resolution: float | NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return noiseless spectra of galaxies ``rows`` at ``redshift``, (n,) each, on ``wavelength``, (N,).

        Args:
            rows: Positions in the library; may repeat.
            redshift: (n,).
            wavelength: (N,) vacuum Angstrom, observed frame.
            resolution: Standard deviation of the instrument's line profile, Angstrom; one number or (n, 1).
        """
        stretch = (1 + redshift)[:, None]
        out = interpolate_log(self.continuum, rows, redshift, wavelength)
        centre = LINE_WAVELENGTHS * stretch
        sigma = np.hypot(centre * self.line_dispersion[rows][:, None] / SPEED_OF_LIGHT, resolution)
        # an equivalent width grows with 1 + z where the continuum's flux density stays
        return out + render_lines(wavelength, centre, self.line_flux[rows].astype(np.float64) * stretch, sigma)

    def rest_frame(self, rows: NDArray[np.int64], *, resolution: float = 0.6) -> NDArray[np.float64]:
        """Return noiseless spectra on :func:`rest_wavelength`, (n, R), lines at a resolution of ``resolution``."""
        centre = np.broadcast_to(LINE_WAVELENGTHS, (len(rows), len(LINE_WAVELENGTHS)))
        dispersion = self.line_dispersion[rows].astype(np.float64)
        sigma = np.hypot(centre * dispersion[:, None] / SPEED_OF_LIGHT, resolution)
        lines = render_lines(rest_wavelength(), centre, self.line_flux[rows].astype(np.float64), sigma)
        return self.continuum[rows].astype(np.float64) + lines

    def write(self, path: str | Path) -> None:
        """Write one file of a library (NumPy's .npz, no pickles)."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        write_atomically(path, lambda name: np.savez(name, **columns))


def interpolate_log(
    spectra: NDArray[np.floating],
    rows: NDArray[np.int64],
    redshift: NDArray[np.float64],
    wavelength: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Interpolate rows of (n, R) rest-frame spectra linearly at observed wavelengths: (len(rows), N)."""
    position = (np.log(wavelength)[None, :] - np.log1p(redshift)[:, None] - np.log(_FIRST)) / _STEP
    position = np.clip(position, 0, spectra.shape[1] - 1.000001)
    index = position.astype(np.int64)
    weight = position - index
    # gathered in one go: rows are many times shorter than the library
    flat = spectra[rows].astype(np.float32)
    left = np.take_along_axis(flat, index, axis=1)
    right = np.take_along_axis(flat, index + 1, axis=1)
    between: NDArray[np.float64] = left + weight * (right - left)
    return between


def normalise_library(library: GalaxyLibrary) -> GalaxyLibrary:
    """Divide each galaxy by the median of its continuum at rest 5300-5850 Angstrom.

    Raises:
        InputError: a galaxy without light there.
    """
    rest = rest_wavelength()
    window = (rest > NORMALISATION_RANGE[0]) & (rest < NORMALISATION_RANGE[1])
    norm = np.median(library.continuum[:, window].astype(np.float64), axis=1)
    if not (norm > 0).all():
        raise InputError(f"galaxy {int(np.argmin(norm))} has no flux at rest 5300-5850 Angstrom")
    return replace(
        library,
        continuum=(library.continuum / norm[:, None]).astype(np.float16),
        line_flux=(library.line_flux / norm[:, None]).astype(np.float32),
    )


def concatenate_libraries(parts: list[GalaxyLibrary]) -> GalaxyLibrary:
    """Join libraries in the order given."""
    return GalaxyLibrary(
        **{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(GalaxyLibrary)}
    )


def read_library_file(path: Path) -> GalaxyLibrary:
    """Read one file of a library.

    Raises:
        SpectrumFileError: damaged, or on another rest-frame grid.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            library = GalaxyLibrary(**{f.name: file[f.name] for f in fields(GalaxyLibrary)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SpectrumFileError(f"{path}: not a complete file of a galaxy library: {error}") from None
    if library.continuum.shape[1:] != (len(rest_wavelength()),):
        raise SpectrumFileError(f"{path}: galaxies on another rest-frame grid")
    return library


def read_library(folder: str | Path) -> GalaxyLibrary:
    """Read all ``library-*.npz`` of a folder in the order of their names.

    Raises:
        SpectrumFileError: none there, or one that is damaged.
    """
    paths = sorted(Path(folder).glob(LIBRARY_PATTERN))
    if not paths:
        raise SpectrumFileError(f"{folder}: no {LIBRARY_PATTERN}; imo simulate writes them")
    return concatenate_libraries([read_library_file(path) for path in paths])
