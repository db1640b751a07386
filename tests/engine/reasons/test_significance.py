"""p-values of attributions: uniform where nothing is odd, refused where they mean nothing, kept in files."""

from dataclasses import replace

import numpy as np
import pytest
import xarray
from helpers.deviating import beside_baselines
from helpers.networks import WAVELENGTH, random_flux, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from app.computing.events import Settings
from app.findings.reasons import Reason
from app.html.why import why_html
from app.plots.sources import PlotSources
from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.attribution.record import Attribution
from imo_engine.errors import InputError, ModelFileError
from imo_engine.evaluation.ordinary.null_fit import NullSample, fit_null, smallest_p, smallest_p_in_turns
from imo_engine.evaluation.ordinary.null_sample import explain_survey, map_values
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.reasons.counting import counted_p
from imo_engine.reasons.features import find_features
from imo_engine.reasons.null_distribution import NullDistribution, NullSettings, PlaceBins
from imo_engine.reasons.sentences import in_brief, sentence
from imo_engine.reasons.significance import (
    NO_NULL,
    p_in_words,
    significance,
    significance_combination,
    significance_or_why,
)
from imo_engine.results.ecsv import read_attribution_table, write_attribution_table
from imo_engine.spectra.spectra import normalise
from imo_engine.system.embedded import EMBEDDED_MODEL, NULL_DISTRIBUTION, embedded_file

SIZES = (1, 4, 16)
WAVE = np.linspace(3600.0, 4556.0, 240)
SETTINGS = NullSettings(SIZES, 4)
LINE = 3800.0  # rest frame; ordinary spectra differ most there


def attribution(rng, *, redshift=None, extra=0.0, valid=None):
    """Heavy-tailed values whose spread depends on the place: on observed wavelength, and on a rest-frame line."""
    redshift = float(rng.uniform(0.0, 0.15)) if redshift is None else redshift
    rest = WAVE / (1 + redshift)
    spread = np.exp(-(WAVE - 3600) / 500) * (1 + 20 * np.exp(-0.5 * ((rest - LINE) / 15) ** 2))
    values = np.empty((len(SIZES), 4, len(WAVE)))
    for k, size in enumerate(SIZES):
        chunk = np.arange(len(WAVE)) // size
        common = rng.standard_t(4, chunk[-1] + 1)
        own = rng.normal(0, 0.3, (4, chunk[-1] + 1))
        by_pixel = (common + own)[:, chunk] * spread / size + 0.1 + np.broadcast_to(extra, WAVE.shape)
        sums = np.add.reduceat(by_pixel, np.arange(0, len(WAVE), size), axis=1)
        values[k] = (sums / np.bincount(chunk))[:, chunk]
    valid = np.ones(len(WAVE), bool) if valid is None else valid
    return Attribution(
        values=np.where(valid, values, np.nan),
        baselines=np.ones((4, len(WAVE)), np.float32),
        baseline_log_prob=np.zeros(4),
        flux=np.ones(len(WAVE), np.float32),
        redshift=redshift,
        wavelength=WAVE,
        valid=valid,
        window_sizes=SIZES,
        offsets=(0,) * len(SIZES),
        strides=SIZES,
        weighting=SETTINGS.weighting,
        provenance={"model": "made up", "model_fingerprint": "abc", "evaluations": 1, "seconds": 0.1},
    )


def sample(count, seed):
    rng = np.random.default_rng(seed)
    found = [attribution(rng) for _ in range(count)]
    values = tuple(np.stack(column) for column in zip(*map(map_values, found), strict=True))
    redshift = np.array([one.redshift for one in found])
    names = np.array([f"{seed}-{k}" for k in range(count)])
    return NullSample("abc", SETTINGS, WAVE, values, redshift, names, np.zeros(count))


@pytest.fixture(scope="module")
def null():
    return fit_null(sample(300, 1), {"survey": "made up"})


@pytest.fixture(scope="module")
def fresh():
    return sample(400, 2)


