"""The live explanation's part in the browser: it moves the window, makes the hybrid and asks for its log p."""

from collections.abc import Callable
from typing import Any

from bokeh.events import Pan, PanEnd, PanStart, Tap
from bokeh.models import CustomJS

from app.browser.channel import Channel
from app.browser.modules import start
from app.browser.numbers import short_numbers
from app.plots.hybrid import HybridPlots

__all__ = ["connect_hybrid"]


def connect_hybrid(
    plots: HybridPlots,
    channel: Channel,
    ask: Callable[[tuple[int, ...], int, int], None],
    stopped: Callable[[], None],
) -> None:
    """Let the browser act on the panels; its code starts with the first target.

    Args:
        plots: The panels.
        channel: Through which it asks.
        ask: Called with first pixels of windows, their size, and which baseline.
        stopped: Called when it asks no more.
    """

    def on_question(question: dict[str, int] | None) -> None:
        if question is None:
            stopped()
        elif asked := plots.asked(**{name: int(value) for name, value in question.items()}):
            ask(*asked)

    channel.on("hybrid", on_question)
    # the code starts with the first target: these panels are made long after the page
    plots.facts.js_on_change("data", start("hybrid", _models(plots)))
    plots.answer.js_on_change("data", CustomJS(code="window.imo?.hybrid?.answered()"))
    # names a source that no glyph draws, so that it belongs to the document
    dragged = CustomJS(args={"facts": plots.facts}, code="window.imo?.hybrid?.dragged(cb_obj.x)")
    for panel in plots.panels.values():
        for event in (PanStart, Pan, PanEnd, Tap):
            panel.js_on_event(event, dragged)
        short_numbers(panel)


def _models(plots: HybridPlots) -> dict[str, Any]:
    wave = plots.wavelength
    return {
        "curves": plots.curves, "baselines": plots.baselines, "facts": plots.facts, "answer": plots.answer,
        "hints": plots.hints, "drawn": plots.drawn, "effect": plots.effect,
        "strip": plots.window, "range": plots.axes.wavelength, "panels": dict(plots.panels),
        "sizes": list(plots.window_sizes),
        "grid": {"start": float(wave[0]), "step": float(wave[1] - wave[0]), "count": len(wave)},
    }  # fmt: skip
