"""New candidates: uploads of strangers are read safely, and get the score and rank they would have in the survey."""

import gzip
import json
import pickle
import signal
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers.fits_files import GRID, altered, arms, write_coadd, write_redrock, write_sdss
from helpers.networks import WAVELENGTH
from helpers.surveys import TARGETS, tiny_spectra, tiny_survey
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from app.survey import upload_worker, uploads
from app.survey.candidates import add_candidates, check_redshift, needs_redshift, score_candidates, with_redshift
from app.survey.survey import DEMO_CATALOGUE, DEMO_SPECTRA, RankRange, demo_survey
from app.survey.uploads import UploadLimits, read_upload
from imo_engine.errors import ImoError, InputError, SpectrumFileError
from imo_engine.ranking.ranking import rank_spectra
from imo_engine.readers import read_spectra
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.spectra.spectra import concatenate
from imo_engine.system.embedded import embedded_file

BIG = 39633345008634465
CSV = "\n".join(["# z = 0.1", "wave,flux,ivar", *(f"{wave},3,4" for wave in GRID.tolist())]).encode()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Temporary files go to a folder of the test's own, and none may be left in it."""
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    yield private
    assert list(private.glob("imo-upload-*")) == []


@pytest.fixture
def here(monkeypatch):
    """Reads uploads in this process, which takes less time: for what is read, not for how it is kept apart."""

    def run(folder, names, limits):
        upload_worker.answer(folder, json.loads((folder / upload_worker.REQUEST).read_text()))

    monkeypatch.setattr(uploads, "_run", run)


def upload(*files, **options):
    """Read files, given as paths or as (name, bytes), as if a browser had sent them."""
    sent = [(file.name, file.read_bytes()) if isinstance(file, Path) else file for file in files]
    return read_upload(sent, wavelength=desi_wavelength(), **options)


def refused(*files, words, **options):
    """Check that an upload gives one line that begins with the first file's name as it was given, or ``name``."""
    name = options.pop("name", files[0][0] if isinstance(files[0], tuple) else files[0].name)
    with pytest.raises(SpectrumFileError) as caught:
        upload(*files, **options)
    message = str(caught.value)
    assert message.startswith(name), message
    assert message.isprintable() and "upload0" not in message, message
    for word in words:
        assert word in message, message
    return message


