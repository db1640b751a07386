"""Why the selected target is odd: a sentence, and the features behind it, each of which zooms to its range."""

from collections.abc import Callable

import panel as pn

from app.browser.channel import Channel
from app.html.glossary import TERM_STYLE
from app.html.of_target import OF_TARGET, of_target
from app.html.why import WHY_STYLE, why_html
from app.state.target import SelectedTarget

__all__ = ["WhyPanel"]

_WAITING = {
    "unscored": "Without a score there is nothing to explain.",
    "failed": "It could not be explained.",
    "stopped": "The computation was stopped.",
    "done": "Being compared with ordinary spectra …",
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
            css_classes=[OF_TARGET],
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
            return of_target(self._session.target_id, why_html(reason, unfolded=self._unfolded))
        status = self._session.status
        otherwise = status.text if status.kind == "idle" else "Known when all window sizes are computed …"
        words = _WAITING.get(status.kind, otherwise)
        html = f'<section class="why"><h2>Why is it odd?</h2><p class="sentence quiet">{words}</p></section>'
        return of_target(self._session.target_id, html)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane
