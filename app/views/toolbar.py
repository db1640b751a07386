"""Line buttons, frame switch and read-out: plain HTML that talks to the plots in the browser only."""

from html import escape

import panel as pn

from imo_engine.spectral_lines import LINE_VIEWS

__all__ = ["toolbar"]


def toolbar() -> pn.viewable.Viewable:
    """Return the bar; pressing its buttons never reaches the server."""
    views = "".join(
        f'<button type="button" data-group="view" data-value="{view.name}"'
        f' aria-pressed="{"true" if view.low is None else "false"}"'
        f' onclick="window.imoExplorer.view(\'{view.name}\')" title="{_tip(view.label, view.low, view.high)}">'
        f"{escape(view.label)}</button>"
        for view in LINE_VIEWS
    )
    frames = "".join(
        f'<button type="button" data-group="frame" data-value="{name}" aria-pressed="{pressed}"'
        f" onclick=\"window.imoExplorer.frame('{name}')\">{label}</button>"
        for name, label, pressed in (("observed", "Observed", "true"), ("rest", "Rest", "false"))
    )
    html = (
        f'<div class="bar"><span class="group" role="group" aria-label="Zoom to lines">{views}</span>'
        '<button type="button" onclick="window.imoExplorer.undo()" title="Back to the view before">Undo</button>'
        f'<span class="group" role="group" aria-label="Wavelength axis">{frames}</span>'
        '<span class="readout" data-readout>drag to zoom · wheel · double-click for all</span></div>'
    )
    return pn.pane.HTML(html, sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0, height=36)


def _tip(label: str, low: float | None, high: float | None) -> str:
    return "The whole spectrum" if low is None else f"{escape(label)}: {low:.0f} to {high:.0f} Å in the rest frame"


_STYLE = """
.bar { display: flex; align-items: center; gap: 10px; padding: 2px 8px; height: 32px; }
.group { display: inline-flex; }
button { font: inherit; font-size: 12.5px; color: var(--imo-text); background: var(--imo-surface);
  border: 1px solid var(--imo-line); padding: 3px 10px; height: 28px; cursor: pointer; border-radius: 5px; }
.group button { border-radius: 0; margin-left: -1px; white-space: nowrap; }
.group button:first-child { border-radius: 5px 0 0 5px; margin-left: 0; }
.group button:last-child { border-radius: 0 5px 5px 0; }
button:hover { background: var(--imo-hover); }
button[aria-pressed="true"] { background: var(--imo-accent); border-color: var(--imo-accent);
  color: var(--imo-on-accent); }
button:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; z-index: 1; }
@media (max-width: 1400px) { button { padding: 3px 7px; } .bar { gap: 7px; } }
.readout { flex: 1 1 auto; text-align: right; font-size: 12px; color: var(--imo-muted); white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; font-variant-numeric: tabular-nums; }
"""
