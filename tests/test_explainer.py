"""The queue of computations: order of events, sharing, stopping, failing; no browser and no clock needed."""

import logging
import queue
import threading
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pytest
from networks import tiny_model
from test_survey import TARGETS, tiny_survey

from app.explainer import (
    BaselinesReady,
    Explainer,
    Failed,
    Finished,
    Progress,
    Queued,
    Settings,
    WindowReady,
)
from imo_engine.errors import ModelFileError
from imo_engine.occlusion import inverse_multiscale_occlusion

PATIENCE = 30  # seconds until a test gives up waiting
SETTINGS = Settings(window_sizes=(1, 16, 64), n_baselines=3)
FIRST, SECOND, THIRD, UNSCORED = TARGETS


class Recorder:
    """A listener that keeps events and lets the test wait for one."""

    def __init__(self):
        self.events = []
        self._arrived = queue.Queue()

    def __call__(self, event):
        self.events.append(event)
        self._arrived.put(event)

    def wait_for(self, *kinds):
        while True:
            event = self._arrived.get(timeout=PATIENCE)
            if isinstance(event, kinds):
                return event

    @property
    def kinds(self):
        """Names of the events in order, progress excepted."""
        return [type(event).__name__ for event in self.events if not isinstance(event, Progress)]


class Gate:
    """Counts the batches that a model's encoder sees, and can hold one of them until it is opened."""

    def __init__(self, model):
        self.calls = 0
        self.entered, self._open = threading.Event(), threading.Event()
        self._open.set()
        self._hold = None
        model.encoder.register_forward_pre_hook(self._before)

    def hold(self, after=0):
        """Hold the batch after the next ``after`` ones."""
        self.entered.clear()
        self._open.clear()
        self._hold = self.calls + after + 1

    def wait(self):
        assert self.entered.wait(PATIENCE)

    def open(self):
        self._hold = None
        self._open.set()

    def _before(self, encoder, inputs):
        self.calls += 1
        if self.calls == self._hold:
            self.entered.set()
            assert self._open.wait(PATIENCE)


@contextmanager
def explaining(survey=None, **options):
    explainer = Explainer(survey or tiny_survey(), **options)
    try:
        yield explainer
    finally:
        explainer.close()


@pytest.fixture
def explainer():
    with explaining() as made:
        yield made


@pytest.fixture
def gated():
    """An explainer and the gate of its model."""
    model = tiny_model()
    survey = tiny_survey(model)
    gate = Gate(model)
    with explaining(survey) as made:
        yield made, gate
        gate.open()


def finish(explainer, target, settings=SETTINGS):
    recorder = Recorder()
    explainer.request(target, recorder, settings)
    return recorder, recorder.wait_for(Finished, Failed)


def wait_until_idle(explainer):
    """Wait until the worker has done with everything that was asked for."""
    explainer._executor.submit(int).result(PATIENCE)


