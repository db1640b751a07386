"""Normalisation as the published models expect it, and spectra it cannot be done for."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imo_engine.errors import InputError
from imo_engine.spectra.instrument import desi_wavelength, sky_line_mask
from imo_engine.spectra.spectra import NORMALISATION_RANGE, Spectra, concatenate, fill_masked, normalise

WAVE = desi_wavelength()
N = len(WAVE)
BIG_IDS = ["39633272110123456", "39633272110123457", "9007199254740993"]
"""Above 2**53, where floating point numbers skip every other integer."""


def smooth_flux(z=0.2, scale=3.0):
    return scale * (1 + 0.3 * np.sin(WAVE / (1 + z) / 900))


def one(flux=None, ivar=None, z=0.2, **options):
    flux = smooth_flux() if flux is None else flux
    ivar = np.full(N, 0.25) if ivar is None else ivar
    return normalise(WAVE, flux, ivar, z, target_id=["a"], **options)


def named_spectra(ids, source="a.fits"):
    n = len(ids)
    flux = smooth_flux() * np.arange(1, n + 1)[:, None]
    return normalise(WAVE, flux, np.ones((n, N)), np.full(n, 0.2), target_id=ids, source=source, ra=np.arange(n) + 0.5)


class TestNormalise:
    @pytest.mark.parametrize("z", [0.0, 0.2, 0.5, 0.79])
    def test_the_median_at_rest_5300_to_5850_is_1(self, z):
        rng = np.random.default_rng(1)
        flux, ivar = smooth_flux(z) + rng.normal(0, 0.4, N), rng.uniform(0.1, 9, N)
        spectra = one(flux, ivar, z)
        rest = WAVE / (1 + z)
        window = (rest > NORMALISATION_RANGE[0]) & (rest < NORMALISATION_RANGE[1]) & ~sky_line_mask(WAVE)
        assert np.median(spectra.flux[0, window]) == pytest.approx(1, abs=1e-6)
        assert spectra.norm[0] == pytest.approx(np.median(flux[window]))
        assert spectra.flux[0] == pytest.approx(flux / spectra.norm[0], rel=1e-6)
        assert spectra.ivar[0] == pytest.approx(ivar * spectra.norm[0] ** 2, rel=1e-6)
        assert spectra.scorable.tolist() == [True]

    @pytest.mark.parametrize("factor", [1e-17, 1e5])
    def test_the_unit_does_not_matter(self, factor):
        ours, theirs = one(), one(smooth_flux() * factor, np.full(N, 0.25) / factor**2)
        assert theirs.flux == pytest.approx(ours.flux, rel=1e-5)
        assert theirs.ivar == pytest.approx(ours.ivar, rel=1e-5)

    def test_sky_lines_have_no_weight_but_the_noise_of_the_file(self):
        spectra = one()
        sky = sky_line_mask(WAVE)
        assert 0.01 < sky.mean() < 0.5
        assert (spectra.weight[0, sky] == 0).all()
        assert (spectra.weight[0, ~sky] == spectra.ivar[0, ~sky]).all()
        assert spectra.ivar[0] == pytest.approx(np.full(N, 0.25) * spectra.norm[0] ** 2, rel=1e-6)
        assert spectra.measured.all()
        assert (spectra.flux[0, sky] > 0).all()

    def test_without_noise_everything_finite_is_measured(self):
        flux = smooth_flux()
        flux[7] = np.nan
        spectra = one(flux, np.zeros(N), measured=np.ones(N, bool))
        assert np.flatnonzero(~spectra.measured[0]).tolist() == [7]
        assert not spectra.ivar.any() and not spectra.has_noise.any()
        assert spectra.scorable.all() and spectra.norm[0] == pytest.approx(one().norm[0])

    def test_sky_lines_do_not_enter_the_median(self):
        flux = np.where(sky_line_mask(WAVE), 1e4, 2.0)
        assert one(flux).norm[0] == 2

    def test_only_pixels_with_ivar_enter_the_median(self):
        z = 0.2
        rest = WAVE / (1 + z)
        flux, ivar = np.full(N, 2.0), np.ones(N)
        spoiled = (rest > 5300) & (rest < 5800)
        flux[spoiled], ivar[spoiled] = 50, 0
        assert one(flux, ivar, z).norm[0] == 2

    @pytest.mark.parametrize("bad", [{"flux": np.nan}, {"flux": np.inf}, {"ivar": 0}, {"ivar": -1}, {"ivar": np.nan}])
    def test_pixels_that_were_not_measured_are_zero(self, bad):
        flux, ivar = smooth_flux(), np.full(N, 0.25)
        flux[100:200] = bad.get("flux", 7)
        ivar[100:200] = bad.get("ivar", 1)
        spectra = one(flux, ivar)
        assert (spectra.flux[0, 100:200] == 0).all()
        assert (spectra.ivar[0, 100:200] == 0).all()
        assert not spectra.measured[0, 100:200].any()
        assert spectra.measured.sum() == N - 100
        assert np.isfinite(spectra.flux).all()

    def test_a_mask_takes_pixels_away_but_gives_none_back(self):
        ivar, measured = np.ones(N), np.ones(N, bool)
        ivar[10] = 0
        measured[20] = False
        spectra = one(ivar=ivar, measured=measured)
        assert np.flatnonzero(~spectra.measured[0]).tolist() == [10, 20]

    @pytest.mark.parametrize(
        ("flux", "ivar", "z", "words"),
        [
            (-smooth_flux(), None, 0.2, "median flux at rest frame 5300-5850 Angstrom is -"),
            (np.zeros(N), None, 0.2, "median flux at rest frame 5300-5850 Angstrom is 0"),
            (
                None,
                None,
                12.3,
                r"no good pixel off the sky lines at rest .*observed 70490-77805 at redshift 12.3",
            ),
            (None, None, -0.5, "redshift -0.5 is not a galaxy's"),
            (None, None, -2.0, "redshift -2 is not a galaxy's"),
            (None, None, 1e300, r"redshift 1e\+300 is not a galaxy's"),
            (None, None, np.nan, "no redshift"),
            (None, None, np.inf, "no redshift"),
            (None, np.zeros(N), 0.2, "no measured pixel"),
            (np.full(N, np.nan), None, 0.2, "no measured pixel"),
            (None, np.where(WAVE < 6000, 1.0, 0.0), 0.2, "no good pixel off the sky lines"),
        ],
    )
    def test_says_in_words_what_cannot_be_normalised(self, flux, ivar, z, words):
        spectra = one(flux, ivar, z)
        assert spectra.scorable.tolist() == [False]
        assert np.isnan(spectra.norm[0])
        assert np.isfinite(spectra.flux).all()
        assert np.isfinite(spectra.ivar).all()
        with pytest.raises(AssertionError, match=words):
            raise AssertionError(spectra.problem[0])

    def test_a_bad_spectrum_leaves_its_neighbours_alone(self):
        flux = np.stack([smooth_flux(), -smooth_flux(), np.full(N, np.nan), 2 * smooth_flux()])
        together = normalise(WAVE, flux, np.ones((4, N)), [0.2] * 4, target_id=list("abcd"))
        assert together.scorable.tolist() == [True, False, False, True]
        assert np.array_equal(together.flux[0], one(ivar=np.ones(N)).flux[0])
        assert together.flux[1] == pytest.approx(-smooth_flux(), rel=1e-6)  # in the file's own unit

    def test_a_problem_known_before_stays(self):
        spectra = one(problem=["two spectra in one fibre"])
        assert spectra.problem.tolist() == ["two spectra in one fibre"]
        assert np.isnan(spectra.norm[0])

    def test_numbers_beyond_single_precision(self):
        flux = smooth_flux()
        flux[50] = 1e300
        spectra = one(flux)
        assert spectra.scorable.tolist() == [True]
        assert np.flatnonzero(~spectra.measured[0]).tolist() == [50]
        beyond = one(np.full(N, 1e300))
        assert "beyond single precision" in beyond.problem[0]
        assert np.isnan(beyond.norm[0])

    def test_what_was_handed_in_is_not_changed(self):
        flux, ivar = smooth_flux(), np.ones(N)
        flux[5] = np.nan
        before = flux.copy(), ivar.copy()
        one(flux, ivar)
        assert np.array_equal(flux, before[0], equal_nan=True)
        assert np.array_equal(ivar, before[1])

    @pytest.mark.parametrize(
        "changed",
        [
            {"flux": np.ones((2, N - 1))},
            {"ivar": np.ones((1, N))},
            {"redshift": [0.1]},
            {"target_id": ["a"]},
        ],
    )
    def test_shapes_must_fit(self, changed):
        arguments = {
            "flux": np.ones((2, N)),
            "ivar": np.ones((2, N)),
            "redshift": [0.1, 0.2],
            "target_id": ["a", "b"],
        } | changed
        with pytest.raises(InputError):
            normalise(WAVE, **arguments)


class TestSpectra:
    def test_target_ids_are_exact(self):
        for ids in (BIG_IDS, [int(i) for i in BIG_IDS], np.array([int(i) for i in BIG_IDS], np.int64)):
            spectra = named_spectra(ids)
            assert spectra.target_id.tolist() == BIG_IDS
            assert [spectra.row(i) for i in BIG_IDS] == [0, 1, 2]
            assert spectra.row(int(BIG_IDS[1])) == 1

    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            (slice(1, None), [1, 2]),
            ([2, 0], [2, 0]),
            (np.array([True, False, True]), [0, 2]),
            ([], []),
            (np.zeros(3, bool), []),
            (slice(0, 0), []),
        ],
    )
    def test_selection_takes_every_column_along(self, rows, expected):
        spectra = named_spectra(BIG_IDS)
        chosen = spectra[rows]
        assert len(chosen) == len(expected)
        for field in fields(Spectra):
            if field.name == "wavelength":
                assert chosen.wavelength is spectra.wavelength
            else:
                ours, theirs = getattr(chosen, field.name), getattr(spectra, field.name)
                assert np.array_equal(ours, theirs[np.array(expected, int)], equal_nan=ours.dtype.kind == "f")
                assert ours.dtype == theirs.dtype

    def test_a_single_number_is_no_selection(self):
        with pytest.raises(TypeError, match="not a single number"):
            named_spectra(BIG_IDS)[0]

    def test_iteration_gives_one_target_at_a_time(self):
        parts = list(named_spectra(BIG_IDS))
        assert [p.target_id.tolist() for p in parts] == [[i] for i in BIG_IDS]

    def test_row_names_what_is_not_there_or_not_unique(self):
        spectra = named_spectra(["1", "2", "2"])
        with pytest.raises(InputError, match="no target '7' among 3 spectra"):
            spectra.row("7")
        with pytest.raises(InputError, match="target '2' occurs 2 times"):
            spectra.row("2")

    def test_concatenation_keeps_order_ids_and_long_words(self):
        first, second = named_spectra(["1"], "a.fits"), named_spectra(BIG_IDS, "a-much-longer-name.fits")
        joined = concatenate([first, second])
        assert joined.target_id.tolist() == ["1", *BIG_IDS]
        assert joined.source.tolist() == ["a.fits", *["a-much-longer-name.fits"] * 3]
        for field in fields(Spectra):
            if field.name != "wavelength":
                part = getattr(joined[1:], field.name)
                whole = getattr(second, field.name)
                assert np.array_equal(part, whole, equal_nan=part.dtype.kind == "f"), field.name
        assert np.array_equal(concatenate([first]).flux, first.flux)

    def test_concatenation_refuses_other_grids_and_nothing(self):
        other = normalise(WAVE + 0.1, smooth_flux(), np.ones(N), 0.2, target_id=["x"], source="b.fits")
        with pytest.raises(InputError, match="b.fits"):
            concatenate([named_spectra(["1"]), other])
        with pytest.raises(InputError, match="no spectra to join"):
            concatenate([])


class TestFillMasked:
    def test_keep_leaves_what_is_finite(self):
        flux = np.array([[1.0, 9.0, np.nan, np.inf, 2.0]])
        measured = np.array([[True, False, True, False, True]])
        assert fill_masked(flux, measured, "keep").tolist() == [[1, 9, 0, 0, 2]]

    def test_interpolate_bridges_gaps_and_continues_the_ends(self):
        flux = np.array([[0.0, 3.0, 50.0, 50.0, 6.0, np.nan, 8.0, 0.0]])
        measured = np.array([[0, 1, 0, 0, 1, 1, 1, 0]], bool)
        filled = fill_masked(flux, measured, "interpolate")
        assert filled[0, 1:7] == pytest.approx([3, 4, 5, 6, 7, 8])
        assert filled[0, [0, 7]] == pytest.approx([6, 6])  # the median of 3, 6 and 8

    def test_the_ends_follow_the_nearest_50_measured_pixels(self):
        flux = np.arange(400.0)[None]
        measured = np.ones((1, 400), bool)
        measured[0, :30] = measured[0, 350:] = False
        filled = fill_masked(flux, measured, "interpolate")
        assert (filled[0, :30] == 54.5).all()
        assert (filled[0, 350:] == 324.5).all()

    @settings(max_examples=40, deadline=None)
    @given(
        flux=arrays(np.float32, (2, 12), elements=st.floats(-100, 100, width=32) | st.just(np.nan)),
        measured=arrays(bool, (2, 12)),
        policy=st.sampled_from(["keep", "interpolate"]),
    )
    def test_always_finite_and_measured_pixels_are_untouched(self, flux, measured, policy):
        before = flux.copy()
        filled = fill_masked(flux, measured, policy)
        assert np.isfinite(filled).all()
        kept = measured & np.isfinite(flux)
        assert np.array_equal(filled[kept], flux[kept])
        assert np.array_equal(flux, before, equal_nan=True)
        if policy == "interpolate":
            for row in range(2):
                if kept[row].any():
                    assert filled[row].min() >= flux[row, kept[row]].min() - 1e-4
                    assert filled[row].max() <= flux[row, kept[row]].max() + 1e-4

    def test_refuses_other_policies_and_shapes(self):
        with pytest.raises(InputError, match="'policy' is 'zero'; expected one of keep, interpolate"):
            fill_masked(np.ones((1, 3)), np.ones((1, 3)), "zero")
        with pytest.raises(InputError, match=r"'flux' has shape \(1, 3\), 'measured' \(1, 4\)"):
            fill_masked(np.ones((1, 3)), np.ones((1, 4)), "keep")
