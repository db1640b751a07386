"""The ranked table; selecting a row is all it takes to see a target."""

from collections.abc import Callable, Sequence

import panel as pn
from bokeh.models.widgets.tables import HTMLTemplateFormatter, NumberFormatter

from app.html.table_cells import TABLE_STYLE, label_cell, table_frame, target_cell
from app.state.labels import UserLabels
from app.state.triage import Triage
from app.survey.survey import Survey

__all__ = ["RankedTable"]

_AS_IT_IS = "<%= value %>"  # cells are escaped where they are made
# in an element of its own, which is not cut short by an ellipsis
_REDSHIFT = "<div><%= isFinite(value) ? value.toFixed(4) : '–' %><%= kind %></div>"


class RankedTable(pn.viewable.Viewer):
    """Targets in the order of the triage; identifiers stay strings. Cells never hold a stranger's markup."""

    def __init__(self, survey: Survey, triage: Triage, desk: UserLabels, brief: Callable[[str], str]) -> None:
        """Fill the table.

        Args:
            survey: Every target, own files included; :meth:`refresh` takes another one.
            triage: Gives the order; is told which row was chosen and how columns are sorted.
            desk: Gives the labels.
            brief: What stands out of a target, in a few words.
        """
        super().__init__()
        self._triage, self._desk, self._brief = triage, desk, brief
        self._everything = table_frame(survey, triage.own, brief, desk.label_of)
        self._ids: tuple[str, ...] = triage.shown
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
                "rank": NumberFormatter(format="0", nan_format="–"),
                "z": HTMLTemplateFormatter(template=_REDSHIFT),
                "−log p": NumberFormatter(format="0.0", nan_format="–"),
            },
            titles={"rank": "#", "target": "Target", "z": "z", "−log p": "−log p", "label": "Label"},
            widths={"rank": 34, "z": 52, "−log p": 54, "label": 60},
            text_align={"rank": "right", "z": "right", "−log p": "right"},
            header_align={"rank": "right", "z": "right", "−log p": "right"},
            layout="fit_columns",
            pagination=None,  # one list; the browser draws only the rows in sight
            configuration={
                "rowHeight": 42,
                "placeholder": "No target passes the filters",
                "columnDefaults": {"tooltip": False},
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
        self._everything = table_frame(survey, self._triage.own, self._brief, self._desk.label_of)
        self._fill()

    def explain(self, target_ids: Sequence[str]) -> None:
        """Say what stands out of targets."""
        self._patch(tuple(target_ids), "target")

    def _fill(self) -> None:
        shown = [target for target in self._triage.shown if target in self._everything.index]
        chosen = self._triage.selected
        self._ids = tuple(shown)
        self.widget.param.update(selection=[], value=self._everything.loc[shown])
        self._on_sorters(None)
        self.show(chosen)

    def _patch(self, target_ids: tuple[str, ...], column: str) -> None:
        cells = []
        for target in target_ids:
            if target not in self._everything.index:
                continue
            own = target in self._triage.own
            cell = (
                target_cell(target, self._brief(target), own)
                if column == "target"
                else label_cell(self._desk.label_of(target))
            )
            self._everything.loc[target, column] = cell
            if target in self._ids:
                cells.append((self._ids.index(target), cell))
        if cells:
            self.widget.patch({column: cells}, as_index=False)

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
