"""One window of a spectrum in one baseline: the same numbers as inverse occlusion, and the desk that hands them out."""

import json
import queue
import threading

import numpy as np
import pytest
from helpers.networks import random_flux
from helpers.surveys import TARGETS, tiny_survey

from app.browser.channel import Channel
from app.browser.hybrid import connect_hybrid
from app.computing.events import Settings
from app.plots.hybrid import HybridPlots
from app.state.hybrid import LiveExplanation
from imo_engine.attribution.hybrids import Hybrids
from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.errors import InputError

FIRST, SECOND, _, UNSCORED = TARGETS
SETTINGS = Settings(window_sizes=(16, 64), n_baselines=3)
PATIENCE = 60


@pytest.fixture(scope="module")
def survey():
    return tiny_survey()


@pytest.fixture(scope="module")
def parts(survey):
    model, pool = survey.engine.get()
    spectra = survey.spectra[[0]]
    return model, model.prepare(spectra)[0], float(spectra.redshift[0]), pool.draw(3, seed=0), spectra.measured[0]


@pytest.fixture(scope="module")
def hybrids(parts):
    model, flux, z, pool, valid = parts
    return Hybrids.of(model, flux, z, pool, valid=valid)


class TestHybrids:
    @pytest.mark.parametrize("window", [1, 16, 64])
    def test_are_the_steps_of_inverse_occlusion(self, parts, hybrids, window):
        model, flux, z, pool, valid = parts
        whole = inverse_multiscale_occlusion(model, flux, z, pool, (window,), valid=valid)
        starts = range(0, 300, window)
        for baseline in range(3):
            found = hybrids.log_prob(baseline, starts, window)
            for start, log_prob in zip(starts, found, strict=True):
                inside = hybrids.replaced(start, window)
                if inside.any():
                    fall = (hybrids.baseline_log_prob[baseline] - log_prob) / inside.sum()
                    np.testing.assert_allclose(whole.values[0, baseline, inside], fall, rtol=1e-6, atol=1e-9)

    def test_a_window_of_nothing_changes_nothing(self, hybrids):
        assert not hybrids.replaced(44, 8).any()  # masked
        assert hybrids.log_prob(0, [44], 8)[0] == pytest.approx(hybrids.baseline_log_prob[0], abs=1e-9)

    def test_everything_replaced_is_the_spectrum(self, hybrids, parts):
        found = hybrids.log_prob(1, [0], 300)[0]
        model, flux, *_ = parts
        expected = model.log_prob(np.where(hybrids.usable, flux, hybrids.baselines[1])[None])[0]
        assert found == pytest.approx(float(expected))

    def test_refuses(self, hybrids, parts):
        with pytest.raises(InputError, match="'baseline' is 3"):
            hybrids.log_prob(3, [0], 4)
        with pytest.raises(InputError, match="'window' is 0"):
            hybrids.log_prob(0, [0], 0)
        model, _, z, pool, _ = parts
        with pytest.raises(InputError, match="'flux'"):
            Hybrids.of(model, random_flux(1)[0][:10], z, pool)


class Stage:
    """A desk, its thread, and what it said."""

    def __init__(self, survey):
        self.said = queue.Queue()
        self.threads = []
        self.go = threading.Event()  # what is submitted waits for it
        self.go.set()
        self.desk = LiveExplanation(
            lambda: survey,
            SETTINGS,
            submit=self._submit,
            schedule=lambda call: call(),
            on_stage=lambda stage: self.said.put(("stage", stage)),
            on_answer=lambda answer: self.said.put(("answer", answer)),
            on_problem=lambda words: self.said.put(("problem", words)),
        )

    def _submit(self, work):
        thread = threading.Thread(target=lambda: self.go.wait(PATIENCE) and work())
        self.threads.append(thread)
        thread.start()

    def hear(self, kind):
        said, value = self.said.get(timeout=PATIENCE)
        assert said == kind, value
        return value

    def join(self):
        for thread in self.threads:
            thread.join(PATIENCE)


@pytest.fixture
def stage(survey):
    made = Stage(survey)
    yield made
    made.desk.leave()
    made.join()


