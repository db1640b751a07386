"""The ordinary twin, another redshift, and whether what is said of simulated outliers is true."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.deviating import WAVE, compared, gaussian

from imo_engine.commands.evaluate_deviations import evaluate_deviations
from imo_engine.commands.evaluate_reasons import evaluate_reasons
from imo_engine.errors import InputError, ModelFileError
from imo_engine.evaluation.cases import read_truth
from imo_engine.evaluation.reasons.judgement import judge
from imo_engine.evaluation.reasons.page import kinds_table, summary_lines, write_reasons_page
from imo_engine.evaluation.reasons.runner import chosen_cases, judge_cases, said_of
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.readers import read_spectra
from imo_engine.reasons.deviation_null import DeviationNull
from imo_engine.reasons.deviations import noise_from_neighbours
from imo_engine.reasons.features import Findings
from imo_engine.reasons.null_distribution import NullDistribution
from imo_engine.reasons.other_redshift import OtherRedshift, other_redshift
from imo_engine.reasons.spectrum_facts import SpectrumFacts, sky_left, step_at
from imo_engine.reasons.twin import compare, ordinary_twin
from imo_engine.system.embedded import DEMO_SPECTRA, embedded_file

MODEL = embedded_file("model.safetensors")
EMISSION = {3728.0: 0.6, 4862.71: 0.5, 4960.295: 0.5, 5008.24: 1.5, 6549.861: 0.2, 6564.6: 1.5, 6585.273: 0.6}


@pytest.fixture(scope="module")
def model():
    return OutlierModel.load(MODEL, device="cpu")


@pytest.fixture(scope="module")
def latents(model):
    return BaselinePool.load(MODEL.with_name("baselines.safetensors"), model).latents


@pytest.fixture(scope="module")
def demo():
    return read_spectra(embedded_file(DEMO_SPECTRA))


@pytest.fixture(scope="module")
def cases(model):
    truth = read_truth(embedded_file("demo-truth.fits.gz"), embedded_file(DEMO_SPECTRA), model)
    return {case.target_id: case for case in truth}


def emission(redshift, size=1.0):
    return size * sum(height * gaussian(wave * (1 + redshift), 2.0) for wave, height in EMISSION.items())


class TestTwin:
    def test_of_a_galaxy_that_the_model_made_is_that_galaxy(self, model, latents):
        rng = np.random.default_rng(3)
        for row in (5, 900):
            flux = model.decode(latents[[row]], [0.2])[0].astype(float)
            valid = model.covered(0.2)
            ivar = np.where(valid, 0.05**-2, 0.0)
            twin = ordinary_twin(model, flux + rng.normal(0, 0.05, len(flux)), ivar, 0.2, latents)
            assert np.median(np.abs(twin.flux - flux)[valid]) < 0.03

    def test_does_not_follow_a_step(self, model, latents):
        valid = model.covered(0.2)
        flux = model.decode(latents[[5]], [0.2])[0].astype(float)
        odd = flux * np.where(WAVE < 5780, 1.5, 1.0) + np.random.default_rng(1).normal(0, 0.05, len(flux))
        ivar = np.where(valid, 0.05**-2, 0.0)
        twin = ordinary_twin(model, odd, ivar, 0.2, latents)
        sides = [np.median((odd / twin.flux)[valid & side]) for side in (WAVE < 5600, WAVE > 6000)]
        assert sides[0] / sides[1] == pytest.approx(1.5, abs=0.1)

    def test_bad_arguments(self, model, latents, demo):
        n = len(WAVE)
        with pytest.raises(InputError, match=r"'flux' \(3,\)"):
            ordinary_twin(model, np.ones(3), np.ones(3), 0.1, latents)
        with pytest.raises(InputError, match="'ivar' is 0 wherever"):
            ordinary_twin(model, np.ones(n), np.zeros(n), 0.1, latents)
        with pytest.raises(InputError, match="'spectrum' has 2 spectra"):
            compare(model, demo[[0, 1]], latents)

    def test_without_noise_it_is_estimated_and_there_are_no_p_values(self, model, latents, demo):
        null = NullDistribution.load_beside(MODEL, model.fingerprint)
        one = demo[[0]]
        assert len(compare(model, one, latents, null).null) > 100
        bare = replace(one, ivar=np.zeros_like(one.ivar))
        found = compare(model, bare, latents, null)
        assert not found.noise_is_known and not len(found.null)
        ratio = found.noise[found.good] / np.sqrt(1 / one.ivar[0][found.good])
        assert np.median(ratio) == pytest.approx(1, abs=0.2)

    def test_noise_of_a_few_pixels(self):
        assert not noise_from_neighbours(np.ones(9), np.zeros(9, bool)).any()


class TestNull:
    def test_ships_for_the_embedded_model(self, model):
        null = NullDistribution.load_beside(MODEL, model.fingerprint)
        assert null.deviations.model == model.fingerprint and len(null.deviations) >= 900

    def test_another_model_is_refused(self):
        with pytest.raises(ModelFileError, match="deviations.safetensors: of model"):
            DeviationNull.load(embedded_file("deviations.safetensors"), "another")
        with pytest.raises(ModelFileError, match="no such file"):
            DeviationNull.load("nowhere.safetensors", "another")
        with pytest.raises(ModelFileError, match="not a null distribution of deviations"):
            DeviationNull.load(embedded_file("null.safetensors"), "another")


class TestOtherRedshift:
    def variance(self, one):
        return np.full(len(WAVE), 0.05**2)

    def test_emission_lines_at_another_redshift_are_recognised(self):
        for true in (0.1, 0.2464, 0.31):
            one = compared(emission(true), redshift=0.4)
            found = other_redshift(one, self.variance(one), np.ones(len(WAVE), bool))
            assert found.instead and found.redshift == pytest.approx(true, abs=5e-4)
            assert f"fit z = {true:.3f}"[:-1] in found.words(0.4) and "not 0.4000" in found.words(0.4)

    def test_lines_at_the_given_redshift_are_not(self):
        one = compared(emission(0.3), redshift=0.3, twin=1 + emission(0.3))
        assert other_redshift(one, self.variance(one), np.ones(len(WAVE), bool)) is None
        bright = compared(emission(0.3, 0.3), redshift=0.3, twin=1 + emission(0.3))
        assert other_redshift(bright, self.variance(bright), np.ones(len(WAVE), bool)) is None

    def test_a_second_source_is_called_so(self):
        one = compared(emission(0.15), redshift=0.3, twin=1 + emission(0.3))
        found = other_redshift(one, self.variance(one), np.ones(len(WAVE), bool))
        assert not found.instead and found.redshift == pytest.approx(0.15, abs=5e-4)
        assert found.words(0.3).startswith("A second set of emission lines fits z = 0.15")

    def test_neither_noise_nor_one_bump_is_another_redshift(self):
        for odd in (np.zeros(len(WAVE)), gaussian(6000, 2.0), gaussian(5000, 300.0)):
            one = compared(odd)
            assert other_redshift(one, self.variance(one), np.ones(len(WAVE), bool)) is None


class TestFacts:
    def test_lines_are_looked_for_at_the_redshift_that_holds(self):
        for given, holds in ((0.4, 0.2464), (0.2464, 0.2464)):
            facts = SpectrumFacts(compared(emission(0.2464), redshift=given), ())
            assert (facts.other is not None and facts.other.instead) == (given != holds)
            seen = {one.line.name: one.sigma for one in facts.own_lines}
            assert seen["Hα"] > 5 and seen["[O III] 5007"] > 5

    def test_a_step_is_measured_against_the_blue_side(self):
        for factor in (0.35, 0.8, 1.3):
            one = compared(np.where(WAVE < 5780, factor - 1, 0.0))
            step = step_at(one, "B/R", (5760.0, 5800.0))
            assert step.change == pytest.approx(1 / factor - 1, abs=3 * step.error) and step.is_there

    def test_nothing_is_said_where_nothing_was_measured(self):
        one = compared(np.zeros(len(WAVE)), valid=np.abs(WAVE - 5780) > 200)
        assert step_at(one, "B/R", (5760.0, 5800.0)) is None
        unknown = compared(np.zeros(len(WAVE)), instrument="")
        assert sky_left(unknown, 0, len(WAVE)) is None

    def test_ordinary_noise_has_neither_step_nor_sky(self):
        one = compared(np.zeros(len(WAVE)))
        assert not step_at(one, "B/R", (5760.0, 5800.0)).is_there
        assert not sky_left(one, 0, len(WAVE)).is_there


class TestJudging:
    def test_knows_right_from_wrong(self, cases):
        step = next(case for case in cases.values() if case.kind == "calibration_step" and case.strength == 4)
        nothing = judge(step, Findings(()), "Nothing stands out.")
        assert (nothing.verdict, nothing.lead_on_truth, nothing.significant) == ("unclear", None, 0)
        wrong = judge(step, Findings((), other=OtherRedshift(0.9, ("Hα",), True)), "")
        assert (wrong.verdict, wrong.redshift_named) == ("wrong", "wrong")
        assert wrong.contradictions == ("the redshift",)

    def test_of_the_demo_s_outliers(self, cases, tmp_path):
        """Two processes, attributions kept; the step is the B arm's, what is left of the sky the sky's."""
        chosen = [
            next(case for case in cases.values() if case.kind == kind and case.strength == 4)
            for kind in ("calibration_step", "sky_residual")
        ]
        judged = judge_cases(MODEL, chosen, tmp_path)
        assert [one.verdict for one in judged] == ["right", "right"]
        assert all(one.lead_on_truth and not one.contradictions and not one.insignificant_listed for one in judged)
        assert len(list(tmp_path.glob("*.npz"))) == 2
        again = said_of(MODEL, chosen[0].spectrum, tmp_path)
        assert again[1] == judged[0].sentence  # from the kept attribution
        table, lines = kinds_table(judged), summary_lines(judged)
        assert "| calibration step | 1 | 1 | 1/1 |" in table and "lead on the truth: 2 of 2 (100.0%)" in lines
        write_reasons_page(tmp_path / "page.md", "imo evaluate reasons", [("In short", "\n".join(lines))])
        assert (tmp_path / "page.md").read_text().startswith("# Are the reasons true?")

    def test_the_most_outlying_of_each_kind_are_chosen(self, cases, model):
        chosen = chosen_cases(list(cases.values()), 2, model)
        assert {case.kind for case in chosen} == {case.kind for case in cases.values()}
        log_prob = {key: float(model.log_prob(model.prepare(case.spectrum))[0]) for key, case in cases.items()}
        for kind in {case.kind for case in chosen}:
            mine = sorted(log_prob[key] for key, case in cases.items() if case.kind == kind)
            assert sorted(log_prob[case.target_id] for case in chosen if case.kind == kind) == mine[:2]

    def test_commands_say_what_they_need(self):
        for command in (evaluate_reasons, evaluate_deviations):
            assert command.help.strip() and any(option.name == "output" for option in command.params)
