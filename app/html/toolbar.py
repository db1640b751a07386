"""Line buttons, switches and read-out as HTML, for the page and for files that stand alone."""

from collections.abc import Iterable
from html import escape
from itertools import groupby

from app.browser.constants import IDLE, SMOOTHINGS
from app.html.glossary import meaning
from app.html.legend import LEGEND_STYLE, legend_html
from app.plots.layers import LAYERS
from app.state.keys import keys_of
from imo_engine.spectra.ranges import range_words
from imo_engine.spectra.spectral_lines import LINE_VIEWS

__all__ = ["TOOLBAR_STYLE", "toolbar_html"]

_PANELS = {"spectrum": "Spectrum", "residual": "Residual", "combined": "Combined", "map": "Scale map"}
_FOLDED = ("residual",)
_MEANINGS = {"combined": "combined map", "map": "scale map", "baselines": "baselines"}


def toolbar_html(window_sizes: Iterable[int], weighting: str, *, alone: bool = False) -> str:
    """Return the bar; of its buttons only a range or a redshift that is asked about reaches the server.

    Args:
        window_sizes: In pixels; one panel each.
        weighting: How they are combined, a name of ``WEIGHTINGS``.
        alone: Without those buttons, for a page that has no server.
    """
    views = "".join(
        _choice("view", v.name, v.label, v.low is None, f"view('{v.name}')", _tip(v.name, v.label, v.low, v.high))
        for v in LINE_VIEWS
    )
    undo = _button("↶", "undo()", f"Undo zoom: the view before ({keys_of('undo-view')})", label="Undo zoom")
    rest = _choice(
        "frame", "rest", "Rest", False, "keys.run('frame')", f"Rest frame below ({keys_of('frame')})", ' class="extra"'
    )
    ask = _choice(
        "drag", "ask", "Ask", False, "keys.run('brush')", f"Drag over a range to ask about it ({keys_of('brush')})"
    )
    keys = _button("?", "keys.run('help')", "All keys (?)", label="List of keys")
    return (
        '<div class="bars"><div class="bar">'
        f"{_group('Zoom to lines', views)}{undo}{'' if alone else ask}{rest}{_significant()}"
        f"{_menu(sorted(window_sizes, reverse=True))}{keys}"
        f'</div><div class="readout" data-readout>{IDLE}</div>'
        f'<div class="row">{legend_html(weighting)}{_redshift(alone)}</div>'
        '<div class="unseen" data-announce role="status"></div></div>'
    )


def _button(text: str, call: str, tip: str, *, label: str = "", more: str = "") -> str:
    name = f' aria-label="{escape(label)}"' if label else ""
    return (
        f'<button type="button"{name}{more} onclick="window.imo.explorer.{call}" title="{escape(tip)}">'
        f"{escape(text)}</button>"
    )


def _choice(group: str, value: str, text: str, chosen: bool, call: str, tip: str, more: str = "") -> str:
    more += f' data-group="{group}" data-value="{value}" aria-pressed="{str(chosen).lower()}"'
    return _button(text, call, tip, more=more)


def _group(name: str, buttons: str) -> str:
    return f'<span class="group" role="group" aria-label="{name}">{buttons}</span>'


def _redshift(alone: bool) -> str:
    less = _button("−", "nudge(-1)", f"z − 0.0001 ({keys_of('nudge-down')})", label="Redshift down by 0.0001")
    more = _button("+", "nudge(1)", f"z + 0.0001 ({keys_of('nudge-up')})", label="Redshift up by 0.0001")
    hidden = " data-nudged-only hidden"
    reset = _button("Reset", "nudge(0)", f"Back to the file's redshift ({keys_of('nudge-reset')})", more=hidden)
    use = "" if alone else _button("Use as VI_z", "useRedshift()", "Put this redshift into the label", more=hidden)
    return (
        '<span class="set extra">'
        '<span class="redshift" data-redshift title="For checking: moves all line markers">z</span>'
        f'<span class="group" role="group" aria-label="Redshift for checking">{less}{more}{reset}{use}</span></span>'
    )


