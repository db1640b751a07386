"""Readers: what is in the file arrives with the right numbers, and what is wrong with it in words."""

import gzip
import os
import threading
import time
import warnings

import numpy as np
import pytest
from astropy.io import fits
from helpers.fits_files import GRID, OXYGEN, altered, arm_wavelength, arms, write_coadd, write_redrock, write_sdss
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imo_engine.errors import ImoError, InputError, SpectrumFileError
from imo_engine.readers import plain_files, read_spectra
from imo_engine.readers.pixels import Pixels, resample
from imo_engine.spectra.instrument import desi_wavelength, sky_line_mask

BIG = 39633345008634465  # a real TARGETID: between 2**53 and 2**63, so that a float would change it


def pixel(wavelength):
    return int(np.argmin(np.abs(GRID - wavelength)))


def physical(spectra):
    """Flux and ivar in the file's unit."""
    return spectra.flux * spectra.norm[:, None], spectra.ivar / spectra.norm[:, None] ** 2


def refused(path, *words, **options):
    """Check that reading gives one clear line with the words, and return it."""
    with pytest.raises(SpectrumFileError) as caught:
        read_spectra(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


@pytest.fixture
def coadd(tmp_path):
    """A coadd of one target at redshift 0.1 with its redrock file; returns a function that writes it."""

    def write(data=None, *, target_id=(BIG,), z=0.1, **options):
        redrock = {key: options.pop(key) for key in ("zwarn", "spectype") if key in options}
        path = write_coadd(tmp_path / "coadd-main-dark-1.fits", target_id, data, **options)
        write_redrock(tmp_path / "redrock-main-dark-1.fits", target_id, np.broadcast_to(z, len(target_id)), **redrock)
        return path

    return write


# --- DESI: pixels


def test_grid_is_desis_and_so_are_the_pixels(coadd):
    data = arms(1)
    data["B"]["flux"][0, 1000] = 7.0
    spectra = read_spectra(coadd(data))
    assert np.array_equal(spectra.wavelength, desi_wavelength())
    flux, ivar = physical(spectra)
    assert np.argmax(flux[0]) == pixel(arm_wavelength("B")[1000]) == 1000
    assert flux[0, 1000] == 7.0 and ivar[0, 1000] == 4.0
    assert spectra.measured.all()


def test_overlap_is_combined_by_inverse_variance(coadd):
    data = arms(1)
    wave = 5780.0
    assert not sky_line_mask(desi_wavelength())[pixel(wave)]
    at = {arm: int(np.argmin(np.abs(arm_wavelength(arm) - wave))) for arm in "BR"}
    data["B"]["flux"][0, at["B"]], data["B"]["ivar"][0, at["B"]] = 2.0, 1.0
    data["R"]["flux"][0, at["R"]], data["R"]["ivar"][0, at["R"]] = 5.0, 3.0
    flux, ivar = physical(read_spectra(coadd(data)))
    assert flux[0, pixel(wave)] == pytest.approx((1 * 2 + 3 * 5) / 4)  # 4.25
    assert ivar[0, pixel(wave)] == pytest.approx(4.0)

    data["R"]["mask"][0, at["R"]] = 1
    flux, ivar = physical(read_spectra(coadd(data)))
    assert (flux[0, pixel(wave)], ivar[0, pixel(wave)]) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("mask", 4), *(("ivar", bad) for bad in (1e-6, -1.0, np.nan, np.inf)), ("flux", np.nan), ("flux", np.inf)],
)
def test_bad_pixel_is_not_measured(coadd, kind, value):
    data = arms(1)
    data["B"][kind][0, 500] = value
    spectra = read_spectra(coadd(data))
    assert spectra.scorable.all()
    assert np.flatnonzero(~spectra.measured[0]).tolist() == [500]
    assert spectra.flux[0, 500] == spectra.ivar[0, 500] == 0


def test_ivar_that_means_nothing_is_counted(coadd, tmp_path):
    data = arms(2)
    data["B"]["ivar"][1, [500, 501, 502]] = -1, np.inf, np.nan
    data["Z"]["ivar"][1, [1000, 1001, 1002]] = -5, np.inf, np.inf
    data["Z"]["mask"][1, 1002] = 1  # what is masked anyway needs no word
    spectra = read_spectra(coadd(data, target_id=(BIG, 5)))
    said = "2 pixels with infinite ivar and 2 pixels with negative ivar, treated as not measured"
    assert spectra.note.tolist() == ["", f"coadd-main-dark-1.fits: {said}"]
    assert (~spectra.measured[1]).sum() == 6
    ivar = np.full(3800, 4.0)
    ivar[1000] = np.inf
    spectra = read_spectra(write_sdss(tmp_path / "spec.fits", ivar=ivar))
    assert spectra.note.tolist() == ["spec.fits: 1 pixel with infinite ivar, treated as not measured"]
    (problem,) = read_spectra(write_sdss(tmp_path / "spec.fits", ivar=np.inf)).problem
    assert problem == "no measured pixel: each is masked, not a number, or has an ivar that is 0, negative or infinite"


def test_small_ivar_above_the_published_limit_counts(coadd):
    data = arms(1)
    data["B"]["ivar"][0, 500] = 2e-6
    assert read_spectra(coadd(data)).measured.all()


def test_missing_arm(coadd):
    spectra = read_spectra(coadd(arms(1, names=("B", "Z")), z=0.0))
    assert spectra.note.tolist() == ["arm R missing"] and spectra.scorable.all()
    assert not spectra.measured[0, pixel(5801) : pixel(7519)].any()
    assert spectra.measured[0, : pixel(5800)].all() and spectra.measured[0, pixel(7520) :].all()


def test_arm_without_data_is_noted_for_its_row_only(coadd):
    data = arms(2)
    data["R"]["ivar"][1] = 0
    spectra = read_spectra(coadd(data, target_id=[BIG, 5]))
    assert spectra.note.tolist() == ["", "arm R has no data"]


def test_mask_may_be_absent(coadd):
    data = arms(1)
    for arm in data.values():
        del arm["mask"]
    assert read_spectra(coadd(data)).measured.all()


def test_file_with_one_combined_arm(coadd):
    data = arms(1, names=["BRZ"])
    data["BRZ"]["flux"][0, 5000] = 3.0
    spectra = read_spectra(coadd(data))
    assert spectra.note.tolist() == [""] and spectra.measured.all()
    assert physical(spectra)[0][0, 5000] == 3.0


def test_arm_with_other_pixels_is_interpolated_not_shifted(coadd):
    data = arms(1)
    data["B"]["wavelength"] = data["B"]["wavelength"] + 0.3
    data["B"]["flux"][0] = data["B"]["wavelength"] / 5000
    flux, _ = physical(read_spectra(coadd(data)))
    assert flux[0, 10:2600] == pytest.approx(GRID[10:2600] / 5000, rel=1e-6)


def test_another_grid(coadd):
    data = arms(1)
    for arm in data.values():
        arm["flux"][0] = arm["wavelength"] / 5000
    grid = 10 ** np.arange(3.57, 3.98, 1e-4)
    spectra = read_spectra(coadd(data), wavelength=grid)
    assert spectra.flux.shape == (1, len(grid))
    flux, ivar = physical(spectra)
    assert flux[0] == pytest.approx(grid / 5000, rel=1e-6)
    assert np.median(ivar) == pytest.approx(4.0)
    far = read_spectra(coadd(data), wavelength=np.linspace(10500, 12000, 100))
    assert far.problem.tolist() == ["no measured pixel in the model's range, 10500-12000 Angstrom"]


def test_many_rows_keep_their_order(coadd):
    n = 600  # more than are combined at a time
    data = arms(n, names=["B"])
    data["B"]["flux"] *= np.arange(1, n + 1)[:, None]
    spectra = read_spectra(coadd(data, target_id=np.arange(n) + BIG, z=0.0))
    assert spectra.norm.tolist() == list(range(1, n + 1))
    assert spectra.target_id.tolist() == [str(BIG + i) for i in range(n)]


# --- DESI: targets and redshifts


def test_targetid_above_2_to_the_53_is_exact(coadd):
    spectra = read_spectra(coadd(target_id=[BIG, BIG + 1, -1695072]))
    assert spectra.target_id.tolist() == ["39633345008634465", "39633345008634466", "-1695072"]
    assert spectra.ra.tolist() == [150, 151, 152] and spectra.dec.tolist() == [2, 3, 4]
    assert set(spectra.source) == {"coadd-main-dark-1.fits"}


def test_redrock_is_joined_on_targetid_not_on_row(tmp_path):
    ids = [BIG, BIG + 1, BIG + 2]
    path = write_coadd(tmp_path / "coadd-1.fits", ids)
    write_redrock(tmp_path / "redrock-1.fits", [BIG + 2, 77, BIG], [0.3, 0.7, 0.1])
    spectra = read_spectra(path)
    assert spectra.redshift[[0, 2]].tolist() == [0.1, 0.3] and np.isnan(spectra.redshift[1])
    assert spectra.problem.tolist() == ["", "no redshift: TARGETID not in redrock-1.fits", ""]


