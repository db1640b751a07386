"""The ranked table; selecting a row is all it takes to see a target."""

from collections.abc import Callable, Sequence

import numpy as np
import panel as pn
from bokeh.models.widgets.tables import HTMLTemplateFormatter

from app.findings.findings import Finding
from app.html.glossary import meaning
from app.html.table_cells import TABLE_STYLE, finding_cells, label_cell, table_frame
from app.state.labels import UserLabels
from app.state.triage import Triage
from app.survey.survey import Survey

__all__ = ["RankedTable"]

_AS_IT_IS = "<%= value %>"  # cells are escaped where they are made
_VERDICT = '<span class="<%= value %>"><%= value %></span>'
_WIDE = {"verdict": 84, "p": 44, "S/N": 38}
"""Columns that are there where the table is wide enough, and their widths; what they say is in tooltips as well."""
_TIPS = {
    "rank": meaning("rank"),
    "−log p": meaning("log p"),
    "verdict": f"source: {meaning('source')} instrument: {meaning('instrument')} unclear: {meaning('unclear')}",
    "p": meaning("p"),
    "S/N": meaning("S/N"),
    "label": meaning("label"),
}


def _number(form: str, more: str = "", none: str = "–") -> HTMLTemplateFormatter:
    """Show a number in a form of JavaScript's, with a minus that is no hyphen; ``none`` where there is none."""
    shown = f"isFinite(value) ? value.{form}.replace('-', '−') : '{none}'"
    return HTMLTemplateFormatter(template=f"<div><%= {shown} %>{more}</div>")  # an element is not cut short


class RankedTable(pn.viewable.Viewer):
    """Targets in the order of the triage; identifiers stay strings. Cells never hold a stranger's markup."""

    def __init__(
        self, survey: Survey, triage: Triage, desk: UserLabels, finding_of: Callable[[str], Finding | None]
    ) -> None:
        """Fill the table.

        Args:
            survey: Every target, own files included; :meth:`refresh` takes another one.
            triage: Gives the order; is told which row was chosen and how columns are sorted.
            desk: Gives the labels.
            finding_of: What stands out of a target; None while that is not known.
        """
        super().__init__()
        self._triage, self._desk, self._finding_of = triage, desk, finding_of
        self._everything = table_frame(survey, triage.own, finding_of, desk.label_of)
        self._ids: tuple[str, ...] = triage.shown
        numbers = ["rank", "z", "−log p", "p", "S/N"]
        digits = len(f"{np.nanmax(self._everything['rank'], initial=0):.0f}")
        as_it_is = HTMLTemplateFormatter(template=_AS_IT_IS)  # this table's own: a model keeps alive who listens to it
        self.widget = pn.widgets.Tabulator(
            self._everything.loc[list(self._ids)],
            show_index=False,
            hidden_columns=["kind"],
            disabled=True,
            selectable=1,
            formatters={
                "target": as_it_is,
                "label": as_it_is,
                "verdict": HTMLTemplateFormatter(template=_VERDICT),
                "rank": _number("toFixed(0)"),
                "z": _number("toFixed(4)", "<%= kind %>"),
                "−log p": _number("toFixed(1)"),
                "p": _number("toPrecision(1)", none=""),  # most are not known yet
                "S/N": _number("toFixed(value < 10 ? 1 : 0)"),
            },
            titles={"rank": "#", "target": "Target", "verdict": "Verdict", "label": "Label"},
            header_tooltips=_TIPS,
            widths={"rank": max(34, 8 + 7 * digits), "z": 52, "−log p": 54, "label": 62, **_WIDE},
            text_align=dict.fromkeys(numbers, "right"),
            header_align=dict.fromkeys(numbers, "right"),
            layout="fit_columns",
            pagination=None,  # one list; the browser draws only the rows in sight
            configuration={
                "placeholder": "No target passes the filters",
                "columnDefaults": {"tooltip": False},
                "responsiveLayout": "hide",
                "columns": [
                    {"field": "target", "minWidth": 132, "responsive": 0},
                    *({"field": name, "responsive": 0} for name in ("rank", "z", "−log p", "label")),
                    *({"field": name, "responsive": place} for place, name in enumerate(_WIDE, start=1)),
                ],
            },
            sizing_mode="stretch_both",
            min_height=120,
            margin=0,
            stylesheets=[TABLE_STYLE],
        )
        self.widget.param.watch(self._on_selection, "selection")
        self.widget.param.watch(self._on_sorters, "sorters")
        triage.param.watch(lambda _: self._fill(), "shown")
        desk.param.watch(lambda event: self._patch(event.new, "label"), "changed")

    def show(self, target_id: str) -> None:  # type: ignore[override]  # opens no server, as Panel's would
        """Mark the selected target's row; none if it is filtered out."""
        wanted = [self._ids.index(target_id)] if target_id in self._ids else []
        if list(self.widget.selection) != wanted:
            self.widget.selection = wanted

    def refresh(self, survey: Survey) -> None:
        """Take targets that were added to the triage into the table."""
        self._everything = table_frame(survey, self._triage.own, self._finding_of, self._desk.label_of)
        self._fill()

    def explain(self, target_ids: Sequence[str]) -> None:
        """Say what stands out of targets."""
        self._patch(tuple(target_ids), "target", "verdict", "p")

    def _fill(self) -> None:
        shown = [target for target in self._triage.shown if target in self._everything.index]
        chosen = self._triage.selected
        self._ids = tuple(shown)
        self.widget.param.update(selection=[], value=self._everything.loc[shown])
        self._on_sorters(None)
        self.show(chosen)

    def _patch(self, target_ids: tuple[str, ...], *columns: str) -> None:
        patches: dict[str, list[tuple[int, str | float]]] = {column: [] for column in columns}
        for target in target_ids:
            if target not in self._everything.index:
                continue
            cells: dict[str, str | float] = {"label": label_cell(self._desk.label_of(target))}
            if "target" in columns:
                cells |= finding_cells(target, self._finding_of(target), target in self._triage.own)
            for column in columns:
                self._everything.loc[target, column] = cells[column]
                if target in self._ids:
                    patches[column].append((self._ids.index(target), cells[column]))
        if any(patches.values()):
            self.widget.patch(patches, as_index=False)

    def _on_selection(self, event: object) -> None:
        chosen = list(self.widget.selection)
        if not chosen:  # a second click on the row: it stays selected
            self.show(self._triage.selected)
        elif self._ids[chosen[0]] != self._triage.selected:  # and not marked by show(), whose words would be lost
            self._triage.select(self._ids[chosen[0]])

    def _on_sorters(self, event: object) -> None:
        self._triage.sorted_as([str(one) for one in self.widget.current_view.index] if self.widget.sorters else None)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.widget
