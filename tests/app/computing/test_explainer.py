"""The queue of computations: order of events, sharing, stopping, failing; no browser and no clock needed."""

import logging
import queue
import threading
import time
from contextlib import contextmanager
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from helpers.networks import tiny_model
from helpers.surveys import TARGETS, tiny_survey

from app.computing.computation import Inputs
from app.computing.events import BaselinesReady, Failed, Finished, Progress, Queued, Settings, WindowReady
from app.computing.explainer import Explainer
from app.computing.result_cache import ResultCache
from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.bundle.engine import Engine
from imo_engine.errors import ModelFileError
from imo_engine.model.autoencoder import SpectrumEncoder
from imo_engine.model.outlier_model import OutlierModel

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
    """Counts how often computations ask whether to stop, as they do before every batch, and can hold one there."""

    def __init__(self, explainer):
        self.calls = 0
        self.computed = []  # targets, in the order in which their baselines were made
        self._counted = []
        self.entered, self._open = threading.Event(), threading.Event()
        self._open.set()
        self._hold = None
        self._answer = explainer._should_stop
        explainer._should_stop = self._asked

    def hold(self, after=0):
        """Hold the next computation that has sent ``after`` events besides Queued."""
        self.entered.clear()
        self._open.clear()
        self._hold = after

    def wait(self):
        assert self.entered.wait(PATIENCE)

    def open(self):
        self._hold = None
        self._open.set()

    def _asked(self, job):
        self.calls += 1
        sent = len(job.events) - 1
        if sent and job not in self._counted:
            self._counted.append(job)
            self.computed.append(job.key[0])
        if self._hold is not None and sent >= self._hold:
            self.entered.set()
            assert self._open.wait(PATIENCE)
        return self._answer(job)


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
    """An explainer and its gate."""
    with explaining() as made:
        gate = Gate(made)
        yield made, gate
        gate.open()


def finish(explainer, target, settings=SETTINGS):
    recorder = Recorder()
    explainer.request(target, recorder, settings)
    return recorder, recorder.wait_for(Finished, Failed)


def wait_until_idle(explainer):
    """Wait until the worker has done with everything that was asked for."""
    explainer._worker.submit(int).result(PATIENCE)


def wait_until_all_is_done(explainer):
    """As above, and with what was put back into the queue meanwhile."""
    for _ in range(5):
        wait_until_idle(explainer)
    assert len(explainer._ahead) == 0 and explainer._jobs == {}


class SlowCache(ResultCache):
    """Holds its first look until it is opened."""

    def __init__(self, folder):
        super().__init__(folder)
        self.looks = 0
        self._entered, self._open = threading.Event(), threading.Event()

    def get(self, key):
        self.looks += 1
        self._entered.set()
        assert self._open.wait(PATIENCE)
        return super().get(key)

    def wait(self):
        assert self._entered.wait(PATIENCE)

    def open(self):
        self._open.set()


@pytest.fixture
def cache(tmp_path):
    return ResultCache(tmp_path / "cache")


@pytest.fixture
def slow_cache(tmp_path):
    made = SlowCache(tmp_path / "cache")
    yield made
    made.open()


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
            model,
            model.prepare(target)[0],
            0.1,
            pool.draw(3, seed=0),
            (1, 16, 64),
            weights=SETTINGS.weights,
            valid=target.measured[0],
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
        assert gate.computed == [SECOND]

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
        gate.hold()
        running, waiting = Recorder(), Recorder()
        explainer.request(FIRST, running, SETTINGS)
        gate.wait()
        ticket = explainer.request(THIRD, waiting, SETTINGS)
        explainer.release(ticket)
        gate.open()
        running.wait_for(Finished)
        finish(explainer, UNSCORED)  # behind the released one in the queue
        assert gate.computed == [SECOND, FIRST]
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
        looking.clear()
        gate.open()
        seen.wait_for(Finished)
        assert unseen.kinds == ["Queued", "BaselinesReady", "Stopped"]
        assert gate.computed == [FIRST, SECOND]

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
        while not all(job.stop.is_set() for job in list(explainer._jobs.values())):
            time.sleep(0.01)
        spent = gate.calls
        gate.open()
        closing.join(PATIENCE)
        assert not closing.is_alive()
        assert gate.calls == spent


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

    def test_the_unexpected_is_logged_and_the_queue_lives_on(self, explainer, caplog, monkeypatch):
        model, _ = explainer.survey.engine.get()

        def boom(*args, **options):
            raise RuntimeError("boom")

        with caplog.at_level(logging.ERROR), monkeypatch.context() as patch:
            patch.setattr(model, "decode", boom)
            _, last = finish(explainer, FIRST)
        assert last.message == "unexpected RuntimeError: boom"
        (record,) = (r for r in caplog.records if r.name == "app.computing.explainer")
        assert FIRST in record.getMessage()
        assert record.exc_info[1].args == ("boom",)
        assert isinstance(finish(explainer, SECOND)[1], Finished)
        assert isinstance(finish(explainer, FIRST)[1], Finished)


