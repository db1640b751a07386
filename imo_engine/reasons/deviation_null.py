"""What ordinary spectra show beside their twins: by how much they deviate, at which width, rest and observed place."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open

from imo_engine.errors import ModelFileError
from imo_engine.reasons.counting import counted_p
from imo_engine.system.files import write_atomically

__all__ = ["LINE_SHARE", "OBSERVED_BIN", "REST_EDGES", "WIDTHS", "DeviationNull"]

WIDTHS: tuple[int, ...] = (1, 3, 7, 15, 31, 63, 127, 255, 511, 1023)
"""Of the windows, pixels."""

LINE_SHARE = 0.25
"""Of what the twin has beyond its continuum: how well the strength of a line is known."""

REST_EDGES: NDArray[np.float64] = np.exp(np.arange(np.log(2200.0), np.log(10000.0), 0.004))
"""(R - 1,) vacuum Angstrom: edges between bins of rest wavelength, 1200 km/s wide."""

OBSERVED_BIN = 16
"""Pixels that share a factor."""

_FORMAT = 1
_TYPICAL_SHARE = 0.05  # of the continuum, where nothing was measured
_TYPICAL_MAXIMA = np.log(np.outer((4.0, 7.0), np.ones(len(WIDTHS))))  # of the embedded model, about


@dataclass(frozen=True, eq=False)
class DeviationNull:
    """How much ordinary spectra deviate from their twins.

    Without ``maxima`` there are scores, from typical numbers, but no p-values.

    Attributes:
        share: (width, R) of the continuum that the model does not know, by bin of rest wavelength.
        factor: (width, observed bin) on the variance, by place on the detector.
        maxima: (n, width) highest score of each of n ordinary spectra.
        model: Fingerprint of the model.
        provenance: Which spectra they were.
    """

    share: NDArray[np.float32]
    factor: NDArray[np.float32]
    maxima: NDArray[np.float32]
    model: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def typical(cls, n_pixel: int) -> "DeviationNull":
        """Return typical numbers, for a model that nothing was measured for."""
        return cls(
            np.full((len(WIDTHS), len(REST_EDGES) + 1), _TYPICAL_SHARE, np.float32),
            np.ones((len(WIDTHS), -(-n_pixel // OBSERVED_BIN)), np.float32),
            np.zeros((0, len(WIDTHS)), np.float32),
        )

    def __len__(self) -> int:
        return len(self.maxima)

    def scores(
        self,
        difference: NDArray[np.float64],
        twin: NDArray[np.float64],
        lines: NDArray[np.float64],
        wavelength: NDArray[np.float64],
        redshift: float,
    ) -> NDArray[np.float64]:
        """Return deviations in units of the ordinary spread, (width, N).

        Args:
            difference: (width, N) sums over windows over their noise, see
                :func:`imo_engine.reasons.deviations.window_sums`.
            twin: (width, N) the same of the twin.
            lines: (width, N) the same of what the twin has beyond its continuum.
            wavelength: (N,) vacuum Angstrom, observed frame.
            redshift: Of the spectrum.
        """
        observed = np.minimum(np.arange(len(wavelength)) // OBSERVED_BIN, self.factor.shape[1] - 1)
        share = self.share[:, np.searchsorted(REST_EDGES, wavelength / (1 + redshift))]
        spread = self.factor[:, observed] * (1 + (LINE_SHARE * lines) ** 2 + (share * twin) ** 2)
        return difference / np.sqrt(spread)

    @cached_property
    def _scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        middle, high = np.log(np.quantile(self.maxima, (0.5, 0.9), axis=0)) if len(self) else _TYPICAL_MAXIMA
        return middle[:, None], (high - middle)[:, None]

    def comparable(self, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """Put scores, (width, ...) and positive, of all widths on one logarithmic scale.

        The highest one of an ordinary spectrum is above 0 in half, above 1 in a tenth of the cases, at every width.
        """
        middle, unit = self._scale
        scaled: NDArray[np.float64] = (np.log(np.maximum(score, 1e-9)) - middle) / unit
        return scaled

    @cached_property
    def highest(self) -> NDArray[np.float64]:
        """(n,) rising: highest comparable score of each ordinary spectrum at any width."""
        return np.sort(self.comparable(self.maxima.T.astype(np.float64)).max(axis=0))

    def p_value(self, comparable: ArrayLike) -> NDArray[np.float64]:
        """Return how often an ordinary spectrum has as high a comparable score anywhere; NaN without ordinary ones."""
        if not len(self):
            return np.full(np.shape(comparable), np.nan)
        return counted_p(comparable, self.highest)

    @classmethod
    def load(cls, path: str | Path, model: str) -> "DeviationNull":
        """Read what :meth:`save` wrote, for the model with this fingerprint.

        Raises:
            ModelFileError: not such a file, or of another model.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in ("share", "factor", "maxima")}
            about = json.loads(metadata["about"])
            if about["format"] != _FORMAT:
                raise ValueError(f"format {about['format']}, expected {_FORMAT}")
        except FileNotFoundError:
            raise ModelFileError(f"{path}: no such file") from None
        except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path}: not a null distribution of deviations: {error}") from None
        sizes = [arrays[name].shape[axis] for name, axis in (("share", 0), ("factor", 0), ("maxima", 1))]
        if set(sizes) != {len(WIDTHS)} or arrays["share"].shape[1] != len(REST_EDGES) + 1:
            raise ModelFileError(f"{path}: of {sizes} widths, expected {len(WIDTHS)}")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ModelFileError(f"{path}: numbers that are not finite")
        if metadata.get("model") != model:
            raise ModelFileError(f"{path}: of model {metadata.get('model')}, but the model in use is {model}")
        return cls(**{name: array.astype(np.float32) for name, array in arrays.items()}, model=model, provenance=about)

    def save(self, path: str | Path) -> None:
        """Write it as safetensors.

        Raises:
            ModelFileError: the disk refuses.
        """
        arrays = {"share": self.share, "factor": self.factor, "maxima": self.maxima}
        about = json.dumps(self.provenance | {"format": _FORMAT}, sort_keys=True)
        metadata = {"model": self.model, "about": about}
        try:
            write_atomically(path, lambda name: safetensors.numpy.save_file(arrays, name, metadata))
        except (OSError, SafetensorError) as error:
            raise ModelFileError(f"{path}: cannot be written: {error}") from None
