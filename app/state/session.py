"""One browser session without its browser: choices, labels, triage, computations and questions, put together."""

from collections.abc import Callable
from functools import partial

from app.state.asking import RangeQuestions
from app.state.background import Schedule
from app.state.candidates import CandidateIntake
from app.state.canvas import Canvas
from app.state.choices import Choices
from app.state.classes import ClassEditing
from app.state.groups import CauseGroups
from app.state.keyboard import on_key
from app.state.labels import UserLabels
from app.state.links import Place
from app.state.method_choices import known_methods
from app.state.methods import ComparedMethods
from app.state.repair import TargetRepair
from app.state.similar import SimilarTargets
from app.state.target import SelectedTarget
from app.state.triage import Triage
from app.state.workspace import Workspace
from app.survey.survey import Survey

__all__ = ["Session"]


class Session:
    """What one user does with the survey; the page shows it, and closes it at the end.

    Attributes:
        workspace: What all sessions share.
        schedule: Runs a function soon where the session may be changed; called from any thread.
        choices: What is selected and switched on.
        labels: The user's labels.
        triage: Which targets there are, in which order, and the next one.
        target: The selected target's attribution, and why it is odd.
        methods: Other attribution methods of it.
        repair: What makes it ordinary.
        asking: What a range does to its log p.
        similar: Targets that are like it.
        groups: Targets that are odd for the same reason.
        candidates: Spectra that the user adds.
        classes: The list of classes, to be edited.
    """

    def __init__(
        self,
        workspace: Workspace,
        canvas: Canvas,
        schedule: Schedule,
        *,
        user: str = "",
        owner: str = "",
        alive: Callable[[], bool] = lambda: True,
        send: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin a session with nothing selected.

        Args:
            workspace: What all sessions share.
            canvas: Where the selected target is drawn.
            schedule: Runs a function soon where the session may be changed; called from any thread.
            user: Whose labels; by default the workspace's user.
            owner: Whose spectra are brought back and kept; empty: nobody's.
            alive: Whether a browser is connected.
            send: Called by a scheduled function: what it has changed is to be seen before what follows it.

        Raises:
            LabelStoreError: the user's labels cannot be read.
        """
        explainer, settings = workspace.explainer, workspace.settings
        think = workspace.thinking.submit
        self.workspace, self.schedule, self._canvas = workspace, schedule, canvas
        self.choices = Choices()
        self.labels = UserLabels(
            workspace.store, user or workspace.user, submit=workspace.saving.submit, schedule=schedule
        )
        self.triage = Triage(self.choices, workspace.survey, self.labels.label_of)
        self.target = SelectedTarget(
            self.choices,
            explainer,
            canvas,
            schedule,
            settings,
            alive=alive,
            send=send,
            reasons=workspace.reasons,
            think=think,
            ahead=self.triage.neighbours if workspace.ahead else lambda target: [],
            idle=workspace.unexplained if workspace.ahead else list,
        )
        self.methods = ComparedMethods(self.choices, self.target, explainer, canvas, schedule, settings, alive=alive)
        self.repair = TargetRepair(self.choices, self.target, explainer, schedule, settings, alive=alive)
        self.asking = RangeQuestions(lambda: self.survey, settings, submit=workspace.asking.submit, schedule=schedule)
        findings, latents = workspace.reasons.findings, workspace.latents
        self.similar = SimilarTargets(
            lambda: self.survey, lambda: self.triage.targets, findings, latents, submit=think, schedule=schedule
        )
        self.groups = CauseGroups(findings, lambda: self.triage.targets, submit=think, schedule=schedule)
        self.candidates = CandidateIntake(
            explainer,
            workspace.shelf,
            submit=think,
            schedule=schedule,
            keeping=workspace.saving.submit,
            files=workspace.candidates,
            owner=owner,
        )
        self.classes = ClassEditing(
            workspace.store, submit=workspace.saving.submit, schedule=schedule, edited=self.labels.reload
        )
        self.choices.param.watch(lambda event: self._follow(event.new), "target_id")
        self.repair.param.watch(lambda _: self._draw_repair(), "state")
        self.candidates.param.watch(lambda _: self._take_in(), "kept")
        self.candidates.param.watch(lambda event: event.new and self.triage.select(event.new), "newest")
        self.groups.learned()

    @property
    def survey(self) -> Survey:
        """Every target that can be selected, the users' own files included."""
        return self.workspace.explainer.survey

    def begin(self, place: Place) -> None:
        """Select what an address asks for, else the first target, once the user's own spectra are back."""
        self.candidates.restore(partial(self._begin, place))

    def _begin(self, place: Place) -> None:
        if place.compare is not None:
            self.choices.param.update(compare=True, methods=known_methods(place.compare))
        triage = self.triage
        if not (place.target_id and triage.select(place.target_id)) and triage.order:
            words = triage.words
            triage.select(triage.order[0])
            triage.words = words

    def act(self, action: str) -> None:
        """Do what a key or a button asks for."""
        on_key(self.triage, self.choices, action)
        self.repair.on_key(action)

    def ask(self, low: float, high: float) -> None:
        """Ask what a range of the selected target does, observed vacuum Angstrom."""
        self.asking.ask(self.choices.target_id, low, high)

    def learned(self) -> None:
        """Compare again: more targets have been explained."""
        self.similar.learned()
        self.groups.learned()

    def close(self) -> None:
        """Let go of everything: nothing more is computed or handed back for this session."""
        self.labels.close()
        self.methods.close()
        self.repair.close()
        self.target.close()
        self.candidates.close()
        self.asking.close()
        self.similar.close()
        self.groups.close()

    def _follow(self, target_id: str) -> None:
        """Turn to another target: the one order in which everything does."""
        self.labels.open(target_id)  # first: whoever sees the new target writes into its label
        self.target.select(target_id)
        self.methods.select()  # these wait for the attribution
        self.repair.select()
        self.similar.show(target_id)
        self.asking.clear()

    def _draw_repair(self) -> None:
        found = self.repair.state.found
        if found is not None:
            regions = [(one.start, one.stop) for one in found.repair.regions]
            self._canvas.show_repair(regions, found.repair.flux)

    def _take_in(self) -> None:
        """Put the spectra that the user has added on top of the table."""
        self.triage.bring([one.target_id for one in self.candidates.kept], self.survey)
        self.similar.learned()