class TestUniform:
    def test_false_positive_rate_is_the_level(self, null, fresh):
        p = smallest_p(null, fresh)
        assert p.shape == (400, 5)
        for level in (0.05, 0.1, 0.2, 0.5):
            # both the null's 300 spectra and the 400 fresh ones are finite samples
            error = np.sqrt(level * (1 - level) * (1 / 300 + 1 / 400))
            assert np.abs((p <= level).mean(axis=0) - level).max() < 4 * error

    def test_so_it_is_when_all_take_turns(self, fresh):
        p = smallest_p_in_turns(fresh)
        for level in (0.1, 0.3):
            assert np.abs((p <= level).mean(axis=0) - level).max() < 4 * np.sqrt(level * (1 - level) / 400)

    def test_one_place_is_right_by_itself(self, null):
        rng = np.random.default_rng(3)
        local = np.concatenate([significance(attribution(rng), null).local_p[0] for _ in range(60)])
        for level in (0.003, 0.01, 0.1, 0.5, 0.9):
            assert (local <= level).mean() == pytest.approx(level, rel=0.25, abs=0.01)

    def test_nowhere_is_more_likely_to_be_significant_than_elsewhere(self, null, fresh):
        """Without units of what is ordinary there, all maxima would be at the blue end or on the line."""
        places = [
            np.argmax(null.maps[0].score(row, PlaceBins(1, WAVE), z))
            for row, z in zip(fresh.values[0], fresh.redshift, strict=True)
        ]
        shares = np.histogram(places, bins=4, range=(0, len(WAVE)))[0] / len(places)
        assert shares.min() > 0.15
        raw = np.histogram(fresh.values[0].argmax(axis=1), bins=4, range=(0, len(WAVE)))[0] / len(places)
        assert raw.min() < 0.1

    def test_seeds_alone_decide(self):
        first, second = (fit_null(sample(40, 7), {}) for _ in range(2))
        np.testing.assert_array_equal(first.maxima, second.maxima)


class TestValues:
    def test_an_odd_place_is_found_and_only_that(self, null):
        extra = np.where((np.arange(len(WAVE)) >= 96) & (np.arange(len(WAVE)) < 112), 60.0, 0.0)
        found = significance(attribution(np.random.default_rng(11), redshift=0.14, extra=extra), null)
        assert found.spectrum_p == found.smallest == pytest.approx(1 / 301)
        assert [region[:2] for region in found.regions()] == [(96, 112)]
        assert (found.anywhere[96:112] == found.smallest).all()
        assert found.window_p.max() == found.smallest
        outside = np.delete(np.arange(len(WAVE)), np.s_[96:112])
        assert found.anywhere[outside].min() > 0.05

    def test_larger_values_have_smaller_p(self, null):
        one = attribution(np.random.default_rng(12))
        more = replace(one, values=one.values + 1.0)
        first, second = significance(one, null), significance(more, null)
        for name in ("local_p", "corrected_p", "combined_corrected_p"):
            assert (getattr(second, name) <= getattr(first, name)).all(), name
        assert (first.corrected_p >= first.local_p - 1e-9).all()
        assert ((first.corrected_p > 0) & (first.corrected_p <= 1)).all()

    def test_pixels_without_meaning_have_no_p(self, null):
        valid = np.ones(len(WAVE), bool)
        valid[50:70] = False
        found = significance(attribution(np.random.default_rng(13), valid=valid), null)
        for name in ("local_p", "corrected_p", "combined_local_p", "combined_corrected_p", "discovery_q"):
            np.testing.assert_array_equal(np.isnan(getattr(found, name))[..., valid], False)
            np.testing.assert_array_equal(np.isnan(getattr(found, name))[..., ~valid], True)
        assert (found.anywhere[~valid] == 1).all()

    def test_false_discoveries_are_benjamini_and_hochbergs(self, null):
        found = significance(attribution(np.random.default_rng(14)), null)
        p = np.sort(found.local_p, axis=None)
        for level in (0.05, 0.5, 0.99):
            passing = np.flatnonzero(p <= level * np.arange(1, len(p) + 1) / len(p))
            expected = passing[-1] + 1 if len(passing) else 0
            assert (found.discovery_q <= level).sum() == expected

    def test_combination_is_fair_to_window_sizes(self, null):
        one = attribution(np.random.default_rng(15))
        combined = significance_combination(one, null)
        assert combined.shape == WAVE.shape
        units = np.quantile(null.maxima[:, :-1], 0.9, axis=0)
        np.testing.assert_allclose(combined, (null.scores(one)[:-1] / units[:, None]).mean(axis=0), rtol=1e-9)
        # a window size whose values are all a hundred times smaller, in the null too, counts as much as before
        small = list(null.maps)
        small[0] = replace(small[0], location=small[0].location / 100, observed=small[0].observed - np.log(100))
        values = one.values.copy()
        values[0] /= 100
        other = significance_combination(replace(one, values=values), replace(null, maps=tuple(small)))
        np.testing.assert_allclose(other, combined, rtol=1e-4, atol=1e-6)


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"provenance": {"model_fingerprint": "xyz"}}, NO_NULL),
            ({"provenance": {}}, NO_NULL),
            ({"window_sizes": (1, 4, 8), "strides": (1, 4, 8)}, "window sizes 1, 4, 16"),
            ({"offsets": (0, 1, 0)}, "plain tiles"),
            ({"strides": (1, 2, 16)}, "plain tiles"),
            (
                {
                    "values": np.zeros((len(SIZES), 5, len(WAVE))),
                    "baselines": np.ones((5, len(WAVE)), np.float32),
                    "baseline_log_prob": np.zeros(5),
                },
                "4 baselines",
            ),
            ({"weighting": "inverse_standard_deviation"}, "weights uniform"),
            ({"redshift": 0.4}, "redshifts"),
            ({"provenance": {"model_fingerprint": "abc", "evaluator": "frozen statistics"}}, "frozen"),
        ],
    )
    def test_other_models_and_settings(self, null, change, words):
        other = replace(attribution(np.random.default_rng(16)), **change)
        with pytest.raises(InputError, match=words):
            significance(other, null)
        found, why_not = significance_or_why(other, null)
        assert found is None
        assert words in why_not

    def test_none_at_all(self):
        assert significance_or_why(attribution(np.random.default_rng(16)), None) == (None, NO_NULL)

    def test_too_few_or_lifeless_spectra(self):
        with pytest.raises(InputError, match="20 at least"):
            fit_null(sample(19, 3), {})
        still = sample(30, 3)
        with pytest.raises(InputError, match="do not vary"):
            fit_null(replace(still, values=tuple(np.zeros_like(v) for v in still.values)), {})


