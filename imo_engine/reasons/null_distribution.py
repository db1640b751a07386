"""What inverse occlusion shows on ordinary spectra: the null distribution against which a value is significant.

Values of one window size are compared in units of what ordinary spectra have at that observed wavelength (noise, sky
lines, ends of arms) and at that rest wavelength (spectral lines), the product of two factors; how both meet at a pixel
is what the redshift decides. The rest is counting: of the pixels of all ordinary spectra for one place, of the highest
values of each for any place.
"""

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open

from imo_engine.attribution.record import RECOMMENDED_WEIGHTING, Attribution
from imo_engine.errors import InputError, ModelFileError
from imo_engine.reasons.deviation_null import DeviationNull
from imo_engine.system.embedded import DEVIATION_NULL, NULL_DISTRIBUTION
from imo_engine.system.files import write_atomically

__all__ = ["COMBINED", "TAIL_LEVELS", "MapNull", "NullDistribution", "NullSettings", "PlaceBins"]

COMBINED = "combined"
"""Name of the combination among the maps; a window size of 16 pixels is "w16"."""

TAIL_LEVELS: NDArray[np.float64] = np.geomspace(1e-7, 1.0, 64)
"""Shares of all ordinary values at whose upper quantiles the tail is kept."""

_FORMAT = 1
_BIN = 8  # pixels of the observed frame that share a factor, at least
_FIRST, _LAST, _STEP = np.log(1500.0), np.log(11000.0), 0.002  # of the bins of rest wavelength; 600 km/s
_FIELDS = ("location", "observed", "rest", "tail")
_SLACK = 0.05  # in redshift, beyond the ordinary spectra; what is typical elsewhere is taken there


@dataclass(frozen=True)
class NullSettings:
    """How the attributions were computed; others cannot be compared with them."""

    window_sizes: tuple[int, ...] = (1, 4, 16, 64, 256)
    """Pixels, plain tiles."""
    n_baselines: int = 8
    weighting: str = RECOMMENDED_WEIGHTING
    """Of the combination."""

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the window sizes and of the combination, in order."""
        return (*(f"w{size}" for size in self.window_sizes), COMBINED)

    @property
    def chunk_sizes(self) -> tuple[int, ...]:
        """Pixels of a chunk of each map; the combination has a value of its own at every pixel."""
        return (*self.window_sizes, 1)


@dataclass(frozen=True, eq=False)
class PlaceBins:
    """In which bins of observed and of rest wavelength the chunks of one size are."""

    size: int
    """Pixels of a chunk."""
    wavelength: NDArray[np.float64]
    """(N,) vacuum Angstrom, observed frame."""

    @cached_property
    def centre(self) -> NDArray[np.float64]:
        """(chunk,) vacuum Angstrom, observed frame."""
        first = np.arange(0, len(self.wavelength), self.size)
        last = np.minimum(first + self.size, len(self.wavelength)) - 1
        centre: NDArray[np.float64] = (self.wavelength[first] + self.wavelength[last]) / 2
        return centre

    @property
    def observed(self) -> NDArray[np.int64]:
        """(chunk,) bin of observed wavelength."""
        return np.arange(len(self.centre)) * self.size // max(_BIN, self.size)

    @property
    def n_rest(self) -> int:
        """Number of bins of rest wavelength."""
        return int(np.ceil((_LAST - _FIRST) / self._step))

    def rest(self, redshift: ArrayLike) -> NDArray[np.int64]:
        """Return the bin of rest wavelength of each chunk at redshifts (...,): (..., chunk)."""
        stretch = 1 + np.asarray(redshift, float)[..., None]
        place = np.floor((np.log(self.centre / stretch) - _FIRST) / self._step).astype(np.int64)
        inside: NDArray[np.int64] = np.clip(place, 0, self.n_rest - 1)
        return inside

    @property
    def _step(self) -> float:
        wave = self.wavelength
        return max(_STEP, float(np.log(wave[-1] / wave[0])) * self.size / len(wave))


@dataclass(frozen=True, eq=False)
class MapNull:
    """What ordinary spectra have at one window size, or in the combination."""

    location: NDArray[np.float32]
    """(observed bin,) nats per pixel: the ordinary value."""
    observed: NDArray[np.float32]
    """(observed bin,) logarithm of the spread, nats per pixel."""
    rest: NDArray[np.float32]
    """(rest bin,) logarithm of the factor on it."""
    tail: NDArray[np.float32]
    """(K,) score that a share :data:`TAIL_LEVELS` of all ordinary values reaches, falling."""

    def score(self, values: NDArray[np.floating], bins: "PlaceBins", redshift: ArrayLike) -> NDArray[np.float64]:
        """Return by how many spreads values lie above what is ordinary where they are.

        Args:
            values: Nats per pixel, (..., chunk) or (..., pixel).
            bins: Of that chunk size.
            redshift: (...,).
        """
        observed, rest = bins.observed, bins.rest(redshift)
        if np.shape(values)[-1] != len(observed):
            of_chunk = np.arange(np.shape(values)[-1]) // bins.size
            observed, rest = observed[of_chunk], rest[..., of_chunk]
        spread = np.exp(self.observed[observed] + self.rest[rest].astype(np.float64))
        return (values - self.location[observed]) / spread

    def local_p(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of ordinary values that reach a score; NaN where it is NaN."""
        rising = np.maximum.accumulate(self.tail[::-1].astype(np.float64))
        p = np.exp(np.interp(score, rising, np.log(TAIL_LEVELS[::-1])))
        return np.where(np.isfinite(score), p, np.nan)


