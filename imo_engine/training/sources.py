"""Where training spectra come from: a simulated library, spender's Parquet shards, or DESI and SDSS files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError
from imo_engine.readers import read_spectra
from imo_engine.readers.opened_file import open_file
from imo_engine.readers.parquet import read_parquet
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.simulation.library import LIBRARY_PATTERN, GalaxyLibrary, read_library
from imo_engine.simulation.survey import SURVEY_REDSHIFTS
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import Spectra, concatenate

__all__ = ["Split", "TrainingSource", "read_source"]

_PARTS = (0.70, 0.15, 0.15)


@dataclass(frozen=True, eq=False)
class Split:
    """Positions for the autoencoder, for the flow, and for validating both; no object is in two."""

    autoencoder: NDArray[np.int64]
    flow: NDArray[np.int64]
    validation: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrainingSource:
    """Either a library of noiseless galaxies or real spectra, split in three."""

    library: GalaxyLibrary | None
    spectra: Spectra | None
    split: Split
    description: str

    @property
    def redshift_range(self) -> tuple[float, float]:
        """Lowest and highest redshift of what the flow is trained with."""
        if self.spectra is None:
            return SURVEY_REDSHIFTS
        return float(self.spectra.redshift.min()), float(self.spectra.redshift.max())


def read_source(path: Path, *, seed: int, parquet_wavelength: NDArray[np.float64] | None = None) -> TrainingSource:
    """Read a folder of ``library-*.npz``, of ``*.parquet``, or of DESI and SDSS files, whichever it holds.

    Raises:
        SpectrumFileError: none of them, or damaged files.
        InputError: too few usable spectra.
    """
    if sorted(path.glob(LIBRARY_PATTERN)):
        library = read_library(path)
        return TrainingSource(library, None, split(len(library), seed=seed), f"{len(library)} simulated galaxies")
    shards = [path] if path.suffix == ".parquet" else sorted(path.rglob("*.parquet"))
    if shards:
        wavelength = desi_wavelength() if parquet_wavelength is None else parquet_wavelength
        spectra = concatenate([_read_shard(shard, wavelength) for shard in shards])
        kind = "Parquet shards"
    else:
        spectra = read_spectra(path)
        kind = "survey files"
    usable = spectra[spectra.scorable]
    if len(usable) < 32:
        raise InputError(f"{path}: {len(usable)} usable spectra of {len(spectra)}; training needs at least 32")
    return TrainingSource(None, usable, split(len(usable), seed=seed), f"{len(usable)} spectra of {kind}")


def _read_shard(path: Path, wavelength: NDArray[np.float64]) -> Spectra:
    with open_file(path) as file:
        return read_parquet(file, wavelength, GivenRedshifts())


def split(count: int, *, seed: int) -> Split:
    """Split positions 70 : 15 : 15 at random."""
    order = np.random.default_rng([seed, 10]).permutation(count)
    first, second = int(_PARTS[0] * count), int((_PARTS[0] + _PARTS[1]) * count)
    return Split(order[:first], order[first:second], order[second:])
