"""Normalised spectra of a survey, one row a target, all on one wavelength grid.

The published autoencoders expect flux divided by its median at rest frame 5300 to 5850 Angstrom, over
pixels that are measured and on no bright sky line, and ivar multiplied by the square of that median
(Melchior et al. 2023, AJ 166, 74). :func:`normalise` does this, and says in words which spectra it
cannot be done for. What the models were trained with besides, ivar = 0 around bright sky lines, is
:attr:`Spectra.weight`: the noise of a spectrum is that of its file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imo_engine.errors import InputError
from imo_engine.spectra.instrument import sky_line_mask

__all__ = ["MASKED_PIXEL_POLICIES", "NORMALISATION_RANGE", "Spectra", "concatenate", "fill_masked", "normalise"]

NORMALISATION_RANGE = (5300.0, 5850.0)
"""Rest-frame range (vacuum Angstrom) whose median flux is 1 in a normalised spectrum."""

MASKED_PIXEL_POLICIES = ("keep", "interpolate")
"""What a model was trained to see where nothing was measured; see :func:`fill_masked`."""

_EDGE_PIXELS = 50
_REDSHIFTS = (-0.1, 20.0)


@dataclass(frozen=True, eq=False)
class Spectra:
    """Spectra of n targets on one grid of N pixels.

    ``target_id`` are strings: DESI's 64-bit TARGETIDs do not survive as floating point numbers.
    A target with a ``problem`` could not be normalised: its ``flux`` is in the file's own unit,
    ``norm`` is NaN, and it is not to be scored.
    """

    wavelength: NDArray[np.float64]
    """(N,) vacuum Angstrom, observed frame."""
    flux: NDArray[np.float32]
    """(n, N) flux over ``norm``; 0 where nothing was measured."""
    ivar: NDArray[np.float32]
    """(n, N) inverse variance of ``flux`` as the file gives it, sky lines included; 0 where nothing was measured,
    and everywhere where the file says nothing of the noise."""
    measured: NDArray[np.bool_]
    """(n, N) whether the file has good data for the pixel."""
    redshift: NDArray[np.float64]
    """(n,) NaN where unknown."""
    target_id: NDArray[np.str_]
    """(n,) identifiers."""
    ra: NDArray[np.float64]
    """(n,) right ascension, degrees; NaN where unknown."""
    dec: NDArray[np.float64]
    """(n,) declination, degrees; NaN where unknown."""
    norm: NDArray[np.float64]
    """(n,) median flux at rest 5300-5850 Angstrom, in the file's unit (DESI, SDSS: 1e-17 erg/s/cm2/Angstrom)."""
    problem: NDArray[np.str_]
    """(n,) why the spectrum cannot be scored; empty if it can."""
    note: NDArray[np.str_]
    """(n,) remarks that do not prevent scoring (a missing arm, a redshift warning)."""
    source: NDArray[np.str_]
    """(n,) name of the file it came from."""
    instrument: NDArray[np.str_]
    """(n,) what observed it, of :data:`imo_engine.spectra.instrument.INSTRUMENTS`; empty if the file does not say."""
    spectype: NDArray[np.str_]
    """(n,) what the survey takes it for: "GALAXY", "QSO", "STAR", ...; empty where unknown."""
    zwarn: NDArray[np.int64]
    """(n,) the survey's redshift warning, 0 if there is none; -1 where unknown."""
    objtype: NDArray[np.str_]
    """(n,) DESI's OBJTYPE: "TGT" for targets, "BAD", "NON", "NONE" if it is blank, ...; empty where unknown."""

    def __len__(self) -> int:
        return len(self.target_id)

    def __iter__(self) -> Iterator["Spectra"]:
        return (self[[row]] for row in range(len(self)))

    def __getitem__(self, rows: ArrayLike | slice) -> "Spectra":
        """Select targets with a slice, a boolean mask or a list of positions."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        if not isinstance(index, slice) and index.ndim != 1:
            raise TypeError("Spectra are selected with a slice, a mask or a list of rows, not a single number")
        if not isinstance(index, slice) and index.size == 0:
            index = index.astype(int)
        changed = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "wavelength"}
        return replace(self, **changed)

    @property
    def weight(self) -> NDArray[np.float32]:
        """(n, N) ``ivar`` as the models were trained with: 0 around bright sky lines."""
        return np.where(sky_line_mask(self.wavelength), np.float32(0), self.ivar)

    @property
    def has_noise(self) -> NDArray[np.bool_]:
        """(n,) whether the noise of the spectrum is known."""
        return np.asarray(np.any(self.ivar > 0, axis=1))

    @property
    def scorable(self) -> NDArray[np.bool_]:
        """(n,) whether the spectrum has no problem."""
        return np.asarray(self.problem == "")

    def row(self, target_id: str) -> int:
        """Return the position of ``target_id``.

        Raises:
            InputError: no such target, or several.
        """
        found = np.flatnonzero(self.target_id == str(target_id))
        if len(found) == 0:
            raise InputError(f"no target {target_id!r} among {len(self)} spectra")
        if len(found) > 1:
            raise InputError(f"target {target_id!r} occurs {len(found)} times; rank one file at a time")
        return int(found[0])


def normalise(
    wavelength: NDArray[np.float64],
    flux: ArrayLike,
    ivar: ArrayLike,
    redshift: ArrayLike,
    *,
    target_id: Sequence[str],
    measured: ArrayLike | None = None,
    ra: ArrayLike | None = None,
    dec: ArrayLike | None = None,
    problem: Sequence[str] | None = None,
    note: Sequence[str] | None = None,
    source: str | Sequence[str] = "",
    instrument: str | Sequence[str] = "",
    spectype: Sequence[str] | None = None,
    zwarn: ArrayLike | None = None,
    objtype: Sequence[str] | None = None,
) -> Spectra:
    """Normalise spectra as the published models expect and record which ones cannot be.

    Args:
        wavelength: (N,) vacuum Angstrom, observed frame.
        flux: (n, N) in any unit; NaN or infinite means not measured.
        ivar: (n, N) inverse variance in that unit; 0, negative or NaN means not measured.
        redshift: (n,) NaN where unknown.
        target_id: n identifiers.
        measured: (n, N) which pixels hold data; by default those with ivar > 0. If it is given, nothing is known of
            the noise of spectra whose ivar is 0 everywhere.
        ra: (n,) degrees.
        dec: (n,) degrees.
        problem: n reasons known already why a target cannot be scored; empty where there is none.
        note: n remarks.
        source: file name, for all or for each.
        instrument: what observed them, for all or for each; empty where unknown.
        spectype: n classes; empty where unknown.
        zwarn: (n,) redshift warnings; -1 where unknown.
        objtype: n kinds of fibre, as :attr:`Spectra.objtype`.

    Raises:
        InputError: shapes that do not fit together.
    """
    wavelength = np.asarray(wavelength, float)
    flux = np.array(flux, dtype=np.float64, ndmin=2)
    ivar = np.array(ivar, dtype=np.float64, ndmin=2)
    n = len(flux)
    if flux.shape != (n, len(wavelength)) or ivar.shape != flux.shape:
        raise InputError(f"'flux' {flux.shape} and 'ivar' {ivar.shape} do not fit {len(wavelength)} wavelengths")
    z = np.array(redshift, dtype=np.float64, ndmin=1)
    if z.shape != (n,) or len(target_id) != n:
        raise InputError(f"{n} spectra, but {z.size} redshifts and {len(target_id)} target ids")

    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    if measured is not None:
        unknown = ~np.any(good, axis=1, keepdims=True)
        good = (good | unknown & np.isfinite(flux)) & np.array(measured, dtype=bool, ndmin=2)
        ivar = np.where(unknown, 0.0, ivar)
    flux[~good] = 0.0
    ivar[~good] = 0.0

    norm = np.full(n, np.nan)
    dark = ~sky_line_mask(wavelength)
    problems = ["" if problem is None else str(problem[i]) for i in range(n)]
    for i in range(n):
        if problems[i]:
            continue
        problems[i], norm[i] = _normalisation(wavelength, flux[i], good[i], dark, z[i])
    scale = np.where(np.isfinite(norm), norm, 1.0)[:, None]
    # what single precision cannot hold (one flipped bit of an exponent is enough) is not a measurement either
    with np.errstate(over="ignore", invalid="ignore"):
        scaled_flux, scaled_ivar = (flux / scale).astype(np.float32), (ivar * scale**2).astype(np.float32)
    good &= np.isfinite(scaled_flux) & np.isfinite(scaled_ivar)
    scaled_flux[~good] = 0.0
    scaled_ivar[~good] = 0.0
    for i in np.flatnonzero(~np.any(good, axis=1)).tolist():
        problems[i] = problems[i] or "cannot be normalised: its numbers are beyond single precision"
        norm[i] = np.nan

    def column(values: ArrayLike | None) -> NDArray[np.float64]:
        return np.full(n, np.nan) if values is None else np.array(values, dtype=np.float64, ndmin=1)

    def names(values: str | Sequence[str]) -> NDArray[np.str_]:
        return np.array([values] * n if isinstance(values, str) else list(values), dtype=np.str_)

    return Spectra(
        wavelength=wavelength,
        flux=scaled_flux,
        ivar=scaled_ivar,
        measured=good,
        redshift=z,
        target_id=np.array([str(t) for t in target_id], dtype=np.str_),
        ra=column(ra),
        dec=column(dec),
        norm=norm,
        problem=np.array(problems, dtype=np.str_),
        note=np.array([""] * n if note is None else [str(t) for t in note], dtype=np.str_),
        source=names(source),
        instrument=names(instrument),
        spectype=names("" if spectype is None else spectype),
        zwarn=np.full(n, -1, np.int64) if zwarn is None else np.array(zwarn, dtype=np.int64, ndmin=1),
        objtype=names("" if objtype is None else objtype),
    )


def _normalisation(
    wavelength: NDArray[np.float64],
    flux: NDArray[np.float64],
    good: NDArray[np.bool_],
    dark: NDArray[np.bool_],
    z: float,
) -> tuple[str, float]:
    """Return (problem, median flux at rest 5300-5850 Angstrom) of one spectrum; ``dark`` is where no sky line is."""
    low, high = NORMALISATION_RANGE
    if not good.any():
        return "no measured pixel: each is masked, not a number, or has an ivar that is 0, negative or infinite", np.nan
    if not np.isfinite(z):
        return "no redshift", np.nan
    if not _REDSHIFTS[0] < z <= _REDSHIFTS[1]:
        return f"redshift {z:g} is not a galaxy's", np.nan
    rest = wavelength / (1 + z)
    window = good & dark & (rest > low) & (rest < high)
    if not window.any():
        return (
            f"cannot be normalised: no good pixel off the sky lines at rest frame {low:g}-{high:g} Angstrom "
            f"(observed {low * (1 + z):.0f}-{high * (1 + z):.0f} at redshift {z:g})",
            np.nan,
        )
    median = float(np.median(flux[window]))
    if not median > 0:
        return f"cannot be normalised: median flux at rest frame {low:g}-{high:g} Angstrom is {median:.3g}", np.nan
    return "", median


def concatenate(parts: Sequence[Spectra]) -> Spectra:
    """Join spectra that share one wavelength grid, in the order given.

    Raises:
        InputError: nothing to join, or different grids.
    """
    if not parts:
        raise InputError("no spectra to join")
    grid = parts[0].wavelength
    for part in parts[1:]:
        if part.wavelength.shape != grid.shape or not np.allclose(part.wavelength, grid, rtol=0, atol=1e-6):
            raise InputError(f"spectra of {part.source[:1]} are on another wavelength grid")
    names = [f.name for f in fields(Spectra) if f.name != "wavelength"]
    return Spectra(wavelength=grid, **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def fill_masked(flux: ArrayLike, measured: ArrayLike, policy: str) -> NDArray[np.float32]:
    """Give the encoder, which has no notion of a mask, a value for each pixel that was not measured.

    Args:
        flux: (n, N) normalised flux.
        measured: (n, N) which pixels hold data.
        policy: "keep" leaves the flux as it is, 0 where nothing was measured, which is what the published
            models were trained on; "interpolate" bridges gaps linearly and continues both ends with the
            median of the nearest 50 measured pixels.

    Returns:
        (n, N), float32; a copy unless nothing is to be filled. Not finite values become 0 or are bridged.

    Raises:
        InputError: an unknown policy or shapes that differ.
    """
    if policy not in MASKED_PIXEL_POLICIES:
        raise InputError(f"'policy' is {policy!r}; expected one of {', '.join(MASKED_PIXEL_POLICIES)}")
    flux = np.array(flux, dtype=np.float32, ndmin=2)
    good = np.array(measured, dtype=bool, ndmin=2)
    if flux.shape != good.shape:
        raise InputError(f"'flux' has shape {flux.shape}, 'measured' {good.shape}")
    good &= np.isfinite(flux)
    flux[~good] = np.where(np.isfinite(flux[~good]), flux[~good], 0.0)
    if policy == "keep":
        return flux
    pixels = np.arange(flux.shape[1])
    for row in np.flatnonzero(good.any(axis=1) & ~good.all(axis=1)):
        known = np.flatnonzero(good[row])
        values = flux[row, known]
        left, right = np.median(values[:_EDGE_PIXELS]), np.median(values[-_EDGE_PIXELS:])
        gaps = pixels[~good[row]]
        flux[row, gaps] = np.interp(gaps, known, values, left=left, right=right)
    return flux
