"""Other methods of the selected target, without a browser: what is asked of the queue, shown, dropped and kept."""

import queue
import time

import numpy as np
import pytest
from helpers.networks import tiny_model
from helpers.surveys import TARGETS, tiny_survey

from app.computing.events import Failed, MethodFinished, MethodSettings, Progress, Settings
from app.computing.explainer import Explainer
from app.plots.canvas import PlotCanvas
from app.plots.sources import PlotSources
from app.plots.stack import PlotStack
from app.state.canvas import MethodRow
from app.state.choices import Choices
from app.state.keyboard import on_key
from app.state.links import Place, place_in
from app.state.method_choices import METHOD_CHOICES, METHODS_AT_FIRST, METHODS_AT_ONCE, known_methods
from app.state.methods import ComparedMethods, toggle_method
from app.state.target import SelectedTarget
from imo_engine.methods import METHODS

FIRST, SECOND, THIRD, UNSCORED = TARGETS
SETTINGS = Settings(window_sizes=(16, 64), n_baselines=3)
PATIENCE = 60


class Desk:
    """A session and its methods; what they schedule runs when the test says so."""

    def __init__(self, explainer):
        self.scheduled = queue.Queue()
        self.state = Choices()
        sources = PlotSources(explainer.survey.spectra.wavelength, SETTINGS.window_sizes, SETTINGS.n_baselines)
        self.stack = PlotStack(sources)
        canvas = PlotCanvas(sources, self.stack.methods)
        self.session = SelectedTarget(self.state, explainer, canvas, self.scheduled.put, SETTINGS)
        self.methods = ComparedMethods(self.state, self.session, explainer, canvas, self.scheduled.put, SETTINGS)
        self.state.param.watch(lambda event: (self.session.select(event.new), self.methods.select()), "target_id")

    def run_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, self.states()
            try:
                self.scheduled.get(timeout=left)()
            except queue.Empty:
                pytest.fail(f"nothing more happens: {self.states()}")
        while not self.scheduled.empty():
            self.scheduled.get()()

    def states(self):
        return {row.name: row.state for row in self.methods.rows}

    def settled(self):
        return self.states() != {} and set(self.states().values()) <= {"done", "failed"}

    @property
    def listed(self):
        return self.stack.methods.listed.data


@pytest.fixture
def explainer():
    made = Explainer(tiny_survey())
    yield made
    made.close()


@pytest.fixture
def desk(explainer):
    return Desk(explainer)


def choose(desk, *names, target=FIRST):
    desk.state.param.update(compare=True, methods=list(names))
    desk.state.target_id = target


def test_the_page_knows_every_method_but_inverse_occlusion():
    assert {choice.name for choice in METHOD_CHOICES} == set(METHODS) - {"imo", "imo_window"}
    assert all(choice.label == METHODS[choice.name].label for choice in METHOD_CHOICES)
    assert set(METHODS_AT_FIRST) <= set(METHODS) and len(METHODS_AT_FIRST) <= METHODS_AT_ONCE
    assert known_methods([choice.name for choice in METHOD_CHOICES]) == [
        choice.name for choice in METHOD_CHOICES[:METHODS_AT_ONCE]
    ]


