"""One attribution on paper, as in figure 2 of Shen & Melchior (2023, arXiv:2310.20012): vector graphics for articles.

Left the spectrum over its baselines and other methods below it, right inverse multiscale occlusion by window size and
combined, all on one wavelength axis, each panel with a part of it enlarged beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.attribution.record import WEIGHTINGS, Attribution
from imo_engine.errors import InputError
from imo_engine.methods.record import MethodAttribution
from imo_engine.results.figure_files import FIGURE_STYLE
from imo_engine.spectra.spectral_lines import line_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["HALPHA", "Panel", "draw_attribution", "figure_title"]

HALPHA = (line_view("halpha").low or 0.0, line_view("halpha").high or 0.0)
"""The part that is enlarged by default: rest frame, vacuum Angstrom."""

# Okabe & Ito's hues, darkened to stand on white, as on the page
_SPECTRUM, _SINGLE, _METHOD, _COMBINED, _MUTED, _ZOOMED = (
    "#111418", "#8d96a1", "#c44601", "#c44601", "#5b6470", "#e69f00"
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Panel:
    """One row of a column.

    Attributes:
        words: Inside, above the curve.
        unit: Beside the axis.
        curve: (N,) the line.
        colour: Of the line.
        singles: (M, N) lines behind it, or None.
        scatter: (N,) half the height of a band around the curve, or None.
        zero: Whether zero is marked and always in view.
    """

    words: str
    unit: str
    curve: NDArray[np.floating]
    colour: str
    singles: NDArray[np.floating] | None = None
    scatter: NDArray[np.floating] | None = None
    zero: bool = True


def draw_attribution(
    attribution: Attribution,
    methods: Sequence[tuple[str, MethodAttribution]] = (),
    *,
    zoom: tuple[float, float] | None = HALPHA,
    zoom_label: str = "",
    norm: float | None = None,
    title: str = "",
    size: tuple[float, float] = (7.1, 5.6),
) -> "Figure":
    """Draw one attribution; matplotlib is imported here.

    Args:
        attribution: With at least one window size.
        methods: Other methods, each with its name for people.
        zoom: What is enlarged beside each panel: rest frame, vacuum Angstrom; None for nothing.
        zoom_label: What that is called; by default its wavelengths.
        norm: 1e-17 erg/s/cm2/Angstrom that a normalised flux of 1 stands for; by default the flux stays normalised.
        title: Above everything.
        size: Width and height, inch.

    Raises:
        InputError: nothing of the spectrum lies in ``zoom``, a method on another grid, or a size that is none.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    inside = _inside(attribution, zoom)
    n_pixel = len(attribution.wavelength)
    for label, record in methods:
        if record.values.shape != (n_pixel,):
            raise InputError(f"'methods' has {label} of shape {record.values.shape}, expected ({n_pixel},)")
    if not all(np.isfinite(length) and 1 <= length <= 100 for length in size):
        raise InputError(f"'size' is {size}; expected width and height of 1 to 100 inch")
    columns = (_left(attribution, methods, norm), _right(attribution))
    rows = max(len(columns[0]) + 1, len(columns[1]))  # the spectrum gets two at least
    with matplotlib.rc_context(FIGURE_STYLE):
        spacing = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.02, wspace=0.0, hspace=0.0)
        figure = Figure(figsize=size, layout=spacing)
        parts: Any = figure.subfigures(1, 2)
        for part, panels in zip(parts, columns, strict=True):
            first = 1 + rows - len(panels) if part is parts[0] else 1
            heights = [
                first * rows / (first + len(panels) - 1),
                *[rows / (first + len(panels) - 1)] * (len(panels) - 1),
            ]
            _draw_column(part, panels, heights, attribution, inside, zoom, zoom_label)
        if title:
            figure.suptitle(title, fontsize=7.5, x=0.01, ha="left")
    return figure


def figure_title(target_id: str, redshift: float, log_prob: float) -> str:
    """Return what stands above a target's figure; ``log_prob`` is in nats."""
    words = f"Target {target_id}, z = {redshift:.5f}, log p = {log_prob:.1f}."
    return f"{words} Positive: makes the spectrum more anomalous."


def _inside(attribution: Attribution, zoom: tuple[float, float] | None) -> NDArray[np.bool_] | None:
    if zoom is None:
        return None
    low, high = (edge * (1 + attribution.redshift) for edge in zoom)
    wave = attribution.wavelength
    inside: NDArray[np.bool_] = (wave >= low) & (wave <= high)
    if inside.sum() < 2:
        raise InputError(
            f"'zoom' is {zoom[0]:g} to {zoom[1]:g} Angstrom in the rest frame, {low:.0f} to {high:.0f} observed, but "
            f"the spectrum goes from {wave[0]:.0f} to {wave[-1]:.0f}"
        )
    return inside


def _left(
    attribution: Attribution, methods: Sequence[tuple[str, MethodAttribution]], norm: float | None
) -> list[Panel]:
    scale = 1.0 if norm is None else norm
    baselines = np.where(attribution.valid, attribution.baselines, np.nan) * scale
    unit = "normalised flux" if norm is None else r"$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$"
    panels = [
        Panel(
            f"spectrum, {len(baselines)} baselines at its redshift",
            unit,
            attribution.flux * scale,
            _SPECTRUM,
            singles=baselines,
            zero=False,
        )
    ]
    for label, record in methods:
        window = record.settings.get("window", 1)
        panels.append(Panel(f"{label}, W = {window}" if window > 1 else label, record.unit, record.values, _METHOD))
    return panels


