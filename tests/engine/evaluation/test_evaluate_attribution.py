"""``imo evaluate attribution``: cases and truth, contenders, choices, sanity checks, the command on a tiny survey."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.table import Table
from click.testing import CliRunner
from helpers.networks import COVERED_REDSHIFT, WAVELENGTH, random_flux, tiny_model

from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.commands.evaluate_attribution import evaluate_attribution
from imo_engine.errors import ImoError, InputError, SpectrumFileError
from imo_engine.evaluation.cases import GLOBAL_KINDS, Case, read_cases
from imo_engine.evaluation.methods.choices import CHOICE_WEIGHTINGS, CHOICES, choice_maps
from imo_engine.evaluation.methods.contenders import COMBINATIONS, compute_maps, contenders_for
from imo_engine.evaluation.methods.files import read_summary
from imo_engine.evaluation.methods.page import NOTES
from imo_engine.evaluation.methods.runner import Plan, prepare_results, read_results, run_tasks, tasks_of
from imo_engine.evaluation.methods.sanity import CHECKS, randomised, rank_correlation, sanity_checks
from imo_engine.evaluation.methods.scoring import Judge, Protocol, all_scores
from imo_engine.evaluation.methods.summary import metrics_of
from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder, SpectrumEncoder
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.reasons.null_distribution import MapNull, NullDistribution, NullSettings, PlaceBins
from imo_engine.simulation.galaxies import analytic_galaxies
from imo_engine.simulation.survey import KINDS, SurveyConfig, prepare_folder, simulate_part
from imo_engine.simulation.survey_writer import write_part
from imo_engine.spectra.instrument import desi_wavelength, sky_line_mask
from imo_engine.spectra.spectra import normalise

WINDOWS = (1, 16, 64)
PROTOCOL = Protocol(n_baselines=4, block_count=6, budgets=(16, 64))


@pytest.fixture(scope="module")
def small():
    """A model of 300 pixels, a pool, and an outlier that every method can explain in no time."""
    model = tiny_model(dtype=torch.float32)
    pool = BaselinePool.from_spectra(model, random_flux(60, seed=3), np.full(60, COVERED_REDSHIFT))
    return model, pool, line_case()


def line_case(kind="cosmic_ray"):
    clean = random_flux(1, seed=9)[0].astype(np.float32)
    flux = clean.copy()
    flux[140:146] += 4
    valid = np.ones(300, bool)
    valid[:5] = False
    ivar, z = np.full(300, 100.0), COVERED_REDSHIFT
    spectrum = normalise(WAVELENGTH, flux, np.where(valid, ivar, 0.0), [z], target_id=["39628000000000007"])
    return Case("39628000000000007", kind, 4, z, flux, clean, valid, ivar, spectrum, z, {}, WAVELENGTH)


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory):
    """Folder of a survey, and a model file with baselines beside it, on DESI's grid."""
    folder = tmp_path_factory.mktemp("survey")
    config = SurveyConfig(number=60, seed=5, outlier_fraction=0.9, part_size=60)
    prepare_folder(folder, config)
    write_part(folder, 0, simulate_part(analytic_galaxies(60, rng=np.random.default_rng(0)), config, 0))
    torch.manual_seed(0)
    settings = AutoencoderConfig(
        n_latent=3,
        conv_widths=(2, 2, 4),
        encoder_hidden=(8,),
        decoder_hidden=(8,),
        n_rest=400,
        normalisation="none",
    )
    flow = MaskedAutoregressiveFlow(
        FlowConfig(n_latent=3, n_transforms=2, n_hidden=5), generator=torch.Generator().manual_seed(0)
    )
    rest = torch.linspace(2200, 9900, 400)
    model = OutlierModel(
        SpectrumEncoder(settings), SpectrumDecoder(settings, rest), flow, desi_wavelength(), device="cpu"
    )
    place = tmp_path_factory.mktemp("model")
    model.save(place / "model.safetensors")
    latents = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    scores = model.latent_log_prob(latents)
    BaselinePool(latents, np.full(60, 0.1), scores, model.fingerprint).save(place / "baselines.safetensors")
    return folder, place / "model.safetensors"


