"""Repair: the fewest regions, no more pixels than needed, and plain words where regions are not enough."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import networks
from helpers.networks import COVERED_REDSHIFT, UNCOVERED_REDSHIFT, random_flux
from hypothesis import given, settings
from hypothesis import strategies as st

from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.commands.evaluate_repair import evaluate_repair
from imo_engine.commands.simulate import simulate
from imo_engine.errors import Cancelled, InputError, ModelFileError, SpectrumFileError
from imo_engine.evaluation.repairs import random_regions
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.ranking.reference import ordinary_log_prob, read_reference
from imo_engine.repair.candidates import repair_candidates
from imo_engine.repair.fill import filled, held_out, runs_of, stand_ins
from imo_engine.repair.regions import repair
from imo_engine.repair.search import Search, covered
from imo_engine.system.embedded import EMBEDDED_MODEL, embedded_file

N = 400


class Oddness:
    """log p that falls by the oddness of every pixel that is not replaced; each baseline adds a little of its own."""

    def __init__(self, odd, baselines=(0.0, 0.1, -0.1)):
        self.odd, self.baselines, self.asked = np.asarray(odd, float), np.array(baselines), 0

    def __call__(self, masks, count):
        self.asked += len(masks)
        values = np.array([-self.odd[~mask].sum() for mask in masks])
        return values[:, None] + self.baselines[None, :count]


def search(odd, target, candidates, *, usable=None, most_ranges=8, most_pixels=N):
    score = Oddness(odd)
    usable = np.ones(len(odd), bool) if usable is None else usable
    looking = Search(score, usable, target, most_ranges=most_ranges, most_pixels=most_pixels)
    return looking.run(candidates, float(-score.odd.sum())), score


class TestSearch:
    @given(
        starts=st.lists(st.integers(0, 15), min_size=1, max_size=4, unique=True),
        widths=st.lists(st.integers(1, 12), min_size=4, max_size=4),
        seed=st.integers(0, 10_000),
    )
    @settings(deadline=None, max_examples=60)
    def test_finds_the_odd_regions_and_nothing_else(self, starts, widths, seed):
        rng = np.random.default_rng(seed)
        truth = [(25 * start, 25 * start + width) for start, width in zip(starts, widths, strict=False)]
        odd = np.zeros(N)
        for start, stop in truth:
            odd[start:stop] = rng.uniform(1, 3, stop - start)
        decoys = [
            (int(a), int(a) + int(w)) for a, w in zip(rng.integers(0, 350, 12), rng.integers(1, 50, 12), strict=True)
        ]
        found, _ = search(odd, -0.5, [*truth, *decoys])
        replaced = covered(found, np.ones(N, bool))
        assert replaced[odd > 0].all(), "each odd pixel costs more than the target allows"
        # without an odd pixel at each end a range could be cut: an eighth of it and more would have gone
        for start, stop in found:
            assert odd[start:stop].any()
            lead = int(np.argmax(odd[start:stop] > 0)), int(np.argmax(odd[start:stop][::-1] > 0))
            assert max(lead) < max(1, (stop - start) // 8) or max(lead) == 0

    def test_cuts_a_range_to_what_is_needed(self):
        odd = np.zeros(N)
        odd[203] = 10.0
        found, _ = search(odd, -1.0, [(100, 356), (0, 64)])
        assert found == [(203, 204)]

    def test_takes_one_wide_region_in_place_of_many_only_if_it_must(self):
        odd = np.zeros(N)
        odd[[50, 51, 250]] = 10.0
        found, _ = search(odd, -1.0, [(0, 400), (48, 54), (249, 252)])
        assert sorted(found) == [(50, 52), (250, 251)]
        odd[60:240] = 1.0
        found, _ = search(odd, -1.0, [(0, 400), (48, 54), (249, 252)])
        (region,) = found
        assert region[0] <= 50 and region[1] >= 251

    def test_puts_the_most_important_first(self):
        odd = np.zeros(N)
        odd[10], odd[100], odd[300] = 3.0, 9.0, 6.0
        found, _ = search(odd, -0.5, [(10, 11), (100, 101), (300, 301)])
        assert found == [(100, 101), (300, 301), (10, 11)]

    def test_leaves_out_what_turned_out_not_to_be_needed(self):
        class Swallowed(Oddness):
            """The third range does all that the first does, but only once the second is there."""

            def __call__(self, masks, count):
                values = [5.0 * (m[10] or (m[50] and m[90])) + 4.0 * m[50] + 3.0 * m[90] - 11 for m in masks]
                return np.array(values)[:, None] + self.baselines[None, :count]

        looking = Search(Swallowed(np.zeros(N)), np.ones(N, bool), 0.5, most_ranges=8, most_pixels=N)
        assert sorted(looking.run([(10, 11), (50, 51), (90, 91)], -11.0)) == [(50, 51), (90, 91)]

    def test_stops_where_few_ranges_do_not_help(self):
        odd = np.full(N, 1.0)
        found, score = search(odd, -10.0, [(k, k + 4) for k in range(0, 400, 20)], most_pixels=200)
        assert found == [] and score.asked < 60

    def test_never_replaces_what_cannot_be(self):
        odd = np.zeros(N)
        odd[100:120] = 2.0
        usable = np.ones(N, bool)
        usable[105:110] = False
        found, _ = search(odd, -10.5, [(90, 130)], usable=usable)
        ((start, stop),) = found
        assert 96 <= start <= 100 and 120 <= stop <= 124
        assert not covered(found, usable)[105:110].any()


class TestFill:
    def test_runs(self):
        assert runs_of(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
        assert runs_of(np.zeros(3, bool)) == []

    @pytest.mark.parametrize("fill", ["plain", "level"])
    def test_changes_the_replaced_pixels_only(self, fill):
        rng = np.random.default_rng(1)
        flux, baselines = rng.uniform(1, 2, N), rng.uniform(1, 2, (3, N))
        replaced = np.zeros(N, bool)
        replaced[[*range(40, 80), *range(390, 400)]] = True
        out = filled(flux, baselines, replaced, np.ones(N, bool), fill)
        assert out.shape == (3, N)
        np.testing.assert_array_equal(out[:, ~replaced], np.broadcast_to(flux[~replaced], (3, 350)))

    def test_level_meets_the_spectrum_on_both_sides(self):
        baselines = np.ones((1, N))
        flux = np.where(np.arange(N) < 150, 2.0, 3.0)
        replaced = np.zeros(N, bool)
        replaced[100:200] = True
        out = filled(flux, baselines, replaced, np.ones(N, bool), "level")[0]
        assert out[100] == pytest.approx(2) and out[199] == pytest.approx(3)
        assert (np.diff(out[100:200]) > 0).all()

    def test_level_at_an_end_takes_the_other_side(self):
        replaced = np.zeros(N, bool)
        replaced[:50] = True
        out = filled(np.full(N, 2.5), np.ones((1, N)), replaced, np.ones(N, bool), "level")[0]
        np.testing.assert_allclose(out[:50], 2.5)

    def test_the_nearest_baselines_are_those_that_look_alike(self, tiny_model):
        pool = BaselinePool.from_spectra(tiny_model, random_flux(20, seed=3), np.full(20, 0.05))
        aligned = tiny_model.decode(pool.latents, np.full(20, COVERED_REDSHIFT))
        flux = aligned[7] + 0.001
        flux[100:140] += 50.0  # oddness in less than half of the spectrum does not count
        got = stand_ins(tiny_model, flux, np.ones(300, bool), COVERED_REDSHIFT, pool, 3)
        np.testing.assert_allclose(got[0], aligned[7].astype(np.float32))

    def test_baselines_of_the_attribution_and_odd_ones_are_kept_out(self, tiny_model):
        pool = BaselinePool.from_spectra(tiny_model, random_flux(9, seed=3), np.full(9, 0.05))
        level = float(np.quantile(pool.log_prob, 0.3))
        used = pool.draw(3, seed=0)
        left = held_out(pool, used, level)
        assert (left.log_prob >= level).all()
        assert not {row.tobytes() for row in left.latents} & {row.tobytes() for row in used.latents}
        everything = held_out(pool, pool, level)  # none is left: better the same than none
        assert len(everything) == int((pool.log_prob >= level).sum())


class TestReference:
    def test_the_embedded_model_has_one(self):
        model = OutlierModel.load(embedded_file(EMBEDDED_MODEL), device="cpu")
        pool = BaselinePool.load(embedded_file("baselines.safetensors"), model)
        reference = read_reference(embedded_file("reference.safetensors"), model)
        level = ordinary_log_prob(model, pool, quantile=0.25)
        assert (reference < level).mean() == pytest.approx(0.25, abs=0.001)

    def test_other_models_have_their_baselines(self, tiny_model, tmp_path):
        pool = BaselinePool.from_spectra(tiny_model, random_flux(40, seed=3), np.full(40, 0.05))
        expected = float(np.quantile(pool.log_prob, 0.1))
        assert ordinary_log_prob(tiny_model, pool) == expected
        assert ordinary_log_prob(tiny_model, pool, model_file=tmp_path / "model.safetensors") == expected
        with pytest.raises(ModelFileError, match="of model"):
            read_reference(embedded_file("reference.safetensors"), tiny_model)

    @pytest.mark.parametrize("quantile", [0.0, 1.0, -2.0])
    def test_refuses_what_is_no_quantile(self, tiny_model, quantile):
        pool = BaselinePool.from_spectra(tiny_model, random_flux(4, seed=3), np.full(4, 0.05))
        with pytest.raises(InputError, match="'quantile'"):
            ordinary_log_prob(tiny_model, pool, quantile=quantile)


@pytest.fixture(scope="module")
def embedded():
    """The embedded model with its baselines."""
    model = OutlierModel.load(embedded_file(EMBEDDED_MODEL), device="cpu")
    return model, BaselinePool.load(embedded_file("baselines.safetensors"), model)


@pytest.fixture(scope="module")
def spiked(embedded):
    """An ordinary baseline at z = 0.2 with one spike of three pixels, and its attribution."""
    model, pool = embedded
    target = ordinary_log_prob(model, pool)
    drawn = pool.draw(2, seed=0)
    others = held_out(pool, drawn, target)
    row = int(np.argsort(np.abs(others.log_prob - np.median(others.log_prob)))[0])
    flux = model.decode(others.latents[[row]], np.array([0.2]))[0]
    flux[4000:4003] += 12.0
    attribution = inverse_multiscale_occlusion(model, flux, 0.2, drawn, (4, 64))
    return model, others, flux, attribution, target


class TestEmbeddedModel:
    def test_one_spike_needs_exactly_its_pixels(self, spiked):
        model, others, flux, attribution, target = spiked
        told = []
        found = repair(
            model, flux, 0.2, others, attribution, target_log_prob=target,
            on_progress=lambda done, total: told.append((done, total)),
        )  # fmt: skip
        assert found.own < target <= found.median and found.reached and found.complete
        (region,) = found.regions
        assert 4000 <= region.start < region.stop <= 4003
        assert found.pixels == region.pixels == region.stop - region.start
        assert region.observed == (model.wavelength[region.start], model.wavelength[region.stop - 1])
        assert region.rest == pytest.approx([edge / 1.2 for edge in region.observed])
        assert len(region.log_prob) == 8 and region.median == found.median
        assert told[-1] == (found.evaluations, found.evaluations)
        assert all(done <= total for done, total in told)
        assert [done for done, _ in told] == sorted(done for done, _ in told)

    def test_what_is_said_is_what_the_model_says(self, spiked):
        model, others, flux, attribution, target = spiked
        found = repair(model, flux, 0.2, others, attribution, target_log_prob=target)
        fills = stand_ins(model, flux, attribution.valid, 0.2, others, 8)
        expected = model.log_prob(np.where(found.replaced, fills, flux))
        np.testing.assert_allclose(found.regions[-1].log_prob, expected, atol=1e-3)
        np.testing.assert_array_equal(found.flux[~found.replaced], flux[~found.replaced].astype(np.float32))
        assert float(model.log_prob(found.flux[None])[0]) == pytest.approx(sorted(expected)[3], abs=1e-3)
        told = found.to_dict()
        assert json.loads(json.dumps(told)) == told
        assert told["regions"][0]["pixels"] == [found.regions[0].start, found.regions[0].stop]

    def test_what_is_ordinary_needs_nothing(self, spiked):
        model, others, flux, attribution, _ = spiked
        found = repair(model, flux, 0.2, others, attribution, target_log_prob=float(model.log_prob(flux[None])[0]) - 1)
        assert found.reached and found.regions == () and found.pixels == 0 and found.needed is None
        assert found.evaluations == 1

    def test_a_target_that_no_regions_reach_is_said_not_to_be(self, embedded):
        model, pool = embedded
        target = ordinary_log_prob(model, pool)
        drawn = pool.draw(2, seed=0)
        flux = model.decode(drawn.latents[[0]], np.array([0.2]))[0]
        wave = model.wavelength
        flux = flux * (0.2 + 1.6 * (np.sin(wave / 60) > 0))  # odd from one end to the other
        attribution = inverse_multiscale_occlusion(model, flux, 0.2, drawn, (64, 256))
        found = repair(model, flux, 0.2, held_out(pool, drawn, target), attribution, target_log_prob=target)
        assert not found.reached and found.median < target
        assert found.needed is not None and 0.4 * found.usable < found.needed <= found.usable
        assert found.pixels <= 0.45 * found.usable

    def test_stops_when_told(self, spiked):
        model, others, flux, attribution, target = spiked
        asked = []

        def should_stop():
            asked.append(True)
            return len(asked) > 3

        with pytest.raises(Cancelled):
            repair(model, flux, 0.2, others, attribution, target_log_prob=target, should_stop=should_stop)
        assert len(asked) == 4

    def test_makes_do_with_the_evaluations_it_has(self, spiked):
        model, others, flux, attribution, target = spiked
        found = repair(model, flux, 0.2, others, attribution, target_log_prob=target, max_evaluations=1)
        assert not found.complete and not found.reached and found.regions == ()


@pytest.fixture(scope="module")
def small():
    model = networks.tiny_model()
    pool = BaselinePool.from_spectra(model, random_flux(12, seed=9), np.full(12, 0.05))
    flux = random_flux(1, seed=4)[0]
    attribution = inverse_multiscale_occlusion(model, flux, COVERED_REDSHIFT, pool.draw(3, seed=0), (1, 16, 64))
    return model, pool, flux, attribution


class TestArguments:
    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"target_log_prob": float("nan")}, "'target_log_prob'"),
            ({"max_regions": 0}, "'max_regions'"),
            ({"max_share": 0.0}, "'max_share'"),
            ({"max_share": 1.5}, "'max_share'"),
            ({"n_baselines": 1}, "'n_baselines'"),
            ({"fill": "noise"}, "'fill'"),
            ({"which": "best"}, "'stand_ins'"),
            ({"target_log_prob": 1e9}, "'baselines' has 0"),
            ({"valid": np.ones(7, bool)}, "'valid'"),
        ],
    )
    def test_each_error_names_the_argument(self, small, changes, word):
        model, pool, flux, attribution = small
        given = {"target_log_prob": float(pool.log_prob.min())} | changes
        with pytest.raises(InputError, match=word):
            repair(model, flux, COVERED_REDSHIFT, pool, attribution, **given)

    def test_an_attribution_of_something_else(self, small):
        model, pool, flux, attribution = small
        level = float(pool.log_prob.min())
        with pytest.raises(InputError, match="'attribution' is of redshift"):
            repair(model, flux, UNCOVERED_REDSHIFT, pool, attribution, target_log_prob=level)
        with pytest.raises(InputError, match="latents of another model"):
            repair(model, flux, COVERED_REDSHIFT, replace(pool, model="another"), attribution, target_log_prob=level)

    def test_candidates_begin_and_end_with_valid_pixels(self, small):
        *_, attribution = small
        valid = attribution.valid.copy()
        valid[100:130] = False
        candidates = repair_candidates(replace(attribution, valid=valid))
        assert candidates and len(set(candidates)) == len(candidates)
        assert all(valid[start] and valid[stop - 1] for start, stop in candidates)

    @pytest.mark.parametrize(("instrument", "arms"), [("DESI", (5760, 5800)), ("SDSS", (5800, 6150)), ("", ())])
    def test_candidates_hold_the_arms_of_the_instrument(self, small, instrument, arms):
        *_, attribution = small
        wave = np.linspace(5000.0, 7000.0, len(attribution.wavelength))
        moved = replace(attribution, wavelength=wave, valid=np.ones(len(wave), bool))
        found = set(repair_candidates(moved, instrument)) - set(repair_candidates(moved))
        first, last = (int(np.searchsorted(wave, edge)) for edge in arms) if arms else (0, 0)
        assert found == ({(0, last), (first, len(wave))} if arms else set())


def test_random_regions_have_the_widths_and_do_not_overlap():
    usable = np.ones(N, bool)
    for seed in range(20):
        mask = random_regions([40, 7, 90, 1], usable, np.random.default_rng(seed))
        assert int(mask.sum()) == 138


def test_the_evaluation_repairs_injected_outliers(tmp_path):
    survey, output = tmp_path / "survey", tmp_path / "repairs.json"
    runner = CliRunner()
    made = ["--number", "140", "--seed", "3", "--outliers", "0.4", "--part-size", "140", "--analytic"]
    assert runner.invoke(simulate, [str(survey), *made]).exit_code == 0
    given = ["--survey", str(survey), "--per-kind", "1", "--windows", "256", "--odd", "0.02", "-o", str(output)]
    result = runner.invoke(evaluate_repair, [*given, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    repairs = json.loads(output.read_text())
    assert len({one["kind"] for one in repairs}) == len(repairs) > 0
    done = [one for one in repairs if one["reached"]]
    assert all(one["regions"][-1]["log_prob_median"] >= one["target_log_prob"] for one in done)
    assert all(0 <= one["inside"] <= 1 and 0 <= one["control"] <= 1 for one in done)
    (total,) = [line for line in result.output.splitlines() if line.startswith("| all |")]
    assert total.split("|")[2:4] == [f" {len(repairs)} ", f" {len(done)} "]


def test_the_evaluation_says_what_is_missing(tmp_path):
    result = CliRunner().invoke(evaluate_repair, ["--survey", str(tmp_path), "--device", "cpu"])
    assert isinstance(result.exception, SpectrumFileError) and "truth-sim" in str(result.exception)
