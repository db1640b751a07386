"""Who the selected target is: everything that can be copied, and where else to look."""

from collections.abc import Callable
from html import escape

import numpy as np
import panel as pn

from app.html.numbers import printed
from app.html.of_target import OF_TARGET, of_target
from app.state.choices import Choices
from app.state.links import sky_links
from app.state.session import Session
from app.state.words import loading_words
from app.survey.survey import Survey

__all__ = ["WhoPanel"]


class WhoPanel(pn.viewable.Viewer):
    """Identifier, coordinates, links and remarks; all text from files is escaped, links open on a click only."""

    def __init__(
        self,
        session: Session,
        state: Choices,
        truth: dict[str, str],
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Follow ``state``; ``truth`` is what was injected into simulated targets.

        It changes in turn with everything else that is scheduled (see ``ProgressStrip``).
        """
        super().__init__()
        self._session, self._state, self._truth = session, state, truth
        self.pane = pn.pane.HTML(
            "", sizing_mode="stretch_width", stylesheets=[_STYLE], css_classes=[OF_TARGET], margin=0
        )
        state.param.watch(lambda *_: schedule(self._update), ["target_id", "truth"])
        self._update()

    def _update(self) -> None:
        target = self._state.target_id
        html = who_html(self._session.survey, target, self._truth if self._state.truth else None)
        self.pane.object = of_target(target, html)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane


def who_html(survey: Survey, target_id: str, truth: dict[str, str] | None = None) -> str:
    """Return the panel for a target; with ``truth`` also what was injected into it."""
    if not target_id:
        words = loading_words(len(survey.spectra))
        return f'<section class="who"><p class="quiet">{words}</p></section>'
    spectra, row = survey.spectra, survey.spectra.row(target_id)
    ra, dec = float(spectra.ra[row]), float(spectra.dec[row])
    lines = [_line("Target", target_id, copy=target_id)]
    if np.isfinite(ra) and np.isfinite(dec):
        lines.append(_line("RA, Dec", f"{ra:.5f}, {printed(dec, '+.5f')}", copy=f"{ra:.6f} {dec:.6f}"))
    else:
        lines.append(_line("RA, Dec", "no RA, Dec in the file"))
    lines.append(_line("File", str(spectra.source[row])))
    if target_id in survey.candidates:
        rank = survey.own_rank(target_id)
        scored = "not ranked" if np.isfinite(survey.log_prob[row]) else "no score"
        lines.append(_line("Your file", f"would be {rank}" if rank else scored))
    if reason := survey.why_not_ranked(row):
        lines.append(f'<div class="note">Not ranked: {escape(reason)}</div>')
    if spectra.note[row]:
        lines.append(f'<div class="note">{escape(str(spectra.note[row]))}</div>')
    if survey.simulated and target_id not in survey.candidates:
        words = "Simulated: no links to the sky."
        lines.append(f'<div class="quiet">{words}</div>')
    elif links := sky_links(ra, dec):
        anchors = " ".join(
            f'<a href="{escape(link.address)}" target="_blank" rel="noopener noreferrer" title="{escape(link.about)}">'
            f"{escape(link.name)}</a>"
            for link in links
        )
        lines.append(f'<div class="links">{anchors}</div>')
    if truth is not None:
        words = truth.get(target_id, "nothing was injected")
        lines.append(f'<div class="truth">Truth: {escape(words)}</div>')
    return f'<section class="who" aria-label="Target">{"".join(lines)}</section>'


def _line(name: str, value: str, *, copy: str = "") -> str:
    button = ""
    if copy:
        button = (
            f'<button type="button" data-copy="{escape(copy)}" aria-label="Copy {escape(name)}" '
            'onclick="window.imo.explorer.copy(this)">copy</button>'
        )
    return (
        f'<div class="line"><span class="unseen">{escape(name)}</span>'
        f'<span class="value" title="{escape(name)}: {escape(value)}">{escape(value)}</span>{button}</div>'
    )


_STYLE = """
.who { padding: 6px 10px; font-size: calc(12.5px * var(--imo-type, 1)); color: var(--imo-text);
  font-variant-numeric: tabular-nums; border-bottom: 1px solid var(--imo-line); line-height: 1.5; }
.line { display: flex; gap: 8px; align-items: baseline; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.value { overflow-wrap: anywhere; user-select: all; min-width: 0; }
.quiet { color: var(--imo-muted); margin: 2px 0; }
.note, .truth { color: var(--imo-warning); }
.truth { font-weight: 600; }
.links { display: flex; flex-wrap: wrap; gap: 2px 12px; }
a { color: var(--imo-accent); }
button { font: inherit; font-size: 11px; color: var(--imo-muted); background: transparent; margin-left: auto;
  border: 1px solid var(--imo-line); border-radius: 4px; padding: 0 6px; cursor: pointer; }
button:focus-visible, a:focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; }
"""