class TestCases:
    def test_the_truth_is_where_flux_and_twin_differ(self, surveyed):
        folder, file = surveyed
        model = OutlierModel.load(file, device="cpu")
        cases = read_cases(folder, model)
        assert {case.kind for case in cases} == set(KINDS)
        assert len({case.target_id for case in cases}) == len(cases)
        for case in cases:
            assert case.is_local == (case.kind not in GLOBAL_KINDS)
            assert np.array_equal(case.significance > 0, case.valid & (case.flux != case.clean) & (case.ivar > 0))
        ray = next(case for case in cases if case.kind == "cosmic_ray" and case.strength == 4)
        true = np.flatnonzero(ray.significance > 3)
        assert 1 <= len(true) <= 6
        assert np.ptp(true) < 10
        step = next(case for case in cases if case.kind == "calibration_step" and case.strength == 4)
        changed = desi_wavelength()[step.significance > 3]
        assert len(changed) > 50

    def test_noise_on_sky_lines_is_known(self, surveyed):
        folder, file = surveyed
        model = OutlierModel.load(file, device="cpu")
        case = next(case for case in read_cases(folder, model) if case.kind == "sky_residual" and case.strength == 4)
        on_sky = sky_line_mask(model.wavelength)
        assert (case.significance[on_sky] > 3).sum() > 20

    def test_another_grid_and_an_empty_folder_are_refused(self, tmp_path, small, surveyed):
        with pytest.raises(InputError, match="'model' has another grid"):
            read_cases(tmp_path, small[0])
        with pytest.raises(SpectrumFileError, match="no truth-sim"):
            read_cases(tmp_path, OutlierModel.load(surveyed[1], device="cpu"))


class TestContenders:
    def test_every_one_has_a_map_or_a_reason(self, small):
        model, pool, case = small
        maps, refused = compute_maps(model, case, pool.draw(4, seed=0), WINDOWS)
        names = [one.name for one in contenders_for(model, WINDOWS)]
        assert set(maps) | set(refused) == set(names)
        assert not set(maps) & set(refused)
        assert "imo_frozen_statistics" in maps  # this encoder normalises
        for name, one in maps.items():
            assert one.values.shape == (300,), name
            assert np.isnan(one.values[~case.valid]).all(), name
            assert not np.isnan(one.values[case.valid]).any(), name

    def test_inverse_occlusion_is_the_engines(self, small):
        model, pool, case = small
        drawn = pool.draw(4, seed=0)
        maps, _ = compute_maps(model, case, drawn, WINDOWS)
        expected = inverse_multiscale_occlusion(model, case.flux, case.redshift, drawn, WINDOWS, valid=case.valid)
        assert np.allclose(maps["imo_inverse_variance"].values, expected.combined, equal_nan=True)
        assert np.allclose(maps["imo_16"].values, expected.mean[1], equal_nan=True)
        highest = np.nanmax(expected.signal_to_scatter, axis=0, initial=-np.inf)
        assert np.allclose(maps["imo_signal_to_scatter"].values[case.valid], highest[case.valid])

    def test_baselines_of_the_more_probable_ones_are_a_choice_of_their_own(self, small):
        model, pool, case = small
        drawn, probable = pool.draw(4, seed=0), pool.draw(4, seed=0, above_quantile=0.5)
        assert probable.log_prob.min() >= np.median(pool.log_prob)
        maps, _ = compute_maps(model, case, drawn, WINDOWS, probable=probable)
        expected = inverse_multiscale_occlusion(
            model, case.flux, case.redshift, probable, WINDOWS, weights="uniform", valid=case.valid
        )
        assert np.allclose(maps["imo_uniform_probable"].values, expected.combined, equal_nan=True)
        _, refused = compute_maps(model, case, drawn, WINDOWS)
        assert "more probable" in refused["imo_inverse_variance_probable"]

    def test_significance_asks_for_what_is_ordinary(self, small):
        model, pool, case = small
        given = NullSettings(WINDOWS, 4)
        bins = [PlaceBins(size, model.wavelength) for size in given.chunk_sizes]
        plain = [(np.zeros(len(one.centre), np.float32), np.zeros(one.n_rest, np.float32)) for one in bins]
        tail = np.linspace(1, 0, 64, dtype=np.float32)
        maps = tuple(MapNull(zeros, zeros, rest, tail) for zeros, rest in plain)  # every score is the value itself
        maxima = np.random.default_rng(0).uniform(1, 2, (40, 4)).astype(np.float32)
        null = NullDistribution(model.fingerprint, given, maps, maxima, (0.0, 1.0), {})
        drawn = pool.draw(4, seed=0)
        found, _ = compute_maps(model, case, drawn, WINDOWS, null=null)
        one = inverse_multiscale_occlusion(model, case.flux, case.redshift, drawn, WINDOWS, valid=case.valid)
        expected = (one.mean / np.quantile(maxima[:, :3], 0.9, axis=0)[:, None]).mean(axis=0)
        assert np.allclose(found["imo_significance"].values, expected, equal_nan=True)
        _, refused = compute_maps(model, case, pool.draw(5, seed=0), WINDOWS, null=null)
        assert refused["imo_significance"] == "the null distribution is of 4 baselines"

    def test_another_combination_takes_part(self, small, monkeypatch):
        model, pool, case = small
        monkeypatch.setitem(COMBINATIONS, "imo_first", ("IMO, first window", lambda found: found.mean[0]))
        maps, _ = compute_maps(model, case, pool.draw(4, seed=0), WINDOWS)
        assert np.array_equal(maps["imo_first"].values, maps["imo_1"].values, equal_nan=True)
        assert "imo_first" in [one.name for one in contenders_for(model, WINDOWS)]


