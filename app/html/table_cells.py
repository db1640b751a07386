"""What the ranked table shows of each target, as HTML and numbers; nothing in it is a stranger's markup."""

from collections.abc import Callable
from html import escape

import numpy as np
import pandas as pd

from app.labels import Label
from app.survey.survey import Survey
from imo_engine.spectra.eligibility import zwarn_words

__all__ = ["TABLE_STYLE", "kind_words", "label_cell", "table_frame", "target_cell"]


def table_frame(
    survey: Survey, own: tuple[str, ...], brief: Callable[[str], str], label_of: Callable[[str], Label]
) -> pd.DataFrame:
    """Return rank, target, z, -log p and label by rank, indexed by identifier, and the words under z."""
    order = [row for row in survey.order() if _is_here(survey, row, own)]
    rank = survey.rank[order].astype(float)
    targets = [str(target) for target in survey.spectra.target_id[order]]
    return pd.DataFrame(
        {
            "rank": np.where(rank > 0, rank, np.nan),
            "target": [target_cell(target, brief(target), target in own) for target in targets],
            "z": survey.spectra.redshift[order],
            "−log p": -survey.log_prob[order],
            "kind": [kind_words(survey, row) for row in order],
            "label": [label_cell(label_of(target)) for target in targets],
        },
        index=pd.Index(targets, name="id"),
    )


def _is_here(survey: Survey, row: int, own: tuple[str, ...]) -> bool:
    target = str(survey.spectra.target_id[row])
    return target not in survey.candidates or target in own  # another session's files are nobody's business


def kind_words(survey: Survey, row: int) -> str:
    """Return, as HTML, what the survey says of a target that is no galaxy with a sure redshift; empty for such ones."""
    kind, zwarn = str(survey.spectra.spectype[row]), int(survey.spectra.zwarn[row])
    words = kind if kind.upper() not in ("", "GALAXY") else "ZWARN" if zwarn > 0 else ""
    if not words:
        return ""
    also = f"redshift warning: {zwarn_words(zwarn)}" if zwarn > 0 else ""
    tip = "; ".join(filter(None, (f"class {kind}" if kind else "", also, survey.why_not_ranked(row))))
    return f'<i class="kind" title="{escape(tip)}">{escape(words)}</i>'


def target_cell(target: str, brief: str, own: bool) -> str:
    """Return a target's identifier over what stands out of it, as HTML; ``own``: the user brought it."""
    mark = '<i class="own">your file</i>' if own else ""
    return f'<b class="id">{escape(target)}</b><span class="brief">{mark}{escape(brief)}</span>'


def label_cell(label: Label) -> str:
    """Return star, quality and class as HTML."""
    star = '<i class="star" title="starred">★</i>' if label.star else ""
    quality = "" if label.quality is None else f'<i class="quality">Q{label.quality}</i>'
    return f'<span class="said">{star}{quality}</span><span class="brief">{escape(label.label_class)}</span>'


TABLE_STYLE = """
:host .tabulator { font-size: calc(13px * var(--imo-type, 1)); border: none; background: transparent;
  font-variant-numeric: tabular-nums; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 4px; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-title { font-size: 12px; padding-right: 0; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-sorter { right: -3px; }
:host .tabulator .tabulator-header .tabulator-col[aria-sort="none"] .tabulator-col-sorter { visibility: hidden; }
:host .tabulator .tabulator-row .tabulator-cell { padding: 4px; height: 42px !important; line-height: 17px;
  font-size: calc(12.5px * min(var(--imo-type, 1), 1.1)); }
:host .tabulator .tabulator-row .tabulator-cell:focus-visible { outline: 2px solid var(--imo-accent); }
.id { display: block; font-weight: 500; overflow: hidden; text-overflow: ellipsis; }
@media (max-width: 1400px) { .id { font-size: 12.5px; } }  /* whole: the last digits tell them apart */
.brief { display: block; color: var(--imo-muted); font-size: calc(11.5px * var(--imo-type, 1)); overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.said { display: block; height: 17px; }
.own { font-style: normal; color: var(--imo-accent); margin-right: 5px; }
.kind { display: block; font-style: normal; font-size: calc(10.5px * var(--imo-type, 1)); color: var(--imo-warning); }
.star { font-style: normal; color: var(--imo-star); margin-right: 3px; }
.tabulator-selected :is(.brief, .star, .own, .kind) { color: inherit; }
.quality { font-style: normal; font-weight: 600; }
"""
