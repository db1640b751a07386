"""Selecting targets without a browser: what is shown, and above all what is not shown any more."""

import gc
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
from bokeh.document import Document
from helpers.surveys import TARGETS, tiny_survey
from hypothesis import given, settings
from hypothesis import strategies as st

from app.computing.computation import Inputs, explain
from app.computing.events import (
    BaselinesReady,
    Failed,
    Finished,
    Progress,
    Queued,
    Settings,
    Stopped,
    WindowReady,
)
from app.computing.explainer import Explainer, Ticket
from app.findings.reasons import Reasons
from app.plots.canvas import PlotCanvas
from app.plots.sources import PlotSources
from app.state.choices import Choices
from app.state.target import SelectedTarget, Status
from imo_engine.attribution.record import WindowFacts, local_share_words

FIRST, SECOND, THIRD, UNSCORED = TARGETS
SETTINGS = Settings(window_sizes=(1, 16, 64), n_baselines=3)
PATIENCE = 30


class ScriptedExplainer:
    """Answers requests when the test says so, with events that a real one sent before."""

    def __init__(self, survey):
        self.survey = survey
        self.listeners = []  # one a request
        self.requested, self.settings, self.released, self.cancelled, self.patient = [], [], [], [], []
        self.ahead = None

    def request(self, target_id, listener, settings=None, *, session=None, alive=lambda: True, patient=False):
        self.requested.append(target_id)
        self.settings.append(settings)
        self.listeners.append(listener)
        self.patient.append(patient)
        return Ticket(len(self.requested), (target_id, settings))

    def release(self, ticket):
        self.released.append(ticket.key[0])

    def cancel(self, ticket):
        self.cancelled.append(ticket.key[0])

    def anticipate(self, target_ids, settings=None, *, session="anybody"):
        self.ahead = list(target_ids)


class MethodRows:
    """No other methods are shown here."""

    def show(self, shown, rows):
        raise AssertionError("another method")


class Desk:
    """A session whose scheduled functions wait until the test runs them."""

    def __init__(self, explainer, **options):
        self.scheduled = []
        self.state = Choices()
        self.sources = PlotSources(explainer.survey.spectra.wavelength, SETTINGS.window_sizes, SETTINGS.n_baselines)
        self.follow(explainer, **options)

    def follow(self, explainer, **options):
        canvas = PlotCanvas(self.sources, MethodRows())
        self.session = SelectedTarget(self.state, explainer, canvas, self.schedule, SETTINGS, **options)
        self.state.param.watch(lambda event: self.session.select(event.new), "target_id")

    def schedule(self, function):
        self.scheduled.append(function)

    def select(self, target):
        self.state.target_id = target

    def drain(self):
        while self.scheduled:
            self.scheduled.pop(0)()

    @property
    def shown(self):
        """Everything on the page, copied."""
        sources = self.sources
        columns = {
            f"{name}.{column}": np.array(values)
            for name in ("target", "spectrum", "attribution", "singles")
            for column, values in getattr(sources, name).data.items()
        }
        return columns | {"map": sources.scale_map.data["image"][0].copy()}

    @property
    def status(self):
        return self.session.status


def assert_same(shown, expected):
    assert shown.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(shown[name], values, err_msg=name)


@pytest.fixture(scope="module")
def survey():
    return tiny_survey()


@pytest.fixture(scope="module")
def events(survey):
    """What a real explainer says of each target that has a score."""
    explainer = Explainer(survey)
    said = {}
    for target in (FIRST, SECOND):
        said[target] = []
        finished = threading.Event()

        def listen(event, to=said[target], finished=finished):
            to.append(event)
            if isinstance(event, Finished):
                finished.set()

        explainer.request(target, listen, SETTINGS)
        assert finished.wait(PATIENCE)
    explainer.close()
    return said


@pytest.fixture
def desk(survey):
    return Desk(ScriptedExplainer(survey))


def explainer_of(desk):
    return desk.session._explainer