def test_redrock_is_not_there(tmp_path):
    spectra = read_spectra(write_coadd(tmp_path / "coadd-1.fits", [BIG]))
    assert spectra.problem.tolist() == [
        "no redshift: redrock-1.fits is not beside coadd-1.fits, nor zbest, zpix, ztile, zall, zcat files; no table "
        "REDSHIFTS, ZBEST, ZCATALOG, EXTRA_CATALOG in it"
    ]
    assert spectra.measured.all()


@pytest.mark.parametrize("coadd_name", ["coadd-1.fits", "coadd-1.fits.gz"])
@pytest.mark.parametrize("redrock_name", ["redrock-1.fits", "redrock-1.fits.gz"])
def test_either_file_may_be_gzipped(tmp_path, coadd_name, redrock_name):
    path = write_coadd(tmp_path / coadd_name, [BIG])
    write_redrock(tmp_path / redrock_name, [BIG], [0.25])
    assert read_spectra(path).redshift.tolist() == [0.25]


def test_redrock_among_the_paths_serves_coadds_that_have_none(tmp_path):
    (tmp_path / "a").mkdir()
    path = write_coadd(tmp_path / "upload-1", [BIG, 5])
    table = write_redrock(tmp_path / "upload-2", [5, BIG], [0.2, 0.1])
    spectra = read_spectra([path, table])
    assert spectra.redshift.tolist() == [0.1, 0.2] and spectra.scorable.all()
    refused(table, "upload-2: holds redshifts but no spectra")


def test_warnings_of_redrock_become_notes(coadd):
    spectra = read_spectra(coadd(target_id=[1, 2, 3], zwarn=[0, 4, 0], spectype=["GALAXY", "GALAXY", "STAR"]))
    assert spectra.note.tolist() == ["", "ZWARN 4", "redrock calls it a STAR"]
    assert spectra.scorable.all()


def test_redshift_that_is_not_a_number(coadd):
    assert read_spectra(coadd(z=np.nan)).problem.tolist() == ["no redshift: it is nan in redrock-main-dark-1.fits"]


