"""Attributions as ECSV: what is written is what is read, by us and by Astropy alone."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import QTable, Table
from helpers.attributions import attribution

from imo_engine.errors import ImoError, InputError, SpectrumFileError
from imo_engine.results.ecsv import attribution_table, read_attribution_table, write_attribution_table
from imo_engine.spectra.spectra import Spectra

HOSTILE = "<img src=x onerror=alert(1)>\n# - {name: x}\t: 'é"
N = 20
PROVENANCE = {
    "model": "tiny",
    "model_fingerprint": "0123456789abcdef",
    "device": "cpu",
    "evaluations": np.int64(7),
    "seconds": 0.5,
    "log_prob": np.float32(-12.5),
}


@pytest.fixture
def result():
    values = np.random.default_rng(1).normal(1, 0.5, (3, 5, N))
    return attribution(values, valid=np.arange(N) > 2, provenance=PROVENANCE)


@pytest.fixture
def spectrum(result):
    measured = np.arange(N) > 1
    flux = result.flux[None]
    return Spectra(
        wavelength=result.wavelength,
        flux=np.where(measured, flux, 0),
        ivar=np.where(measured, np.float32(25), 0)[None].astype(np.float32),
        measured=measured[None],
        redshift=np.array([result.redshift]),
        target_id=np.array([HOSTILE]),
        ra=np.array([150.25]),
        dec=np.array([np.nan]),
        norm=np.array([3.5]),
        problem=np.array([""]),
        note=np.array([""]),
        source=np.array(["x.fits"]),
        instrument=np.array(["DESI"] * 1),
        spectype=np.array(["GALAXY"] * 1),
        zwarn=np.zeros(1, np.int64),
        objtype=np.array(["TGT"] * 1),
    )


@pytest.fixture
def path(tmp_path, result, spectrum):
    path = tmp_path / "x.ecsv"
    write_attribution_table(path, result, spectrum, settings={"seed": 3})
    return path


def test_reads_what_was_written(path, result, spectrum):
    found = read_attribution_table(path)
    assert (found.target_id, found.redshift, found.window_sizes) == (HOSTILE, 0.25, (1, 4, 16))
    np.testing.assert_array_equal(found.wavelength, result.wavelength)
    np.testing.assert_array_equal(found.rest_wavelength, result.wavelength / 1.25)
    np.testing.assert_array_equal(found.valid, result.valid)
    expected = {
        "flux": np.where(spectrum.measured[0], spectrum.flux[0], np.nan),
        "ivar": spectrum.ivar[0],
        "combined": result.combined,
        "combined_scatter": result.combined_scatter,
        "mean": result.mean,
        "scatter": np.sqrt(result.variance),
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(getattr(found, name), values.astype(np.float32).astype(float), err_msg=name)
    meta = found.meta
    assert (meta["model"], meta["model_fingerprint"], meta["seed"]) == ("tiny", "0123456789abcdef", 3)
    assert (meta["log_prob"], meta["evaluations"], meta["norm"]) == (-12.5, 7, 3.5)
    assert (meta["weighting"], meta["n_baselines"], meta["strides"]) == ("inverse_variance", 5, [1, 4, 16])
    assert (meta["measured_error"], meta["exact_share"]) == ([0, 0, 0], [1, 1, 1])
    assert meta["ra"] == 150.25 and "dec" not in meta
    assert {"imo-explorer", "python", "numpy", "astropy", "torch"} <= set(meta["software"])


def test_astropy_alone_reads_it_with_units(path, result):
    table = QTable.read(path, format="ascii.ecsv")
    assert table["wavelength"].to("nm").value == pytest.approx(result.wavelength / 10)
    assert table["combined"].unit == "1 / pix"
    assert table.meta["target_id"] == HOSTILE
    assert all(table[name].info.description for name in table.colnames)


def test_only_the_spectrum_itself(result, spectrum):
    for wrong in (spectrum[[0, 0]], replace(spectrum, redshift=np.array([0.3]))):
        with pytest.raises(InputError, match="'spectrum'"):
            attribution_table(result, wrong)


def test_a_disk_that_refuses(tmp_path, result, spectrum):
    with pytest.raises(ImoError, match="none/x.ecsv: cannot be written"):
        write_attribution_table(tmp_path / "none" / "x.ecsv", result, spectrum)


class TestRefusals:
    """One line that begins with the name of the file and says what was expected."""

    def refused(self, path, words):
        with pytest.raises(SpectrumFileError) as caught:
            read_attribution_table(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < 400 + len(str(path))
        assert words in message, message

    def test_no_file(self, tmp_path):
        self.refused(tmp_path / "none.ecsv", "cannot be read")
        self.refused(tmp_path, "cannot be read")

    @pytest.mark.parametrize(
        "content", [b"", b"a,b\n1,2\n", b"CDF\x01" + bytes(100), b"\x89HDF\r\n\x1a\n", b"\xff\xfe"]
    )
    def test_other_files(self, tmp_path, content):
        (tmp_path / "x.ecsv").write_bytes(content)
        self.refused(tmp_path / "x.ecsv", "ECSV")

    def test_another_table(self, tmp_path):
        Table({"a": [1]}).write(tmp_path / "x.ecsv", format="ascii.ecsv")
        self.refused(tmp_path / "x.ecsv", "its header lacks format, target_id")

    @pytest.mark.parametrize(
        ("before", "after", "words"),
        [
            ("attribution 1", "attribution 2", "its format is 'IMO Explorer attribution 2'"),
            ("redshift: 0.25", "redshift: far", "'redshift' in its header is no number"),
            ("name: ivar", "name: other", "damaged ECSV file"),
            ("window_sizes", "window_size", "its header lacks window_sizes"),
        ],
    )
    def test_damaged_headers(self, path, before, after, words):
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))
        self.refused(path, words)

    def test_damaged_rows(self, path):
        lines = path.read_text().splitlines()
        for last, words in (("1 2 3", "damaged"), ("True " * len(lines[-1].split()), "damaged")):
            path.write_text("\n".join([*lines[:-1], last]))
            self.refused(path, words)

    def test_missing_and_wrong_columns(self, path):
        table = Table.read(path, format="ascii.ecsv")
        without = table.copy()
        del without["scatter_w4"]
        without.write(path, format="ascii.ecsv", overwrite=True)
        self.refused(path, "column scatter_w4 is missing")
        table["combined"] = ["x"] * len(table)
        table.write(path, format="ascii.ecsv", overwrite=True)
        self.refused(path, "column combined: expected a number in every row")
        table[:0].write(path, format="ascii.ecsv", overwrite=True)
        self.refused(path, "has no rows")
