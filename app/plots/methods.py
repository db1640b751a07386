"""Panels of other attribution methods, under the spectrum and on its axis; the browser places, shows and fits them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bokeh.models import Column, ColumnDataSource
from bokeh.models.annotations import Label
from bokeh.plotting import figure

from app.plots.colours import Colours
from app.plots.columns import columns_of
from app.plots.layers import LayerModels, mark_lines, shade
from app.plots.panels import FONT, Axes, Type, add_title, add_zero, curve, empty_panel, paint_panel
from app.plots.sources import PlotSources
from app.state.canvas import MethodRow
from app.state.method_choices import METHODS_AT_ONCE

__all__ = ["MethodPanels"]


class MethodPanels:
    """Six panels, of which the browser shows as many as there are methods; change them where the document may be.

    They are half as many models as the rest of the page, so they are built when methods are first asked for.
    """

    def __init__(
        self,
        axes: Axes,
        sources: PlotSources,
        layers: LayerModels,
        on_built: Callable[[list[figure]], None] = lambda panels: None,
    ) -> None:
        """Make the sources; ``on_built`` does what the other panels had done to them."""
        self._parts, self._on_built = (axes, sources, layers), on_built
        self._empty = np.full(len(sources.wavelength), np.nan, np.float32)
        columns = {f"m{slot}": self._empty for slot in range(METHODS_AT_ONCE)}
        self.values = ColumnDataSource({"x": sources.wavelength.astype(np.float32), **columns})
        self.listed = ColumnDataSource(_listed(False, ()))
        self.notes: list[Label] = []
        self.panels: list[figure] = []
        # a grid cannot be laid out while views of its children are being built: their places are there at once
        self.boxes = [Column(sizing_mode="stretch_both", visible=False, syncable=False) for _ in range(METHODS_AT_ONCE)]

    def show(self, shown: bool, rows: Sequence[MethodRow]) -> None:
        """Show these methods, at most six, from top to bottom; ``shown``: whether they are on the page at all."""
        if shown and not self.panels:
            self.panels = [self._panel(slot, *self._parts) for slot in range(METHODS_AT_ONCE)]
            self._on_built(self.panels)
            self.listed.tags = list(self.panels)
            for box, panel in zip(self.boxes, self.panels, strict=True):
                box.children = [panel]
        changed = {}
        for slot in range(METHODS_AT_ONCE):
            values = rows[slot].values if slot < len(rows) else None
            new = self._empty if values is None else values.astype(np.float32)
            if not np.array_equal(columns_of(self.values)[f"m{slot}"], new, equal_nan=True):
                changed[f"m{slot}"] = new
        if changed:
            columns_of(self.values).update(changed)
        listed = _listed(shown, rows)
        if self.listed.data != listed:
            self.listed.data = listed

    def paint(self, colours: Colours, letters: Type) -> None:
        """Use a set of colours and sizes."""
        for panel, note in zip(self.panels, self.notes, strict=True):
            paint_panel(panel, colours, letters)
            note.text_color, note.background_fill_color = colours.text, colours.background
            note.text_font, note.text_font_size = FONT, letters.size

    def arguments(self) -> dict[str, Any]:
        """Return what the browser's code needs."""
        return {"methodValues": self.values, "methodList": self.listed, "methodBoxes": list(self.boxes)}

    def _panel(self, slot: int, axes: Axes, sources: PlotSources, layers: LayerModels) -> figure:
        panel = empty_panel(axes, f"method{slot}", "nat", prefix="other")
        shade(panel, sources.instrument, layers)
        mark_lines(panel, sources.lines, layers, alpha=0.25)
        curve(panel.line("x", f"m{slot}", source=self.values, name="window"))
        add_title(panel, " ")
        add_zero(panel)
        note = Label(
            x=10,
            y=0,
            x_units="screen",
            y_units="screen",
            text="",
            text_baseline="middle",
            background_fill_alpha=0.85,
            visible=False,
            syncable=False,
        )
        panel.add_layout(note)
        self.notes.append(note)
        return panel


def _listed(shown: bool, rows: Sequence[MethodRow]) -> dict[str, Any]:
    texts = {name: [getattr(row, name) for row in rows] for name in ("name", "title", "unit", "note", "state")}
    # a first row that is always there tells whether the panels are wanted
    return {"shown": [shown, *[shown] * len(rows)]} | {name: ["", *values] for name, values in texts.items()}
