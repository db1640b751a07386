"""Where training spectra come from: a simulated library, spender's Parquet shards, or DESI and SDSS files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.instrument import desi_wavelength
from imo_engine.readers import read_spectra
from imo_engine.simulation.library import LIBRARY_PATTERN, GalaxyLibrary, read_library
from imo_engine.spectra import Spectra

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
        spectra = read_parquet(shards, desi_wavelength() if parquet_wavelength is None else parquet_wavelength)
        kind = "Parquet shards"
    else:
        spectra = read_spectra(path)
        kind = "survey files"
    usable = spectra[spectra.scorable]
    if len(usable) < 32:
        raise InputError(f"{path}: {len(usable)} usable spectra of {len(spectra)}; training needs at least 32")
    return TrainingSource(None, usable, split(len(usable), seed=seed), f"{len(usable)} spectra of {kind}")


def split(count: int, *, seed: int) -> Split:
    """Split positions 70 : 15 : 15 at random."""
    order = np.random.default_rng([seed, 10]).permutation(count)
    first, second = int(_PARTS[0] * count), int((_PARTS[0] + _PARTS[1]) * count)
    return Split(order[:first], order[first:second], order[second:])


def read_parquet(paths: list[Path], wavelength: NDArray[np.float64]) -> Spectra:
    """Read spender's shards: columns spec, w, z, and target_id or plate, mjd, fiberid; already normalised.

    Raises:
        SpectrumFileError: damaged, other columns, or spectra of another length.
    """
    import pyarrow.parquet

    parts = []
    for path in paths:
        try:
            table = pyarrow.parquet.read_table(path)
            flux = np.array(table["spec"].to_pylist(), np.float32)
            weight = np.array(table["w"].to_pylist(), np.float32)
            redshift = np.array(table["z"].to_pylist(), float)
            if "target_id" in table.column_names:
                names = [str(value) for value in table["target_id"].to_pylist()]
            else:
                keys = (table[key].to_pylist() for key in ("plate", "mjd", "fiberid"))
                names = [f"{p}-{m}-{f}" for p, m, f in zip(*keys, strict=True)]
        except (OSError, KeyError, ValueError, pyarrow.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise SpectrumFileError(
                f"{path}: not a shard of spectra with spec, w, z and an identifier: {reason}"
            ) from None
        if flux.ndim != 2 or flux.shape[1] != len(wavelength) or weight.shape != flux.shape:
            raise SpectrumFileError(f"{path}: spectra of shape {flux.shape}, expected (n, {len(wavelength)})")
        parts.append((flux, weight, redshift, names, path.name))
    flux, weight, redshift = (np.concatenate([part[i] for part in parts]) for i in range(3))
    n = len(flux)
    good = np.isfinite(flux) & (weight > 0)
    nowhere = np.full(n, np.nan)
    return Spectra(
        wavelength=wavelength,
        flux=np.where(good, flux, 0).astype(np.float32),
        ivar=np.where(good, weight, 0).astype(np.float32),
        measured=good,
        redshift=redshift,
        target_id=np.array([name for part in parts for name in part[3]], np.str_),
        ra=nowhere,
        dec=nowhere,
        norm=np.ones(n),
        problem=np.where(good.any(axis=1) & np.isfinite(redshift), "", "no measured pixel or no redshift"),
        note=np.full(n, ""),
        source=np.array([part[4] for part in parts for _ in part[3]], np.str_),
    )