def check_same(one, other):
    """Check that two readings are equal to the last bit."""
    for name in ("wavelength", "flux", "ivar", "measured", "redshift", "ra", "dec", "norm"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    for name in ("target_id", "problem", "note", "source"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()


@pytest.mark.usefixtures("here")
class TestUpload:
    """The same as from the same files on disk."""

    def test_coadd_with_and_without_redrock(self, tmp_path):
        coadd = write_coadd(tmp_path / "coadd-x.fits", [BIG, 2])
        alone = upload(coadd)
        assert needs_redshift(alone).tolist() == [True, True]
        assert alone.problem[0].startswith("no redshift: its redrock file is not beside coadd-x.fits, nor zbest")
        check_same(alone, replace(read_spectra(coadd), problem=alone.problem))
        redrock = write_redrock(tmp_path / "redrock-x.fits", [2, BIG], [0.2, 0.1])
        for files in ((coadd, redrock), (redrock, coadd)):
            found = upload(*files)
            check_same(found, read_spectra(coadd))
            assert found.redshift.tolist() == [0.1, 0.2]

    def test_redrock_alone(self, tmp_path):
        refused(write_redrock(tmp_path / "redrock-x.fits", [1], [0.1]), words=["no spectra", "coadd"])

    def test_all_kinds_at_once_some_gzipped(self, tmp_path):
        coadd, sdss = write_coadd(tmp_path / "coadd-x.fits", [BIG]), write_sdss(tmp_path / "spec-x.fits")
        found = upload(
            ("spec-x.fits.gz", gzip.compress(sdss.read_bytes())), coadd, ("My galaxy.csv.gz", gzip.compress(CSV))
        )
        assert found.target_id.tolist() == ["1234-55555-7", str(BIG), "My galaxy"]
        assert found.source.tolist() == ["spec-x.fits.gz", "coadd-x.fits", "My galaxy.csv.gz"]
        assert needs_redshift(found).tolist() == [False, True, False]
        assert found.redshift[2] == 0.1

    def test_redshift_given(self, tmp_path):
        coadd = write_coadd(tmp_path / "coadd-x.fits", [BIG, 2])
        assert upload(coadd, redshift=0.3).redshift.tolist() == [0.3, 0.3]
        assert upload(coadd, redshift={str(BIG): 0.3}).redshift[0] == 0.3

    def test_another_grid(self, tmp_path):
        path = write_sdss(tmp_path / "spec-x.fits")
        grid = GRID[2000:4000:2]
        check_same(read_upload([(path.name, path.read_bytes())], wavelength=grid), read_spectra(path, wavelength=grid))

    @pytest.mark.parametrize("name", ["x.csv", "x.ECSV", "x.txt"])
    def test_csv_under_its_names(self, name):
        assert upload((name, CSV)).target_id.tolist() == ["x"]

    @pytest.mark.parametrize("name", ["x.csv", "x.dat", "spectrum", "x.pt"])
    def test_fits_under_any_name(self, tmp_path, name):
        found = upload((name, write_sdss(tmp_path / "spec-x.fits").read_bytes()))
        assert found.target_id.tolist() == ["1234-55555-7"]

    def test_one_that_cannot_be_read_among_others(self, tmp_path):
        sdss = write_sdss(tmp_path / "spec-x.fits").read_bytes()
        damaged = gzip.compress(CSV)[:500]
        bad = [("a.fits", sdss[:9000]), ("b.csv.gz", damaged), ("c.docx", b"PK\x03\x04"), ("d.txt", b"")]
        found = upload(bad[0], ("spec-x.fits", sdss), *bad[1:], ("x.csv", CSV))
        assert found.target_id.tolist() == ["a", "1234-55555-7", "b", "c", "d", "x"]
        assert found.source.tolist() == ["a.fits", "spec-x.fits", "b.csv.gz", "c.docx", "d.txt", "x.csv"]
        assert found.scorable.tolist() == [False, True, False, False, False, True]
        for row, word in ((0, "truncated"), (2, "gzip"), (3, "zip archive"), (4, "empty")):
            assert found.problem[row].startswith("not read: ") and word in found.problem[row]
        assert not needs_redshift(found).any()
        refused(*bad, words=["truncated", "3 more cannot be read either"])

    def test_two_files_of_one_name(self):
        found = upload(("x.csv", CSV), ("x.csv", CSV))
        assert found.target_id.tolist() == ["x", "x (2)"]
        assert found.source.tolist() == ["x.csv", "x (2).csv"]

    def test_real_files(self, shared_data):
        desi, sdss = shared_data / "desi", shared_data / "sdss"
        coadd = desi / "coadd-4-80613-thru20210324.fits"
        found = upload(coadd, desi / "redrock-4-80613-thru20210324.fits", sdss / "test_spectrum_1.fits")
        check_same(found[:1], read_spectra(coadd))
        check_same(found[1:], read_spectra(sdss / "test_spectrum_1.fits"))
        assert found.redshift[0] == pytest.approx(0.36874, abs=1e-5)
        assert needs_redshift(upload(desi / "coadd-sv3-dark-26065.fits")).sum() == 2


@pytest.mark.usefixtures("here")
class TestNames:
    """A client's file name is text, never a path, and stays as it is for whoever shows it."""

    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ("../../etc/passwd.csv", "passwd.csv"),
            ("/etc/cron.d/x.csv", "x.csv"),
            ("C:\\Users\\me\\x.csv", "x.csv"),
            ("<img src=x onerror=alert(1)>.csv", "<img src=x onerror=alert(1)>.csv"),
            ("a\nb\x1b[31m\u202e.csv", "a?b?[31m?.csv"),
            ("request.json/../x.csv", "x.csv"),
            ("y" * 500 + ".csv", "y" * 96 + ".csv"),
        ],
    )
    def test_in_results_and_in_errors(self, given, shown, tmp_path):
        found = upload((given, CSV))
        assert found.source.tolist() == [shown]
        assert found.target_id.tolist() == [shown.removesuffix(".csv")]
        refused((given, b"a,b\n1,2\n"), name=f"{shown}: ", words=["expected columns wave"])
        assert not list(tmp_path.rglob("*.csv"))

    @pytest.mark.parametrize("given", ["", "..", "folder/", "."])
    def test_that_are_none(self, given, tmp_path):
        content = write_sdss(tmp_path / "spec-x.fits").read_bytes()
        assert upload((given, content)).target_id.tolist() == ["1234-55555-7"]


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.usefixtures("here")
class TestHostile:
    @pytest.mark.parametrize("name", ["x.pkl", "x.pt", "x.fits", "x.csv", "x.npy", "x", "x.pkl.gz"])
    @pytest.mark.parametrize("protocol", [0, 4])
    def test_a_pickle_is_refused_and_never_loaded(self, tmp_path, name, protocol):
        touched = tmp_path / "touched"
        content = pickle.dumps(Touch(touched), protocol)
        message = refused((name, gzip.compress(content) if name.endswith("gz") else content), words=[])
        if protocol == 4 or name.startswith("x.p"):
            assert "can run code when it is opened" in message
        assert not touched.exists()
        pickle.loads(content)  # it would have worked
        assert touched.exists()

    def test_an_object_array_is_refused_and_never_loaded(self, tmp_path):
        touched = tmp_path / "touched"
        with (tmp_path / "x.npy").open("wb") as file:
            np.save(file, np.array([Touch(touched)], object), allow_pickle=True)
        for name in ("x.npy", "x.fits"):
            refused((name, (tmp_path / "x.npy").read_bytes()), words=["an array of NumPy", "--baselines"])
        assert not touched.exists()

    def test_truncated_fits(self, tmp_path):
        content = write_coadd(tmp_path / "coadd-x.fits", [1]).read_bytes()
        for length in (100, 2880, 50_000, len(content) - 1):
            refused(("coadd-x.fits", content[:length]), words=["truncated"] if length > 2880 else [])

    def test_header_that_claims_2_gb(self, tmp_path):
        claim = ("NAXIS1  =                 2751", "NAXIS1  =            536870912")
        path = altered(write_coadd(tmp_path / "coadd-x.fits", [1]), claim)
        refused(path, words=["should have 2147483648 bytes"])

    def test_gzip_bombs(self):
        zeros = gzip.compress(bytes(70 << 20))
        assert len(zeros) < 100_000
        refused(("x.fits.gz", zeros), words=["unpacks to more than 64 MiB"])
        limits = UploadLimits(unpacked_bytes=1 << 20)
        refused(("x.csv.gz", gzip.compress(CSV * 20)), words=["unpacks to more than 1 MiB"], limits=limits)
        half = gzip.compress(CSV + b" " * (600 << 10))
        assert len(upload(("x.csv.gz", half), limits=limits)) == 1
        refused(
            ("x.csv.gz", half), ("y.csv.gz", half), name="y.csv.gz: ", words=["unpacks to more than"], limits=limits
        )

    def test_gzip_in_gzip_and_damaged_gzip(self):
        refused(("x.csv.gz", gzip.compress(gzip.compress(CSV))), words=[])
        refused(("x.csv.gz", gzip.compress(CSV)[:500]), words=["gzip"])

    @pytest.mark.parametrize(
        ("content", "word"),
        [
            (b"", "empty"),
            (b"wave,ivar\n1,2\n", "ivar (or error"),
            (b"<!doctype html>", "not a text table but a web page"),
            (b"PK\x03\x04" + bytes(100), "not a text table but a damaged zip archive"),
        ],
    )
    def test_what_is_no_spectrum(self, content, word):
        refused(("x.csv", content), words=[word])

    def test_unknown_kinds_are_named(self):
        refused(("x.fits", b"PK\x03\x04" + bytes(100)), words=["zip archive"])
        refused(("x.mp4", b"\0\0\0 ftypmp42" + bytes(100)), words=["neither a FITS file nor a text table"])

    def test_nan_everywhere_has_no_score_and_a_reason(self):
        found = upload(("x.csv", CSV.replace(b",3,", b",nan,")))
        assert "no measured pixel" in found.problem[0]
        assert not needs_redshift(found)[0]

    def test_nan_everywhere_in_a_coadd(self, tmp_path):
        data = arms(1, flux=np.nan, ivar=np.nan)
        write_redrock(tmp_path / "redrock-x.fits", [1], [0.1])
        found = upload(write_coadd(tmp_path / "coadd-x.fits", [1], data), tmp_path / "redrock-x.fits")
        assert "no measured pixel" in found.problem[0]
        assert not found.measured.any() and np.isfinite(found.flux).all()

    def test_fits_with_other_columns(self, tmp_path):
        columns = [fits.Column("a", "E", array=np.ones(3)), fits.Column("b", "E", array=np.ones(3))]
        hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="COADD")])
        hdus.writeto(tmp_path / "spec-x.fits")
        refused(tmp_path / "spec-x.fits", words=["neither a DESI coadd", "COADD"])

    def test_markup_in_an_identifier_is_text(self):
        name = "<script>alert(1)</script>"
        assert upload(("x.csv", f"# target_id = {name}\n".encode() + CSV)).target_id.tolist() == [name]

    def test_long_words_are_cut(self):
        found = upload(("x.csv", b"# target_id = " + b"x" * 5000 + b"\n" + CSV))
        assert len(found.target_id[0]) <= 300

    @pytest.mark.parametrize("redshift", [np.nan, np.inf, 1e300, -0.5, 21, "0.1", True, {"x": 1e300}])
    def test_absurd_redshift(self, redshift):
        with pytest.raises(InputError, match="expected a number above -0.1 and up to 20"):
            upload(("x.csv", CSV), redshift=redshift)

    @pytest.mark.parametrize("z", [b"1e300", b"-7"])
    def test_absurd_redshift_in_the_file(self, z):
        found = upload(("x.csv", CSV.replace(b"0.1", z, 1)))
        assert "is not a galaxy's" in found.problem[0] and len(found.problem[0]) < 80
        assert needs_redshift(found).all()