class TestDisk:
    def test_what_another_process_computed_is_not_computed_again(self, cache):
        with explaining(cache=cache) as explainer:
            _, computed = finish(explainer, FIRST)
        with explaining(cache=cache) as explainer:
            gate = Gate(explainer)
            recorder, found = finish(explainer, FIRST)
            assert recorder.kinds == ["Queued", "Finished"]
            assert gate.computed == []
            np.testing.assert_array_equal(found.attribution.values, computed.attribution.values)
            np.testing.assert_array_equal(found.attribution.combined, computed.attribution.combined)
            assert found.attribution.provenance == computed.attribution.provenance
            assert finish(explainer, FIRST)[0].kinds == ["Finished"]  # from memory now
            finish(explainer, FIRST, Settings(window_sizes=(16,), n_baselines=3))
            assert gate.computed == [FIRST]

    def test_the_first_time_everything_is_told(self, cache):
        with explaining(cache=cache) as explainer:
            recorder, _ = finish(explainer, FIRST)
        assert recorder.kinds == ["Queued", "BaselinesReady", *["WindowReady"] * 3, "Finished"]

    @pytest.mark.parametrize("other", ["model", "spectrum", "redshift", "pool"])
    def test_what_belongs_to_something_else_is_not_taken(self, cache, other):
        with explaining(cache=cache) as explainer:
            finish(explainer, FIRST)
        survey = tiny_survey(tiny_model(seed=1) if other == "model" else None)
        spectra = survey.spectra
        model, pool = survey.engine.get()
        if other == "spectrum":
            survey = replace(survey, spectra=replace(spectra, flux=spectra.flux * np.float32(1.01)))
        elif other == "redshift":
            survey = replace(survey, spectra=replace(spectra, redshift=spectra.redshift + 1e-6))
        elif other == "pool":
            survey = replace(survey, engine=Engine(lambda: (model, pool[np.arange(5)])))
        with explaining(survey, cache=cache) as explainer:
            assert "WindowReady" in finish(explainer, FIRST)[0].kinds

    def test_the_same_spectrum_under_another_name_is(self, cache):
        with explaining(cache=cache) as explainer:
            finish(explainer, FIRST)
        survey = tiny_survey()
        survey = replace(survey, spectra=replace(survey.spectra, target_id=np.array(["renamed", "b", "c", "d"])))
        with explaining(survey, cache=cache) as explainer:
            assert finish(explainer, "renamed")[0].kinds == ["Queued", "Finished"]

    def test_a_damaged_entry_is_computed_again_and_mended(self, cache):
        with explaining(cache=cache) as explainer:
            _, computed = finish(explainer, FIRST)
        (entry,) = cache.folder.iterdir()
        entry.write_bytes(entry.read_bytes()[:-200])
        with explaining(cache=cache) as explainer:
            recorder, again = finish(explainer, FIRST)
            assert "WindowReady" in recorder.kinds
            np.testing.assert_array_equal(again.attribution.values, computed.attribution.values)
        with explaining(cache=cache) as explainer:
            assert finish(explainer, FIRST)[0].kinds == ["Queued", "Finished"]

    def test_a_disk_that_refuses_is_no_reason_not_to_explain(self, tmp_path, caplog):
        (tmp_path / "file").write_text("in the way")
        with explaining(cache=ResultCache(tmp_path / "file" / "cache")) as explainer:
            for target in (FIRST, SECOND):
                assert isinstance(finish(explainer, target)[1], Finished)
        assert len(caplog.records) == 1

    def test_a_cache_that_is_broken_is_logged_and_passed_by(self, cache, caplog, monkeypatch):
        def broken(key):
            raise RuntimeError("this cache is broken")

        monkeypatch.setattr(cache, "get", broken)
        with explaining(cache=cache) as explainer:
            assert isinstance(finish(explainer, FIRST)[1], Finished)
        assert "this cache is broken" in caplog.text

    @pytest.mark.parametrize("target", [UNSCORED, "no such target"])
    def test_what_cannot_be_explained_fails_in_the_same_words(self, cache, target, explainer):
        with explaining(cache=cache) as with_disk:
            recorder, last = finish(with_disk, target)
        assert recorder.kinds == ["Queued", "Failed"]
        assert last.message == finish(explainer, target)[1].message

    def test_two_listeners_share_one_look_and_one_may_leave(self, slow_cache):
        with explaining(cache=slow_cache) as explainer:
            leaving, staying = Recorder(), Recorder()
            ticket = explainer.request(FIRST, leaving, SETTINGS)
            slow_cache.wait()
            explainer.request(FIRST, staying, SETTINGS)
            explainer.release(ticket)
            slow_cache.open()
            staying.wait_for(Finished)
        assert leaving.kinds == ["Queued"]
        assert slow_cache.looks == 1

    def test_a_claim_released_during_the_look_costs_nothing(self, slow_cache):
        with explaining(cache=slow_cache) as explainer:
            gate = Gate(explainer)
            recorder, again = Recorder(), Recorder()
            ticket = explainer.request(FIRST, recorder, SETTINGS)
            slow_cache.wait()
            explainer.release(ticket)
            explainer.request(UNSCORED, again, SETTINGS)
            slow_cache.open()
            again.wait_for(Failed)  # its look came after the first one's
            assert gate.computed == []
            assert recorder.kinds == ["Queued"]
            assert explainer._jobs == {}

    def test_closing_during_the_look_ends(self, slow_cache):
        with explaining(cache=slow_cache) as explainer:
            explainer.request(FIRST, Recorder(), SETTINGS)
            slow_cache.wait()
            closing = threading.Thread(target=explainer.close)
            closing.start()
            slow_cache.open()
            closing.join(PATIENCE)
            assert not closing.is_alive()


