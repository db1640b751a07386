"""Files that people brought and that went wrong once, by the command line and by the page; made from real spectra."""

import json

import numpy as np
import pytest

from app.commands.program import main
from app.survey import upload_worker, uploads
from app.survey.uploads import read_upload
from imo_engine.ranking.ranking import read_catalogue
from imo_engine.readers import read_survey
from imo_engine.spectra.instrument import desi_wavelength

SDSS, DESI = -6.40, -6.36
"""Log p of the two galaxies under the embedded model, which what is wrong with their files does not change."""

BITS = "and_mask has BADFLAT on every pixel, MANYBADCOLUMNS on 46% of the pixels"
ALL_BUT_A_FEW = "MANYREJECTED on more than 99% of the pixels"
NO_NOISE = "the file does not say how noisy it is"

GALAXIES = {
    "sdss_half_flagged": (SDSS, BITS),
    "sdss_nearly_all_flagged": (SDSS, ALL_BUT_A_FEW),
    "sdss_tree": (SDSS, "BADFLAT"),
    "desi_tree": (DESI, ""),
    "desi_redshifts_inside": (DESI, ""),
    "desi_zcatalog": (DESI, ""),
    "desi_zbest": (DESI, ""),
    "desi_compressed_mask": (DESI, ""),
    "desi_three_redrock_rows": (DESI, "redrock-x.fits has 3 redshifts of it, the best"),
    "text/err.csv": (SDSS, ""),
    "text/flux_err.csv": (SDSS, ""),
    "text/flux_error.csv": (SDSS, ""),
    "text/e_flux.csv": (SDSS, ""),
    "text/std.csv": (SDSS, ""),
    "text/noise.csv": (SDSS, ""),
    "text/variance.csv": (SDSS, ""),
    "text/lam.csv": (SDSS, ""),
    "text/units_in_names.csv": (SDSS, ""),
    "text/skyserver.csv": (SDSS, NO_NOISE),
    "text/without_noise.csv": (SDSS, NO_NOISE),
    "text/space.txt": (SDSS, ""),
    "text/space.dat": (SDSS, ""),
    "text/space.csv": (SDSS, ""),
    "text/tab.tsv": (SDSS, ""),
    "text/nanometres.csv": (SDSS, "without a unit are taken as nm"),
    "text/latin1.csv": (SDSS, ""),
    "text/excel.csv": (SDSS, ""),
    "text/times_1e+02.csv": (SDSS, ""),
    "text/times_1e+03.csv": (SDSS, ""),
    "text/times_1e+04.csv": (SDSS, ""),
    "text/z_17.csv": (SDSS, ""),
    "text/z_19.csv": (SDSS, ""),
    "text/sexagesimal.ecsv": (SDSS, ""),
}
"""Case: log p, and a remark of the first target; every target of a case is the same galaxy."""

OF_OTHER_TESTS = ("desi_star", "desi_quasar", "desi_zero", "desi_beyond", "desi_objtype_")
"""Beginnings of the names of cases that are about what a target is, not about its file: they are tested elsewhere."""


@pytest.fixture
def rank(tmp_path, capsys):
    """Returns a function that runs ``imo rank`` and returns exit status, catalogue and what was printed."""

    def run(*arguments):
        output = tmp_path / "catalogue.ecsv"
        with pytest.raises(SystemExit) as ended:
            main(["rank", *map(str, arguments), "-o", str(output), "--device", "cpu"])
        printed = capsys.readouterr()
        return ended.value.code, read_catalogue(output) if output.exists() else None, printed.out + printed.err

    return run


@pytest.fixture
def upload(monkeypatch):
    """Returns a function that reads the files of a case as the page does, in this process, which takes less time."""

    def run(folder, names, limits):
        upload_worker.answer(folder, json.loads((folder / upload_worker.REQUEST).read_text()))

    def read(path):
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        return read_upload([(file.name, file.read_bytes()) for file in files], wavelength=desi_wavelength())

    monkeypatch.setattr(uploads, "_run", run)
    return read


def test_every_case_is_tested(cases):
    there = {path.name for path in cases.iterdir()} - {"text"} | {f"text/{path.name}" for path in cases.glob("text/*")}
    assert {case for case in there if not case.startswith(OF_OTHER_TESTS)} == {*GALAXIES, "one_bad_among_good"}


