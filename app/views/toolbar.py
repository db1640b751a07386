"""Line buttons, switches and read-out: plain HTML that talks to the plots in the browser only."""

from collections.abc import Iterable

import panel as pn

from app.views.toolbar_html import toolbar_html

__all__ = ["TOOLBAR_STYLE", "toolbar"]


def toolbar(window_sizes: Iterable[int]) -> pn.viewable.Viewable:
    """Return the bar; ``window_sizes`` in pixels, one panel each."""
    return pn.pane.HTML(toolbar_html(window_sizes), sizing_mode="stretch_width", stylesheets=[TOOLBAR_STYLE], margin=0)


TOOLBAR_STYLE = """
.bars { padding: 2px 8px 0; font-size: calc(12.5px * var(--imo-type, 1)); color: var(--imo-text); }
.bar { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 10px; padding: 2px 0; }
.set { display: inline-flex; align-items: center; gap: 6px; }
.words { color: var(--imo-muted); }
.group { display: inline-flex; }
button { font: inherit; color: var(--imo-text); background: var(--imo-surface);
  border: 1px solid var(--imo-line); padding: 2px 9px; min-height: 26px; cursor: pointer; border-radius: 5px; }
button[hidden] { display: none; }
.group button { border-radius: 0; margin-left: -1px; white-space: nowrap; }
.group button:first-child { border-radius: 5px 0 0 5px; margin-left: 0; }
.group button:last-child, .group button:has(+ [hidden]) { border-radius: 0 5px 5px 0; }
button[aria-disabled="true"] { color: var(--imo-muted); border-style: dashed; cursor: not-allowed; }
button:hover { background: var(--imo-hover); }
button[aria-pressed="true"] { background: var(--imo-accent); border-color: var(--imo-accent);
  color: var(--imo-on-accent); }
button:focus-visible, input:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; z-index: 1; }
.redshift { font-variant-numeric: tabular-nums; white-space: nowrap; }
.redshift[data-moved] { color: var(--imo-warning); font-weight: 600; }
@media (max-width: 1500px) { button { padding: 2px 6px; } .bar { gap: 4px 7px; } }
.readout { height: 1.5em; line-height: 1.5em; color: var(--imo-muted); white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; font-variant-numeric: tabular-nums; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.menu { position: fixed; margin: 0; inset: auto; padding: 10px 14px; border: 1px solid var(--imo-line);
  border-radius: 8px; background: var(--imo-surface); color: var(--imo-text);
  box-shadow: 0 6px 24px rgba(0, 0, 0, 0.25); font-size: calc(12.5px * var(--imo-type, 1)); }
.menu:popover-open { display: flex; flex-wrap: wrap; gap: 8px 22px; max-width: calc(100vw - 16px);
  box-sizing: border-box; }
fieldset { border: none; margin: 0; padding: 0; display: flex; flex-direction: column; gap: 2px; }
legend { color: var(--imo-muted); padding: 0 0 3px; }
label { display: flex; align-items: center; gap: 6px; min-height: 22px; white-space: nowrap; cursor: pointer; }
label:has(:disabled) { color: var(--imo-muted); cursor: not-allowed; }
input { accent-color: var(--imo-accent); margin: 0; }
"""
