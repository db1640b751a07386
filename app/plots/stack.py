"""The column of plots: spectrum, residual, combined attribution, scale map, one panel a window size."""

import math
from collections.abc import Callable
from typing import Any

from bokeh.core.properties import value
from bokeh.models import FixedTicker, GridBox, Image, LinearColorMapper, Range1d, Row
from bokeh.models.annotations import ColorBar, LabelSet
from bokeh.plotting import figure

from app.plots.colours import LIGHT, Colours, diverging
from app.plots.layers import FeatureMarks, LayerModels, RepairMarks, mark_lines, shade
from app.plots.methods import MethodPanels
from app.plots.panels import FONT, LARGE, NORMAL, Axes, add_zero, curve, empty_panel, paint_panel
from app.plots.second import SecondView
from app.plots.significant import SignificantOnly
from app.plots.sources import PlotSources

__all__ = ["PlotStack"]

_MAP_LIMIT = 5.0
_SHARES = {"spectrum": 6.6, "residual": 2.2, "combined": 2.6, "map": 2.1}
_WINDOW_SHARE = 1.7
_LEAST_HEIGHT = 420  # pixels of all panels together
_FOLDED = ("residual",)


class PlotStack:
    """Figures of one session; made once, fed through ``sources``.

    Whatever the browser does alone (zoom, smoothing, layers, panels, nudged redshift) stays there
    (:class:`app.browser.client.BrowserCode`). Python hears of three things only: keys that it has to act on, a range
    that is asked about, a redshift that is to be used.

    Attributes:
        shares: Of the height, by panel.
    """

    def __init__(self, sources: PlotSources) -> None:
        """Build all figures around ``sources``."""
        self.sources = sources
        wave = sources.wavelength
        margin = 0.01 * (wave[-1] - wave[0])
        # not synced: nothing on the server depends on the view, and zooming must not wait for a socket
        self.axes = Axes(
            Range1d(start=wave[0] - margin, end=wave[-1] + margin, syncable=False),
            Range1d(start=wave[0] - margin, end=wave[-1] + margin, syncable=False),
        )
        self.layers = LayerModels()
        self.mapper = LinearColorMapper(low=-_MAP_LIMIT, high=_MAP_LIMIT, palette=diverging(LIGHT))
        self.mapper.nan_color = "rgba(0,0,0,0)"
        self.significant = SignificantOnly(sources)
        self.panels: dict[str, figure] = {
            "spectrum": self._spectrum(),
            "residual": self._residual(),
            "combined": self._combined(),
            "map": self._scale_map(),
            **{f"w{size}": self._window(size) for size in sources.window_sizes},
        }
        for name, panel in self.panels.items():
            panel.visible = name not in _FOLDED
        shown = [name for name in self.panels if name not in _FOLDED]
        self.axes.outer[shown[0]]["above"]["rest"].visible = True
        self.axes.outer[shown[-1]]["below"]["observed"].visible = True
        self.second = SecondView(sources, self.layers)
        self.methods = MethodPanels(self.axes, sources, self.layers, self._add_panels)
        for panel in self.every_panel:
            self._mark_asked_range(panel)
        self.shares = {name: _SHARES.get(name, _WINDOW_SHARE) for name in self.panels}
        self.grid = GridBox(
            children=[(child, row, 0) for row, child in enumerate([*self.panels.values(), *self.methods.boxes])],
            sizing_mode="stretch_both",
            syncable=False,
        )
        # apart from the others: Bokeh declares these three with types of properties, not of their values
        rows = [{"size": "0px" if name in _FOLDED else f"{share}fr"} for name, share in self.shares.items()]
        rows += [{"size": "0px"}] * len(self.methods.boxes)
        self.grid.update(rows=rows, cols=[{"size": "1fr"}], spacing=0)
        # with a least height of its own it gives way where panels need more room than there is, and they shrink
        self.layout = Row(
            children=[self.grid, self.second.layout], spacing=0, sizing_mode="stretch_both", min_height=_LEAST_HEIGHT
        )
        self._on_panel: list[Callable[[figure], None]] = []
        self.paint(LIGHT)

    @property
    def every_panel(self) -> list[figure]:
        """The panels that are there, those of the second view and of other methods included."""
        return [*self.panels.values(), *self.methods.panels, *self.second.panels.values()]

    def on_panel(self, callback: Callable[[figure], None]) -> None:
        """Call ``callback`` with every panel that is there, and with those of other methods once they are."""
        self._on_panel.append(callback)
        for panel in self.every_panel:
            callback(panel)

    def on_brush(self, callback: Callable[[float, float], None], cleared: Callable[[], None] | None = None) -> None:
        """Call ``callback`` with a range that is asked about: first and last observed wavelength, Angstrom.

        ``cleared`` is called when it is forgotten: by the user, by ``clear_brush``, or because the target changed. Of a
        range that is still being drawn :class:`app.browser.client.BrowserCode` hears.
        """

        def changed(attr: str, old: Any, new: dict[str, list[float]]) -> None:  # noqa: ANN401
            if new["low"]:
                callback(float(new["low"][0]), float(new["high"][0]))
            elif cleared is not None:
                cleared()

        self.sources.brush.on_change("data", changed)

    def clear_brush(self) -> None:
        """Forget the range that was asked about."""
        self.sources.clear_brush()

    def paint(self, colours: Colours, *, large: bool = False) -> None:
        """Use a set of colours, and letters and lines that can be seen from the last row if ``large``."""
        self._painted = colours, large
        letters = LARGE if large else NORMAL
        for panel in self.panels.values():
            paint_panel(panel, colours, letters)
        self.second.paint(colours, letters)
        self.methods.paint(colours, letters)
        self.line_labels.text_color = colours.text
        self.line_labels.text_font_size = letters.size
        self.line_labels.background_fill_color = colours.background
        self._marks.paint(colours, letters)
        self._repair.paint(colours, letters)
        self.axes.crosshair.line_color = self.second.axes.crosshair.line_color = colours.muted
        self.mapper.palette = diverging(colours)
        self._bar.background_fill_color = colours.background
        self._bar.major_label_text_color = colours.text
        self._bar.major_tick_line_color = colours.text
        self._bar.major_label_text_font, self._bar.major_label_text_font_size = FONT, letters.size

    def _add_panels(self, panels: list[figure]) -> None:
        """Let panels of methods do and look like the others."""
        for panel in panels:
            self._mark_asked_range(panel)
            for callback in self._on_panel:
                callback(panel)
        colours, large = self._painted
        self.paint(colours, large=large)

    def _mark_asked_range(self, panel: figure) -> None:
        strips = panel.vstrip(x0="low", x1="high", source=self.sources.brush, name="brush", fill_alpha=0.22)
        strips.glyph.line_alpha = 0.9

    def _spectrum(self) -> figure:
        panel = empty_panel(self.axes, "spectrum", "normalised flux")
        sources, layers = self.sources, self.layers
        shade(panel, sources.instrument, layers)
        mark_lines(panel, sources.lines, layers, alpha=0.45)
        noise = panel.varea(x="x", y1="lower", y2="upper", source=sources.drawn, name="noise", fill_alpha=0.35)
        singles = curve(panel.multi_line("xs", "baseline", source=sources.singles, name="baseline", line_alpha=0.45))
        curve(panel.step("x", "shown", source=sources.drawn, name="spectrum", mode="center"))
        model = curve(panel.line("x", "reconstruction", source=sources.drawn, name="model", line_alpha=0.9))
        for name, renderer in (("noise", noise), ("baselines", singles), ("model", model)):
            layers.add(name, renderer)
        self._repair = RepairMarks(panel, sources.repair, layers)
        self.line_labels = LabelSet(
            x="marked",
            y=1,
            y_range_name="share",
            y_offset=-4,
            text_align="right",
            text="text",
            source=sources.lines,
            angle=math.pi / 2,
            text_font=value(FONT),
            text_baseline="middle",
            background_fill_alpha=0.7,
        )
        panel.add_layout(self.line_labels)
        return panel

    def _residual(self) -> figure:
        panel = empty_panel(self.axes, "residual", "residual / σ")
        shade(panel, self.sources.instrument, self.layers)
        mark_lines(panel, self.sources.lines, self.layers, alpha=0.25)
        curve(panel.step("x", "residual", source=self.sources.drawn, name="spectrum", mode="center"))
        add_zero(panel)
        return panel

    def _combined(self) -> figure:
        panel = empty_panel(self.axes, "combined", "combined")
        shade(panel, self.sources.instrument, self.layers)
        mark_lines(panel, self.sources.lines, self.layers, alpha=0.25)
        source = self.sources.attribution
        self._marks = FeatureMarks(panel, self.sources.features)
        band = panel.varea(
            x="x", y1="combined_lower", y2="combined_upper", source=source, name="combined", fill_alpha=0.22
        )
        line = curve(panel.line("x", "combined", source=source, name="combined"))
        self.significant.fade(band, line)
        self.significant.add_line(panel, "combined", colour="combined")
        add_zero(panel)
        return panel

    def _window(self, size: int) -> figure:
        panel = empty_panel(self.axes, f"w{size}", f"W = {size}")
        shade(panel, self.sources.instrument, self.layers)
        mark_lines(panel, self.sources.lines, self.layers, alpha=0.25)
        column = f"w{size}"
        singles = curve(panel.multi_line("xs", column, source=self.sources.singles, name="baseline", line_alpha=0.35))
        mean = curve(panel.line("x", column, source=self.sources.attribution, name="window"))
        self.layers.add("baselines", singles)
        self.significant.fade(singles, mean)
        self.significant.add_line(panel, column, colour="window")
        add_zero(panel)
        return panel

    def _scale_map(self) -> figure:
        panel = empty_panel(self.axes, "map", "W / px")
        wave, sizes = self.sources.wavelength, self.sources.window_sizes[::-1]
        step = float(wave[1] - wave[0])

        def image() -> Image:
            left, width = float(wave[0]) - step / 2, step * len(wave)
            return Image(image="image", x=left, y=-0.5, dw=width, dh=len(sizes), color_mapper=self.mapper)

        self.significant.fade(panel.add_glyph(self.sources.scale_map, image()))
        self.significant.add_image(panel, image())
        mark_lines(panel, self.sources.lines, self.layers, alpha=0.25)
        panel.y_range.update(start=-0.5, end=len(sizes) - 0.5)
        panel.yaxis.ticker = FixedTicker(ticks=list(range(len(sizes))), syncable=False)
        panel.yaxis.major_label_overrides = {row: str(size) for row, size in enumerate(sizes)}
        panel.ygrid.visible = False
        self._bar = ColorBar(
            color_mapper=self.mapper,
            ticker=FixedTicker(ticks=[-_MAP_LIMIT, 0, _MAP_LIMIT]),
            width=8,
            padding=3,
            label_standoff=4,
            bar_line_color=None,
        )
        panel.add_layout(self._bar, "right")
        return panel
