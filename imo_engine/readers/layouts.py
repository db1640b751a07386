"""Layouts that are neither FITS nor text: which one a file has, by its first bytes."""

import numpy as np
from numpy.typing import NDArray

from imo_engine.readers.opened_file import HDF5, OpenedFile, is_pickle
from imo_engine.readers.redshifts import GivenRedshifts
from imo_engine.spectra.spectra import Spectra

__all__ = ["NO_HDF5", "NO_PICKLES", "read_hdf5", "recognises_hdf5", "recognises_parquet", "recognises_pickle"]

NO_HDF5 = "HDF5 is not read from a browser; open it with imo serve, or bring FITS or CSV"
NO_PICKLES = (
    "a file of Python objects, which can run code when it is opened; imo serve and imo rank read the authors' list on "
    "your own machine; else bring FITS, CSV or ECSV"
)
"""What is said of such files when a browser sends them."""

_PICKLES = (".pkl", ".pickle")


def recognises_parquet(file: OpenedFile) -> bool:
    """Tell by its first bytes whether a file is a Parquet table."""
    return file.head.startswith(b"PAR1")


def recognises_hdf5(file: OpenedFile) -> bool:
    """Tell by its first bytes whether a file is HDF5."""
    return file.head.startswith(HDF5)


def recognises_pickle(file: OpenedFile) -> bool:
    """Tell whether a file is a pickle: by its first bytes, or by its name, as those of protocols 0 and 1 have none."""
    named = file.fits is None and file.name.lower().removesuffix(".gz").endswith(_PICKLES)
    return named or is_pickle(file.head)


def read_hdf5(file: OpenedFile, wavelength: NDArray[np.float64], given: GivenRedshifts) -> Spectra:
    """Read the spectra of an HDF5 file, as :func:`imo_engine.readers.multimodal.read_multimodal` does."""
    from imo_engine.readers.multimodal import read_multimodal  # h5py takes a while

    return read_multimodal(file, wavelength, given)
