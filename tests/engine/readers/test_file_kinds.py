"""Files of many kinds, in folders and alone: what is found, what is joined, what is passed over and what is refused."""

import gzip
import logging
import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from helpers.fits_files import GRID, arms, write_coadd, write_redrock, write_sdss

from imo_engine.errors import InputError, SpectrumFileError
from imo_engine.readers import packed_image, read_spectra, read_survey
from imo_engine.readers.pixels import Pixels
from imo_engine.readers.redshift_tables import RedshiftTable

BIG = 39633345008634465
CSV = "\n".join(["# z = 0.1", "wave,flux,ivar", *(f"{wave},3,4" for wave in GRID.tolist())])


def physical(spectra):
    """Flux in the file's unit."""
    return spectra.flux * spectra.norm[:, None]


class TestFolders:
    def test_are_searched_to_any_depth_for_whatever_can_be_read(self, tmp_path, caplog):
        deep = tmp_path / "healpix" / "sv3" / "100"
        deep.mkdir(parents=True)
        write_coadd(deep / "main-dark.fits", [BIG])
        write_redrock(tmp_path / "healpix" / "fits-of-redshifts.fits", [BIG], [0.2])
        write_sdss(tmp_path / "galaxy.fit")
        (tmp_path / "a.txt").write_text(CSV)
        (tmp_path / "README.txt").write_text("about\nthese files\n")
        (tmp_path / "notes.md").write_text("hello\n")
        (tmp_path / "data.json").write_text('{"a": [' + "1, " * 60_000 + '"x"' + "y" * 200_000 + '"]}')
        (tmp_path / "plot.png").write_bytes(b"\x89PNG\r\n")
        (tmp_path / ".hidden.csv").write_text(CSV)
        fits.PrimaryHDU(np.zeros((3, 3))).writeto(deep / "image.fits")
        with caplog.at_level(logging.INFO):
            found = read_survey(tmp_path)
        assert found.spectra.target_id.tolist() == ["a", "1234-55555-7", str(BIG)]
        assert found.spectra.redshift[2] == 0.2
        expected = {
            "text with other columns": 2,
            "text without a table": 1,
            "a picture": 1,
            "FITS of another layout": 1,
        }
        assert found.passed_over == expected and not found.unreadable
        assert found.words().startswith("5 files passed over: 2 text with other columns, ")
        assert found.words() in caplog.text

    def test_links_are_followed_but_not_in_circles(self, tmp_path):
        inside = tmp_path / "survey" / "one"
        inside.mkdir(parents=True)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "linked.csv").write_text(CSV)
        (inside / "own.csv").write_text(CSV)
        (inside / "up").symlink_to(tmp_path / "survey", target_is_directory=True)
        (inside / "side").symlink_to(elsewhere, target_is_directory=True)
        (inside / "broken").symlink_to(tmp_path / "nothing")
        os.mkfifo(inside / "pipe.fits")
        assert sorted(read_spectra(tmp_path / "survey").target_id) == ["linked", "own"]

    def test_without_spectra_say_what_they_have(self, tmp_path):
        with pytest.raises(SpectrumFileError, match="an empty folder"):
            read_spectra(tmp_path)
        write_redrock(tmp_path / "redrock-1.fits", [1], [0.1])
        (tmp_path / "empty.csv").touch()
        (tmp_path / "a.md").write_text("# Words\n")
        with pytest.raises(SpectrumFileError) as caught:
            read_spectra(tmp_path)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path.name}: a folder without spectra; found ")
        assert all(words in message for words in ("1 redshifts without spectra", "1 empty", "1 text without a table"))

    def test_what_cannot_be_read_is_a_row(self, tmp_path):
        (tmp_path / "good.csv").write_text(CSV)
        (tmp_path / "worse.csv").write_text("wave,flux,ivar\n1,2,3\n1,x,3\n")
        (tmp_path / "bad.fits").write_bytes(write_sdss(tmp_path / "z.fits").read_bytes()[:9000])
        found = read_survey(tmp_path)
        assert found.spectra.target_id.tolist() == ["bad", "good", "worse", "1234-55555-7"]
        assert found.spectra.source.tolist() == ["bad.fits", "good.csv", "worse.csv", "z.fits"]
        assert found.unreadable["worse.csv"] == "line 3: flux is 'x', not a number"
        assert found.spectra.problem[2] == "not read: line 3: flux is 'x', not a number"
        assert found.spectra.scorable.tolist() == [False, True, False, True]
        assert found.words() == "bad.fits cannot be read; worse.csv cannot be read"

    def test_named_files_of_another_kind_are_rows_too(self, tmp_path):
        (tmp_path / "good.csv").write_text(CSV)
        (tmp_path / "words.txt").write_text("hello\n")
        found = read_survey([tmp_path / "words.txt", tmp_path / "good.csv", tmp_path / "none.fits"])
        assert found.spectra.scorable.tolist() == [False, True, False]
        assert found.unreadable["none.fits"] == "no such file" and not found.passed_over
        with pytest.raises(SpectrumFileError, match=r"^words.txt: .*; 1 more cannot be read either$"):
            read_spectra([tmp_path / "words.txt", tmp_path / "none.fits"])

    def test_tables_in_folders_that_look_like_spectra_are_named(self, tmp_path):
        (tmp_path / "good.csv").write_text(CSV)
        (tmp_path / "notes.txt").write_text("hello\n")
        (tmp_path / "lines.csv").write_text("name,height\na,1\n")
        for number in range(5):
            (tmp_path / f"odd{number}.csv").write_text("Rest Wavelength,Total flux\n3600,1\n3601,1\n")
        (tmp_path / "plain.dat").write_text("3600 1\n3601 1\n")
        many = Table({"ID": [1, 2], "WAVE": np.stack([WAVE, WAVE]), "FLUX": np.stack([FLUX, FLUX])})
        many.write(tmp_path / "many.fits")
        found = read_survey(tmp_path)
        assert len(found.spectra) == 1 and not found.unreadable
        words = found.words()
        assert found.passed_over["text with other columns"] == 7 and "\n" not in words
        assert words.startswith("9 files passed over: 7 text with other columns, ")
        alone = {}
        for name in ("odd0.csv", "plain.dat", "many.fits"):
            with pytest.raises(SpectrumFileError) as caught:
                read_survey(tmp_path / name)
            alone[name] = str(caught.value).removeprefix(f"{name}: ")
        assert "it looks like a spectrum" in alone["odd0.csv"]
        assert f"; odd0.csv, odd1.csv, odd2.csv, and 2 more: {alone['odd0.csv']}" in words
        assert f"; plain.dat: {alone['plain.dat']}" in words and f"; many.fits: {alone['many.fits']}" in words
        assert "notes.txt" not in words and "lines.csv" not in words
        (tmp_path / "good.csv").unlink()
        with pytest.raises(SpectrumFileError, match="a folder without spectra; found .*; odd0.csv, .* like a spectrum"):
            read_survey(tmp_path)