class TestEvents:
    def test_arrive_in_order_coarse_windows_first(self, explainer):
        recorder, last = finish(explainer, FIRST)
        expected = ["Queued", "BaselinesReady", "WindowReady", "WindowReady", "WindowReady", "Finished"]
        assert recorder.kinds == expected
        sizes = [event.window_size for event in recorder.events if isinstance(event, WindowReady)]
        assert sizes == [64, 16, 1]
        assert last.attribution.window_sizes == (1, 16, 64)

    def test_hold_what_the_engine_computes(self, explainer):
        recorder, last = finish(explainer, FIRST)
        survey = explainer.survey
        model, pool = survey.engine.get()
        target = survey.spectra[[0]]
        expected = inverse_multiscale_occlusion(
            model, model.prepare(target)[0], 0.1, pool.draw(3, seed=0), (1, 16, 64), valid=target.measured[0]
        )
        np.testing.assert_array_equal(last.attribution.values, expected.values)
        (baselines,) = (event for event in recorder.events if isinstance(event, BaselinesReady))
        np.testing.assert_allclose(baselines.baselines, expected.baselines, rtol=1e-6)
        np.testing.assert_array_equal(baselines.valid, expected.valid)
        windows = [event for event in recorder.events if isinstance(event, WindowReady)]
        for window, index in zip(windows, (2, 1, 0), strict=True):
            np.testing.assert_array_equal(window.values, expected.values[index].astype(np.float32))
        # the last running combination is the combination
        np.testing.assert_allclose(windows[-1].combined, expected.combined, rtol=1e-9)
        np.testing.assert_allclose(windows[-1].combined_scatter, expected.combined_scatter, rtol=1e-9)

    def test_tell_how_far_it_is(self, explainer):
        recorder, _ = finish(explainer, FIRST)
        progress = [event for event in recorder.events if isinstance(event, Progress)]
        done = [event.done for event in progress]
        assert done == sorted(done)
        assert progress[-1].done == progress[-1].total
        assert {event.device for event in progress} == {explainer.survey.engine.get()[0].device_name}
        assert all(event.window_size in SETTINGS.window_sizes for event in progress)

    def test_settings_are_followed(self, explainer):
        settings = Settings(window_sizes=(8, 2), n_baselines=4, seed=3, weights="inverse_standard_deviation")
        _, last = finish(explainer, SECOND, settings)
        assert last.attribution.values.shape == (2, 4, 300)
        assert last.attribution.weighting == "inverse_standard_deviation"
        model, pool = explainer.survey.engine.get()
        expected = model.decode(pool.draw(4, seed=3).latents, np.full(4, 0.12))
        np.testing.assert_allclose(last.attribution.baselines, expected.astype(np.float32), rtol=1e-6)

    def test_a_pool_smaller_than_asked_for_is_used_whole(self, explainer):
        _, last = finish(explainer, FIRST, Settings(window_sizes=(64,), n_baselines=50))
        assert last.attribution.values.shape == (1, 6, 300)


