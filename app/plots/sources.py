"""The data behind the plots: one column a curve, filled as results arrive."""

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource
from numpy.typing import NDArray

from imo_engine.attribution import Attribution
from imo_engine.spectra import Spectra, fill_masked
from imo_engine.spectral_lines import ABSORPTION_LINES, EMISSION_LINES

__all__ = ["PlotSources"]


class PlotSources:
    """Data sources of one session's plots.

    Wavelengths are sent once; afterwards only the columns that change. Single baselines are one long line
    with gaps between them, (M * (N + 1),), which draws faster than M lines.

    Change them only where the session's document may be changed.
    """

    def __init__(self, wavelength: NDArray[np.float64], window_sizes: tuple[int, ...], n_baselines: int) -> None:
        """Make empty sources for ``wavelength``, (N,) vacuum Angstrom, observed frame."""
        self.wavelength = wavelength
        self.window_sizes = tuple(sorted(window_sizes, reverse=True))
        self.n_baselines = n_baselines
        n = len(wavelength)
        x = wavelength.astype(np.float32)
        empty = np.full(n, np.nan, np.float32)
        columns = ["combined", "combined_lower", "combined_upper", *(f"w{size}" for size in self.window_sizes)]
        self.target = ColumnDataSource({"z": [float("nan")], "id": [""]})
        self.spectrum = ColumnDataSource({"x": x, "flux": empty, "lower": empty, "upper": empty})
        self.attribution = ColumnDataSource({"x": x, **dict.fromkeys(columns, empty)})
        gaps = np.full(n_baselines * (n + 1), np.nan, np.float32)
        repeated = np.tile(np.append(x, np.float32(np.nan)), n_baselines)
        names = ["baseline", *(f"w{size}" for size in self.window_sizes)]
        self.singles = ColumnDataSource({"x": repeated, **dict.fromkeys(names, gaps)})
        self.scale_map = ColumnDataSource({"image": [np.full((len(self.window_sizes), n), np.nan, np.float32)]})
        self.lines = ColumnDataSource(_line_columns())

    def show_spectrum(self, spectra: Spectra, row: int) -> None:
        """Show a target's spectrum and clear what belonged to the one before."""
        flux, ivar = spectra.flux[row], spectra.ivar[row]
        measured = spectra.measured[row]
        shown = np.where(measured, flux, np.nan).astype(np.float32)
        # a band with gaps is drawn across them: it has no height where there is no noise to show
        middle = fill_masked(flux, measured, "interpolate")[0]
        sigma = np.divide(1, np.sqrt(ivar), out=np.zeros_like(ivar), where=ivar > 0)
        self.clear_attribution()
        self.spectrum.data.update(flux=shown, lower=middle - sigma, upper=middle + sigma)
        target = {"z": [float(spectra.redshift[row])], "id": [str(spectra.target_id[row])]}
        if self.target.data != target:  # a change sets the view back, which another computation must not do
            self.target.data = target

    def clear_attribution(self) -> None:
        """Empty everything that is computed."""
        for source in (self.attribution, self.singles):
            empty = np.full(len(source.data["x"]), np.nan, np.float32)
            source.data.update({name: empty for name in source.data if name != "x"})
        self.scale_map.data["image"] = [np.full((len(self.window_sizes), len(self.wavelength)), np.nan, np.float32)]

    def show_baselines(self, baselines: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Show aligned baselines, (M, N), where the decoder reaches."""
        self.singles.data["baseline"] = self._joined(np.where(valid, baselines, np.nan))

    def show_window(self, window_size: int, values: NDArray[np.float32]) -> None:
        """Show one window size: values, (M, N), and their mean."""
        self._show_windows({window_size: values})

    def show_attribution(self, attribution: Attribution) -> None:
        """Show a finished attribution."""
        sizes = attribution.window_sizes
        self._show_windows({size: attribution.values[k].astype(np.float32) for k, size in enumerate(sizes)})
        self.show_baselines(attribution.baselines, attribution.valid)
        self.show_combination(attribution.combined, attribution.combined_scatter)

    def _show_windows(self, windows: dict[int, NDArray[np.float32]]) -> None:
        # each source changes once, so that the browser paints once
        means = {size: values.mean(axis=0) for size, values in windows.items()}
        image = self.scale_map.data["image"][0].copy()
        for size, values in windows.items():
            scatter, mean = values.std(axis=0), means[size]
            row = self.window_sizes[::-1].index(size)
            image[row] = np.divide(mean, scatter, out=np.full_like(mean, np.nan), where=scatter > 0)
        self.singles.data.update({f"w{size}": self._joined(values) for size, values in windows.items()})
        self.attribution.data.update({f"w{size}": mean.astype(np.float32) for size, mean in means.items()})
        self.scale_map.data["image"] = [image]

    def show_combination(self, combined: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        """Show the combination, (N,), with its scatter over baselines, (N,)."""
        self.attribution.data.update(
            combined=combined.astype(np.float32),
            combined_lower=(combined - scatter).astype(np.float32),
            combined_upper=(combined + scatter).astype(np.float32),
        )

    def _joined(self, curves: NDArray[Any]) -> NDArray[np.float32]:
        joined = np.full((self.n_baselines, len(self.wavelength) + 1), np.nan, np.float32)
        joined[: len(curves), :-1] = curves[: self.n_baselines]
        return joined.ravel()


def _line_columns() -> dict[str, Any]:
    lines = [(line, "emission") for line in EMISSION_LINES] + [(line, "absorption") for line in ABSORPTION_LINES]
    return {
        "x": [float("nan")] * len(lines),
        "y": [0.0] * len(lines),
        "rest": [line.wavelength for line, _ in lines],
        "name": [line.name for line, _ in lines],
        "short": [_short(line.name) for line, _ in lines],
        "major": [line.major for line, _ in lines],
        "family": [family for _, family in lines],
        "text": [""] * len(lines),
    }


def _short(name: str) -> str:
    """Return a line's name without its wavelength: "[O III] 5007" is "[O III]"."""
    return name.rstrip("0123456789").strip()
