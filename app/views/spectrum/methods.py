"""The bar above compared methods: which of them are there. Buttons that the browser keeps in step."""

from html import escape

import panel as pn

from app.html.glossary import TERM_STYLE, explained, meaning
from app.state.method_choices import METHOD_CHOICES, METHODS_AT_ONCE, MethodChoice

__all__ = ["methods_bar"]


def methods_bar() -> pn.viewable.Viewable:
    """Return the bar, which shows itself while methods are compared."""
    buttons = "".join(
        f'<button type="button" data-group="method" data-value="{choice.name}" aria-pressed="false" '
        f'onclick="window.imo.explorer.method(\'{choice.name}\')" title="{escape(_tip(choice))}">'
        f'<span class="dot" aria-hidden="true"></span>{escape(choice.label)}</button>'
        for choice in METHOD_CHOICES
    )
    html = (
        '<div class="methods" data-methods hidden>'
        f'<span class="group" role="group" aria-label="Other methods, at most {METHODS_AT_ONCE}">{buttons}</span>'
        f"<p>{explained('Above zero: makes the spectrum more anomalous (lowers log p)')}</p>"
        '<a href="evaluation" target="_blank" rel="noopener">Which one finds the cause?</a></div>'
    )
    return pn.pane.HTML(html, sizing_mode="stretch_width", stylesheets=[TERM_STYLE, _STYLE], margin=0)


def _tip(choice: MethodChoice) -> str:
    return f"{choice.words}. {meaning('baselines')}" if "baseline" in choice.label.casefold() else choice.words


_STYLE = """
.methods { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 10px; padding: 0 8px 2px;
  font-size: calc(12px * var(--imo-type, 1)); color: var(--imo-text); }
.methods[hidden] { display: none; }
.group { display: contents; }
button { font: inherit; color: var(--imo-text); background: var(--imo-surface); border: 1px solid var(--imo-line);
  padding: 0 8px 0 6px; min-height: 23px; margin-right: -6px;
  cursor: pointer; border-radius: 12px; display: inline-flex;
  align-items: center; gap: 5px; white-space: nowrap; }
button:hover { background: var(--imo-hover); }
button[aria-pressed="true"] { border-color: var(--imo-accent); color: var(--imo-accent); font-weight: 600; }
button:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
.dot { width: 7px; height: 7px; border-radius: 50%; border: 1px solid var(--imo-muted); box-sizing: border-box; }
[data-state="done"] .dot { background: var(--imo-accent); border-color: var(--imo-accent); }
[data-state="failed"] .dot { background: var(--imo-warning); border-color: var(--imo-warning); }
[data-state="computing"] .dot, [data-state="waiting"] .dot { border-color: var(--imo-accent);
  animation: blink 1s ease-in-out infinite alternate; }
@keyframes blink { to { background: var(--imo-accent); } }
@media (prefers-reduced-motion: reduce) { .dot { animation: none !important; } }
a { color: var(--imo-accent); } a:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
p { margin: 0; white-space: nowrap; color: var(--imo-muted); }
"""