class TestSelecting:
    def test_shows_the_spectrum_before_anything_is_computed(self, desk, survey):
        desk.select(SECOND)
        desk.drain()
        shown = desk.shown
        np.testing.assert_array_equal(shown["spectrum.flux"], survey.spectra.flux[1])
        assert shown["target.z"] == [0.12]
        for name, values in shown.items():
            if name.startswith(("attribution.", "singles.", "map")) and not name.endswith((".x", ".xs")):
                assert np.isnan(values).all(), name
        assert desk.status == Status("queued", "Waiting for the engine", None)

    def test_asks_for_the_target_with_its_settings(self, desk):
        desk.select(SECOND)
        assert explainer_of(desk).requested == [SECOND]
        assert explainer_of(desk).settings == [SETTINGS]

    def test_fills_the_panels_as_they_are_computed(self, desk, events):
        desk.select(FIRST)
        filled = []
        for event in events[FIRST]:
            explainer_of(desk).listeners[0](event)
            desk.drain()
            if isinstance(event, BaselinesReady):
                assert np.isfinite(desk.shown["singles.baseline"]).sum() == event.valid.sum() * 3
            if isinstance(event, WindowReady):
                filled.append(event.window_size)
                for size in SETTINGS.window_sizes:
                    there = np.isfinite(desk.shown[f"attribution.w{size}"]).any()
                    assert there == (size in filled), (size, filled)
                np.testing.assert_array_equal(desk.shown["attribution.combined"], event.combined.astype(np.float32))
        assert filled == [64, 16, 1]
        finished = events[FIRST][-1].attribution
        np.testing.assert_array_equal(desk.shown["attribution.combined"], finished.combined.astype(np.float32))
        np.testing.assert_allclose(desk.shown["attribution.w16"], finished.mean[1], rtol=1e-5, atol=1e-7)

    def test_a_finished_attribution_alone_fills_the_same(self, desk, events, survey):
        desk.select(FIRST)
        for event in events[FIRST]:
            explainer_of(desk).listeners[0](event)
        desk.drain()
        other = Desk(ScriptedExplainer(survey))
        other.select(FIRST)
        explainer_of(other).listeners[0](events[FIRST][-1])
        other.drain()
        assert_same(other.shown, desk.shown)
        assert other.status.kind == "done"

    def test_lets_go_of_the_target_before(self, desk):
        desk.select(FIRST)
        desk.select(SECOND)
        assert explainer_of(desk).released == [FIRST]
        desk.select(UNSCORED)
        assert explainer_of(desk).released == [FIRST, SECOND]

    def test_a_target_without_a_score_says_why_and_is_not_computed(self, desk, events, survey):
        desk.select(FIRST)
        for event in events[FIRST]:
            explainer_of(desk).listeners[0](event)
        desk.drain()
        desk.select(UNSCORED)
        desk.drain()
        assert desk.status == Status("unscored", "Not scored: no redshift", None)
        assert explainer_of(desk).requested == [FIRST]
        shown = desk.shown
        np.testing.assert_array_equal(shown["spectrum.flux"], survey.spectra.flux[3])
        assert np.isnan(shown["target.z"]).all()
        assert np.isnan(shown["attribution.combined"]).all()
        assert np.isnan(shown["map"]).all()

    def test_nothing_selected_is_nothing_done(self, desk):
        desk.select(FIRST)
        desk.select("")
        assert explainer_of(desk).requested == [FIRST]


class TestSuperseding:
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_nothing_of_the_first_appears_under_the_second(self, survey, events, data):
        """Whenever, and in whatever order, the first target's callbacks arrive."""
        reference = Desk(ScriptedExplainer(survey))
        reference.select(SECOND)
        for event in events[SECOND]:
            explainer_of(reference).listeners[0](event)
        reference.drain()

        desk = Desk(ScriptedExplainer(survey))
        desk.select(FIRST)
        sent = data.draw(st.integers(0, len(events[FIRST])), label="events of the first before the second is selected")
        for event in events[FIRST][:sent]:
            explainer_of(desk).listeners[0](event)
        for _ in range(data.draw(st.integers(0, len(desk.scheduled)), label="of which the page has seen")):
            desk.scheduled.pop(0)()
        stale = data.draw(st.permutations(desk.scheduled), label="order of arrival")
        desk.scheduled.clear()

        desk.select(SECOND)
        # events that were on their way when the claim was given up
        for event in events[FIRST][sent : sent + data.draw(st.integers(0, 2), label="late events")]:
            explainer_of(desk).listeners[0](event)
            stale.append(desk.scheduled.pop())
        for event in events[SECOND]:
            explainer_of(desk).listeners[1](event)
        while stale or desk.scheduled:
            if stale and (not desk.scheduled or data.draw(st.booleans(), label="a stale one next")):
                before, status = desk.shown, desk.status
                stale.pop(0)()
                assert_same(desk.shown, before)
                assert desk.status == status
            else:
                desk.scheduled.pop(0)()
        assert_same(desk.shown, reference.shown)
        assert desk.status == reference.status

    def test_with_a_real_queue(self, survey, events):
        explainer = Explainer(survey)
        desk = Desk(explainer)
        desk.session.close()
        desk.state, schedule = Choices(), desk.schedule
        waiting = threading.Semaphore(0)
        desk.schedule = lambda function: (schedule(function), waiting.release())
        desk.follow(explainer)
        try:
            desk.select(FIRST)
            desk.select(SECOND)
            while desk.status.kind != "done":
                assert waiting.acquire(timeout=PATIENCE)
                desk.scheduled.pop(0)()
            desk.drain()
        finally:
            explainer.close()
        expected = events[SECOND][-1].attribution
        np.testing.assert_array_equal(desk.shown["attribution.combined"], expected.combined.astype(np.float32))
        assert desk.shown["target.z"] == [0.12]
        assert desk.status.kind == "done"