class TestFile:
    def test_round_trip(self, null, tmp_path):
        null.save(tmp_path / "null.safetensors")
        back = NullDistribution.load(tmp_path / "null.safetensors", "abc")
        assert (back.model, back.settings, back.redshift, back.provenance) == (
            null.model,
            null.settings,
            null.redshift,
            null.provenance,
        )
        one = attribution(np.random.default_rng(17))
        for name in ("local_p", "corrected_p", "combined_corrected_p", "window_p"):
            np.testing.assert_array_equal(
                getattr(significance(one, back), name), getattr(significance(one, null), name)
            )

    def test_another_model(self, null, tmp_path):
        null.save(tmp_path / "null.safetensors")
        with pytest.raises(ModelFileError, match="of model abc, but the model in use is xyz"):
            NullDistribution.load(tmp_path / "null.safetensors", "xyz")

    def test_damage(self, null, tmp_path):
        path = tmp_path / "null.safetensors"
        with pytest.raises(ModelFileError, match="no such file"):
            NullDistribution.load(path, "abc")
        null.save(path)
        whole = path.read_bytes()
        for damaged in (whole[:-5], whole[:200], b"", whole.replace(b"maxima", b"minima", 1)):
            path.write_bytes(damaged)
            with pytest.raises(ModelFileError, match="not a null distribution"):
                NullDistribution.load(path, "abc")
        replace(null, maxima=np.full_like(null.maxima, np.nan)).save(path)
        with pytest.raises(ModelFileError, match="not finite"):
            NullDistribution.load(path, "abc")
        with pytest.raises(ModelFileError, match="cannot be written"):
            null.save(tmp_path / "nowhere" / "null.safetensors")

    def test_p_values_go_into_netcdf_and_ecsv(self, null, tmp_path):
        one = attribution(np.random.default_rng(18))
        found = significance(one, null)
        one.to_netcdf(tmp_path / "one.nc", found.variables())
        with xarray.open_dataset(tmp_path / "one.nc") as stored:
            np.testing.assert_allclose(stored["corrected_p"], found.corrected_p, rtol=1e-6)
            np.testing.assert_allclose(stored["combined_corrected_p"], found.combined_corrected_p, rtol=1e-6)
            assert stored["corrected_p"].attrs["ordinary_spectra"] == 300
        flux = np.ones((1, len(WAVE)))
        spectrum = normalise(WAVE * 1.5, flux, flux, [one.redshift], target_id=["one"])
        spectrum = replace(spectrum, wavelength=WAVE)
        write_attribution_table(tmp_path / "one.ecsv", one, spectrum, significance=found)
        table = read_attribution_table(tmp_path / "one.ecsv")
        np.testing.assert_allclose(table.corrected_p, found.corrected_p, rtol=1e-6)
        np.testing.assert_allclose(table.combined_corrected_p, found.combined_corrected_p, rtol=1e-6)
        write_attribution_table(tmp_path / "one.ecsv", one, spectrum)
        assert read_attribution_table(tmp_path / "one.ecsv").corrected_p is None


