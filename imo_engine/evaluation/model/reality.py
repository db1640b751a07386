"""Real spectra to hold a model against: SDSS and DESI files, and redrock's archetypes through our instrument.

Nothing of this ships; the folder with the files is given by the caller. Layouts: ``sdss/*.fits``,
``desi/coadd-*.fits`` with redrock beside, ``templates/rrtemplate-*.fits`` of redrock-templates 2016 (a basis on
a linear or logarithmic grid, for galaxies with ARCHETYPE_COEFF).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from imo_engine.errors import SpectrumFileError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.readers import read_spectra
from imo_engine.simulation.spectrograph import RESOLUTION, arm_slices, combine_arms, observe
from imo_engine.simulation.survey import draw_amplitudes, draw_redshifts
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, normalise

__all__ = ["RealObject", "archetypes", "quasars", "real_objects", "score_real"]


@dataclass(frozen=True)
class RealObject:
    """One real spectrum and its score; ``kind`` is "galaxy", "broad-line" or "other"."""

    name: str
    kind: str
    redshift: float
    signal_to_noise: float
    log_prob: float
    quantile: float
    """Share of the validation spectra with a lower log p."""
    chi2: float
    """Of the reconstruction, per measured pixel."""


def signal_to_noise(spectra: Spectra) -> NDArray[np.float64]:
    """Return the median signal-to-noise ratio per pixel, (n,)."""
    weight = spectra.weight
    ratio = np.where(weight > 0, spectra.flux * np.sqrt(weight), np.nan)
    return np.array([np.nanmedian(row) if np.isfinite(row).any() else 0.0 for row in ratio])


def score_real(
    model: OutlierModel, spectra: Spectra, names: list[str], kinds: list[str], reference: NDArray[np.float64]
) -> list[RealObject]:
    """Score spectra and give each its quantile in ``reference``, log p of validation spectra."""
    flux = model.prepare(spectra)
    latents = model.encode(flux)
    log_prob = model.latent_log_prob(latents).astype(float)
    model_flux = model.decode(latents, spectra.redshift)
    weight = spectra.weight * (model_flux != 0)
    chi2 = ((model_flux - spectra.flux) ** 2 * weight).sum(axis=1) / np.maximum((weight > 0).sum(axis=1), 1)
    ratio, ordered = signal_to_noise(spectra), np.sort(reference)
    quantile = np.searchsorted(ordered, log_prob) / len(ordered)
    return [
        RealObject(name, kind, float(z), float(sn), float(p), float(q), float(c))
        for name, kind, z, sn, p, q, c in zip(
            names, kinds, spectra.redshift, ratio, log_prob, quantile, chi2, strict=True
        )
    ]


def real_objects(folder: Path) -> tuple[Spectra, list[str], list[str]]:
    """Read the SDSS and DESI files of ``folder``: spectra, names and kinds.

    A spectrum is broad-line where the file's own SUBCLASS or CLASS says so (BROADLINE, QSO).

    Raises:
        SpectrumFileError: none there.
    """
    paths = sorted(folder.glob("sdss/*.fits")) + sorted(folder.glob("desi/coadd-*.fits"))
    parts, names, kinds = [], [], []
    for path in paths:
        spectra = read_spectra(path)
        spectra = spectra[spectra.scorable]
        for row in spectra:
            parts.append(row)
            names.append(f"{path.parent.name}/{path.name}" + (f" {row.target_id[0]}" if len(spectra) > 1 else ""))
            kinds.append(_class_of(path, row))
    if not parts:
        raise SpectrumFileError(f"{folder}: no readable sdss/*.fits or desi/coadd-*.fits")
    from imo_engine.spectra.spectra import concatenate

    return concatenate(parts), names, kinds


def _class_of(path: Path, row: Spectra) -> str:
    if row.redshift[0] <= 0.005 or row.redshift[0] > 0.6:
        return "other"
    if path.parent.name == "desi":
        return "galaxy"
    with fits.open(path) as file:
        for hdu in file[2:]:
            names = getattr(hdu, "columns", None)
            if names is not None and "CLASS" in names.names and "Z" in names.names:
                subclass = str(hdu.data["SUBCLASS"][0]) if "SUBCLASS" in names.names else ""
                kind = str(hdu.data["CLASS"][0]).strip()
                broad = "BROADLINE" in subclass or kind == "QSO"
                return "broad-line" if broad else ("galaxy" if kind == "GALAXY" else "other")
    return "other"


def _basis(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return wavelength, basis (k, n) and archetype coefficients (m, k) of a redrock template file."""
    try:
        with fits.open(path) as file:
            header, basis = file[0].header, np.array(file[0].data, float)
            if basis.size == 0 or basis.ndim != 2:
                header, basis = file[1].header, np.array(file[1].data, float)
            coefficients = (
                np.array(file["ARCHETYPE_COEFF"].data, float) if "ARCHETYPE_COEFF" in file else np.zeros((0, 0))
            )
    except (OSError, KeyError, ValueError) as error:
        raise SpectrumFileError(f"{path}: not a redrock template: {error}") from None
    wave = header["CRVAL1"] + header["CDELT1"] * np.arange(basis.shape[1])
    return (10**wave if header.get("LOGLAM", 0) else wave), basis, coefficients


