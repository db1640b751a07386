"""What the page is made of, and where it stands: table, plots, reasons and label beside each other, dialogs above."""

from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.browser.channel import Channel
from app.plots.colours import DARK, LIGHT
from app.plots.stack import PlotStack
from app.state.candidates import Intake
from app.state.session import Session
from app.views.comparisons import Comparisons
from app.views.dialogs.candidate import CandidateDialog
from app.views.dialogs.classes import ClassDialog
from app.views.dialogs.compare import CompareDialog
from app.views.dialogs.explain import ExplanationSheet
from app.views.dialogs.files import FilesDialog
from app.views.dialogs.one_at_a_time import Dialog, OnDemand
from app.views.header import Header
from app.views.look import HEADER_ROW, LARGE_TYPE, LEFT, RIGHT, set_theme
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

After = Callable[[int, Callable[[], None]], object]
"""Runs a function after so many milliseconds, where the page may be changed."""


class ExplorerView:
    """All views of one session.

    Attributes:
        parts: What the page is made of, each laid out by itself, by the names of ``app.server.frame.PARTS``.
        over: The dialogs.
        header: Its buttons, which tell the channel what was pressed.
        label: The label's form, which the browser's code starts.
        comparisons: Everything that compares targets.
    """

    def __init__(self, session: Session, stack: PlotStack, channel: Channel, after: After) -> None:
        """Build the page.

        Args:
            session: What is shown and done.
            stack: The plots of its canvas.
            channel: What the browser tells.
            after: Runs a function after so many milliseconds, where the page may be changed.
        """
        self._session, self._stack, self._channel = session, stack, channel
        choices, labels, triage = session.choices, session.labels, session.triage
        self._table = RankedTable(session.survey, triage, labels, session.workspace.reasons.findings.get)
        self._filters = TableFilters(session.survey, triage, labels)
        self.comparisons = Comparisons(session, self._table.explain, partial(after, 1500))
        self.label = LabelPanel(labels, partial(choices.open_or_close, "classes"), triage.select)
        self._explain = ExplanationSheet(session, channel)
        actions: dict[str, Callable[[], None]] = {
            "Add spectrum": partial(choices.open_or_close, "add"),
            "Files": partial(choices.open_or_close, "files"),
            "Disagreements": partial(choices.open_or_close, "disagreements"),
            "How it works": partial(choices.open_or_close, "method"),
            **self.comparisons.actions,
        }
        session.candidates.param.watch(lambda event: self._on_intake(event.new), "intake")
        dialogs: dict[str, Callable[[], Dialog]] = {
            "add": lambda: CandidateDialog(session.candidates),
            "files": lambda: FilesDialog(session, lambda: choices.dark),
            "disagreements": lambda: CompareDialog(labels, triage),
            "classes": lambda: ClassDialog(session.classes),
            **self.comparisons.dialogs,
        }
        self.over = pn.Column(*(OnDemand(choices, *one) for one in dialogs.items()), self._explain, margin=0)
        truth = bool(session.workspace.truth)
        simulated = session.workspace.survey.simulated
        self.header = Header(choices, actions, session.schedule, simulated=simulated, truth=truth)
        self.parts = {
            "header": pn.Row(self.header, **HEADER_ROW),
            "targets": self._targets(),
            "strip": self._strip(after),
            "plots": self._plots(),
            "reasons": self._reasons(),
        }
        self._restyle()
        self._paint()
        self._on_room()
        choices.param.watch(self._on_look, ["dark", "large_type"])
        choices.param.watch(self._on_room, ["details", "compare"])
        # the spectrum comes first
        choices.param.watch(lambda event: session.schedule(partial(self._table.show, event.new)), "target_id")
        triage.param.watch(lambda _: self._on_own(), "own")

    def close(self) -> None:
        """Let go of everything; the session has ended."""
        self._explain.close()
        self.comparisons.close()

    def _targets(self) -> pn.Column:
        return pn.Column(self._filters, self.comparisons.mark, self._table, styles=LEFT, **_COLUMN)

    def _strip(self, after: After) -> pn.Column:
        session, schedule = self._session, self._session.schedule
        strip = pn.Row(
            TargetStrip(session, session.choices, schedule),
            ProgressStrip(session.target, schedule, partial(after, 300)),
            sizing_mode="stretch_width",
            margin=0,
        )
        settings = session.workspace.settings
        bar = toolbar(settings.window_sizes, settings.weights)
        return pn.Column(strip, bar, methods_bar(), sizing_mode="stretch_width", margin=0)

    def _plots(self) -> pn.Column:
        return pn.Column(
            pn.pane.Bokeh(self._stack.layout, sizing_mode="stretch_both", margin=0),
            self.comparisons.latent,
            styles={"min-height": "0", "position": "relative"},
            **_COLUMN,
        )

    def _reasons(self) -> pn.Column:
        session, schedule = self._session, self._session.schedule
        why = pn.Column(
            WhyPanel(session.target, schedule, self._channel),
            RepairPanel(session.repair, schedule),
            self.comparisons.similar,
            styles={"overflow-y": "auto", "display": "block"},
            **_COLUMN,
        )
        who = WhoPanel(session, session.choices, session.workspace.truth, schedule)
        return pn.Column(who, why, AskPanel(session.asking, schedule), self.label, styles=RIGHT, **_COLUMN)

    def _paint(self) -> None:
        choices = self._session.choices
        colours, large = DARK if choices.dark else LIGHT, choices.large_type
        for one in (self._stack, self._explain, self.comparisons.latent):
            one.paint(colours, large=large)

    def _on_look(self, *events: object) -> None:
        self._restyle()
        self._session.schedule(self._paint)

    def _restyle(self) -> None:
        choices = self._session.choices
        size = LARGE_TYPE if choices.large_type else dict.fromkeys(LARGE_TYPE, "initial")
        for part in (*self.parts.values(), self.over):
            part.styles = {**part.styles, **size}
            for one in part.select(pmui.base.MaterialComponent):
                one.dark_theme = choices.dark
        set_theme(dark=choices.dark)

    def _on_room(self, *events: object) -> None:
        # two columns of plots need the width
        self.parts["reasons"].visible = self._session.choices.details and not self._session.choices.compare

    def _on_intake(self, intake: Intake) -> None:
        self.header.busy({"reading": "Reading …", "scoring": "Scoring …"}.get(intake.kind, ""))

    def _on_own(self) -> None:
        self._table.refresh(self._session.survey)
        self._filters.update()