def _right(attribution: Attribution) -> list[Panel]:
    order = np.argsort(attribution.window_sizes)
    panels = [
        Panel(
            f"W = {attribution.window_sizes[k]}",
            "nat / pixel",
            attribution.mean[k],
            _METHOD,
            singles=attribution.values[k],
        )
        for k in order
    ]
    words = f"IMO, window sizes combined, {WEIGHTINGS[attribution.weighting]}"
    combined = Panel(words, "nat / pixel", attribution.combined, _COMBINED, scatter=attribution.combined_scatter)
    return [*panels, combined]


def _draw_column(
    part: Any,  # noqa: ANN401 - matplotlib's SubFigure
    panels: list[Panel],
    heights: list[float],
    attribution: Attribution,
    inside: NDArray[np.bool_] | None,
    zoom: tuple[float, float] | None,
    zoom_label: str,
) -> None:
    from matplotlib.ticker import MaxNLocator

    wave, z = attribution.wavelength, attribution.redshift
    axes = part.subplots(
        len(panels),
        1 if inside is None else 2,
        sharex="col",
        squeeze=False,
        gridspec_kw={"height_ratios": heights, "width_ratios": [1] if inside is None else [3.4, 1]},
    )
    for row, (panel, (whole, *enlarged)) in enumerate(zip(panels, axes, strict=True)):
        last = row == len(panels) - 1
        _draw(whole, panel, wave, np.ones(len(wave), bool))
        whole.set_ylabel(panel.unit, labelpad=2)
        whole.text(0.012, 0.95, panel.words, transform=whole.transAxes, va="top", ha="left", fontsize=6.5, bbox=_BEHIND)
        whole.set_xlim(wave[0], wave[-1])
        if last:
            whole.set_xlabel("observed wavelength (Å, vacuum)", labelpad=2)
        for axis in enlarged:
            assert inside is not None and zoom is not None
            edges = [edge * (1 + z) for edge in zoom]
            whole.axvspan(*edges, color=_ZOOMED, alpha=0.25, lw=0, zorder=0)
            _draw(axis, panel, wave, inside)
            axis.yaxis.tick_right()
            axis.set_xlim(*edges)
            axis.locator_params(axis="x", nbins=2)
            if last:
                axis.set_xlabel("Å", labelpad=2)
    part.align_ylabels(axes[:, 0])
    for axis, words in zip(axes[0], ("rest-frame wavelength (Å, vacuum)", zoom_label), strict=False):
        above = axis.secondary_xaxis("top", functions=(lambda x: x / (1 + z), lambda x: x * (1 + z)))
        above.xaxis.set_major_locator(MaxNLocator(6 if axis is axes[0][0] else 2))
        above.set_xlabel(words or "rest frame", labelpad=3)


_BINS = 600
_BEHIND = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}


def _draw(axis: "Axes", panel: Panel, wave: NDArray[np.float64], inside: NDArray[np.bool_]) -> None:
    x, y = wave[inside], np.asarray(panel.curve, float)[inside]
    if panel.zero:
        axis.axhline(0, color=_MUTED, lw=0.4, zorder=1)
    if panel.singles is not None:
        for single in panel.singles:
            axis.plot(*_thinned(x, single[inside]), color=_SINGLE, lw=0.3, alpha=0.6, zorder=2)
    if panel.scatter is not None:
        half = panel.scatter[inside]
        axis.fill_between(x, y - half, y + half, color=panel.colour, alpha=0.22, lw=0, zorder=2)
    axis.plot(x, y, color=panel.colour, zorder=3, drawstyle="steps-mid" if len(x) < 1000 else "default")
    low, high = _limits(panel, y, x)
    axis.set_ylim(low, high)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}".replace("-", "−") if abs(value) > 1e-12 else "0")
    axis.locator_params(axis="y", nbins=3)


def _thinned(x: NDArray[np.float64], y: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
    """Return the lowest and highest point of every bin, for lines behind others: a file of a tenth of the size."""
    if len(x) < 2 * _BINS:
        return x, y
    keep: list[int] = []
    for pixels in np.array_split(np.arange(len(x)), _BINS):
        values = y[pixels]
        if np.isfinite(values).all():
            keep += sorted({int(pixels[values.argmin()]), int(pixels[values.argmax()])})
        else:
            keep += pixels.tolist()
    return x[keep], y[keep]


def _limits(panel: Panel, y: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits with room for the words; a noisy end must not flatten a spectrum, a peak is never cut."""
    known = y[np.isfinite(y)]
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    if not panel.zero and len(x) > 1000:
        low = float(np.quantile(known, 0.002))
    if panel.zero:
        low, high = min(low, 0.0), max(high, 0.0)
    span = high - low or 1.0
    return low - 0.06 * span, high + (0.28 if len(x) > 1000 else 0.1) * span
