"""Which log p is ordinary: the distribution over validation spectra that is written beside a model."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from imo_engine.errors import ImoError, InputError, ModelFileError
from imo_engine.system.embedded import model_or_embedded

if TYPE_CHECKING:
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.ranking.baselines import BaselinePool

__all__ = ["ORDINARY_QUANTILE", "REFERENCE_FILE", "ordinary_log_prob", "read_reference", "share_as_low"]

REFERENCE_FILE = "reference.safetensors"
"""What ``imo train`` writes beside the model."""

ORDINARY_QUANTILE = 0.1
"""Of the validation spectra; what has a higher log p is called ordinary: nine of ten spectra have."""


def read_reference(path: Path, model: "OutlierModel") -> NDArray[np.float32]:
    """Read log p of validation spectra, nats, ascending.

    Raises:
        ModelFileError: missing, damaged, or of another model.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            made_by = (file.metadata() or {}).get("model", "")
        values = safetensors.numpy.load_file(path)["log_prob"]
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file; imo train writes it beside the model") from None
    except (SafetensorError, OSError, KeyError) as error:
        raise ModelFileError(f"{path}: not a reference distribution: {error}") from None
    if made_by != model.fingerprint:
        raise ModelFileError(f"{path}: log p of model {made_by or '(unnamed)'}, not of {model.fingerprint}")
    return np.sort(values)


def share_as_low(reference: NDArray[np.floating] | None, log_prob: float) -> float | None:
    """Return the share of ``reference``, log p ascending, that is as low as a log p; None where nothing is known."""
    if reference is None or not len(reference) or not np.isfinite(log_prob):
        return None
    return float(np.searchsorted(reference, log_prob, side="right") / len(reference))


def ordinary_log_prob(
    model: "OutlierModel",
    pool: "BaselinePool",
    *,
    quantile: float = ORDINARY_QUANTILE,
    model_file: Path | None = None,
) -> float:
    """Return the log p, nats, that a share ``quantile`` of ordinary spectra stays below.

    The spectra are the validation spectra of the model, if they are known: beside ``model_file``, or beside the
    embedded model where that is the one. For any other model they are the spectra of the pool of baselines.

    Raises:
        InputError: a quantile outside (0, 1).
    """
    if not 0 < quantile < 1:
        raise InputError(f"'quantile' is {quantile:g}; expected a number between 0 and 1")
    values: NDArray[np.floating] = pool.log_prob
    try:
        values = read_reference(model_or_embedded(model_file).with_name(REFERENCE_FILE), model)
    except ImoError:
        pass  # published weights come without one
    return float(np.quantile(values, quantile))
