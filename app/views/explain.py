"""The dialog that explains inverse occlusion: words, a window to drag, and log p of what it makes."""

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
import panel as pn
import panel_material_ui as pmui

from app.events import Settings
from app.hybrid_desk import Answer, HybridDesk, Stage
from app.plots.hybrid import HybridPlots
from app.session import Session
from app.state import AppState

__all__ = ["ExplainDialog"]

_WORDS = (
    "A model has learnt what ordinary galaxy spectra look like. It gives every spectrum a number, log p: the lower, "
    "the rarer. <b>Which part</b> of an outlier is to blame?",
    "Take an ordinary spectrum at the same redshift, the <b>baseline</b>, and put one <b>window</b> of the outlier "
    "into it. If log p falls, ordinary galaxies do not look like that there. Slide the window along, with windows of "
    "other sizes and with other baselines: that is inverse multiscale occlusion.",
    "Why not repair the outlier instead? Because the rest of it would still be odd, and on odd spectra the model is "
    "least to be trusted. Here all but the window is ordinary.",
)


class ExplainDialog(pn.viewable.Viewer):
    """Open while ``state.explaining``; shows the selected target."""

    def __init__(
        self,
        state: AppState,
        session: Session,
        plots: HybridPlots,
        settings: Settings,
        *,
        submit: Callable[[Callable[[], None]], object],
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Build the dialog, closed."""
        super().__init__()
        self._state, self._session, self._plots = state, session, plots
        self.desk = HybridDesk(
            lambda: session.survey,
            settings,
            submit=submit,
            schedule=schedule,
            on_stage=self._on_stage,
            on_answer=self._on_answer,
            on_problem=lambda words: plots.say(f"This target cannot be used here: {words}"),
        )
        plots.on_question(self.desk.ask, self.desk.stop)
        text = pn.pane.HTML(_page(plots.window_sizes), stylesheets=[_STYLE], width=330, margin=(0, 16, 0, 0))
        figures = pn.pane.Bokeh(plots.layout, sizing_mode="stretch_width", margin=0, min_height=530)
        self.dialog = pmui.Dialog(
            pn.Row(text, figures, sizing_mode="stretch_width", margin=0),
            title="How inverse occlusion finds what is odd",
            title_variant="h6",
            close_on_click=True,
            show_close_button=True,
            sizing_mode="stretch_width",
            width_option="xl",
        )
        state.param.watch(self._on_open, "explaining")
        state.param.watch(lambda _: self._show(), "target_id")
        self.dialog.param.watch(lambda event: state.param.update(explaining=event.new), "open")

    def open(self) -> None:
        """Show the dialog."""
        self._state.explaining = True

    def close(self) -> None:
        """Let go of everything; the session has ended."""
        self.desk.leave()

    def _on_open(self, event: object) -> None:
        self.dialog.open = self._state.explaining
        if self._state.explaining:
            self._show()
        else:
            self.desk.leave()

    def _show(self) -> None:
        if not self._state.explaining:
            return
        if self._state.target_id:
            self._plots.say("Preparing …")
            self.desk.show(self._state.target_id)
        else:
            self._plots.say("Select a target first")

    def _on_stage(self, stage: Stage) -> None:
        self._plots.show_stage(
            stage.target_id, stage.redshift, stage.flux, stage.usable, stage.baselines, stage.baseline_log_prob,
            stage.own_log_prob, self._hints(stage.target_id),
        )  # fmt: skip

    def _on_answer(self, answer: Answer) -> None:
        question = answer.question
        self._plots.show_answer(answer.starts, question.window, question.baseline, answer.log_prob, answer.last)

    def _hints(self, target_id: str) -> dict[int, int]:
        """Return where each window size sees most, where that is known: the first pixel of the window."""
        found = self._session.attribution
        if found is None or self._session.target_id != target_id:
            return {}
        hints = {}
        for size, mean in zip(found.window_sizes, found.mean, strict=True):
            if np.isfinite(mean).any():
                peak = int(np.nanargmax(mean))
                hints[size] = peak - peak % size
        return hints

    def __panel__(self) -> pn.viewable.Viewable:
        return self.dialog


def _page(window_sizes: Sequence[int]) -> str:
    sizes = "".join(
        f'<button type="button" data-size="{size}" aria-pressed="false" onclick="window.imoHybrid.size({size})">{size}'
        "</button>"
        for size in window_sizes
    )
    facts = (
        ("baseline alone", "base", ""),
        ("with the window", "hybrid", ""),
        ("log p falls by", "fall", "big"),
    )
    rows = "".join(
        f'<div class="{kind}"><dt>{escape(words)}</dt><dd data-fact="{name}">–</dd></div>'
        for words, name, kind in facts
    )
    return (
        '<section class="explain" data-hybrid>'
        + "".join(f"<p>{words}</p>" for words in _WORDS)
        + '<p class="words" role="status" data-fact="words"></p><div class="live">'
        f'<div class="row"><span class="group" role="group" aria-label="Window size, pixels">'
        f'<span class="name">Window / pixel</span>{sizes}</span></div>'
        '<div class="row"><button type="button" class="play" data-play onclick="window.imoHybrid.play()">Play</button>'
        '<label><span class="name">Baseline</span> <select onchange="window.imoHybrid.baseline(Number(this.value))">'
        "</select></label></div>"
        '<input type="range" min="0" max="7780" aria-label="Where the window begins, pixel" '
        'oninput="window.imoHybrid.moveTo(Number(this.value))">'
        '<div class="where" data-fact="where"></div>'
        f'<dl aria-live="off"><div class="head">log p of the</div>{rows}</dl>'
        '<div class="bar" data-bar aria-hidden="true"><span></span></div>'
        '<div class="each" data-fact="each"></div><div class="meaning" data-fact="meaning"></div>'
        '<p class="keys">Outlier <span data-fact="id"></span>: log p <span data-fact="own"></span>. Drag the window; '
        "<kbd>←</kbd> <kbd>→</kbd> move (with Shift further), <kbd>↑</kbd> <kbd>↓</kbd> other sizes, <kbd>Space</kbd> "
        "plays.</p></div></section>"
    )


_STYLE = """
.explain { font-size: calc(13px * var(--imo-type, 1)); line-height: 1.45; color: var(--imo-text);
  font-variant-numeric: tabular-nums; }
p { margin: 0 0 8px; }
.words { color: var(--imo-warning); } .words:empty { display: none; }
.explain:not([data-ready]) .live { visibility: hidden; }
.row { display: flex; align-items: center; gap: 12px; margin: 4px 0; }
.group { display: inline-flex; align-items: center; }
.name { color: var(--imo-muted); margin-right: 8px; }
button, select { font: inherit; color: var(--imo-text); background: var(--imo-surface);
  border: 1px solid var(--imo-line); padding: 2px 9px; min-height: 26px; cursor: pointer; border-radius: 5px; }
.group button { border-radius: 0; margin-left: -1px; }
button[aria-pressed="true"], .play { background: var(--imo-accent); border-color: var(--imo-accent);
  color: var(--imo-on-accent); }
.play { min-width: 68px; font-weight: 600; }
button:focus-visible, select:focus-visible, input:focus-visible { outline: 2px solid var(--imo-accent);
  outline-offset: 1px; }
input[type="range"] { width: 100%; margin: 6px 0 0; accent-color: var(--imo-accent); }
.where, .each, .keys, .head { color: var(--imo-muted); }
.where, .each { white-space: nowrap; min-height: 1.45em; }
dl { margin: 6px 0 4px; }
dl div { display: flex; justify-content: space-between; align-items: baseline; }
dt { color: var(--imo-muted); } dd { margin: 0; font-weight: 600; font-size: 1.15em; }
dl .big { border-top: 1px solid var(--imo-line); }
.big dt { color: var(--imo-text); font-weight: 600; } .big dd { font-size: 1.7em; }
.bar { height: 8px; border-radius: 4px; background: var(--imo-line); overflow: hidden; }
.bar span { display: block; height: 100%; width: calc(100% * var(--fall, 0)); background: var(--imo-warning);
  transition: width 0.12s; }
.meaning { font-weight: 600; min-height: 1.45em; }
.keys { margin: 8px 0 0; font-size: 0.92em; }
kbd { padding: 0 4px; border-radius: 4px; border: 1px solid var(--imo-line);
  font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
"""
