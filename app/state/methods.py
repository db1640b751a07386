"""Other attribution methods of the selected target, computed when they are asked for; usable without a browser."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import param

from app.computing.events import Event, Failed, MethodFinished, MethodSettings, Progress, Queued, Settings, Stopped
from app.computing.explainer import Explainer
from app.state.background import Claim, Schedule
from app.state.canvas import Canvas, MethodRow
from app.state.choices import Choices
from app.state.method_choices import METHOD_CHOICES, known_methods
from app.state.target import SelectedTarget

if TYPE_CHECKING:
    from imo_engine.methods import MethodAttribution

__all__ = ["ComparedMethods", "toggle_method"]

_LABELS = {choice.name: choice.label for choice in METHOD_CHOICES}
_IMO_FIRST = ("queued", "computing")


class ComparedMethods:
    """Follows the target, the chosen methods and whether they are on the page.

    A target's inverse occlusion comes first; then its methods wait in the same queue, in the session's name. What is
    not wanted any more, because another target was selected or the method was switched off, stops within one batch.
    """

    def __init__(
        self,
        state: Choices,
        session: SelectedTarget,
        explainer: Explainer,
        canvas: Canvas,
        schedule: Schedule,
        settings: Settings,
        *,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """Connect the parts.

        Args:
            state: The session's choices.
            session: Explains the target.
            explainer: The process's queue.
            canvas: Where the methods are drawn.
            schedule: Runs a function soon where the document may be changed; called from any thread.
            settings: Whose baselines the methods use too.
            alive: Whether a browser is connected.
        """
        self._state, self._session, self._explainer = state, session, explainer
        self._canvas, self._schedule, self._settings, self._alive = canvas, schedule, settings, alive
        self._pending = False
        self._claims: dict[str, Claim] = {}
        self._rows: dict[str, MethodRow] = {}  # what is known of the target's methods
        self._records: dict[str, MethodAttribution] = {}
        state.param.watch(lambda *_: self._update(), ["compare", "methods"])
        session.param.watch(self._on_status, "status")

    @property
    def rows(self) -> list[MethodRow]:
        """What the panels show, from top to bottom; empty unless they are on the page."""
        if not self._state.compare:
            return []
        return [self._rows.get(name) or self._waiting(name) for name in known_methods(self._state.methods)]

    @property
    def finished(self) -> "list[tuple[str, MethodAttribution]]":
        """What the panels show that is complete, with its name for people, from top to bottom."""
        return [(_LABELS[row.name], self._records[row.name]) for row in self.rows if row.state == "done"]

    def select(self) -> None:
        """Follow the session to another target."""
        self._release(list(self._claims))
        self._rows, self._records = {}, {}
        self._update()

    def close(self) -> None:
        """Let go of everything; the session has ended."""
        self._release(list(self._claims))

    def _on_status(self, event: param.parameterized.Event) -> None:
        if event.old.kind != event.new.kind:
            self._update()

    def _update(self) -> None:
        """Ask for what is wanted and not there, let go of what is not wanted, and show it."""
        state, status = self._state, self._session.status
        wanted = known_methods(state.methods) if state.compare and state.target_id else []
        self._release([name for name in self._claims if name not in wanted])
        missing = [name for name in wanted if name not in self._rows and name not in self._claims]
        if missing and status.kind == "unscored":
            for name in missing:
                self._rows[name] = MethodRow(name, _LABELS[name], note=status.text, state="failed")
        elif missing and status.kind not in _IMO_FIRST:
            # each owner's newest request is served first: the top one goes to an idle engine, the others in turn
            for name in [missing[0], *missing[:0:-1]]:
                self._request(name)
        self._show()

    def _request(self, name: str) -> None:
        claim = self._claims[name] = Claim(self._explainer, self._schedule, self._session.name, self._alive)
        claim.ask(self._state.target_id, MethodSettings(name, self._settings), partial(self._hear, name))

    def _release(self, names: list[str]) -> None:
        for name in names:
            self._claims.pop(name).release()
            if name in self._rows and self._rows[name].state in ("waiting", "computing"):
                del self._rows[name]

    def _hear(self, name: str, event: Event) -> None:
        label = _LABELS[name]
        match event:
            case Queued():
                self._rows[name] = self._waiting(name)
            case Progress(done, total, _, device, left):
                rest = f", {max(1, round(left))} s left" if left is not None and left >= 1 else ""
                note = f"Computing on {device}: {done:,} of about {total:,} evaluations{rest}"
                self._rows[name] = MethodRow(name, label, note=note, state="computing")
            case MethodFinished(record):
                self._rows[name], self._records[name] = finished_row(name, record), record
            case Failed(message):
                self._rows[name] = MethodRow(name, label, note=message, state="failed")
            case Stopped():
                self._rows[name] = MethodRow(name, label, note="Stopped; switch it off and on again", state="failed")
        if self._rows[name].state in ("done", "failed"):
            self._claims.pop(name).end()
        self._show()

    def _waiting(self, name: str) -> MethodRow:
        if not self._state.target_id:
            words = self._session.status.text
        elif self._session.status.kind in _IMO_FIRST:
            words = "Waits for inverse occlusion"
        else:
            words = "Waiting for the engine"
        return MethodRow(name, _LABELS[name], note=words)

    def _show(self) -> None:
        """Show everything once, however many changes come before the page's turn."""
        if not self._pending:
            self._pending = True
            self._schedule(self._draw)

    def _draw(self) -> None:
        self._pending = False
        self._canvas.show_methods(self._state.compare, self.rows)


def finished_row(name: str, record: "MethodAttribution") -> MethodRow:
    """Return what is shown of a finished method: its curve, its unit, what it cost, and what to keep in mind."""
    window = record.settings.get("window", 1)
    parts = [_LABELS[name] + (f", W = {window}" if window > 1 else "") + (f": {record.unit}" if record.unit else "")]
    gradients = f", {record.gradients:,} with gradient" if record.gradients else ""
    count = "1 evaluation" if record.evaluations == 1 else f"{record.evaluations:,} evaluations"
    parts.append(f"{count}{gradients}")
    parts.append(f"{record.seconds:.1f} s" if record.seconds >= 0.05 else "under 0.1 s")
    if record.caveat:
        parts.append(record.caveat)
    return MethodRow(name, " · ".join(parts), unit=record.unit, values=record.values, state="done")


def toggle_method(state: Choices, name: str) -> None:
    """Put a method under the others, or take it away; unknown names and a seventh are passed over."""
    chosen = [method for method in state.methods if method != name]
    state.methods = chosen if len(chosen) < len(state.methods) else known_methods([*chosen, name])
