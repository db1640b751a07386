"""The targets in a plane of latent space over the baselines: HoloViews makes the figure, once; its sources change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.events import SelectionGeometry
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LassoSelectTool,
    PanTool,
    ResetTool,
    TapTool,
    WheelZoomTool,
)
from bokeh.models.annotations import ColorBar
from bokeh.palettes import Cividis256, Colorblind, Viridis256
from numpy.typing import NDArray

from app.plots.colours import Colours
from app.plots.panels import FONT, LARGE, NORMAL
from app.survey.latents import LatentMap

__all__ = ["COLOURINGS", "Colouring", "LatentPlot", "by_class", "by_number"]

COLOURINGS = ("log p", "redshift", "class")
"""What the points may be coloured by."""

_MANY = 2000  # points, from which they are drawn smaller


@dataclass(frozen=True, eq=False)
class Colouring:
    """Colours of the targets.

    Attributes:
        title: Of the colour bar, with its unit.
        values: (n,) NaN where there is none.
        low: What the first colour stands for.
        high: And the last.
        palette: The colours.
        names: One a colour where these are classes, else empty.
    """

    title: str
    values: NDArray[np.float64]
    low: float
    high: float
    palette: Sequence[str]
    names: tuple[str, ...] = ()


def by_number(title: str, values: NDArray[np.float64]) -> Colouring:
    """Colour by a number, the 2nd to the 98th percentile in full range."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [2, 98]) if len(known) else (0.0, 1.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return Colouring(title, values, float(low), float(high), Cividis256 if title == "redshift" else Viridis256)


def by_class(labels: Sequence[str], classes: Sequence[str]) -> Colouring:
    """Colour by class, (n,) words of which empty ones get no colour."""
    place = {name: number for number, name in enumerate(classes)}
    values = np.array([place.get(label, np.nan) for label in labels], float)
    palette = [Colorblind[8][number % 8] for number in range(max(len(classes), 1))]
    return Colouring("class", values, -0.5, len(palette) - 0.5, palette, tuple(classes) or ("no class",))


