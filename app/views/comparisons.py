"""Everything that compares targets with each other, put together for one page."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import panel as pn
from bokeh.events import DocumentReady

from app.browser.channel import Channel
from app.state.groups import GroupDesk
from app.state.labels import LabelDesk
from app.state.similar import SimilarDesk
from app.state.triage import Triage
from app.state.workspace import Workspace
from app.survey.survey import Survey
from app.views.dialogs.groups import GroupsDialog, SubsetMark
from app.views.reasons.similar import SimilarPanel
from app.views.spectrum.latent import LatentView

__all__ = ["Comparisons"]


class Comparisons:
    """Similar outliers, groups and latent space of one session.

    Attributes:
        similar: Panel for the column beside the plots.
        mark: What says above the table that it is filtered.
        groups: Dialog.
        latent: Panel for below the plots.
    """

    def __init__(
        self,
        workspace: Workspace,
        survey: Callable[[], Survey],
        triage: Triage,
        desk: LabelDesk,
        learned: Callable[[Sequence[str]], object],
        schedule: Callable[[Callable[[], None]], object],
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        """Connect them.

        Args:
            workspace: What all sessions share.
            survey: Gives the targets there are now.
            triage: The session's order and selection.
            desk: Its labels.
            learned: Called, where the page may be changed, with targets that have been explained.
            schedule: Runs a function soon where the page may be changed; called from any thread.
            later: The same in a second or two, called where the page may be changed: while many targets are
                explained one after the other, nothing is to jump about under the mouse.
        """
        findings = workspace.reasons.findings
        way: dict[str, Any] = {"submit": workspace.thinking.submit, "schedule": schedule}
        self._triage = triage
        self._similar = SimilarDesk(survey, lambda: triage.targets, findings, workspace.latents, **way)
        self._groups = GroupDesk(findings, lambda: triage.targets, **way)
        self.latent = LatentView(survey, workspace.latents, triage, desk, **way)
        self.groups = GroupsDialog(self._groups, triage, findings, schedule)
        self.mark = SubsetMark(triage, self.latent.forget_lasso)
        self.similar = SimilarPanel(self._similar, survey, findings, desk.label_of, self._group_name, schedule)
        self._heard = {
            "open": triage.select, "similar": self._similar.choose, "group": self.groups.show,
            "group-of": self.groups.show_of, "subset-clear": self.mark.clear,
        }  # fmt: skip
        self._groups.param.watch(lambda _: self.similar.update(), "groups")
        desk.param.watch(lambda _: self.similar.update(), "changed")

        self._learned, self._later = learned, later
        self._news: list[str] = []
        self._painted = False
        self._stop = findings.listen(lambda targets: schedule(partial(self._hear, targets)))
        self._groups.learned()

    @property
    def actions(self) -> dict[str, Callable[[], None]]:
        """What buttons of the header do, by their label."""
        return {"Groups": self.groups.open, "Latent space": self.latent.toggle}

    def attach(self, document: Any, channel: Channel) -> None:  # noqa: ANN401 - bokeh.document.Document, a proxy
        """Hear what buttons say in the page's channel."""
        for action, listener in self._heard.items():
            channel.on_word(action, listener)
        document.on_event(DocumentReady, self._on_painted)

    def follow(self, target_id: str) -> None:
        """Show what is similar to a target, and where it is."""
        self._similar.show(target_id)
        self.latent.mark(target_id)

    def refresh(self) -> None:
        """Take targets in that the user brought."""
        self._similar.learned()
        self.latent.refresh()

    def close(self) -> None:
        """Let go of everything; the session has ended."""
        self._stop()
        self._similar.close()
        self._groups.close()

    def _on_painted(self, event: object) -> None:
        # a table that is patched before the browser has built it fails there (Panel 1.9.4)
        self._painted = True
        if self._news:
            self._later(self._tell)

    def _hear(self, targets: Sequence[str]) -> None:
        waiting = bool(self._news)
        self._news += targets
        if not self._painted:
            return
        if self._triage.selected in targets:
            self._tell()
        elif not waiting:
            self._later(self._tell)

    def _tell(self) -> None:
        news, self._news = self._news, []
        if news:
            self._learned(news)
            self._similar.learned()
            self._groups.learned()

    def _group_name(self, target_id: str) -> str:
        group = self._groups.of(target_id)
        return "" if group is None else group.name

    def dialogs(self) -> list[pn.viewable.Viewer]:
        """Return what stands over the page."""
        return [self.groups]
