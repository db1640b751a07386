"""Empty panels that share one wavelength axis, and what stands in all of them: grids, line markers, legends."""

from dataclasses import asdict, dataclass, field
from typing import Any

from bokeh.models import (
    BasicTicker,
    BoxZoomTool,
    CDSView,
    ColumnDataSource,
    CrosshairTool,
    CustomJSTickFormatter,
    Grid,
    GroupFilter,
    Legend,
    LinearAxis,
    Model,
    PanTool,
    Range1d,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from app.plots.colours import Colours

__all__ = ["Axes", "add_legend", "add_markers", "add_outer_axis", "add_zero", "empty_panel", "paint_panel"]

_LEFT, _RIGHT = 66, 48  # pixels beside every panel, so that their wavelength axes line up

_SHORT_NUMBERS = """
if (tick === 0) return "0"
const size = Math.abs(tick)
if (size >= 0.01 && size < 10000) return String(Number(tick.toPrecision(3))).replace("-", "−")
const [digits, power] = tick.toExponential(2).split("e")
const raised = power.replace("+", "").replace(/./g, (c) => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])
return `${Number(digits)}·10${raised}`.replace("-", "−")
"""


@dataclass(frozen=True, eq=False)
class Axes:
    """What the panels share; the browser alone moves, shows and hides it, so that none of it is synced.

    Attributes:
        wavelength: Range of the observed frame.
        rest: The same range in the rest frame; the browser keeps both together.
        crosshair: One vertical line through all panels.
        observed: Axes and grids to show while the observed frame is chosen.
        rest_frame: Those to show while the rest frame is.
    """

    wavelength: Range1d
    rest: Range1d
    crosshair: Span = field(
        default_factory=lambda: Span(dimension="height", line_width=1, line_alpha=0.6, syncable=False)
    )
    observed: list[Model] = field(default_factory=list)
    rest_frame: list[Model] = field(default_factory=list)


def empty_panel(axes: Axes, name: str, y_label: str) -> figure:
    """Return a panel named ``imo-NAME``: drag zooms, the wheel zooms, no toolbar, no wavelength axis yet."""
    panel = figure(
        name=f"imo-{name}",
        x_range=axes.wavelength,
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
        background_fill_alpha=0,  # the page shows through, whatever its theme
        border_fill_alpha=0,
        styles={"clip-path": "inset(1px 0 0 1px)"},  # Bokeh never clears the first row and column of its canvas
    )
    wheel, box = WheelZoomTool(dimensions="width"), BoxZoomTool(dimensions="width")
    panel.add_tools(wheel, box, PanTool(dimensions="width"), CrosshairTool(overlay=axes.crosshair, dimensions="height"))
    panel.toolbar.active_scroll, panel.toolbar.active_drag = wheel, box
    panel.extra_x_ranges["rest"] = axes.rest
    panel.xgrid.visible = False  # replaced by one grid a frame, whose ticks are round numbers in that frame
    for range_name, models in (("default", axes.observed), ("rest", axes.rest_frame)):
        ticker = BasicTicker(desired_num_ticks=12)
        shown = range_name == "default"
        grid = Grid(dimension=0, x_range_name=range_name, ticker=ticker, visible=shown, syncable=False)
        panel.add_layout(grid)
        models.append(grid)
    for axis in panel.yaxis:
        axis.axis_label = y_label
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "11px"
        axis.axis_label_standoff = 2
        axis.ticker.desired_num_ticks = 4
        axis.formatter = CustomJSTickFormatter(code=_SHORT_NUMBERS)
    return panel


def add_markers(panel: figure, lines: ColumnDataSource, *, alpha: float) -> None:
    """Mark spectral lines: emission solid, absorption dashed."""
    for family, dash in (("emission", "solid"), ("absorption", "dashed")):
        view = CDSView(filter=GroupFilter(column_name="family", group=family))
        panel.vspan(x="x", source=lines, view=view, name=family, line_dash=dash, line_width=1, line_alpha=alpha)


def add_legend(panel: figure, entries: dict[str, list[Any]]) -> None:
    """Name the curves, (words: renderers), along the top of the panel."""
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


def add_zero(panel: figure) -> None:
    """Draw the line of no attribution."""
    panel.add_layout(Span(location=0, dimension="width", line_width=1, line_alpha=0.5, line_color="#808890"))


def add_outer_axis(axes: Axes, panel: figure, place: str, *, frame_while_observed: str) -> None:
    """Add a wavelength axis above or below ``panel``.

    Args:
        axes: What the panels share.
        panel: The first or last panel.
        place: "above" or "below".
        frame_while_observed: Frame it shows while the observed frame is chosen, "observed" or "rest-frame"; it
            shows the other one while the rest frame is.
    """
    for frame, range_name in (("observed", "default"), ("rest-frame", "rest")):
        first = frame == frame_while_observed
        axis = LinearAxis(
            x_range_name=range_name,
            axis_label=f"{frame} wavelength (Å, vacuum)",
            axis_label_text_font_style="normal",
            axis_label_text_font_size="11px",
            major_label_text_font_size="11px",
            axis_label_standoff=2,
            visible=first,
            syncable=False,
        )
        axis.ticker.desired_num_ticks = 12
        panel.add_layout(axis, place)
        (axes.observed if first else axes.rest_frame).append(axis)


def paint_panel(panel: figure, colours: Colours) -> None:
    """Use a set of colours; glyphs are named after theirs."""
    panel.outline_line_color = colours.grid
    for axis in panel.axis:
        axis.axis_line_color = axis.major_tick_line_color = colours.muted
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = colours.text
    for grid in panel.grid:
        grid.grid_line_color = colours.grid
    for legend in panel.legend:
        legend.label_text_color, legend.background_fill_color = colours.text, colours.background
    palette = asdict(colours)
    for renderer in panel.renderers:
        colour = palette.get(renderer.name or "")
        for kind in ("line_color", "fill_color"):
            if colour is not None and hasattr(renderer.glyph, kind):
                setattr(renderer.glyph, kind, colour)