class TestScores:
    def test_the_truth_scores_its_best_and_a_reversed_one_its_worst(self, small):
        model, pool, case = small
        judge = Judge(model, case, pool, PROTOCOL)
        weight = np.where(case.valid, case.significance**2, np.nan)
        best, worst = judge.scores(weight), judge.scores(-weight)
        for name in ("average_precision_1sigma", "hit_at_1_1sigma", "hit_at_3_3sigma", "area_under_roc_1sigma"):
            assert best[name] == pytest.approx(1), name
            assert worst[name] < 0.1, name
        assert best["soft_area"] == pytest.approx(1)
        assert judge.ceilings(1)["average_precision_1sigma"] == pytest.approx(1)
        assert judge.ceilings(64)["average_precision_1sigma"] == pytest.approx(
            (6 / 64 - 6 / 295) / (1 - 6 / 295), abs=1e-6
        )

    def test_kinds_without_a_place_are_scored_by_repair_alone(self, small):
        model, pool, case = small
        lenient = replace(PROTOCOL, least_deficit=-np.inf)
        judge = Judge(model, replace(case, kind="dusty_red"), pool, lenient)
        judge.clean_log_prob = judge.log_prob + 5  # whatever the random network says
        found = judge.scores(np.where(case.valid, case.significance, np.nan))
        assert set(found) <= {"repair_16", "repair_64", "restoration_16", "restoration_64", "faithfulness"}
        assert {"repair_16", "restoration_64"} <= set(found)

    def test_repair_uses_baselines_that_the_methods_have_not_seen(self, small):
        model, pool, case = small
        judge = Judge(model, case, pool, PROTOCOL)
        used = model.decode(judge.baselines.latents, np.full(len(judge.baselines), case.redshift))
        assert len(judge.rest) == len(pool) - PROTOCOL.n_held_out
        for held_out in judge.replacements:
            assert np.abs(used - held_out).max(axis=1).min() > 1e-4
        again = Judge(model, case, pool, PROTOCOL)
        assert np.array_equal(again.baselines.latents, judge.baselines.latents)

    def test_every_score_has_a_description(self, small):
        model, pool, case = small
        judge = Judge(model, case, pool, replace(PROTOCOL, least_deficit=-1e9))
        judge.clean_log_prob = judge.log_prob + 5
        maps, _ = compute_maps(model, case, judge.baselines, WINDOWS)
        described = set(metrics_of(PROTOCOL.to_json())) | {"seconds", "evaluations"}
        for scores in all_scores(judge, maps).values():
            assert set(scores) <= described
            assert np.isfinite(list(scores.values())).all()


