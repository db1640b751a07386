"""What the engine is doing: words, a bar, and a button that stops or repeats it."""

from collections.abc import Callable
from html import escape

import panel as pn
import panel_material_ui as pmui

from app.html.of_target import OF_TARGET
from app.state.target import SelectedTarget, Status

__all__ = ["ProgressStrip"]


class ProgressStrip(pn.viewable.Viewer):
    """Follows ``session.status``."""

    def __init__(
        self,
        session: SelectedTarget,
        schedule: Callable[[Callable[[], None]], object],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """Build the strip; it changes in turn with everything else that is scheduled.

        Panel sends what is changed outside of its document's turn as it was then, later: after what was changed since.

        Args:
            session: Whose status it shows.
            schedule: Runs a function soon where the page may be changed.
            soon: The same a moment later. The button comes only then: what is known already needs none, and a button
                that comes or goes makes the browser lay the whole page out again, which takes longer than the plots.
        """
        super().__init__()
        self._session, self._soon = session, soon
        self._coming = False
        self.text = pn.pane.HTML(
            self._bar(), sizing_mode="stretch_width", stylesheets=[_STYLE], css_classes=[OF_TARGET], margin=0
        )
        self.button = pmui.Button(
            label="Cancel",
            size="small",
            variant="outlined",
            margin=(2, 8),
            visible=False,
            on_click=self._on_click,
            sx={"height": "26px", "padding": "0 10px", "minWidth": "0"},
        )
        session.param.watch(lambda _: schedule(self._show), "status")

    def _show(self) -> None:
        self.text.object = self._bar()
        if self.button.visible or not self._label():
            self._show_button()
        elif not self._coming:
            self._coming = True
            self._soon(self._show_button)

    def _show_button(self) -> None:
        self._coming, label = False, self._label()
        if label:
            self.button.label = label
        self.button.visible = bool(label)

    def _label(self) -> str:
        """Return what the button does now; empty if there is nothing to do."""
        status = self._session.status
        if status.refining or status.kind in ("queued", "computing"):
            return "Cancel"
        return "Compute again" if status.kind in ("stopped", "failed") else ""

    def _on_click(self, event: object) -> None:
        if self._label() == "Cancel":
            self._session.cancel()
        else:
            self._session.retry()

    def _bar(self) -> str:
        return _bar(self._session.status, self._session.target_id)

    def __panel__(self) -> pn.viewable.Viewable:
        return pn.Row(
            self.text, self.button, sizing_mode="stretch_width", height=30, margin=0, styles={"align-items": "center"}
        )


def _bar(status: Status, target_id: str) -> str:
    percent = 0 if status.fraction is None else round(100 * status.fraction, 1)
    waiting = " waiting" if status.kind == "queued" else ""
    refining = " refining" if status.refining else ""
    title = f"{status.text}; {status.detail}" if status.detail else status.text  # the words may be cut
    return (
        f'<div class="progress {status.kind}{refining}" role="status" aria-live="polite" data-status="{status.kind}" '
        f'data-of="{escape(target_id)}" '
        f'title="{escape(title)}">'
        f'<span class="words">{escape(status.text)}</span>'
        f'<span class="track"><span class="fill{waiting}" style="width:{percent}%"></span></span></div>'
    )


_STYLE = """
.progress { display: flex; align-items: center; gap: 14px; padding: 0 8px; height: 28px;
  font-size: calc(12.5px * var(--imo-type, 1));
  font-variant-numeric: tabular-nums; color: var(--imo-muted); }
.words { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.track { flex: 1 1 60px; height: 4px; border-radius: 2px; background: var(--imo-line); overflow: hidden; }
.fill { display: block; height: 100%; background: var(--imo-accent); transition: width 0.25s linear; }
.fill.waiting { width: 30% !important; animation: slide 1.2s ease-in-out infinite alternate; }
@keyframes slide { from { margin-left: 0 } to { margin-left: 70% } }
.idle .track, .done .track, .failed .track, .stopped .track, .unscored .track { display: none; }
.progress.refining .track { display: block; }
.failed .words, .unscored .words { color: var(--imo-warning); white-space: normal; }
"""
