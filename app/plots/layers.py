"""What lies over or under every panel and can be switched: line markers, shading, features, the asked range."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import (
    CategoricalColorMapper,
    CDSView,
    ColumnDataSource,
    GroupFilter,
    Model,
)
from bokeh.models.annotations import LabelSet
from bokeh.plotting import figure
from bokeh.transform import transform
from numpy.typing import NDArray

from app.plots.colours import Colours
from app.plots.panels import FONT, Type, curve
from imo_engine.spectra.instrument import INSTRUMENTS, TELLURIC_BANDS, sky_line_mask

__all__ = [
    "LAYERS",
    "VERDICTS",
    "FeatureMarks",
    "Layer",
    "LayerModels",
    "Numbers",
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
    Layer("weak", "Weak lines too", "Lines", False),
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
    """Mark spectral lines, those that the browser chooses: emission solid, absorption dashed."""
    for family, dash in (("emission", "solid"), ("absorption", "dashed")):
        view = CDSView(filter=GroupFilter(column_name="family", group=family))
        marks = panel.vspan(x="marked", source=lines, view=view, name=family, line_dash=dash, line_alpha=alpha)
        layers.add(family, curve(marks))


class Numbers:
    """Numbers in a row along the top or bottom of a panel, each with a leader to its place; the browser moves them."""

    def __init__(self, panel: figure, source: ColumnDataSource, *, top: bool) -> None:
        """Draw the column ``number`` of ``source`` at wavelengths ``spot``, and leaders to wavelengths ``at``."""
        self.leaders = panel.segment(
            x0="at", y0="tip", x1="spot", y1="foot", source=source, y_range_name="share", name="leader"
        )
        self.labels = LabelSet(
            x="spot",
            y=float(top),
            y_range_name="share",
            y_offset=-5 if top else 4,
            text="number",
            source=source,
            text_align="center",
            text_baseline="top" if top else "bottom",
            text_font=value(FONT),
            text_font_style="bold",
            border_line_width=4,
            border_line_join="round",
        )
        panel.add_layout(self.labels)

    def paint(self, fill: Any, colours: Colours, letters: Type) -> None:  # noqa: ANN401 - a colour, or one by row
        """Write in the colour of the background on ``fill``."""
        self.leaders.glyph.line_color = fill
        self.leaders.glyph.line_width = letters.line
        self.labels.background_fill_color = self.labels.border_line_color = fill
        self.labels.text_color, self.labels.text_font_size = colours.background, letters.size


class FeatureMarks:
    """Numbered marks of attributed features on one panel, coloured by what they come from."""

    def __init__(self, panel: figure, features: ColumnDataSource) -> None:
        """Draw ``features`` on ``panel``."""
        self._mapper = CategoricalColorMapper(factors=list(VERDICTS), palette=["#000000"] * len(VERDICTS))
        self._colour = transform("verdict", self._mapper)
        strips = panel.vstrip(
            x0="low", x1="high", source=features, name="feature", fill_color=self._colour, fill_alpha=0.16,
            line_color=None,
        )  # fmt: skip
        strips.level = "underlay"
        self._numbers = Numbers(panel, features, top=True)

    def paint(self, colours: Colours, letters: Type) -> None:
        """Use a set of colours and sizes."""
        self._mapper.palette = [colours.source, colours.instrument, colours.muted]
        self._numbers.paint(self._colour, colours, letters)


class RepairMarks:
    """Numbered regions of a repair on one panel, and what they were filled with; a layer shows and hides them."""

    def __init__(self, panel: figure, repair: ColumnDataSource, layers: LayerModels) -> None:
        """Draw ``repair`` on ``panel``."""
        strips = panel.vstrip(x0="low", x1="high", source=repair, name="repair", fill_alpha=0.12, line_alpha=0.55)
        strips.level = "underlay"
        filled = curve(panel.multi_line("xs", "ys", source=repair, name="repair"))
        self._numbers = Numbers(panel, repair, top=False)
        layers.add("repair", strips, filled, self._numbers.leaders, self._numbers.labels)

    def paint(self, colours: Colours, letters: Type) -> None:
        """Use a set of colours and sizes."""
        self._numbers.paint(colours.repair, colours, letters)


def _runs(wavelength: NDArray[np.float64], mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(float(wavelength[a]), float(wavelength[b - 1])) for a, b in edges.reshape(-1, 2)]