class TestLimits:
    """Of amounts, before anything is read, and of what reading may take."""

    def test_files_and_bytes(self):
        with pytest.raises(InputError, match="at least one file"):
            upload()
        limits = UploadLimits(files=2, bytes=1000)
        small = [(f"{n}.csv", b"x") for n in range(3)]
        refused(*small, name="2.csv: ", words=["3 files; 2 can"], limits=limits)
        refused(("x.csv", bytes(1001)), words=["at most 0.0 MiB"], limits=limits)
        refused(("x.csv", bytes(600)), ("y.csv", bytes(600)), name="y.csv: ", words=["files before it"], limits=limits)

    def test_spectra(self, tmp_path):
        coadd = write_coadd(tmp_path / "coadd-x.fits", [1, 2, 3])
        refused(coadd, words=["3 spectra; at most 2"], limits=UploadLimits(spectra=2))
        redrock = write_redrock(tmp_path / "redrock-x.fits", [1, 2, 3], [0.1, 0.2, 0.3])
        check_same(upload(coadd, redrock, limits=UploadLimits(spectra=3)), read_spectra(coadd))

    def test_memory(self, tmp_path):
        """200 spectra need more than a process of 190 MiB has."""
        if sys.platform != "linux":
            pytest.skip("only Linux keeps a process to its address space")
        coadd = write_coadd(tmp_path / "coadd-x.fits", list(range(1, 201)))
        refused(coadd, words=["memory"], limits=UploadLimits(memory=190 << 20))

    def test_memory_too_small_to_begin(self):
        if sys.platform != "linux":
            pytest.skip("only Linux keeps a process to its address space")
        refused(("x.csv", CSV), words=["read"], limits=UploadLimits(memory=40 << 20))

    def test_wall_time(self):
        refused(("x.csv", CSV), words=["not read within 0.05 s"], limits=UploadLimits(wall_seconds=0.05))

    def test_processor_time(self):
        refused(("x.csv", CSV), words=["reading was stopped"], limits=UploadLimits(cpu_seconds=0))

    def test_many_at_once_wait(self, monkeypatch):
        busy = threading.BoundedSemaphore(1)
        busy.acquire()
        monkeypatch.setattr(uploads, "_readers", busy)
        refused(("x.csv", CSV), words=["try again"], limits=UploadLimits(wall_seconds=0.05))
        busy.release()
        assert len(upload(("x.csv", CSV))) == 1
        assert busy.acquire(blocking=False)


