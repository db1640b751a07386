"""The ranked table; selecting a row is all it takes to see a target."""

import numpy as np
import pandas as pd
import panel as pn
from bokeh.models.widgets.tables import NumberFormatter, StringFormatter

from app.state import AppState
from app.survey import Survey

__all__ = ["RankedTable"]


class RankedTable(pn.viewable.Viewer):
    """Targets by rank, those without a score last; identifiers stay strings."""

    def __init__(self, survey: Survey, state: AppState) -> None:
        """Fill the table; it writes ``state.target_id``."""
        super().__init__()
        self._state = state
        frame = table_frame(survey)
        self.widget = pn.widgets.Tabulator(
            frame,
            show_index=False,
            disabled=True,
            selectable=1,
            header_filters={"target": {"type": "input", "func": "like", "placeholder": "search id"}},
            formatters={
                "rank": NumberFormatter(format="0", nan_format="–"),
                "z": NumberFormatter(format="0.0000", nan_format="–"),
                "−log p": NumberFormatter(format="0.0", nan_format="–"),
                "target": StringFormatter(),
            },
            titles={"rank": "Rank", "target": "Target", "z": "z", "−log p": "−log p"},
            widths={"rank": 54, "z": 66, "−log p": 70},
            text_align={"rank": "right", "z": "right", "−log p": "right"},
            header_align={"rank": "right", "z": "right", "−log p": "right"},
            layout="fit_columns",
            pagination=None,  # one list; the browser draws only the rows in sight
            configuration={"rowHeight": 28, "placeholder": "No spectra"},
            sizing_mode="stretch_both",
            min_height=200,
            stylesheets=[_STYLE],
        )
        self._ids = [str(target) for target in frame.index]
        self.widget.param.watch(self._on_selection, "selection")

    def select(self, target_id: str) -> None:
        """Select a row by target, as a click would."""
        self.widget.selection = [self._ids.index(target_id)]

    def first(self) -> str:
        """Return the target at the top of the table; empty if there is none."""
        return self._ids[0] if self._ids else ""

    def _on_selection(self, event: object) -> None:
        chosen = list(self.widget.selection)
        if chosen:
            self._state.target_id = self._ids[chosen[0]]
        elif self._state.target_id:  # a second click on the row: it stays selected
            self.select(self._state.target_id)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.widget


def table_frame(survey: Survey) -> pd.DataFrame:
    """Return rank, target, z and -log p by rank, indexed by identifier."""
    order = survey.order()
    rank = survey.rank[order].astype(float)
    frame = pd.DataFrame(
        {
            "rank": np.where(rank > 0, rank, np.nan),
            "target": survey.spectra.target_id[order].astype(str).astype(object),
            "z": survey.spectra.redshift[order],
            "−log p": -survey.log_prob[order],
        }
    )
    return frame.set_index(pd.Index(frame["target"], name="id"))


_STYLE = """
:host .tabulator { font-size: 13px; border: none; background: transparent; font-variant-numeric: tabular-nums; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 4px 6px; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-title { font-size: 12px; padding-right: 14px; }
:host .tabulator .tabulator-header .tabulator-col .tabulator-col-sorter { right: 2px; }
:host .tabulator .tabulator-row { min-height: 28px !important; }
:host .tabulator .tabulator-row .tabulator-cell { padding: 5px 7px; height: 28px !important; font-size: 13px; }
:host .tabulator .tabulator-header-filter input { font-size: 12px; padding: 2px 6px !important; width: 100%; }
"""