class TestReasons:
    """What follows a finished attribution: why the target is odd, and whom to compute ahead."""

    @pytest.fixture
    def thinking(self, survey):
        explainer = ScriptedExplainer(survey)
        desk = Desk(explainer)
        desk.session.close()
        desk.state, desk.thoughts = Choices(), []
        desk.follow(
            explainer,
            reasons=Reasons(),
            think=desk.thoughts.append,
            ahead=lambda target: [SECOND, UNSCORED, THIRD],
        )
        return desk

    def finish(self, desk, events, target):
        desk.select(target)
        for event in events[target]:
            explainer_of(desk).listeners[-1](event)
        desk.drain()

    def test_are_shown_once_they_are_known(self, thinking, events):
        self.finish(thinking, events, FIRST)
        assert thinking.session.reason is None
        assert thinking.session.attribution is events[FIRST][-1].attribution
        thinking.thoughts.pop()()
        assert thinking.session.reason is None  # not from the other thread
        thinking.drain()
        reason = thinking.session.reason
        assert reason.sentence.endswith(".")
        np.testing.assert_array_equal(thinking.shown["spectrum.model"], reason.reconstruction)
        assert len(thinking.sources.features.data["low"]) == len(reason.features)
        assert np.isfinite(reason.reconstruction).any()

    def test_of_a_target_that_was_left_are_not_shown(self, thinking, events):
        self.finish(thinking, events, FIRST)
        thinking.select(SECOND)
        assert thinking.session.reason is None
        assert thinking.session.attribution is None
        thinking.drain()
        before = thinking.shown
        thinking.thoughts.pop()()
        thinking.drain()
        assert thinking.session.reason is None
        assert_same(thinking.shown, before)

    def test_neighbours_with_a_score_are_computed_ahead(self, thinking, events):
        thinking.select(FIRST)
        assert explainer_of(thinking).ahead is None  # not before the target itself is finished
        self.finish(thinking, events, FIRST)
        assert explainer_of(thinking).ahead == [SECOND, THIRD]
        thinking.session.close()
        assert explainer_of(thinking).ahead == []


class TestStatus:
    @pytest.mark.parametrize(
        ("event", "kind", "text", "fraction"),
        [
            (Queued(), "queued", "Waiting for the engine", None),
            (Progress(1200, 10367, 4, "CPU", None), "computing", "W = 4 on CPU · 1,200 of 10,367", 1200 / 10367),
            (Progress(1, 2, 4, "CPU", 0.2), "computing", "W = 4 on CPU · 1 of 2 · 1 s left", 0.5),
            (Progress(1, 2, 4, "CPU", 45.4), "computing", "W = 4 on CPU · 1 of 2 · 45 s left", 0.5),
            (Progress(1, 2, 4, "CPU", 660.0), "computing", "W = 4 on CPU · 1 of 2 · 11 min left", 0.5),
            (Failed("no memory left"), "failed", "Could not be explained: no memory left", None),
            (Stopped(), "stopped", "Stopped; the panels show what was finished", None),
        ],
    )
    def test_in_words(self, desk, event, kind, text, fraction):
        desk.select(FIRST)
        explainer_of(desk).listeners[0](event)
        desk.drain()
        assert desk.status == Status(kind, text, fraction)

    def test_of_baselines_and_the_end(self, desk, events):
        desk.select(FIRST)
        listener = explainer_of(desk).listeners[0]
        listener(next(event for event in events[FIRST] if isinstance(event, BaselinesReady)))
        desk.drain()
        assert desk.status == Status("computing", "3 baselines aligned", 0.0)
        attribution = events[FIRST][-1].attribution
        note = attribution.provenance | {"seconds": 3.21, "evaluations": 82936, "device": "CPU"}
        told = replace(attribution, provenance=note, facts=())
        listener(Finished(told))
        desk.drain()
        assert desk.status == Status("done", "Exact · 3 baselines · 82,936 evaluations in 3.2 s on CPU", 1.0)

    @pytest.mark.parametrize(
        ("shares", "words"),
        [
            ((0.06, 0.2, 0.43), " · 6 to 43 % local"),
            ((1.0, 1.0, 1.0), ""),
            ((0.5,) * 3, " · 50 % local"),
            ((0.5, 0.9, 82.0), " · pattern and statistics cancel"),
        ],
    )
    def test_of_how_much_is_local(self, desk, events, shares, words):
        desk.select(FIRST)
        facts = tuple(WindowFacts(local_share=share, local_share_error=0.0) for share in shares)
        told = replace(events[FIRST][-1].attribution, facts=facts)
        explainer_of(desk).listeners[0](Finished(told))
        desk.drain()
        assert desk.status.text.startswith(f"Exact{words} · 3 baselines")
        assert desk.status.detail == local_share_words(told) != ""

    def test_at_the_start(self, desk):
        assert desk.status.kind == "idle"


