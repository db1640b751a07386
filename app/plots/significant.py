"""Significant only: the browser fades what ordinary spectra show too, and draws the rest over it."""

from typing import Any

from bokeh.models import ColumnDataSource, Image
from bokeh.models.glyph import Glyph
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from app.plots.columns import columns_of
from app.plots.panels import curve
from app.plots.sources import PlotSources

__all__ = ["SignificantOnly"]


class SignificantOnly:
    """What is drawn while only significant values are to be seen.

    The browser alone makes, shows and hides it: nothing of it is sent to the server.

    Attributes:
        values: For each map, such as "only_w16", its values that are significant, NaN elsewhere.
        image: The same of the scale map.
    """

    def __init__(self, sources: PlotSources) -> None:
        """Draw nothing yet."""
        self._names = ["combined", *(f"w{size}" for size in sources.window_sizes)]
        x = sources.wavelength
        empty = columns_of(sources.attribution)["combined"]
        columns = {f"only_{name}": empty for name in self._names}
        self.values = ColumnDataSource({"x": x, **columns}, syncable=False)
        self.image = ColumnDataSource({"image": list(sources.scale_map.data["image"])}, syncable=False)
        self._significance = sources.significance
        self._over: list[GlyphRenderer[Any]] = []
        self._faded: list[Glyph] = []

    def add_line(self, panel: figure, name: str, *, colour: str) -> None:
        """Draw the significant values of a map, such as "w16"; ``colour`` names its colour."""
        self._keep(curve(panel.line("x", f"only_{name}", source=self.values, name=colour)))

    def add_image(self, panel: figure, glyph: Image) -> None:
        """Draw the significant part of the scale map, as ``glyph`` draws the whole."""
        self._keep(panel.add_glyph(self.image, glyph))

    def fade(self, *renderers: "GlyphRenderer[Any]") -> None:
        """Let the browser fade these."""
        for renderer in renderers:
            renderer.glyph.syncable = False
            self._faded.append(renderer.glyph)

    def arguments(self) -> dict[str, Any]:
        """Return what the browser's code needs."""
        return {
            "significance": self._significance,
            "significantValues": self.values,
            "significantMap": self.image,
            "significantOver": self._over,
            "significantFaded": self._faded,
            # as the bits are numbered
            "significantNames": [*self._names[1:], self._names[0]],
        }

    def _keep(self, renderer: "GlyphRenderer[Any]") -> None:
        renderer.update(visible=False, syncable=False)
        self._over.append(renderer)