class TestRedshifts:
    @pytest.mark.parametrize("name", ["REDSHIFTS", "ZBEST", "ZCATALOG", "EXTRA_CATALOG"])
    @pytest.mark.parametrize("place", ["inside", "redrock-1.fits", "zbest-1.fits", "zpix-main-dark.fits", "zall.fits"])
    def test_from_any_table_inside_or_beside(self, tmp_path, name, place):
        path = write_coadd(tmp_path / "coadd-1.fits", [BIG, 7])
        write_redrock(tmp_path / "table.fits", [7, BIG], [0.2, 0.1], zwarn=[4, 0])
        with fits.open(tmp_path / "table.fits") as hdus:
            hdus[1].name = name
            if place == "inside":
                fits.append(path, hdus[1].data, hdus[1].header)
            else:
                hdus.writeto(tmp_path / place)
        (tmp_path / "table.fits").unlink()
        spectra = read_spectra(path)
        assert spectra.redshift.tolist() == [0.1, 0.2] and spectra.zwarn.tolist() == [0, 4]
        assert spectra.spectype.tolist() == ["GALAXY", "GALAXY"] and spectra.scorable.all()

    @pytest.mark.parametrize("kind", ["fits", "ecsv", "csv", "text"])
    def test_from_a_catalogue_that_is_given(self, tmp_path, kind):
        coadd = write_coadd(tmp_path / "coadd-1.fits", [BIG, BIG + 1, 5])
        write_redrock(tmp_path / "redrock-1.fits", [BIG, BIG + 1, 5], [0.3, 0.4, 0.25])
        sdss = write_sdss(tmp_path / "spec.fits", z=0.05)
        (tmp_path / "x.csv").write_text(CSV)
        ids, z = [str(BIG + 1), "1234-55555-7", "x", str(BIG)], [0.2, 0.06, 0.15, 0.1]
        catalogue = tmp_path / f"mine.{kind}"
        table = Table({"target_id": ids, "z": z, "spectype": ["GALAXY", "QSO", "", "GALAXY"], "more": ["a b"] * 4})
        if kind == "fits":
            table.rename_columns(["target_id", "z"], ["TARGETID", "Z"])
        table.write(catalogue, format={"text": "ascii.tab", "ecsv": "ascii.ecsv", "csv": "ascii.csv"}.get(kind, kind))
        spectra = read_spectra([coadd, sdss, tmp_path / "x.csv"], redshifts=catalogue)
        assert spectra.redshift.tolist() == [0.1, 0.2, 0.25, 0.06, 0.15]
        assert spectra.note[0] == f"redshift from mine.{kind}" and spectra.note[2] == ""
        assert "mine." in spectra.note[3] and "calls it a QSO" in spectra.note[3]

    def test_by_plate_mjd_and_fibre(self, tmp_path):
        sdss = write_sdss(tmp_path / "spec.fits", z=0.05)
        columns = {"PLATE": [1234, 1234], "MJD": [55555, 55555], "FIBERID": [8, 7], "Z": [0.3, 0.07]}
        for name in ("specobj.fits", "specobj.csv"):
            Table(columns).write(tmp_path / name)
            assert read_spectra(sdss, redshifts=tmp_path / name).redshift.tolist() == [0.07]

    def test_given_twice_or_not_at_all(self, tmp_path):
        sdss = write_sdss(tmp_path / "spec.fits")
        write_redrock(tmp_path / "mine.fits", [1], [0.1])
        with pytest.raises(InputError, match="'redshift' is one for all and 'redshifts' a catalogue"):
            read_spectra(sdss, redshift=0.1, redshifts=tmp_path / "mine.fits")
        with pytest.raises(SpectrumFileError, match="spec.fits: has no table with columns target_id"):
            read_spectra(sdss, redshifts=write_sdss(tmp_path / "spec.fits", table=False))
        (tmp_path / "mine.csv").write_text("name,z\na,0.1\n")
        with pytest.raises(SpectrumFileError, match=r"mine.csv: expected columns target_id .* found"):
            read_spectra(sdss, redshifts=tmp_path / "mine.csv")
        coadd = write_coadd(tmp_path / "coadd-1.fits", [BIG, 1])
        problem, none = read_spectra(coadd, redshifts=tmp_path / "mine.fits").problem
        assert "redrock-1.fits is not beside" in problem and "TARGETID not in mine.fits" in problem and not none

    @pytest.mark.parametrize(
        ("head", "row", "words"),
        [
            ("target_id,z", "77,0.2", "target_id is 77, 77, ... there"),
            ("TARGETID,z", "77,0.2", "targetid is 77, 77, ... there"),
            ("plate,mjd,fiberid,z", "1,2,3,0.2", "plate, mjd, fiberid is 1-2-3, 1-2-3, ... there"),
        ],
    )
    def test_of_a_catalogue_without_any_of_the_targets(self, tmp_path, caplog, head, row, words):
        coadd, catalogue = write_coadd(tmp_path / "coadd-1.fits", [BIG, 5]), tmp_path / "mine.csv"
        catalogue.write_text("\n".join([head, row, row, row, ""]))
        with pytest.raises(SpectrumFileError) as caught:
            read_spectra(coadd, redshifts=catalogue)
        said = f"{catalogue}: none of its 3 rows is of a target of the files, which have 2; "
        assert str(caught.value).startswith(said) and words in str(caught.value)
        assert str(caught.value).endswith(f", and {BIG}, 5 in the files; without it no target has a redshift")
        write_redrock(tmp_path / "redrock-1.fits", [BIG, 5], [0.3, 0.4])
        found = read_survey(coadd, redshifts=catalogue)
        assert found.remark.startswith(said) and found.remark.endswith("; the redshifts are those of the files")
        assert found.words() == found.remark and found.spectra.redshift.tolist() == [0.3, 0.4]
        assert read_spectra(coadd, redshifts=catalogue).scorable.all() and said in caplog.text
        assert not read_survey(coadd, redshift={str(BIG): 0.1, "5": 0.1}, redshifts=catalogue).remark

    def test_that_differ_and_of_which_none_is_the_better(self, tmp_path):
        ids = [BIG, 5, 6, 7, 8]
        coadd, catalogue = write_coadd(tmp_path / "coadd-1.fits", ids), tmp_path / "mine.csv"
        rows = [f"{one},{z}" for one in ids for z in (0.1, 0.3)]
        catalogue.write_text("\n".join(["target_id,z", *rows, "99,0.1", "99,0.2"]))
        with pytest.raises(SpectrumFileError) as caught:
            read_spectra(coadd, redshifts=catalogue)
        assert str(caught.value) == (
            f"{catalogue}: 5 targets have more than one redshift and nothing says which is right: "
            f"{BIG} (0.1, 0.3), 5 (0.1, 0.3), 6 (0.1, 0.3) and 2 more; keep one row of each, or add ZWARN or CHI2"
        )
        catalogue.write_text(
            "\n".join(["target_id,z,zwarn", f"{BIG},0.3,4", f"{BIG},0.1,0", "5,0.2,0", "9,1,0", "9,2,0"])
        )
        found = read_survey(coadd, redshifts=catalogue)
        assert found.remark == (
            f"{catalogue}: 1 target has more than one redshift, such as {BIG} (0.3, 0.1); the best (ZWARN 0 before "
            "others, then the lowest CHI2) is used"
        )
        assert found.spectra.redshift[:2].tolist() == [0.1, 0.2]
        catalogue.write_text(f"target_id,z\n{BIG},0.30004\n{BIG},0.3\n5,0.2\n5,0.2\n")
        found = read_survey(coadd, redshifts=catalogue)
        assert found.remark.endswith(
            f"1 target has more than one redshift, such as {BIG} (0.30004, 0.3); the first is used"
        )
        assert found.spectra.redshift[:2].tolist() == [0.30004, 0.2]

    def test_junk_is_shown_in_a_few_letters(self, tmp_path):
        coadd, junk = write_coadd(tmp_path / "coadd-1.fits", [BIG]), "junk " * 100
        (tmp_path / "mine.csv").write_text(f"target_id,z\n{BIG},{junk}\n")
        with pytest.raises(SpectrumFileError) as caught:
            read_spectra(coadd, redshifts=tmp_path / "mine.csv")
        shown = "'junk junk junk junk junk junk junk j..."
        assert str(caught.value) == f"{tmp_path / 'mine.csv'}: line 2: z is {shown}, not a number"
        for given, name in ((junk, "redshift"), ({"5": junk}, "redshift['5']")):
            with pytest.raises(InputError) as caught:
                read_spectra(coadd, redshift=given)
            assert str(caught.value) == f"'{name}' is {shown}, not a finite number"
        with pytest.raises(InputError, match=r"^'redshift\['junk junk .{1,30}\.\.\.\]' is nan"):
            read_spectra(coadd, redshift={junk: np.nan})

    @pytest.mark.parametrize("kind", ["beside", "given", "inside"])
    def test_the_best_of_several(self, tmp_path, kind):
        path = write_coadd(tmp_path / "coadd-1.fits", [BIG])
        rows = {
            "TARGETID": [BIG] * 5 + [3],
            "Z": [1.5, np.nan, 0.2, 0.1, 0.3, 0.7],
            "ZWARN": [4, 0, 0, 0, 0, 0],
            "CHI2": [1e3, 1e3, 8e3, 7e3, 7e3, 1.0],
            "DELTACHI2": [900.0, 900.0, 5.0, 30.0, 20.0, 1e4],
        }
        hdu = fits.BinTableHDU(Table(rows), name="REDSHIFTS")
        if kind == "inside":
            fits.append(path, hdu.data, hdu.header)
        else:
            fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "redrock-1.fits")
        options = {"redshifts": tmp_path / "redrock-1.fits"} if kind == "given" else {}
        spectra = read_spectra(path, **options)
        assert spectra.redshift.tolist() == [0.1] and spectra.scorable.all()
        assert "5 redshifts of it, the best (ZWARN 0 before others, then the lowest CHI2)" in spectra.note[0]

    def test_the_surveys_own_choice_comes_before_chi2(self, tmp_path):
        """Between tiles of other exposure times chi2 says nothing."""
        rows = {"TARGETID": [1, 1], "Z": [0.1, 0.2], "CHI2": [1.0, 2.0], "ZCAT_PRIMARY": [False, True]}
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(Table(rows), name="ZCATALOG")]).writeto(tmp_path / "z.fits")
        table = RedshiftTable.read(tmp_path / "z.fits")
        best, count = table.rows(["1", "2", "x", str(2**70)])
        assert (best.tolist(), count.tolist()) == ([1, -1, -1, -1], [2, 0, 0, 0])


