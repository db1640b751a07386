"""The data behind the plots: one column a curve, filled as results arrive."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource
from numpy.typing import NDArray

from app.plots.columns import columns_of
from app.plots.layers import VERDICTS, instrument_columns
from imo_engine.attribution.record import Attribution
from imo_engine.reasons.significance import LEVEL, NO_NULL, Significance
from imo_engine.spectra.instrument import INSTRUMENTS
from imo_engine.spectra.spectra import Spectra
from imo_engine.spectra.spectral_lines import ABSORPTION_LINES, EMISSION_LINES

__all__ = ["NOT_YET", "PlotSources"]

NOT_YET = "known when all window sizes are computed"
"""Why nothing is called significant while a target is being computed."""

_PARTNERS = {"[O III] 4959", "[N II] 6584", "[S II] 6731", "Na D1"}  # the weaker ones of two that stand close together


class PlotSources:
    """Data sources of one session's plots.

    Wavelengths are sent once; afterwards only the columns that change. Single baselines are the M lines of
    one multi_line: Bokeh indexes every point of a line at each change, but only the extent of a multi_line's.
    What is drawn of the spectrum (``drawn``) is made from ``spectrum`` in the browser, which smooths it. Where the
    instrument leaves traces (``instrument``) is sent when a target of another instrument is shown.

    Change them only where the session's document may be changed.
    """

    def __init__(self, wavelength: NDArray[np.float64], window_sizes: tuple[int, ...], n_baselines: int) -> None:
        """Make empty sources for ``wavelength``, (N,) vacuum Angstrom, observed frame."""
        self.wavelength = wavelength
        self.window_sizes = tuple(sorted(window_sizes, reverse=True))
        self.n_baselines = n_baselines
        x = wavelength.astype(np.float32)
        empty = np.full(len(x), np.nan, np.float32)
        columns = ["combined", "combined_lower", "combined_upper", *(f"w{size}" for size in self.window_sizes)]
        self.target = ColumnDataSource(
            {"z": [float("nan")], "id": [""], "normalised": [True], "noise_known": [True], "part": [""]}
        )
        self.spectrum = ColumnDataSource({"x": x, "flux": empty, "sigma": np.zeros_like(x), "model": empty})
        drawn = dict.fromkeys(("shown", "lower", "upper", "reconstruction", "residual"), empty)
        self.drawn = ColumnDataSource({"x": x, **drawn}, syncable=False)
        self.attribution = ColumnDataSource({"x": x, **dict.fromkeys(columns, empty)})
        self._single_names = ["baseline", *(f"w{size}" for size in self.window_sizes)]
        self.singles = ColumnDataSource({"xs": [x] * n_baselines, **self._no_singles()})
        self.scale_map = ColumnDataSource({"image": [self._empty_map()]})
        self.significance = ColumnDataSource(_nothing_known())
        self.lines = ColumnDataSource(_line_columns())
        self.instrument = ColumnDataSource(instrument_columns(wavelength, ""))
        self._instrument = ""
        self.features = ColumnDataSource(_feature_columns([], empty, wavelength))
        self.repair = ColumnDataSource(_repair_columns([], empty, wavelength))
        self.brush = ColumnDataSource({"low": [], "high": []})

    def show_spectrum(self, spectra: Spectra, row: int) -> None:
        """Show a target's spectrum and clear what belonged to the one before."""
        flux, ivar = spectra.flux[row], spectra.ivar[row]
        measured = spectra.measured[row]
        sigma = np.divide(1, np.sqrt(ivar), out=np.zeros_like(ivar), where=(ivar > 0) & measured)
        instrument = str(spectra.instrument[row])
        self._forget_computed()
        target: dict[str, Any] = {
            "z": [float(spectra.redshift[row])],
            "id": [str(spectra.target_id[row])],
            "normalised": [bool(np.isfinite(spectra.norm[row]))],
            "noise_known": [bool(sigma.any() or not measured.any())],
            "part": [INSTRUMENTS[instrument].part if instrument in INSTRUMENTS else ""],
        }
        if self._instrument != instrument:
            self._instrument = instrument
            self.instrument.data = instrument_columns(self.wavelength, instrument)
        if self.target.data != target:  # a change sets the view back, which another computation must not do
            self.target.data = target  # before its spectrum, whose arrival makes the browser draw
            self.clear_brush()
        columns_of(self.spectrum).update(
            flux=np.where(measured, flux, np.nan).astype(np.float32),
            sigma=sigma.astype(np.float32),
            model=np.full(len(flux), np.nan, np.float32),
        )

    def show_reconstruction(self, flux: NDArray[np.floating]) -> None:
        """Show what the model makes of the spectrum, (N,), in the spectrum's unit; NaN where it says nothing.

        Raises:
            ValueError: If it is not on the wavelength grid.
        """
        if flux.shape != self.wavelength.shape:
            raise ValueError(f"'flux' has shape {flux.shape}, but the wavelength grid {self.wavelength.shape}")
        columns_of(self.spectrum)["model"] = flux.astype(np.float32)

    def show_baselines(self, baselines: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Show aligned baselines, (M, N), where the decoder reaches."""
        columns_of(self.singles)["baseline"] = self._lines(np.where(valid, baselines, np.nan))

    def show_window(self, window_size: int, values: NDArray[np.float32]) -> None:
        """Show one window size: values, (M, N), and their mean."""
        self._show_windows({window_size: values})

    def show_attribution(
        self, attribution: Attribution, significance: Significance | None = None, why_not: str = NO_NULL
    ) -> None:
        """Show a finished attribution, and which of it is significant, or why that is not known."""
        sizes = attribution.window_sizes
        # before the rest, whose arrival makes the browser draw
        bits = np.zeros(0, np.int32)
        if significance is not None:
            why_not = ""
            rows = [significance.corrected_p[sizes.index(size)] for size in self.window_sizes]
            bits = _as_bits([*rows, significance.combined_corrected_p])
        self.significance.data = {"bits": [bits], "why_not": [why_not], "level": [LEVEL]}
        baselines = self._lines(np.where(attribution.valid, attribution.baselines, np.nan))
        combination = _combination_columns(attribution.combined, attribution.combined_scatter)
        self._show_windows(
            {size: attribution.values[k].astype(np.float32) for k, size in enumerate(sizes)},
            singles={"baseline": baselines},
            attribution=combination,
        )

    def show_combination(self, combined: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        """Show the combination, (N,), with its scatter over baselines, (N,)."""
        columns_of(self.attribution).update(_combination_columns(combined, scatter))

    def show_features(
        self, features: Sequence[tuple[float, float, str, str]], combined: NDArray[np.floating] | None = None
    ) -> None:
        """Mark features of the combination, numbered from 1 in the given order.

        Args:
            features: First and last wavelength (observed frame, Angstrom), words, and what it may come from:
                "source", "instrument" or "unclear". They stay until a spectrum is shown.
            combined: The combination, (N,), if it is shown only after them.

        Raises:
            ValueError: If a verdict is none of these.
        """
        for *_, verdict in features:
            if verdict not in VERDICTS:
                raise ValueError(f"'{verdict}' is no verdict; expected one of {', '.join(VERDICTS)}")
        heights = columns_of(self.attribution)["combined"] if combined is None else combined
        self.features.data = _feature_columns(features, heights, self.wavelength)

    def show_repair(self, regions: Sequence[tuple[int, int]], flux: NDArray[np.floating]) -> None:
        """Mark the regions of a repair, [start, stop) pixels each, and draw the repaired flux, (N,), within them.

        Raises:
            ValueError: If the flux is not on the wavelength grid.
        """
        if flux.shape != self.wavelength.shape:
            raise ValueError(f"'flux' has shape {flux.shape}, but the wavelength grid {self.wavelength.shape}")
        self.repair.data = _repair_columns(regions, flux, self.wavelength)

    def clear_brush(self) -> None:
        """Forget the range that was asked about."""
        if self.brush.data["low"]:
            self.brush.data = {"low": [], "high": []}

    def _show_windows(
        self,
        windows: dict[int, NDArray[np.float32]],
        singles: dict[str, Any] | None = None,
        attribution: dict[str, Any] | None = None,
    ) -> None:
        # each source changes once, so that the browser paints once
        means = {size: values.mean(axis=0) for size, values in windows.items()}
        image = columns_of(self.scale_map)["image"][0].copy()
        for size, values in windows.items():
            scatter, mean = values.std(axis=0), means[size]
            row = self.window_sizes[::-1].index(size)
            image[row] = np.divide(mean, scatter, out=np.full_like(mean, np.nan), where=scatter > 0)
        lines = {f"w{size}": self._lines(values) for size, values in windows.items()}
        columns_of(self.singles).update(lines | (singles or {}))
        columns = {f"w{size}": mean.astype(np.float32) for size, mean in means.items()}
        columns_of(self.attribution).update(columns | (attribution or {}))
        columns_of(self.scale_map)["image"] = [image]

    def _forget_computed(self) -> None:
        # the browser empties its own when another spectrum arrives: past the wrapper, so that nothing is sent
        empty = np.full(len(self.wavelength), np.nan, np.float32)
        dict.update(columns_of(self.attribution), {name: empty for name in columns_of(self.attribution) if name != "x"})
        dict.update(columns_of(self.singles), self._no_singles())
        dict.update(columns_of(self.scale_map), image=[self._empty_map()])
        dict.update(columns_of(self.features), _feature_columns([], empty, self.wavelength))
        dict.update(columns_of(self.significance), _nothing_known())
        dict.update(columns_of(self.repair), _repair_columns([], empty, self.wavelength))

    def _lines(self, curves: NDArray[Any]) -> list[NDArray[np.float32]]:
        lines = list(curves[: self.n_baselines].astype(np.float32))
        return lines + [np.empty(0, np.float32)] * (self.n_baselines - len(lines))

    def _no_singles(self) -> dict[str, Any]:
        return {name: [np.empty(0, np.float32)] * self.n_baselines for name in self._single_names}

    def _empty_map(self) -> NDArray[np.float32]:
        return np.full((len(self.window_sizes), len(self.wavelength)), np.nan, np.float32)


def _nothing_known() -> dict[str, Any]:
    return {"bits": [np.zeros(0, np.int32)], "why_not": [NOT_YET], "level": [LEVEL]}


def _as_bits(p: Sequence[NDArray[np.float64]]) -> NDArray[np.int32]:
    """Return for each pixel which of several p-values, each (N,), are significant: bit k for the k-th."""
    significant = [(row <= LEVEL).astype(np.int32) << k for k, row in enumerate(p)]  # NaN is not
    bits: NDArray[np.int32] = np.bitwise_or.reduce(significant)
    return bits


def _combination_columns(combined: NDArray[np.float64], scatter: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "combined": combined.astype(np.float32),
        "combined_lower": (combined - scatter).astype(np.float32),
        "combined_upper": (combined + scatter).astype(np.float32),
    }


def _feature_columns(
    features: Sequence[tuple[float, float, str, str]], combined: NDArray[np.floating], wavelength: NDArray[np.float64]
) -> dict[str, Any]:
    peaks, places = [], []
    for low, high, *_ in features:
        inside = np.flatnonzero((wavelength >= low) & (wavelength <= high) & (combined > 0))
        top = inside[np.argmax(combined[inside])] if len(inside) else None
        peaks.append(0.0 if top is None else float(combined[top]))
        places.append(float(low + high) / 2 if top is None else float(wavelength[top]))
    return {
        "low": [float(low) for low, *_ in features],
        "high": [float(high) for _, high, *_ in features],
        "peak": peaks,
        **_number_columns(places),
        "label": [str(label) for *_, label, _ in features],
        "verdict": [str(verdict) for *_, verdict in features],
    }


def _repair_columns(
    regions: Sequence[tuple[int, int]], flux: NDArray[np.floating], wavelength: NDArray[np.float64]
) -> dict[str, Any]:
    step = float(wavelength[1] - wavelength[0])
    edges = [(float(wavelength[start]) - step / 2, float(wavelength[stop - 1]) + step / 2) for start, stop in regions]
    around = [slice(max(0, start - 1), stop + 1) for start, stop in regions]  # so that it meets the spectrum
    return {
        "low": [low for low, _ in edges],
        "high": [high for _, high in edges],
        **_number_columns([(low + high) / 2 for low, high in edges]),
        "xs": [wavelength[pixels].astype(np.float32) for pixels in around],
        "ys": [flux[pixels].astype(np.float32) for pixels in around],
    }


def _number_columns(places: Sequence[float]) -> dict[str, Any]:
    """Return numbers from 1, the wavelengths they are about, and where they stand until the browser has placed them."""
    return {
        "at": list(places),
        "spot": list(places),
        "tip": [0.0] * len(places),
        "foot": [0.0] * len(places),
        "number": [str(k + 1) for k in range(len(places))],
    }


def _line_columns() -> dict[str, Any]:
    lines = [(line, "emission") for line in EMISSION_LINES] + [(line, "absorption") for line in ABSORPTION_LINES]
    return {
        "x": [float("nan")] * len(lines),
        "marked": [float("nan")] * len(lines),  # the same of those that are marked
        "rest": [line.wavelength for line, _ in lines],
        "name": [line.name for line, _ in lines],
        "short": [_short(line.name) for line, _ in lines],
        "strong": [line.major and line.name not in _PARTNERS for line, _ in lines],
        "family": [family for _, family in lines],
        "text": [""] * len(lines),
    }


def _short(name: str) -> str:
    """Return a line's name without its wavelength: "[O III] 5007" is "[O III]"."""
    return name.rstrip("0123456789").strip()
