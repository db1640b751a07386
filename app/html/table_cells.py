"""What the ranked table shows of each target, as HTML and numbers; nothing in it is a stranger's markup."""

from collections.abc import Callable
from html import escape

import numpy as np
import pandas as pd

from app.findings.findings import Finding
from app.labels import Label
from app.survey.survey import Survey
from imo_engine.spectra.eligibility import zwarn_words

__all__ = ["TABLE_STYLE", "finding_cells", "kind_words", "label_cell", "table_frame"]

FindingOf = Callable[[str], Finding | None]


def table_frame(
    survey: Survey, own: tuple[str, ...], finding_of: FindingOf, label_of: Callable[[str], Label]
) -> pd.DataFrame:
    """Return the columns by rank, indexed by identifier, and the words under z."""
    order = [row for row in survey.order() if _is_here(survey, row, own)]
    rank = survey.rank[order].astype(float)
    targets = [str(target) for target in survey.spectra.target_id[order]]
    found = [finding_cells(target, finding_of(target), target in own) for target in targets]
    return pd.DataFrame(
        {
            "rank": np.where(rank > 0, rank, np.nan),
            "target": [one["target"] for one in found],
            "z": survey.spectra.redshift[order],
            "−log p": -survey.log_prob[order],
            "verdict": [one["verdict"] for one in found],
            "p": np.array([one["p"] for one in found], float),
            "S/N": survey.signal_to_noise[order],
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


def finding_cells(target: str, finding: Finding | None, own: bool) -> dict[str, str | float]:
    """Return the cells that change when a target is explained.

    Args:
        target: Identifier.
        finding: What stands out; None while that is not known.
        own: Whether the user brought the file.

    Returns:
        Identifier over what stands out, as HTML; verdict, or empty; p-value, or NaN.
    """
    verdict = "" if finding is None else finding.verdict
    brief = "" if finding is None else finding.brief.removesuffix(", instrument")
    mark = '<i class="own">your file</i>' if own else ""
    # seen only where the table is too narrow for a column
    said = f'<i class="said-verdict {escape(verdict)}">{escape(verdict)}</i>' if verdict else ""
    below = f'<span class="brief">{mark}{said}{escape(brief)}</span>' if mark or brief else ""
    p = None if finding is None else finding.p_value
    tip = "; ".join(filter(None, (target, brief, verdict, "" if p is None else f"p = {p:.1g}")))
    return {
        "target": f'<span class="cell" title="{escape(tip)}"><b class="id">{escape(target)}</b>{below}</span>',
        "verdict": verdict,
        "p": np.nan if p is None else p,
    }


def label_cell(label: Label) -> str:
    """Return star, quality and class as HTML."""
    star = '<i class="star" title="starred">★</i>' if label.star else ""
    quality = "" if label.quality is None else f'<i class="quality">Q{label.quality}</i>'
    said = f'<span class="said">{star}{quality}</span>' if star or quality else ""
    return said + (f'<span class="class">{escape(label.label_class)}</span>' if label.label_class else "")


TABLE_STYLE = """
:host .tabulator { font-size: calc(13px * var(--imo-type, 1)); border: none; background: transparent;
  font-variant-numeric: tabular-nums; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 4px; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-title { font-size: 12px; padding-right: 0; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-sorter { right: -3px; }
:host .tabulator .tabulator-header .tabulator-col[aria-sort="none"] .tabulator-col-sorter { visibility: hidden; }
:host .tabulator .tabulator-row .tabulator-cell { padding: 3px 4px; line-height: 17px; white-space: normal;
  text-overflow: clip; font-size: calc(12.5px * min(var(--imo-type, 1), 1.1)); }
:host .tabulator .tabulator-row .tabulator-cell:focus-visible { outline: 2px solid var(--imo-accent); }
.cell { display: block; }
.id { display: block; font-weight: 500; overflow-wrap: anywhere; }  /* whole: the last digits tell them apart */
@media (max-width: 1400px) { .id { font-size: 12.5px; } }
.brief { display: block; color: var(--imo-muted); font-size: calc(11.5px * var(--imo-type, 1)); line-height: 1.35;
  overflow-wrap: anywhere; }
.class { display: block; font-size: calc(11.5px * var(--imo-type, 1)); overflow-wrap: anywhere; line-height: 1.25; }
.tabulator-cell > div { white-space: normal; }
.own, .said-verdict { font-style: normal; margin-right: 5px; }
.own { color: var(--imo-accent); }
.source { color: var(--imo-source); } .instrument { color: var(--imo-instrument); }
.unclear { color: var(--imo-muted); }
.tabulator-row:has([tabulator-field="verdict"]:not([style*="display: none"])) .said-verdict { display: none; }
.kind { display: block; font-style: normal; font-size: calc(10.5px * var(--imo-type, 1)); color: var(--imo-warning); }
.star { font-style: normal; color: var(--imo-star); margin-right: 3px; }
.tabulator-row.tabulator-selected, .tabulator-row.tabulator-selected:hover { color: var(--imo-on-accent) !important;
  background: var(--imo-accent) !important; }
.tabulator-selected :is(.brief, .star, .own, .kind, .source, .instrument, .unclear) { color: inherit; }
.quality { font-style: normal; font-weight: 600; }
"""
