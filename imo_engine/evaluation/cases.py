"""Outliers whose cause is known: spectrum, clean twin with the same noise, and where the two differ."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.readers import read_spectra
from imo_engine.simulation.spectrograph import Exposure, arm_slices, combine_arms
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, fill_masked, normalise

__all__ = ["GLOBAL_KINDS", "Case", "read_cases", "read_truth"]

GLOBAL_KINDS = ("wrong_redshift", "star_as_galaxy", "dusty_red")
"""Kinds of outliers that are nowhere in particular: scored by repair, not by localisation."""

_SKIPPED = ("outlier_four",)  # one a survey, made of two other kinds


@dataclass(frozen=True, eq=False)
class Case:
    """One injected outlier, as a method sees it, and the truth.

    Fluxes are normalised and masked pixels filled as the model wants them, observed frame.
    """

    target_id: str
    kind: str
    strength: int
    """1 to 4."""
    redshift: float
    """As reported, wrong for the kind "wrong_redshift"."""
    flux: NDArray[np.float32]
    """(N,)."""
    clean: NDArray[np.float32]
    """(N,) the twin without the cause, with the same noise, normalised at its own redshift."""
    valid: NDArray[np.bool_]
    """(N,) measured, and reached by the decoder's rest-frame grid."""
    ivar: NDArray[np.float64]
    """(N,) inverse variance of the twin's flux; pixels on bright sky lines have theirs."""
    spectrum: Spectra
    """The outlier, one row, as it was read."""
    true_redshift: float
    """Of the galaxy."""
    parameters: dict[str, Any]
    """What was done."""
    wavelength: NDArray[np.float64]
    """(N,) vacuum Angstrom, observed frame."""

    @property
    def is_local(self) -> bool:
        """Whether the cause has a place."""
        return self.kind not in GLOBAL_KINDS

    @property
    def significance(self) -> NDArray[np.float64]:
        """(N,) ``|flux - clean|`` over the noise; 0 where invalid."""
        difference = np.abs(self.flux.astype(np.float64) - self.clean)
        return np.where(self.valid, difference * np.sqrt(self.ivar), 0.0)


def read_cases(folder: Path, model: OutlierModel) -> list[Case]:
    """Read all injected outliers of a folder of ``imo simulate`` that can be scored, kind by kind.

    Raises:
        SpectrumFileError: no truth there, or damaged files.
        InputError: a model on another grid than DESI's.
    """
    if len(model.wavelength) != len(desi_wavelength()) or not np.allclose(
        model.wavelength, desi_wavelength(), rtol=0, atol=1e-3
    ):
        raise InputError("'model' has another grid than DESI's, on which the truth is")
    paths = sorted(folder.glob("truth-sim-*.fits"))
    if not paths:
        raise SpectrumFileError(f"{folder}: no truth-sim-*.fits; make a survey with imo simulate")
    cases = [case for path in paths for case in read_truth(path, _coadd_of(path), model)]
    return sorted(cases, key=lambda case: (case.kind, case.strength, case.target_id))


def _coadd_of(truth: Path) -> Path:
    return truth.with_name(truth.name.replace("truth-", "coadd-"))


def read_truth(truth: Path, coadd: Path, model: OutlierModel) -> Iterator[Case]:
    """Read the outliers of one file of truth: with the twins' fluxes, or with twins minus outliers as in the demo's.

    Raises:
        SpectrumFileError: damaged files, or files that do not belong together.
    """
    spectra = read_spectra(coadd, wavelength=model.wavelength)
    position = {target: row for row, target in enumerate(spectra.target_id)}
    try:
        with fits.open(truth) as file, fits.open(coadd) as observed:
            table = file["OUTLIERS"].data
            if not len(table):
                return
            rows = np.array([position[str(target)] for target in table["TARGETID"]])
            ivar = {arm: observed[f"{arm}_IVAR"].data[rows].astype(float) for arm in arm_slices()}
            flux = {}
            for arm in arm_slices():
                whole = f"CLEAN_{arm}_FLUX" in file
                flux[arm] = file[f"CLEAN_{'' if whole else 'MINUS_'}{arm}_FLUX"].data.astype(float)
                if not whole:
                    flux[arm] += observed[f"{arm}_FLUX"].data[rows].astype(float)
            kinds = [str(kind).strip() for kind in table["KIND"]]
            strengths = [int(strength) for strength in table["STRENGTH"]]
            redshifts = np.array(table["Z_CLEAN"], float)
            parameters = [json.loads(text) for text in table["PARAMETERS"]]
    except (OSError, KeyError, ValueError) as error:
        raise SpectrumFileError(f"{truth} with {coadd.name}: not of one simulated survey: {error}") from None
    clean, weight = _normalised_twins(flux, ivar, redshifts)
    prepared, filled = model.prepare(spectra[rows]), fill_masked(clean.flux, clean.measured, model.masked_pixels)
    for number, row in enumerate(rows.tolist()):
        if kinds[number] in _SKIPPED or not (spectra.scorable[row] and clean.scorable[number]):
            continue
        redshift = float(spectra.redshift[row])
        yield Case(
            target_id=str(spectra.target_id[row]),
            kind=kinds[number],
            strength=strengths[number],
            redshift=redshift,
            flux=prepared[number],
            clean=filled[number],
            valid=spectra.measured[row] & model.covered(redshift),
            ivar=weight[number] * float(clean.norm[number]) ** 2,
            spectrum=spectra[[row]],
            true_redshift=float(redshifts[number]),
            parameters=parameters[number],
            wavelength=model.wavelength,
        )


def _normalised_twins(
    flux: dict[str, NDArray[np.float64]], ivar: dict[str, NDArray[np.float64]], redshift: NDArray[np.float64]
) -> tuple[Spectra, NDArray[np.float64]]:
    """Return the twins, normalised, and the inverse variance of their flux before that, (n, N)."""
    combined, weight = combine_arms(Exposure(flux, ivar, {}, {}, {}))
    names = [str(number) for number in range(len(redshift))]
    return normalise(desi_wavelength(), combined, weight, redshift, target_id=names), weight