@dataclass(frozen=True, eq=False)
class NullDistribution:
    """The null distribution of one model with one choice of settings, from n ordinary spectra."""

    model: str
    """Fingerprint of the model."""
    settings: NullSettings
    maps: tuple[MapNull, ...]
    """One a window size, in the order of the settings, then the combination."""
    maxima: NDArray[np.float32]
    """(n, map) highest score of each ordinary spectrum, whose maps were fitted to the others."""
    redshift: tuple[float, float]
    """Of the ordinary spectra, lowest and highest."""
    provenance: dict[str, Any]
    """Which spectra they were, and what else tells how this was made."""
    deviations: DeviationNull | None = None
    """What ordinary spectra show beside their twins; a file of its own."""

    def __len__(self) -> int:
        return len(self.maxima)

    @cached_property
    def highest(self) -> NDArray[np.float64]:
        """(n,) rising: the highest comparable score of each ordinary spectrum, anywhere in any map."""
        return np.sort(self.comparable(self.maxima.T).max(axis=0))

    def problem(self, attribution: Attribution) -> str:
        """Say why an attribution cannot be compared with this; empty if it can."""
        mine = self.settings
        low, high = self.redshift
        if attribution.provenance.get("model_fingerprint") != self.model:
            return "no null distribution for this model"
        if attribution.provenance.get("evaluator") == "frozen statistics":
            return "no null distribution for frozen statistics"
        if any(attribution.offsets) or attribution.strides != attribution.window_sizes:
            return "the null distribution is of plain tiles, without offsets and stride"
        if attribution.window_sizes != mine.window_sizes:
            return f"the null distribution is of window sizes {', '.join(map(str, mine.window_sizes))}"
        if len(attribution.baselines) != mine.n_baselines:
            return f"the null distribution is of {mine.n_baselines} baselines"
        if attribution.weighting != mine.weighting:
            return f"the null distribution is of weights {mine.weighting.replace('_', ' ')}"
        if not low - _SLACK <= attribution.redshift <= high + _SLACK:
            return f"the null distribution covers redshifts {low:.2f} to {high:.2f} only"
        return ""

    def scores(self, attribution: Attribution) -> NDArray[np.float64]:
        """Return by how many spreads each map of an attribution lies above the ordinary: (map, pixel), NaN if invalid.

        Raises:
            InputError: the attribution is of another model or of other settings.
        """
        words = self.problem(attribution)
        if words:
            raise InputError(f"'attribution' cannot be compared: {words}")
        curves = [*attribution.mean, attribution.combined]
        return np.stack(
            [
                null.score(curve, PlaceBins(size, attribution.wavelength), attribution.redshift)
                for curve, null, size in zip(curves, self.maps, self.settings.chunk_sizes, strict=True)
            ]
        )

    def comparable(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Put scores, (map, ...), of all maps on one scale: logarithmic, minus infinity where they are not positive.

        The highest one of an ordinary spectrum is above 0 in half, above 1 in a tenth of the cases, in every map.
        """
        scores = np.asarray(scores, np.float64)
        middle, high = np.log(np.quantile(self.maxima, (0.5, 0.9), axis=0)).reshape(2, -1, *(1,) * (scores.ndim - 1))
        logs = np.log(scores, where=scores > 0, out=np.where(np.isnan(scores), np.nan, -np.inf))
        scaled: NDArray[np.float64] = (logs - middle) / (high - middle)
        return scaled

    @classmethod
    def load(cls, path: str | Path, model: str) -> "NullDistribution":
        """Read what :meth:`save` wrote, for the model with this fingerprint.

        Raises:
            ModelFileError: not such a file, or of another model.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            about = json.loads(metadata["about"])
            if about["format"] != _FORMAT:
                raise ValueError(f"format {about['format']}, expected {_FORMAT}")
            given = about["settings"]
            settings = NullSettings(tuple(map(int, given["window_sizes"])), given["n_baselines"], given["weighting"])
            maps = [
                MapNull(**{field: tensors[f"{name}.{field}"].astype(np.float32) for field in _FIELDS})
                for name in settings.maps
            ]
            low, high = map(float, about["redshift"])
            found = cls(
                metadata["model"], settings, tuple(maps), tensors["maxima"], (low, high), dict(about["provenance"])
            )
        except FileNotFoundError:
            raise ModelFileError(f"{path}: no such file") from None
        except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path}: not a null distribution: {error}") from None
        shape = (len(found.maxima), len(maps))
        if found.maxima.shape != shape or not len(found) or not all(np.isfinite(t).all() for t in tensors.values()):
            raise ModelFileError(f"{path}: not a null distribution: numbers that are missing or not finite")
        if found.model != model:
            raise ModelFileError(f"{path}: of model {found.model or '(unnamed)'}, but the model in use is {model}")
        return found

    @classmethod
    def load_beside(cls, model_file: Path, model: str) -> "NullDistribution | None":
        """Read what lies beside a model's file, deviations from twins included; None if there is nothing.

        Raises:
            ModelFileError: a file that is damaged, or that belongs to another model.
        """
        path, deviations = model_file.with_name(NULL_DISTRIBUTION), model_file.with_name(DEVIATION_NULL)
        if not path.is_file():
            return None
        null = cls.load(path, model)
        return replace(null, deviations=DeviationNull.load(deviations, model)) if deviations.is_file() else null

    def save(self, path: str | Path) -> None:
        """Write it as safetensors.

        Raises:
            ModelFileError: the disk refuses.
        """
        tensors: dict[str, NDArray[np.float32]] = {"maxima": self.maxima.astype(np.float32)}
        for name, one in zip(self.settings.maps, self.maps, strict=True):
            tensors |= {f"{name}.{field}": getattr(one, field).astype(np.float32) for field in _FIELDS}
        about = {
            "format": _FORMAT,
            "settings": asdict(self.settings),
            "redshift": self.redshift,
            "provenance": self.provenance,
        }
        metadata = {"model": self.model, "about": json.dumps(about, sort_keys=True)}
        try:
            write_atomically(path, lambda temporary: safetensors.numpy.save_file(tensors, temporary, metadata))
        except (OSError, SafetensorError) as error:
            raise ModelFileError(f"{path}: cannot be written: {error}") from None
