"""The answer to "what if this range were ordinary": a sentence, and log p over the baselines in both directions."""

from collections.abc import Callable
from html import escape

import panel as pn

from app.html.glossary import TERM_STYLE, explained
from app.html.numbers import printed
from app.plots.strips import Dot, Strip, strips_svg
from app.state.asking import Answer, Question, RangeQuestions, in_words
from app.state.keys import keys_of
from imo_engine.spectra.ranges import range_words

__all__ = ["AskPanel", "ask_html"]


class AskPanel(pn.viewable.Viewer):
    """Follows the desk's question; takes no room while nothing is asked."""

    def __init__(self, desk: RangeQuestions, schedule: Callable[[Callable[[], None]], object]) -> None:
        """Build the panel; it changes in turn with everything else that is scheduled (see ``ProgressStrip``)."""
        super().__init__()
        self._desk = desk
        self.pane = pn.pane.HTML(
            ask_html(desk.question), sizing_mode="stretch_width", stylesheets=[TERM_STYLE, _STYLE], margin=0
        )
        desk.param.watch(lambda _: schedule(self._update), "question")

    def _update(self) -> None:
        self.pane.object = ask_html(self._desk.question)

    def __panel__(self) -> pn.viewable.Viewable:
        return self.pane


def ask_html(question: Question) -> str:
    """Return the panel for a question."""
    if question.kind == "idle":
        words = f"What does a range do? {keys_of('brush')} and drag, or {keys_of('brush-view')} for the view."
        return f'<section class="ask" data-ask="idle"><p class="quiet">{escape(words)}</p></section>'
    span = range_words(question.low, question.high)
    head = (
        f'<h2>What if {escape(span)} were ordinary?<span class="quiet">{escape(keys_of("leave"))} forgets</span></h2>'
    )
    if question.kind == "failed":
        body = f'<p class="failed" role="alert">{escape(question.text)}</p>'
    elif question.answer is None:
        body = '<p class="quiet" role="status">Asking the model …</p>'
    else:
        body = _answer(question.answer)
    return f'<section class="ask" aria-label="What if" data-ask="{question.kind}">{head}{body}</section>'


def _answer(answer: Answer) -> str:
    probe = answer.probe
    first, second = in_words(answer)
    ranked = len(answer.ranks) == len(probe.repaired)
    repaired = [
        Dot(value, _log_p(value) + (f", {answer.ranks[k]}" if ranked else ""))
        for k, value in enumerate(probe.repaired.tolist())
    ]
    strips = (
        Strip("spectrum", "● this spectrum, range of each baseline   ○ as it is", repaired, [_plain(probe.own)]),
        Strip(
            "baseline",
            "● baselines, range of this spectrum   ○ as they are",
            [_plain(value) for value in probe.spoiled.tolist()],
            [_plain(value) for value in probe.baselines.tolist()],
        ),
    )
    rest = 1 + answer.redshift
    pixels = f"{answer.pixels:,} pixel{'s' if answer.pixels > 1 else ''}"
    if probe.pixels < answer.pixels:
        pixels = f"{probe.pixels:,} of {pixels}, the others not measured or beyond the model"
    facts = f"rest {range_words(answer.low / rest, answer.high / rest)} · {pixels}"
    return (
        f'<p class="sentence" role="status">{explained(first)}</p>'
        f"{strips_svg(strips, 'log p (nat)', f'{first} {second}')}"
        f'<p class="quiet">{explained(f"{second} {facts}")}</p>'
    )


def _plain(value: float) -> Dot:
    return Dot(value, _log_p(value))


def _log_p(value: float) -> str:
    return f"log p {printed(value, '.1f')}"


_STYLE = """
.ask { padding: 6px 10px; font-size: calc(12.5px * var(--imo-type, 1)); color: var(--imo-text); line-height: 1.4;
  font-variant-numeric: tabular-nums; border-top: 1px solid var(--imo-line); }
h2 { font-size: calc(13px * var(--imo-type, 1)); margin: 2px 0; font-weight: 600; display: flex;
  justify-content: space-between; gap: 8px; }
h2 .quiet { font-weight: 400; }
@media (max-height: 760px) { [data-ask="idle"] { display: none; } }  /* the list of keys says it, too */
p { margin: 2px 0; }
.quiet { color: var(--imo-muted); font-size: calc(11.5px * var(--imo-type, 1)); }
.failed { color: var(--imo-warning); }
[data-ask="asking"] .strips, [data-ask="asking"] p { opacity: 0.55; }
.strips { display: block; margin: 4px 0; overflow: visible; }
text { font-size: 11px; fill: var(--imo-text); font-family: inherit; }
.tick, .axis { fill: var(--imo-muted); font-size: 10.5px; }
.grid { stroke: var(--imo-line); }
circle.changed { fill: var(--imo-accent); fill-opacity: 0.75; }
circle.changed.baseline { fill: var(--imo-warning); }
circle.unchanged { fill: none; stroke: var(--imo-text); stroke-width: 1.3; }
.median { stroke-width: 2; stroke: var(--imo-accent); }
.median.baseline { stroke: var(--imo-warning); }
.median.unchanged { stroke: var(--imo-muted); stroke-width: 1.3; }
"""