def test_choices_vary_one_thing_each(small):
    model, pool, case = small
    judge = Judge(model, case, pool, replace(PROTOCOL, n_baselines=32))
    maps = choice_maps(model, case, judge)
    assert set(maps) == {f"{choice}/{weighting}" for choice in CHOICES for weighting in CHOICE_WEIGHTINGS}
    few = judge.baselines[np.arange(8)]
    usual = inverse_multiscale_occlusion(model, case.flux, case.redshift, few, valid=case.valid)
    assert np.allclose(maps["baselines_8/inverse_variance"].values, usual.combined, equal_nan=True)
    shifted = inverse_multiscale_occlusion(
        model, case.flux, case.redshift, few, offsets=(0, 2, 10, 42, 170), valid=case.valid
    )
    assert np.allclose(maps["paper_offsets/inverse_variance"].values, shifted.combined, equal_nan=True)
    sliding = inverse_multiscale_occlusion(
        model, case.flux, case.redshift, few, stride=(1, 2, 8, 32, 128), valid=case.valid
    )
    assert np.allclose(maps["half_stride/inverse_variance"].values, sliding.combined, equal_nan=True)
    for name, other in maps.items():
        if name.endswith("inverse_variance") and not name.startswith("baselines_8"):
            assert not np.allclose(other.values, usual.combined, equal_nan=True), name


class TestSanity:
    def test_rank_correlation_ignores_what_is_not_known(self):
        first = np.array([1.0, 2, 3, np.nan, 50])
        assert rank_correlation(first, np.exp(first)) == pytest.approx(1)
        assert rank_correlation(first, -first) == pytest.approx(-1)
        assert rank_correlation(first, np.ones(5)) == 0

    def test_a_randomised_model_has_the_same_numbers_elsewhere(self, small):
        model = small[0]
        other = randomised(model, seed=1)
        pairs = list(zip(model.encoder.parameters(), other.encoder.parameters(), strict=True))
        assert all(torch.equal(a.flatten().sort().values, b.flatten().sort().values) for a, b in pairs)
        assert not all(torch.equal(a, b) for a, b in pairs)
        assert np.array_equal(model.decode(np.ones((1, 3)), [0.1]), other.decode(np.ones((1, 3)), [0.1]))

    def test_checks_answer_for_every_method_but_controls_without_a_question(self, small, monkeypatch):
        model, pool, case = small
        monkeypatch.setattr("imo_engine.evaluation.methods.sanity.compute_maps", self.compute)
        found = sanity_checks(model, case, pool.draw(3, seed=0), pool.draw(3, seed=1), seed=0)
        assert set(found) == {"same", "other"}
        assert found["same"] == pytest.approx(dict.fromkeys(CHECKS, 1.0))
        assert found["other"]["noise"] == pytest.approx(1)
        assert abs(found["other"]["other_baselines"]) < 0.3
        assert abs(found["other"]["randomised"]) < 0.3

    @staticmethod
    def compute(model, case, baselines, *, seed):
        """A method that sees nothing, one that depends on baselines and model, and a control."""

        class Found:
            def __init__(self, values):
                self.values = values

        own = int(1e6 * abs(float(baselines.latents.sum()))) + int(model.fingerprint[:6], 16)
        values = np.random.default_rng(own).normal(size=300)
        return {"same": Found(np.arange(300.0)), "other": Found(values), "oracle": Found(values)}, {}


