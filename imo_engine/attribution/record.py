"""What inverse occlusion found: values per window, baseline and pixel, and their combination."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.window_facts import WindowFacts, shares_in_words
from imo_engine.errors import ImoError, InputError
from imo_engine.system.files import write_atomically

if TYPE_CHECKING:
    import xarray

__all__ = [
    "RECOMMENDED_WEIGHTING",
    "WEIGHTINGS",
    "Attribution",
    "WindowFacts",
    "combination_weights",
    "combine",
    "local_share_words",
]

WEIGHTINGS = {
    "inverse_variance": "1/variance",
    "inverse_standard_deviation": "1/standard deviation",
    "uniform": "equal weights",
    "equal_scale": "equal scale",
    "largest_signal_to_scatter": "window of largest signal/scatter",
}
"""How window sizes are combined, by name, in words: by the paper's text, and by the authors' notebook; all alike; all
alike after division by each one's root mean square over the spectrum; at each pixel the one that stands out most of its
scatter."""

RECOMMENDED_WEIGHTING = "uniform"
"""What commands and page use unless told otherwise: it finds more than the paper's weights (``docs/attribution.md``).
Functions of this package have the paper's as their default."""

_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Attribution:
    """Inverse multiscale occlusion of one spectrum (Shen & Melchior 2023, arXiv:2310.20012).

    Values are in nats per pixel; positive means that the pixels of the spectrum make an ordinary spectrum
    less probable. Pixels without meaning (not measured, or out of the decoder's range) are NaN throughout.
    """

    values: NDArray[np.float64]
    """(window, baseline, pixel): (p_j - log p of the occluded baseline) / replaced pixels."""
    baselines: NDArray[np.float32]
    """(baseline, pixel): the baselines R_j at the spectrum's redshift, normalised flux."""
    baseline_log_prob: NDArray[np.float64]
    """(baseline,): p_j, nats."""
    flux: NDArray[np.float32]
    """(pixel,): the spectrum under study, normalised."""
    redshift: float
    """Of the spectrum under study."""
    wavelength: NDArray[np.float64]
    """(pixel,): vacuum Angstrom, observed frame."""
    valid: NDArray[np.bool_]
    """(pixel,): measured, and reached by the decoder's rest-frame grid."""
    window_sizes: tuple[int, ...]
    """Pixels."""
    offsets: tuple[int, ...]
    """Pixels, one a window size."""
    strides: tuple[int, ...]
    """Pixels, one a window size."""
    weighting: str = "inverse_variance"
    """How window sizes are combined, one of :data:`WEIGHTINGS`."""
    facts: tuple[WindowFacts, ...] = ()
    """One a window size; those of exact values by default."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Model, device, seconds, evaluations and whatever else tells how this was computed."""

    def __post_init__(self) -> None:
        if not self.facts:
            object.__setattr__(self, "facts", (WindowFacts(),) * len(self.window_sizes))

    @property
    def exact(self) -> bool:
        """Whether every chunk of every window size was computed without an approximation."""
        return all(one.exact_share == 1 for one in self.facts)

    @property
    def measured_error(self) -> float:
        """Largest of :attr:`~imo_engine.attribution.window_facts.WindowFacts.measured_error`."""
        return max(one.measured_error for one in self.facts)

    def with_window(self, window_size: int, values: NDArray[np.floating], facts: WindowFacts) -> "Attribution":
        """Return a copy in which one window size has other values, (baseline, pixel), and facts."""
        index = self.window_sizes.index(window_size)
        changed = self.values.copy()
        changed[index] = values
        return replace(self, values=changed, facts=(*self.facts[:index], facts, *self.facts[index + 1 :]))

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """(window, pixel): mean over baselines."""
        mean: NDArray[np.float64] = self.values.mean(axis=1)
        return mean

    @cached_property
    def variance(self) -> NDArray[np.float64]:
        """(window, pixel): variance over baselines, the mean squared deviation, as the authors compute it."""
        variance: NDArray[np.float64] = self.values.var(axis=1)
        return variance

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(window, pixel): weight of each window size in the combination; they sum to 1 at each pixel."""
        return combination_weights(self.mean, self.variance, self.weighting)

    @cached_property
    def _combination(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return combine(self.values, self.weights)

    @property
    def combined(self) -> NDArray[np.float64]:
        """(pixel,): mean over window sizes with :attr:`weights`."""
        return self._combination[0]

    @property
    def combined_scatter(self) -> NDArray[np.float64]:
        """(pixel,): standard deviation over baselines of the combination."""
        return self._combination[1]

    @cached_property
    def signal_to_scatter(self) -> NDArray[np.float64]:
        """(window, pixel): mean over standard deviation; 0 where baselines do not scatter at all, NaN if invalid."""
        scatter = np.sqrt(self.variance)
        return np.divide(self.mean, scatter, out=np.where(np.isfinite(self.mean), 0.0, np.nan), where=scatter > 0)

    def to_xarray(self, extra: Mapping[str, tuple[Any, ...]] | None = None) -> "xarray.Dataset":
        """Return everything as a labelled dataset: dimensions window, baseline and pixel, units as attributes.

        Args:
            extra: More variables by name: dimensions, values and attributes.
        """
        import xarray

        nats = {"units": "nat / pixel"}
        angstrom = {"units": "Angstrom", "medium": "vacuum"}
        # netCDF has no booleans
        text = {k: v if type(v) in (str, int, float) else str(v) for k, v in self.provenance.items()}
        return xarray.Dataset(
            {
                "combined": ("pixel", self.combined, nats | {"long_name": "combined attribution"}),
                "combined_scatter": ("pixel", self.combined_scatter, nats),
                "mean": (("window", "pixel"), self.mean, nats | {"long_name": "mean over baselines"}),
                "variance": (("window", "pixel"), self.variance, {"units": "(nat / pixel)^2"}),
                "values": (("window", "baseline", "pixel"), self.values, nats),
                "flux": ("pixel", self.flux, {"long_name": "flux / median at rest 5300-5850 Angstrom"}),
                "baselines": (("baseline", "pixel"), self.baselines, {"long_name": "baselines at the redshift"}),
                "baseline_log_prob": ("baseline", self.baseline_log_prob, {"units": "nat"}),
                "valid": ("pixel", self.valid.astype(np.int8), {"long_name": "1 where the attribution has meaning"}),
                **(extra or {}),
            },
            coords={
                "window": ("window", np.array(self.window_sizes), {"units": "pixel", "long_name": "window size"}),
                "wavelength": ("pixel", self.wavelength, angstrom | {"frame": "observed"}),
                "rest_wavelength": ("pixel", self.wavelength / (1 + self.redshift), angstrom | {"frame": "rest"}),
                "offset": ("window", np.array(self.offsets), {"units": "pixel"}),
                "stride": ("window", np.array(self.strides), {"units": "pixel"}),
                "measured_error": (
                    "window",
                    np.array([one.measured_error for one in self.facts]),
                    {"long_name": "largest error that checks found, of the window's largest change of log p"},
                ),
                "exact_share": (
                    "window",
                    np.array([one.exact_share for one in self.facts]),
                    {"long_name": "share of chunks computed exactly"},
                ),
                "local_share": (
                    "window",
                    np.array([one.local_share for one in self.facts], np.float64),
                    {"long_name": "share of the signal that the local pattern makes, not the spectrum's statistics"},
                ),
                "local_share_error": (
                    "window",
                    np.array([one.local_share_error for one in self.facts], np.float64),
                    {"long_name": "standard error of local_share"},
                ),
            },
            attrs={
                "title": "Inverse multiscale occlusion",
                "reference": "Shen & Melchior 2023, arXiv:2310.20012",
                "sign": "positive = lowers log p",
                "redshift": self.redshift,
                "weighting": self.weighting,
                **text,
            },
        )

    def to_netcdf(self, path: str | Path, extra: Mapping[str, tuple[Any, ...]] | None = None) -> None:
        """Write a netCDF-4 file that ``xarray.open_dataset(path)`` opens; ``extra`` as in :meth:`to_xarray`.

        Raises:
            ImoError: the disk refuses.
        """
        dataset = self.to_xarray(extra)
        encoding = {
            name: {"zlib": True, "complevel": 4, "dtype": "float32"}
            for name in ("values", "mean", "variance", "baselines", "combined", "combined_scatter", *(extra or {}))
        }
        try:
            write_atomically(path, lambda name: dataset.to_netcdf(name, engine="h5netcdf", encoding=encoding))
        except OSError as error:
            raise ImoError(f"{path}: cannot be written: {error}") from None


def combination_weights(
    mean: NDArray[np.float64], variance: NDArray[np.float64], weighting: str = "inverse_variance"
) -> NDArray[np.float64]:
    """Weigh window sizes at each pixel, (window, pixel), so that the weights sum to 1.

    The paper's combination weighs by 1/variance over baselines, the authors' notebook by 1/standard
    deviation; :data:`WEIGHTINGS` has others. A window whose values agree to rounding at a pixel has no
    measured scatter there: it is left out, unless that holds for all windows, which then count equally.
    Without this a single zero would take all the weight.

    Raises:
        InputError: an unknown weighting.
    """
    if weighting not in WEIGHTINGS:
        raise InputError(f"'weights' is {weighting!r}; expected one of {', '.join(WEIGHTINGS)}")
    known = np.isfinite(mean) & np.isfinite(variance)
    largest = np.max(np.abs(mean), axis=1, where=known, initial=0.0)[:, None]
    usable = known & (variance > (_ROUNDING * largest) ** 2)
    raw = np.where(usable, _raw_weights(mean, variance, usable, weighting), 0.0)
    raw = np.where(raw.any(axis=0), raw, known.astype(np.float64))
    total = raw.sum(axis=0)
    weights: NDArray[np.float64] = np.divide(raw, total, out=np.zeros_like(raw), where=total > 0)
    return weights


def _raw_weights(
    mean: NDArray[np.float64], variance: NDArray[np.float64], usable: NDArray[np.bool_], weighting: str
) -> NDArray[np.float64]:
    """Return weights, (window, pixel), up to a factor at each pixel; those that are not usable mean nothing."""
    if weighting == "uniform":
        return np.ones_like(mean)
    if weighting == "equal_scale":
        highest = np.max(np.abs(mean), axis=1, where=usable, initial=0.0)[:, None]
        shape = np.divide(mean, highest, out=np.zeros_like(mean), where=usable & (highest > 0))
        number = np.maximum(usable.sum(axis=1), 1)[:, None]
        scale = highest * np.sqrt(np.sum(shape**2, axis=1, keepdims=True) / number)
        smallest = np.min(scale, where=scale > 0, initial=np.inf)
        return np.broadcast_to(np.divide(smallest, scale, out=np.zeros_like(scale), where=scale > 0), mean.shape)
    if weighting == "largest_signal_to_scatter":
        scatter = np.sqrt(variance)
        ratio = np.divide(np.abs(mean), scatter, out=np.full_like(mean, -np.inf), where=usable)
        best: NDArray[np.float64] = (ratio == ratio.max(axis=0)).astype(np.float64)
        return best
    # relative to the smallest at the pixel, so that no variance is too small to divide by
    smallest = np.min(variance, axis=0, where=usable, initial=np.inf)
    share: NDArray[np.float64] = np.divide(smallest, variance, out=np.zeros_like(variance), where=usable)
    return share if weighting == "inverse_variance" else np.sqrt(share)


def combine(
    values: NDArray[np.floating], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Combine window sizes: values, (window, baseline, pixel), with weights, (window, pixel).

    Returns:
        Mean over baselines and standard deviation over baselines of the combination, each (pixel,); NaN at
        pixels where no window has a value.
    """
    single = np.sum(weights[:, None, :] * np.nan_to_num(values), axis=0)
    known = weights.sum(axis=0) > 0
    return np.where(known, single.mean(axis=0), np.nan), np.where(known, single.std(axis=0), np.nan)


def local_share_words(attribution: Attribution) -> str:
    """Say how much of each window size's signal the local pattern makes; empty if that is not known."""
    if attribution.provenance.get("evaluator") == "frozen statistics":
        return "local pattern alone: every normalisation held at the baseline's own statistics"
    return shares_in_words(attribution.window_sizes, attribution.facts)