@pytest.mark.parametrize("case", GALAXIES)
def test_is_ranked_by_the_command(cases, rank, case):
    log_prob, remark = GALAXIES[case]
    code, catalogue, _ = rank(cases / case)
    assert code == 0
    assert np.abs(np.array(catalogue["log_prob"]) - log_prob).max() < 0.02
    assert remark in str(catalogue["note"][0])


@pytest.mark.parametrize("case", GALAXIES)
def test_is_the_same_by_the_page(cases, upload, case):
    ours, theirs = read_survey(cases / case).spectra, upload(cases / case)
    for name in ("flux", "ivar", "measured", "redshift", "zwarn", "ra", "dec", "norm"):
        np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))
    for name in ("problem", "instrument", "spectype", "target_id"):
        assert getattr(theirs, name).tolist() == getattr(ours, name).tolist()
    assert GALAXIES[case][1] in theirs.note[0]


def test_position_in_hours(cases):
    spectra = read_survey(cases / "text" / "sexagesimal.ecsv").spectra
    assert (spectra.ra[0], spectra.dec[0]) == (pytest.approx(150), pytest.approx(1))


class TestOneBadAmongGood:
    def test_by_the_command(self, cases, rank):
        code, catalogue, printed = rank(cases / "one_bad_among_good")
        assert code == 1
        assert np.array(catalogue["log_prob"][:2]) == pytest.approx(SDSS, abs=0.02)
        assert catalogue["target_id"][2] == "spec-0001-50000-0002"
        assert catalogue["problem"][2].startswith("not read: ") and "truncated" in catalogue["problem"][2]
        assert "2 of 3 spectra scored" in printed
        assert "not scored: target spec-0001-50000-0002 (spec-0001-50000-0002.fits): not read: " in printed

    def test_alone(self, cases, rank):
        code, catalogue, printed = rank(cases / "one_bad_among_good" / "spec-0001-50000-0002.fits")
        assert (code, catalogue) == (1, None)
        assert printed.startswith("imo: spec-0001-50000-0002.fits: HDU 1 should have ") and "truncated" in printed

    def test_by_the_page(self, cases, upload):
        found = upload(cases / "one_bad_among_good")
        assert found.scorable.tolist() == [True, False, True]
        assert found.problem[1].startswith("not read: ") and "truncated" in found.problem[1]


class TestRealFiles:
    """Every real spectrum is read; those that have no redshift say so."""

    @pytest.mark.parametrize("name", ["spectra-5-169-thru20210419", "spectra-sv3-dark-26065"])
    def test_desi_by_exposure(self, shared_data, name):
        spectra = read_survey(shared_data / "desi" / f"{name}.fits").spectra
        coadd = read_survey(shared_data / "desi" / f"{name.replace('spectra', 'coadd')}.fits").spectra
        assert sorted(spectra.target_id) == sorted(set(spectra.target_id))
        assert {"no redshift", "no measured pixel"} == {problem.split(":")[0] for problem in spectra.problem}
        both = np.flatnonzero(np.isin(spectra.target_id, coadd.target_id))
        assert len(both) and set(spectra.instrument) == {"DESI"}

    @pytest.mark.parametrize(
        ("path", "count", "masked", "redshift"),
        [
            ("lamost/spec-55862-B6212_sp06-005.fits", 1, 0, -0.00029),
            ("manga/MaNGA_test_spectra.fits.gz", 8, 1, 0.04953),  # one is DONOTUSE throughout
            ("manga/MaNGA_multicomp_test_spectra.fits.gz", 3, 0, 0.03126),
        ],
    )
    def test_others(self, shared_data, path, count, masked, redshift):
        spectra = read_survey(shared_data / path).spectra
        assert len(spectra) == count and (~spectra.scorable).sum() == (~spectra.has_noise).sum() == masked
        assert spectra.redshift[0] == pytest.approx(redshift, abs=1e-5)
        assert set(spectra.instrument) == {""}  # none of these that is known

    def test_skyserver(self, shared_data):
        spectra = read_survey(shared_data / "skyserver", redshift=0.05).spectra
        assert len(spectra) == 3 and spectra.scorable.all() and not spectra.has_noise.any()

    def test_a_folder_of_everything(self, shared_data):
        found = read_survey(shared_data)
        assert not found.unreadable
        assert found.passed_over["FITS of another layout"] == 5  # templates
        assert {"spec-55862-B6212_sp06-003.fits", "3C234SP1.fits", "MaNGA_test_spectra.fits.gz"} <= set(
            found.spectra.source
        )
        assert found.spectra.redshift[found.spectra.target_id == "39633345008634465"] == pytest.approx(
            0.36874, abs=1e-5
        )