def test_the_shipped_one_fits_the_shipped_model_and_the_page_s_settings():
    model = OutlierModel.load(embedded_file(EMBEDDED_MODEL), device="cpu")
    null, page = NullDistribution.load(embedded_file(NULL_DISTRIBUTION), model.fingerprint), Settings()
    assert null.settings == NullSettings(page.window_sizes, page.n_baselines, page.weights)
    assert len(null) >= 100
    assert (null.highest[1:] >= null.highest[:-1]).all()
    assert embedded_file(NULL_DISTRIBUTION).stat().st_size < 300_000
    for one, size in zip(null.maps, null.settings.chunk_sizes, strict=True):
        bins = PlaceBins(size, model.wavelength)
        assert len(one.location) == len(one.observed) == bins.observed[-1] + 1
        assert len(one.rest) == bins.n_rest


def test_values_of_chunks_are_those_of_their_pixels():
    one = attribution(np.random.default_rng(19), valid=np.arange(len(WAVE)) % 40 != 3)
    values = map_values(one)
    for size, row, mean in zip((*SIZES, 1), values, [*one.mean, one.combined], strict=True):
        painted = np.repeat(row, size)[: len(WAVE)]
        np.testing.assert_allclose(painted[one.valid], mean[one.valid], rtol=1e-6)