class TestReader:
    """Whatever the reading process does, there is one line, or spectra that are what they should be."""

    @pytest.fixture
    def reader(self, monkeypatch):
        """Replaces the reading process by a program."""

        def replace_by(program):
            program = f"import os, sys; from pathlib import Path; folder = Path(sys.argv[1])\n{program}"
            monkeypatch.setattr(uploads, "_command", lambda folder: [sys.executable, "-c", program, str(folder)])

        return replace_by

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
    def test_killed(self, reader, number):
        reader(f"os.kill(os.getpid(), {int(number)})")
        refused(("x.csv", CSV), words=["reading"])

    def test_hangs(self, reader):
        reader("import time; time.sleep(600)")
        refused(("x.csv", CSV), words=["not read within 0.5 s"], limits=UploadLimits(wall_seconds=0.5))

    def test_ends_without_an_answer_or_in_failure(self, reader):
        reader("")
        refused(("x.csv", CSV), words=["gave no spectra"])
        reader("sys.exit(3)")
        refused(("x.csv", CSV), words=["ended unexpectedly (3)"])

    def test_answers_nonsense(self, reader):
        for program in (
            "(folder / 'spectra.safetensors').write_bytes(b'x' * 100)",
            "(folder / 'spectra.safetensors').write_bytes(bytes(10 << 20))",
            "(folder / 'spectra.safetensors').symlink_to('/etc/passwd')",
            "(folder / 'spectra.safetensors').mkdir()",
        ):
            reader(program)
            refused(("x.csv", CSV), words=["gave no spectra"], limits=UploadLimits(spectra=3))

    @pytest.mark.parametrize(
        "change",
        [
            lambda arrays, texts: (arrays | {"flux": arrays["flux"][:, 1:]}, texts),
            lambda arrays, texts: (arrays | {"flux": arrays["flux"].astype(float)}, texts),
            lambda arrays, texts: (arrays | {"norm": np.ones(2)}, texts),
            lambda arrays, texts: ({name: values for name, values in arrays.items() if name != "ra"}, texts),
            lambda arrays, texts: (arrays, texts | {"note": []}),
            lambda arrays, texts: (arrays, texts | {"note": [["x"]]}),
            lambda arrays, texts: (arrays, {name: words for name, words in texts.items() if name != "source"}),
            lambda arrays, texts: (arrays, 3),
        ],
    )
    def test_answers_with_other_arrays(self, monkeypatch, change):
        """As if a file had taken over the process that read it."""

        def run(folder, names, limits):
            pixels = np.ones((1, len(GRID)), np.float32)
            arrays = {"flux": pixels, "ivar": pixels.copy(), "measured": pixels > 0}
            arrays |= {name: np.ones(1) for name in ("redshift", "ra", "dec", "norm")}
            arrays["zwarn"] = np.zeros(1, np.int64)
            texts = {name: ["x"] for name in uploads._TEXT_COLUMNS}
            if change_now:
                arrays, texts = change(arrays, texts)
            arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
            save_file(arrays, folder / upload_worker.ANSWER, {upload_worker.TEXTS: json.dumps(texts)})

        monkeypatch.setattr(uploads, "_run", run)
        change_now = False
        assert upload(("x.csv", CSV)).target_id.tolist() == ["x"]
        change_now = True
        refused(("x.csv", CSV), words=["gave no spectra"])

    def test_errors_are_cut_and_kept_in_one_line(self, reader):
        reader("(folder / 'error.txt').write_bytes(b'\\xff\\n\\x1b' + b'x' * 100_000)")
        assert len(refused(("x.csv", CSV), words=["x.csv: "])) < 1000

    def test_sees_no_secrets_and_a_private_folder(self, reader, monkeypatch):
        monkeypatch.setenv("A_TOKEN", "secret")
        reader(
            "mode, home = oct(folder.stat().st_mode & 0o777), os.environ['HOME'] == str(folder)\n"
            "(folder / 'error.txt').write_text(f\"{mode} {'A_TOKEN' in os.environ} {home}\")"
        )
        refused(("x.csv", CSV), words=["0o700 False True"])