class TestComputing:
    def test_shows_what_the_method_finds(self, desk, explainer):
        choose(desk, "occlusion", "gradient_times_input")
        desk.run_until(desk.settled)
        survey = explainer.survey
        model, pool = survey.engine.get()
        record = METHODS["occlusion"](
            model, model.prepare(survey.spectra[[0]])[0], survey.spectra.redshift[0], pool.draw(3, seed=0),
            valid=survey.spectra.measured[0],
        )  # fmt: skip
        np.testing.assert_array_equal(desk.stack.methods.values.data["m0"], record.values.astype(np.float32))
        assert np.isfinite(desk.stack.methods.values.data["m1"]).any()
        assert desk.listed["name"] == ["", "occlusion", "gradient_times_input"]
        assert [label for label, _ in desk.methods.finished] == ["Occlusion", METHODS["gradient_times_input"].label]
        np.testing.assert_array_equal(desk.methods.finished[0][1].values, record.values)
        assert desk.listed["shown"] == [True] * 3
        assert desk.listed["unit"][1:] == ["nat", "nat"]
        assert f"{record.evaluations} evaluations" in desk.listed["title"][1] and " s" in desk.listed["title"][1]

    def test_inverse_occlusion_comes_first(self, desk):
        choose(desk, "occlusion")
        assert desk.states() == {"occlusion": "waiting"}
        assert "Waits for inverse occlusion" in desk.methods.rows[0].note
        desk.run_until(lambda: desk.states()["occlusion"] != "waiting" or desk.session.attribution is not None)
        assert desk.session.attribution is not None

    def test_a_method_without_meaning_says_so_in_its_panel(self, desk):
        choose(desk, "deep_lift")
        desk.run_until(desk.settled)
        assert desk.methods.finished == []
        assert desk.listed["note"][1].startswith("DeepLIFT does not apply to this network: ")
        assert not np.isfinite(desk.stack.methods.values.data["m0"]).any()

    def test_controls_have_what_they_need(self, desk):
        choose(desk, "residual_over_noise", "random")
        desk.run_until(desk.settled)
        assert desk.states() == {"residual_over_noise": "done", "random": "done"}
        assert desk.listed["unit"][1:] == ["sigma", ""]

    def test_a_target_without_a_score_is_said(self, desk):
        choose(desk, "occlusion", target=UNSCORED)
        desk.run_until(desk.settled)
        assert "no redshift" in desk.listed["note"][1]

    def test_nothing_is_asked_for_while_it_is_not_on_the_page(self, desk, explainer):
        desk.state.target_id = FIRST
        desk.run_until(lambda: desk.session.attribution is not None)
        assert explainer._known._methods == {} and desk.listed["shown"] == [False]

    def test_a_method_that_breaks_is_said(self, desk, explainer, monkeypatch):
        def broken(*arguments, **settings):
            raise RuntimeError("no such luck")

        monkeypatch.setattr(type(METHODS["occlusion"]), "__call__", broken)
        choose(desk, "occlusion")
        desk.run_until(desk.settled)
        assert "no such luck" in desk.listed["note"][1]


class TestChanging:
    def test_another_target_stops_what_runs(self, desk, explainer):
        """The model is held in the middle of a method; the target changes; nothing of the first is ever shown."""
        choose(desk, "feature_ablation", target=FIRST)
        seen = []
        should_stop = explainer._should_stop

        def watch(job):
            stop = should_stop(job)
            if isinstance(job.key[1], MethodSettings):
                if job.key[0] == FIRST and not stop:
                    desk.state.target_id = SECOND  # as the page does, while the method computes
                    stop = should_stop(job)
                seen.append((job.key[0], stop))
            return stop

        explainer._should_stop = watch
        desk.run_until(lambda: desk.state.target_id == SECOND and desk.settled())
        assert (FIRST, True) in seen
        assert (FIRST, MethodSettings("feature_ablation", SETTINGS)) not in explainer._known._methods
        assert (SECOND, MethodSettings("feature_ablation", SETTINGS)) in explainer._known._methods
        expected = explainer._known._methods[(SECOND, MethodSettings("feature_ablation", SETTINGS))].record.values
        np.testing.assert_array_equal(desk.stack.methods.values.data["m0"], expected.astype(np.float32))

    def test_the_old_curve_goes_with_its_target(self, desk):
        choose(desk, "gradient_times_input")
        desk.run_until(desk.settled)
        desk.state.target_id = UNSCORED
        desk.run_until(desk.settled)
        assert not np.isfinite(desk.stack.methods.values.data["m0"]).any()

    def test_going_back_computes_nothing(self, desk, explainer):
        choose(desk, "gradient_times_input", "occlusion")
        desk.run_until(desk.settled)
        desk.state.target_id = SECOND
        desk.run_until(desk.settled)
        records = dict(explainer._known._methods)
        desk.state.target_id = FIRST
        desk.run_until(desk.settled)
        assert dict(explainer._known._methods) == records and len(records) == 4

    def test_a_method_that_is_switched_off_leaves_and_the_others_move_up(self, desk):
        choose(desk, "gradient_times_input", "occlusion")
        desk.run_until(desk.settled)
        second = desk.stack.methods.values.data["m1"].copy()
        toggle_method(desk.state, "gradient_times_input")
        desk.run_until(lambda: len(desk.listed["name"]) == 2)
        np.testing.assert_array_equal(desk.stack.methods.values.data["m0"], second)
        assert not np.isfinite(desk.stack.methods.values.data["m1"]).any()

    def test_closing_lets_go(self, desk, explainer):
        choose(desk, "lime")
        desk.run_until(lambda: desk.session.attribution is not None)
        desk.methods.close()
        desk.session.close()
        explainer._worker.submit(int).result(PATIENCE)
        assert explainer._jobs == {}


