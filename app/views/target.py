"""Who the selected target is: a strip above the plots."""

from html import escape

import numpy as np
import panel as pn

from app.state import AppState
from app.survey import Survey

__all__ = ["TargetStrip"]


class TargetStrip(pn.viewable.Viewer):
    """Identifier, rank, redshift, coordinates and remarks; all text from files is escaped."""

    def __init__(self, survey: Survey, state: AppState) -> None:
        """Follow ``state.target_id``."""
        super().__init__()
        self._survey = survey
        self.pane = pn.pane.HTML(
            pn.bind(self.html, state.param.target_id), sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0
        )

    def html(self, target_id: str) -> str:
        """Return the strip for a target."""
        survey = self._survey
        if not target_id:
            words = "Select a target in the table" if len(survey.spectra) else "There are no spectra to show"
            return f'<div class="strip"><span class="quiet">{words}</span></div>'
        row = survey.spectra.row(target_id)
        spectra = survey.spectra
        parts = [f'<span class="id" title="target id">{escape(target_id)}</span>']
        if survey.rank[row]:
            parts.append(_fact("rank", f"{survey.rank[row]:,} of {survey.size:,}"))
            parts.append(_fact("−log p", f"{-survey.log_prob[row]:.1f}"))
        if np.isfinite(spectra.redshift[row]):
            parts.append(_fact("z", f"{spectra.redshift[row]:.5f}"))
        if np.isfinite(spectra.ra[row]) and np.isfinite(spectra.dec[row]):
            parts.append(_fact("RA, Dec", f"{spectra.ra[row]:.5f}, {spectra.dec[row]:+.5f}"))
        parts.append(_fact("file", escape(str(spectra.source[row]))))
        if spectra.note[row]:
            parts.append(f'<span class="note">{escape(str(spectra.note[row]))}</span>')
        return f'<div class="strip">{"".join(parts)}</div>'

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane


def _fact(name: str, value: str) -> str:
    return f'<span class="fact"><span class="name">{name}</span> {value}</span>'


_STYLE = """
.strip { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 18px; font-size: 13px; padding: 6px 8px 2px;
  font-variant-numeric: tabular-nums; color: var(--imo-text); }
.id { font-size: 17px; font-weight: 600; user-select: all; }
.name, .quiet { color: var(--imo-muted); }
.note { color: var(--imo-warning); }
"""