class TestWithRedshift:
    def test_as_if_it_had_been_known(self, tmp_path):
        rng = np.random.default_rng(0)
        data = arms(2)
        for arm in data.values():
            arm["flux"] += rng.normal(0, 0.2, arm["flux"].shape).astype(np.float32)
            arm["mask"][:, 50:60] = 1
        coadd = write_coadd(tmp_path / "coadd-x.fits", [BIG, 2], data)
        known = read_spectra(coadd, redshift=0.2)
        for start in (read_spectra(coadd), read_spectra(coadd, redshift=0.1)):
            later = with_redshift(start, 0.2)
            np.testing.assert_array_equal(later.measured, known.measured)
            np.testing.assert_array_equal(later.ivar == 0, known.ivar == 0)
            for name in ("flux", "ivar", "norm", "redshift"):
                np.testing.assert_allclose(getattr(later, name), getattr(known, name), rtol=1e-5, atol=1e-6)
            assert later.problem.tolist() == ["", ""]
            assert later.note[0].endswith("redshift given by hand")
            assert not needs_redshift(later).any()

    def test_does_not_cure_other_problems(self, tmp_path):
        coadd = write_coadd(tmp_path / "coadd-x.fits", [1, 2], objtype=["SKY", "TGT"])
        sky = with_redshift(read_spectra(coadd), 0.1)
        assert sky.problem.tolist() == ["sky fibre", ""]
        assert "cannot be normalised" in with_redshift(sky, 3.0).problem[1]
        assert with_redshift(with_redshift(sky, 3.0), 0.1).problem[1] == ""

    @pytest.mark.parametrize("redshift", [np.nan, -0.1, 1e300])
    def test_checks_it(self, redshift):
        with pytest.raises(InputError, match="'redshift' is"):
            with_redshift(tiny_spectra(), redshift)
        assert check_redshift(0) == 0.0


