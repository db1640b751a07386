"""What happens when a target is selected: one object a browser session, usable without a browser."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import param

from app.computing.events import (
    BaselinesReady,
    Event,
    Failed,
    Finished,
    Progress,
    Queued,
    Settings,
    Stopped,
    WindowReady,
)
from app.computing.explainer import Explainer
from app.findings.reasons import Reason, Reasons, marks
from app.state.background import Background, Claim, Schedule, Submit
from app.state.canvas import Canvas
from app.state.choices import Choices
from app.state.refinement import Refined, Refinement
from app.state.words import duration_words, finished_words, in_detail, loading_words, progress_words, within
from app.survey.survey import Survey
from imo_engine.attribution.record import Attribution
from imo_engine.reasons.significance import significance_or_why

__all__ = ["SelectedTarget", "Status"]


State = Literal["idle", "queued", "computing", "done", "failed", "stopped", "unscored"]


@dataclass(frozen=True)
class Status:
    """What the computation is doing, for the progress bar.

    Attributes:
        kind: idle, queued, computing, done, failed, stopped or unscored.
        text: One line for people.
        fraction: 0 to 1; None where it cannot be told.
        refining: Whether what is done is being replaced by exact values.
        detail: More of it, shown when the mouse is over it.
    """

    kind: State = "idle"
    text: str = ""
    fraction: float | None = None
    refining: bool = False
    detail: str = ""


class SelectedTarget(param.Parameterized):
    """Follows the selected target: shows its spectrum at once and its attribution as it is computed.

    Only the newest selection counts: every event carries the number of the claim it answers, and those of
    an earlier claim are dropped.
    """

    status = param.ClassSelector(class_=Status, default=Status(), doc="State of the computation.")
    reason = param.ClassSelector(class_=Reason, default=None, allow_None=True, doc="Why the target is odd, once known.")

    def __init__(
        self,
        state: Choices,
        explainer: Explainer,
        sources: Canvas,
        schedule: Schedule,
        settings: Settings | None = None,
        *,
        alive: Callable[[], bool] = lambda: True,
        send: Callable[[], None] = lambda: None,
        reasons: Reasons | None = None,
        think: Submit = lambda work: work(),
        ahead: Callable[[str], list[str]] = lambda target_id: [],
        idle: Callable[[], list[str]] = list,
    ) -> None:
        """Connect the parts.

        Args:
            state: The session's choices.
            explainer: The process's queue.
            sources: The session's plots.
            schedule: Runs a function soon where the session may be changed; called from any thread.
            settings: How targets are explained.
            alive: Whether a browser is connected.
            send: Called by a scheduled function: what it has changed is to be seen before what follows it.
            reasons: Works out why a finished target is odd; by default nobody does.
            think: Runs that in another thread.
            ahead: Names the targets to compute when the given one is finished, before it is refined.
            idle: Names those to compute after that.
        """
        super().__init__(status=Status(text=loading_words(len(explainer.survey.spectra))))
        self._state = state
        self._explainer = explainer
        self._sources = sources
        self._schedule, self._send = schedule, send
        self._settings = settings or Settings()
        self._reasons, self._ahead, self._idle = reasons, ahead, idle
        self._background = Background(think, schedule)
        self._claim = Claim(explainer, schedule, self.name, alive)
        self._refinement = Refinement(Claim(explainer, schedule, self.name, alive), self._on_refined)
        self.attribution: Attribution | None = None

    @property
    def survey(self) -> Survey:
        """Every target that can be selected, the users' own files included."""
        return self._explainer.survey

    @property
    def settings(self) -> Settings:
        """How targets are explained."""
        return self._settings

    @property
    def target_id(self) -> str:
        """The selected target; empty if none."""
        return self._state.target_id

    def cancel(self) -> None:
        """Stop the running computation; what is there already stays."""
        if self._refinement.running:
            self._refinement.stop()
        else:
            self._claim.cancel()

    def retry(self) -> None:
        """Compute the selected target again, after it was stopped or failed."""
        if self._state.target_id:
            self.select(self._state.target_id)

    def close(self) -> None:
        """Let go of everything; the session has ended."""
        self._leave()
        if self._reasons is not None:
            self._explainer.anticipate((), self._settings, session=self.name)

    def select(self, target_id: str) -> None:
        """Show a target's spectrum, and ask for its attribution."""
        self._leave()
        if not target_id:
            return
        survey = self.survey
        row = survey.spectra.row(target_id)
        self._background.hand_back(partial(self._show_spectrum, row))
        self.attribution, self.reason = None, None
        problem = str(survey.spectra.problem[row])
        if problem:
            self.status = Status("unscored", f"Not scored: {problem}")
            return
        self.status = Status("queued", "Waiting for the engine", None)
        self._claim.ask(target_id, self._settings, self._hear)

    def _leave(self) -> None:
        self._background.renew()
        self._claim.release()
        self._refinement.leave()

    def _show_spectrum(self, row: int) -> None:
        self._sources.show_spectrum(self.survey.spectra, row)
        self._send()

    def _hear(self, event: Event) -> None:
        sources = self._sources
        match event:
            case Queued():
                self.status = Status("queued", "Waiting for the engine")
            case BaselinesReady(baselines, valid):
                sources.show_baselines(baselines, valid)
                self.status = Status("computing", f"{len(baselines)} baselines aligned", 0.0)
            case WindowReady():
                sources.show_combination(event.combined, event.combined_scatter)
                sources.show_window(event.window_size, event.values)  # its arrival makes the browser paint
            case Progress():
                self.status = Status("computing", progress_words(event), event.done / event.total)
            case Finished(attribution):
                reason = None if self._reasons is None else self._reasons.known(self._state.target_id, attribution)
                if reason is not None:  # before the attribution, whose arrival makes the browser paint
                    self._draw_reason(reason, attribution)
                self._show_attribution(attribution, reason)
                self.attribution = attribution
                rough = not attribution.exact
                self.status = Status("done", finished_words(attribution), 1.0, rough, in_detail(attribution))
                if reason is not None:
                    self.reason = reason
                else:
                    self._explain_reason(attribution)
                self._look_ahead(attribution)
                self._send()
            case Failed(message):
                self.status = Status("failed", f"Could not be explained: {message}")
            case Stopped():
                self.status = Status("stopped", "Stopped; the panels show what was finished", None)

    def _show_attribution(self, attribution: Attribution, reason: Reason | None = None) -> None:
        """Draw an attribution and how significant it is, which may be known with its reason."""
        if reason is None:
            known = significance_or_why(attribution, self.survey.engine.null())
        else:
            known = reason.significance, reason.why_not
        self._sources.show_attribution(attribution, *known)

    def _look_ahead(self, attribution: Attribution) -> None:
        """Let those that may be next be computed, then this one exactly, then others."""
        target_id, settings = self._state.target_id, self._settings
        near = self._computable(self._ahead(target_id)) if self._reasons is not None else []
        wanted: list[str | tuple[str, Settings]] = [*near]
        if not attribution.exact:
            wanted.append((target_id, settings.exactly))
        if self._reasons is not None:
            wanted += [one for one in self._computable(self._idle()) if one not in near]
        self._explainer.anticipate(wanted, settings, session=self.name)
        if not attribution.exact:
            self._refinement.begin(target_id, attribution, settings)

    def _on_refined(self, refined: Refined) -> None:
        attribution = self.attribution = refined.attribution
        sources, about = self._sources, within(attribution)
        if refined.window_size is not None:
            index = attribution.window_sizes.index(refined.window_size)
            sources.show_combination(attribution.combined, attribution.combined_scatter)
            sources.show_window(refined.window_size, attribution.values[index].astype(np.float32))
        elif (progress := refined.progress) is not None:
            left = "follow" if progress.seconds_left is None else f"in {duration_words(progress.seconds_left)}"
            detail = f"{in_detail(attribution)}; exact values: {progress_words(progress)}"
            self.status = Status("done", f"{about} · exact values {left}", progress.done / progress.total, True, detail)
        elif refined.ended == "exact":
            self._show_attribution(attribution)
            self.status = Status("done", finished_words(attribution), 1.0, detail=in_detail(attribution))
            self._explain_reason(attribution)
        else:
            why = f": {refined.message}" if refined.message else ""
            self.status = Status("stopped", f"{about}; exact values were not computed{why}")

    def _explain_reason(self, attribution: Attribution) -> None:
        """Work out why the finished target is odd."""
        reasons, target_id, survey = self._reasons, self._state.target_id, self.survey
        if reasons is not None:
            self._background.run(
                lambda: reasons.of(survey, target_id, attribution),
                partial(self._show_reason, attribution),
                about=f"working out why target {target_id} is odd",
                anyway=True,  # it is kept for the next time, and to compare others with
            )

    def _show_reason(self, attribution: Attribution, reason: Reason) -> None:
        self._draw_reason(reason, attribution)
        self.reason = reason

    def _draw_reason(self, reason: Reason, attribution: Attribution) -> None:
        self._sources.show_reconstruction(reason.reconstruction)
        self._sources.show_features(marks(reason.features), attribution.combined)

    def _computable(self, target_ids: list[str]) -> list[str]:
        spectra = self.survey.spectra
        return [target for target in target_ids if not spectra.problem[spectra.row(target)]]
