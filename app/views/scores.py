"""How well attribution methods find known causes: a page beside the dashboard."""

from html import escape

import panel as pn
import panel_material_ui as pmui

from app.findings.method_scores import MethodScores, ScoreTable
from app.plots.colours import Colours
from app.plots.scores import choices_figure, kinds_figure, scores_figure
from imo_engine.attribution.record import RECOMMENDED_WEIGHTING, WEIGHTINGS

__all__ = ["ScoresView"]

_FIRST = "average_precision_1sigma"


class ScoresView(pn.viewable.Viewer):
    """A score to choose, every method's value with its error, by kind of outlier, and what the paper leaves open."""

    def __init__(self, scores: MethodScores, colours: Colours) -> None:
        """Build it in a set of colours."""
        super().__init__()
        self._scores, self._colours = scores, colours
        names = scores.metrics
        first = _FIRST if _FIRST in names.values() else next(iter(names.values()))
        self.metric = pmui.Select(label="Score", options=names, value=first, width=560, margin=(10, 14, 4, 0))
        self.seen = pmui.Switch(label="Only outliers that log p sees", value=False, margin=(20, 0, 4, 0))
        self.words = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)
        self.plots = pn.Row(margin=0)
        self.choices = pn.Column(margin=0)
        self.metric.param.watch(lambda _: self.update(), "value")
        self.seen.param.watch(lambda _: self.update(), "value")
        self.update()

    def paint(self, colours: Colours) -> None:
        """Use a set of colours."""
        self._colours = colours
        self.update()

    def update(self) -> None:
        """Draw what is chosen."""
        metric = self.metric.value
        table = self._scores.table(metric, seen=self.seen.value)
        if table is None:
            self.words.object = '<p role="status">This score was not kept for these outliers; choose another one.</p>'
            self.plots.objects, self.choices.objects = [], []
            return
        self.words.object = f'<p class="verdict" role="status">{escape(table.verdict())}</p>{_refusals(table)}'
        left = scores_figure(table, self._colours)
        figures = [left]
        kinds = None if self.seen.value else self._scores.by_kind(metric)
        if kinds is not None:
            figures.append(kinds_figure(table, kinds, self._scores.kinds, left.y_range, self._colours))
        self.plots.objects = [pn.pane.Bokeh(one, margin=(0, 12, 0, 0)) for one in figures]
        choices = self._scores.choices(metric)
        heading = pn.pane.HTML(_CHOICES, stylesheets=[_STYLE], margin=0)
        self.choices.objects = (
            [] if choices is None else [heading, pn.pane.Bokeh(choices_figure(choices, self._colours), margin=0)]
        )

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Column(
            pn.pane.HTML(_about(self._scores), sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0),
            pn.Row(self.metric, self.seen, margin=0),
            self.words,
            self.plots,
            self.choices,
            sizing_mode="stretch_width",
            margin=(8, 20),
        )


def _about(scores: MethodScores) -> str:
    kinds = len(scores.kinds)
    return (
        "<h1>Which method finds the cause?</h1>"
        f"<p>{scores.cases} simulated outliers of {kinds} kinds, each with a twin that lacks its cause and has the "
        "same noise: where the two differ is the truth. All methods explain the same log p of one model, "
        f"{escape(str(scores.content['model']))}; another model may order them otherwise. Values are signed: positive "
        "lowers log p, and where a label has bars (|…|) the absolute value was ranked. Values that are constant over a "
        "window count as ties. Means over kind and strength; bars are one standard error (bootstrap over spectra). "
        "“To the paper's” compares on the same spectra. Dashed: chance. Grey: what the truth itself would score, "
        "averaged over windows.</p>"
    )


def _refusals(table: ScoreTable) -> str:
    said = zip(table.labels, table.notes, strict=True)
    notes = [f"<li>{escape(label)}: {escape(note)}</li>" for label, note in said if note]
    return f'<ul class="quiet">{"".join(notes)}</ul>' if notes else ""


_CHOICES = (
    "<h2>Choices that the paper leaves open</h2><p>Fewer spectra, the same score; dotted: the paper's weights with 8 "
    f"baselines at random. This program has these baselines too, and {WEIGHTINGS[RECOMMENDED_WEIGHTING]} unless told "
    "otherwise.</p>"
)

_STYLE = """
h1 { font-size: 20px; margin: 6px 0 4px; } h2 { font-size: 15px; margin: 14px 0 2px; }
h1, h2, p, li { color: var(--imo-text); } p, li { font-size: 13px; line-height: 1.45; max-width: 110ch; margin: 2px 0; }
.verdict { font-size: 14px; font-weight: 600; margin: 4px 0; } ul { margin: 2px 0; padding-left: 18px; }
.quiet, .quiet li { color: var(--imo-muted); }
"""
