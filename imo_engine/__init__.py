"""Outliers of spectroscopic surveys: score them, and find out why each is one.

The names below are loaded when first used, so that ``import imo_engine`` stays fast and does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
    from imo_engine.attribution.record import Attribution
    from imo_engine.errors import ImoError
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.ranking.ranking import rank_spectra
    from imo_engine.readers import read_spectra
    from imo_engine.spectra.spectra import Spectra

__all__ = [
    "Attribution",
    "BaselinePool",
    "ImoError",
    "OutlierModel",
    "Spectra",
    "inverse_multiscale_occlusion",
    "rank_spectra",
    "read_spectra",
]

__version__ = "0.2.0"

_HOME = {
    "Attribution": "attribution.record",
    "BaselinePool": "ranking.baselines",
    "ImoError": "errors",
    "OutlierModel": "model.outlier_model",
    "Spectra": "spectra.spectra",
    "inverse_multiscale_occlusion": "attribution.occlusion",
    "rank_spectra": "ranking.ranking",
    "read_spectra": "readers",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
