"""The column of plots: spectrum, combined attribution, scale map, one panel a window size; one wavelength axis."""

from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from bokeh.core.properties import value
from bokeh.events import DocumentReady, DoubleTap, MouseMove
from bokeh.models import (
    BasicTicker,
    BoxZoomTool,
    CDSView,
    ColorBar,
    CrosshairTool,
    CustomJS,
    CustomJSTickFormatter,
    FixedTicker,
    Grid,
    GridBox,
    GroupFilter,
    LabelSet,
    Legend,
    LinearAxis,
    LinearColorMapper,
    Model,
    PanTool,
    Range1d,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from app.plots.colours import LIGHT, Colours, diverging
from app.plots.sources import PlotSources
from imo_engine.spectral_lines import LINE_VIEWS

__all__ = ["PlotStack"]

_LEFT, _RIGHT = 66, 48  # pixels beside every panel, so that their wavelength axes line up
_MAP_LIMIT = 5.0
_FONT = "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"

_SHORT_NUMBERS = """
if (tick === 0) return "0"
const size = Math.abs(tick)
if (size >= 0.01 && size < 10000) return String(Number(tick.toPrecision(3))).replace("-", "−")
const [digits, power] = tick.toExponential(2).split("e")
const raised = power.replace("+", "").replace(/./g, (c) => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])
return `${Number(digits)}·10${raised}`.replace("-", "−")
"""


@dataclass(frozen=True, eq=False)
class _Frame:
    """Axes and grids of one frame, shown or hidden together."""

    observed: list[Model]
    rest: list[Model]


class PlotStack:
    """Figures of one session; made once, fed through ``sources``."""

    def __init__(self, sources: PlotSources) -> None:
        """Build all figures around ``sources``."""
        self.sources = sources
        wave = sources.wavelength
        margin = 0.01 * (wave[-1] - wave[0])
        # not synced: nothing on the server depends on the view, and zooming must not wait for a socket
        self.wavelength = Range1d(wave[0] - margin, wave[-1] + margin, syncable=False)
        self.rest = Range1d(wave[0] - margin, wave[-1] + margin, syncable=False)
        self._crosshair = Span(dimension="height", line_width=1, line_alpha=0.6)
        self._frame = _Frame([], [])
        self.mapper = LinearColorMapper(low=-_MAP_LIMIT, high=_MAP_LIMIT, palette=diverging(LIGHT))
        self.mapper.nan_color = "rgba(0,0,0,0)"
        self.panels: dict[str, figure] = {"spectrum": self._spectrum(), "combined": self._combined()}
        self.panels["map"] = self._scale_map()
        for size in sources.window_sizes:
            self.panels[f"w{size}"] = self._window(size)
        self._outer_axes()
        last = f"w{sources.window_sizes[-1]}"
        rows = {"spectrum": "6.6fr", "combined": "2.6fr", "map": "2.1fr", last: "2.6fr"}
        self.layout = GridBox(
            children=[(panel, row, 0) for row, panel in enumerate(self.panels.values())],
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
            panel.outline_line_color = colours.grid
            for axis in panel.axis:
                axis.axis_line_color = axis.major_tick_line_color = colours.muted
                axis.minor_tick_line_color = None
                axis.major_label_text_color = axis.axis_label_text_color = colours.text
            for grid in panel.grid:
                grid.grid_line_color = colours.grid
            for legend in panel.legend:
                legend.label_text_color, legend.background_fill_color = colours.text, colours.background
            for renderer in panel.renderers:
                self._paint_glyph(renderer, colours)
        self._labels.text_color = colours.text
        self._labels.background_fill_color = colours.background
        self._crosshair.line_color = colours.muted
        self.mapper.palette = diverging(colours)
        self._bar.background_fill_color = colours.background
        self._bar.major_label_text_color = self._bar.title_text_color = colours.text
        self._bar.major_tick_line_color = colours.text

    @staticmethod
    def _paint_glyph(renderer: Any, colours: Colours) -> None:  # noqa: ANN401 - any Bokeh renderer
        name = renderer.name or ""
        colour = asdict(colours).get(name)
        if colour is None:
            return
        for kind in ("line_color", "fill_color"):
            if hasattr(renderer.glyph, kind):
                setattr(renderer.glyph, kind, colour)

    def _panel(self, name: str, y_label: str) -> figure:
        panel = figure(
            name=f"imo-{name}",
            x_range=self.wavelength,
            y_range=Range1d(0, 1, syncable=False),
            min_border_left=_LEFT,
            min_border_right=_RIGHT,
            min_border_top=0,
            min_border_bottom=3,
            sizing_mode="stretch_both",
            min_height=40,
            toolbar_location=None,
            tools="",
            x_axis_location=None,
            lod_threshold=None,
            background_fill_alpha=0,  # the page shows through, so a change of theme leaves no trace
            border_fill_alpha=0,
        )
        wheel, pan = WheelZoomTool(dimensions="width"), PanTool(dimensions="width")
        box = BoxZoomTool(dimensions="width")
        panel.add_tools(wheel, box, pan, CrosshairTool(overlay=self._crosshair, dimensions="height"))
        panel.toolbar.active_scroll, panel.toolbar.active_drag = wheel, box
        panel.extra_x_ranges["rest"] = self.rest
        panel.xgrid.visible = False  # replaced by one grid a frame, whose ticks are round numbers in that frame
        for name, models in (("default", self._frame.observed), ("rest", self._frame.rest)):
            grid = Grid(
                dimension=0, x_range_name=name, ticker=BasicTicker(desired_num_ticks=12), visible=name == "default"
            )
            panel.add_layout(grid)
            models.append(grid)
        for axis in panel.yaxis:
            axis.axis_label = y_label
            axis.axis_label_text_font_style = "normal"
            axis.axis_label_text_font_size = axis.major_label_text_font_size = "11px"
            axis.axis_label_standoff = 2
            axis.ticker.desired_num_ticks = 4
            axis.formatter = CustomJSTickFormatter(code=_SHORT_NUMBERS)
        self._markers(panel, name)
        return panel

    def _markers(self, panel: figure, name: str) -> None:
        for family, dash in (("emission", "solid"), ("absorption", "dashed")):
            view = CDSView(filter=GroupFilter(column_name="family", group=family))
            panel.vspan(
                x="x",
                source=self.sources.lines,
                view=view,
                name=family,
                line_dash=dash,
                line_width=1,
                line_alpha=0.45 if name == "spectrum" else 0.25,
                level="overlay" if name == "map" else "underlay",
            )

    def _spectrum(self) -> figure:
        panel = self._panel("spectrum", "normalised flux")
        source = self.sources.spectrum
        noise = panel.varea(x="x", y1="lower", y2="upper", source=source, name="noise", fill_alpha=0.35)
        singles = panel.line("x", "baseline", source=self.sources.singles, name="baseline", line_alpha=0.45)
        flux = panel.step("x", "flux", source=source, name="spectrum", mode="center", line_width=1)
        self._legend(panel, {"spectrum": [flux], "± 1 σ noise": [noise], "baselines at this redshift": [singles]})
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
        panel = self._panel("combined", "")
        source = self.sources.attribution
        band = panel.varea(
            x="x", y1="combined_lower", y2="combined_upper", source=source, name="combined", fill_alpha=0.22
        )
        line = panel.line("x", "combined", source=source, name="combined", line_width=1.3)
        self._legend(panel, {"combined attribution: nat / pixel": [line], "scatter over baselines": [band]})
        self._zero(panel)
        return panel

    def _window(self, size: int) -> figure:
        panel = self._panel(f"w{size}", "")
        column = f"w{size}"
        singles = panel.line("x", column, source=self.sources.singles, name="baseline", line_alpha=0.35)
        mean = panel.line("x", column, source=self.sources.attribution, name="window", line_width=1.2)
        self._legend(panel, {f"W = {size}: nat / pixel": [mean], "single baselines": [singles]})
        panel.yaxis.ticker.desired_num_ticks = 3
        self._zero(panel)
        return panel

    def _legend(self, panel: figure, entries: dict[str, list[Any]]) -> None:
        legend = Legend(
            items=list(entries.items()),
            location="top_left",
            orientation="horizontal",
            label_text_font_size="11px",
            label_standoff=4,
            glyph_width=16,
            glyph_height=12,
            label_height=12,
            spacing=14,
            padding=2,
            margin=3,
            border_line_color=None,
            background_fill_alpha=0.75,
        )
        panel.add_layout(legend)

    def _zero(self, panel: figure) -> None:
        panel.add_layout(Span(location=0, dimension="width", line_width=1, line_alpha=0.5, line_color="#808890"))

    def _scale_map(self) -> figure:
        panel = self._panel("map", "W (pixels)")
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
            level="glyph",
        )
        panel.y_range.update(start=-0.5, end=len(sizes) - 0.5)
        panel.yaxis.ticker = FixedTicker(ticks=list(range(len(sizes))))
        panel.yaxis.major_label_overrides = {row: str(size) for row, size in enumerate(sizes)}
        panel.ygrid.visible = False
        self._bar = ColorBar(
            color_mapper=self.mapper,
            ticker=FixedTicker(ticks=[-_MAP_LIMIT, 0, _MAP_LIMIT]),
            width=8,
            padding=4,
            label_standoff=4,
            major_label_text_font_size="10px",
            bar_line_color=None,
        )
        panel.add_layout(self._bar, "right")
        return panel

    def _outer_axes(self) -> None:
        top, bottom = self.panels["spectrum"], list(self.panels.values())[-1]
        for panel, place, default_is_observed in ((bottom, "below", True), (top, "above", False)):
            for frame, name in (("observed", "default"), ("rest-frame", "rest")):
                axis = LinearAxis(
                    x_range_name=name,
                    axis_label=f"{frame} wavelength (Å, vacuum)",
                    axis_label_text_font_style="normal",
                    axis_label_text_font_size="11px",
                    major_label_text_font_size="11px",
                    axis_label_standoff=2,
                )
                axis.visible = (frame == "observed") == default_is_observed
                axis.ticker.desired_num_ticks = 12
                panel.add_layout(axis, place)
                shown_in_observed_mode = (frame == "observed") == default_is_observed
                (self._frame.observed if shown_in_observed_mode else self._frame.rest).append(axis)
        bottom.min_border_bottom = 38
        top.min_border_top = 36

    def _connect(self) -> None:
        wave, sources = self.sources.wavelength, self.sources
        code = resources.files("app.plots").joinpath("client.js").read_text(encoding="utf-8")
        self._start = CustomJS(
            args={
                "wavelength": self.wavelength,
                "rest": self.rest,
                "target": sources.target,
                "spectrum": sources.spectrum,
                "attribution": sources.attribution,
                "lines": sources.lines,
                "panels": dict(self.panels),
                "windows": list(sources.window_sizes),
                "observedModels": self._frame.observed,
                "restModels": self._frame.rest,
                "views": {view.name: {"label": view.label, "low": view.low, "high": view.high} for view in LINE_VIEWS},
                "grid": {"start": float(wave[0]), "step": float(wave[1] - wave[0]), "count": len(wave)},
            },
            code=code,
        )
        # the target's source is no glyph's: named here, it belongs to the document and its changes are sent
        moved = CustomJS(args={"target": sources.target}, code="window.imoExplorer?.moved()")
        self.wavelength.js_on_change("start", moved)
        self.wavelength.js_on_change("end", moved)
        sources.target.js_on_change("data", CustomJS(code="window.imoExplorer?.target()"))
        refit = CustomJS(code="window.imoExplorer?.data()")
        sources.spectrum.js_on_change("data", refit)
        sources.attribution.js_on_change("data", refit)
        hover = CustomJS(code="window.imoExplorer?.hover(cb_obj.x)")
        full = CustomJS(code="window.imoExplorer?.view('full')")
        for panel in self.panels.values():
            panel.js_on_event(MouseMove, hover)
            panel.js_on_event(DoubleTap, full)
