"""What is said about inverse occlusion, and the controls beside its live plots: plain HTML."""

from collections.abc import Sequence
from html import escape

from app.html.glossary import glossary_html, meaning

__all__ = ["EXPLANATION_STYLE", "explanation_html"]

_WORDS = (
    "A model has learnt what ordinary galaxy spectra look like. It gives every spectrum a number, log p: the lower, "
    "the rarer. <b>Which part</b> of an outlier is to blame?",
    "Take an ordinary spectrum at the same redshift, the <b>baseline</b>, and put one <b>window</b> of the outlier "
    "into it. If log p falls, ordinary galaxies do not look like that there. Slide the window along, with windows of "
    "other sizes and with other baselines: that is inverse multiscale occlusion.",
    "Why not repair the outlier instead? Because the rest of it would still be odd, and on odd spectra the model is "
    "least to be trusted. Here all but the window is ordinary.",
)


def explanation_html(window_sizes: Sequence[int]) -> str:
    """Return the words, and the controls that talk to ``app/browser/js/hybrid.js``; window sizes in pixels."""
    sizes = "".join(
        f'<button type="button" data-size="{size}" aria-pressed="false" onclick="window.imo.hybrid.size({size})">{size}'
        "</button>"
        for size in window_sizes
    )
    facts = (
        ("baseline alone", "base", ""),
        ("with the window", "hybrid", ""),
        ("log p falls by", "fall", "big"),
    )
    rows = "".join(
        f'<div class="{kind}"><dt>{escape(words)}</dt><dd data-fact="{name}">–</dd></div>'
        for words, name, kind in facts
    )
    return (
        '<section class="explain" data-hybrid aria-label="How inverse occlusion works"><header>'
        "<h2>How inverse occlusion finds what is odd</h2>"
        '<button type="button" onclick="window.imo.explorer.keys.run(\'method\')" title="Esc">Close</button>'
        "</header>"
        + "".join(f"<p>{words}</p>" for words in _WORDS)
        + '<p class="words" role="status" data-fact="words"></p><div class="live">'
        f'<div class="row"><span class="group" role="group" aria-label="Window size, pixels">'
        f'<span class="name" title="{escape(meaning("window size"))}">Window / pixel</span>{sizes}</span></div>'
        '<div class="row"><button type="button" class="play" data-play onclick="window.imo.hybrid.play()">Play</button>'
        f'<label><span class="name" title="{escape(meaning("baselines"))}">Baseline</span> '
        '<select onchange="window.imo.hybrid.baseline(Number(this.value))">'
        "</select></label></div>"
        '<input type="range" min="0" max="7780" aria-label="Where the window begins, pixel" '
        'oninput="window.imo.hybrid.moveTo(Number(this.value))">'
        '<div class="where" data-fact="where"></div>'
        f'<div class="head" id="imo-facts"><abbr title="{escape(meaning("log p"))}">log p</abbr> of the</div>'
        f'<dl aria-live="off" aria-labelledby="imo-facts">{rows}</dl>'
        '<div class="bar" data-bar aria-hidden="true"><span></span></div>'
        '<div class="each" data-fact="each"></div><div class="meaning" data-fact="meaning"></div>'
        '<p class="keys">Outlier <span data-fact="id"></span>: log p <span data-fact="own"></span>. Drag the window; '
        "<kbd>←</kbd> <kbd>→</kbd> move (with Shift further), <kbd>↑</kbd> <kbd>↓</kbd> other sizes, <kbd>Space</kbd> "
        f"plays.</p></div>{glossary_html()}</section>"
    )


EXPLANATION_STYLE = """
.explain { font-size: calc(13px * var(--imo-type, 1)); line-height: 1.45; color: var(--imo-text);
  font-variant-numeric: tabular-nums; }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 10px; margin-bottom: 8px; }
h2 { font-size: 1.2em; line-height: 1.25; margin: 0; }
p { margin: 0 0 8px; }
.words { color: var(--imo-warning); } .words:empty { display: none; }
.explain:not([data-ready]) .live { visibility: hidden; }
.row { display: flex; align-items: center; gap: 12px; margin: 4px 0; }
.group { display: inline-flex; align-items: center; }
.name { color: var(--imo-muted); margin-right: 8px; }
button, select { font: inherit; color: var(--imo-text); background: var(--imo-surface);
  border: 1px solid var(--imo-line); padding: 2px 9px; min-height: 26px; cursor: pointer; border-radius: 5px; }
.group button { border-radius: 0; margin-left: -1px; }
button[aria-pressed="true"], .play { background: var(--imo-accent); border-color: var(--imo-accent);
  color: var(--imo-on-accent); }
.play { min-width: 68px; font-weight: 600; }
button:focus-visible, select:focus-visible, input:focus-visible { outline: 2px solid var(--imo-accent);
  outline-offset: 1px; }
input[type="range"] { width: 100%; margin: 6px 0 0; accent-color: var(--imo-accent); }
.where, .each, .keys, .head { color: var(--imo-muted); }
.where, .each { white-space: nowrap; min-height: 1.45em; }
dl { margin: 2px 0 4px; }
.glossary { margin-top: 8px; } .glossary summary { cursor: pointer; width: max-content; color: var(--imo-muted); }
.glossary dt { font-weight: 600; color: var(--imo-text); } .glossary dd { font-weight: 400; font-size: 1em; }
summary:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
dl div { display: flex; justify-content: space-between; align-items: baseline; }
dt { color: var(--imo-muted); } dd { margin: 0; font-weight: 600; font-size: 1.15em; }
dl .big { border-top: 1px solid var(--imo-line); }
.big dt { color: var(--imo-text); font-weight: 600; } .big dd { font-size: 1.7em; }
.bar { height: 8px; border-radius: 4px; background: var(--imo-line); overflow: hidden; }
.bar span { display: block; height: 100%; width: calc(100% * var(--fall, 0)); background: var(--imo-warning);
  transition: width 0.12s; }
.meaning { font-weight: 600; min-height: 1.45em; }
.keys { margin: 8px 0 0; font-size: 0.92em; }
kbd { padding: 0 4px; border-radius: 4px; border: 1px solid var(--imo-line);
  font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
"""
