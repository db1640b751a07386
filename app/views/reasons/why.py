"""Why the selected target is odd: a sentence, and the features behind it, each of which zooms to its range."""

from collections.abc import Callable

import panel as pn

from app.browser.channel import Channel
from app.html.glossary import TERM_STYLE
from app.html.why import WHY_STYLE, why_html
from app.state.target import SelectedTarget

__all__ = ["WhyPanel"]

_WAITING = {
    "idle": "Select a target.",
    "unscored": "Without a score there is nothing to explain.",
    "failed": "It could not be explained.",
    "stopped": "The computation was stopped.",
}


class WhyPanel(pn.viewable.Viewer):
    """Follows the session's reason; what was unfolded stays so at the next target."""

    def __init__(
        self, session: SelectedTarget, schedule: Callable[[Callable[[], None]], object], channel: Channel
    ) -> None:
        """Build the panel; it changes in turn with everything else that is scheduled (see ``ProgressStrip``)."""
        super().__init__()
        self._session, self._unfolded = session, False
        self._shown = ""
        self.pane = pn.pane.HTML(
            self._html(),
            sizing_mode="stretch_width",
            stylesheets=[TERM_STYLE, WHY_STYLE],
            margin=0,
            styles={"flex": "0 0 auto", "max-height": "none"},
        )
        session.param.watch(lambda _: schedule(self._update), ["status", "reason"])
        channel.on_word("numbers", self._on_fold)

    def _on_fold(self, word: str) -> None:
        self._unfolded = word == "true"
        self._shown = self._html()  # as the browser has it already

    def _update(self) -> None:
        html = self._html()
        if html != self._shown:  # progress changes the status four times a second
            self._shown = self.pane.object = html

    def _html(self) -> str:
        reason = self._session.reason
        if reason is not None:
            return why_html(reason, unfolded=self._unfolded)
        words = _WAITING.get(self._session.status.kind, "Known when all window sizes are computed …")
        return f'<section class="why"><h2>Why is it odd?</h2><p class="sentence quiet">{words}</p></section>'

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane
