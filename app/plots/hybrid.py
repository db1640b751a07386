"""Figure 1 of the paper, alive: outlier, baseline and hybrid under each other, and what each window does to log p."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import Column, ColumnDataSource, Range1d
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.plots.colours import Colours
from app.plots.columns import columns_of
from app.plots.panels import LARGE, NORMAL, Axes, add_title, add_zero, curve, empty_panel, paint_panel

__all__ = ["HybridPlots"]

_HEIGHTS = {"outlier": 128, "baseline": 114, "hybrid": 128, "effect": 190}
_LABELS = {
    "outlier": "1  the outlier",
    "baseline": "2  the baseline: an ordinary spectrum at its redshift",
    "hybrid": "3  the hybrid: the baseline with the window of the outlier",
    "effect": "what each window does: fall of log p, nat / pixel",
}


class HybridPlots:
    """Four panels on one axis; the browser moves the window and makes the hybrid, Python answers with log p.

    See :mod:`app.browser.hybrid`.
    """

    def __init__(self, wavelength: NDArray[np.float64], window_sizes: Sequence[int]) -> None:
        """Build them for ``wavelength``, (N,) vacuum Angstrom, observed frame, and window sizes in pixels."""
        x = wavelength.astype(np.float32)
        empty = np.full(len(x), np.nan, np.float32)
        self.wavelength = wavelength
        self.window_sizes = tuple(sorted(window_sizes))
        # from Python: what is on the stage, and answers
        self.curves = ColumnDataSource({"x": x, "outlier": empty, "usable": np.zeros(len(x), np.uint8)})
        self.baselines = ColumnDataSource({"values": [], "log_prob": []})
        self.facts = ColumnDataSource({"id": [""], "z": [0.0], "log_prob": [float("nan")], "count": [0], "words": [""]})
        self.answer = ColumnDataSource(
            {"start": [], "window": [], "baseline": [], "log_prob": [], "last": [], "count": []}
        )
        self.hints = ColumnDataSource({"window": [], "start": []})
        self._answers = 0  # the same answer twice is two answers, which an unchanged source would not tell
        # the browser's own
        self.drawn = ColumnDataSource({"x": x, "baseline": empty, "hybrid": empty}, syncable=False)
        self.effect = ColumnDataSource({"x": [], "y": []}, syncable=False)
        self.window = ColumnDataSource({"low": [], "high": []}, syncable=False)
        first, last = float(wavelength[0]), float(wavelength[-1])
        self.axes = Axes(Range1d(start=first, end=last, syncable=False), Range1d(start=first, end=last, syncable=False))
        self.panels = {name: self._panel(name) for name in _HEIGHTS}
        self.axes.outer["effect"]["below"]["observed"].visible = True
        self.layout = Column(children=list(self.panels.values()), sizing_mode="stretch_width", spacing=0)

    def asked(
        self, start: int, stop: int, step: int, window: int, baseline: int
    ) -> tuple[tuple[int, ...], int, int] | None:
        """Return what a question of the browser comes to, at most a thousand windows; None if it makes no sense.

        Returns:
            First pixels of windows, their size, and which baseline.
        """
        n = len(self.wavelength)
        if not 1 <= window <= n or step < 1:
            return None
        return tuple(range(max(0, start), min(n, stop), max(step, (stop - start) // 1000))), window, baseline

    def show_stage(
        self,
        target_id: str,
        redshift: float,
        flux: NDArray[np.floating],
        usable: NDArray[np.bool_],
        baselines: NDArray[np.floating],
        log_prob: NDArray[np.float64],
        own: float,
        hints: dict[int, int],
    ) -> None:
        """Show an outlier, (N,), and its baselines, (M, N), with log p; ``hints``: first pixels by window size."""
        columns_of(self.curves).update(outlier=flux.astype(np.float32), usable=usable.astype(np.uint8))
        self.baselines.data = {"values": list(baselines.astype(np.float32)), "log_prob": log_prob.tolist()}
        self.hints.data = {"window": list(hints), "start": list(hints.values())}
        count = self.facts.data["count"][0] + 1
        self.facts.data = {"id": [target_id], "z": [redshift], "log_prob": [own], "count": [count], "words": [""]}

    def say(self, words: str) -> None:
        """Say why there is nothing, or nothing yet."""
        count = self.facts.data["count"][0] + 1
        self.facts.data = {"id": [""], "z": [0.0], "log_prob": [float("nan")], "count": [count], "words": [words]}

    def show_answer(
        self, starts: Sequence[int], window: int, baseline: int, log_prob: Sequence[float], last: bool
    ) -> None:
        """Show log p, nats, of hybrids with windows that begin at pixels ``starts``."""
        n = len(starts)
        self._answers += 1
        self.answer.data = {
            "start": list(starts), "window": [window] * n, "baseline": [baseline] * n, "log_prob": list(log_prob),
            "last": [last] * n, "count": [self._answers] * n,
        }  # fmt: skip

    def paint(self, colours: Colours, *, large: bool = False) -> None:
        """Use a set of colours and sizes."""
        for panel in self.panels.values():
            paint_panel(panel, colours, LARGE if large else NORMAL)
            panel.min_border_right = 12
        self.axes.crosshair.line_color = colours.muted

    def _panel(self, name: str) -> figure:
        panel = empty_panel(self.axes, name, "nat / pixel" if name == "effect" else "flux", prefix="hybrid")
        panel.update(sizing_mode="stretch_width", height=_HEIGHTS[name] + (34 if name == "effect" else 0))
        add_title(panel, _LABELS[name])
        panel.toolbar.active_drag = None  # dragging moves the window
        strips = panel.vstrip(x0="low", x1="high", source=self.window, name="brush", fill_alpha=0.25)
        strips.glyph.line_alpha = 0.9
        if name == "effect":
            add_zero(panel)
            panel.scatter("x", "y", source=self.effect, name="combined", size=4, line_color=None)
            panel.line("x", "y", source=self.effect, name="combined", line_alpha=0.5)
            return panel
        source = self.curves if name == "outlier" else self.drawn
        if name == "hybrid":
            panel.line("x", "baseline", source=self.drawn, name="baseline", line_alpha=0.7)
        curve(panel.line("x", name, source=source, name="baseline" if name == "baseline" else "spectrum"))
        return panel