class LatentPlot:
    """A scatter of one session. Change it only where the session's document may be changed."""

    def __init__(
        self,
        latents: LatentMap,
        facts: dict[str, NDArray[Any]],
        on_open: Callable[[str], object],
        on_lasso: Callable[[frozenset[str]], object],
    ) -> None:
        """Make the figure.

        Args:
            latents: Where targets and baselines are.
            facts: (n,) "redshift", "log_prob" and "rank" of the targets, for who points at one.
            on_open: Called with the target whose point is clicked.
            on_lasso: Called with the targets inside a lasso.
        """
        import holoviews as hv

        if "bokeh" not in hv.Store.loaded_backends():
            hv.extension("bokeh")
        self.targets = latents.target_id
        self._on_open, self._on_lasso = on_open, on_lasso
        self._place = latents.plane(latents.targets)
        self._row = {str(target): row for row, target in enumerate(self.targets)}
        many = len(self.targets) > _MANY
        names = [f"PC {k + 1} ({share:.0%}), σ of baselines" for k, share in enumerate(latents.share)]
        pool = hv.Points(latents.plane(latents.baselines), names).opts(size=3, alpha=0.5, color="#8d96a1")
        # plain arrays: a masked one or a table's column breaks the message that carries it
        numbers = [np.array(values, np.float64) for values in facts.values()]
        columns = (*self._place.T, np.zeros(len(self.targets)), *numbers, self.targets)
        points = hv.Points(columns, names, ["value", *facts, "target"]).opts(
            color="value", cmap="viridis", size=4 if many else 7, colorbar=True, line_width=0.6, line_alpha=0.5,
            tools=["hover"], hover_tooltips=[
                ("target", "@target"), ("rank", "@rank"), ("log p", "@log_prob{0.0}"), ("z", "@redshift{0.0000}"),
            ], nonselection_alpha=0.18,
        )  # fmt: skip
        here = hv.Points(np.zeros((0, 2)), names).opts(size=15, fill_alpha=0, line_width=2.5)
        overlay = (pool * points * here).opts(responsive=True, show_legend=False)
        self.figure = hv.render(overlay, backend="bokeh")
        self.figure.output_backend = "canvas"  # WebGL costs seconds where there is no GPU
        self.pool, self.points, self.here = self.figure.renderers
        self.pool.nonselection_glyph = self.here.nonselection_glyph = None
        (self.bar,) = (one for one in self.figure.right if isinstance(one, ColorBar))
        self.bar.update(width=10, title_standoff=6, padding=4)
        wheel, tap, lasso = WheelZoomTool(), TapTool(renderers=[self.points]), LassoSelectTool(renderers=[self.points])
        hover = self.figure.select({"type": HoverTool})
        self.figure.toolbar.update(
            tools=[PanTool(), lasso, wheel, tap, *hover, ResetTool()], logo=None, active_scroll=wheel, active_tap=tap
        )
        self.figure.update(
            sizing_mode="stretch_both", width=None, height=None, min_width=200, min_height=150, toolbar_location="left"
        )
        self.figure.on_event(SelectionGeometry, self._on_selection)

    @property
    def source(self) -> ColumnDataSource:
        """Of the targets."""
        source: ColumnDataSource = self.points.data_source
        return source

    def colour(self, colouring: Colouring) -> None:
        """Colour the targets."""
        self.source.data["color"] = colouring.values.astype(np.float32)
        mapper = self.bar.color_mapper
        mapper.update(low=colouring.low, high=colouring.high, palette=list(colouring.palette))
        self.bar.title = colouring.title
        if colouring.names:
            self.bar.ticker = FixedTicker(ticks=list(range(len(colouring.names))))
            self.bar.major_label_overrides = dict(enumerate(colouring.names))
        else:
            self.bar.ticker = BasicTicker(desired_num_ticks=5)
            self.bar.major_label_overrides = {}

    def mark(self, target_id: str) -> None:
        """Ring the selected target; none if it is not here."""
        row = self._row.get(target_id)
        x, y = ([], []) if row is None else ([one] for one in self._place[row].tolist())
        names = self.here.glyph.x, self.here.glyph.y
        fields = [one if isinstance(one, str) else one.field for one in names]
        self.here.data_source.data = {fields[0]: x, fields[1]: y}

    def forget_lasso(self) -> None:
        """Select no points."""
        self.source.selected.indices = []

    def paint(self, colours: Colours, *, large: bool = False) -> None:
        """Use a set of colours."""
        letters = LARGE if large else NORMAL
        figure, bar = self.figure, self.bar
        figure.background_fill_alpha = figure.border_fill_alpha = 0
        figure.outline_line_color = colours.grid
        for axis in figure.axis:
            axis.axis_line_color = axis.major_tick_line_color = colours.muted
            axis.minor_tick_line_color = None
            axis.major_label_text_color = axis.axis_label_text_color = colours.text
            axis.axis_label_text_font_size = axis.major_label_text_font_size = letters.size
            axis.axis_label_text_font_style = "normal"
            axis.axis_label_text_font = axis.major_label_text_font = FONT
        for grid in figure.grid:
            grid.grid_line_color = colours.grid
        bar.background_fill_alpha = 0
        bar.major_label_text_color = bar.title_text_color = colours.text
        bar.major_tick_line_color, bar.bar_line_color = colours.text, None
        bar.major_label_text_font_size = bar.title_text_font_size = letters.size
        bar.title_text_font_style = "normal"
        bar.major_label_text_font = bar.title_text_font = FONT
        bar.color_mapper.nan_color = colours.muted
        for glyph in (self.pool.glyph,):
            glyph.fill_color = glyph.line_color = colours.baseline
        for glyph in (self.points.glyph, self.points.selection_glyph, self.points.nonselection_glyph):
            if glyph is not None:
                glyph.line_color = colours.muted
        self.here.glyph.line_color = colours.combined

    def _on_selection(self, event: Any) -> None:  # noqa: ANN401 - bokeh.events.SelectionGeometry
        if not event.final:
            return
        rows = list(self.source.selected.indices)
        if event.geometry["type"] == "point":
            self.forget_lasso()  # a click opens and selects nothing
            if rows:
                self._on_open(str(self.targets[rows[0]]))
        elif rows:
            self._on_lasso(frozenset(str(self.targets[row]) for row in rows))
