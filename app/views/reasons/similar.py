"""Similar outliers as small spectra; a click opens one."""

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import panel as pn

from app.browser.channel import tells
from app.findings.findings import Findings
from app.findings.likeness import Neighbour
from app.html.glossary import TERM_STYLE, explained, meaning
from app.html.of_target import OF_TARGET, of_target
from app.labels import Label
from app.plots.thumbnail import stamp_path, stamp_svg
from app.state.similar import CAUSE, LATENT, Similar, SimilarTargets
from app.state.words import loading_words
from app.survey.survey import Survey

__all__ = ["SimilarPanel", "similar_html"]

_WAYS = (
    (CAUSE, "Same cause", "Outliers whose attribution lies at the same wavelengths"),
    (LATENT, "Near in latent space", meaning("latent space")),
)
_BECAUSE = {
    "observed": "attribution compared in the observed frame, as what stands out looks instrumental",
    "rest": "attribution compared in the rest frame",
}


class SimilarPanel(pn.viewable.Viewer):
    """Follows the desk."""

    def __init__(
        self,
        desk: SimilarTargets,
        survey: Callable[[], Survey],
        findings: Findings,
        label_of: Callable[[str], Label],
        group_of: Callable[[str], str],
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Build the panel.

        Args:
            desk: Says who is similar.
            survey: Gives spectra and ranks.
            findings: Give what stands out.
            label_of: The label of a target.
            group_of: Name of the group that a target is in; empty if none.
            schedule: Runs a function in turn with everything else that changes the page (see ``ProgressStrip``).
        """
        super().__init__()
        self._desk, self._survey, self._findings = desk, survey, findings
        self._label_of, self._group_of = label_of, group_of
        style: dict[str, Any] = {
            "sizing_mode": "stretch_width",
            "stylesheets": [TERM_STYLE, _STYLE],
            "css_classes": [OF_TARGET],
            "margin": 0,
        }
        self.pane = pn.pane.HTML(self._html(), **style)
        self.words = pn.pane.HTML(_words_html(desk.similar), **style)  # changes more often
        self._schedule = schedule
        desk.param.watch(lambda _: self.update(), "similar")

    def update(self) -> None:
        """Write again in its turn, as labels or groups have changed."""
        self._schedule(self._write)

    def _write(self) -> None:
        html = self._html()
        if html != self.pane.object:
            self.pane.object = html
        self.words.object = _words_html(self._desk.similar)

    def _html(self) -> str:
        similar = self._desk.similar
        return similar_html(similar, self._survey(), self._findings, self._label_of, self._group_of(similar.target_id))

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(self.pane, self.words, sizing_mode="stretch_width", margin=0, styles={"flex": "0 0 auto"})


def similar_html(
    similar: Similar, survey: Survey, findings: Findings, label_of: Callable[[str], Label], group: str = ""
) -> str:
    """Return the panel; all words from files are escaped."""
    ways = "".join(
        f'<button type="button" data-word="{way}" aria-pressed="{str(way == similar.way).lower()}" '
        f'onclick="{tells("similar")}" title="{escape(tip)}">{words}</button>'
        for way, words, tip in _WAYS
    )
    rows = "".join(_row(one, similar, survey, findings, label_of) for one in similar.neighbours)
    more = ""
    if group:
        show = f'data-word="{escape(similar.target_id)}" onclick="{tells("group-of")}" title="Show them in the table"'
        more = f'<p class="group"><span>{escape(group)}</span><button type="button" {show}>Show</button></p>'
    return (
        f'<section class="similar" aria-label="Similar outliers" data-similar="{similar.way}" '
        f'data-of="{escape(similar.target_id)}"><h2>Similar outliers</h2>'
        f'<div class="ways" role="group" aria-label="What is compared">{ways}</div>{more}'
        f"{rows}</section>"
    )


def _words_html(similar: Similar) -> str:
    words = f'<p class="quiet words" data-similar-words>{explained(_words(similar))}</p>'
    return of_target(similar.target_id, words)


def _words(similar: Similar) -> str:
    if not similar.target_id:
        return loading_words(similar.total)
    if similar.problem:
        return f"Not in latent space: {similar.problem}"
    if similar.way == LATENT:
        if similar.pending:
            return "Encoding the spectra …"
        return "Distance of latents, each in units of its scatter over the baselines."
    known = f"{similar.known:,} of {similar.total:,} targets are explained so far"
    if similar.pending:
        return f"Known when this target is explained; {known}."
    if not similar.neighbours:
        return f"Nothing alike yet: {known}."
    return f"{_BECAUSE[similar.frame].capitalize()}; {known}."


def _row(one: Neighbour, similar: Similar, survey: Survey, findings: Findings, label_of: Callable[[str], Label]) -> str:
    spectra, row = survey.spectra, survey.spectra.row(one.target_id)
    z, label = float(spectra.redshift[row]), label_of(one.target_id)
    finding = findings.get(one.target_id)
    said = " ".join(
        filter(None, [label.label_class, "" if label.quality is None else f"Q{label.quality}", "★" * label.star])
    )
    facts = f"{one.distance:.2f} away · z {z:.4f}" + (f" · # {survey.rank[row]:,}" if survey.rank[row] else "")
    return (
        f'<button type="button" class="one" data-word="{escape(one.target_id)}" onclick="{tells("open")}" '
        f'title="Open {escape(one.target_id)}">{_stamp(one.target_id, similar, survey, findings)}'
        f'<span class="who"><b>{escape(one.target_id)}</b><span class="facts">{facts}</span>'
        f'<span class="facts">{escape(finding.brief if finding else "")}</span>'
        f'<span class="said">{escape(said)}</span></span></button>'
    )


def _stamp(target_id: str, similar: Similar, survey: Survey, findings: Findings) -> str:
    """Draw a neighbour over the wavelengths of the shown target, in the frame that was compared."""
    spectra = survey.spectra
    row, shown = spectra.row(target_id), spectra.row(similar.target_id)
    observed = similar.frame == "observed"
    stretch, own = (1.0 if observed else 1 + float(spectra.redshift[k]) for k in (row, shown))
    if not (np.isfinite(stretch) and np.isfinite(own)):
        stretch = own = 1.0
    low, high = float(spectra.wavelength[0]) / own, float(spectra.wavelength[-1]) / own
    path = stamp_path(spectra.wavelength / stretch, spectra.flux[row], spectra.measured[row], low, high)
    finding = findings.get(target_id)
    marks = [(one.low / stretch, one.high / stretch, one.verdict) for one in finding.marks[:3]] if finding else []
    return stamp_svg(path, marks, low, high)


_STYLE = """
.similar { padding: 6px 10px; font-size: calc(12.5px * var(--imo-type, 1)); color: var(--imo-text); line-height: 1.35;
  font-variant-numeric: tabular-nums; border-top: 1px solid var(--imo-line); }
h2 { font-size: calc(12.5px * var(--imo-type, 1)); margin: 2px 0 4px; font-weight: 600; color: var(--imo-muted); }
p { margin: 3px 0; } .quiet, .facts { color: var(--imo-muted); font-size: calc(11.5px * var(--imo-type, 1)); }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--imo-line); cursor: pointer;
  border-radius: 5px; }