class TestExposures:
    def write(self, path, ids, data, status=None):
        write_coadd(path, ids, data)
        with fits.open(path) as hdus:
            table = Table(hdus["FIBERMAP"].data)
            table.rename_column("COADD_FIBERSTATUS", "FIBERSTATUS")
            table["EXPID"], table["FIBERSTATUS"] = np.arange(len(ids)), [0] * len(ids) if status is None else status
            others = [hdu.copy() for hdu in hdus if hdu.name not in ("PRIMARY", "FIBERMAP")]
            fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="FIBERMAP"), *others]).writeto(
                path, overwrite=True
            )
        return path

    def test_are_combined_by_inverse_variance_into_one_row_a_target(self, tmp_path):
        data = arms(4, names="B")
        data["B"]["flux"] *= np.array([2.0, 5.0, 4.0, 100.0], np.float32)[:, None]
        data["B"]["ivar"] *= np.array([1.0, 1.0, 3.0, 0.0], np.float32)[:, None]
        path = self.write(tmp_path / "spectra-1.fits", [BIG, 5, BIG, BIG], data, status=[0, 0, 0, 512])
        write_redrock(tmp_path / "redrock-1.fits", [BIG, 5], [0.0, 0.0])
        spectra = read_spectra(path)
        assert spectra.target_id.tolist() == [str(BIG), "5"]
        assert physical(spectra)[0, 100] == pytest.approx((1 * 2 + 3 * 4) / 4)
        assert spectra.ivar[0, 100] / spectra.norm[0] ** 2 == pytest.approx(16.0)
        assert spectra.note.tolist() == [
            "3 exposures combined; FIBERSTATUS 512; arm R missing; arm Z missing",
            "arm R missing; arm Z missing",
        ]