def test_two_redshifts_for_one_target(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits", [BIG])
    write_redrock(tmp_path / "redrock-1.fits", [BIG, 1, BIG], [0.3, 0.7, 0.1])
    spectra = read_spectra(path)
    assert spectra.redshift.tolist() == [0.3]
    assert spectra.note.tolist() == ["redrock-1.fits has 2 redshifts of it, the first is used"]


def test_fibre_status_and_sky_fibre(coadd):
    spectra = read_spectra(coadd(target_id=[1, 2], objtype=["SKY", "TGT"], status=[0, 512]))
    assert spectra.problem.tolist() == ["sky fibre", ""]
    assert spectra.note.tolist() == ["", "COADD_FIBERSTATUS 512"]


def test_the_most_fundamental_problem_wins(tmp_path):
    data = arms(3)
    for arm in data.values():
        arm["ivar"][0] = 0
    data["B"]["mask"][0] = 1
    path = write_coadd(tmp_path / "coadd-1.fits", [1, 2, 3], data, objtype=["SKY", "SKY", "TGT"])
    spectra = read_spectra(path)
    assert [problem.split(":")[0] for problem in spectra.problem] == ["no measured pixel", "sky fibre", "no redshift"]
    assert spectra.note.tolist() == ["", "", ""]  # nothing is said of the arms of a row that has no data at all


def test_given_redshift_replaces_all(coadd):
    path = coadd(target_id=[1, 2], zwarn=4)
    spectra = read_spectra(path, redshift=0.2)
    assert spectra.redshift.tolist() == [0.2, 0.2]
    assert spectra.note.tolist() == ["redshift given by hand"] * 2


def test_given_redshifts_by_target(coadd):
    spectra = read_spectra(coadd(target_id=[1, BIG], zwarn=4), redshift={str(BIG): 0.2, "absent": 0.9})
    assert spectra.redshift.tolist() == [0.1, 0.2]
    assert spectra.note.tolist() == ["ZWARN 4", "redshift given by hand"]


@pytest.mark.parametrize("redshift", [np.nan, np.inf, "0.1", True, {"1": None}, [0.1]])
def test_redshift_argument_is_checked(coadd, redshift):
    with pytest.raises(InputError, match="redshift"):
        read_spectra(coadd(), redshift=redshift)


@pytest.mark.parametrize("grid", [[1.0], [2.0, 1.0], [[1.0, 2.0]], [1.0, np.nan]])
def test_wavelength_argument_is_checked(coadd, grid):
    with pytest.raises(InputError, match="wavelength"):
        read_spectra(coadd(), wavelength=grid)


def test_repeated_targets_get_names_of_their_own(tmp_path):
    write_redrock(tmp_path / "redrock-1.fits", [BIG, 7], [0.1, 0.2])
    write_redrock(tmp_path / "redrock-2.fits", [BIG], [0.1])
    first = write_coadd(tmp_path / "coadd-1.fits", [BIG, 7, BIG])
    second = write_coadd(tmp_path / "coadd-2.fits", [BIG])
    spectra = read_spectra([first, second])
    assert spectra.target_id.tolist() == [str(BIG), "7", f"{BIG}-2", f"{BIG}-3"]
    assert spectra.note.tolist() == ["", "", f"target {BIG} for the 2. time", f"target {BIG} for the 3. time"]
    assert spectra.redshift.tolist() == [0.1, 0.2, 0.1, 0.1]
    assert len(read_spectra([first, first])) == 3  # the same file twice is read once


# --- SDSS


def test_sdss_line_is_at_its_wavelength(tmp_path):
    spectra = read_spectra(write_sdss(tmp_path / "spec-1.fits", z=0.05))
    assert spectra.redshift == pytest.approx(0.05)
    assert spectra.wavelength[np.argmax(spectra.flux[0])] == pytest.approx(OXYGEN * 1.05, abs=0.8)
    inside = (GRID > 10**3.58) & (GRID < 10 ** (3.58 + 0.3799))
    assert np.array_equal(spectra.measured[0], inside)
    assert spectra.problem.tolist() == spectra.note.tolist() == [""]


@pytest.mark.parametrize("bit", [18, 22, 24])
def test_sdss_pixels_without_data_are_masked(tmp_path, bit):
    mask = np.zeros(3800, int)
    mask[1000] = 1 << bit
    ivar = np.full(3800, 4.0)
    ivar[2000] = 1e-7
    spectra = read_spectra(write_sdss(tmp_path / "a.fits", ivar=ivar, and_mask=mask))
    loglam = 3.58 + 1e-4 * np.arange(3800)
    for bad in (1000, 2000):
        inside = (np.log10(GRID) > loglam[bad - 1]) & (np.log10(GRID) < loglam[bad + 1])
        assert inside.sum() >= 2 and not spectra.measured[0, inside].any()
    assert (~spectra.measured[0] & (GRID > 3810) & (GRID < 9000)).sum() < 12


@pytest.mark.parametrize("bit", [*range(18), 19, 20, 21, 23, *range(25, 29)])
def test_sdss_flags_of_measured_pixels_mask_nothing(tmp_path, bit):
    plain = read_spectra(write_sdss(tmp_path / "a.fits"))
    flagged = read_spectra(write_sdss(tmp_path / "b.fits", and_mask=1 << bit))
    assert np.array_equal(flagged.flux, plain.flux) and np.array_equal(flagged.measured, plain.measured)
    assert bool(flagged.note[0]) == (bit < 13)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (1, "less than 1% of the pixels"),
        (30, "1% of the pixels"),
        (1900, "50% of the pixels"),
        (3790, "more than 99% of the pixels"),
        (3799, "more than 99% of the pixels"),
        (3800, "every pixel"),
    ],
)
def test_sdss_flags_of_the_spectrum_are_one_remark_with_a_true_share(tmp_path, pixels, said):
    mask = np.full(3800, 1 << 2)
    mask[:pixels] |= 1 << 4
    spectra = read_spectra(write_sdss(tmp_path / "a.fits", and_mask=mask))
    assert spectra.note.tolist() == [f"and_mask has BADFLAT on every pixel, MANYBADCOLUMNS on {said}"]
    assert spectra.scorable.all()


@pytest.mark.parametrize("table_name", ["SPECOBJ", "SPALL", None])
def test_sdss_redshift_table_by_its_columns(tmp_path, table_name):
    path = write_sdss(tmp_path / "a.fits", z=0.07, table_name=table_name)
    assert read_spectra(path).redshift[0] == pytest.approx(0.07)


def test_sdss_without_redshift(tmp_path):
    path = write_sdss(tmp_path / "a.fits", table=False)
    assert read_spectra(path).problem.tolist() == ["no redshift: a.fits has no table with Z and CLASS"]
    assert read_spectra(path, redshift=0.05).scorable.all()


