"""The model and its baselines, which the whole process shares."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from imo_engine.errors import ImoError

__all__ = ["Engine"]

if TYPE_CHECKING:
    from imo_engine.model.outlier_model import OutlierModel
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.reasons.null_distribution import NullDistribution

log = logging.getLogger(__name__)


class Engine:
    """The model and its baselines, loaded once, when first needed, by whichever thread needs them.

    Attributes:
        devices: What outliers are computed on, one on each at a time; the model's own by default.
    """

    def __init__(
        self,
        load: Callable[[], "tuple[OutlierModel, BaselinePool]"],
        devices: Sequence[str | None] = (None,),
        null: "Callable[[OutlierModel], NullDistribution | None]" = lambda model: None,
    ) -> None:
        """Load nothing yet; ``null`` finds the model's null distribution, if there is one."""
        self.devices = tuple(devices)
        self._load, self._load_null = load, null
        self._null: NullDistribution | None = None
        self._lock = threading.Lock()
        self._loaded: tuple[OutlierModel, BaselinePool] | None = None
        self._copies: dict[str, OutlierModel] = {}

    def get(self, device: str | None = None) -> "tuple[OutlierModel, BaselinePool]":
        """Return the model, on one of the devices or where it was loaded, and baselines.

        Raises:
            ImoError: they cannot be loaded; the next call tries again.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
                try:
                    self._null = self._load_null(self._loaded[0])
                except ImoError as error:
                    log.warning("nothing is called significant: %s", error)
            model, pool = self._loaded
            if device is None:
                return model, pool
            if device not in self._copies:
                self._copies[device] = model.on(device)
            return self._copies[device], pool

    def null(self) -> "NullDistribution | None":
        """Return what ordinary spectra show with the model, None if that is not known.

        Raises:
            ImoError: as :meth:`get`.
        """
        self.get()
        return self._null
