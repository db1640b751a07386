"""Why a target is odd, as HTML: a sentence, what stands out, and folded away the numbers and the evidence."""

from collections.abc import Sequence
from html import escape

from app.browser.channel import tells
from app.findings.reasons import Reason
from app.html.glossary import explained, meaning
from app.html.numbers import printed
from imo_engine.reasons.features import Feature
from imo_engine.reasons.sentences import title
from imo_engine.reasons.significance import p_in_words
from imo_engine.spectra.ranges import range_words

__all__ = ["WHY_STYLE", "because", "why_html"]

_SEEN = 2.0  # sigma and ordinary spreads from which on a sign is said


def why_html(reason: Reason, *, unfolded: bool = False) -> str:
    """Return the sentence, what is significant as a ranked list, and what is only likely.

    Args:
        reason: What stands out.
        unfolded: Whether the numbers and the evidence are in sight; else a click shows them.
    """
    found = reason.found
    first = next(iter(found.features or found.likely), None)
    chip = "" if first is None else _chip(first)
    rows = "".join(_row(one, str(number)) for number, one in enumerate(found.features, start=1))
    ranked = f"<ol>{rows}</ol>" if rows else ""
    likely = "".join(_row(one) for one in found.likely)
    if likely:
        likely = f'<h3>Most likely, but not significant</h3><ul class="likely">{likely}</ul>'
    return (
        f'<section class="why" aria-label="Why is it odd"><div class="head"><h2>Why is it odd?</h2>{chip}</div>'
        f'<p class="sentence">{explained(reason.sentence)}</p>{ranked}{likely}{_numbers(reason, unfolded)}</section>'
    )


def because(feature: Feature) -> str:
    """Say what the verdict on a feature means, and what speaks for it."""
    sides = {
        side: [one.text for one in feature.evidence if one.speaks_for == side] for side in ("source", "instrument")
    }
    words = f"{feature.verdict.capitalize()}: {meaning(feature.verdict)}"
    for side, texts in sides.items():
        if texts:
            words += f" For the {side}: {'; '.join(texts)}."
    return words if feature.evidence else f"{words} There is no evidence either way."


def _chip(feature: Feature) -> str:
    words = escape(because(feature))
    # a title is not read out everywhere
    return (
        f'<span class="verdict {feature.verdict}" title="{words}"><span aria-hidden="true">{feature.verdict}</span>'
        f'<span class="unseen">{words}</span></span>'
    )


def _name(feature: Feature) -> str:
    return title(feature).removesuffix(", instrument")


def _row(feature: Feature, number: str = "") -> str:
    low, high = feature.observed
    name, observed = _name(feature), range_words(*feature.observed)
    facts = [] if name == observed else [observed]
    if sign := _sign(feature):
        facts.append(f"{sign} flux")
    chip = _chip(feature) if number or feature.evidence else ""
    return (
        '<li><div class="one"><button type="button" class="feature" '
        f'onclick="window.imo.explorer.zoomTo({low:.2f}, {high:.2f})" title="Zoom to {observed}">'
        f'<span class="number">{number}</span><span class="title">{escape(name)}</span></button>{chip}</div>'
        f'<div class="facts">{escape(" · ".join([*facts, _share(feature.share)]))} '
        f'<abbr title="{escape(meaning("share"))}">share</abbr></div></li>'
    )


def _sign(feature: Feature) -> str:
    """Return "excess" or "missing" where both the noise and ordinary spectra say so; else nothing."""
    both = feature.deviation * feature.noise_sigma > 0
    if not both or min(abs(feature.deviation), abs(feature.noise_sigma)) < _SEEN:
        return ""
    return "excess" if feature.excess else "missing"


def _numbers(reason: Reason, unfolded: bool) -> str:
    found = reason.found
    listed = [(one, str(number)) for number, one in enumerate(found.features, start=1)]
    listed += [(one, "") for one in found.likely]
    if not listed:
        return ""
    about = f"No p-values: {reason.why_not}." if reason.significance is None and reason.why_not else ""
    rows = "".join(_measured(one, number, found.smallest_p) for one, number in listed)
    told = tells("numbers").replace("this.dataset.word", "String(!this.parentElement.open)")
    return (
        f'<details class="numbers"{" open" if unfolded else ""}>'
        f'<summary onclick="{told}">Numbers and evidence</summary>'
        f"{rows}{f'<p>{escape(about)}</p>' if about else ''}</details>"
    )