class TestPackedImages:
    def packed(self, path, names, method="RICE_1"):
        with fits.open(write_coadd(path, [BIG])) as hdus:
            made = [
                fits.CompImageHDU(
                    hdu.data.astype(np.int32 if hdu.name.endswith("MASK") else hdu.data.dtype),
                    name=hdu.name,
                    compression_type=method,
                )
                if hdu.name.endswith(names)
                else hdu.copy()
                for hdu in hdus
            ]
            fits.HDUList(made).writeto(path, overwrite=True)
        return path

    @pytest.mark.parametrize("method", ["RICE_1", "GZIP_1", "GZIP_2"])
    def test_are_read(self, tmp_path, method):
        plain = read_spectra(write_coadd(tmp_path / "plain.fits", [BIG]), redshift=0.1)
        path = self.packed(tmp_path / "coadd-1.fits", ("_MASK",), method)
        spectra = read_spectra(path, redshift=0.1)
        assert np.array_equal(spectra.flux, plain.flux) and np.array_equal(spectra.ivar, plain.ivar)

    def test_of_a_whole_file(self, tmp_path):
        plain = read_spectra(write_coadd(tmp_path / "plain.fits", [BIG]), redshift=0.1)
        path = self.packed(tmp_path / "coadd-1.fits.fz", ("_MASK", "_FLUX", "_IVAR", "_WAVELENGTH"), "GZIP_2")
        assert read_spectra(path, redshift=0.1).flux == pytest.approx(plain.flux, rel=1e-3)

    def test_are_bounded_before_they_are_unpacked(self, tmp_path, monkeypatch):
        path = self.packed(tmp_path / "coadd-1.fits", ("_MASK",))
        monkeypatch.setattr(packed_image, "MAX_IMAGE", 1000)
        monkeypatch.setattr(fits, "CompImageHDU", None)
        with pytest.raises(SpectrumFileError, match=r"^coadd-1.fits: B_MASK unpacks to 0 MiB; at most 0 MiB"):
            read_spectra(path)

    @pytest.mark.parametrize(
        ("keyword", "value", "words"),
        [
            ("ZNAXIS1", 2**40, "unpacks to"),
            ("ZNAXIS1", -1, "damaged header"),
            ("ZNAXIS2", 100, "should be an image of 1 x 2751"),
            ("ZTILE1", 0, "damaged header"),
            ("ZTILE1", 7, "tiles; expected"),
            ("ZBITPIX", 7, "damaged header"),
            ("ZCMPTYPE", "HCOMPRESS_1", "funpack it first"),
        ],
    )
    def test_hostile_headers(self, tmp_path, keyword, value, words):
        path = self.packed(tmp_path / "coadd-1.fits", ("_MASK",))
        with fits.open(path, mode="update", disable_image_compression=True) as hdus:
            hdus["B_MASK"].header[keyword] = value
        with pytest.raises(SpectrumFileError, match=words):
            read_spectra(path, redshift=0.1)