def through_instrument(
    wave: NDArray[np.float64], rest: NDArray[np.float64], redshift: NDArray[np.float64], *, seed: int
) -> Spectra:
    """Observe rest-frame spectra, (n, M) on ``wave``, at ``redshift``, (n,), as the simulated survey does."""
    rng = np.random.default_rng(seed)
    grid, n = desi_wavelength(), len(rest)
    noiseless = np.array([np.interp(grid / (1 + z), wave, row) for z, row in zip(redshift, rest, strict=True)])
    noiseless = gaussian_filter1d(noiseless, RESOLUTION / 0.8, axis=1)
    window = (wave > 5300) & (wave < 5850)
    amplitude = draw_amplitudes(n, rng=rng) / np.median(rest[:, window], axis=1)
    expected = amplitude[:, None] * noiseless
    shot = observe({arm: expected[:, s] for arm, s in arm_slices().items()}, rng=rng)
    flux, ivar = combine_arms(shot)
    return normalise(grid, flux, ivar, redshift, target_id=[str(i) for i in range(n)], source="templates")


def archetypes(folder: Path, *, seed: int = 3) -> Spectra:
    """Observe redrock's galaxy archetypes (750 real galaxies, extremes included).

    Raises:
        SpectrumFileError: the template file is missing or damaged.
    """
    wave, basis, coefficients = _basis(folder / "templates" / "rrtemplate-galaxy.fits")
    rest = coefficients @ basis
    window = (wave > 5300) & (wave < 5850)
    rest = rest[np.median(rest[:, window], axis=1) > 0]
    keep = wave < 10000
    redshift = draw_redshifts(len(rest), (0.02, 0.6), rng=np.random.default_rng([seed, 1]))
    spectra = through_instrument(wave[keep], rest[:, keep], redshift, seed=seed)
    return spectra[spectra.scorable]


def quasars(folder: Path, *, count: int = 100, seed: int = 4) -> Spectra:
    """Observe the mean of redrock's low-redshift quasar basis, varied by its first component a little.

    Raises:
        SpectrumFileError: the template file is missing or damaged.
    """
    paths = sorted((folder / "templates").glob("rrtemplate-QSO*.fits"))
    if not paths:
        raise SpectrumFileError(f"{folder}/templates: no rrtemplate-QSO*.fits")
    wave, basis, _ = _basis(paths[0])
    rng = np.random.default_rng([seed, 1])
    rest = np.repeat(basis[:1], count, axis=0)
    limit = min(0.6, wave[-1] / 5900 - 1 + 0.6)
    redshift = draw_redshifts(count, (0.05, limit), rng=rng)
    spectra = through_instrument(wave, rest, redshift, seed=seed)
    return spectra[spectra.scorable]
