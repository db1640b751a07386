"""Two people's labels where they disagree, side by side."""

from html import escape

import panel as pn
import panel_material_ui as pmui

from app.labels import Disagreement, Label
from app.state.labels import UserLabels
from app.state.triage import Triage
from app.views.dialogs.one_at_a_time import Sheet
from imo_engine.errors import ImoError

__all__ = ["CompareDialog", "comparison_html"]

_SHOWN = 200


class CompareDialog(pn.viewable.Viewer):
    """The user against somebody else who labelled; a target is selected with the button of its row."""

    def __init__(self, desk: UserLabels, triage: Triage) -> None:
        """Build the dialog, closed."""
        super().__init__()
        self._desk, self._triage = desk, triage
        self._found: tuple[Disagreement, ...] = ()
        self.other = pmui.Select(label="With", options=[], size="small", width=240, margin=(12, 8, 4, 0))
        self.next = pmui.Button(
            label="Show next of them", size="small", variant="outlined", margin=(18, 0, 4, 0), disabled=True
        )
        self.table = pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[_STYLE], margin=0)
        close = pmui.Button(label="Close", size="small", variant="outlined", margin=(10, 0, 0, 0), on_click=self._close)
        self.dialog = Sheet(
            pn.Row(self.other, self.next, margin=0),
            self.table,
            close,
            title="Where two people disagree",
            title_variant="h6",
            close_on_click=True,
            width_option="md",
        )
        self.next.on_click(self._on_next)
        self.other.param.watch(lambda _: self._compare(), "value")

    def open(self) -> None:
        """Show the dialog with what is in the database now."""
        try:
            others = [name for name in self._desk.store.scanners() if name != self._desk.scanner]
        except ImoError as error:
            others = []
            self.table.object = f'<p class="failed">{escape(str(error))}</p>'
        self.other.param.update(options=others, value=self.other.value if self.other.value in others else None)
        self.other.visible = self.next.visible = bool(others)
        if others and self.other.value is None:
            self.other.value = others[0]
        else:
            self._compare()
        self.dialog.open = True

    def _close(self, event: object) -> None:
        self.dialog.open = False

    def _on_next(self, event: object) -> None:
        targets = [one.target_id for one in self._found if one.target_id in self._triage.targets]
        if targets:
            here = targets.index(self._triage.selected) + 1 if self._triage.selected in targets else 0
            self._triage.select(targets[here % len(targets)])

    def _compare(self) -> None:
        other = self.other.value
        if not other:
            self._found = ()
            self.table.object = '<p class="quiet">Nobody else has labelled anything in this database yet.</p>'
        else:
            try:
                self._found = self._desk.store.disagreements(self._desk.scanner, other)
                self.table.object = comparison_html(self._found, self._desk.scanner, other)
            except ImoError as error:
                self._found = ()
                self.table.object = f'<p class="failed" role="alert">{escape(str(error))}</p>'
        self.next.disabled = not self._found

    def __panel__(self) -> pn.viewable.Viewable:
        return self.dialog


def comparison_html(found: tuple[Disagreement, ...], mine: str, other: str) -> str:
    """Return the table of disagreements; what differs is marked."""
    if not found:
        return f'<p class="quiet">{escape(mine)} and {escape(other)} agree wherever both have labelled.</p>'
    rows = "".join(
        f'<tr><td class="id">{escape(one.target_id)}</td>'
        f"{_cells(one.first.label, one)}{_cells(one.second.label, one)}</tr>"
        for one in found[:_SHOWN]
    )
    more = f"<p>The first {_SHOWN} of {len(found)}.</p>" if len(found) > _SHOWN else ""
    names = "".join(f'<th colspan="3">{escape(name)}</th>' for name in (mine, other))
    return (
        f'<div class="scroll"><table data-disagreements="{len(found)}"><thead><tr><th></th>{names}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{more}</div>"
    )


def _cells(label: Label, one: Disagreement) -> str:
    said = {
        "label_class": label.label_class or "–",
        "quality": "–" if label.quality is None else f"Q{label.quality}",
        "star": "★" if label.star else "",
    }
    cells = []
    for name, text in said.items():
        note = f"<small>{escape(label.comment[:120])}</small>" if name == "label_class" and label.comment else ""
        cells.append(f'<td class="{"differs" if name in one.fields else ""}">{escape(text)}{note}</td>')
    return "".join(cells)


_STYLE = """
.scroll { max-height: 55vh; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; color: var(--imo-text);
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--imo-muted); font-weight: 600; padding: 4px 8px; }
td { border-top: 1px solid var(--imo-line); padding: 4px 8px; vertical-align: top; }
td.differs { font-weight: 600; color: var(--imo-warning); }
small { display: block; color: var(--imo-muted); font-weight: 400; }
p { font-size: 13px; color: var(--imo-text); } .quiet { color: var(--imo-muted); }
.failed { color: var(--imo-warning); font-weight: 600; }
"""