def test_sdss_identifier_and_position(tmp_path):
    header = {"PLUG_RA": 10.5, "PLUG_DEC": -1.5, "RA": 99.0, "DEC": 9.0}
    spectra = read_spectra(write_sdss(tmp_path / "a.fits", header=header))
    assert (spectra.target_id[0], spectra.ra[0], spectra.dec[0]) == ("1234-55555-7", 10.5, -1.5)

    names = {"PLATE": 285, "MJD": 51930, "FIBERID": 309}
    extra = [fits.Column(name, "J", array=[value]) for name, value in names.items()]
    extra += [fits.Column("PLUG_RA", "D", array=[1.25]), fits.Column("PLUG_DEC", "D", array=[2.5])]
    spectra = read_spectra(write_sdss(tmp_path / "b.fits", header=header, extra=extra))
    assert (spectra.target_id[0], spectra.ra[0], spectra.dec[0]) == ("285-51930-309", 1.25, 2.5)

    # RA and DEC of the header alone are the telescope's, not the target's
    spectra = read_spectra(write_sdss(tmp_path / "c.fits.gz", header={"RA": 99.0, "DEC": 9.0, "PLATEID": "x"}))
    assert spectra.target_id[0] == "c" and np.isnan(spectra.ra[0])


# --- resampling


def random_pixels(wavelength, rows=3):
    rng = np.random.default_rng(1)
    return Pixels(rng.normal(size=(rows, len(wavelength))), rng.uniform(0.5, 2, (rows, len(wavelength))))


def test_resampling_to_the_same_grid_changes_nothing():
    wave = np.linspace(4000, 4100, 126)
    pixels = random_pixels(wave)
    pixels.flux[:, 50] = pixels.ivar[:, 50] = 0
    again = resample(pixels, wave, wave.copy())
    assert again.flux == pytest.approx(pixels.flux) and again.ivar == pytest.approx(pixels.ivar)
    assert again.ivar[0, [49, 51]].all() and not again.ivar[:, 50].any()


@pytest.mark.parametrize("new_width", [0.1, 0.37, 0.8, 1.5, 2.0, 5.3])
def test_resampling_never_adds_information_per_angstrom(new_width):
    wave = np.arange(4000, 5000, 1.5)
    grid = np.arange(4010, 4990, new_width)
    pixels = Pixels(np.ones((1, len(wave))), np.full((1, len(wave)), 3.0))
    ivar = resample(pixels, wave, grid).ivar
    per_angstrom = ivar.sum() / (new_width * len(grid))
    if new_width <= 1.5:
        assert per_angstrom == pytest.approx(3.0 / 1.5)
    assert per_angstrom <= 3.0 / 1.5 * (1 + 1e-9)
    assert ivar.max() <= 3.0 * (1 + 1e-9)


def test_resampled_chi2_of_pure_noise_is_not_above_the_original():
    rng = np.random.default_rng(0)
    wave, grid = np.arange(4000, 6000, 1.5), np.arange(4000, 5998, 0.8)
    pixels = Pixels(rng.normal(0, 0.5, (50, len(wave))), np.full((50, len(wave)), 4.0))
    finer = resample(pixels, wave, grid)
    chi2 = (finer.flux**2 * finer.ivar).sum(axis=1).mean() / len(wave)
    assert 0.6 < chi2 <= 1.0


def test_resampling_needs_both_neighbours_and_does_not_bridge_gaps():
    wave = np.array([1, 2, 3, 4, 5, 15, 16, 17.0])
    grid = np.array([0.5, 1.5, 2.5, 3.5, 4.5, 10.0, 15.5, 16.5, 17.0, 17.5])
    pixels = Pixels(wave[None] * 2, np.ones((1, 8)))
    pixels.ivar[0, 3] = 0
    new = resample(pixels, wave, grid)
    assert np.flatnonzero(new.ivar[0]).tolist() == [1, 2, 6, 7, 8]
    assert new.flux[0].tolist() == [0, 3, 5, 0, 0, 0, 31, 33, 34, 0]


# --- files that cannot be used


def test_missing_and_foreign_files(tmp_path):
    assert refused(tmp_path / "coadd-1.fits") == "coadd-1.fits: no such file"
    contents = {
        "empty.fits": (b"", "empty"),
        "text.fits": (b"wave,flux\n1,2\n", "not a FITS file"),
        "page.fits": (b"<!DOCTYPE html>", "web page"),
        "zip.fits": (b"PK\x03\x04", "zip"),
        "bz2.fits": (b"BZh9", "bzip2"),
        "lfs.fits": (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        "twice.fits.gz": (gzip.compress(gzip.compress(b"SIMPLE  =")), "not a FITS file"),
        "nothing.fits.gz": (gzip.compress(b""), "empty"),
        "short.fits": (b"SIMPLE  =                    T", "truncated"),
    }
    for name, (content, word) in contents.items():
        (tmp_path / name).write_bytes(content)
        assert refused(tmp_path / name, word).startswith(f"{name}: ")
    refused(
        tmp_path, "a folder without spectra; found", "2 empty", "1 a damaged zip archive", "short.fits: ", "truncated"
    )
    refused("x" * 5000, "cannot be read")
    refused("a\0b")
    refused(tmp_path / "line\nbreak.fits", "line?break.fits: no such file")
    refused("http://127.0.0.1:9/coadd-1.fits", "coadd-1.fits: no such file")
    refused("/dev/zero", "zero: not an ordinary file")


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "spec-1.fits")
    refused(tmp_path / "spec-1.fits", "not an ordinary file")