@pytest.fixture(scope="module")
def quick(survey):
    """Quick values of the first target."""
    settings = replace(SETTINGS, evaluator="local_update")
    return explain(Inputs.of(survey, FIRST, settings), lambda event: None, lambda: False)


class TestRefining:
    @pytest.fixture
    def refining(self, desk, quick):
        """A desk that shows quick values and waits for exact ones."""
        desk.select(FIRST)
        desk.drain()
        explainer_of(desk).listeners[0](Finished(quick))
        desk.drain()
        return desk

    def test_quick_values_say_how_right_they_are(self, refining, quick):
        note, status = quick.provenance, refining.status
        assert (status.kind, status.fraction, status.refining) == ("done", 1.0, True)
        error = f"{100 * quick.measured_error:.2g} %"
        assert status.text.startswith(f"Within {error} · exact values follow · ")
        evaluations = f"3 baselines · 912 evaluations in {note['seconds']:.1f} s on {note['device']}"
        assert status.text.endswith(f" · {evaluations}")
        assert status.detail.startswith(f"quick values: spot checks in the same run found errors up to {error} of each")
        assert explainer_of(refining).ahead == [(FIRST, SETTINGS)]
        assert explainer_of(refining).requested == [FIRST, FIRST]
        assert explainer_of(refining).patient == [False, True]

    def test_replaces_them_window_by_window_and_keeps_the_view(self, refining, quick, events):
        listener = explainer_of(refining).listeners[1]
        sent = []
        document = Document()
        document.add_root(refining.sources.target)
        document.on_change(sent.append)
        exact = events[FIRST][-1].attribution
        left = {16, 64, 1}
        for event in events[FIRST]:
            listener(event)
            refining.drain()
            if isinstance(event, WindowReady):
                left.discard(event.window_size)
                shown, now = refining.shown, refining.session.attribution
                for k, size in enumerate(SETTINGS.window_sizes):
                    expected = (quick if size in left else exact).values[k].astype(np.float32)
                    np.testing.assert_array_equal(shown[f"attribution.w{size}"], expected.mean(axis=0))
                    np.testing.assert_array_equal(now.values[k].astype(np.float32), expected)
                # all window sizes count in the combination, exact or not
                np.testing.assert_array_equal(shown["attribution.combined"], now.combined.astype(np.float32))
                assert np.isfinite(now.combined).any()
                assert now.exact == (1 not in left)
            elif isinstance(event, Progress):
                assert refining.status.refining and refining.status.kind == "done"
                assert refining.status.text.startswith(("Within", "Exact"))
                assert " · exact values " in refining.status.text
                assert f"{event.done:,} of {event.total:,}" in refining.status.detail
        assert sent == []  # a change of the target's source sets the view back
        assert refining.session.attribution is exact
        assert refining.status.text.startswith("Exact · ") and not refining.status.refining

    def test_can_be_stopped_and_asked_for_again(self, refining, quick):
        refining.session.cancel()
        assert explainer_of(refining).cancelled == [FIRST]
        explainer_of(refining).listeners[1](Stopped())
        refining.drain()
        assert refining.status.kind == "stopped"
        assert refining.status.text.endswith(" %; exact values were not computed")
        assert refining.session.attribution is quick  # what is there stays
        refining.session.retry()
        assert explainer_of(refining).patient == [False, True, False]

    def test_a_failure_leaves_the_quick_values(self, refining, quick):
        explainer_of(refining).listeners[1](Failed("no memory left"))
        refining.drain()
        assert refining.status.text.endswith("exact values were not computed: no memory left")
        assert refining.session.attribution is quick

    def test_another_target_lets_go_of_it(self, refining, events):
        refining.select(SECOND)
        refining.drain()
        assert explainer_of(refining).released == [FIRST, FIRST]
        before, status = refining.shown, refining.status
        for event in events[FIRST]:
            explainer_of(refining).listeners[1](event)
        refining.drain()
        assert_same(refining.shown, before)
        assert refining.status == status

    def test_exact_values_are_left_alone(self, desk, events):
        desk.select(FIRST)
        for event in events[FIRST]:
            explainer_of(desk).listeners[0](event)
        desk.drain()
        assert explainer_of(desk).requested == [FIRST]

    def test_neighbours_come_before_it_and_others_after(self, survey, quick):
        explainer = ScriptedExplainer(survey)
        desk = Desk(explainer, reasons=Reasons(), ahead=lambda target: [SECOND, UNSCORED], idle=lambda: [THIRD, SECOND])
        desk.select(FIRST)
        explainer.listeners[0](Finished(quick))
        desk.drain()
        assert explainer.ahead == [SECOND, (FIRST, SETTINGS), THIRD]

    def test_reasons_follow_exact_values(self, survey, quick, events):
        reasons = Reasons()
        exact = events[FIRST][-1].attribution
        first = reasons.of(survey, FIRST, quick)
        assert reasons.of(survey, FIRST, quick) is first
        second = reasons.of(survey, FIRST, exact)
        assert second is not first
        assert reasons.of(survey, FIRST, exact) is reasons.of(survey, FIRST, quick) is second

    def test_frozen_statistics_are_called_by_their_name(self, desk, survey):
        settings = replace(SETTINGS, evaluator="frozen_statistics")
        found = explain(Inputs.of(survey, FIRST, settings), lambda event: None, lambda: False)
        desk.select(FIRST)
        explainer_of(desk).listeners[0](Finished(found))
        desk.drain()
        assert desk.status.text.startswith("Frozen statistics · 3 baselines") and not desk.status.refining


