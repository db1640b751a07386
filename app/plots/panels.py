"""Empty panels that share one wavelength axis, and what stands in all of them: grids, axes, letters."""

from dataclasses import asdict, dataclass, field
from typing import Literal, TypeVar

from bokeh.models import (
    Axis,
    BasicTicker,
    BoxSelectTool,
    BoxZoomTool,
    ContinuousTicker,
    CrosshairTool,
    Grid,
    LinearAxis,
    PanTool,
    Range1d,
    WheelZoomTool,
)
from bokeh.models.annotations import BoxAnnotation, Span, Title
from bokeh.models.glyph import Glyph
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from app.plots.colours import Colours

__all__ = [
    "FONT",
    "LARGE",
    "NORMAL",
    "Axes",
    "Type",
    "add_title",
    "add_zero",
    "curve",
    "empty_panel",
    "number_of_ticks",
    "paint_panel",
    "set_borders",
]

FONT = "Roboto, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"
"""Letters of all plots: those of the page."""

_G = TypeVar("_G", bound=Glyph)
_Place = Literal["above", "below"]

_FRAMES = {"observed": "default", "rest": "rest"}
_WORDS = {"observed": "observed", "rest": "rest-frame"}


@dataclass(frozen=True)
class Type:
    """Size of all letters and of lines, in pixels, and what stands beside the panels so that their axes line up."""

    letters: int
    left: int
    right: int
    line: float

    @property
    def size(self) -> str:
        """Letters as CSS."""
        return f"{self.letters}px"


NORMAL = Type(letters=11, left=62, right=40, line=1.0)
LARGE = Type(letters=21, left=100, right=52, line=2.5)
"""From eight metres, on a screen two metres wide with 1280 pixels, digits of 21 pixels subtend 10 arcminutes."""


@dataclass(frozen=True, eq=False)
class Axes:
    """What the panels share; the browser alone moves, shows and hides it, so that none of it is synced.

    Attributes:
        wavelength: Range of the observed frame.
        rest: The same range in the rest frame; the browser keeps both together.
        crosshair: One vertical line through all panels.
        grids: Grids of each frame, "observed" and "rest".
        outer: Axes of each panel by "above" and "below", then by frame; the browser shows those outside.
    """

    wavelength: Range1d
    rest: Range1d
    crosshair: Span = field(
        default_factory=lambda: Span(dimension="height", line_width=1, line_alpha=0.6, syncable=False)
    )
    grids: dict[str, list[Grid]] = field(default_factory=lambda: {frame: [] for frame in _FRAMES})
    outer: dict[str, dict[_Place, dict[str, LinearAxis]]] = field(default_factory=dict)


def empty_panel(axes: Axes, name: str, y_label: str, *, prefix: str = "imo") -> figure:
    """Return a panel named ``PREFIX-NAME``: drag zooms, the wheel zooms, no toolbar, no wavelength axis shown."""
    panel = figure(
        name=f"{prefix}-{name}",
        x_range=axes.wavelength,
        y_range=Range1d(start=0, end=1, syncable=False),
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
        syncable=False,
    )
    wheel, box = WheelZoomTool(dimensions="width"), BoxZoomTool(dimensions="width")
    panel.add_tools(wheel, box, PanTool(dimensions="width"), CrosshairTool(overlay=axes.crosshair, dimensions="height"))
    panel.add_tools(_range_tool())
    panel.toolbar.active_scroll, panel.toolbar.active_drag = wheel, box
    panel.extra_x_ranges["rest"] = axes.rest
    panel.extra_y_ranges["share"] = Range1d(start=0, end=1, syncable=False)  # for what stands at a share of the height
    panel.xgrid.visible = False  # replaced by one grid a frame, whose ticks are round numbers in that frame
    outer = axes.outer.setdefault(name, {"above": {}, "below": {}})
    for frame, range_name in _FRAMES.items():
        ticker = BasicTicker(desired_num_ticks=12)
        grid = Grid(dimension=0, x_range_name=range_name, ticker=ticker, visible=frame == "observed", syncable=False)
        grid.tags = [frame]
        panel.add_layout(grid)
        axes.grids[frame].append(grid)
        for place, of_place in outer.items():
            of_place[frame] = LinearAxis(
                x_range_name=range_name,
                ticker=ticker,
                axis_label=f"{_WORDS[frame]} wavelength (Å, vacuum)",
                axis_label_text_font_style="normal",
                axis_label_standoff=2,
                visible=False,
                syncable=False,
            )
            panel.add_layout(of_place[frame], place)
    for axis in panel.yaxis:
        # words at a fixed place give the axis one width, whatever its numbers: Bokeh lays out every panel of the page
        # anew when one axis changes its width
        axis.update(axis_label=y_label or " ", axis_label_standoff_mode="axis", syncable=False)
        axis.axis_label_text_font_style = "normal"
        number_of_ticks(axis, 4).syncable = False  # the browser asks for as many as there is room for
    return panel


