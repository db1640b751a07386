"""What the page is made of, and where it stands: table, plots, reasons and label beside each other, dialogs above."""

from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.browser.channel import Channel
from app.html.theme import variables
from app.plots.colours import DARK, LIGHT
from app.plots.stack import PlotStack
from app.state.session import Session
from app.views.comparisons import Comparisons
from app.views.dialogs.candidate import CandidateDialog
from app.views.dialogs.classes import ClassDialog
from app.views.dialogs.compare import CompareDialog
from app.views.dialogs.explain import ExplanationSheet
from app.views.dialogs.files import FilesDialog
from app.views.header import header
from app.views.look import HEADER, LEFT, RIGHT, let_go, page_look
from app.views.reasons.ask import AskPanel
from app.views.reasons.label import LabelPanel
from app.views.reasons.repair import RepairPanel
from app.views.reasons.who import WhoPanel
from app.views.reasons.why import WhyPanel
from app.views.spectrum.methods import methods_bar
from app.views.spectrum.progress import ProgressStrip
from app.views.spectrum.target import TargetStrip
from app.views.spectrum.toolbar import toolbar
from app.views.table.filters import TableFilters
from app.views.table.table import RankedTable

__all__ = ["ExplorerView"]

_COLUMN: dict[str, Any] = {"sizing_mode": "stretch_both", "margin": 0}
_HEIGHT = {"height": f"calc(100vh - {HEADER}px)"}

After = Callable[[int, Callable[[], None]], object]
"""Runs a function after so many milliseconds, where the page may be changed."""


class ExplorerView:
    """All views of one session.

    Attributes:
        page: To be served.
        label: The label's form, which the browser's code starts.
        comparisons: Everything that compares targets.
    """

    def __init__(
        self, session: Session, stack: PlotStack, channel: Channel, after: After, *, dark: bool = False
    ) -> None:
        """Build the page.

        Args:
            session: What is shown and done.
            stack: The plots of its canvas.
            channel: What the browser tells.
            after: Runs a function after so many milliseconds, where the page may be changed.
            dark: Whether it begins with the dark colours.
        """
        self._session, self._stack = session, stack
        choices, labels, triage = session.choices, session.labels, session.triage
        self._table = RankedTable(session.survey, triage, labels, session.workspace.reasons.brief)
        self._filters = TableFilters(session.survey, triage, labels)
        self.comparisons = Comparisons(session, self._table.explain, partial(after, 1500))
        classes = ClassDialog(session.classes)
        self.label = LabelPanel(labels, classes.open, triage.select)
        self._explain = ExplanationSheet(session, channel)
        add, compare = CandidateDialog(session.candidates), CompareDialog(labels, triage)
        files = FilesDialog(session, lambda: self.page.dark_theme)
        actions = {
            "Add spectrum": add.open,
            "Files": files.open,
            "Disagreements": compare.open,
            "How it works": self._explain.open,
            **self.comparisons.actions,
        }
        self._right = self._reasons()
        self._body = pmui.Row(self._targets(), self._plots(after), self._right, styles=_HEIGHT, **_COLUMN)
        truth = bool(session.workspace.truth)
        self.page = pmui.Page(
            title="IMO Explorer",
            main=[self._body, add, files, compare, classes, self._explain, *self.comparisons.dialogs()],
            header=header(choices, actions, simulated=session.workspace.survey.simulated, truth=truth),
            raw_css=["html, body { overflow: hidden }"],
            stylesheets=[variables()],
            busy_indicator=None,
            dark_theme=dark,
            **page_look(),
        )
        let_go(self.page)
        self._paint()
        self.page.param.watch(self._on_look, "dark_theme")
        choices.param.watch(self._on_look, "large_type")
        choices.param.watch(self._on_room, ["details", "compare"])
        # the spectrum comes first
        choices.param.watch(lambda event: session.schedule(partial(self._table.show, event.new)), "target_id")
        triage.param.watch(lambda _: self._on_own(), "own")

    def close(self) -> None:
        """Let go of everything; the session has ended."""
        self._explain.close()
        self.comparisons.close()

    def _targets(self) -> pn.viewable.Viewable:
        return pmui.Column(self._filters, self.comparisons.mark, self._table, styles=LEFT, **_COLUMN)

    def _plots(self, after: After) -> pn.viewable.Viewable:
        session, schedule = self._session, self._session.schedule
        strip = pn.Row(
            TargetStrip(session, session.choices, schedule),
            ProgressStrip(session.target, schedule, partial(after, 300)),
            sizing_mode="stretch_width",
            margin=0,
        )
        return pmui.Column(
            strip,
            toolbar(session.workspace.settings.window_sizes, session.workspace.settings.weights),
            methods_bar(),
            pn.pane.Bokeh(self._stack.layout, sizing_mode="stretch_both", margin=0),
            self.comparisons.latent,
            styles={"min-width": "0", "position": "relative"},
            **_COLUMN,
        )

    def _reasons(self) -> pn.viewable.Viewable:
        session, schedule = self._session, self._session.schedule
        why = pn.Column(
            WhyPanel(session.target, schedule),
            RepairPanel(session.repair, schedule),
            self.comparisons.similar,
            styles={"overflow-y": "auto", "display": "block"},
            **_COLUMN,
        )
        who = WhoPanel(session, session.choices, session.workspace.truth, schedule)
        return pmui.Column(who, why, AskPanel(session.asking, schedule), self.label, styles=RIGHT, **_COLUMN)

    def _paint(self) -> None:
        colours, large = DARK if self.page.dark_theme else LIGHT, self._session.choices.large_type
        for one in (self._stack, self._explain, self.comparisons.latent):
            one.paint(colours, large=large)

    def _on_look(self, event: object) -> None:
        large = {"--imo-type": "1.3", "--imo-extra": "none", "--imo-over": "absolute", "--imo-idle": "hidden"}
        self._body.styles = {**_HEIGHT, **(large if self._session.choices.large_type else {})}
        self._session.schedule(self._paint)

    def _on_room(self, *events: object) -> None:
        # two columns of plots need the width
        self._right.visible = self._session.choices.details and not self._session.choices.compare

    def _on_own(self) -> None:
        self._table.refresh(self._session.survey)
        self._filters.update()