class Finishes:
    """In which order targets are finished, whoever asked."""

    def __init__(self, explainer):
        self.explainer = explainer
        self.order = []
        self._arrived = queue.Queue()

    def ask(self, target, settings=SETTINGS, **options):
        def listener(event):
            if isinstance(event, Finished):
                self.order.append((target, settings.seed))
                self._arrived.put(target)

        return self.explainer.request(target, listener, settings, **options)

    def wait_for(self, count):
        for _ in range(count):
            self._arrived.get(timeout=PATIENCE)


def seeded(seed):
    return Settings(window_sizes=(64,), n_baselines=3, seed=seed)


class TestTurns:
    def test_sessions_are_served_in_turn_and_their_newest_first(self, gated):
        explainer, gate = gated
        finishes = Finishes(explainer)
        gate.hold()
        finishes.ask(FIRST, session="ann")
        gate.wait()
        for seed in (1, 2, 3):
            finishes.ask(SECOND, seeded(seed), session="ann")
        finishes.ask(THIRD, seeded(4), session="bob")
        finishes.ask(THIRD, seeded(5), session="bob")
        gate.open()
        finishes.wait_for(6)
        assert [seed for _, seed in finishes.order] == [0, 3, 5, 2, 4, 1]

    def test_without_sessions_first_come_first_served(self, gated):
        explainer, gate = gated
        finishes = Finishes(explainer)
        gate.hold()
        finishes.ask(FIRST)
        gate.wait()
        for seed in (1, 2, 3):
            finishes.ask(SECOND, seeded(seed))
        gate.open()
        finishes.wait_for(4)
        assert [seed for _, seed in finishes.order] == [0, 1, 2, 3]

    def test_what_two_sessions_want_comes_with_the_first_of_their_turns(self, gated):
        explainer, gate = gated
        finishes = Finishes(explainer)
        gate.hold()
        finishes.ask(FIRST, session="ann")
        gate.wait()
        finishes.ask(SECOND, seeded(1), session="ann")
        finishes.ask(SECOND, seeded(2), session="ann")
        finishes.ask(SECOND, seeded(1), session="bob")
        gate.open()
        finishes.wait_for(4)
        assert [seed for _, seed in finishes.order] == [0, 2, 1, 1]

    def test_a_claim_given_up_gives_up_its_turn(self, gated):
        explainer, gate = gated
        finishes = Finishes(explainer)
        gate.hold()
        finishes.ask(FIRST, session="ann")
        gate.wait()
        finishes.ask(SECOND, seeded(1), session="ann")
        ticket = finishes.ask(SECOND, seeded(2), session="ann")
        explainer.release(ticket)
        gate.open()
        finishes.wait_for(2)
        wait_until_idle(explainer)
        assert [seed for _, seed in finishes.order] == [0, 1]
        assert explainer._jobs == {} and len(explainer._turns) == 0

    def test_sessions_that_come_and_go_leave_nothing(self, explainer):
        for number in range(30):
            for target in (FIRST, SECOND):
                explainer.release(explainer.request(target, Recorder(), SETTINGS, session=number))
            explainer.anticipate([THIRD], SETTINGS, session=number)
            explainer.anticipate([], session=number)
        wait_until_idle(explainer)
        assert explainer._jobs == {} and len(explainer._turns) == 0 and len(explainer._ahead) == 0


