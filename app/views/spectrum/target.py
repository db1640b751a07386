"""Who the selected target is: a strip above the plots."""

import math
from collections.abc import Callable
from html import escape

import numpy as np
import panel as pn

from app.html.glossary import meaning
from app.html.numbers import printed
from app.html.of_target import OF_TARGET
from app.state.choices import Choices
from app.state.session import Session
from app.state.words import loading_words

__all__ = ["TargetStrip"]


class TargetStrip(pn.viewable.Viewer):
    """Identifier, rank, log p and redshift; all text from files is escaped."""

    def __init__(self, session: Session, state: Choices, schedule: Callable[[Callable[[], None]], object]) -> None:
        """Follow ``state.target_id``, in turn with everything else that is scheduled."""
        super().__init__()
        self._session = session
        self.pane = pn.pane.HTML(self.html(state.target_id), stylesheets=[_STYLE], css_classes=[OF_TARGET], margin=0)

        def update() -> None:
            self.pane.object = self.html(state.target_id)

        state.param.watch(lambda _: schedule(update), "target_id")

    def html(self, target_id: str) -> str:
        """Return the strip for a target."""
        survey = self._session.survey
        if not target_id:
            return f'<div class="strip"><span class="quiet">{loading_words(len(survey.spectra))}</span></div>'
        row = survey.spectra.row(target_id)
        parts = [f'<span class="id" title="target id">{escape(target_id)}</span>']
        rank, reason = survey.own_rank(target_id), survey.why_not_ranked(row)
        if rank and target_id in survey.candidates:
            parts.append(_fact("would be", str(rank), tip=meaning("rank")))
        elif rank:
            parts.append(_fact("rank", str(rank).removeprefix("rank "), tip=meaning("rank")))
        elif reason:
            parts.append(f'<span class="fact aside" title="{escape(reason)}">not ranked</span>')
        log_prob = float(survey.log_prob[row])
        if np.isfinite(log_prob):
            parts.append(_fact("−log p", printed(-log_prob, ".1f"), tip=meaning("log p")))
            share = survey.ordinary_share(log_prob)
            if share is not None and survey.ordinary is not None:
                parts.append(_ordinary(share, len(survey.ordinary)))
        if np.isfinite(survey.spectra.redshift[row]):
            parts.append(_fact("z", printed(survey.spectra.redshift[row], ".5f"), "wide"))  # it is in the toolbar, too
        return f'<div class="strip" data-of="{escape(target_id)}">{"".join(parts)}</div>'

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane


def _fact(name: str, value: str, kind: str = "", tip: str = "") -> str:
    title = f' title="{escape(tip)}"' if tip else ""
    return f'<span class="fact {kind}"{title}><span class="name">{name}</span> {value}</span>'


def _ordinary(share: float, count: int) -> str:
    """Say how a log p compares with ordinary spectra; no share is said to be smaller than one of them."""
    unit = 10 ** math.floor(math.log10(100 / count))
    text = f"{100 * share:.2g} %" if share else f"under {math.ceil(100 / count / unit) * unit:.1g} %"
    tip = f"Share of the model's {count:,} validation spectra with a log p as low as this"
    words = '<span class="name"><span class="wide">of ordinary </span>as low</span>'
    return f'<span class="fact" title="{tip}">{text} {words}</span>'


_STYLE = """
.strip { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 14px;
  font-size: calc(13px * var(--imo-type, 1)); padding: 5px 8px 1px; white-space: nowrap;
  font-variant-numeric: tabular-nums; color: var(--imo-text); }
.id { font-size: calc(16px * var(--imo-type, 1)); font-weight: 600; user-select: all; }
.aside { color: var(--imo-warning); font-weight: 600; }
.name, .quiet { color: var(--imo-muted); }
@media (max-width: 1500px) { .wide { display: none; } }  /* what is being computed stands beside it */
"""
