"""How much of an attribution is local, and how that is told."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.attributions import attribution
from helpers.evaluators import chunks_of, replacement_of, varied_model
from helpers.networks import random_flux

from imo_engine.attribution.evaluators import local_share
from imo_engine.attribution.evaluators.choice import choose_evaluator
from imo_engine.attribution.evaluators.local import FrozenStatistics
from imo_engine.attribution.evaluators.local_share import LocalShares
from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.attribution.record import WindowFacts, local_share_words
from imo_engine.attribution.tiling import tile
from imo_engine.errors import Cancelled


def lost(name, replacement, window):
    """log p lost by each chunk, (input, chunk)."""
    evaluator, inputs = choose_evaluator(name, replacement), len(replacement.base)
    log_prob = evaluator.log_prob(chunks_of(window, inputs))
    return evaluator.base_log_prob()[:, None] - log_prob.reshape(inputs, -1)


@pytest.fixture(scope="module")
def replacement():
    return replacement_of(varied_model("instance", negative=True))


@pytest.mark.parametrize("window", [4, 16, 64])
def test_compares_what_the_pattern_does_with_what_statistics_do(replacement, window):
    exact, frozen = (lost(name, replacement, window) for name in ("exact", "frozen_statistics"))
    signal, local = exact.mean(axis=0), frozen.mean(axis=0)
    tiling = tile(300, window)
    share, error = LocalShares(replacement).of(tiling.starts, tiling.stops, exact)
    assert share == pytest.approx((signal * local).sum() / (signal**2).sum(), abs=1e-9)
    rest = (signal * (signal - local)).sum() / (signal**2).sum()
    assert share + rest == pytest.approx(1) and abs(rest) > 0.01  # these networks do look at statistics
    assert error == 0


def test_of_many_chunks_some_are_drawn_and_the_error_says_how_well_that_does(replacement, monkeypatch):
    exact, frozen = (lost(name, replacement, 1) for name in ("exact", "frozen_statistics"))
    signal, local = exact.mean(axis=0), frozen.mean(axis=0)
    right = (signal * local).sum() / (signal**2).sum()
    tiling = tile(300, 1)
    asked = []
    log_prob = FrozenStatistics.log_prob
    monkeypatch.setattr(
        FrozenStatistics,
        "log_prob",
        lambda self, chunks, **more: asked.append(len(chunks)) or log_prob(self, chunks, **more),
    )
    share, error = LocalShares(replacement).of(tiling.starts, tiling.stops, exact)
    assert asked[0] == 2 and asked[1] <= 2 * local_share._MOST < exact.size
    assert 0 < error < 1
    assert abs(share - right) < 4 * error


def test_costs_nothing_without_normalisation(monkeypatch):
    monkeypatch.setattr(local_share, "FrozenStatistics", None)
    tiling = tile(300, 1)
    shares = LocalShares(replacement_of(varied_model("none")))
    assert shares.of(tiling.starts, tiling.stops, np.ones((2, 300))) == (1.0, 0.0)


def test_says_nothing_of_no_signal(replacement):
    tiling = tile(300, 64)
    assert LocalShares(replacement).of(tiling.starts, tiling.stops, np.zeros((2, len(tiling)))) == (None, None)


def test_can_be_stopped(replacement):
    tiling = tile(300, 64)
    with pytest.raises(Cancelled):
        LocalShares(replacement).of(tiling.starts, tiling.stops, np.ones((2, len(tiling))), lambda: True)


class TestOfAnAttribution:
    def explain(self, norm, evaluator):
        flux = random_flux(3, seed=4)
        return inverse_multiscale_occlusion(varied_model(norm), flux[-1], 0.1, flux[:-1], (4, 64), evaluator=evaluator)

    def test_every_one_reports_it_for_every_window(self):
        exact, full = (self.explain("instance", name) for name in ("exact", "full_passes"))
        for one, other in zip(exact.facts, full.facts, strict=True):
            assert one.local_share == pytest.approx(other.local_share, abs=1e-6)
            assert one.local_share != 1 and one.local_share_error == 0
        data = exact.to_xarray()
        assert data["local_share"].values.tolist() == [one.local_share for one in exact.facts]
        assert "W = 64: " in local_share_words(exact)

    def test_all_of_it_without_normalisation(self):
        found = self.explain("none", "exact")
        assert found.facts == (WindowFacts(local_share=1.0, local_share_error=0.0),) * 2
        assert "100 %" in local_share_words(found)

    def test_frozen_statistics_are_the_local_pattern(self):
        found = self.explain("instance", "frozen_statistics")
        assert found.facts == (WindowFacts(), WindowFacts())
        assert local_share_words(found).startswith("local pattern alone")
        assert np.isnan(found.to_xarray()["local_share"].values).all()

    def test_in_words_with_its_error(self):
        plain = attribution(np.ones((3, 2, 5)))
        assert local_share_words(plain) == ""
        facts = (WindowFacts(local_share=0.06, local_share_error=0.012), WindowFacts(), WindowFacts(local_share=0.43))
        words = local_share_words(replace(plain, facts=facts))
        assert words.endswith("statistics: W = 1: 6 ± 1 %, W = 16: 43 %")
        facts = (WindowFacts(local_share=2.36, local_share_error=0.0), WindowFacts(), WindowFacts())
        words = local_share_words(replace(plain, facts=facts))
        assert words.endswith("W = 1: 236 % (above 100 %: the statistics work against it)")
