"""Asking about a range without a browser: what is computed, what is said, and what is dropped."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from helpers.surveys import TARGETS, tiny_survey

from app.computing.events import Settings
from app.plots.strips import Dot, Strip, strips_svg, ticks_between
from app.state.asking import Answer, Question, RangeQuestions, in_words
from app.survey.survey import RankRange
from app.views.reasons.ask import ask_html
from imo_engine.attribution.probe import Probe, probe_range
from imo_engine.spectra.ranges import range_words

FIRST, SECOND, _, UNSCORED = TARGETS
SETTINGS = Settings(window_sizes=(1, 16), n_baselines=4)


class Asking:
    """A desk whose work and whose scheduled functions wait until the test runs them."""

    def __init__(self, survey):
        self.survey, self.work, self.scheduled = survey, [], []
        self.desk = RangeQuestions(
            lambda: self.survey, SETTINGS, submit=self.work.append, schedule=self.scheduled.append
        )

    def run(self):
        while self.work:
            self.work.pop(0)()

    def drain(self):
        self.run()
        while self.scheduled:
            self.scheduled.pop(0)()


@pytest.fixture(scope="module")
def survey():
    return tiny_survey()


@pytest.fixture
def asking(survey):
    return Asking(survey)


@pytest.fixture(scope="module")
def middle(survey):
    wave = survey.spectra.wavelength
    return float(wave[100]), float(wave[140])


class TestDesk:
    def test_answers_what_the_engine_says(self, asking, survey, middle):
        asking.desk.ask(FIRST, *middle)
        assert asking.desk.question.kind == "asking"
        asking.drain()
        question = asking.desk.question
        assert (question.kind, question.low, question.high) == ("answered", *middle)
        model, pool = survey.engine.get()
        row = survey.spectra.row(FIRST)
        expected = probe_range(
            model,
            model.prepare(survey.spectra[[row]])[0],
            float(survey.spectra.redshift[row]),
            pool.draw(4, seed=0),
            *middle,
            valid=survey.spectra.measured[row],
        )
        np.testing.assert_allclose(question.answer.probe.repaired, expected.repaired, rtol=1e-6)
        np.testing.assert_allclose(question.answer.probe.spoiled, expected.spoiled, rtol=1e-6)
        own = int(survey.rank[row])
        assert question.answer.rank == RankRange(own, own, 3)
        for value, rank in zip(expected.repaired, question.answer.ranks, strict=True):
            lower = sum(survey.log_prob[k] < value for k in range(3) if k != row)
            assert rank == RankRange(lower + 1, lower + 1, 3)

    def test_computes_the_newest_of_many_questions_only(self, asking, middle, monkeypatch):
        asked = []
        answer = RangeQuestions._answer
        monkeypatch.setattr(RangeQuestions, "_answer", lambda self, *of: asked.append(of) or answer(self, *of))
        for shift in range(5):
            asking.desk.ask(FIRST, middle[0], middle[1] + 4 * shift)
        asking.drain()
        assert asked == [(FIRST, middle[0], middle[1] + 16)]
        assert asking.desk.question.high == middle[1] + 16

    def test_drops_an_answer_to_an_older_question(self, asking, middle):
        asking.desk.ask(FIRST, *middle)
        asking.run()  # its answer waits to be shown
        asking.desk.ask(FIRST, middle[0], middle[1] + 8)
        while asking.scheduled:
            asking.scheduled.pop(0)()
        assert asking.desk.question.kind == "asking"
        asking.drain()
        assert asking.desk.question.kind == "answered" and asking.desk.question.high == middle[1] + 8

    @pytest.mark.parametrize("leave", ["clear", "close"])
    def test_says_nothing_after_it_was_cleared(self, asking, middle, leave):
        asking.desk.ask(FIRST, *middle)
        asking.run()
        getattr(asking.desk, leave)()
        asking.drain()
        assert asking.desk.question.kind == ("idle" if leave == "clear" else "asking")
        assert asking.desk.question.answer is None

    def test_keeps_the_answer_before_while_the_next_is_computed(self, asking, middle):
        asking.desk.ask(FIRST, *middle)
        asking.drain()
        before = asking.desk.question.answer
        asking.desk.ask(FIRST, middle[0], middle[1] + 30)
        assert asking.desk.question.kind == "asking" and asking.desk.question.answer is before

    def test_a_range_without_valid_pixel_says_so(self, asking, survey):
        wave = survey.spectra.wavelength
        asking.desk.ask(FIRST, float(wave[42]), float(wave[50]))  # masked
        asking.drain()
        assert asking.desk.question.kind == "failed"
        assert asking.desk.question.text.startswith("No valid pixel from ")
        assert "no valid pixel" in ask_html(asking.desk.question).casefold()

    def test_a_target_without_a_score_says_so(self, asking, middle):
        asking.desk.ask(UNSCORED, *middle)
        asking.drain()
        assert asking.desk.question.kind == "failed" and "no redshift" in asking.desk.question.text

    def test_the_unexpected_is_said_and_the_next_question_answered(self, asking, middle, monkeypatch, caplog):
        with monkeypatch.context() as patched:
            patched.setattr(RangeQuestions, "_answer", lambda self, *of: 1 / 0)
            asking.desk.ask(FIRST, *middle)
            asking.drain()
        assert asking.desk.question.kind == "failed" and "ZeroDivisionError" in asking.desk.question.text
        asking.desk.ask(SECOND, *middle)
        asking.drain()
        assert asking.desk.question.kind == "answered"

    def test_nothing_selected_is_nothing_asked(self, asking, middle):
        asking.desk.ask("", *middle)
        assert asking.desk.question == Question() and asking.work == []


class TestRankInsteadOfATarget:
    def test_leaves_its_place_free(self, survey):
        whole = replace(survey, log_prob=np.array([-9.0, -5.0, -1.0, np.nan]), rank=np.array([1, 2, 3, 0]))
        assert whole.rank_range(-4.0, instead_of=FIRST) == RankRange(2, 2, 3)
        assert whole.rank_range(-4.0) == RankRange(3, 3, 4)
        assert whole.rank_range(-20.0, instead_of=SECOND) == RankRange(1, 1, 3)
        assert whole.rank_range(9.0, instead_of=FIRST) == RankRange(3, 3, 3)

    def test_lies_between_those_that_are_there(self, survey):
        part = replace(survey, log_prob=np.array([-9.0, -5.0, -1.0, np.nan]), rank=np.array([1, 40, 900, 0]), size=1000)
        assert part.rank_range(-4.0, instead_of=FIRST) == RankRange(40, 899, 1000)
        assert part.rank_range(-4.0, instead_of=SECOND) == RankRange(2, 899, 1000)


def made_answer(repaired, own=-300.0, rank=3, ranks=None):
    repaired = np.array(repaired, float)
    baselines = np.array([10.0, 12.0, 11.0])
    probe = Probe(6555.2, 6570.0, 20, own, repaired, baselines, baselines - [20.0, 30.0, 25.0])
    ranks = ranks or [RankRange(4000, 4100, 10_000), RankRange(5000, 5000, 10_000), RankRange(6000, 6200, 10_000)]
    return Answer(6555.2, 6570.0, 20, probe, 0.1, RankRange(rank, rank, 10_000), tuple(ranks))


class TestWords:
    def test_are_what_a_person_would_write(self):
        first, second = in_words(made_answer([-20.0, -10.0, 5.0]))
        assert first == (
            "Without 6555–6570 Å it would rank about 5,000 of 10,000 (4,000 to 6,200), not 3: "
            "log p rises from −300.0 to −10.0 (−20.0 to 5.0 over 3 baselines)."
        )
        assert second == "The same range put into the baselines lowers their log p by 25.0 (−30.0 to −20.0)."

    def test_say_that_nothing_changes(self):
        first, _ = in_words(made_answer([-299.0, -301.0, -302.0], ranks=[RankRange(3, 3, 10_000)] * 3))
        assert "it would still rank 3 of 10,000, whichever baseline fills the gap: log p falls" in first

    def test_say_that_nothing_changes_to_a_decimal(self):
        first, _ = in_words(made_answer([-300.01, -300.02, -299.98], ranks=[RankRange(3, 3, 10_000)] * 3))
        assert first.endswith("log p stays at −300.0 (−300.0 to −300.0 over 3 baselines).")

    def test_say_what_it_means_that_a_range_makes_the_rest_less_odd(self):
        ranks = [RankRange(1, 1, 10_000), RankRange(2, 2, 10_000), RankRange(2, 2, 10_000)]
        first, second = in_words(made_answer([-320.0, -310.0, -305.0], ranks=ranks))
        assert first == (
            "Without 6555–6570 Å it would rank about 2 of 10,000 (1 to 2), not 3: log p falls from −300.0 to −310.0 "
            "(−320.0 to −305.0 over 3 baselines). This range makes the rest look less odd: it suits the rest better "
            "than what ordinary spectra have there, though it is odd in those."
        )
        assert "lowers their log p" in second

    def test_call_it_odd_among_ordinary_spectra_only_where_it_is(self):
        answer = made_answer([-320.0, -310.0, -305.0])
        probe = replace(answer.probe, spoiled=answer.probe.baselines + 1)
        first, second = in_words(replace(answer, probe=probe))
        assert first.endswith("than what ordinary spectra have there.") and "raises their log p by 1.0" in second

    @pytest.mark.parametrize(
        ("repaired", "words"),
        [
            ([-320.0, -310.0, -290.0], "With 1 of 3 baselines log p rises."),
            ([-310.0, -290.0, -280.0], "With 1 of 3 baselines it falls."),
        ],
    )
    def test_say_that_it_depends_on_the_baseline(self, repaired, words):
        first, _ = in_words(made_answer(repaired))
        assert first.endswith(words)
        assert ("less odd" in first) == (np.median(repaired) < -300)


class TestRange:
    """The pixels that are asked about are those that are named."""

    def test_is_that_of_its_pixels(self, asking, survey):
        wave = survey.spectra.wavelength
        asking.desk.ask(FIRST, float(wave[99]) + 0.1, float(wave[141]) - 0.1)
        asking.drain()
        question = asking.desk.question
        assert (question.low, question.high) == (wave[100], wave[140])
        assert range_words(wave[100], wave[140]) in in_words(question.answer)[0]
        html = ask_html(question)
        z = question.answer.redshift
        assert f"What if {range_words(wave[100], wave[140])} were" in html
        assert f"rest {range_words(wave[100] / (1 + z), wave[140] / (1 + z))} · 41 pixels<" in html

    def test_keeps_its_ends_where_some_of_it_was_not_measured(self, asking, survey):
        wave, measured = survey.spectra.wavelength, survey.spectra.measured[survey.spectra.row(FIRST)]
        assert not measured[50] and measured[140]
        asking.desk.ask(FIRST, float(wave[50]), float(wave[140]))
        asking.drain()
        answer = asking.desk.question.answer
        assert in_words(answer)[0].startswith(f"Without {range_words(wave[50], wave[140])} ")
        assert f"{measured[50:141].sum()} of 91 pixels, the others not measured" in ask_html(asking.desk.question)


class TestPlot:
    def test_has_every_value_where_it_belongs(self):
        answer = made_answer([-20.0, -10.0, 5.0])
        html = ask_html(Question("answered", 6555.0, 6570.0, answer=answer))
        svg = ET.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
        place = {}
        for circle in svg.iter("circle"):
            place.setdefault(circle.get("class"), []).append(float(circle.get("cx").rstrip("%")))
        assert len(place["changed spectrum"]) == len(place["changed baseline"]) == len(place["unchanged baseline"]) == 3
        assert place["unchanged spectrum"] == [3.0]  # the lowest of all, at the left
        values = np.array([-300.0, -20.0, -10.0, 5.0])
        drawn = np.array([*place["unchanged spectrum"], *place["changed spectrum"]])
        np.testing.assert_allclose(drawn, 3 + 94 * (values + 300) / 312, atol=0.01)
        assert "rank 5,000 of 10,000" in html

    def test_of_equal_values_is_finite(self):
        svg = strips_svg([Strip("a", "a", [Dot(1.0, "")], [Dot(1.0, "")])], "log p", "same")
        assert "nan" not in svg and "50.00%" in svg

    @pytest.mark.parametrize("low, high", [(-312, 25), (0.001, 0.002), (1e4, 3e5), (-1, 1)])
    def test_ticks_are_few_and_inside(self, low, high):
        ticks = ticks_between(low, high)
        assert 2 <= len(ticks) <= 5 and low <= ticks[0] and ticks[-1] <= high

    def test_escapes_what_it_is_told(self):
        assert "<b>" not in strips_svg([Strip("a", "<b>", [Dot(1.0, "<b>")], [Dot(2.0, "")])], "<b>", "<b>\"'")