@pytest.fixture(scope="module")
def tiny():
    return tiny_survey()


class TestRankRange:
    @pytest.fixture(autouse=True)
    def make(self, tiny):
        self.tiny = tiny

    def survey(self, rank, log_prob, size):
        """A survey of which only spectra of these ranks are there."""
        return replace(self.tiny, rank=np.array(rank), log_prob=np.array(log_prob, float), size=size)

    def test_exact_between_neighbours_and_else_a_range(self):
        survey = self.survey([1, 2, 50, 0], [-30, -20, -5, np.nan], 1000)
        assert survey.rank_range(-40) == RankRange(1, 1, 1001)
        assert survey.rank_range(-30) == RankRange(1, 1, 1001)
        assert survey.rank_range(-25) == RankRange(2, 2, 1001)
        assert survey.rank_range(-10) == RankRange(3, 50, 1001)
        assert survey.rank_range(3) == RankRange(51, 1001, 1001)
        assert survey.rank_range(np.nan) is None
        assert str(survey.rank_range(-25)) == "rank 2 of 1,001"
        assert str(survey.rank_range(3)) == "rank 51 to 1,001 of 1,001"

    @settings(max_examples=100, deadline=None)
    @given(data=st.data())
    def test_holds_the_true_rank(self, data):
        values = sorted(data.draw(st.lists(st.integers(-20, 20), min_size=4, max_size=30)))
        shown = data.draw(st.lists(st.sampled_from(range(len(values))), min_size=4, max_size=4, unique=True))
        ranks = np.searchsorted(values, values) + 1  # of equal ones, the same
        survey = self.survey(ranks[shown], np.array(values)[shown], len(values))
        new = data.draw(st.integers(-25, 25))
        found, true = survey.rank_range(new), int(np.searchsorted(values, new)) + 1
        assert found.low <= true <= found.high <= found.size == len(values) + 1
        if len(values) == 4:
            assert found.low == found.high