class TestQueue:
    def test_two_sessions_share_one_computation(self, explainer):
        heard = []
        settings = MethodSettings("occlusion", SETTINGS)
        for _ in range(2):
            explainer.request(FIRST, heard.append, settings)
        explainer._worker.submit(int).result(PATIENCE)
        done = [event for event in heard if isinstance(event, MethodFinished)]
        assert len(done) == 2 and done[0] is done[1]
        assert any(isinstance(event, Progress) for event in heard) or done[0].record.seconds < 0.3

    def test_errors_are_words(self, explainer):
        heard = []
        explainer.request("nobody", heard.append, MethodSettings("occlusion", SETTINGS))
        explainer._worker.submit(int).result(PATIENCE)
        assert isinstance(heard[-1], Failed) and "nobody" in heard[-1].message


class TestChoices:
    def test_toggling(self):
        state = Choices(methods=["lime"])
        toggle_method(state, "occlusion")
        assert state.methods == ["lime", "occlusion"]
        toggle_method(state, "magic")
        toggle_method(state, "lime")
        assert state.methods == ["occlusion"]
        for choice in METHOD_CHOICES:
            if choice.name not in state.methods:
                toggle_method(state, choice.name)
        assert len(state.methods) == METHODS_AT_ONCE

    def test_keys(self):
        state = Choices()
        for action, expected in (("compare", True), ("compare", False)):
            on_key(None, state, action)
            assert state.compare is expected
        on_key(None, state, "method")
        assert state.dialog == "method"
        on_key(None, state, "method-lime")
        assert state.methods[-1] == "lime"

    @pytest.mark.parametrize("compare", [None, (), ("occlusion", "lime")])
    def test_addresses_keep_them(self, compare):
        place = Place("7", "halpha", compare=compare)
        arguments = {}
        for part in place.query().split("&"):
            name, _, value = part.partition("=")
            arguments.setdefault(name, []).append(value.encode())
        found = place_in(arguments)
        assert (found.target_id, found.view) == ("7", "halpha")
        assert (found.compare is None) == (compare is None)
        assert known_methods(found.compare) == list(compare or ())


class TestPanels:
    @pytest.fixture
    def stack(self):
        return PlotStack(PlotSources(tiny_model().wavelength, (1, 16), 3))

    def test_only_what_changed_is_sent(self, stack):
        panels, sent = stack.methods, []
        values = np.ones(300)
        panels.show(True, [MethodRow("lime", "LIME", values=values)])
        panels.values.on_change("data", lambda attr, old, new: sent.append("values"))
        panels.listed.on_change("data", lambda attr, old, new: sent.append("listed"))
        panels.show(True, [MethodRow("lime", "LIME", values=values)])
        assert sent == []
        panels.show(True, [MethodRow("lime", "LIME", note="Waiting")])
        assert sent == ["values", "listed"]

    def test_are_made_when_they_are_wanted(self, stack):
        stack.methods.show(False, [])
        assert stack.methods.panels == [] == stack.methods.listed.tags
        stack.methods.show(True, [])
        panels = list(stack.methods.panels)
        stack.methods.show(True, [])
        assert panels == stack.methods.panels == stack.methods.listed.tags
        assert set(panels) < set(stack.every_panel)

    def test_share_the_axis_and_are_hidden_at_first(self, stack):
        stack.methods.show(True, [])
        assert len(stack.methods.panels) == METHODS_AT_ONCE
        for panel in stack.methods.panels:
            assert panel.x_range is stack.axes.wavelength
        assert not any(box.visible for box in stack.methods.boxes)
