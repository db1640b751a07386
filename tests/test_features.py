"""Why is it odd: features of attributions whose truth is known, and of the embedded demo."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imo_engine.attribution import Attribution
from imo_engine.changes import change_in, jump_at, share_on_sky_lines, spike_in
from imo_engine.errors import InputError
from imo_engine.features import find_features, sentence
from imo_engine.instrument import ARM_OVERLAPS, desi_wavelength, sky_lines
from imo_engine.peaks import find_regions
from imo_engine.strength import significance_of_mean
from imo_engine.surroundings import (
    lines_within,
    names,
    nearest_arm_edge,
    nearest_lines,
    nearest_sky_line,
    place,
    telluric_band,
)
from imo_engine.verdicts import Evidence, verdict

WAVE = desi_wavelength()
Z = 0.36
HALPHA = 6564.60 * (1 + Z)
SIZES = (4, 16, 64, 256)


def gaussian(centre, sigma):
    return np.exp(-0.5 * ((WAVE - centre) / sigma) ** 2)


def made(odd, *, per_pixel=4.0, n_baseline=8, scatter=0.15, sizes=SIZES, redshift=Z, seed=0, noise=0.05, valid=None):
    """A spectrum that differs from flat baselines by ``odd``, (pixel,), and what occlusion would find if log p
    fell by ``per_pixel`` nats for each pixel with a difference of 1.
    """
    rng = np.random.default_rng(seed)
    n = len(WAVE)
    valid = np.ones(n, bool) if valid is None else valid
    level = 1 + rng.normal(0, 0.03, (n_baseline, 1))
    baselines = np.repeat(level, n, axis=1).astype(np.float32)
    flux = (1 + odd + rng.normal(0, noise, n)).astype(np.float32)
    values = np.empty((len(sizes), n_baseline, n))
    for index, size in enumerate(sizes):
        starts = np.arange(0, n, size)
        counts = np.maximum(np.add.reduceat(valid.astype(float), starts), 1)
        fall = np.add.reduceat(np.where(valid, per_pixel * np.abs(odd), 0), starts) / counts
        single = fall * (1 + rng.normal(0, scatter, (n_baseline, 1))) + rng.normal(0, 1e-4, (n_baseline, len(starts)))
        values[index] = np.repeat(single, size, axis=1)[:, :n]
    return Attribution(
        values=np.where(valid, values, np.nan),
        baselines=baselines,
        baseline_log_prob=np.zeros(n_baseline),
        flux=np.where(valid, flux, 0).astype(np.float32),
        redshift=redshift,
        wavelength=WAVE,
        valid=valid,
        window_sizes=sizes,
        offsets=(0,) * len(sizes),
        strides=sizes,
    )


@pytest.fixture(scope="module")
def halpha():
    return made(gaussian(HALPHA, 8.0))


class TestOneLine:
    def test_is_found_where_it_is(self, halpha):
        first = find_features(halpha)[0]
        assert first.kind == "narrow"
        assert first.observed[0] < HALPHA < first.observed[1]
        assert first.observed[1] - first.observed[0] < 256 * 0.8
        assert abs(first.peak - HALPHA) <= 4 * 0.8
        assert first.peak_rest == pytest.approx(first.peak / (1 + Z))
        assert first.rest == pytest.approx((first.observed[0] / (1 + Z), first.observed[1] / (1 + Z)))
        assert WAVE[first.pixels[0]] == first.observed[0] and WAVE[first.pixels[1] - 1] == first.observed[1]
        assert first.share > 0.9

    def test_is_called_by_its_name(self, halpha):
        features = find_features(halpha)
        first = features[0]
        assert first.lines[0].name == "Hα" and abs(first.lines[0].offset) < 150
        assert first.line_names.startswith("Hα")
        assert first.verdict == "source"
        assert [one.about for one in first.evidence if one.speaks_for == "source"] == ["spectral line"]
        assert sentence(features).removeprefix("Mostly ").startswith("Hα")
        assert "excess flux, seen best at" in sentence(features)

    def test_counts_what_log_prob_falls_by(self, halpha):
        """All of it, 4 nats times the integral, fits into one chunk of 64 or is shared by two."""
        total = 4 * gaussian(HALPHA, 8.0).sum()
        assert 0.5 * total < find_features(halpha)[0].log_prob_drop < 1.3 * total

    def test_changes_by_what_was_put_in(self, halpha):
        first = find_features(halpha)[0]
        inside = slice(*first.pixels)
        assert first.excess
        assert first.change.size == pytest.approx(gaussian(HALPHA, 8.0)[inside].mean(), abs=0.05)
        assert first.change.sigma > 5

    def test_absorption_is_missing_flux(self):
        nad = 5894.57 * (1 + Z)
        features = find_features(made(-0.6 * gaussian(nad, 6.0)))
        assert not features[0].excess
        assert features[0].line_names == "Na D2 + Na D1"
        assert features[0].verdict == "source"
        assert "missing flux" in sentence(features)

    def test_one_feature_for_the_peaks_of_a_blend(self):
        odd = gaussian(HALPHA, 4.0) + 0.7 * gaussian(6585.27 * (1 + Z), 4.0) + 0.3 * gaussian(6549.86 * (1 + Z), 4.0)
        (first,) = find_features(made(odd))
        assert first.line_names == "Hα + [N II]"

    def test_two_features_for_lines_far_apart(self):
        hbeta = 4862.71 * (1 + Z)
        features = find_features(made(gaussian(HALPHA, 8.0) + 0.3 * gaussian(hbeta, 6.0)))
        assert [one.lines[0].name for one in features[:2]] == ["Hα", "Hβ"]
        assert features[0].log_prob_drop > features[1].log_prob_drop
        assert sentence(features[:2]).startswith("Mostly Hα")


class TestInstrument:
    def test_a_miscalibrated_arm(self):
        features = find_features(made(np.where(WAVE < 5780, 0.5, 0.0), per_pixel=0.05))
        first = features[0]
        assert (first.kind, first.place, first.verdict) == ("broad", "B arm", "instrument")
        assert first.observed[0] == 3600 and abs(first.observed[1] - 5780) < 210
        assert "step" in [one.about for one in first.evidence]
        assert sentence(features).startswith("The B arm (3600-")
        assert "which looks instrumental" in sentence(features)

    def test_the_end_of_an_arm(self):
        features = find_features(made(np.where(WAVE < 3900, 0.5, 0.0), per_pixel=0.1))
        assert features[0].place == "blue end of the B arm"
        assert sentence(features).startswith("The blue end of the B arm (3600-39")

    def test_a_change_across_arms_without_a_step_is_the_source_s(self):
        red = np.clip((WAVE - 4800) / 1000, 0, 1) * np.clip((7000 - WAVE) / 1000, 0, 1)
        first = find_features(made(red, per_pixel=0.05))[0]
        assert first.kind == "broad" and first.verdict == "source"
        assert first.place == ""

    def test_a_cosmic_ray_is_narrower_than_any_line(self):
        odd = np.zeros(len(WAVE))
        odd[4685] = 30.0
        first = find_features(made(odd))[0]
        assert abs(first.peak - WAVE[4685]) <= 2 * 0.8
        assert first.verdict == "instrument"
        assert "width" in [one.about for one in first.evidence]

    def test_negative_flux_is_no_source_s(self):
        odd = np.zeros(len(WAVE))
        odd[4790:4800] = -5.0
        first = find_features(made(odd))[0]
        assert first.verdict == "instrument" and not first.excess
        assert "negative flux" in [one.about for one in first.evidence]

    def test_what_is_left_of_the_sky(self):
        odd = np.zeros(len(WAVE))
        for row in sky_lines():
            if 8250 < row["wavelength"] < 8500:
                odd += 0.3 * np.log1p(row["intensity"]) * gaussian(row["wavelength"], 0.76)
        features = find_features(made(odd))
        for feature in features:
            assert feature.verdict == "instrument"
            assert abs(feature.sky_line.offset) < 5
        assert sentence(features).removeprefix("Mostly ").lower().startswith("night-sky lines at 8")

    def test_a_range_that_was_hardly_measured(self):
        measured = np.ones(len(WAVE), bool)
        measured[6000:6100:2] = False
        first = find_features(made(gaussian(WAVE[6050], 8.0)), measured=measured)[0]
        assert "mask" in [one.about for one in first.evidence]


class TestWhatItSays:
    def test_nothing_localised(self):
        features = find_features(made(np.full(len(WAVE), 0.5), per_pixel=0.02))
        assert [one.kind for one in features] == ["global"]
        assert features[0].place == ""
        assert sentence(features).startswith("The spectrum as a whole (3600-9824 Å), no part of which stands out")

    def test_nothing_at_all(self, halpha):
        below = replace(halpha, values=-np.abs(halpha.values) - 1)
        assert find_features(below) == []
        assert sentence([]) == "Nothing stands out."
        assert find_features(replace(halpha, values=np.zeros_like(halpha.values))) == []
        assert find_features(replace(halpha, values=np.full_like(halpha.values, np.nan))) == []

    def test_nothing_significant(self, halpha):
        noise = np.random.default_rng(1).normal(size=halpha.values.shape)
        for feature in find_features(replace(halpha, values=noise), min_significance=5.0):
            assert feature.significance >= 5
        one_sided = np.zeros_like(halpha.values)
        one_sided[:, 0, 4000:4010] = 100.0  # one baseline alone: t = 1
        assert find_features(replace(halpha, values=one_sided)) == []

    def test_is_the_same_every_time(self, halpha):
        assert find_features(halpha) == find_features(halpha)

    def test_inverse_variance_sets_the_noise(self, halpha):
        plain = find_features(halpha, ivar=np.full(len(WAVE), 1 / 0.05**2, np.float32))[0]
        noisy = find_features(halpha, ivar=np.full(len(WAVE), 1e-4, np.float32))[0]
        estimated = find_features(halpha)[0]
        assert plain.change.sigma == pytest.approx(estimated.change.sigma, rel=0.2)
        assert 0 < noisy.change.sigma < 0.2

    @pytest.mark.parametrize("name", ["ivar", "measured"])
    def test_arrays_of_another_length_are_refused(self, halpha, name):
        with pytest.raises(InputError, match=f"'{name}' has shape \\(3,\\), expected \\(7781,\\)"):
            find_features(halpha, **{name: np.ones(3)})

    def test_limits(self):
        odd = sum(k * gaussian(wave, 3.0) for k, wave in ((1, 4200), (0.8, 5000), (0.6, 6100), (0.04, 7000)))
        attribution = made(odd)
        assert len(find_features(attribution)) == 3
        assert len(find_features(attribution, limit=2)) == 2
        assert len(find_features(attribution, smallest=0.001)) >= 4

    @pytest.mark.parametrize("n_baseline", [2, 3, 8])
    def test_works_with_few_baselines(self, n_baseline):
        features = find_features(made(gaussian(HALPHA, 8.0), n_baseline=n_baseline, scatter=0.02), min_significance=0)
        assert features[0].observed[0] < HALPHA < features[0].observed[1]

    def test_works_with_gaps(self):
        valid = np.ones(len(WAVE), bool)
        valid[:900] = False
        valid[6650:6660] = False  # beside the line
        valid[2000:2900] = False
        first = find_features(made(gaussian(HALPHA, 8.0), valid=valid))[0]
        assert first.observed[0] < HALPHA < first.observed[1]

    def test_works_with_a_single_window_size(self):
        first = find_features(made(gaussian(HALPHA, 8.0), sizes=(256,)))[0]
        assert first.window_size == 256
        assert first.observed[0] < HALPHA < first.observed[1]


class TestProperties:
    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def test_of_any_attribution(self, data):
        seed = data.draw(st.integers(0, 2**32 - 1))
        rng = np.random.default_rng(seed)
        odd = np.zeros(len(WAVE))
        for _ in range(data.draw(st.integers(0, 4))):
            odd += rng.uniform(-2, 3) * gaussian(rng.uniform(3500, 9900), 10 ** rng.uniform(-0.5, 3))
        valid = np.ones(len(WAVE), bool)
        for _ in range(data.draw(st.integers(0, 3))):
            start = rng.integers(0, len(WAVE))
            valid[start : start + rng.integers(1, 3000)] = False
        count = data.draw(st.integers(2, 4))
        attribution = made(odd, n_baseline=count, seed=seed, sizes=(16, 64, 256), valid=valid)
        attribution = replace(attribution, values=attribution.values + rng.normal(0, 0.05, (3, count, 1)))
        features = find_features(attribution, limit=50, smallest=0)
        assert sum(one.share for one in features) <= 1 + 1e-9
        falls = [one.log_prob_drop for one in features]
        assert falls == sorted(falls, reverse=True)
        for feature in features:
            low, high = feature.observed
            assert 3600 <= low <= feature.peak <= high <= 9824
            assert 0 < feature.share <= 1 + 1e-9
            assert valid[feature.pixels[0]] and valid[feature.pixels[1] - 1]
            assert feature.window_size in attribution.window_sizes
            assert feature.verdict in ("instrument", "source", "unclear")
            assert np.isfinite([feature.change.size, feature.change.sigma, feature.significance]).all()
        assert sentence(features).endswith(".") and "nan" not in sentence(features)

        # the unit of log p does not matter
        scaled = find_features(replace(attribution, values=attribution.values * 8), limit=50, smallest=0)
        assert [one.pixels for one in scaled] == [one.pixels for one in features]
        assert [one.share for one in scaled] == pytest.approx([one.share for one in features])
        assert [one.log_prob_drop for one in scaled] == pytest.approx([8 * fall for fall in falls])
        assert [one.significance for one in scaled] == pytest.approx([one.significance for one in features])
        assert sentence(scaled) == sentence(features)

        # nor does the order of the baselines
        order = rng.permutation(count)
        turned = replace(attribution, values=attribution.values[:, order], baselines=attribution.baselines[order])
        assert [one.pixels for one in find_features(turned, limit=50, smallest=0)] == [one.pixels for one in features]

    @settings(max_examples=12, deadline=None)
    @given(st.floats(0.0, 0.45))
    def test_the_redshift_moves_the_rest_frame_and_nothing_else(self, redshift):
        attribution = made(gaussian(7000, 8.0), redshift=redshift, sizes=(16, 64))
        (feature,) = find_features(attribution)
        (reference,) = find_features(replace(attribution, redshift=0.0))
        assert feature.observed == reference.observed and feature.peak == reference.peak
        assert feature.sky_line == reference.sky_line and feature.arm_edge == reference.arm_edge
        assert feature.rest == pytest.approx(np.array(reference.observed) / (1 + redshift))
        assert feature.peak_rest == pytest.approx(reference.peak / (1 + redshift))

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 300))
    def test_regions_share_no_pixel_and_leave_no_peak(self, seed, n_pixel):
        rng = np.random.default_rng(seed)
        curve = np.where(rng.random(n_pixel) < 0.1, np.nan, np.cumsum(rng.normal(size=n_pixel)))
        regions = find_regions(curve)
        pixels = np.concatenate([region.pixels for region in regions]) if regions else np.zeros(0)
        assert len(set(pixels.tolist())) == len(pixels)
        for region in regions:
            assert (curve[region.pixels] > 0).all()
            assert region.start <= region.pixels.min() and region.pixels.max() < region.stop
        if (curve > 0).any():
            assert np.nanargmax(curve) in regions[0].pixels
        else:
            assert regions == []


class TestSignificance:
    def test_has_the_promised_rate_of_false_alarms(self):
        """Of many means of 8 baselines around 0, 2.3 % are above 2 sigma and 16 % above 1."""
        rng = np.random.default_rng(0)
        for count in (2, 8):
            sigma = np.array([significance_of_mean(rng.normal(size=count)) for _ in range(4000)])
            assert np.mean(sigma > 1) == pytest.approx(0.1587, abs=0.02)
            assert np.mean(sigma > 2) == pytest.approx(0.0228, abs=0.008)

    def test_at_its_ends(self):
        assert significance_of_mean(np.zeros(4)) == 0
        assert significance_of_mean(np.ones(4)) == 37
        assert significance_of_mean(-np.ones(4)) == -37


class TestChanges:
    def test_a_step_is_measured(self):
        for name, (low, high) in ARM_OVERLAPS.items():
            middle = (low + high) / 2
            jump = jump_at(made(np.where(WAVE > middle, 0.4, 0.0)), ARM_OVERLAPS[name])
            assert jump.share == pytest.approx(0.4 / 1.4, rel=0.1)
            assert jump.sigma > 5 and jump.trend < 0.1

    def test_the_flank_of_a_broad_line_has_a_trend(self):
        jump = jump_at(made(4 * gaussian(7450, 80.0)), ARM_OVERLAPS["R/Z"])
        assert jump.share < -0.1 and jump.trend > abs(jump.share) / 2

    def test_nothing_is_said_where_nothing_was_measured(self):
        valid = np.abs(WAVE - 5780) > 200
        attribution = made(np.zeros(len(WAVE)), valid=valid)
        assert jump_at(attribution, ARM_OVERLAPS["B/R"]) is None
        start, stop = np.searchsorted(WAVE, (5750, 5760))
        assert spike_in(attribution, start, stop) is None
        assert share_on_sky_lines(attribution, start, stop) is None
        assert change_in(attribution, start, stop).sigma == 0

    def test_the_surroundings_are_subtracted_from_a_narrow_range(self):
        odd = 0.5 - 0.3 * gaussian(6000, 5.0)  # absorption of a spectrum that is too bright
        start, stop = np.searchsorted(WAVE, (5992, 6008))
        attribution = replace(made(odd), baselines=np.random.default_rng(0).normal(1, 0.3, (8, 1)) * np.ones((8, 7781)))
        change = change_in(attribution, start, stop)
        assert change.local and change.size < 0


class TestSurroundings:
    def test_lines(self):
        near = nearest_lines(6570.0)
        assert [line.name for line in near] == ["Hα", "[N II] 6584", "[N II] 6548"]
        assert near[0].offset == pytest.approx(299792.458 * (6570 / 6564.60 - 1))
        assert 0 < near[0].chance < near[1].chance
        assert nearest_lines(6570.0, tolerance=50)[0].chance > near[0].chance
        assert 0 < nearest_lines(12000.0)[0].chance <= 1

    def test_lines_by_kind(self):
        assert names(lines_within(3840, 3980, emission=True)) == "[Ne III] + Hε"
        assert names(lines_within(3840, 3980, emission=False)) == "Ca K + Ca H"
        assert names(lines_within(5160, 5190, emission=True)) == "Mg b"  # there are no others
        assert names(lines_within(4000, 5100)).endswith(" and others")
        assert lines_within(5300, 5400) == () and names(()) == ""

    def test_observed_frame(self):
        sky = nearest_sky_line(5580.0)
        assert (sky.name, sky.unit) == ("OI 5579", "Angstrom") and sky.offset == pytest.approx(1.11)
        assert telluric_band(7600, 7650) == "O2 A" and telluric_band(7000, 7100) == ""
        assert telluric_band(7600, 7600) == "O2 A" and telluric_band(7000, 7000) == ""
        edge = nearest_arm_edge(3610.0)
        assert edge.name == "blue end of the B arm" and edge.offset == 10

    @pytest.mark.parametrize(
        ("low", "high", "words"),
        [
            (3600, 5800, "B arm"),
            (3700, 5700, "B arm"),
            (7520, 9824, "Z arm"),
            (3600, 7620, "B and R arms"),
            (3600, 6500, ""),
            (9600, 9824, "red end of the Z arm"),
            (4000, 4100, ""),
        ],
    )
    def test_places(self, low, high, words):
        assert place(low, high) == words


class TestVerdict:
    def test_needs_more_than_hints_and_a_lead(self):
        strong = {side: Evidence(side, 2, "a", "a") for side in ("source", "instrument")}
        hint = {side: Evidence(side, 1, "b", "b") for side in ("source", "instrument")}
        assert verdict([]) == "unclear"
        assert verdict([hint["source"], hint["source"]]) == "unclear"
        for side, other in (("source", "instrument"), ("instrument", "source")):
            assert verdict([strong[side]]) == side
            assert verdict([strong[side], hint[other]]) == side
            assert verdict([strong[side], hint[other], hint[other]]) == "unclear"
            assert verdict([strong[side], strong[other]]) == "unclear"


@pytest.fixture(scope="module")
def demo_features():
    """Explains a target of the embedded survey with few and coarse windows."""
    from app.survey import demo_survey
    from imo_engine.attribution import RECOMMENDED_WEIGHTING
    from imo_engine.occlusion import inverse_multiscale_occlusion

    survey = demo_survey(device="cpu")
    model, pool = survey.engine.get()

    def run(target_id):
        target = survey.spectra[[survey.spectra.row(target_id)]]
        flux, redshift = model.prepare(target)[0], float(target.redshift[0])
        attribution = inverse_multiscale_occlusion(
            model,
            flux,
            redshift,
            pool.draw(4, seed=0),
            (64, 256),
            weights=RECOMMENDED_WEIGHTING,
            valid=target.measured[0],
        )
        return find_features(attribution, ivar=target.ivar[0], measured=target.measured[0])

    return run


class TestDemo:
    """Injected outliers of the embedded survey, seen by the embedded model."""

    def test_outflow_wings_are_on_lines(self, demo_features):
        """Chunks of 64 pixels are too coarse to call all of them by their names, not to find them."""
        features = demo_features("39628000001008198")
        assert any(one.observed[0] < 5008.24 * 1.188 < one.observed[1] and one.excess for one in features)
        assert "instrument" not in [one.verdict for one in features if one.kind == "narrow"]

    def test_a_bad_column_is_the_instrument_s(self, demo_features):
        there = [one for one in demo_features("39628000001003268") if one.observed[0] <= 7434.4 <= one.observed[1]]
        assert there
        assert not there[0].excess

    def test_a_calibration_step_is_an_arm_s(self, demo_features):
        features = demo_features("39628000001000309")
        steps = [one for one in features if "step" in [reason.about for reason in one.evidence]]
        assert steps
        assert steps[0].verdict == "instrument"