class TestSharing:
    def test_a_finished_target_is_answered_at_once(self, gated):
        explainer, gate = gated
        _, first = finish(explainer, FIRST)
        calls = gate.calls
        again = Recorder()
        explainer.request(FIRST, again, SETTINGS)
        assert again.kinds == ["Finished"]  # within the request
        assert again.events[0].attribution is first.attribution
        assert gate.calls == calls

    def test_other_settings_are_another_computation(self, explainer):
        finish(explainer, FIRST)
        recorder, _ = finish(explainer, FIRST, Settings(window_sizes=(16,), n_baselines=3))
        assert recorder.kinds[0] == "Queued"

    def test_two_listeners_share_one_computation(self, gated):
        explainer, gate = gated
        finish(explainer, FIRST)
        alone = gate.calls
        gate.hold(after=2)  # baselines, the coarsest window, then hold
        early, late = Recorder(), Recorder()
        explainer.request(SECOND, early, SETTINGS)
        gate.wait()
        explainer.request(SECOND, late, SETTINGS)
        # the latecomer gets what it missed
        assert late.kinds == ["Queued", "BaselinesReady", "WindowReady"]
        gate.open()
        assert early.wait_for(Finished).attribution is late.wait_for(Finished).attribution
        assert late.kinds == early.kinds
        assert gate.calls == 2 * alone

    def test_one_listener_may_leave_without_harm_to_the_other(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        leaving, staying = Recorder(), Recorder()
        ticket = explainer.request(FIRST, leaving, SETTINGS)
        explainer.request(FIRST, staying, SETTINGS)
        gate.wait()
        explainer.release(ticket)
        gate.open()
        staying.wait_for(Finished)
        assert "Finished" not in leaving.kinds

    def test_a_listener_that_raises_does_not_harm_the_others(self, explainer, caplog):
        def broken(event):
            if not isinstance(event, Queued):
                raise RuntimeError("this session is broken")

        staying = Recorder()
        explainer.request(FIRST, broken, SETTINGS)
        explainer.request(FIRST, staying, SETTINGS)
        staying.wait_for(Finished)
        assert "this session is broken" in caplog.text
        assert finish(explainer, FIRST)[0].kinds == ["Finished"]

    def test_only_the_newest_are_kept(self):
        with explaining(keep=2) as explainer:
            for target in (FIRST, SECOND, THIRD):
                finish(explainer, target)
            assert finish(explainer, THIRD)[0].kinds == ["Finished"]
            assert finish(explainer, SECOND)[0].kinds == ["Finished"]
            assert finish(explainer, FIRST)[0].kinds[0] == "Queued"  # was dropped
            assert finish(explainer, SECOND)[0].kinds == ["Finished"]  # used last, so kept
            assert finish(explainer, THIRD)[0].kinds[0] == "Queued"


class TestStopping:
    def test_releasing_the_only_claim_stops_within_one_batch(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        recorder = Recorder()
        ticket = explainer.request(FIRST, recorder, SETTINGS)
        gate.wait()
        explainer.release(ticket)
        heard = len(recorder.events)
        spent = gate.calls
        gate.open()
        wait_until_idle(explainer)
        assert gate.calls == spent
        assert len(recorder.events) == heard  # nothing more is sent

    def test_a_claim_released_while_it_waits_costs_nothing(self, gated):
        explainer, gate = gated
        finish(explainer, SECOND)
        whole = gate.calls
        gate.hold()
        running, waiting = Recorder(), Recorder()
        explainer.request(FIRST, running, SETTINGS)
        gate.wait()
        ticket = explainer.request(THIRD, waiting, SETTINGS)
        explainer.release(ticket)
        gate.open()
        running.wait_for(Finished)
        finish(explainer, UNSCORED)  # behind the released one in the queue
        assert gate.calls == 2 * whole
        assert waiting.kinds == ["Queued"]

    def test_cancel_says_so_and_the_target_can_be_asked_for_again(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        recorder = Recorder()
        ticket = explainer.request(FIRST, recorder, SETTINGS)
        gate.wait()
        explainer.cancel(ticket)
        assert recorder.kinds == ["Queued", "BaselinesReady", "Stopped"]
        # asked for again while the stopped one has not noticed yet
        again = Recorder()
        explainer.request(FIRST, again, SETTINGS)
        assert again.kinds == ["Queued"]
        gate.open()
        again.wait_for(Finished)
        assert again.kinds == ["Queued", "BaselinesReady", *["WindowReady"] * 3, "Finished"]
        assert recorder.kinds == ["Queued", "BaselinesReady", "Stopped"]

    def test_letting_go_twice_or_after_the_end_is_harmless(self, explainer):
        recorder = Recorder()
        ticket = explainer.request(FIRST, recorder, SETTINGS)
        recorder.wait_for(Finished)
        explainer.release(ticket)
        explainer.release(ticket)
        explainer.cancel(ticket)
        assert recorder.kinds[-1] == "Finished"

    def test_an_old_claim_cannot_stop_a_new_computation(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        old = explainer.request(FIRST, Recorder(), SETTINGS)
        gate.wait()
        explainer.release(old)
        again = Recorder()
        explainer.request(FIRST, again, SETTINGS)
        explainer.release(old)
        explainer.cancel(old)
        gate.open()
        again.wait_for(Finished)

    def test_the_end_of_a_stopped_computation_leaves_its_successor_alone(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        stopped = explainer.request(FIRST, Recorder(), SETTINGS)
        gate.wait()
        explainer.release(stopped)
        again, late = Recorder(), Recorder()

        def hold_after_baselines(event):
            again(event)
            if isinstance(event, BaselinesReady):
                gate.hold()

        explainer.request(FIRST, hold_after_baselines, SETTINGS)
        gate.entered.clear()
        gate.open()
        gate.wait()
        ticket = explainer.request(FIRST, late, SETTINGS)
        assert late.kinds == ["Queued", "BaselinesReady"]  # one computation for both
        explainer.cancel(ticket)
        assert late.kinds[-1] == "Stopped"
        gate.open()
        again.wait_for(Finished)

    def test_what_nobody_looks_at_gives_way_to_what_waits(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        looking = threading.Event()
        looking.set()
        unseen, seen = Recorder(), Recorder()
        explainer.request(FIRST, unseen, SETTINGS, alive=looking.is_set)
        gate.wait()
        explainer.request(SECOND, seen, SETTINGS)
        spent = gate.calls
        looking.clear()
        gate.open()
        seen.wait_for(Finished)
        # the batch that was running when the browser left was the coarsest window's
        assert unseen.kinds == ["Queued", "BaselinesReady", "WindowReady", "Stopped"]
        assert gate.calls - spent == 5  # all of them the second one's; its finest window takes two batches

    def test_what_somebody_looks_at_does_not_give_way(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        seen, waiting = Recorder(), Recorder()
        explainer.request(FIRST, seen, SETTINGS, alive=lambda: False)
        explainer.request(FIRST, seen, SETTINGS, alive=lambda: True)
        gate.wait()
        explainer.request(SECOND, waiting, SETTINGS)
        gate.open()
        seen.wait_for(Finished)
        waiting.wait_for(Finished)
        assert "Stopped" not in seen.kinds

    def test_what_nobody_looks_at_goes_on_while_nothing_waits(self, explainer):
        recorder = Recorder()
        explainer.request(FIRST, recorder, SETTINGS, alive=lambda: False)
        recorder.wait_for(Finished)

    def test_closing_stops_the_running_one(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        recorder = Recorder()
        explainer.request(FIRST, recorder, SETTINGS)
        gate.wait()
        closing = threading.Thread(target=explainer.close)
        closing.start()
        spent = gate.calls
        gate.open()
        closing.join(PATIENCE)
        assert not closing.is_alive()
        assert gate.calls <= spent + 1


class TestFailing:
    def test_a_target_without_a_score_fails_in_words(self, explainer):
        recorder, last = finish(explainer, UNSCORED)
        assert recorder.kinds == ["Queued", "Failed"]
        assert last.message == "target unscored has no score: no redshift"

    def test_an_unknown_target_fails_in_words(self, explainer):
        _, last = finish(explainer, "no such target")
        assert "no such target" in last.message

    def test_settings_that_do_not_fit_fail_in_words(self, explainer):
        _, last = finish(explainer, FIRST, Settings(window_sizes=(1000,)))
        assert "1000" in last.message and "300 pixels" in last.message

    def test_an_engine_that_cannot_be_loaded_is_tried_again(self):
        survey = tiny_survey()
        loaded = survey.engine.get()
        failures = [ModelFileError("model.safetensors: no such file")]

        def load():
            if failures:
                raise failures.pop()
            return loaded

        with explaining(tiny_survey(load=load)) as explainer:
            recorder, last = finish(explainer, FIRST)
            assert recorder.kinds == ["Queued", "Failed"]
            assert last.message == "model.safetensors: no such file"
            assert isinstance(finish(explainer, FIRST)[1], Finished)

    def test_the_unexpected_is_logged_and_the_queue_lives_on(self, explainer, caplog):
        model, _ = explainer.survey.engine.get()

        def boom(encoder, inputs):
            raise RuntimeError("boom")

        hook = model.encoder.register_forward_pre_hook(boom)
        with caplog.at_level(logging.ERROR):
            _, last = finish(explainer, FIRST)
        assert last.message == "unexpected RuntimeError: boom"
        (record,) = (r for r in caplog.records if r.name == "app.explainer")
        assert FIRST in record.getMessage()
        assert record.exc_info[1].args == ("boom",)
        hook.remove()
        assert isinstance(finish(explainer, SECOND)[1], Finished)
        assert isinstance(finish(explainer, FIRST)[1], Finished)


def test_settings_are_those_of_the_paper():
    defaults = {field.name: field.default for field in fields(Settings)}
    assert defaults["window_sizes"] == (1, 4, 16, 64, 256)
    assert defaults["n_baselines"] == 8
    assert defaults["weights"] == "inverse_variance"
