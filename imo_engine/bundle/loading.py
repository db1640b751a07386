"""Load a model and what lies beside it, or what else is named in its place."""

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from imo_engine.errors import InputError, ModelFileError
from imo_engine.system.embedded import model_or_embedded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.reasons.null_distribution import NullDistribution
    from imo_engine.spectra.spectra import Spectra

__all__ = ["load_baselines", "load_model", "load_null", "load_reference"]


_POOL = "baselines.safetensors"


def load_model(model: Path | None, autoencoder: Path | None, flow: Path | None, device: str) -> "OutlierModel":
    """Load the model that the options name.

    Raises:
        InputError: options that exclude or need each other.
        ModelFileError: a file that cannot be used.
    """
    from imo_engine.model.outlier_model import OutlierModel

    if (autoencoder is None) != (flow is None):
        raise InputError("--autoencoder and --flow go together; one of them is missing")
    if autoencoder is not None and flow is not None:
        if model is not None:
            raise InputError("give either --model or --autoencoder with --flow, not both")
        return OutlierModel.from_published(autoencoder, flow, device=device)
    return OutlierModel.load(model_or_embedded(model), device=device)


def load_baselines(
    model: "OutlierModel", baselines: Path | None, model_file: Path | None, published: bool, spectra: "Spectra"
) -> "BaselinePool":
    """Load the pool that the options name; without any, the scorable spectra themselves become the pool.

    Raises:
        ModelFileError: a file that cannot be used.
        InputError: neither a pool nor at least two spectra.
    """
    from imo_engine.ranking.baselines import BaselinePool

    if baselines is None and not published:
        beside = model_or_embedded(model_file).with_name(_POOL)
        baselines = beside if beside.is_file() else None
    if baselines is None:
        usable = spectra[spectra.scorable]
        if len(usable) < 2:
            raise InputError("no --baselines, and fewer than two spectra that could serve as baselines")
        return BaselinePool.from_spectra(model, model.prepare(usable), usable.redshift)
    if baselines.suffix != ".npy":
        return BaselinePool.load(baselines, model)
    try:
        with baselines.open("rb") as file:
            flux = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ModelFileError(f"{baselines}: not a plain NumPy array: {error}") from None
    if not isinstance(flux, np.ndarray):
        raise ModelFileError(f"{baselines}: holds several arrays; expected one of (n, {len(model.wavelength)}) fluxes")
    if flux.ndim != 2 or flux.shape[1] != len(model.wavelength):
        raise ModelFileError(f"{baselines}: expected (n, {len(model.wavelength)}) fluxes, found {flux.shape}")
    return BaselinePool.from_spectra(model, flux, np.full(len(flux), np.nan))


def load_null(
    model: "OutlierModel", model_file: Path | None, *, published: bool, own_baselines: bool
) -> "NullDistribution | None":
    """Load the null distribution beside the model; None if there is none for this model and these baselines.

    Raises:
        ModelFileError: a file that is damaged, or that belongs to another model.
    """
    from imo_engine.reasons.null_distribution import NullDistribution

    if published or own_baselines:
        return None
    return NullDistribution.load_beside(model_or_embedded(model_file), model.fingerprint)


def load_reference(model: "OutlierModel", model_file: Path | None, *, published: bool) -> "NDArray[np.float32] | None":
    """Read log p of the model's validation spectra, nats, ascending, from beside the model; None if there are none.

    Raises:
        ModelFileError: a file that is damaged, or that belongs to another model.
    """
    from imo_engine.ranking.reference import REFERENCE_FILE, read_reference

    if published:
        return None
    beside = model_or_embedded(model_file).with_name(REFERENCE_FILE)
    return read_reference(beside, model) if beside.is_file() else None
