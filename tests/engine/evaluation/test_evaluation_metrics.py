"""Scores of maps against known answers: average precision, areas, hits, ceilings, repair, bootstrap."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imo_engine.errors import InputError
from imo_engine.evaluation.methods.bootstrap import estimate, macro_mean
from imo_engine.evaluation.methods.ceilings import block_shares, oracle_block
from imo_engine.evaluation.methods.hits import chance_of_hits, dilate, hits
from imo_engine.evaluation.methods.localisation import (
    area_under_roc,
    average_precision,
    expected_average_precision,
    lift,
    normalised,
    soft_area,
)
from imo_engine.evaluation.methods.recovery import highest_pixels, repair_scores, shifted

quick = settings(max_examples=60, deadline=None)


@st.composite
def maps(draw, size=12):
    """Values with many ties, and a truth with both kinds of pixels."""
    values = draw(arrays(float, size, elements=st.integers(-2, 2)))
    truth = draw(arrays(bool, size).filter(lambda mask: mask.any() and not mask.all()))
    return values, truth


def plain_average_precision(order, truth):
    found, total = 0, 0.0
    for place, pixel in enumerate(order, start=1):
        if truth[pixel]:
            found += 1
            total += found / place
    return total / truth.sum()


@pytest.mark.parametrize(("block", "true", "expected"), [(64, 10, 0.15625), (256, 10, 0.0390625)])
def test_average_precision_of_a_perfect_block_over_a_line_of_10_pixels(block, true, expected):
    truth = np.zeros(7781, bool)
    truth[1000 : 1000 + true] = True
    values = np.zeros(7781)
    values[990 : 990 + block] = 1
    assert average_precision(values, truth) == pytest.approx(expected)


@quick
@given(maps())
def test_average_precision_needs_no_order_of_ties(one):
    values, truth = one
    order = np.random.default_rng(0).permutation(len(values))
    assert average_precision(values[order], truth[order]) == pytest.approx(average_precision(values, truth))
    assert average_precision(np.zeros(12), truth) == pytest.approx(truth.mean())
    assert average_precision(truth.astype(float), truth) == 1


@quick
@given(maps(size=6))
def test_expected_average_precision_is_the_mean_over_all_orders(one):
    values, truth = one
    orders = [order for order in itertools.permutations(range(6)) if (np.diff(values[list(order)]) <= 0).all()]
    expected = np.mean([plain_average_precision(order, truth) for order in orders])
    assert expected_average_precision(values, truth) == pytest.approx(expected)


@quick
@given(arrays(bool, 12).filter(lambda mask: mask.any()), st.randoms(use_true_random=False))
def test_both_are_the_textbook_without_ties(truth, random):
    values = np.array(random.sample(range(100), 12), float)
    expected = plain_average_precision(np.argsort(-values), truth)
    assert average_precision(values, truth) == pytest.approx(expected)
    assert expected_average_precision(values, truth) == pytest.approx(expected)


def test_normalised_is_0_for_chance_and_1_for_perfection():
    assert normalised(0.25, 0.25) == 0
    assert normalised(1.0, 0.25) == 1
    with pytest.raises(InputError, match="'chance' is 1"):
        normalised(1.0, 1.0)


@quick
@given(maps())
def test_area_under_roc_counts_pairs_and_halves_of_ties(one):
    values, truth = one
    pairs = [(a > b) + 0.5 * (a == b) for a in values[truth] for b in values[~truth]]
    assert area_under_roc(values, truth) == pytest.approx(np.mean(pairs))


def test_lift_is_the_share_of_positive_values_over_the_share_of_pixels():
    truth = np.array([True, False, False, False])
    assert lift(np.array([3.0, 1.0, -5.0, 0.0]), truth) == pytest.approx(0.75 / 0.25)
    assert lift(-np.ones(4), truth) == 1


@quick
@given(arrays(float, 9, elements=st.integers(0, 5)).filter(lambda w: w.min() < w.max()))
def test_soft_area_is_1_for_the_weights_and_0_for_nothing_and_minus_1_for_the_reverse(weight):
    assert soft_area(weight, weight) == pytest.approx(1)
    assert soft_area(np.zeros(9), weight) == pytest.approx(0)
    assert soft_area(-weight, weight) == pytest.approx(-1)


def test_random_maps_score_chance():
    rng = np.random.default_rng(3)
    truth = np.arange(400) < 40
    values = rng.normal(size=(300, 400))
    scores = np.array([[normalised(average_precision(v, truth), 0.1), area_under_roc(v, truth)] for v in values])
    assert scores.mean(axis=0) == pytest.approx([0.0, 0.5], abs=0.03)
    places = np.mean([hits(v, truth, radius=3) for v in values], axis=0)
    assert places == pytest.approx(chance_of_hits(0.1), abs=0.06)


@pytest.mark.parametrize(
    ("values", "truth", "message"),
    [
        (np.zeros(3), np.zeros(3, bool), "'truth' is true nowhere"),
        (np.array([0, np.nan]), np.array([True, False]), "'values' has NaN"),
        (np.zeros(2), np.ones(3, bool), "not the same pixels"),
    ],
)
def test_what_cannot_be_scored_is_refused(values, truth, message):
    for score in (average_precision, expected_average_precision, area_under_roc, lift):
        with pytest.raises(InputError, match=message):
            score(values, truth)
    with pytest.raises(InputError, match="'truth' is true everywhere"):
        area_under_roc(np.zeros(2), np.ones(2, bool))
    with pytest.raises(InputError, match="'weight' is negative"):
        soft_area(np.zeros(2), np.ones(2))


class TestHits:
    def test_what_is_near_a_place_is_no_other_place(self):
        values = np.zeros(50)
        values[[10, 11, 12, 40]] = [8, 9, 8, 5]
        truth = np.zeros(50, bool)
        truth[40] = True
        assert hits(values, truth, radius=2).tolist() == [0, 1, 1]
        assert hits(values, truth, radius=0)[1] == 0  # 10 and 12 come first

    def test_a_plateau_counts_by_its_share(self):
        values = np.repeat([0.0, 3.0, 1.0, 2.0], 10)
        truth = np.zeros(40, bool)
        truth[[10, 11, 12, 30, 31, 32, 33, 34]] = True
        assert hits(values, truth, radius=0) == pytest.approx([0.3, 1 - 0.7 * 0.5, 1 - 0.7 * 0.5])

    def test_a_tie_of_distant_places_is_no_decision(self):
        values = np.zeros(60)
        values[[5, 30, 55]] = 1
        truth = np.zeros(60, bool)
        truth[55] = True
        found = hits(values, truth, radius=4)
        assert found[0] == pytest.approx(1 / 3)
        assert 0.4 < found[1] < 0.95
        assert found[2] == 1

    def test_invalid_pixels_are_no_places(self):
        values = np.array([np.nan, 1.0, np.nan, 0.0])
        assert hits(values, np.array([True, False, True, False]), radius=0).tolist() == [0, 0, 0]
        with pytest.raises(InputError, match="no valid pixel"):
            hits(np.full(3, np.nan), np.ones(3, bool), radius=0)

    def test_chance(self):
        assert chance_of_hits(0.5).tolist() == [0.5, 0.75, 0.875]

    @quick
    @given(arrays(bool, 20), st.integers(0, 4))
    def test_dilation_reaches_as_far_as_it_says(self, mask, radius):
        expected = [mask[max(0, k - radius) : k + radius + 1].any() for k in range(20)]
        assert dilate(mask, radius).tolist() == expected


class TestCeilings:
    @quick
    @given(arrays(bool, 24).filter(lambda mask: mask.any()), st.permutations(range(6)))
    def test_no_order_of_blocks_is_above_the_ceiling(self, truth, order):
        valid = np.ones(24, bool)
        best = block_shares(truth, valid, 4) + 1e-6 * np.repeat(np.arange(6), 4)  # no ties between blocks
        other = np.repeat(np.array(order, float), 4)
        assert average_precision(other, truth) <= average_precision(best, truth) + 1e-12
        assert hits(other, truth, radius=0)[0] <= hits(best, truth, radius=0)[0] + 1e-12

    def test_of_single_pixels_it_is_perfection(self):
        truth = np.random.default_rng(0).random(30) < 0.3
        assert average_precision(block_shares(truth, np.ones(30, bool), 1), truth) == 1

    def test_invalid_pixels_are_left_out(self):
        valid = np.array([True, True, False, False, False, False, True, True])
        shares = block_shares(np.array([True, False, True, True, True, True, True, True]), valid, 4)
        assert np.array_equal(shares, [0.5, 0.5, np.nan, np.nan, np.nan, np.nan, 1, 1], equal_nan=True)
        block = oracle_block(np.array([4.0, 2.0, 9, 9, 9, 9, 1, 1]), valid, 4)
        assert np.array_equal(block, [3, 3, np.nan, np.nan, np.nan, np.nan, 1, 1], equal_nan=True)


class TestRepair:
    def test_takes_the_highest_and_cuts_a_run_to_its_middle(self):
        values = np.array([0.0, 5, 1, 1, 1, 1, 1, 0, np.nan])
        chosen = highest_pixels(values, 4, np.random.default_rng(0))
        assert np.flatnonzero(chosen).tolist() == [1, 3, 4, 5]
        assert highest_pixels(values, 99, np.random.default_rng(0)).sum() == 8

    @quick
    @given(
        arrays(float, 20, elements=st.one_of(st.integers(0, 3), st.just(np.nan))).filter(
            lambda v: np.isfinite(v).sum() > 2
        ),
        st.integers(1, 20),
        st.integers(0, 9),
    )
    def test_number_and_order_are_kept(self, values, budget, seed):
        rng = np.random.default_rng(seed)
        chosen, valid = highest_pixels(values, budget, rng), np.isfinite(values)
        assert chosen.sum() == min(budget, valid.sum())
        assert valid[chosen].all()
        if (valid & ~chosen).any():
            assert values[chosen].min() >= values[valid & ~chosen].max()
        moved = shifted(chosen, valid, rng)
        assert moved.sum() == chosen.sum()
        assert valid[moved].all()

    def test_a_repair_of_what_matters_scores_1_less_chance(self):
        class Sum:
            """log p is minus the flux."""

            def log_prob(self, flux):
                return -flux.sum(axis=1)

        flux = np.zeros(100)
        flux[40:50] = 2.0
        perfect, rng = flux.copy(), np.random.default_rng(1)
        score = repair_scores(Sum(), flux, -20.0, 0.0, np.zeros((50, 100)), perfect, (10, 5), rng)
        # a random shift by less than 10 pixels overlaps with it
        assert score == pytest.approx([1 - 0.1, 0.5 - 0.05], abs=0.08)
        wrong = repair_scores(Sum(), flux, -20.0, 0.0, np.zeros((50, 100)), -flux, (10,), np.random.default_rng(1))
        assert wrong[0] < 0.05

    def test_no_single_repair_counts_for_more_than_all(self):
        class Huge:
            def log_prob(self, flux):
                return 1e6 * flux.sum(axis=1)

        score = repair_scores(
            Huge(), np.zeros(10), 0.0, 1.0, np.ones((3, 10)), np.arange(10.0), (2,), np.random.default_rng(0)
        )
        assert score.tolist() == [0]  # the random regions do as much: 1 - 1
        with pytest.raises(InputError, match="not above that of the outlier"):
            repair_scores(
                Huge(), np.zeros(10), 0.0, 0.0, np.ones((1, 10)), np.zeros(10), (2,), np.random.default_rng(0)
            )


class TestBootstrap:
    def test_cells_count_alike_and_missing_ones_not_at_all(self):
        values = np.array([[1.0, 1], [3, 3], [8, np.nan], [np.nan, np.nan]])
        cells = [np.array([0, 1]), np.array([2]), np.array([3])]
        assert macro_mean(values, cells).tolist() == [5, 2]

    def test_errors_are_those_of_the_mean(self):
        rng = np.random.default_rng(0)
        common = rng.normal(0, 5, 400)
        values = np.stack([common, common + 1 + rng.normal(0, 0.1, 400)], axis=1)
        found = estimate(values, [np.arange(200), np.arange(200, 400)], 0)
        assert found.error == pytest.approx(values.std(axis=0) / 20, rel=0.1)
        assert found.difference == pytest.approx([0, 1], abs=0.02)
        assert found.difference_error[0] == 0
        assert found.difference_error[1] == pytest.approx(0.1 / 20, rel=0.15)  # paired: the common part cancels
        assert found.cases.tolist() == [400, 400]

    def test_a_contender_without_scores_is_nan(self):
        found = estimate(np.array([[1.0, np.nan], [2.0, np.nan]]), [np.array([0, 1])], 0)
        assert np.isnan(found.mean[1])
        assert np.isnan(found.error[1])
        assert found.cases.tolist() == [2, 0]

    def test_the_seed_decides(self):
        values = np.random.default_rng(0).normal(size=(12, 2))
        cells = [np.arange(12)]
        assert np.array_equal(estimate(values, cells, 0, seed=1).error, estimate(values, cells, 0, seed=1).error)
        assert not np.array_equal(estimate(values, cells, 0, seed=1).error, estimate(values, cells, 0, seed=2).error)