class TestCommand:
    @pytest.fixture(scope="class")
    @staticmethod
    def arguments(surveyed, tmp_path_factory):
        folder, file = surveyed
        out = tmp_path_factory.mktemp("out")
        return [
            *(str(folder), "-o", str(out / "results"), "--model", str(file), "--workers", "1", "--per-cell", "1"),
            *("--kind", "cosmic_ray", "--choices", "0", "--sanity", "0", "--n-baselines", "2"),
            *("--page", str(out / "page.md"), "--summary", str(out / "summary.json")),
        ], out

    @pytest.fixture(scope="class")
    @staticmethod
    def finished(arguments):
        options, out = arguments
        run = CliRunner().invoke(evaluate_attribution, options, catch_exceptions=False)
        return run, out

    def test_writes_a_table_a_summary_and_a_page(self, finished):
        run, out = finished
        assert run.exit_code == 0, run.output
        assert "IMO, 1/variance (paper)" in run.output
        assert len(list((out / "results").glob("main-*.json"))) == 4
        table = Table.read(out / "results" / "scores.ecsv")
        row = table[(table["method"] == "oracle") & (table["metric"] == "average_precision_1sigma")]
        assert row["mean"].tolist() == pytest.approx([1.0] * len(row))
        document = read_summary(out / "summary.json")
        assert document == json.loads((out / "results" / "scores.json").read_text())
        assert [one["cases"] for one in document["kinds"]] == [4]
        place = [one["name"] for one in document["contenders"]].index("oracle")
        scores = document["scores"]["all"]["average_precision_1sigma"]
        assert (scores["mean"][place], scores["error"][place]) == (1, 0)
        assert document["by_kind"]["average_precision_1sigma"]["mean"][place] == [1]
        assert document["survey"]["seed"] == 5
        page = (out / "page.md").read_text()
        assert "| Truth itself | 1.00" in page
        assert "--seed 5" in page

    def test_notes_on_the_page_are_kept(self, finished, arguments):
        _, out = finished
        page = out / "page.md"
        page.write_text(page.read_text().replace("(nothing written yet)", "Rays are easy."))
        run = CliRunner().invoke(evaluate_attribution, [*arguments[0], "--report-only"], catch_exceptions=False)
        assert run.exit_code == 0
        text = page.read_text()
        assert text.count("Rays are easy.") == text.count(NOTES[0]) == text.count(NOTES[1]) == 1

    def test_an_interrupted_run_continues_with_the_same_result(self, finished, surveyed):
        _, out = finished
        folder, file = surveyed
        results = out / "results"
        before = {path.name: json.loads(path.read_text()) for path in results.glob("main-*.json")}
        gone, kept = sorted(before)[0], sorted(before)[1]
        (results / gone).unlink()
        stamp = (results / kept).stat().st_mtime_ns
        plan = Plan(
            folder,
            file,
            file.with_name("baselines.safetensors"),
            results,
            Protocol(n_baselines=2),
            per_cell=1,
            choices_per_kind=0,
            sanity_cases=0,
            kinds=("cosmic_ray",),
        )
        told = []
        run_tasks(plan, workers=2, on_done=lambda done, total: told.append((done, total)))  # before it was one process
        assert told == [(4, 4)]
        assert (results / kept).stat().st_mtime_ns == stamp
        again = json.loads((results / gone).read_text())
        for name, scores in before[gone]["scores"].items():
            without_time = {key: value for key, value in scores.items() if key != "seconds"}
            assert {k: v for k, v in again["scores"][name].items() if k != "seconds"} == pytest.approx(without_time)

    def test_results_of_another_evaluation_are_not_mixed(self, finished, arguments, surveyed):
        run = CliRunner().invoke(evaluate_attribution, [*arguments[0], "--seed", "1"])
        assert isinstance(run.exception, InputError)
        assert "holds results of another evaluation" in str(run.exception)

    def test_an_unknown_kind_and_a_damaged_file_are_named(self, finished, arguments, surveyed, tmp_path):
        run = CliRunner().invoke(
            evaluate_attribution, [str(surveyed[0]), "-o", str(tmp_path), "--model", str(surveyed[1]), "--kind", "ufo"]
        )
        assert isinstance(run.exception, InputError)
        assert "holds no outliers of kind ufo" in str(run.exception)
        (tmp_path / "main-1.json").write_text("{")
        with pytest.raises(ImoError, match=r"main-1.json: damaged"):
            read_results(tmp_path, "main")
        (tmp_path / "summary.json").write_text("[]")
        with pytest.raises(ImoError, match="not a summary of an evaluation"):
            read_summary(tmp_path / "summary.json")


def test_tasks_take_kinds_and_strengths_in_turn(surveyed, tmp_path):
    folder, file = surveyed
    model = OutlierModel.load(file, device="cpu")
    cases = read_cases(folder, model)
    plan = Plan(folder, file, file, tmp_path, per_cell=1, choices_per_kind=2, sanity_cases=3)
    tasks = tasks_of(plan, cases)
    by_id = {case.target_id: case for case in cases}
    main = [by_id[task.target_id] for task in tasks if task.sort == "main"]
    assert sorted((case.kind, case.strength) for case in main) == sorted((k, s) for k in KINDS for s in (1, 2, 3, 4))
    extra = [by_id[task.target_id] for task in tasks if task.sort == "choices"]
    assert sorted((case.kind, case.strength) for case in extra) == sorted(
        (kind, strength) for kind in KINDS if kind not in GLOBAL_KINDS for strength in (3, 4)
    )
    sanity = [by_id[task.target_id] for task in tasks if task.sort == "sanity"]
    assert len({case.kind for case in sanity}) == len(sanity) == 3
    prepare_results(plan, model)
    with pytest.raises(InputError, match="holds results of another evaluation"):
        prepare_results(replace(plan, protocol=Protocol(seed=4)), model)