@pytest.mark.parametrize("paths", [[], [3], [None], [b"x.fits"]])
def test_paths_argument_is_checked(paths):
    with pytest.raises(InputError, match="paths"):
        read_spectra(paths)


def test_fits_of_another_kind(tmp_path):
    path = tmp_path / "image.fits"
    fits.HDUList([fits.PrimaryHDU(np.zeros((3, 3))), fits.ImageHDU(np.zeros(2), name="THING")]).writeto(path)
    refused(path, "image.fits: neither a DESI coadd", "PRIMARY, THING")


def test_folder_is_read_in_the_order_of_names(tmp_path):
    write_coadd(tmp_path / "coadd-2.fits", [2])
    write_coadd(tmp_path / "coadd-1.fits.gz", [1])
    write_redrock(tmp_path / "redrock-2.fits", [2], [0.2])
    write_sdss(tmp_path / "spec-1234-55555-0007.fits")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "coadd-3.fits.part").write_text("hello")
    assert read_spectra(tmp_path).target_id.tolist() == ["1", "2", "1234-55555-7"]


def test_header_that_claims_more_than_there_is(coadd):
    path = altered(coadd(), ("NAXIS2  =                    1", "NAXIS2  =            250000000"))
    start = time.monotonic()
    refused(path, "coadd-main-dark-1.fits: HDU", "truncated")
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("NAXIS1  =", "NAXIS1  =                   -1", "NAXIS1"),
        ("NAXIS1  =", "NAXIS1  =                 3.E3", "NAXIS1"),
        ("NAXIS   =", "NAXIS   =                  999", "NAXIS"),
        ("BITPIX  =", "BITPIX  =                   12", "BITPIX"),
        ("PCOUNT  =", "PCOUNT  =        1000000000000", "truncated"),
        ("TFIELDS =", "TFIELDS =           1000000000", "TFIELDS"),
        ("TFORM2  =", "TFORM2  = '250000000D'", "do not fill"),
        ("TFORM2  =", "TFORM2  = '1PE(9)  '", "variable length"),
        ("XTENSION=", "XTENSION  'BINTABLE'", "not a FITS extension"),
        ("SIMPLE  =", "SIMPLE  =                    F", "SIMPLE"),
        ("EXTNAME =", "EXTNAME = '\x07'", "not text"),
    ],
)
def test_hostile_headers(tmp_path, old, new, word):
    path = write_redrock(tmp_path / "redrock.fits", [1], [0.1])
    refused(altered(path, (old, new)), "redrock.fits: ", word)


def test_limits_on_headers(tmp_path, monkeypatch):
    path = tmp_path / "coadd-1.fits"
    fits.HDUList([fits.PrimaryHDU()] + [fits.ImageHDU() for _ in range(1000)]).writeto(path)
    refused(path, "more than 1000 HDUs")
    path.write_bytes(b"SIMPLE  =                    T".ljust(80) + b" " * (5000 * 2880 - 80))
    refused(path, "more than 4096 header blocks")


def test_gzip_bomb(tmp_path, monkeypatch):
    path = tmp_path / "coadd-1.fits.gz"
    path.write_bytes(gzip.compress(b"SIMPLE  =".ljust(3 << 20)))
    monkeypatch.setattr(plain_files, "MAX_GUNZIPPED", 2 << 20)
    refused(path, "unpacks to more than 2 MiB")
    monkeypatch.undo()
    path.write_bytes(gzip.compress(b"SIMPLE  =".ljust(70 << 20), compresslevel=1))
    refused(path, "unpacks to more than 64 MiB")


