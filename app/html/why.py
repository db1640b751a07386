"""Why a target is odd, as HTML: a sentence, and the features behind it, each of which zooms to its range."""

from html import escape

from app.findings.reasons import Reason
from imo_engine.reasons.features import Feature
from imo_engine.reasons.sentences import title
from imo_engine.reasons.significance import p_in_words
from imo_engine.spectra.ranges import range_words

__all__ = ["WHY_STYLE", "why_html"]


def why_html(reason: Reason) -> str:
    """Return the sentence, what is significant as a ranked list, and what is only likely."""
    known, found = reason.significance, reason.found
    rows = "".join(_row(one, found.smallest_p, str(number)) for number, one in enumerate(found.features, start=1))
    ranked = f"<ol>{rows}</ol>" if rows else ""
    likely = "".join(_row(one, found.smallest_p) for one in found.likely)
    if likely:
        likely = f'<h3>Most likely, but not significant</h3><ul class="likely">{likely}</ul>'
    words = f"No p-values: {reason.why_not}."
    if known is not None:
        words = "p: how often an ordinary spectrum shows as much anywhere, deviating from its twin or lowering log p."
    about = f'<p class="quiet">{escape(words)}</p>' if (rows or likely) and (known or reason.why_not) else ""
    return (
        '<section class="why" aria-label="Why is it odd"><h2>Why is it odd?</h2>'
        f'<p class="sentence">{escape(reason.sentence)}</p>{ranked}{likely}{about}</section>'
    )


def _row(feature: Feature, smallest: float, number: str = "") -> str:
    low, high = feature.observed
    name = escape(title(feature).removesuffix(", instrument"))
    observed, rest = range_words(*feature.observed), range_words(*feature.rest)
    where = f"rest {rest}" if name == escape(observed) else f"{observed}, rest {rest.removesuffix(' Å')}"
    facts = (
        f"{where}<br>{_deviation(feature)}<br>{_share(feature.share)} of what lowers log p"
        f" · best at W = {feature.window_size}"
    )
    if feature.p_value is not None:
        words = p_in_words(feature.p_value, smallest)
        words += " anywhere" if feature.is_significant else " anywhere: not significant"
        facts += f" · {escape(words)}"
    evidence = "".join(
        f'<li class="{escape(one.speaks_for)}"><b>{escape(one.speaks_for)}</b> {escape(one.text)}</li>'
        for one in feature.evidence
    )
    near = [f"{one.name} {one.offset:+.0f} {one.unit}" for one in feature.lines[:2]]
    places = f'<div class="facts">nearest: {escape("; ".join(near))}</div>' if near and feature.kind == "narrow" else ""
    details = f"<details><summary>evidence</summary>{places}<ul>{evidence or '<li>none either way</li>'}</ul></details>"
    chip = f'<span class="verdict {feature.verdict}">{feature.verdict}</span>' if number or feature.evidence else ""
    return (
        f'<li><button type="button" class="feature" onclick="window.imo.explorer.zoomTo({low:.2f}, {high:.2f})" '
        f'title="Zoom to {observed}"><span class="number">{number}</span>'
        f'<span class="title">{name}</span>{chip}</button>'
        f'<div class="facts">{facts}</div>{details}</li>'
    )


def _deviation(feature: Feature) -> str:
    """Say by how much a range deviates from the twin: against its noise, and against what ordinary spectra do."""
    ordinary = f"{feature.deviation:+.1f} times the ordinary spread"
    sigma = f"{feature.noise_sigma:+.1f} σ of the noise"
    if feature.deviation * feature.noise_sigma < 0:
        return f"flux against the twin's: {sigma} in all, {ordinary} at {feature.deviation_width:.0f} Å"
    return f"{'excess' if feature.excess else 'missing'} flux: {sigma}, {ordinary}"


def _share(share: float) -> str:
    return "< 1 %" if share < 0.005 else f"{share:.0%}"


WHY_STYLE = """
.why { padding: 6px 10px; font-size: calc(12.5px * var(--imo-type, 1)); color: var(--imo-text); line-height: 1.4;
  font-variant-numeric: tabular-nums; }
h2 { font-size: calc(13px * var(--imo-type, 1)); margin: 2px 0; font-weight: 600; }
h3 { font-size: inherit; margin: 6px 0 2px; font-weight: 600; color: var(--imo-muted); }
p { margin: 2px 0 6px; }
.quiet, .facts, summary { color: var(--imo-muted); }
ol, ul { list-style: none; margin: 0; padding: 0; }
ol > li, .likely > li { padding: 4px 0; border-top: 1px solid var(--imo-line); }
.feature { display: flex; gap: 7px; align-items: baseline; width: 100%; padding: 1px 0; font: inherit; color: inherit;
  background: none; border: none; text-align: left; cursor: pointer; border-radius: 4px; }
.feature:hover .title { text-decoration: underline; }
.feature:focus-visible, summary:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
.number { flex: none; width: 1.4em; text-align: center; font-weight: 600; }
.title { flex: 1; font-weight: 600; min-width: 0; }
.verdict { flex: none; border: 1px solid currentColor; border-radius: 9px; padding: 0 7px;
  font-size: calc(11px * var(--imo-type, 1)); }
.source { color: var(--imo-source); } .instrument { color: var(--imo-instrument); }
.unclear { color: var(--imo-muted); }
.facts { padding-left: calc(1.4em + 7px); font-size: calc(11.5px * var(--imo-type, 1)); }
details { padding-left: calc(1.4em + 7px); font-size: calc(11.5px * var(--imo-type, 1)); }
details .facts { padding-left: 0; }
summary { cursor: pointer; width: max-content; }
details li { color: var(--imo-text); padding: 1px 0; }
details li.source b { color: var(--imo-source); } details li.instrument b { color: var(--imo-instrument); }
"""