def _measured(feature: Feature, number: str, smallest: float) -> str:
    facts = [f"rest {range_words(*feature.rest)}", *_deviation(feature)]
    facts.append(f"seen best with W = {feature.window_size} pixel{'s' if feature.window_size > 1 else ''}")
    if feature.p_value is not None:
        facts.append(
            f"{p_in_words(feature.p_value, smallest)} {'' if feature.is_significant else '(not significant) '}"
            "for as much anywhere in an ordinary spectrum"
        )
    near = [f"{one.name} {printed(one.offset, '+.0f')} {one.unit}" for one in feature.lines[:2]]
    if near and feature.kind == "narrow":
        facts.append(f"nearest lines: {'; '.join(near)}")
    measured = "".join(f"<li>{one}</li>" for one in explained("\n".join(facts)).split("\n"))
    evidence = "".join(
        f'<li class="{escape(one.speaks_for)}"><b>{escape(one.speaks_for)}</b> {escape(one.text)}</li>'
        for one in feature.evidence
    )
    return f"<h3>{f'{number} ' if number else ''}{escape(_name(feature))}</h3><ul>{measured}{evidence}</ul>"


def _deviation(feature: Feature) -> Sequence[str]:
    """Say by how much a range deviates from the twin: against its noise, and against what ordinary spectra do."""
    sigma, spread = feature.noise_sigma, feature.deviation
    noise = f"on average {abs(sigma):.1f} σ of its noise {'above' if sigma > 0 else 'below'} the twin"
    ordinary = f"{abs(spread):.1f} times as far from it as ordinary spectra usually are from theirs"
    if sigma * spread < 0:
        place = f"but {feature.deviation_width:.0f} Å of it are {'above' if spread > 0 else 'below'} the twin"
        return noise, f"{place}, {ordinary}"
    return noise, ordinary


def _share(share: float) -> str:
    return "< 1 %" if share < 0.005 else f"{100 * share:.0f} %"


WHY_STYLE = """
.why { padding: 8px 10px; font-size: calc(12.5px * var(--imo-type, 1)); color: var(--imo-text); line-height: 1.4;
  font-variant-numeric: tabular-nums; }
.head { display: flex; align-items: baseline; gap: 8px; }
h2 { font-size: calc(12.5px * var(--imo-type, 1)); margin: 0; font-weight: 600; color: var(--imo-muted); flex: 1; }
h3 { font-size: inherit; margin: 6px 0 2px; font-weight: 600; color: var(--imo-muted); }
p { margin: 2px 0 6px; }
.sentence { font-size: calc(16px * var(--imo-type, 1)); font-weight: 500; line-height: 1.35; margin: 3px 0 8px; }
.quiet, .facts, summary { color: var(--imo-muted); }
.sentence.quiet { font-weight: 400; }
ol, ul { list-style: none; margin: 0; padding: 0; }
ol > li, .likely > li { padding: 4px 0; border-top: 1px solid var(--imo-line); }
.one { display: flex; gap: 7px; align-items: baseline; }
.feature { display: flex; gap: 7px; align-items: baseline; flex: 1; min-width: 0; padding: 1px 0; font: inherit;
  color: inherit; background: none; border: none; text-align: left; cursor: pointer; border-radius: 4px; }
.feature:hover .title { text-decoration: underline; }
.feature:focus-visible, summary:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
.number { flex: none; width: 1.4em; text-align: center; font-weight: 600; }
.title { flex: 1; font-weight: 600; min-width: 0; }
.verdict { flex: none; border: 1px solid currentColor; border-radius: 9px; padding: 0 7px; cursor: help;
  font-size: calc(11px * var(--imo-type, 1)); }
.head .verdict { font-size: calc(12.5px * var(--imo-type, 1)); font-weight: 600; }
.source { color: var(--imo-source); } .instrument { color: var(--imo-instrument); }
.unclear { color: var(--imo-muted); }
.facts { padding-left: calc(1.4em + 7px); font-size: calc(11.5px * var(--imo-type, 1)); }
.numbers { border-top: 1px solid var(--imo-line); padding-top: 4px; font-size: calc(11.5px * var(--imo-type, 1)); }
.numbers h3 { color: var(--imo-text); }
summary { cursor: pointer; width: max-content; }
.numbers li { color: var(--imo-text); padding: 1px 0; }
.numbers li.source b { color: var(--imo-source); } .numbers li.instrument b { color: var(--imo-instrument); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""
