"""One legend for all panels, as HTML above them; the browser shows what is drawn of it."""

from html import escape

from app.html.glossary import meaning
from imo_engine.attribution.record import WEIGHTINGS

__all__ = ["LEGEND_STYLE", "legend_html"]

_ENTRIES = (
    ("spectrum", "line", "spectrum"),
    ("noise", "area", "± 1 σ"),
    ("baselines", "line", "baselines"),
    ("model", "line", "model"),
    ("repair", "line", "repaired"),
    ("combined", "line", "attribution, nat / pixel"),
    ("scatter", "area", "scatter"),
    ("map", "map", "mean / σ"),
    ("residual", "", ""),
)


def legend_html(weighting: str) -> str:
    """Return the line; ``weighting``, a name of ``WEIGHTINGS``, says how window sizes are combined."""
    shown = f"How much log p falls: with each window of W pixels, and combined with {WEIGHTINGS[weighting]}."
    tips = {
        "combined": f"{shown} {meaning('attribution')} {meaning('nat')}",
        "baselines": meaning("baselines"),
        "scatter": meaning("scatter"),
        "map": meaning("scale map"),
    }
    entries = "".join(
        f'<span class="entry" data-legend="{name}"{_tip(tips.get(name, ""))}>'
        f'<i class="{kind}"></i><span data-legend-words="{name}">{words}</span></span>'
        for name, kind, words in _ENTRIES
    )
    return f'<div class="legend" role="note" aria-label="Legend">{entries}</div>'


def _tip(words: str) -> str:
    return f' title="{escape(words)}"' if words else ""


LEGEND_STYLE = """
.legend { display: flex; flex: 1; flex-wrap: wrap; gap: 0 14px; line-height: 1.5em; }
@media (max-width: 1500px) { .legend { gap: 0 9px; } .legend i { width: 12px; } }
.entry { display: inline-flex; align-items: center; gap: 5px; white-space: nowrap; color: var(--imo-curve); }
.entry[hidden] { display: none; }
.entry span { color: var(--imo-text); }
i { width: 16px; flex: none; } i[class=""] { display: none; }
i.line { border-top: max(2px, calc(2px * var(--imo-type, 1))) solid; }
i.area { height: 0.8em; background: currentColor; opacity: 0.35; }
i.map { height: 0.8em; width: 26px; outline: 1px solid var(--imo-line);
  background: linear-gradient(90deg, var(--imo-negative), var(--imo-background), var(--imo-combined)); }
[data-legend="spectrum"] { --imo-curve: var(--imo-spectrum); } [data-legend="noise"] { --imo-curve: var(--imo-noise); }
[data-legend="baselines"] { --imo-curve: var(--imo-baseline); } [data-legend="model"] { --imo-curve: var(--imo-model); }
[data-legend="repair"] { --imo-curve: var(--imo-repair); }
[data-legend="combined"], [data-legend="scatter"] { --imo-curve: var(--imo-combined); }
"""