class TestCandidates:
    @pytest.fixture
    def survey(self, tiny):
        return tiny

    def new(self, seed=5, name="new"):
        spectra = tiny_spectra()[[1]]
        flux = spectra.flux + np.random.default_rng(seed).normal(0, 0.3, spectra.flux.shape).astype(np.float32)
        return replace(spectra, flux=flux, target_id=np.array([name]))

    def test_score_is_the_models(self, survey):
        (one,) = score_candidates(self.new(), survey)
        model, _ = survey.engine.get()
        assert one.log_prob == rank_spectra(model, self.new()).log_prob[0]
        assert one.rank == RankRange(*[1 + int((survey.log_prob < one.log_prob).sum())] * 2, 4)
        assert model.fingerprint in one.model
        assert (one.quantile, one.n_reference) == (None, 0)  # nothing is known of a random model

    def test_quantile_among_validation_spectra(self, survey):
        (one,) = score_candidates(self.new(), survey)
        reference = np.array([one.log_prob - 2, one.log_prob - 1, one.log_prob, one.log_prob + 1])
        (again,) = score_candidates(self.new(), survey, reference=reference)
        assert (again.quantile, again.n_reference) == (0.75, 4)

    def test_a_spectrum_of_the_survey_has_its_rank(self, survey):
        for one, rank in zip(score_candidates(survey.spectra, survey), survey.rank.tolist(), strict=True):
            assert one.rank == (RankRange(rank, rank, 4) if rank else None)

    def test_without_score(self, survey):
        (one,) = score_candidates(replace(self.new(), problem=np.array(["no redshift"])), survey)
        assert np.isnan(one.log_prob)
        assert one.rank is None and one.quantile is None
        added = add_candidates(survey, [one])
        assert added.rank[-1] == 0
        assert added.order()[-1] == len(TARGETS)

    def test_identifier_is_of_the_content(self, survey):
        names = [
            score_candidates(spectra, survey)[0].target_id
            for spectra in (
                self.new(),
                self.new(),
                self.new(seed=6),
                replace(self.new(), redshift=np.array([0.5])),
                replace(self.new(), source=np.array(["elsewhere.csv"])),
            )
        ]
        assert names[0] == names[1] == names[4]
        assert len(set(names)) == 3
        assert all(name.startswith("new~") for name in names)

    def test_other_wavelengths_are_refused(self, survey):
        with pytest.raises(InputError):
            score_candidates(replace(self.new(), wavelength=WAVELENGTH + 1), survey)

    def test_added_to_the_survey(self, survey):
        candidates = score_candidates(concatenate([self.new(), self.new(seed=6, name=TARGETS[0])]), survey)
        added = add_candidates(survey, candidates)
        assert len(added.spectra) == len(survey.spectra) + 2
        for one in candidates:
            row = added.spectra.row(one.target_id)
            check_same(added.spectra[[row]], one.spectra)
            assert added.log_prob[row] == one.log_prob
            assert added.rank[row] == one.rank.low
            assert added.rank_range(one.log_prob) == one.rank  # not counted among the survey's own
        assert added.candidates == {one.target_id for one in candidates}
        assert added.spectra.row(TARGETS[0]) == 0  # its namesake of the survey is the same as before
        assert added.size == survey.size
        assert added.engine is survey.engine
        order = added.order()[: survey.size + 2]
        assert (np.diff(added.log_prob[order]) > 0).all()
        assert len(survey.spectra) == len(TARGETS) and not survey.candidates

    def test_added_twice_is_there_once(self, survey):
        candidates = score_candidates(self.new(), survey)
        once = add_candidates(survey, [*candidates, *candidates])
        assert len(once.spectra) == len(survey.spectra) + 1
        again = add_candidates(once, candidates)
        assert again.spectra.target_id.tolist() == once.spectra.target_id.tolist()
        assert add_candidates(survey, []) is survey

    def test_adding_copies_no_spectra(self, survey):
        candidates = score_candidates(concatenate([self.new(), self.new(seed=6)]), survey)
        once = add_candidates(survey, candidates[:1])
        both = add_candidates(once, candidates)
        for name in ("flux", "ivar", "measured"):
            own, new = getattr(survey.spectra, name), getattr(candidates[1].spectra, name)
            assert np.shares_memory(getattr(both.spectra, name)[0], own)
            joined = np.concatenate([own, getattr(candidates[0].spectra, name), new])
            np.testing.assert_array_equal(getattr(both.spectra, name), joined)
            rows = [len(joined) - 1, 1, 0]
            np.testing.assert_array_equal(getattr(both.spectra[rows], name), joined[rows])
            np.testing.assert_array_equal(getattr(both.spectra[1:], name), joined[1:])
            assert getattr(both.spectra, name)[1:].dtype == own.dtype

    def test_on_other_wavelengths_cannot_be_added(self, survey):
        new = replace(self.new(), wavelength=WAVELENGTH * 2, source=np.array(["mine.fits"]))
        with pytest.raises(InputError, match=r"mine\.fits.*wavelength"):
            survey.with_candidates(new, np.zeros(1), np.array([""]))


def test_in_the_demo_survey(shared_data):
    try:
        embedded_file(DEMO_SPECTRA), embedded_file(DEMO_CATALOGUE)
    except ImoError as error:
        pytest.skip(str(error))
    survey = demo_survey(device="cpu")
    middle = survey.order()[100]
    own, sdss = survey.spectra[[middle]], upload(shared_data / "sdss" / "test_spectrum_1.fits")
    first, second = score_candidates(concatenate([own, sdss]), survey)
    # the catalogue's log p was computed on another machine
    assert first.log_prob == pytest.approx(survey.log_prob[middle], rel=1e-3)
    assert first.rank.low - 3 <= survey.rank[middle] <= first.rank.high + 3
    assert first.rank.size == survey.size + 1
    assert first.n_reference > 1000 and 0 <= first.quantile < 0.1
    assert 1 <= second.rank.low <= second.rank.high <= survey.size + 1
    assert 0 <= second.quantile <= 1
