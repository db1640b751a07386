"""Above the table: search, filters, and how far the triage is."""

from html import escape

import panel as pn
import panel_material_ui as pmui

from app.html.glossary import meaning
from app.state.labels import UserLabels
from app.state.triage import ALL, Triage
from app.survey.survey import Survey
from app.views.look import SMALL_FIELDS

__all__ = ["TableFilters"]


class TableFilters(pn.viewable.Viewer):
    """Writes the filters of the triage."""

    def __init__(self, survey: Survey, triage: Triage, desk: UserLabels) -> None:
        """Build the fields."""
        super().__init__()
        self._survey, self._triage, self._desk = survey, triage, desk
        self.head = pn.pane.HTML(self._heading(), sizing_mode="stretch_width", margin=0, stylesheets=[_STYLE])
        self.search = pmui.TextInput(
            value=triage.search,
            placeholder="Search id, or RA Dec in degrees",
            label="",
            size="small",
            css_classes=["imo-search"],
            sizing_mode="stretch_width",
            margin=(2, 8),
            stylesheets=[SMALL_FIELDS],
        )
        self.only = pmui.Select(
            options=triage.choices(desk.classes),
            value=ALL,
            label="Show",
            size="small",
            sizing_mode="stretch_width",
            margin=(7, 0, 2, 8),
            stylesheets=[SMALL_FIELDS],
        )
        self.first = pmui.Switch(
            label="Unlabelled first",
            value=triage.unlabelled_first,
            size="small",
            margin=(2, 8),
            stylesheets=[SMALL_FIELDS],
        )
        self.words = pn.pane.HTML("", sizing_mode="stretch_width", margin=0, stylesheets=[_STYLE])
        self.search.param.watch(lambda event: triage.param.update(search=event.new or ""), ["value", "value_input"])
        self.only.param.watch(lambda event: triage.param.update(only=event.new or ALL), "value")
        self.first.param.watch(lambda event: triage.param.update(unlabelled_first=event.new), "value")
        triage.param.watch(lambda event: self._say(event.new), "words")
        desk.param.watch(lambda *_: self.update(), ["changed", "classes"])

    def update(self) -> None:
        """Count again, and offer the choices there are now."""
        self.head.object = self._heading()
        choices = self._triage.choices(self._desk.classes)
        if choices != self.only.options:
            self.only.options = choices

    def _say(self, words: str) -> None:
        self.words.object = f'<div class="words" role="status">{escape(words)}</div>' if words else ""

    def _heading(self) -> str:
        done, total = self._triage.labelled()
        survey = self._survey
        share = 0 if not total else 100 * done / total
        of = f" of {survey.size:,}" if survey.size > len(survey.spectra) else ""
        aside = 0 if survey.not_ranked is None else int((survey.not_ranked != "").sum())
        also = f" · {aside:,} not ranked" if aside else ""
        files = f'<div class="count" role="note">{escape(survey.files)}</div>' if survey.files else ""
        held = "spectrum" if survey.size == 1 else "spectra, lowest log p first"
        return (
            f'<div class="head"><div class="title" title="{escape(survey.title)}">{escape(survey.title)}</div>'
            f'<div class="count" title="{escape(meaning("log p"))}">{len(survey.spectra):,}{of} {held}{also}</div>'
            f"{files}"
            f'<div class="count" data-labelled="{done}" title="{escape(meaning("label"))}">{done:,} '
            f"of {total:,} labelled by {escape(self._desk.scanner)}"
            f'</div><div class="track" aria-hidden="true"><span style="width:{share:.2f}%"></span></div></div>'
        )

    def __panel__(self) -> pn.viewable.Viewable:
        row = pn.Row(self.only, self.first, sizing_mode="stretch_width", margin=0, styles={"align-items": "center"})
        return pn.Column(self.head, self.search, row, self.words, sizing_mode="stretch_width", margin=0)


_STYLE = """
.head { padding: 7px 10px 4px; color: var(--imo-text); font-variant-numeric: tabular-nums; }
.title { font-weight: 600; font-size: calc(14px * var(--imo-type, 1)); overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.count { font-size: calc(12px * var(--imo-type, 1)); color: var(--imo-muted); }
.track { height: 3px; border-radius: 2px; background: var(--imo-line); margin-top: 4px; overflow: hidden; }
.track span { display: block; height: 100%; background: var(--imo-accent); }
.words { padding: 2px 10px 4px; font-size: calc(12px * var(--imo-type, 1)); color: var(--imo-warning); }
"""