class TestScale:
    @pytest.mark.parametrize("scale", [1e-17, 1e-8, 1e-3, 1e3, 1e8])
    def test_never_matters_to_what_is_measured(self, scale):
        rng = np.random.default_rng(0)
        flux, ivar = rng.normal(2, 1, (3, 500)), 10.0 ** rng.uniform(-12, 2, (3, 500))
        one, other = Pixels.from_file(flux, ivar), Pixels.from_file(flux * scale, ivar / scale**2)
        assert ((one.ivar > 0) == (other.ivar > 0)).all() and 0 < (one.ivar > 0).sum() < 1500

    @pytest.mark.parametrize("scale", [1e-17, 1e2, 1e6])
    def test_never_matters_in_sdss_and_desi_files(self, tmp_path, scale):
        data = arms(1)
        for arm in data.values():
            arm["flux"], arm["ivar"] = arm["flux"] * scale, arm["ivar"].astype(float) / scale**2
        for plain, path in (
            (write_sdss(tmp_path / "a.fits", ivar=4.0), tmp_path / "a.fits"),
            (write_coadd(tmp_path / "coadd-1.fits", [1]), write_coadd(tmp_path / "coadd-2.fits", [1], data)),
        ):
            expected, found = read_spectra(plain, redshift=0.05), read_spectra(path, redshift=0.05)
            np.testing.assert_allclose(found.flux, expected.flux, rtol=1e-5)
            np.testing.assert_allclose(found.ivar, expected.ivar, rtol=1e-4)
            assert found.scorable.all()