class TestCancelling:
    def test_stops_the_running_one_and_keeps_what_is_there(self, desk, events):
        desk.select(FIRST)
        listener = explainer_of(desk).listeners[0]
        for event in events[FIRST][:4]:
            listener(event)
        desk.drain()
        before = desk.shown
        desk.session.cancel()
        assert explainer_of(desk).cancelled == [FIRST]
        listener(Stopped())
        desk.drain()
        assert desk.status.kind == "stopped"
        assert_same(desk.shown, before)

    def test_before_anything_is_selected_is_harmless(self, desk):
        desk.session.cancel()
        desk.session.retry()
        assert explainer_of(desk).requested == explainer_of(desk).cancelled == []

    @pytest.mark.parametrize("end", [Stopped(), Failed("no memory left")])
    def test_retry_computes_again(self, desk, events, end):
        desk.select(FIRST)
        explainer_of(desk).listeners[0](end)
        desk.drain()
        desk.session.retry()
        assert explainer_of(desk).requested == [FIRST, FIRST]
        for event in events[FIRST]:
            explainer_of(desk).listeners[1](event)
        desk.drain()
        assert desk.status.kind == "done"

    def test_retry_keeps_the_view(self, desk):
        """The page goes back to the whole spectrum when the target's source changes."""
        desk.select(FIRST)
        desk.drain()
        document, sent = Document(), []
        document.add_root(desk.sources.target)
        document.on_change(sent.append)
        desk.session.retry()
        desk.drain()
        assert sent == []


class TestClosing:
    def test_lets_go_and_drops_what_still_comes(self, desk, events):
        desk.select(FIRST)
        desk.drain()
        listener = explainer_of(desk).listeners[0]
        desk.session.close()
        assert explainer_of(desk).released == [FIRST]
        before, status = desk.shown, desk.status
        for event in events[FIRST]:
            listener(event)
        desk.drain()
        assert_same(desk.shown, before)
        assert desk.status == status

    def test_twice_is_harmless(self, desk):
        desk.select(FIRST)
        desk.session.close()
        desk.session.close()
        assert explainer_of(desk).released == [FIRST]

    def test_leaves_no_trace_in_memory(self, survey):
        explainer = Explainer(survey)
        try:
            desk = Desk(explainer)
            desk.select(FIRST)
            desk.drain()
            desk.session.close()
            gone = [weakref.ref(desk.session), weakref.ref(desk.sources), weakref.ref(desk.state)]
            del desk
            # the worker lets go of its claim within a batch
            done = threading.Event()
            explainer.request(UNSCORED, lambda event: isinstance(event, Failed) and done.set(), SETTINGS)
            assert done.wait(PATIENCE)
            gc.collect()
            assert [reference() for reference in gone] == [None] * 3
        finally:
            explainer.close()