def _significant() -> str:
    tip = f"Fade attributions that ordinary spectra show too, at 5 % counting every place ({keys_of('significant')})"
    more = ' class="extra" data-group="significant" data-value="on" aria-pressed="false" aria-disabled="true"'
    more += f' data-tip="{tip}"'
    return _button("Significant only", "keys.run('significant')", tip, more=more)


def _menu(window_sizes: list[int]) -> str:
    panels = [(name, words, name not in _FOLDED) for name, words in _PANELS.items()]
    panels += [(f"w{size}", f"W = {size}", True) for size in window_sizes]
    sections = [("Panels", "".join(_switch("panel", *panel) for panel in panels))]
    for group, layers in groupby(LAYERS, key=lambda layer: layer.group):
        sections.append((group, "".join(_switch("layer", one.name, one.label, one.shown) for one in layers)))
    smoothing = "".join(
        _choice("smoothing", str(n), str(n or "off"), not n, f"smooth({n})", _smoothing_tip(n)) for n in SMOOTHINGS
    )
    sections.append(("Smoothing, pixels", _group("Smoothing, pixels", smoothing)))
    sections.append(("Beside", _switch("second", "halpha", "Second view at Hα", False)))
    fields = "".join(f"<fieldset><legend>{name}</legend>{boxes}</fieldset>" for name, boxes in sections)
    return (
        f'<button type="button" popovertarget="imo-show" title="Panels, lines, curves ({keys_of("menu")})">'
        'Show <span aria-hidden="true">▾</span></button>'
        '<div id="imo-show" class="menu" popover data-menu ontoggle="window.imo.explorer.placeMenu(this)">'
        f"{fields}</div>"
    )


def _switch(group: str, value: str, words: str, on: bool) -> str:
    call = {"panel": "panel", "layer": "layer"}.get(group)
    code = (
        f"window.imo.explorer.{call}('{value}', this.checked)" if call else "window.imo.explorer.second(this.checked)"
    )
    # the page writes why a layer has nothing to show beside it
    named = f'<span><span data-words="{value}">{escape(words)}</span><span data-why="{value}"></span></span>'
    word = "W" if value[1:].isdigit() else _MEANINGS.get(value)
    tip = f' title="{escape(meaning(word))}"' if word else ""
    return (
        f'<label{tip}><input type="checkbox" data-group="{group}" data-value="{value}"{" checked" if on else ""}'
        f' onchange="{code}">{named if group == "layer" else escape(words)}</label>'
    )


def _tip(name: str, label: str, low: float | None, high: float | None) -> str:
    words = "The whole spectrum" if low is None or high is None else f"{label}: rest {range_words(low, high)}"
    return f"{words} ({keys_of(f'view-{name}')})"


def _smoothing_tip(pixels: int) -> str:
    words = f"Weighted mean over {pixels} pixels" if pixels else "As measured"
    return f"{words} ({keys_of('smooth-more')}: more, {keys_of('smooth-less')}: less)"


TOOLBAR_STYLE = """
.bars { position: relative; padding: 2px 8px 0; font-size: calc(12.5px * var(--imo-type, 1)); color: var(--imo-text); }
.bar, .row { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; padding: 2px 0; }
.row { flex-wrap: nowrap; align-items: baseline; }
.set { display: inline-flex; align-items: center; gap: 6px; }
.group { display: inline-flex; }
button { font: inherit; color: var(--imo-text); background: var(--imo-surface);
  border: 1px solid var(--imo-line); padding: 2px 8px;
  min-height: calc(26px * var(--imo-type, 1)); cursor: pointer; border-radius: 5px; }
.extra { display: var(--imo-extra, inline-flex); }
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
@media (max-width: 1500px) { button { padding: 2px 5px; } .bar { gap: 4px 6px; } }
/* in large type it lies over the legend while it says something */
.readout { position: var(--imo-over, static); left: 8px; right: 8px; z-index: 1; background: var(--imo-background);
  height: 1.5em; line-height: 1.5em; color: var(--imo-muted); white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; font-variant-numeric: tabular-nums; }
[data-readout]:not([data-said]) { visibility: var(--imo-idle, visible); }
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
TOOLBAR_STYLE += LEGEND_STYLE