WAVE = np.arange(4000.0, 9000.0, 2.0)
FLUX = 3 + np.exp(-0.5 * ((WAVE - 5508) / 4) ** 2)


class TestOtherLayouts:
    """FITS files that are neither DESI's nor SDSS's."""

    @pytest.fixture
    def expected(self, tmp_path):
        rows = [f"{w},{f},25" for w, f in zip(WAVE.tolist(), FLUX.tolist(), strict=True)]
        (tmp_path / "expected.csv").write_text("\n".join(["# z = 0.1", "wave,flux,ivar", *rows]))
        return read_spectra(tmp_path / "expected.csv")

    def same(self, found, expected):
        np.testing.assert_allclose(found.flux, expected.flux, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.ivar, expected.ivar, rtol=1e-4)
        assert found.redshift.tolist() == expected.redshift.tolist() == [0.1]

    @pytest.mark.parametrize("array", [False, True])
    @pytest.mark.parametrize("noise", ["ivar", "err", "variance"])
    def test_table_of_a_row_a_pixel_or_of_one_row(self, tmp_path, expected, array, noise):
        """The second is what ESO publishes, Phase 3."""
        values = {"ivar": 25.0 * 1e34, "err": 0.2e-17, "variance": 0.04e-34}[noise]
        units = {"ivar": "cm4 s2 Angstrom2 erg-2", "err": "erg/s/cm2/Angstrom", "variance": None}[noise]
        columns = [("WAVE", WAVE / 10, "nm"), ("FLUX", FLUX * 1e-17, "erg/s/cm2/Angstrom")]
        columns.append((noise.upper(), np.full(len(WAVE), values), units))
        form = f"{len(WAVE)}D" if array else "D"
        table = fits.BinTableHDU.from_columns(
            [fits.Column(name, form, unit=unit, array=one[None] if array else one) for name, one, unit in columns]
        )
        primary = fits.PrimaryHDU()
        primary.header.update({"Z": 0.1, "OBJECT": "NGC 1", "RA": 10.5, "DEC": -3.25})
        fits.HDUList([primary, table]).writeto(tmp_path / "eso.fits")
        one = read_spectra(tmp_path / "eso.fits")
        self.same(one, expected)
        assert (one.target_id[0], one.ra[0], one.dec[0]) == ("NGC 1", 10.5, -3.25)
        assert one.norm[0] == pytest.approx(expected.norm[0], rel=1e-5) and one.note[0] == ""

    def test_table_of_many_spectra_is_left_to_others(self, tmp_path):
        many = Table({"ID": [1, 2], "WAVE": np.stack([WAVE, WAVE]), "FLUX": np.stack([FLUX, FLUX])})
        many.write(tmp_path / "many.fits")
        with pytest.raises(SpectrumFileError, match="save a CSV or ECSV table"):
            read_spectra(tmp_path / "many.fits")

    def test_wavelengths_in_air(self, tmp_path, expected):
        air = WAVE / (1 + 2.735182e-4 + 131.4182 / WAVE**2 + 2.76249e8 / WAVE**4)  # Morton (1991)
        table = Table({"wave": air, "flux": FLUX, "ivar": np.full(len(WAVE), 25.0)})
        table.write(tmp_path / "x.fits")
        fits.setval(tmp_path / "x.fits", "VACUUM", value=False)
        one = read_spectra(tmp_path / "x.fits", redshift=0.1)
        assert "air, converted to vacuum" in one.note[0]
        np.testing.assert_allclose(one.flux[0, 510:6700], expected.flux[0, 510:6700], rtol=2e-3)
        assert np.argmax(one.flux[0]) == np.argmax(expected.flux[0])
        table.rename_column("wave", "wave_air")
        table.write(tmp_path / "y.ecsv")
        assert read_spectra(tmp_path / "y.ecsv", redshift=0.1).flux == pytest.approx(one.flux)

    def test_lamost(self, tmp_path, expected):
        loglam = 3.5682 + 1e-4 * np.arange(3904)
        rows = np.zeros((5, 3904), np.float32)
        rows[0], rows[1], rows[2] = np.interp(10**loglam, WAVE, FLUX), 25.0, 1.0
        primary = fits.PrimaryHDU(rows)
        header = {"TELESCOP": "LAMOST", "COEFF0": 3.5682, "COEFF1": 1e-4, "VACUUM": True, "Z": 0.1, "CLASS": "GALAXY"}
        primary.header.update(header)
        primary.writeto(tmp_path / "spec-1.fits")
        one = read_spectra(tmp_path / "spec-1.fits")
        assert one.redshift.tolist() == [0.1] and one.spectype.tolist() == ["GALAXY"] and one.has_noise.all()
        np.testing.assert_allclose(one.flux[0, 510:6700], expected.flux[0, 510:6700], rtol=1e-2)

    def test_images_on_one_axis(self, tmp_path, expected):
        """MaNGA's: WAVE, FLUX, IVAR, MASK and Z."""
        flux, ivar, mask = np.stack([FLUX, 2 * FLUX]), np.full((2, len(WAVE)), 25.0), np.zeros((2, len(WAVE)), np.int32)
        mask[1, 100] = 4
        parts = {"WAVE": WAVE, "FLUX": flux, "IVAR": ivar, "MASK": mask, "Z": np.array([0.1, 0.2])}
        hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(values, name=name) for name, values in parts.items())]
        fits.HDUList(hdus).writeto(tmp_path / "map.fits")
        both = read_spectra(tmp_path / "map.fits")
        self.same(both[:1], expected)
        assert both.target_id.tolist() == ["map-1", "map-2"] and both.redshift.tolist() == [0.1, 0.2]
        assert both.measured[0].sum() > both.measured[1].sum()

    def test_what_no_reader_knows_says_the_way_out(self, tmp_path):
        fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
        with pytest.raises(SpectrumFileError) as caught:
            read_spectra(tmp_path / "image.fits")
        way_out = "save a CSV or ECSV table with columns wave, flux and ivar and a line '# z = ...' before it"
        assert str(caught.value).endswith(way_out)