def test_truncated_and_damaged_gzip(tmp_path):
    content = write_coadd(tmp_path / "coadd-1.fits.gz", [1]).read_bytes()
    path = tmp_path / "coadd-2.fits.gz"
    for damaged in (content[:-4], content[: len(content) // 2], content[:30], content[:-8] + b"12345678"):
        path.write_bytes(damaged)
        refused(path, "coadd-2.fits.gz: truncated or damaged gzip file")


def test_truncated_redrock(coadd):
    path = coadd()
    redrock = path.with_name("redrock-main-dark-1.fits")
    content = redrock.read_bytes()
    for length in (0, 1000, 2880, 4000, len(content) - 2880, len(content) - 1):
        redrock.write_bytes(content[:length])
        refused(path, "redrock-main-dark-1.fits")
    assert read_spectra(path, redshift=0.1).scorable.all()  # it is not needed


@pytest.mark.parametrize("missing", ["B_IVAR", "R_WAVELENGTH", "Z_IVAR"])
def test_missing_part_is_named(coadd, missing):
    arm, kind = missing.split("_")
    data = arms(1)
    del data[arm][kind.lower()]
    refused(coadd(data), f"coadd-main-dark-1.fits: no HDU named {missing}")


def test_parts_that_do_not_fit_together(coadd):
    data = arms(2)
    data["R"]["ivar"] = data["R"]["ivar"][:1]
    refused(coadd(data, target_id=[1, 2]), "R_IVAR should be an image of 2 x 2326, it is a 1x2326 image")
    data = arms(1)
    data["B"]["wavelength"][100] = 0
    refused(coadd(data), "B_WAVELENGTH does not increase")
    refused(coadd(target_id=[]), "FIBERMAP has no rows")


def test_targetid_that_is_not_an_integer(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits", [1])
    refused(altered(path, ("TFORM1  =", "TFORM1  = 'D       '")), "TARGETID of FIBERMAP is not a column of integers")


def test_changed_data_are_noted(tmp_path):
    path = write_coadd(tmp_path / "coadd-1.fits", [1], checksum=True)
    assert read_spectra(path, redshift=0.1).note.tolist() == ["redshift given by hand"]
    content = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        content[hdus["R_FLUX"].fileinfo()["datLoc"] + 401] ^= 1
    path.write_bytes(content)
    note = read_spectra(path, redshift=0.1).note[0]
    assert "R_FLUX was changed or damaged after its checksum was made" in note and "R_IVAR" not in note


def test_number_beyond_single_precision_is_not_measured(coadd):
    data = arms(1, flux=0.1)
    data["B"]["flux"][0, 500] = 9e37
    spectra = read_spectra(coadd(data))
    assert np.isfinite(spectra.flux).all() and np.isfinite(spectra.ivar).all()
    assert not spectra.measured[0, 500] and spectra.scorable.all()


def test_warnings_are_left_as_they_were(tmp_path):
    before = list(warnings.filters)
    paths = [write_coadd(tmp_path / f"coadd-{i}.fits", [i]) for i in range(4)]
    (tmp_path / "bad.fits").write_bytes(paths[0].read_bytes()[:9000])
    results = []

    def work(path):
        try:
            results.append(read_spectra(path, redshift=0.1).target_id[0])
        except SpectrumFileError as error:
            results.append(str(error).split(":")[0])

    threads = [threading.Thread(target=work, args=(path,)) for path in [*paths, tmp_path / "bad.fits"] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(["0", "1", "2", "3", "bad.fits"] * 3)
    assert warnings.filters == before


# --- any damage gives spectra or one clear line, never anything else


def check_survives(path, name):
    try:
        spectra = read_spectra(path, redshift={"absent": 0.0})
    except ImoError as error:
        assert isinstance(error, SpectrumFileError), repr(error)
        assert str(error).startswith(f"{name}: ") and "\n" not in str(error), str(error)
    else:
        assert np.isfinite(spectra.flux).all() and np.isfinite(spectra.ivar).all() and (spectra.ivar >= 0).all()


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """Contents of a coadd and an SDSS file that are mostly headers, so that damage hits those too."""
    folder = tmp_path_factory.mktemp("small")
    data = arms(2)
    for arm in data.values():
        for kind in arm:
            arm[kind] = arm[kind][..., 600:660]
    sdss = write_sdss(folder / "spec.fits")
    return folder / "damaged.fits", [write_coadd(folder / "coadd.fits", [BIG, 2], data).read_bytes(), sdss.read_bytes()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes(small_files, data):
    path, contents = small_files
    content = bytearray(data.draw(st.sampled_from(contents), label="file"))
    for _ in range(data.draw(st.integers(1, 8))):
        # half of the damage goes to the keywords at the start of a block
        block = data.draw(st.integers(0, len(content) // 2880 - 1))
        at = block * 2880 + data.draw(st.one_of(st.integers(0, 799), st.integers(0, 2879)))
        content[at] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from(list(b"0123456789 '-ETFJ"))))
    path.write_bytes(content)
    check_survives(path, "damaged.fits")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_truncated_lengths(small_files, data):
    path, contents = small_files
    content = data.draw(st.sampled_from(contents))
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(SpectrumFileError, match=r"^damaged\.fits: "):
        read_spectra(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from([b"", b"SIMPLE  =".ljust(29) + b"T", b"\x1f\x8b\x08"]), content=st.binary(max_size=6000))
def test_garbage(small_files, start, content):
    path, _ = small_files
    path.write_bytes(start + content)
    with pytest.raises(SpectrumFileError, match=r"^damaged\.fits: "):
        read_spectra(path)


# --- real files


@pytest.mark.parametrize("part", ["desi/coadd-4-80613-thru20210324.fits", "sdss/test_spectrum_1.fits"])
def test_real_file_truncated_at_many_lengths(shared_data, tmp_path, part):
    content = (shared_data / part).read_bytes()
    path = tmp_path / "coadd-1.fits"
    for length in {0, 1, 79, 80, 2879, 2880, *np.linspace(100, len(content) // 2, 40, dtype=int), len(content) - 1}:
        path.write_bytes(content[:length])
        assert refused(path).startswith("coadd-1.fits: ")


def test_real_desi_galaxy(shared_data):
    path = shared_data / "desi" / "coadd-4-80613-thru20210324.fits"
    spectra = read_spectra(path)
    assert spectra.target_id.tolist() == ["39633345008634465"]
    assert spectra.redshift[0] == pytest.approx(0.36874, abs=1e-5)
    assert spectra.problem[0] == spectra.note[0] == "" and spectra.measured.all()
    flux, ivar = physical(spectra)
    clear = ~sky_line_mask(desi_wavelength())
    with fits.open(path) as hdus:
        b, r = hdus["B_FLUX"].data[0], hdus["R_FLUX"].data[0]
        wb, wr = hdus["B_IVAR"].data[0], hdus["R_IVAR"].data[0]
    assert flux[0, :2700] == pytest.approx(b[:2700], rel=1e-5)
    assert ivar[0, :2700] == pytest.approx(wb[:2700], rel=1e-5)
    both = slice(2700, 2751)  # 5760 to 5800 Angstrom
    combined = (wb[2700:] * b[2700:] + wr[:51] * r[:51]) / (wb[2700:] + wr[:51])
    assert flux[0, both] == pytest.approx(combined, rel=1e-5)
    window = (GRID / 1.36874 > 5300) & (GRID / 1.36874 < 5850) & clear
    assert np.median(spectra.flux[0, window]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "dead"),
    [("coadd-sv3-dark-26065", [0, 1, 3]), ("coadd-5-169-thru20210419", [0, 1, 2, 3])],
)
def test_real_desi_rows_without_data_and_without_redrock(shared_data, name, dead):
    spectra = read_spectra(shared_data / "desi" / f"{name}.fits")
    redrock = name.replace("coadd", "redrock")
    for row in range(5):
        expected = "no measured pixel" if row in dead else f"no redshift: {redrock}.fits is not beside {name}.fits"
        assert spectra.problem[row].startswith(expected)
        assert spectra.measured[row].any() == (row not in dead)
    assert len(set(spectra.target_id)) == 5
    given = read_spectra(shared_data / "desi" / f"{name}.fits", redshift=0.3)
    assert set(np.flatnonzero(~given.scorable)) >= set(dead)


@pytest.mark.parametrize(
    ("name", "target", "z", "line"),
    [
        ("test_spectrum_1", "285-51930-309", 0.06456, 6564.61),
        ("test_spectrum_2", "349-51699-582", 0.08428, OXYGEN),
        ("test_spectrum_3", "286-51999-359", 0.02067, 6585.27),  # [N II] is its highest line
        ("KUG_0028p000", "391-51782-594", 0.06838, OXYGEN),
        ("MRK_0955", "392-51793-517", 0.03490, OXYGEN),
        ("Mrk477", "1163-52669-292", 0.03689, OXYGEN),
        ("SDSS", "1176-52791-591", 0.03835, OXYGEN),
        ("3C234SP1", "2345-53757-410", 0.18490, OXYGEN),
    ],
)
def test_real_sdss(shared_data, name, target, z, line):
    spectra = read_spectra(shared_data / "sdss" / f"{name}.fits")
    assert spectra.target_id[0] == target and spectra.scorable.all()
    assert spectra.redshift[0] == pytest.approx(z, abs=1e-5)
    if name == "test_spectrum_2":
        assert "BADFLAT on every pixel, MANYBADCOLUMNS on 45% of the pixels" in spectra.note[0]
    if name == "Mrk477":
        z = 0.0377  # its real redshift: SDSS fitted a quasar, flagged the fit and missed by 250 km/s
    near = np.abs(spectra.wavelength - line * (1 + z)) < 15
    peak = spectra.wavelength[near][np.argmax(spectra.flux[0, near])]
    assert peak == pytest.approx(line * (1 + z), abs=3)
    assert spectra.flux[0, near].max() > 1.2