class TestDesk:
    def test_answers_with_the_models_log_prob(self, stage, hybrids):
        stage.desk.show(FIRST)
        shown = stage.hear("stage")
        np.testing.assert_allclose(shown.baseline_log_prob, hybrids.baseline_log_prob)
        assert np.isnan(shown.flux[40:60]).all() and not shown.usable[40:60].any()
        stage.desk.ask((32,), 16, 1)
        answer = stage.hear("answer")
        assert answer.log_prob == pytest.approx(tuple(hybrids.log_prob(1, [32], 16)))
        assert (answer.starts, answer.pixels, answer.last) == ((32,), (8,), True)

    def test_a_sweep_comes_in_parts_and_in_order(self, stage, hybrids):
        stage.desk.show(FIRST)
        stage.hear("stage")
        starts = tuple(range(64, 208, 16))
        stage.desk.ask(starts, 16, 0)
        places, values, last = [], [], False
        while not last:
            answer = stage.hear("answer")
            last = answer.last
            places += answer.starts
            values += answer.log_prob
        assert tuple(places) == starts
        np.testing.assert_allclose(values, hybrids.log_prob(0, starts, 16))

    def test_a_sweep_gives_way_to_a_question(self, stage):
        stage.desk.show(FIRST)
        stage.hear("stage")
        stage.desk.ask(tuple(range(0, 290)), 4, 0)
        stage.hear("answer")
        stage.desk.ask((100,), 4, 1)
        for _ in range(70):
            answer = stage.hear("answer")
            if answer.question.baseline == 1:
                break
        else:
            pytest.fail("the sweep went on")
        stage.join()
        assert stage.said.empty()

    def test_stopping(self, stage):
        stage.desk.show(FIRST)
        stage.hear("stage")
        stage.desk.ask(tuple(range(0, 290)), 4, 0)
        stage.hear("answer")
        stage.desk.stop()
        stage.join()
        assert stage.said.qsize() < 10

    def test_another_target_takes_the_stage(self, stage):
        stage.go.clear()
        stage.desk.show(FIRST)
        stage.desk.show(SECOND)
        stage.go.set()
        assert stage.hear("stage").target_id == SECOND
        stage.join()
        assert stage.said.empty()

    def test_a_target_without_a_score_is_said(self, stage):
        stage.desk.show(UNSCORED)
        assert "no redshift" in stage.hear("problem")

    def test_a_bad_question_is_said_and_the_next_one_answered(self, stage):
        stage.desk.show(FIRST)
        stage.hear("stage")
        stage.desk.ask((0,), 16, 7)
        assert "'baseline' is 7" in stage.hear("problem")
        stage.desk.ask((0,), 16, 0)
        assert stage.hear("answer").last


class TestPlots:
    @pytest.fixture
    def plots(self, survey):
        return HybridPlots(survey.spectra.wavelength, (16, 1, 64))

    def test_questions_are_bounded(self, plots):
        heard, stops = [], []
        channel = Channel()
        connect_hybrid(plots, channel, lambda *question: heard.append(question), lambda: stops.append(1))

        def tell(question):
            count = channel.heard + 1
            channel.source.data = {"action": ["hybrid"], "payload": [json.dumps(question)], "count": [count]}

        def ask(start, stop, step, window, baseline=0):
            tell({"start": start, "stop": stop, "step": step, "window": window, "baseline": baseline})

        ask(-5, 10**9, 16, 16, 2)
        assert heard.pop() == (tuple(range(0, 300, 10**6)), 16, 2)
        ask(0, 300, 16, 16)
        assert heard.pop() == (tuple(range(0, 300, 16)), 16, 0)
        ask(0, 1, 0, 16)
        ask(0, 1, 1, 301)
        assert heard == []
        tell(None)
        assert stops == [1]

    def test_shows_a_stage(self, plots, hybrids):
        plots.show_stage(
            FIRST, 0.1, hybrids.flux, hybrids.usable, hybrids.baselines, hybrids.baseline_log_prob, -3.0, {16: 32}
        )
        assert plots.facts.data["id"] == [FIRST] and plots.hints.data == {"window": [16], "start": [32]}
        assert len(plots.baselines.data["values"]) == 3
        before = plots.facts.data["count"]
        plots.say("Preparing")
        assert plots.facts.data["count"] != before and plots.facts.data["words"] == ["Preparing"]