def _range_tool() -> BoxSelectTool:
    """Return the tool that asks about a range: it selects no points, it only tells where it was drawn."""
    overlay = BoxAnnotation(
        visible=False, syncable=False, fill_alpha=0.15, line_dash="solid", line_alpha=0.8, level="overlay"
    )
    return BoxSelectTool(dimensions="width", renderers=[], overlay=overlay, continuous=True)


def curve(renderer: "GlyphRenderer[_G]") -> "GlyphRenderer[_G]":
    """Let the lines of a renderer be as wide as the letters ask for."""
    renderer.glyph.tags = ["curve"]
    return renderer


def number_of_ticks(axis: Axis, number: int) -> ContinuousTicker:
    """Ask an axis of numbers for about as many ticks; return what chooses them."""
    ticker = axis.ticker
    assert isinstance(ticker, ContinuousTicker)
    ticker.desired_num_ticks = number
    return ticker


def add_title(panel: figure, words: str) -> None:
    """Name the panel above its frame, where nothing is drawn."""
    panel.title = Title(text=words, text_font_style="normal", standoff=2, syncable=False)


def add_zero(panel: figure) -> None:
    """Draw the line of no attribution."""
    panel.add_layout(Span(location=0, dimension="width", line_width=1, line_alpha=0.5, name="zero"))


def paint_panel(panel: figure, colours: Colours, letters: Type) -> None:
    """Use a set of colours and sizes; glyphs are named after their colours."""
    palette = asdict(colours)
    panel.outline_line_color = colours.grid
    set_borders(panel, letters, letters.left, letters.right)
    for axis in panel.axis:
        axis.axis_line_color = axis.major_tick_line_color = colours.muted
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = colours.text
        axis.axis_label_text_font_size = axis.major_label_text_font_size = letters.size
        axis.axis_label_text_font = axis.major_label_text_font = FONT
    for grid in panel.grid:
        grid.grid_line_color = colours.grid
    if isinstance(panel.title, Title):
        panel.title.text_color, panel.title.text_font, panel.title.text_font_size = colours.text, FONT, letters.size
    for span in panel.center:  # select() would walk through every model of the panel
        if isinstance(span, Span) and span.name == "zero":
            span.line_color = colours.zero
    for tool in panel.toolbar.tools:
        if isinstance(tool, BoxSelectTool):
            tool.overlay.fill_color = tool.overlay.line_color = colours.brush
    for renderer in panel.renderers:
        if not isinstance(renderer, GlyphRenderer):
            continue
        glyph, colour = renderer.glyph, palette.get(renderer.name or "")
        for kind in ("line_color", "fill_color"):
            if colour is not None and getattr(glyph, kind, None) is not None:
                setattr(glyph, kind, colour)
        if "curve" in glyph.tags:
            glyph.line_width = max(1.0, letters.line * _WIDTHS.get(renderer.name or "", 1.0))


def set_borders(panel: figure, letters: Type, left: int, right: int) -> None:
    """Keep as many pixels free beside the panel; the words of its axis stand at the outer edge of them."""
    panel.min_border_left, panel.min_border_right = left, right
    for axis in panel.yaxis:
        axis.axis_label_standoff = left - round(1.5 * letters.letters)


# browsers draw lines of one pixel ten times as fast as wider ones
_WIDTHS = {"combined": 1.3, "baseline": 0.6, "emission": 0.6, "absorption": 0.6}
