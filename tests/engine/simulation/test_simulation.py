"""The simulated survey: instrument, noise, outliers, files, and what makes it reproducible."""

import json

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from imo_engine.commands.simulate import simulate
from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.readers import read_spectra
from imo_engine.simulation.galaxies import GalaxySynthesis, analytic_galaxies
from imo_engine.simulation.library import concatenate_libraries, read_library, rest_wavelength
from imo_engine.simulation.lines import LINE_WAVELENGTHS, line_index, render_lines, to_air, to_vacuum
from imo_engine.simulation.priors import draw_galaxies
from imo_engine.simulation.spectrograph import RESOLUTION, arm_slices, combine_arms, observe
from imo_engine.simulation.survey import KINDS, SurveyConfig, outlier_plan, prepare_folder, simulate_part, truth_mask
from imo_engine.simulation.survey_writer import round_mantissa, write_part
from imo_engine.spectra.instrument import desi_wavelength

CONFIG = SurveyConfig(number=80, seed=5, outlier_fraction=0.66, part_size=80)


@pytest.fixture(scope="module")
def library():
    return analytic_galaxies(CONFIG.number, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def part(library):
    return simulate_part(library, CONFIG, 0)


@pytest.fixture(scope="module")
def folder(part, tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    write_part(folder, 0, part)
    return folder


def test_air_and_vacuum_are_inverse():
    assert np.allclose(to_vacuum(to_air(LINE_WAVELENGTHS)), LINE_WAVELENGTHS, atol=1e-6)
    assert to_air(5008.24) == pytest.approx(5006.84, abs=0.01)


def test_a_rendered_line_keeps_its_flux():
    wave = desi_wavelength()
    line = render_lines(wave, np.array([[6000.0]]), np.array([[7.0]]), np.array([[2.0]]))[0]
    assert line.sum() * 0.8 == pytest.approx(7.0, rel=1e-4)


def test_equivalent_width_grows_with_redshift(library):
    wave, z = desi_wavelength(), np.array([0.3])
    row = np.array([int(np.argmax(library.line_flux[:, line_index("Hα")[0]]))])
    bare = concatenate_libraries([library])
    bare.line_flux[:] = 0
    lines = library.observe(row, z, wave, resolution=RESOLUTION) - bare.observe(row, z, wave, resolution=RESOLUTION)
    near = np.abs(wave / 1.3 - 6564.6) < 15
    total = library.line_flux[row[0], line_index("Hα", "[N II] 6548", "[N II] 6584")][0]
    assert lines[0, near].sum() * 0.8 == pytest.approx(1.3 * total, rel=0.02)


def test_ivar_describes_the_noise():
    expected = {arm: np.full((60, s.stop - s.start), 2.0) for arm, s in arm_slices().items()}
    shot = observe(expected, rng=np.random.default_rng(2))
    for arm, flux in shot.flux.items():
        chi2 = (flux - expected[arm] * shot.calibration[arm]) ** 2 * shot.ivar[arm]
        assert chi2[shot.ivar[arm] > 0].mean() == pytest.approx(1.0, abs=0.02)
        assert (shot.mask[arm][shot.ivar[arm] == 0] > 0).all()


def test_arms_cover_the_common_grid_and_overlap():
    covered = np.zeros(len(desi_wavelength()), int)
    for where in arm_slices().values():
        covered[where] += 1
    assert covered.min() == 1
    assert covered.max() == 2


def test_every_kind_and_strength_occurs_equally_often():
    plan = outlier_plan(SurveyConfig(number=12_000, seed=3))
    counts = {}
    for what in plan.values():
        counts[what] = counts.get(what, 0) + 1
    assert counts.pop(("outlier_four", 3)) == 1
    assert set(kind for kind, _ in counts) == set(KINDS)
    assert len(KINDS) >= 10
    assert len(set(counts.values())) == 1
    assert 0.01 < len(plan) / 12_000 < 0.02


def test_the_twin_differs_only_where_the_truth_says(part):
    by_kind = {truth.kind: truth for truth in part.outliers}
    cosmic = [t for t in part.outliers if t.kind == "cosmic_ray" and t.strength == 4][0]
    assert 1 <= cosmic.mask.sum() < 30
    step = [t for t in part.outliers if t.kind == "calibration_step" and t.strength == 4][0]
    blue = desi_wavelength() < 5760
    assert step.mask[blue].mean() > 5 * max(step.mask[~blue].mean(), 1e-4)
    same = part.exposure.flux["Z"][step.row]
    assert np.array_equal(same, step.clean_flux["Z"])
    assert by_kind["wrong_redshift"].clean_redshift != part.redshift[by_kind["wrong_redshift"].row]


def test_truth_is_taken_after_normalisation():
    wave, slices = desi_wavelength(), arm_slices()
    clean = {arm: np.ones(s.stop - s.start) for arm, s in slices.items()}
    ivar = {arm: np.full(s.stop - s.start, 100.0) for arm, s in slices.items()}
    inside = (wave > 5300) & (wave < 5850)
    changed = {arm: clean[arm] * np.where(inside[s], 1.5, 1.0) for arm, s in slices.items()}
    mask = truth_mask(clean, changed, ivar, 0.0, 0.0)
    assert not mask[inside].any()
    assert mask[~inside].all()


def test_same_seed_same_survey(library, part):
    again = simulate_part(library, CONFIG, 0)
    other = simulate_part(library, SurveyConfig(number=80, seed=6, outlier_fraction=0.66, part_size=80), 0)
    assert all(np.array_equal(again.exposure.flux[arm], part.exposure.flux[arm]) for arm in "BRZ")
    assert not np.array_equal(other.exposure.flux["B"], part.exposure.flux["B"])


def test_our_reader_reads_it(folder, part):
    spectra = read_spectra(folder)
    assert list(spectra.target_id) == [str(i) for i in part.target_id]
    assert (part.target_id > 2**53).all()
    assert spectra.scorable.all(), spectra.problem
    assert np.allclose(spectra.redshift, part.redshift)
    flux, ivar = combine_arms(part.exposure)
    assert np.allclose(spectra.flux * spectra.norm[:, None], flux, atol=1e-3 * np.abs(flux).max())
    assert np.array_equal(spectra.measured, ivar > 0)


def test_truth_file_holds_the_clean_twin(folder, part):
    with fits.open(folder / "truth-sim-000.fits") as file, fits.open(folder / "coadd-sim-000.fits") as coadd:
        table = file["OUTLIERS"].data
        assert len(table) == len(part.outliers) == len(file["MASK"].data)
        row = [str(kind).strip() for kind in table["KIND"]].index("bad_column")
        json.loads(table["PARAMETERS"][row])
        where = list(coadd["FIBERMAP"].data["TARGETID"]).index(table["TARGETID"][row])
        arm = json.loads(table["PARAMETERS"][row])["arm"]
        assert not np.array_equal(file[f"CLEAN_{arm}_FLUX"].data[row], coadd[f"{arm}_FLUX"].data[where])


def test_simulate_continues_where_it_stopped(tmp_path):
    command = [
        str(tmp_path / "s"),
        "--number",
        "24",
        "--part-size",
        "12",
        "--outliers",
        "0",
        "--analytic",
        "--seed",
        "3",
    ]
    assert CliRunner().invoke(simulate, command, catch_exceptions=False).exit_code == 0
    second = tmp_path / "s" / "coadd-sim-001.fits"
    before = fits.getdata(second, "R_FLUX")
    (tmp_path / "s" / "truth-sim-001.fits").unlink()
    second.unlink()
    assert CliRunner().invoke(simulate, command, catch_exceptions=False).exit_code == 0
    assert np.array_equal(fits.getdata(second, "R_FLUX"), before)
    assert len(read_library(tmp_path / "s")) == 24


def test_another_survey_in_the_same_folder_is_refused(tmp_path):
    prepare_folder(tmp_path, CONFIG)
    with pytest.raises(InputError, match="other settings"):
        prepare_folder(tmp_path, SurveyConfig(seed=99))


def test_too_many_outliers_are_refused():
    with pytest.raises(InputError, match="cannot hold"):
        outlier_plan(SurveyConfig(number=10, outlier_fraction=0.4))


def test_a_damaged_library_is_refused_in_one_line(tmp_path, library):
    path = tmp_path / "library-000.npz"
    library.write(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SpectrumFileError, match="library-000.npz") as caught:
        read_library(tmp_path)
    assert "\n" not in str(caught.value)


def test_rounding_stays_within_its_bits():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert np.abs(round_mantissa(values, 10) / values - 1).max() <= 2**-11


def test_synthesis_makes_galaxies_like_real_ones():
    pytest.importorskip("bagpipes")
    parameters = draw_galaxies(120, rng=np.random.default_rng(0))
    galaxies = concatenate_libraries(list(GalaxySynthesis().galaxies(parameters)))
    rest = rest_wavelength()
    light = galaxies.continuum.astype(float)
    assert np.isfinite(light).all()
    break_4000 = light[:, (rest > 4000) & (rest < 4100)].mean(1) / light[:, (rest > 3850) & (rest < 3950)].mean(1)
    assert break_4000[parameters.family == 0].mean() > 1.5 > 1.35 > break_4000[parameters.family == 2].mean()
    ratio = galaxies.line_flux[:, line_index("Hα")[0]] / galaxies.line_flux[:, line_index("Hβ")[0]]
    assert 2.5 < np.median(ratio) < 6
