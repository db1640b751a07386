"""The sheet that explains inverse occlusion: words, a window to drag, and log p of what it makes."""

from functools import partial

import numpy as np
import panel as pn

from app.browser.channel import Channel
from app.browser.hybrid import connect_hybrid
from app.html.explanation import EXPLANATION_STYLE, explanation_html
from app.html.glossary import TERM_STYLE
from app.plots.colours import LIGHT, Colours
from app.plots.hybrid import HybridPlots
from app.state.hybrid import Answer, LiveExplanation, Stage
from app.state.session import Session

__all__ = ["ExplanationSheet"]

_SHEET = {
    "position": "fixed",
    "top": "60px",
    "left": "3vw",
    "right": "3vw",
    "max-height": "calc(100vh - 76px)",
    "overflow-y": "auto",
    "z-index": "1200",
    "padding": "12px 18px",
    "box-sizing": "border-box",
    "border-radius": "8px",
    "background": "var(--imo-background)",
    "box-shadow": "0 0 0 100vmax rgba(0, 0, 0, 0.45)",
}


class ExplanationSheet(pn.viewable.Viewer):
    """Lies over the page while ``state.dialog`` is "method"; shows the selected target, made when first wanted."""

    def __init__(self, session: Session, channel: Channel) -> None:
        """Follow a session, and hear questions in the page's channel; the sheet is hidden."""
        super().__init__()
        state, schedule = session.choices, session.schedule
        self._state, self._session = state, session
        self._plots: HybridPlots | None = None  # made when they are first wanted
        self._look = LIGHT, False
        self._schedule, self._channel = schedule, channel
        self.desk = LiveExplanation(
            lambda: session.survey,
            session.workspace.settings,
            submit=session.workspace.thinking.submit,
            schedule=schedule,
            on_stage=self._on_stage,
            on_answer=self._on_answer,
            on_problem=lambda words: self._say(f"This target cannot be used here: {words}"),
        )
        self.sheet = pn.Column(visible=False, styles=_SHEET, margin=0)
        state.param.watch(self._on_open, "dialog")
        state.param.watch(lambda _: schedule(self._show), "target_id")

    def close(self) -> None:
        """Let go of everything; the session has ended."""
        self.desk.leave()

    def paint(self, colours: Colours, *, large: bool = False) -> None:
        """Use a set of colours and sizes."""
        self._look = colours, large
        if self._plots is not None:
            self._plots.paint(colours, large=large)

    def _build(self) -> HybridPlots:
        plots = HybridPlots(self._session.survey.spectra.wavelength, self._session.workspace.settings.window_sizes)
        connect_hybrid(plots, self._channel, self.desk.ask, self.desk.stop)
        plots.paint(self._look[0], large=self._look[1])
        text = pn.pane.HTML(
            explanation_html(plots.window_sizes),
            stylesheets=[TERM_STYLE, EXPLANATION_STYLE],
            width=330,
            margin=(0, 16, 0, 0),
        )
        figures = pn.pane.Bokeh(plots.layout, sizing_mode="stretch_width", margin=0, min_height=594)
        self.sheet[:] = [pn.Row(text, figures, sizing_mode="stretch_width", margin=0)]
        return plots

    def _on_open(self, event: object) -> None:
        if self._state.dialog != "method":
            self.sheet.visible = False
            self.desk.leave()
            return
        if self._plots is None:
            self._plots = self._build()
        self.sheet.visible = True
        self._show()

    def _show(self) -> None:
        if self._state.dialog != "method":
            return
        if self._state.target_id:
            self._say("Preparing …")
            self.desk.show(self._state.target_id)
        else:
            self._say("Select a target first")

    def _say(self, words: str) -> None:
        if self._plots is not None:
            self._schedule(partial(self._plots.say, words))

    def _on_stage(self, stage: Stage) -> None:
        if self._plots is None:
            return
        self._plots.show_stage(
            stage.target_id, stage.redshift, stage.flux, stage.usable, stage.baselines, stage.baseline_log_prob,
            stage.own_log_prob, self._hints(stage.target_id),
        )  # fmt: skip

    def _on_answer(self, answer: Answer) -> None:
        question = answer.question
        if self._plots is not None:
            self._plots.show_answer(answer.starts, question.window, question.baseline, answer.log_prob, answer.last)

    def _hints(self, target_id: str) -> dict[int, int]:
        """Return where each window size sees most, where that is known: the first pixel of the window."""
        found = self._session.target.attribution
        if found is None or self._state.target_id != target_id:
            return {}
        hints = {}
        for size, mean in zip(found.window_sizes, found.mean, strict=True):
            if np.isfinite(mean).any():
                peak = int(np.nanargmax(mean))
                hints[size] = peak - peak % size
        return hints

    def __panel__(self) -> pn.viewable.Viewable:
        return self.sheet
