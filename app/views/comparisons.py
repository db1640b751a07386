"""Everything that compares targets with each other, put together for one page."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bokeh.events import DocumentReady

from app.browser.channel import Channel
from app.state.session import Session
from app.state.triage import Subset
from app.views.dialogs.groups import GroupsDialog, SubsetMark
from app.views.dialogs.one_at_a_time import Dialog
from app.views.reasons.similar import SimilarPanel
from app.views.spectrum.latent import LatentView

__all__ = ["Comparisons"]


class Comparisons:
    """Similar outliers, groups and latent space of one session.

    Attributes:
        similar: Panel for the column beside the plots.
        mark: What says above the table that it is filtered.
        latent: Panel for below the plots.
        close: Lets go of everything; the session has ended.
    """

    def __init__(
        self,
        session: Session,
        learned: Callable[[Sequence[str]], object],
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        """Connect them.

        Args:
            session: Compares targets.
            learned: Called, where the page may be changed, with targets that have been explained.
            later: Runs a function in a second or two, called where the page may be changed: while many targets are
                explained one after the other, nothing is to jump about under the mouse.
        """
        workspace, triage, labels, schedule = session.workspace, session.triage, session.labels, session.schedule
        findings, groups = workspace.reasons.findings, session.groups
        self._session = session
        self.latent = LatentView(
            lambda: session.survey,
            workspace.latents,
            triage,
            labels,
            submit=workspace.thinking.submit,
            schedule=schedule,
        )
        self._groups = partial(GroupsDialog, groups, triage, findings, schedule)
        self.mark = SubsetMark(triage, self.latent.forget_lasso)
        self.similar = SimilarPanel(
            session.similar, lambda: session.survey, findings, labels.label_of, self._group_name, schedule
        )
        self._heard = {
            "open": triage.select, "similar": session.similar.choose, "group": self._show_group,
            "group-of": self._show_group_of, "subset-clear": self.mark.clear,
        }  # fmt: skip
        groups.param.watch(lambda _: self.similar.update(), "groups")
        labels.param.watch(lambda _: self.similar.update(), "changed")
        triage.param.watch(lambda _: self.latent.refresh(), "own")
        self.latent.close.on_click(lambda _: session.choices.toggle("latent"))
        session.choices.param.watch(lambda event: self.latent.show(visible=event.new), "latent")
        session.choices.param.watch(lambda event: schedule(partial(self.latent.mark, event.new)), "target_id")

        self._learned, self._later = learned, later
        self._news: list[str] = []
        self._painted = False
        self.close = findings.listen(lambda targets: schedule(partial(self._hear, targets)))

    @property
    def actions(self) -> dict[str, Callable[[], None]]:
        """What buttons of the header do, by their label."""
        choices = self._session.choices
        return {"Groups": partial(choices.open_or_close, "groups"), "Latent space": partial(choices.toggle, "latent")}

    def attach(self, document: Any, channel: Channel) -> None:  # noqa: ANN401 - bokeh.document.Document, a proxy
        """Hear what buttons say in the page's channel."""
        for action, listener in self._heard.items():
            channel.on_word(action, listener)
        document.on_event(DocumentReady, self._on_painted)

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
        if self._session.triage.selected in targets:
            self._tell()
        elif not waiting:
            self._later(self._tell)

    def _tell(self) -> None:
        news, self._news = self._news, []
        if news:
            self._learned(news)
            self._session.learned()

    def _show_group(self, number: str) -> None:
        """Let the table show the group with a number, as text, and nothing else."""
        group = self._session.groups.numbered(number)
        if group is not None:
            self._session.triage.within = Subset(group.name, frozenset(group.targets))
            self._session.choices.closed("groups")

    def _show_group_of(self, target_id: str) -> None:
        group = self._session.groups.of(target_id)
        if group is not None:
            self._show_group(str(group.number))

    def _group_name(self, target_id: str) -> str:
        group = self._session.groups.of(target_id)
        return "" if group is None else group.name

    @property
    def dialogs(self) -> dict[str, Callable[[], Dialog]]:
        """What makes the dialogs that stand over the page, by their names in ``app.state.choices``."""
        return {"groups": self._groups}