class TestSpecutils:
    @pytest.fixture(autouse=True)
    def _installed(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip("specutils")

    def test_spspec(self, tmp_path):
        """SDSS before DR8: five rows of an image."""
        loglam = 3.58 + 1e-4 * np.arange(3800)
        rows = np.zeros((5, 3800), np.float32)
        rows[0], rows[2], rows[3] = 2.0, 0.2, 1 << 2
        rows[2, 1000] = 0
        rows[2, 2000] = -1
        primary = fits.PrimaryHDU(rows)
        primary.header.update(
            {"TELESCOP": "SDSS 2.5-M", "FIBERID": 7, "COEFF0": 3.58, "COEFF1": 1e-4, "CRVAL1": 3.58, "CD1_1": 1e-4}
        )
        primary.header.update({"CRPIX1": 1, "DC-FLAG": 1, "VACUUM": 1, "BUNIT": "1.0E-17 erg/cm/s/Ang", "Z": 0.05})
        small = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
        fits.HDUList([primary, *(small.copy() for _ in range(6))]).writeto(tmp_path / "spSpec-1.fit")
        one = read_spectra(tmp_path / "spSpec-1.fit")
        assert one.redshift.tolist() == [0.05] and one.scorable.all() and one.norm[0] == pytest.approx(2)
        inside = (GRID > 10 ** loglam[2]) & (GRID < 10 ** loglam[-2])
        assert one.measured[0, inside].mean() > 0.99  # and_mask is no mask
        assert one.note[0] == "spSpec-1.fit: 1 pixel with negative sigma, treated as not measured"
        stretch = GRID * np.log(10) * 1e-4 / 0.8  # its pixels are wider
        assert np.median((one.ivar[0] * stretch)[inside]) == pytest.approx(25 * 4, rel=0.01)

    @pytest.mark.parametrize("axis", ["Angstrom", "nm"])
    def test_a_linear_axis_in_the_header(self, tmp_path, axis):
        """IRAF's and many others': wcs1d-fits."""
        step = (1 * u.AA).to_value(axis)
        primary = fits.PrimaryHDU(np.full(5000, 3.0, np.float32))
        primary.header.update({"CTYPE1": "WAVE", "CUNIT1": axis, "CRPIX1": 1.0, "CRVAL1": 4000 * step, "CDELT1": step})
        primary.header.update({"BUNIT": "1e-17 erg / (s cm2 Angstrom)", "REDSHIFT": 0.1, "OBJECT": "NGC 1"})
        primary.writeto(tmp_path / "iraf.fits")
        one = read_spectra(tmp_path / "iraf.fits")
        assert one.target_id.tolist() == ["NGC 1"] and one.redshift.tolist() == [0.1]
        assert one.norm[0] == pytest.approx(3) and not one.has_noise.any()
        assert one.measured[0].tolist() == ((GRID >= 4000) & (GRID <= 8999)).tolist()

    def test_air_in_the_header(self, tmp_path):
        primary = fits.PrimaryHDU(np.full(5000, 3.0, np.float32))
        primary.header.update({"CTYPE1": "AWAV", "CUNIT1": "Angstrom", "CRPIX1": 1.0, "CRVAL1": 4000.0, "CDELT1": 1.0})
        primary.header.update({"BUNIT": "1e-17 erg / (s cm2 Angstrom)"})
        primary.writeto(tmp_path / "air.fits")
        one = read_spectra(tmp_path / "air.fits", redshift=0.1)
        assert "air, converted to vacuum" in one.note[0]
        assert GRID[one.measured[0]][0] == pytest.approx(4001.6, abs=0.9)


def test_gzipped_files_are_told_by_content_too(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(write_sdss(tmp_path / "spec.fits").read_bytes()))
    (tmp_path / "b").write_bytes(gzip.compress(CSV.encode()))
    spectra = read_spectra([tmp_path / "a", tmp_path / "b"])
    assert spectra.target_id.tolist() == ["1234-55555-7", "b"]
    assert replace(spectra).scorable.all()
