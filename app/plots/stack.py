"""The column of plots: spectrum, combined attribution, scale map, one panel a window size; one wavelength axis."""

from importlib import resources
from typing import Any

from bokeh.core.properties import value
from bokeh.events import DocumentReady, DoubleTap, MouseMove
from bokeh.models import ColorBar, CustomJS, FixedTicker, GridBox, LabelSet, LinearColorMapper, Range1d
from bokeh.plotting import figure

from app.plots.colours import LIGHT, Colours, diverging
from app.plots.panels import Axes, add_legend, add_markers, add_outer_axis, add_zero, empty_panel, paint_panel
from app.plots.sources import PlotSources
from imo_engine.spectral_lines import LINE_VIEWS

__all__ = ["PlotStack"]

_MAP_LIMIT = 5.0
_FONT = "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


class PlotStack:
    """Figures of one session; made once, fed through ``sources``."""

    def __init__(self, sources: PlotSources) -> None:
        """Build all figures around ``sources``."""
        self.sources = sources
        wave = sources.wavelength
        margin = 0.01 * (wave[-1] - wave[0])
        # not synced: nothing on the server depends on the view, and zooming must not wait for a socket
        self.axes = Axes(
            Range1d(wave[0] - margin, wave[-1] + margin, syncable=False),
            Range1d(wave[0] - margin, wave[-1] + margin, syncable=False),
        )
        self.mapper = LinearColorMapper(low=-_MAP_LIMIT, high=_MAP_LIMIT, palette=diverging(LIGHT))
        self.mapper.nan_color = "rgba(0,0,0,0)"
        self.panels: dict[str, figure] = {
            "spectrum": self._spectrum(),
            "combined": self._combined(),
            "map": self._scale_map(),
            **{f"w{size}": self._window(size) for size in sources.window_sizes},
        }
        panels = list(self.panels.values())
        add_outer_axis(self.axes, panels[-1], "below", frame_while_observed="observed")
        add_outer_axis(self.axes, panels[0], "above", frame_while_observed="rest-frame")
        panels[-1].min_border_bottom, panels[0].min_border_top = 38, 36
        last = f"w{sources.window_sizes[-1]}"
        rows = {"spectrum": "6.6fr", "combined": "2.6fr", "map": "2.1fr", last: "2.6fr"}
        self.layout = GridBox(
            children=[(panel, row, 0) for row, panel in enumerate(panels)],
            rows={row: {"size": rows.get(name, "1.7fr")} for row, name in enumerate(self.panels)},
            cols={0: {"size": "1fr"}},
            spacing=0,
            sizing_mode="stretch_both",
        )
        self._connect()
        self.paint(LIGHT)

    def attach(self, document: Any) -> None:  # noqa: ANN401 - bokeh.document.Document, a Panel proxy at run time
        """Start the page's own code when the document is ready."""
        document.js_on_event(DocumentReady, self._start)

    def paint(self, colours: Colours) -> None:
        """Use a set of colours."""
        for panel in self.panels.values():
            paint_panel(panel, colours)
        self._labels.text_color = colours.text
        self._labels.background_fill_color = colours.background
        self.axes.crosshair.line_color = colours.muted
        self.mapper.palette = diverging(colours)
        self._bar.background_fill_color = colours.background
        self._bar.major_label_text_color = self._bar.title_text_color = colours.text
        self._bar.major_tick_line_color = colours.text

    def _spectrum(self) -> figure:
        panel = empty_panel(self.axes, "spectrum", "normalised flux")
        add_markers(panel, self.sources.lines, alpha=0.45)
        source = self.sources.spectrum
        noise = panel.varea(x="x", y1="lower", y2="upper", source=source, name="noise", fill_alpha=0.35)
        singles = panel.line("x", "baseline", source=self.sources.singles, name="baseline", line_alpha=0.45)
        flux = panel.step("x", "flux", source=source, name="spectrum", mode="center", line_width=1)
        add_legend(panel, {"spectrum": [flux], "± 1 σ noise": [noise], "baselines at this redshift": [singles]})
        self._labels = LabelSet(
            x="x",
            y="y",
            text_align="right",
            text="text",
            source=self.sources.lines,
            angle=90,
            angle_units="deg",
            text_font_size="10.5px",
            text_font=value(_FONT),
            text_baseline="middle",
            background_fill_alpha=0.7,
        )
        panel.add_layout(self._labels)
        return panel

    def _combined(self) -> figure:
        panel = empty_panel(self.axes, "combined", "")
        add_markers(panel, self.sources.lines, alpha=0.25)
        source = self.sources.attribution
        band = panel.varea(
            x="x", y1="combined_lower", y2="combined_upper", source=source, name="combined", fill_alpha=0.22
        )
        line = panel.line("x", "combined", source=source, name="combined", line_width=1.3)
        add_legend(panel, {"combined attribution: nat / pixel": [line], "scatter over baselines": [band]})
        add_zero(panel)
        return panel

    def _window(self, size: int) -> figure:
        panel = empty_panel(self.axes, f"w{size}", "")
        add_markers(panel, self.sources.lines, alpha=0.25)
        column = f"w{size}"
        singles = panel.line("x", column, source=self.sources.singles, name="baseline", line_alpha=0.35)
        mean = panel.line("x", column, source=self.sources.attribution, name="window", line_width=1.2)
        add_legend(panel, {f"W = {size}: nat / pixel": [mean], "single baselines": [singles]})
        panel.yaxis.ticker.desired_num_ticks = 3
        add_zero(panel)
        return panel

    def _scale_map(self) -> figure:
        panel = empty_panel(self.axes, "map", "W (pixels)")
        wave, sizes = self.sources.wavelength, self.sources.window_sizes[::-1]
        step = float(wave[1] - wave[0])
        panel.image(
            image="image",
            x=float(wave[0]) - step / 2,
            y=-0.5,
            dw=step * len(wave),
            dh=len(sizes),
            source=self.sources.scale_map,
            color_mapper=self.mapper,
        )
        add_markers(panel, self.sources.lines, alpha=0.25)
        panel.y_range.update(start=-0.5, end=len(sizes) - 0.5)
        panel.yaxis.ticker = FixedTicker(ticks=list(range(len(sizes))))
        panel.yaxis.major_label_overrides = {row: str(size) for row, size in enumerate(sizes)}
        panel.ygrid.visible = False
        self._bar = ColorBar(
            color_mapper=self.mapper,
            ticker=FixedTicker(ticks=[-_MAP_LIMIT, 0, _MAP_LIMIT]),
            title="mean/σ",
            title_text_font_size="10px",
            title_text_font_style="normal",
            title_standoff=3,
            width=8,
            padding=3,
            label_standoff=4,
            major_label_text_font_size="10px",
            bar_line_color=None,
        )
        panel.add_layout(self._bar, "right")
        return panel

    def _connect(self) -> None:
        wave, sources = self.sources.wavelength, self.sources
        code = resources.files("app.plots").joinpath("client.js").read_text(encoding="utf-8")
        self._start = CustomJS(
            args={
                "wavelength": self.axes.wavelength,
                "rest": self.axes.rest,
                "target": sources.target,
                "spectrum": sources.spectrum,
                "attribution": sources.attribution,
                "lines": sources.lines,
                "panels": dict(self.panels),
                "windows": list(sources.window_sizes),
                "observedModels": self.axes.observed,
                "restModels": self.axes.rest_frame,
                "views": {view.name: {"label": view.label, "low": view.low, "high": view.high} for view in LINE_VIEWS},
                "grid": {"start": float(wave[0]), "step": float(wave[1] - wave[0]), "count": len(wave)},
            },
            code=code,
        )
        # the target's source is no glyph's: named here, it belongs to the document and its changes are sent
        moved = CustomJS(args={"target": sources.target}, code="window.imoExplorer?.moved()")
        self.axes.wavelength.js_on_change("start", moved)
        self.axes.wavelength.js_on_change("end", moved)
        sources.target.js_on_change("data", CustomJS(code="window.imoExplorer?.target()"))
        refit = CustomJS(code="window.imoExplorer?.data()")
        sources.spectrum.js_on_change("data", refit)
        sources.attribution.js_on_change("data", refit)
        hover = CustomJS(code="window.imoExplorer?.hover(cb_obj.x)")
        full = CustomJS(code="window.imoExplorer?.view('full')")
        for panel in self.panels.values():
            panel.js_on_event(MouseMove, hover)
            panel.js_on_event(DoubleTap, full)
