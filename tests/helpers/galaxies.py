"""Files of a few galaxies, one of which cannot be scored."""

import numpy as np

from helpers.fits_files import arms, write_coadd, write_redrock
from imo_engine.spectra.spectral_lines import EMISSION_LINES

FULL, FAR, *SPARE, UNSCORED = (str(39628000000000001 + k) for k in range(7))
"""Beyond 2**53: a browser that read them as numbers would mix them up."""


REDSHIFT = {FULL: 0.1, FAR: 0.55} | dict(zip(SPARE, (0.15, 0.2, 0.3, 0.35), strict=True))
HALPHA = 6564.60


def write_galaxies(folder):
    """Write a DESI coadd with emission lines at the redshifts above, and its redrock file, which lacks one target."""
    ids = [*REDSHIFT, UNSCORED]
    data = arms(len(ids), ivar=100.0)
    rng = np.random.default_rng(5)
    for arm in data.values():
        arm["flux"] += rng.normal(0, 0.1, arm["flux"].shape).astype(np.float32)
        for row, target in enumerate(ids):
            for line in EMISSION_LINES:
                centre = line.wavelength * (1 + REDSHIFT.get(target, 0.25))
                height = 8 if line.wavelength == HALPHA else 2 if line.major else 0
                arm["flux"][row] += height * np.exp(-0.5 * ((arm["wavelength"] - centre) / 2.5) ** 2)
    write_redrock(folder / "redrock-galaxies.fits", [int(target) for target in REDSHIFT], list(REDSHIFT.values()))
    return write_coadd(folder / "coadd-galaxies.fits", [int(target) for target in ids], data)