def test_a_run_goes_on_where_it_was(tmp_path, monkeypatch):
    model = tiny_model()
    model.save(tmp_path / "model.safetensors")
    model = OutlierModel.load(tmp_path / "model.safetensors", device="cpu")
    flux = random_flux(30, seed=4)
    BaselinePool.from_spectra(model, flux[:20], np.full(20, 0.1)).save(tmp_path / "baselines.safetensors")
    ivar = np.full((6, len(WAVELENGTH)), 100.0)
    spectra = normalise(WAVELENGTH, flux[20:26], ivar, np.full(6, 0.1), target_id=list("abcdef"))
    spectra = replace(spectra, problem=np.full(6, "", np.str_))  # the grid ends before where it is normalised
    given = NullSettings((1, 16), 3)
    files = tmp_path / "model.safetensors", tmp_path / "baselines.safetensors", tmp_path / "survey", tmp_path / "kept"
    import imo_engine.evaluation.ordinary.null_sample as module

    monkeypatch.setattr(module, "read_spectra", lambda path, wavelength: spectra)
    seen = []
    first = explain_survey(*files, given, number=4, processes=1, on_done=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    found = inverse_multiscale_occlusion(
        model, model.prepare(spectra)[1], 0.1, BaselinePool.load(files[1], model).draw(3, seed=0), (1, 16),
        weights=given.weighting, valid=spectra.measured[1],
    )  # fmt: skip
    for row, expected in zip(first.values, map_values(found), strict=True):
        np.testing.assert_allclose(row[1], expected, rtol=1e-4, atol=1e-6)
    (tmp_path / "kept" / "survey-seed0" / "b.npz").write_bytes(b"half a file")
    seen.clear()
    again = explain_survey(*files, given, number=5, processes=1, on_done=lambda done, total: seen.append(done))
    assert seen == [3, 4, 5]
    for before, after in zip(first.values, again.values, strict=True):
        np.testing.assert_array_equal(before, after[:4])
    with pytest.raises(InputError, match="another model or of other settings"):
        explain_survey(*files, NullSettings((1, 16), 4), number=4, processes=1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.floats(-11, 11))
def test_counting(ordinary, value):
    p = float(counted_p(value, np.sort(ordinary)))
    assert p == (1 + sum(one >= value for one in ordinary)) / (len(ordinary) + 1)


@pytest.mark.parametrize(
    ("p", "smallest", "words"),
    [(1 / 301, 1 / 301, "p < 0.004"), (1 / 1001, 1 / 1001, "p < 0.001"), (0.05, 0.001, "p = 0.05"), (1, 0.1, "p = 1")],
)
def test_p_in_words(p, smallest, words):
    assert p_in_words(p, smallest) == words


def test_what_is_significant_is_sent_as_bits_and_forgotten_with_the_target(null):
    extra = np.where((np.arange(len(WAVE)) >= 96) & (np.arange(len(WAVE)) < 112), 60.0, 0.0)
    one = attribution(np.random.default_rng(11), redshift=0.14, extra=extra)
    found = significance(one, null)
    sources = PlotSources(WAVE, SIZES, 4)
    assert len(sources.significance.data["bits"][0]) == 0
    sources.show_attribution(one, found)
    (bits,) = sources.significance.data["bits"]
    rows = [found.corrected_p[SIZES.index(size)] for size in sources.window_sizes] + [found.combined_corrected_p]
    for bit, p in enumerate(rows):
        np.testing.assert_array_equal(bits >> bit & 1, p <= 0.05)
    assert sources.significance.data["why_not"] == [""]
    sources.show_attribution(one, None, "no such thing")
    assert len(sources.significance.data["bits"][0]) == 0
    assert sources.significance.data["why_not"] == ["no such thing"]
    ones = np.ones((1, len(WAVE)), np.float32)
    sources.show_attribution(one, found)
    sources.show_spectrum(normalise(WAVE * 1.5, ones, ones, [0.14], target_id=["one"]), 0)
    assert len(sources.significance.data["bits"][0]) == 0


def test_features_carry_the_smallest_p_of_their_range(null):
    extra = np.where((np.arange(len(WAVE)) >= 96) & (np.arange(len(WAVE)) < 112), 60.0, 0.0)
    one = attribution(np.random.default_rng(21), redshift=0.14, extra=extra)
    found, beside = significance(one, null), beside_baselines(one)
    first = find_features(one, beside, significance=found).features[0]
    assert first.pixels[0] <= 100 < first.pixels[1]
    assert first.p_value == found.smallest
    plain = find_features(one, beside).features
    assert plain and [feature.p_value for feature in plain] == [None] * len(plain)


def test_a_sentence_says_when_ordinary_spectra_show_as_much(null):
    one = attribution(np.random.default_rng(22), redshift=0.1)
    found = significance(one, null)
    said = find_features(one, beside_baselines(one), significance=found)
    assert found.spectrum_p > 0.05 and not said.features
    least = min(feature.p_value for feature in said.likely)
    assert least >= found.spectrum_p
    words = f"Nothing is significant: ordinary spectra show as much somewhere ({p_in_words(least, found.smallest)})"
    assert sentence(said, 0.1).startswith(f"{words}. Most likely: ") and in_brief(said).startswith("(")


@pytest.mark.parametrize(("seed", "p"), [(23, "0.87"), (28, "1")])
def test_a_sentence_names_no_place_where_most_ordinary_spectra_show_as_much(null, seed, p):
    one = attribution(np.random.default_rng(seed), redshift=0.1)
    said = find_features(one, beside_baselines(one), significance=significance(one, null))
    assert not said.features and not said.likely and in_brief(said) == "nothing stands out"
    assert sentence(said, 0.1) == f"Nothing stands out: ordinary spectra show as much somewhere (p = {p})."
    reason = Reason(said, sentence(said, 0.1), one.flux, significance(one, null))
    assert "ost likely" not in why_html(reason) and "Nothing stands out: " in why_html(reason)
