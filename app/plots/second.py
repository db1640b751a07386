"""A second view beside the panels: the spectrum and its combined attribution around Hα, as in the paper's figure."""

from typing import Any

import numpy as np
from bokeh.models import Column, ColumnDataSource, LinearAxis, Range1d
from bokeh.plotting import figure

from app.plots.colours import Colours
from app.plots.layers import LayerModels, mark_lines, shade
from app.plots.panels import (
    Axes,
    Type,
    add_title,
    add_zero,
    curve,
    empty_panel,
    number_of_ticks,
    paint_panel,
    set_borders,
)
from app.plots.sources import PlotSources
from imo_engine.spectra.spectral_lines import line_view

__all__ = ["SecondView"]

_VIEW = line_view("halpha")


class SecondView:
    """Two small figures that the browser fills with the few pixels they show; hidden at first."""

    def __init__(self, sources: PlotSources, layers: LayerModels) -> None:
        """Build the figures."""
        nothing = np.empty(0, np.float32)
        names = ("shown", "lower", "upper", "reconstruction", "combined", "combined_lower", "combined_upper")
        self.pixels = ColumnDataSource({"x": nothing, **{f"cut_{name}": nothing for name in names}}, syncable=False)
        self.baselines = ColumnDataSource({"xs": [], "cut_baseline": []}, syncable=False)
        self.axes = Axes(Range1d(start=0, end=1, syncable=False), Range1d(start=0, end=1, syncable=False))
        self.panels = {
            "spectrum": self._spectrum(sources, layers),
            "combined": self._combined(sources, layers),
        }
        self.layout = Column(
            children=list(self.panels.values()), width=270, sizing_mode="stretch_height", visible=False, syncable=False
        )

    def paint(self, colours: Colours, letters: Type) -> None:
        """Use a set of colours and sizes."""
        for panel in self.panels.values():
            paint_panel(panel, colours, letters)
            set_borders(panel, letters, letters.left - 22, 10)

    def arguments(self) -> dict[str, Any]:
        """Return what the browser's code needs."""
        below: dict[str, LinearAxis] = self.axes.outer["combined"]["below"]
        above: dict[str, LinearAxis] = self.axes.outer["spectrum"]["above"]
        return {
            "layout": self.layout,
            "pixels": self.pixels,
            "baselines": self.baselines,
            "panels": dict(self.panels),
            "wavelength": self.axes.wavelength,
            "rest": self.axes.rest,
            "below": below,
            "above": above,
            "grids": self.axes.grids,
            "low": _VIEW.low,
            "high": _VIEW.high,
            "label": _VIEW.label,
        }

    def _spectrum(self, sources: PlotSources, layers: LayerModels) -> figure:
        panel = empty_panel(self.axes, "spectrum", "", prefix="second")
        shade(panel, sources.instrument, layers)
        mark_lines(panel, sources.lines, layers, alpha=0.45)
        noise = panel.varea(x="x", y1="cut_lower", y2="cut_upper", source=self.pixels, name="noise", fill_alpha=0.35)
        singles = panel.multi_line("xs", "cut_baseline", source=self.baselines, name="baseline", line_alpha=0.45)
        model = curve(panel.line("x", "cut_reconstruction", source=self.pixels, name="model"))
        curve(panel.step("x", "cut_shown", source=self.pixels, name="spectrum", mode="center"))
        add_title(panel, f"around {_VIEW.label}")
        for name, renderer in (("noise", noise), ("baselines", singles), ("model", model)):
            layers.add(name, renderer)
        _few_ticks(panel)
        return panel

    def _combined(self, sources: PlotSources, layers: LayerModels) -> figure:
        panel = empty_panel(self.axes, "combined", "combined", prefix="second")
        shade(panel, sources.instrument, layers)
        mark_lines(panel, sources.lines, layers, alpha=0.25)
        panel.varea(
            x="x",
            y1="cut_combined_lower",
            y2="cut_combined_upper",
            source=self.pixels,
            name="combined",
            fill_alpha=0.22,
        )
        curve(panel.line("x", "cut_combined", source=self.pixels, name="combined"))
        add_zero(panel)
        _few_ticks(panel)
        return panel


def _few_ticks(panel: figure) -> None:
    for axis in panel.xaxis:
        number_of_ticks(axis, 4)
        axis.axis_label = str(axis.axis_label).replace("wavelength (Å, vacuum)", "Å")
