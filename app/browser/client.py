"""The browser's part of the panels, and the models that it is given."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from bokeh.events import DocumentReady, DoubleTap, MouseLeave, MouseMove, SelectionGeometry, Tap
from bokeh.models import BoxSelectTool, BoxZoomTool, CustomJS, Tool
from bokeh.plotting import figure

from app.browser.channel import Channel
from app.browser.constants import IDLE, LEAVING, SMOOTHINGS
from app.browser.modules import start
from app.browser.numbers import short_numbers
from app.browser.patches import log_patches
from app.plots.layers import LAYERS
from app.plots.sources import NOT_YET
from app.plots.stack import PlotStack
from app.state.keys import KEYS, Key
from imo_engine.spectra.landmarks import SPEED_OF_LIGHT
from imo_engine.spectra.spectral_lines import LINE_VIEWS

__all__ = ["BrowserCode"]


class BrowserCode:
    """Connects the figures of a stack with the code in the browser.

    Attributes:
        channel: What the browser tells Python.
    """

    def __init__(self, stack: PlotStack, keyboard: Sequence[Key] = KEYS) -> None:
        """Connect; of the keys only those of ``keyboard`` do something."""
        sources, axes = stack.sources, stack.axes
        self._hover = CustomJS(code="window.imo?.explorer?.hover(cb_obj.x)")
        self._left = CustomJS(code="window.imo?.explorer?.hover(NaN)")
        self._asked = CustomJS(code="window.imo?.explorer?.brushed(cb_obj.geometry, cb_obj.final)")
        self.channel = Channel()
        self.channel.on("patches", log_patches)
        self._stack = stack
        wave = sources.wavelength
        panels = stack.panels
        self.start = start(
            "explorer",
            {
                "wavelength": axes.wavelength,
                "rest": axes.rest,
                "target": sources.target,
                "spectrum": sources.spectrum,
                "drawn": sources.drawn,
                "attribution": sources.attribution,
                "singles": sources.singles,
                "lines": sources.lines,
                "instrument": sources.instrument,
                "features": sources.features,
                "repairs": sources.repair,
                "scaleMap": sources.scale_map,
                "brush": sources.brush,
                "panels": dict(panels),
                "shares": stack.shares,
                "panelBox": stack.grid,
                "windows": list(sources.window_sizes),
                "gridModels": axes.grids,
                "axisModels": dict(axes.outer),
                "layerModels": stack.layers.models,
                "layersAtFirst": {layer.name: layer.shown for layer in LAYERS},
                "secondView": stack.second.arguments(),
                **stack.methods.arguments(),
                **stack.significant.arguments(),
                "zoomTools": _tools(stack, BoxZoomTool),
                "rangeTools": _tools(stack, BoxSelectTool),
                "labels": stack.line_labels,
                "views": {v.name: {"label": v.label, "low": v.low, "high": v.high} for v in LINE_VIEWS},
                "keyboard": [asdict(key) for key in keyboard],
                "grid": {"start": float(wave[0]), "step": float(wave[1] - wave[0]), "count": len(wave)},
                "smoothings": list(SMOOTHINGS),
                "idle": IDLE,
                "notYet": NOT_YET,
                "leaving": list(LEAVING),
                "lightSpeed": SPEED_OF_LIGHT,
            },
        )
        stack.line_labels.js_on_change("text_font_size", CustomJS(code="window.imo?.explorer?.letters()"))
        self._connect(stack)

    def attach(self, document: Any) -> None:  # noqa: ANN401 - bokeh.document.Document, a Panel proxy at run time
        """Start the code, and the channel before it, when the document is ready."""
        self.channel.attach(document, self._stack.axes.wavelength)
        document.js_on_event(DocumentReady, self.start)

    def on_key(self, callback: Callable[[str], None]) -> None:
        """Call ``callback`` with the action of a forwarded key, such as "next" or "quality-3"; see app.state.keys."""
        self.channel.on_word("key", callback)

    def on_brush(self, callback: Callable[[float, float], None], cleared: Callable[[], None] | None = None) -> None:
        """As :meth:`app.plots.stack.PlotStack.on_brush`; called several times a second while a range is drawn, too."""
        self._stack.on_brush(callback, cleared)
        self.channel.on("brushing", lambda drawn: callback(float(drawn[0]), float(drawn[1])))

    def _follow(self, panel: figure) -> None:
        """Let the browser's code hear of the mouse over a panel."""
        panel.js_on_event(MouseMove, self._hover)
        panel.js_on_event(MouseLeave, self._left)
        panel.js_on_event(SelectionGeometry, self._asked)
        short_numbers(panel)

    def _connect(self, stack: PlotStack) -> None:
        sources, axes = stack.sources, stack.axes
        # sources that no glyph draws: named here, they belong to the document and their changes are sent
        unseen = {
            "target": sources.target, "spectrum": sources.spectrum,
            "methods": stack.methods.listed, "curves": stack.methods.values,
            "significance": sources.significance,
        }  # fmt: skip
        moved = CustomJS(args=unseen, code="window.imo?.explorer?.moved()")
        axes.wavelength.js_on_change("start", moved)
        axes.wavelength.js_on_change("end", moved)
        sources.target.js_on_change("data", CustomJS(code="window.imo?.explorer?.target()"))
        sources.spectrum.js_on_change("data", CustomJS(code="window.imo?.explorer?.spectrum()"))
        computed = {
            "attribution": sources.attribution, "singles": sources.singles, "features": sources.features,
            "methods": stack.methods.values, "map": sources.scale_map,
        }  # fmt: skip
        for name, source in computed.items():
            source.js_on_change("data", CustomJS(code=f"window.imo?.explorer?.data('{name}')"))
        sources.significance.js_on_change("data", CustomJS(code="window.imo?.explorer?.significance()"))
        sources.repair.js_on_change("data", CustomJS(code="window.imo?.explorer?.repaired()"))
        stack.methods.listed.js_on_change("data", CustomJS(code="window.imo?.explorer?.methods()"))
        full = CustomJS(code="window.imo?.explorer?.view('full')")
        stack.on_panel(self._follow)
        for panel in stack.panels.values():
            panel.js_on_event(DoubleTap, full)
        stack.panels["combined"].js_on_event(Tap, CustomJS(code="window.imo?.explorer?.tapped(cb_obj.sx, cb_obj.sy)"))


def _tools(stack: PlotStack, kind: type[Tool]) -> list[Tool]:
    # select() would walk through every model of a panel
    return [tool for panel in stack.every_panel for tool in panel.toolbar.tools if isinstance(tool, kind)]
