"""What it takes to make the selected target ordinary: a sentence, and the regions, each of which zooms to its range."""

from collections.abc import Callable

import panel as pn

from app.html.glossary import TERM_STYLE
from app.html.of_target import OF_TARGET, of_target
from app.html.repair import REPAIR_STYLE, repair_html
from app.state.repair import TargetRepair

__all__ = ["RepairPanel"]


class RepairPanel(pn.viewable.Viewer):
    """Follows the desk's state."""

    def __init__(self, desk: TargetRepair, schedule: Callable[[Callable[[], None]], object]) -> None:
        """Build the panel; it changes in turn with everything else that is scheduled (see ``ProgressStrip``)."""
        super().__init__()
        self._desk = desk
        self._shown = self._html()
        self.pane = pn.pane.HTML(
            self._shown,
            sizing_mode="stretch_width",
            stylesheets=[TERM_STYLE, REPAIR_STYLE],
            css_classes=[OF_TARGET],
            margin=0,
            styles={"flex": "0 0 auto", "max-height": "none"},
        )
        desk.param.watch(lambda _: schedule(self._update), "state")

    def _update(self) -> None:
        html = self._html()
        if html != self._shown:
            self._shown = self.pane.object = html

    def _html(self) -> str:
        return of_target(self._desk.target_id, repair_html(self._desk.state))

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane
