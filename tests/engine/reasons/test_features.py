"""Why is it odd: features of spectra whose truth is known."""

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.deviating import NOISE, WAVE, Z, compared, gaussian, occluded, ordinary
from hypothesis import given, settings
from hypothesis import strategies as st

from imo_engine.errors import InputError
from imo_engine.reasons.deviation_null import DeviationNull
from imo_engine.reasons.evidence import Evidence, verdict
from imo_engine.reasons.features import find_features
from imo_engine.reasons.other_redshift import OtherRedshift
from imo_engine.reasons.peaks import find_regions
from imo_engine.reasons.sentences import in_brief, sentence
from imo_engine.reasons.significance import LEVEL
from imo_engine.reasons.strength import significance_of_mean
from imo_engine.spectra.instrument import INSTRUMENTS, sky_lines
from imo_engine.spectra.landmarks import lines_within, names, nearest_lines, place

HALPHA = 6564.60 * (1 + Z)


def found_in(odd, *, instrument="DESI", twin=None, null=None, **options):
    """What stands out of a spectrum that differs from its twin by ``odd``."""
    shared = {name: options[name] for name in ("redshift", "valid", "seed") if name in options}
    one = compared(odd, instrument=instrument, twin=twin, null=null, **shared)
    return find_features(occluded(odd, **options), one)


def abouts(feature):
    return [one.about for one in feature.evidence]


class TestOneLine:
    def test_is_found_where_it_is_and_called_by_its_name(self):
        found = found_in(gaussian(HALPHA, 8.0))
        first = found.features[0]
        assert first.kind == "narrow" and first.excess and first.is_significant
        assert first.observed[0] < HALPHA < first.observed[1]
        assert first.observed[1] - first.observed[0] < 60
        assert abs(first.peak - HALPHA) <= 4 * 0.8 and first.peak_rest == pytest.approx(first.peak / (1 + Z))
        assert first.rest == pytest.approx((first.observed[0] / (1 + Z), first.observed[1] / (1 + Z)))
        assert WAVE[first.pixels[0]] == first.observed[0] and WAVE[first.pixels[1] - 1] == first.observed[1]
        assert first.line_names.startswith("Hα") and first.lines[0].name == "Hα"
        assert sentence(found, Z).removeprefix("Mostly ").startswith("Hα")
        assert "excess flux, seen best at" in sentence(found, Z)
        assert in_brief(found).startswith("Hα")

    def test_says_how_much_there_is_in_units_of_the_files_noise(self):
        first = found_in(0.5 * gaussian(HALPHA, 8.0)).features[0]
        inside = slice(*first.pixels)
        expected = 0.5 * gaussian(HALPHA, 8.0)[inside].sum() / (NOISE * np.sqrt(inside.stop - inside.start))
        assert first.noise_sigma == pytest.approx(expected, rel=0.1)

    def test_absorption_is_missing_flux(self):
        nad = 5894.57 * (1 + Z)
        found = found_in(-0.6 * gaussian(nad, 6.0))
        first = found.features[0]
        assert not first.excess and first.noise_sigma < -10
        assert first.line_names == "Na D2 + Na D1" and first.verdict != "instrument"
        assert "missing flux" in sentence(found, Z)

    def test_lines_that_go_together_speak_for_the_source(self):
        odd = gaussian(HALPHA, 4.0) + 0.4 * gaussian(4862.71 * (1 + Z), 3.0) + 0.5 * gaussian(5008.24 * (1 + Z), 3.0)
        first = found_in(odd).features[0]
        assert first.verdict == "source" and abouts(first) == ["spectral lines"]

    def test_the_nearest_line_is_the_nearest(self):
        for feature in found_in(gaussian(3969.0 * (1 + Z), 3.0)).features:
            offsets = [abs(line.offset) for line in feature.lines]
            assert offsets == sorted(offsets)

    def test_a_range_that_holds_lines_is_called_after_them(self):
        odd = 0.5 * ((WAVE > 4757 * (1 + Z)) & (WAVE < 5012 * (1 + Z)))
        names_found = [one.line_names for one in found_in(odd).features if one.kind == "narrow"]
        assert any("[O III]" in name for name in names_found)

    def test_a_broad_permitted_line_is_one(self):
        names_found = [one.line_names for one in found_in(gaussian(HALPHA, 70.0)).features]
        assert names_found[0].startswith("Hα")

    @pytest.mark.parametrize("line", [3729.86, 5008.24])
    def test_a_wide_excess_is_called_after_a_line_only_if_that_is_seen(self, line):
        wide = np.abs(WAVE - line * (1 + Z)) < 130
        (plain,) = found_in(0.5 * wide).features
        assert plain.excess and plain.kind == "narrow" and plain.line_names == ""
        (with_line,) = found_in(0.5 * wide + 2 * gaussian(line * (1 + Z), 4.0)).features
        assert names(lines_within(line - 1, line + 1)) in with_line.line_names


class TestInstrument:
    def test_a_miscalibrated_arm(self):
        found = found_in(np.where(WAVE < 5780, 0.5, 0.0), per_pixel=0.05)
        first = found.features[0]
        assert first.verdict == "instrument" and "step" in abouts(first)
        assert first.observed[1] < 5830
        assert "which looks instrumental" in sentence(found, Z)
        text = next(one.text for one in first.evidence if one.about == "step")
        assert re.search(r"falls by 3[34]% from blue to red where the B/R arms meet", text)  # 1 - 1 / 1.5

    def test_a_rise_is_said_against_the_side_that_it_rises_from(self):
        found = found_in(np.where(WAVE < 5780, -0.65, 0.0), per_pixel=0.05)
        text = next(one.text for one in found.features[0].evidence if one.about == "step")
        assert "rises by 18" in text  # 1 / 0.35 - 1

    def test_a_change_across_arms_without_a_step_is_the_source_s(self):
        red = np.clip((WAVE - 4800) / 1000, 0, 1) * np.clip((7000 - WAVE) / 1000, 0, 1)
        first = found_in(red, per_pixel=0.05).features[0]
        assert first.verdict == "source" and abouts(first) == ["no step"]

    def test_a_cosmic_ray_is_narrower_than_any_line(self):
        odd = np.zeros(len(WAVE))
        odd[4685] = 3.0
        first = found_in(odd, sizes=(1, 4, 16, 64)).features[0]
        assert abs(first.peak - WAVE[4685]) <= 2 * 0.8
        assert first.verdict == "instrument" and "width" in abouts(first)
        assert "the instrument resolves 1.8 Å" in first.evidence[0].text

    def test_negative_flux_is_judged_by_the_noise_of_the_file(self):
        odd = np.zeros(len(WAVE))
        odd[4790:4800] = -1.2
        first = found_in(odd).features[0]
        assert first.verdict == "instrument" and not first.excess and "negative flux" in abouts(first)
        # the same flux in a noisier file is negative by chance
        one = compared(odd)
        noisy = replace(one, ivar=np.full(len(WAVE), 1 / 0.5**2))
        assert all("negative flux" not in abouts(f) for f in find_features(occluded(odd), noisy).features)

    def test_what_is_left_of_the_sky(self):
        odd = np.zeros(len(WAVE))
        for row in sky_lines():
            odd += 0.1 * np.sqrt(row["intensity"]) * gaussian(row["wavelength"], 0.76)
        found = found_in(odd)
        assert {one.verdict for one in found.features} == {"instrument"}
        assert any("sky lines" in abouts(one) for one in found.features)

    def test_a_bump_that_is_alone(self):
        odd = 0.6 * gaussian(7000.0, 2.5)  # rest 5147, where there is no line
        first = found_in(odd).features[0]
        assert first.verdict == "instrument" and abouts(first) == ["alone"]

    def test_where_two_arms_meet(self):
        odd = 0.4 * np.exp(-np.abs(WAVE - 5780) / 25)
        first = found_in(odd, redshift=0.3).features[0]
        assert first.verdict == "instrument" and abouts(first) == ["overlap"]

    def test_the_atmosphere_and_gaps_are_hints(self):
        found = found_in(0.4 * gaussian(7640, 12.0), redshift=0.3)
        assert "atmosphere" in abouts(found.features[0])
        unknown = found_in(0.4 * gaussian(7640, 12.0), redshift=0.3, instrument="")
        assert "atmosphere" not in abouts(unknown.features[0])
        valid = np.ones(len(WAVE), bool)
        valid[6000:6100:2] = False
        assert "mask" in abouts(found_in(gaussian(WAVE[6050], 8.0), valid=valid).features[0])


class TestOtherInstruments:
    @pytest.mark.parametrize("instrument", ["SDSS", "BOSS", ""])
    @pytest.mark.parametrize(
        "odd",
        [
            np.where(WAVE < 5780, 0.5, 0.0),
            0.4 * np.exp(-np.abs(WAVE - 5780) / 25),
            np.where(WAVE < 3900, 0.5, 0.0),
            gaussian(7570, 20.0),
        ],
        ids=["arm", "overlap", "end", "where R and Z meet"],
    )
    def test_no_word_of_desi_s_arms(self, instrument, odd):
        found = found_in(odd, instrument=instrument, per_pixel=0.1)
        words = sentence(found, Z) + " ".join(one.text for f in found.features for one in f.evidence)
        assert not any(word in words for word in (" arm", "B/R", "R/Z", "B arm", "Z arm"))
        if not instrument:
            assert "camera" not in words and "sky" not in words and "resolves" not in words

    def test_the_cameras_of_boss(self):
        found = found_in(np.where(WAVE < 6000, 0.5, 0.0), instrument="BOSS", per_pixel=0.05)
        step = [one.text for f in found.features for one in f.evidence if one.about == "step"]
        assert step and "blue/red cameras meet" in step[0]


class TestOrder:
    def test_by_p_then_by_share_and_only_what_is_significant(self):
        odd = gaussian(HALPHA, 8.0) + 0.4 * gaussian(4400, 8.0) + 0.3 * gaussian(9500, 30.0)
        found = found_in(odd)
        keys = [(one.p_value, -one.share) for one in found.features]
        assert keys == sorted(keys) and len(keys) >= 3
        assert all(one.p_value <= LEVEL for one in found.features) and not found.likely
        spans = sorted(one.pixels for one in found.features)
        assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))

    def test_where_nothing_is_significant_the_sentence_says_so_first(self):
        odd = 0.04 * gaussian(HALPHA, 4.0)
        found = find_features(occluded(odd), compared(odd))
        assert not found.features and not found.likely and found.least_p == 1
        assert sentence(found, Z) == "Nothing stands out: ordinary spectra show as much somewhere (p = 1)."
        assert in_brief(found) == "nothing stands out"
        other = replace(found, other=OtherRedshift(0.2, ("Hα", "[O III]"), instead=True))
        assert " Nothing else stands out: " in sentence(other, Z)

    def test_mostly_is_said_of_most_of_the_attribution_only(self):
        one = found_in(gaussian(HALPHA, 8.0))
        assert one.features[0].share > 0.5
        several = found_in(sum(gaussian(wave, 8.0) for wave in (4400, 5200, 6300, 8000)))
        assert max(f.share for f in several.features) < 0.5
        assert "ostly" not in sentence(several, Z)

    def test_what_hardly_lowers_log_p_is_called_so(self):
        odd = gaussian(HALPHA, 8.0)
        weak = occluded(np.where(np.abs(WAVE - 5000) < 200, 1.0, 0.0))
        assert "it hardly lowers log p" in sentence(find_features(weak, compared(odd)), Z)

    def test_without_ordinary_spectra_there_are_no_p_values(self):
        odd = gaussian(HALPHA, 8.0)
        found = find_features(occluded(odd), compared(odd, null=DeviationNull.typical(len(WAVE))))
        assert found.features[0].p_value is None and found.features[0].is_significant and not found.likely
        assert found.smallest_p == 0


class TestWhatItSays:
    def test_nothing_at_all(self):
        odd = np.zeros(len(WAVE))
        below = occluded(odd)
        below = replace(below, values=-np.abs(below.values) - 1)
        found = find_features(below, compared(odd))
        assert found.features == () and sentence(found, Z) == "Nothing stands out." and in_brief(found)

    def test_is_the_same_every_time(self):
        assert found_in(gaussian(HALPHA, 8.0)) == found_in(gaussian(HALPHA, 8.0))

    def test_other_pixels_are_refused(self):
        one = compared(np.zeros(len(WAVE)))
        cut = {name: getattr(one, name)[:3] for name in ("wavelength", "flux", "ivar", "twin")}
        short = replace(one, **cut)
        with pytest.raises(InputError, match=r"'comparison' has \(3,\), 'attribution' \(7781,\) pixels"):
            find_features(occluded(np.zeros(len(WAVE))), short)

    def test_works_with_gaps(self):
        valid = np.ones(len(WAVE), bool)
        valid[:900] = False
        valid[6650:6660] = False  # beside the line
        valid[2000:2900] = False
        first = found_in(gaussian(HALPHA, 8.0), valid=valid).features[0]
        assert first.observed[0] < HALPHA < first.observed[1]

    def test_without_a_twin(self):
        one = replace(compared(np.zeros(len(WAVE))), twin=np.full(len(WAVE), np.nan))
        found = find_features(occluded(gaussian(HALPHA, 8.0)), one)
        assert sentence(found, Z).endswith(".") and "nan" not in sentence(found, Z)


class TestProperties:
    @settings(max_examples=15, deadline=None)
    @given(st.data())
    def test_of_any_spectrum(self, data):
        seed = data.draw(st.integers(0, 2**32 - 1))
        rng = np.random.default_rng(seed)
        odd = np.zeros(len(WAVE))
        for _ in range(data.draw(st.integers(0, 4))):
            odd += rng.uniform(-2, 3) * gaussian(rng.uniform(3500, 9900), 10 ** rng.uniform(-0.5, 3))
        valid = np.ones(len(WAVE), bool)
        for _ in range(data.draw(st.integers(0, 3))):
            start = rng.integers(0, len(WAVE))
            valid[start : start + rng.integers(1, 3000)] = False
        if not valid.any():
            return
        instrument = data.draw(st.sampled_from(["DESI", "SDSS", "BOSS", ""]))
        one = compared(odd, seed=seed, valid=valid, instrument=instrument)
        attribution = occluded(odd, n_baseline=3, seed=seed, sizes=(16, 64, 256), valid=valid)
        found = find_features(attribution, one)
        assert sum(f.share for f in found.features) <= 1 + 1e-9
        for feature in (*found.features, *found.likely):
            low, high = feature.observed
            assert 3600 <= low <= feature.peak <= high <= 9824
            assert feature.verdict in ("instrument", "source", "unclear")
            assert np.isfinite([feature.deviation, feature.noise_sigma, feature.significance, feature.share]).all()
        words = sentence(found, Z)
        assert words.endswith(".") and "nan" not in words

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

    @pytest.mark.parametrize(
        ("low", "high", "instrument", "words"),
        [
            (3600, 5800, "DESI", "B arm"),
            (3700, 5700, "DESI", "B arm"),
            (7520, 9824, "DESI", "Z arm"),
            (3600, 7620, "DESI", "B and R arms"),
            (3600, 6500, "DESI", ""),
            (9600, 9824, "DESI", "red end of the Z arm"),
            (4000, 4100, "DESI", ""),
            (3800, 6000, "SDSS", "blue camera"),
            (9100, 9220, "SDSS", "red end of the red camera"),
        ],
    )
    def test_places(self, low, high, instrument, words):
        assert place(low, high, INSTRUMENTS[instrument]) == words
        assert place(low, high, None) == ""


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


class TestDeviationNull:
    def test_what_was_written_is_read(self, tmp_path):
        null = ordinary()
        null.save(tmp_path / "null.safetensors")
        again = DeviationNull.load(tmp_path / "null.safetensors", "flat")
        np.testing.assert_array_equal(again.maxima, null.maxima)
        assert again.p_value(100.0) == pytest.approx(1 / 401) and again.p_value(-100.0) == 1

    def test_p_values_are_shares_of_ordinary_spectra(self):
        null = ordinary()
        own = null.comparable(null.maxima.T.astype(float)).max(axis=0)
        for level in (0.05, 0.2, 0.5):
            assert np.mean(null.p_value(own) <= level) == pytest.approx(level, abs=0.01)

    def test_ordinary_noise_deviates_as_often_as_stated(self):
        """White noise of 7781 pixels has a highest score near 4 at the finest width, as the maxima say."""
        scores = np.abs(compared(np.zeros(len(WAVE)), seed=3).score)
        assert 3.2 < np.nanmax(scores[0]) < 5.5 and np.nanstd(scores[0]) == pytest.approx(0.6, abs=0.05)