.ways { display: flex; } .ways button { padding: 2px 8px; margin-left: -1px; border-radius: 0; flex: 1 1 auto; }
.ways button:first-child { border-radius: 5px 0 0 5px; margin-left: 0; }
.ways button:last-child { border-radius: 0 5px 5px 0; }
.ways button[aria-pressed="true"] { background: var(--imo-accent); border-color: var(--imo-accent);
  color: var(--imo-on-accent); }
.words { padding: 0 10px 8px; margin: 0; }
.group { display: flex; gap: 6px; align-items: baseline; margin: 5px 0; }
.group span { flex: 1; } .group button { flex: none; padding: 0 6px; color: var(--imo-accent); }
.one { display: flex; gap: 8px; width: 100%; text-align: left; padding: 3px; margin: 3px 0; align-items: center; }
.one:hover { background: var(--imo-hover); }
button:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
.stamp { flex: 0 0 42%; height: calc(46px * var(--imo-type, 1)); min-width: 0; }
.stamp path { fill: none; stroke: var(--imo-text); stroke-width: 1; vector-effect: non-scaling-stroke;
  stroke-linejoin: round; }
.stamp rect { fill: var(--imo-muted); fill-opacity: 0.25; }
.stamp rect.source { fill: var(--imo-source); } .stamp rect.instrument { fill: var(--imo-instrument); }
.who { display: flex; flex-direction: column; min-width: 0; }
.who > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
b { font-weight: 600; } .said { color: var(--imo-accent); }
"""