class TestAnticipating:
    def test_what_was_anticipated_is_answered_at_once(self, gated, cache):
        explainer, gate = gated
        explainer._cache = cache
        explainer.anticipate([FIRST, SECOND], SETTINGS)
        wait_until_idle(explainer)
        spent = gate.calls
        for target in (FIRST, SECOND):
            assert finish(explainer, target)[0].kinds == ["Finished"]
        assert gate.calls == spent
        explainer.close()
        with explaining(cache=cache) as other:
            assert finish(other, SECOND)[0].kinds == ["Queued", "Finished"]

    def test_what_is_known_is_not_computed_again(self, gated, cache):
        with explaining(cache=cache) as other:
            finish(other, FIRST)
        explainer, gate = gated
        finish(explainer, SECOND)
        explainer._cache = cache
        explainer.anticipate([FIRST, SECOND], SETTINGS)
        wait_until_idle(explainer)
        assert gate.computed == [SECOND]
        assert finish(explainer, FIRST)[0].kinds == ["Finished"]

    def test_a_request_interrupts_it_within_one_batch_and_it_is_resumed(self, gated):
        explainer, gate = gated
        finish(explainer, FIRST, seeded(9))
        gate.hold(after=1)
        explainer.anticipate([SECOND, THIRD], SETTINGS)
        gate.wait()
        recorder, computed = Recorder(), []
        explainer.request(FIRST, recorder, SETTINGS)

        def at_the_end(event):
            if isinstance(event, Finished):
                computed.extend(gate.computed)

        explainer.request(FIRST, at_the_end, SETTINGS)
        gate.open()
        recorder.wait_for(Finished)
        wait_until_all_is_done(explainer)
        assert computed == [FIRST, SECOND, FIRST]
        assert gate.computed == [FIRST, SECOND, FIRST, SECOND, THIRD]
        assert [key[0] for key in explainer._known._attributions] == [FIRST, FIRST, SECOND, THIRD]

    def test_a_request_for_it_joins(self, gated):
        explainer, gate = gated
        gate.hold(after=2)
        explainer.anticipate([SECOND, THIRD], SETTINGS)
        gate.wait()
        recorder, other = Recorder(), Recorder()
        explainer.request(SECOND, recorder, SETTINGS)
        assert recorder.kinds == ["Queued", "BaselinesReady", "WindowReady"]
        explainer.request(FIRST, other, seeded(1))  # waits, as for any other
        gate.open()
        recorder.wait_for(Finished)
        other.wait_for(Finished)
        wait_until_all_is_done(explainer)
        assert "Stopped" not in recorder.kinds
        assert gate.computed == [SECOND, FIRST, THIRD]

    def test_who_joined_may_leave_and_it_goes_on(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        explainer.anticipate([SECOND], SETTINGS)
        gate.wait()
        ticket = explainer.request(SECOND, Recorder(), SETTINGS)
        explainer.release(ticket)
        gate.open()
        wait_until_idle(explainer)
        assert finish(explainer, SECOND)[0].kinds == ["Finished"]

    def test_waits_until_nobody_waits(self, gated):
        explainer, gate = gated
        gate.hold()
        finishes = Finishes(explainer)
        finishes.ask(FIRST)
        gate.wait()
        explainer.anticipate([THIRD], SETTINGS)
        finishes.ask(SECOND)
        gate.open()
        finishes.wait_for(2)
        wait_until_all_is_done(explainer)
        assert [key[0] for key in explainer._known._attributions] == [FIRST, SECOND, THIRD]

    def test_follows_the_newest_wish_of_each_session(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        explainer.anticipate([FIRST, SECOND], SETTINGS, session="ann")
        gate.wait()
        explainer.anticipate([FIRST], seeded(1), session="bob")
        explainer.anticipate([THIRD], SETTINGS, session="ann")  # stops the running one
        gate.open()
        wait_until_all_is_done(explainer)
        assert list(explainer._known._attributions) == [(FIRST, seeded(1)), (THIRD, SETTINGS)]
        assert gate.computed == [FIRST, FIRST, THIRD]

    def test_what_cannot_be_explained_is_passed_over_in_silence(self, explainer, caplog):
        explainer.anticipate([UNSCORED, "no such target", FIRST], SETTINGS)
        wait_until_idle(explainer)
        assert [key[0] for key in explainer._known._attributions] == [FIRST]
        assert caplog.records == []

    def test_closing_stops_it(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        explainer.anticipate([FIRST, SECOND], SETTINGS)
        gate.wait()
        spent = gate.calls
        closing = threading.Thread(target=explainer.close)
        closing.start()
        while not all(job.stop.is_set() for job in list(explainer._jobs.values())):
            time.sleep(0.01)
        gate.open()
        closing.join(PATIENCE)
        assert not closing.is_alive()
        assert gate.calls == spent
        assert len(explainer._known._attributions) == 0


QUICK = replace(SETTINGS, evaluator="local_update")


class TestRefining:
    """Who is patient waits for an idle engine, and hears exact values."""

    def ask(self, explainer, target, session="ann"):
        """Ask as a session does when the quick values are there."""
        recorder = Recorder()
        explainer.anticipate([(target, SETTINGS)], session=session)
        ticket = explainer.request(target, recorder, SETTINGS, session=session, patient=True)
        return recorder, ticket

    def test_quick_values_say_so_and_exact_ones_take_their_place(self, explainer):
        _, quick = finish(explainer, FIRST, QUICK)
        assert not quick.attribution.exact
        assert 0 < quick.attribution.measured_error < 0.02
        recorder, _ = self.ask(explainer, FIRST)
        exact = recorder.wait_for(Finished).attribution
        assert exact.exact and exact.measured_error == 0
        assert recorder.kinds == ["Queued", "BaselinesReady", *["WindowReady"] * 3, "Finished"]
        largest = np.nanmax(np.abs(exact.mean[0]))
        assert np.nanmax(np.abs(quick.attribution.mean[0] - exact.mean[0])) <= 0.1 * largest  # three hundred pixels
        again, _ = finish(explainer, FIRST, QUICK)  # what was quick is superseded
        assert again.kinds == ["Finished"] and again.events[0].attribution is exact
        assert list(explainer._known._attributions) == [(FIRST, SETTINGS)]

    def test_waits_for_nothing_that_was_not_anticipated(self, gated):
        explainer, gate = gated
        recorder = Recorder()
        ticket = explainer.request(FIRST, recorder, SETTINGS, patient=True)
        finish(explainer, SECOND)
        wait_until_all_but(explainer, 1)
        assert gate.computed == [SECOND] and recorder.kinds == ["Queued"]
        explainer.release(ticket)
        assert explainer._jobs == {}

    def test_gives_way_to_a_request_and_begins_anew(self, gated):
        explainer, gate = gated
        gate.hold(after=2)
        recorder, _ = self.ask(explainer, FIRST)
        gate.wait()
        other = Recorder()
        explainer.request(SECOND, other, SETTINGS)
        gate.open()
        other.wait_for(Finished)
        recorder.wait_for(Finished)
        assert recorder.kinds == ["Queued", *["BaselinesReady", "WindowReady"], "BaselinesReady", *["WindowReady"] * 3,
                                  "Finished"]  # fmt: skip
        assert list(explainer._known._attributions) == [(SECOND, SETTINGS), (FIRST, SETTINGS)]

    def test_comes_in_the_order_in_which_it_was_anticipated(self, gated):
        explainer, gate = gated
        gate.hold()
        held = Recorder()
        explainer.request(UNSCORED, held, SETTINGS)
        gate.wait()
        recorder = Recorder()
        explainer.anticipate([SECOND, (FIRST, SETTINGS), THIRD], QUICK, session="ann")
        explainer.request(FIRST, recorder, SETTINGS, session="ann", patient=True)
        gate.open()
        recorder.wait_for(Finished)
        wait_until_all_is_done(explainer)
        assert list(explainer._known._attributions) == [(SECOND, QUICK), (FIRST, SETTINGS), (THIRD, QUICK)]

    def test_let_go_while_it_runs_stops_and_is_not_resumed(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        recorder, ticket = self.ask(explainer, FIRST)
        gate.wait()
        explainer.release(ticket)
        gate.open()
        wait_until_all_is_done(explainer)
        assert recorder.kinds[-1] != "Finished"
        assert len(explainer._known._attributions) == 0

    def test_let_go_while_it_waits_is_never_computed(self, gated):
        explainer, gate = gated
        gate.hold()
        held = Recorder()
        explainer.request(SECOND, held, SETTINGS)
        gate.wait()
        _, ticket = self.ask(explainer, FIRST)
        explainer.release(ticket)
        gate.open()
        held.wait_for(Finished)
        wait_until_all_is_done(explainer)
        assert gate.computed == [SECOND]

    def test_two_who_wait_share_it_and_one_may_leave_during_an_interruption(self, gated):
        explainer, gate = gated
        gate.hold(after=1)
        first, ticket = self.ask(explainer, FIRST, "ann")
        gate.wait()
        second, _ = self.ask(explainer, FIRST, "bob")
        other = Recorder()
        explainer.request(SECOND, other, SETTINGS)
        gate.open()
        other.wait_for(Finished)
        explainer.release(ticket)
        explainer.anticipate((), session="ann")
        second.wait_for(Finished)
        wait_until_all_is_done(explainer)

    def test_on_disk_exact_values_come_first_and_quick_ones_are_kept_apart(self, cache):
        with explaining(cache=cache) as explainer:
            _, quick = finish(explainer, FIRST, QUICK)
        with explaining(cache=cache) as explainer:
            again, last = finish(explainer, FIRST, QUICK)
            assert again.kinds == ["Queued", "Finished"]
            assert last.attribution.facts == quick.attribution.facts
            assert last.attribution.provenance == quick.attribution.provenance
            exactly, _ = self.ask(explainer, FIRST)
            assert exactly.wait_for(Finished).attribution.exact
        with explaining(cache=cache) as explainer:
            assert finish(explainer, FIRST, QUICK)[1].attribution.exact

    def test_nothing_changes_where_local_updates_are_exact(self, cache):
        survey = tiny_survey()
        model, pool = survey.engine.get()
        local = OutlierModel(
            SpectrumEncoder(replace(model.encoder.config, normalisation="none")), model.decoder, model.flow,
            model.wavelength, device="cpu", dtype=torch.float64,
        )  # fmt: skip
        own = replace(pool, model=local.fingerprint)
        survey = replace(survey, engine=Engine(lambda: (local, own)))
        keys = {
            Inputs.of(survey, FIRST, replace(SETTINGS, evaluator=name)).digest()
            for name in ("auto", "exact", "local_update", "frozen_statistics")
        }
        assert len(keys) == 1
        with explaining(survey, cache=cache) as explainer:
            assert finish(explainer, FIRST, replace(SETTINGS, evaluator="auto"))[1].attribution.exact


class TestSeveralDevices:
    @pytest.fixture
    def two(self):
        """Two devices, which happen to be the same processor, and a copy of the model for the second."""
        survey = tiny_survey()
        loaded = survey.engine.get()
        with explaining(replace(survey, engine=Engine(lambda: loaded, ("cpu", "cpu:0")))) as made:
            yield made

    def meet(self, explainer):
        """Let every computation wait in its first question until another one is in its own."""
        barrier, met, answer = threading.Barrier(2), set(), explainer._should_stop

        def asked(job):
            if job.key not in met:
                met.add(job.key)
                barrier.wait(PATIENCE)
            return answer(job)

        explainer._should_stop = asked
        return barrier

    def test_two_outliers_are_computed_at_the_same_time_with_equal_results(self, two, explainer):
        expected = {target: finish(explainer, target)[1].attribution.values for target in (FIRST, SECOND)}
        barrier = self.meet(two)
        recorders = {target: Recorder() for target in expected}
        for target, recorder in recorders.items():
            two.request(target, recorder, SETTINGS)
        for target, recorder in recorders.items():
            found = recorder.wait_for(Finished, Failed)
            np.testing.assert_allclose(found.attribution.values, expected[target], rtol=1e-9, atol=1e-12)
        assert not barrier.broken  # or one would have waited for the other in vain
        assert sorted(two._devices) == ["cpu", "cpu:0"]  # both are free again

    def test_each_has_a_model_of_its_own(self, two):
        engine = two.survey.engine
        one, other = (engine.get(device)[0] for device in engine.devices)
        assert engine.get("cpu")[0] is one and engine.get()[0] is one
        assert other is engine.get("cpu:0")[0] and other is not one
        assert other.fingerprint == one.fingerprint  # so results are shared on disk

    def test_the_same_outlier_is_computed_once(self, two):
        gate = Gate(two)
        recorders = [Recorder() for _ in range(4)]
        for recorder in recorders:
            two.request(FIRST, recorder, SETTINGS)
        found = {id(recorder.wait_for(Finished).attribution) for recorder in recorders}
        assert len(found) == 1 and gate.computed == [FIRST]

    def test_an_error_gives_its_device_back(self, two):
        for _ in range(3):
            finish(two, UNSCORED)
        barrier = self.meet(two)
        recorders = [Recorder(), Recorder()]
        for target, recorder in zip((FIRST, SECOND), recorders, strict=True):
            two.request(target, recorder, SETTINGS)
        for recorder in recorders:
            recorder.wait_for(Finished)
        assert not barrier.broken


def wait_until_all_but(explainer, count):
    """Wait until only ``count`` jobs are left."""
    for _ in range(5):
        wait_until_idle(explainer)
    assert len(explainer._jobs) == count


def test_settings_are_those_of_the_paper_but_for_the_weights():
    defaults = {field.name: field.default for field in fields(Settings)}
    assert defaults["window_sizes"] == (1, 4, 16, 64, 256)
    assert defaults["n_baselines"] == 8
    assert defaults["weights"] == "uniform"  # docs/attribution.md says why
