"""What lies over or under every panel and can be switched: line markers, shading, features, the asked range."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.models import (
    CategoricalColorMapper,
    CDSView,
    ColumnDataSource,
    GroupFilter,
    Model,
)
from bokeh.models.annotations import LabelSet, LegendItem
from bokeh.plotting import figure
from bokeh.transform import transform
from numpy.typing import NDArray

from app.plots.colours import Colours
from app.plots.panels import curve
from imo_engine.spectra.instrument import INSTRUMENTS, TELLURIC_BANDS, sky_line_mask

__all__ = [
    "LAYERS",
    "VERDICTS",
    "FeatureMarks",
    "Layer",
    "LayerModels",
    "RepairMarks",
    "instrument_columns",
    "mark_lines",
    "shade",
]


@dataclass(frozen=True)
class Layer:
    """One switch: its name, its words, and whether it is on at first."""

    name: str
    label: str
    group: str
    shown: bool


LAYERS: tuple[Layer, ...] = (
    Layer("emission", "Emission lines", "Lines", True),
    Layer("absorption", "Absorption lines", "Lines", True),
    Layer("sky", "Sky lines", "Observed frame", False),
    Layer("telluric", "Telluric bands", "Observed frame", True),
    Layer("overlap", "Arm overlaps", "Observed frame", True),
    Layer("noise", "Noise band", "Curves", True),
    Layer("baselines", "Single baselines", "Curves", True),
    Layer("model", "Model reconstruction", "Curves", False),
    Layer("repair", "Repaired spectrum", "Curves", True),
)
"""Everything that can be switched, in the order of the menu."""

VERDICTS = ("source", "instrument", "unclear")
"""What a feature may come from."""

_SHADES = {"sky": 0.20, "telluric": 0.13, "overlap": 0.13}


@dataclass(eq=False)
class LayerModels:
    """The models of each layer, which the browser alone shows and hides."""

    models: dict[str, list[Model]] = field(default_factory=lambda: {layer.name: [] for layer in LAYERS})

    def add(self, name: str, *models: Model) -> None:
        """Let a layer switch ``models``; none of their changes is sent to the server."""
        shown = next(layer.shown for layer in LAYERS if layer.name == name)
        for model in models:
            model.update(visible=shown, syncable=False)
            self.models[name].append(model)

    def add_legend_items(self, panel: figure) -> None:
        """Let entries of the legend come and go with the curve that they name."""
        for legend in panel.legend:
            for item in legend.items:
                if isinstance(item, LegendItem):
                    self._add_item(item)

    def _add_item(self, item: LegendItem) -> None:
        for name, models in self.models.items():
            if any(renderer in models for renderer in item.renderers):
                self.add(name, item)
                return


def instrument_columns(wavelength: NDArray[np.float64], instrument: str) -> dict[str, Any]:
    """Return strips, ``low`` to ``high`` in the observed frame, of the kinds sky, telluric and overlap.

    Args:
        wavelength: (N,) vacuum Angstrom, observed frame.
        instrument: A name of :data:`imo_engine.spectra.instrument.INSTRUMENTS`; of any other nothing is known.
    """
    rows: list[tuple[str, str, float, float]] = []
    if instrument in INSTRUMENTS:
        known = INSTRUMENTS[instrument]
        for pair, edges in known.overlaps.items():
            rows.append(("overlap", f"overlap of the {pair.replace('/', ' and ')} {known.part}s", *edges))
        rows += [("telluric", f"telluric {name}", low, high) for name, low, high in TELLURIC_BANDS]
        rows += [("sky", "sky line", low, high) for low, high in _runs(wavelength, sky_line_mask(wavelength))]
        ends = [edge for arm in known.arms.values() for edge in arm]
        first, last = max(float(wavelength[0]), min(ends)), min(float(wavelength[-1]), max(ends))
        rows = [row for row in rows if row[2] < last and row[3] > first]
    return {name: [row[k] for row in rows] for k, name in enumerate(("kind", "name", "low", "high"))}


def shade(panel: figure, instrument: ColumnDataSource, layers: LayerModels) -> None:
    """Shade where the instrument or the atmosphere leaves traces."""
    for kind, alpha in _SHADES.items():
        view = CDSView(filter=GroupFilter(column_name="kind", group=kind))
        strips = panel.vstrip(
            x0="low", x1="high", source=instrument, view=view, name=kind, fill_alpha=alpha, line_color=None
        )
        strips.level = "underlay"
        layers.add(kind, strips)


def mark_lines(panel: figure, lines: ColumnDataSource, layers: LayerModels, *, alpha: float) -> None:
    """Mark spectral lines: emission solid, absorption dashed."""
    for family, dash in (("emission", "solid"), ("absorption", "dashed")):
        view = CDSView(filter=GroupFilter(column_name="family", group=family))
        layers.add(family, panel.vspan(x="x", source=lines, view=view, name=family, line_dash=dash, line_alpha=alpha))


class FeatureMarks:
    """Numbered marks of attributed features on one panel, coloured by what they come from."""

    def __init__(self, panel: figure, features: ColumnDataSource) -> None:
        """Draw ``features`` on ``panel``."""
        self._mapper = CategoricalColorMapper(factors=list(VERDICTS), palette=["#000000"] * len(VERDICTS))
        colour = transform("verdict", self._mapper)
        strips = panel.vstrip(
            x0="low", x1="high", source=features, name="feature", fill_color=colour, fill_alpha=0.16, line_color=None
        )
        strips.level = "underlay"
        self.numbers = LabelSet(
            x="middle",
            y="peak",
            text="number",
            x_offset="shift",
            y_offset=6,
            source=features,
            text_align="center",
            text_baseline="bottom",
            text_font_style="bold",
            background_fill_color=colour,
            border_line_color=colour,
            border_line_width=4,
            border_line_join="round",
        )
        panel.add_layout(self.numbers)

    def paint(self, colours: Colours, font_size: str) -> None:
        """Use a set of colours."""
        self._mapper.palette = [colours.combined, colours.window, colours.muted]
        self.numbers.text_color = colours.background
        self.numbers.text_font_size = font_size


class RepairMarks:
    """Numbered regions of a repair on one panel, and what they were filled with; a layer shows and hides them."""

    def __init__(self, panel: figure, repair: ColumnDataSource, layers: LayerModels) -> None:
        """Draw ``repair`` on ``panel``."""
        strips = panel.vstrip(x0="low", x1="high", source=repair, name="repair", fill_alpha=0.12, line_alpha=0.55)
        strips.level = "underlay"
        self.curve = curve(panel.multi_line("xs", "ys", source=repair, name="repair"))
        self.numbers = LabelSet(
            x="middle",
            y=0,
            y_range_name="share",
            text="number",
            y_offset="lift",
            source=repair,
            text_align="center",
            text_baseline="bottom",
            text_font_style="bold",
        )
        panel.add_layout(self.numbers)
        layers.add("repair", strips, self.curve, self.numbers)

    def paint(self, colours: Colours, font_size: str) -> None:
        """Use a set of colours."""
        self.numbers.text_color, self.numbers.text_font_size = colours.repair, font_size
        self.numbers.background_fill_color, self.numbers.background_fill_alpha = colours.background, 0.7


def _runs(wavelength: NDArray[np.float64], mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(float(wavelength[a]), float(wavelength[b - 1])) for a, b in edges.reshape(-1, 2)]
