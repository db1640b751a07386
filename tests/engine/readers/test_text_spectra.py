"""Spectra in CSV and ECSV: what is read from them, in which units, and what is refused in which words."""

import gzip
import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from helpers.browser import write_desi_model
from helpers.fits_files import GRID as DESI_GRID
from helpers.fits_files import OXYGEN, write_sdss
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.commands.program import main
from imo_engine import readers
from imo_engine.errors import SpectrumFileError
from imo_engine.ranking.ranking import read_catalogue
from imo_engine.readers import ecsv_header, text_columns

GRID = DESI_GRID[2300:3700]
"""Few pixels, for speed: 5440 to 6559 Angstrom, with the range for the normalisation and [O III] at z = 0.1."""
BIG = 39633345008634465
"""A TARGETID above 2**53."""
Z = 0.1


def read_spectra(paths, **options):
    return readers.read_spectra(paths, **{"wavelength": GRID, **options})


def galaxy(wavelength=GRID, seed=0):
    """Flux about 3 with [O III] at z = 0.1 and noise, and its inverse variance."""
    flux = 3 + 20 * np.exp(-0.5 * ((wavelength - OXYGEN * (1 + Z)) / 3) ** 2)
    return flux + np.random.default_rng(seed).normal(0, 0.2, len(flux)), np.full(len(flux), 25.0)


def write(path, columns, before=(), delimiter=","):
    """Write a CSV file with full precision."""
    names, values = list(columns), np.transpose(list(columns.values()))
    rows = [delimiter.join(map(repr, row)) for row in values.tolist()]
    path.write_text("\n".join([*before, delimiter.join(names), *rows, ""]), encoding="utf-8")
    return path


def csv(path, **changes):
    """Write the galaxy with its redshift; ``changes`` replace columns, those that are None go."""
    flux, ivar = galaxy()
    columns = {"wave": GRID, "flux": flux, "ivar": ivar} | changes
    return write(path, {name: values for name, values in columns.items() if values is not None}, [f"# z = {Z}"])


def ecsv(path, table=None, **meta):
    """Write a table, or the galaxy, as ECSV the way astropy does."""
    flux, ivar = galaxy()
    table = Table({"wave": GRID, "flux": flux, "ivar": ivar}) if table is None else table
    table.meta.update(meta)
    table.write(path, format="ascii.ecsv", overwrite=True)
    return path


def same_spectrum(one, other, rtol=1e-6):
    """Check that two normalised spectra agree, whatever unit their files had."""
    np.testing.assert_array_equal(one.measured, other.measured)
    np.testing.assert_allclose(one.flux, other.flux, rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(one.ivar, other.ivar, rtol=10 * rtol)


def refused(path, *words, **options):
    """Check that reading gives one line that begins with the file's name and has the words."""
    with pytest.raises(SpectrumFileError) as caught:
        read_spectra(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path.name}: ") and "\n" not in message, message
    for word in words:
        assert word in message, message
    return message


@pytest.fixture
def expected(tmp_path):
    """The galaxy as the plainest file gives it."""
    return read_spectra(csv(tmp_path / "expected.csv"))


class TestContent:
    def test_a_spectrum_on_the_models_grid_is_not_changed(self, tmp_path):
        flux, ivar = galaxy()
        (one,) = read_spectra(csv(tmp_path / "x.csv"))
        assert one.problem[0] == ""
        assert one.measured.all()
        assert one.redshift[0] == Z
        np.testing.assert_allclose(one.flux[0] * one.norm[0], flux, rtol=1e-6)
        np.testing.assert_allclose(one.ivar[0] / one.norm[0] ** 2, ivar, rtol=1e-6)

    @pytest.mark.parametrize("name", ["wave", "wavelength", "lambda", "spectral_axis", "WAVELENGTH"])
    def test_names_of_the_wavelength(self, tmp_path, expected, name):
        flux, ivar = galaxy()
        path = write(tmp_path / "x.csv", {"FLUX": flux, "extra": ivar, name: GRID, "Ivar": ivar}, ["# redshift: 0.1"])
        same_spectrum(read_spectra(path), expected, rtol=0)

    @pytest.mark.parametrize("name", ["flux", "flam", "Flux Density", "f_lambda"])
    def test_names_of_the_flux(self, tmp_path, expected, name):
        flux, ivar = galaxy()
        path = write(tmp_path / "x.csv", {"wave": GRID, name: flux, "ivar": ivar}, ["# z = 0.1"])
        same_spectrum(read_spectra(path), expected, rtol=0)

    @pytest.mark.parametrize("name", ["variance", "VAR", "flux_var"])
    def test_a_variance_is_an_inverse_variance(self, tmp_path, expected, name):
        flux, ivar = galaxy()
        same_spectrum(read_spectra(csv(tmp_path / "x.csv", ivar=None, **{name: 1 / ivar})), expected)

    def test_without_noise(self, tmp_path, expected):
        """What SkyServer's button downloads: it is scored, and what needs noise can tell."""
        flux, _ = galaxy()
        columns = {"Wavelength": GRID, "Flux": flux, "BestFit": flux, "SkyFlux": 0 * flux}
        one = read_spectra(write(tmp_path / "x.csv", columns, ["# z = 0.1"]))
        assert one.scorable.all() and one.measured.all()
        assert not one.has_noise.any() and not one.ivar.any()
        assert one.note.tolist() == ["the file does not say how noisy it is"]
        np.testing.assert_array_equal(one.flux, expected.flux)
        flux[3] = np.nan
        one = read_spectra(write(tmp_path / "x.csv", {"wave": GRID, "flux": flux}, ["# z = 0.1"]))
        assert np.flatnonzero(~one.measured[0]).tolist() == [3]

    @pytest.mark.parametrize(
        "name", ["error", "sigma", "uncertainty", "err", "flux_err", "flux_error", "e_flux", "std", "noise", "fluxerr"]
    )
    def test_an_error_is_an_inverse_variance(self, tmp_path, expected, name):
        flux, ivar = galaxy()
        same_spectrum(read_spectra(csv(tmp_path / "x.csv", ivar=None, **{name: 1 / np.sqrt(ivar)})), expected)

    @pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
    @pytest.mark.parametrize("name", ["ivar", "sigma"])
    def test_noise_that_means_nothing_masks_the_pixel(self, tmp_path, name, bad):
        noise = np.full(len(GRID), 0.2)
        noise[[5, 600]] = bad
        one = read_spectra(csv(tmp_path / "x.csv", **{"ivar": None, name: noise}))
        assert np.flatnonzero(~one.measured[0]).tolist() == [5, 600]
        kind = "negative" if bad < 0 else "infinite" if (name, bad) == ("ivar", np.inf) else ""
        assert one.note[0] == (f"x.csv: 2 pixels with {kind} {name}, treated as not measured" if kind else "")

    def test_mask_and_missing_values(self, tmp_path):
        flux, ivar = galaxy()
        mask, table = np.zeros(len(GRID), bool), Table({"wave": GRID, "ivar": ivar})
        mask[7] = True
        table["flux"] = MaskedColumn(flux, mask=np.arange(len(flux)) == 9)
        table["mask"] = mask
        one = read_spectra(ecsv(tmp_path / "x.ecsv", table, z=Z))
        assert np.flatnonzero(~one.measured[0]).tolist() == [7, 9]

    def test_pixels_outside_the_file_are_not_measured(self, tmp_path):
        keep = (GRID > 5500) & (GRID < 6500)
        flux, ivar = galaxy()
        one = read_spectra(write(tmp_path / "x.csv", {"wave": GRID[keep], "flux": flux[keep], "ivar": ivar[keep]}))
        assert (one.measured[0] == keep).all()

    def test_the_same_numbers_as_from_sdss(self, tmp_path):
        """CSV with loglam goes the way of an SDSS file from there on."""
        fits = write_sdss(tmp_path / "spec.fits", z=Z)
        loglam = (3.58 + 1e-4 * np.arange(3800)).astype(np.float32).astype(float)
        flux = 1.0 + 5.0 * np.exp(-0.5 * ((10 ** (3.58 + 1e-4 * np.arange(3800)) - OXYGEN * (1 + Z)) / 3.0) ** 2)
        table = {"loglam": loglam, "flux": flux.astype(np.float32).astype(float), "ivar": np.full(3800, 4.0)}
        same_spectrum(read_spectra(write(tmp_path / "x.csv", table), redshift=Z), read_spectra(fits, redshift=Z), 1e-7)


class TestRealFiles:
    def test_an_sdss_galaxy_rewritten_as_csv(self, shared_data, tmp_path):
        path = shared_data / "sdss" / "test_spectrum_1.fits"
        real, table = read_spectra(path), Table.read(path, hdu=1)
        columns = {name: np.asarray(table[name], float) for name in ("loglam", "flux", "ivar")}
        z = real.redshift[0]
        same_spectrum(read_spectra(write(tmp_path / "x.csv", columns, [f"# z = {z}"])), real)


class TestUnits:
    @pytest.mark.parametrize("unit", ["Angstrom", "nm", "um", "micron", "m"])
    def test_of_wavelength(self, tmp_path, expected, unit):
        flux, ivar = galaxy()
        table = Table({"wave": (GRID * u.AA).to_value(unit), "flux": flux, "ivar": ivar})
        table["wave"].unit = unit
        same_spectrum(read_spectra(ecsv(tmp_path / "x.ecsv", table, z=Z)), expected, rtol=1e-5)

    @pytest.mark.parametrize("unit", ["km / s", "Hz", "no unit at all"])
    def test_that_are_no_length(self, tmp_path, unit):
        path = ecsv(tmp_path / "x.ecsv", z=Z)
        path.write_text(path.read_text().replace("{name: wave,", f"{{name: wave, unit: '{unit}',"))
        refused(path, "unit of wave", unit, "Angstrom")

    @pytest.mark.parametrize("unit", ["erg / (Angstrom s cm2)", "1e-17 erg / (Angstrom s cm2)", "W / (m2 um)", "Jy"])
    def test_of_flux(self, tmp_path, expected, unit):
        """The result is flux per wavelength; per frequency it would have another slope."""
        flux, ivar = galaxy()
        per_wavelength, here = 1e-17 * u.erg / u.s / u.cm**2 / u.AA, u.spectral_density(GRID * u.AA)
        table = QTable(
            {
                "wave": GRID * u.AA,
                "flux": (flux * per_wavelength).to(unit, here),
                "sigma": (ivar**-0.5 * per_wavelength).to(unit, here),
            }
        )
        one = read_spectra(ecsv(tmp_path / "x.ecsv", table, z=Z))
        same_spectrum(one, expected, rtol=1e-5)
        assert one.norm[0] == pytest.approx(expected.norm[0])

    def test_of_flux_and_noise_have_to_agree(self, tmp_path):
        table = Table({"wave": GRID, "flux": galaxy()[0], "error": galaxy()[0]})
        table["flux"].unit, table["error"].unit = "Jy", "mJy"
        refused(ecsv(tmp_path / "x.ecsv", table, z=Z), "units", "Jy", "error")

    def test_of_flux_that_nobody_knows_is_noted(self, tmp_path, expected):
        path = ecsv(tmp_path / "x.ecsv", z=Z)
        path.write_text(path.read_text().replace("{name: flux,", "{name: flux, unit: bananas,"))
        one = read_spectra(path)
        assert "bananas" in one.note[0]
        same_spectrum(one, expected, rtol=0)

    @pytest.mark.parametrize("scale", [1e-17, 1e-29, 1e8])
    def test_a_csv_of_very_small_or_large_flux_is_not_lost(self, tmp_path, expected, scale):
        flux, ivar = galaxy()
        one = read_spectra(csv(tmp_path / "x.csv", flux=flux * scale, ivar=ivar / scale**2))
        same_spectrum(one, expected)
        assert "of the file's unit" in one.note[0]

    @pytest.mark.parametrize(("unit", "angstroms"), [("nm", 10.0), ("micron", 1e4)])
    def test_without_unit_are_what_they_can_only_be(self, tmp_path, expected, unit, angstroms):
        one = read_spectra(csv(tmp_path / "x.csv", wave=GRID / angstroms))
        same_spectrum(one, expected, rtol=1e-5)
        assert f"without a unit are taken as {unit}" in one.note[0]

    def test_without_unit_that_can_be_two_things_are_left(self, tmp_path):
        """900 to 1800 may be Angstrom in the far ultraviolet and nm in the near infrared."""
        one = read_spectra(csv(tmp_path / "x.csv", wave=np.linspace(900, 1800, len(GRID))))
        assert "no measured pixel in the model's range" in one.problem[0]
        assert "another unit?" in one.note[0]

    @pytest.mark.parametrize(
        ("name", "scale"),
        [
            ("Wavelength [Angstrom]", 1.0),
            ("wave (A)", 1.0),
            ("wave (\u00c5)", 1.0),
            ("Wavelength (nm)", 0.1),
            ("lambda[Angstroms]", 1.0),
            ("wave [microns]", 1e-4),
        ],
    )
    def test_in_the_name_of_the_wavelength(self, tmp_path, expected, name, scale):
        flux, ivar = galaxy()
        path = write(tmp_path / "x.csv", {name: GRID * scale, "flux": flux, "ivar": ivar}, ["# z = 0.1"])
        same_spectrum(read_spectra(path), expected, rtol=1e-5)

    @pytest.mark.parametrize("unit", ["1e-17 erg/s/cm2/A", "1e-17 erg/s/cm^2/Angstrom", "1e-17 erg s-1 cm-2 A-1"])
    def test_in_the_name_of_the_flux(self, tmp_path, expected, unit):
        flux, ivar = galaxy()
        path = write(tmp_path / "x.csv", {"wave": GRID, f"Flux [{unit}]": flux, "ivar": ivar}, ["# z = 0.1"])
        one = read_spectra(path)
        same_spectrum(one, expected)
        assert one.note[0] == "" and one.norm[0] == pytest.approx(expected.norm[0])

    def test_observed_before_the_name(self, tmp_path, expected):
        flux, ivar = galaxy()
        names = "Observed Wavelength [Angstrom]", "Flux (1e-17 erg/s/cm2/A)", "Sigma"
        columns = dict(zip(names, (GRID, flux, ivar**-0.5), strict=True))
        one = read_spectra(write(tmp_path / "x.csv", columns, ["# z = 0.1"]))
        same_spectrum(one, expected)
        assert one.note[0] == "" and one.norm[0] == pytest.approx(expected.norm[0])

    @pytest.mark.parametrize("kind", ["csv", "ecsv", "fits"])
    @pytest.mark.parametrize(
        ("wave", "flux", "noise", "unit"),
        [("wave_um", "fnu_Jy", "fnu_err_Jy", "Jy"), ("Wavelength (um)", "F_nu [mJy]", "sigma [mJy]", "mJy")],
    )
    def test_at_the_end_of_a_name(self, tmp_path, expected, kind, wave, flux, noise, unit):
        """Flux per frequency becomes flux per wavelength, its noise with it."""
        values, ivar = galaxy()
        per_wavelength, here = 1e-17 * u.erg / u.s / u.cm**2 / u.AA, u.spectral_density(GRID * u.AA)
        columns = {
            wave: GRID / 1e4,
            flux: (values * per_wavelength).to_value(unit, here),
            noise: (ivar**-0.5 * per_wavelength).to_value(unit, here),
        }
        path = tmp_path / f"x.{kind}"
        Table(columns).write(path, format={"fits": "fits"}.get(kind, f"ascii.{kind}"))
        one = read_spectra(path, redshift=Z)
        same_spectrum(one, expected, rtol=1e-5)
        assert one.norm[0] == pytest.approx(expected.norm[0]) and one.has_noise.all()

    def test_flux_per_frequency_needs_a_unit(self, tmp_path):
        flux, ivar = galaxy()
        for name, shown in (("fnu", "no unit"), ("fnu [bananas]", "'bananas'")):
            path = write(tmp_path / "x.csv", {"wave": GRID, name: flux, "ivar": ivar}, ["# z = 0.1"])
            refused(path, f"fnu is flux per frequency in {shown}", "such as 'fnu [mJy]'")

    def test_names_that_are_known_come_before_those_that_are_guessed(self, tmp_path, expected):
        flux, ivar = galaxy()
        columns = {
            "wave_nm": 0 * GRID,
            "wavelength": GRID,
            "flux_Jy": 0 * flux,
            "flux": flux,
            "obs_err": ivar,
            "ivar": ivar,
        }
        same_spectrum(read_spectra(write(tmp_path / "x.csv", columns, ["# z = 0.1"])), expected, rtol=0)
        path = write(tmp_path / "x.csv", {"wave_nm": GRID, "wave_um": GRID, "flux": flux}, ["# z = 0.1"])
        refused(path, "found wave_nm, wave_um, flux; it looks like a spectrum: call its columns so, with units")

    @pytest.mark.parametrize("scale", 10.0 ** np.arange(-30, 31, 3))
    def test_scale_never_matters(self, tmp_path, expected, scale):
        flux, ivar = galaxy()
        one = read_spectra(csv(tmp_path / "x.csv", flux=flux * scale, ivar=ivar / scale**2))
        same_spectrum(one, expected, rtol=1e-5)
        one = read_spectra(csv(tmp_path / "x.csv", flux=flux * scale, ivar=None))
        assert one.measured.all() and not one.has_noise.any()
        np.testing.assert_allclose(one.flux, expected.flux, rtol=1e-5)


class TestWhatIsSaidBefore:
    def test_no_redshift(self, tmp_path):
        flux, ivar = galaxy()
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": flux, "ivar": ivar})
        one = read_spectra(path)
        assert np.isnan(one.redshift[0])
        assert one.problem[0].startswith("no redshift: x.csv")
        assert read_spectra(path, redshift=Z).problem[0] == ""

    @pytest.mark.parametrize("line", ["# z = 0.25", "#z=0.25", "# Z: 0.25", "#  redshift = 2.5e-1 "])
    def test_redshift_in_a_comment(self, tmp_path, line):
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": GRID, "ivar": GRID}, ["# a spectrum", "", line])
        assert read_spectra(path).redshift.tolist() == [0.25]

    @pytest.mark.parametrize("meta", [{"z": 0.25}, {"REDSHIFT": "2.5e-1"}, {"comments": ["z = 0.25"]}])
    def test_redshift_in_an_ecsv_header(self, tmp_path, meta):
        assert read_spectra(ecsv(tmp_path / "x.ecsv", **meta)).redshift.tolist() == [0.25]

    def test_a_given_redshift_comes_first(self, tmp_path):
        path = ecsv(tmp_path / "x.ecsv", z=0.3, target_id="mine")
        assert read_spectra(path, redshift={"mine": 0.2}).redshift.tolist() == [0.2]
        assert read_spectra(path, redshift={"other": 0.2}).redshift.tolist() == [0.3]

    @pytest.mark.parametrize("z", ["nan", "inf"])
    def test_redshift_that_is_none(self, tmp_path, z):
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": GRID, "ivar": GRID}, [f"# z = {z}"])
        assert read_spectra(path).problem[0] == f"no redshift: it is {z} in x.csv"

    @pytest.mark.parametrize("z", ["1e300", "-7"])
    def test_absurd_redshift(self, tmp_path, z):
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": GRID, "ivar": GRID}, [f"# z = {z}"])
        (problem,) = read_spectra(path).problem
        assert "is not a galaxy's" in problem and len(problem) < 80

    @pytest.mark.parametrize(
        "z",
        ["0.25 +/- 0.01", "0.25+/-0.01", "0.25 \u00b1 0.01", "0.25(3)", "0.25  # SDSS", "0.25 from SDSS", "+.25; NED"],
    )
    def test_redshift_with_words(self, tmp_path, z):
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": GRID, "ivar": GRID}, [f"# z = {z}"])
        assert read_spectra(path).redshift.tolist() == [0.25]

    @pytest.mark.parametrize("ra", ["10:00:00.0", "10h00m00s", "10 00 00", "150d00m00s", "150.0"])
    def test_position_in_hours_minutes_and_seconds(self, tmp_path, ra):
        one = read_spectra(ecsv(tmp_path / "x.ecsv", z=Z, RA=ra, DEC="-01:30:00"))
        assert (one.ra[0], one.dec[0]) == (pytest.approx(150), pytest.approx(-1.5))

    @pytest.mark.parametrize(("ra", "dec"), [("left", 0), (400, 0), (10, 91), (None, 3)])
    def test_a_position_that_is_none_is_left_out(self, tmp_path, ra, dec):
        one = read_spectra(ecsv(tmp_path / "x.ecsv", z=Z, **{"ra": ra, "dec": dec}))
        assert np.isnan([one.ra[0], one.dec[0]]).all() and "not a position" in one.note[0]

    @pytest.mark.parametrize("z", ["unknown", "0,25", "[0.1]", "0.1 0.2", "0.1.2"])
    def test_redshift_that_is_no_number(self, tmp_path, z):
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": GRID, "ivar": GRID}, [f"# z = {z}"])
        refused(path, "z is", "not a number")

    def test_identifier_and_position(self, tmp_path):
        one = read_spectra(ecsv(tmp_path / "x.ecsv", z=Z, TARGETID=BIG, ra=150.25, dec=-2.5))
        assert (one.target_id[0], one.ra[0], one.dec[0]) == (str(BIG), 150.25, -2.5)
        path = write(tmp_path / "y.csv", {"wave": GRID, "flux": GRID, "ivar": GRID}, [f"# target_id = {BIG}"])
        assert read_spectra(path).target_id.tolist() == [str(BIG)]

    @pytest.mark.parametrize("name", ["My galaxy.csv", "My galaxy.ECSV", "My galaxy.csv.gz"])
    def test_without_identifier_it_is_the_name_of_the_file(self, tmp_path, name):
        plain = csv(tmp_path / "x.csv").read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(plain) if name.endswith("gz") else plain)
        assert read_spectra(tmp_path / name).target_id.tolist() == ["My galaxy"]


class TestDialects:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", " ", "  "])
    def test_delimiters(self, tmp_path, expected, delimiter):
        flux, ivar = galaxy()
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": flux, "ivar": ivar}, ["# z = 0.1"], delimiter)
        same_spectrum(read_spectra(path), expected, rtol=0)

    @pytest.mark.parametrize("delimiter", [",", " "])
    def test_ecsv_of_either_delimiter(self, tmp_path, expected, delimiter):
        flux, ivar = galaxy()
        table = Table({"wave": GRID, "flux": flux, "ivar": ivar, "name": ["a, b"] * len(GRID)}, meta={"z": Z})
        table.write(tmp_path / "x.ecsv", format="ascii.ecsv", delimiter=delimiter)
        same_spectrum(read_spectra(tmp_path / "x.ecsv"), expected, rtol=0)

    def test_line_ends_and_byte_order_mark(self, tmp_path, expected):
        text = csv(tmp_path / "x.csv").read_text()
        (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        same_spectrum(read_spectra(tmp_path / "x.csv"), expected, rtol=0)

    @pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig", "cp1252"])
    @pytest.mark.parametrize("delimiter", [",", "\t"])
    def test_encodings(self, tmp_path, expected, encoding, delimiter):
        flux, ivar = galaxy()
        before = ["# z = 0.1", "# \u00c5ngstr\u00f6m"]
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": flux, "ivar": ivar}, before, delimiter)
        path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
        same_spectrum(read_spectra(path), expected, rtol=0)

    @pytest.mark.parametrize("name", ["x.txt", "x.dat", "x.tsv", "x.asc", "x", "x.spectrum", "x.txt.gz"])
    @pytest.mark.parametrize("delimiter", [",", "\t", " "])
    def test_any_name(self, tmp_path, expected, name, delimiter):
        flux, ivar = galaxy()
        plain = write(tmp_path / "plain", {"wave": GRID, "flux": flux, "ivar": ivar}, ["# z = 0.1"], delimiter)
        content = plain.read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        same_spectrum(read_spectra(tmp_path / name), expected, rtol=0)

    def test_decimal_commas(self, tmp_path, expected):
        flux, ivar = galaxy()
        path = write(tmp_path / "x.csv", {"wave": GRID, "flux": flux, "ivar": ivar}, ["# z = 0.1"], ";")
        head, _, body = path.read_text().partition("wave;flux;ivar")
        path.write_text(f"{head}wave;flux;ivar{body.replace('.', ',')}")
        same_spectrum(read_spectra(path), expected, rtol=0)

    def test_numpys_own_files(self, tmp_path, expected):
        """``savetxt`` makes a comment of its header."""
        flux, ivar = galaxy()
        values = np.transpose([GRID, flux, ivar])
        np.savetxt(tmp_path / "x.csv", values, "%.17g", ",", header="z = 0.1\nwave,flux,ivar")
        same_spectrum(read_spectra(tmp_path / "x.csv"), expected, rtol=0)

    def test_among_files_of_other_kinds(self, tmp_path):
        found = read_spectra([csv(tmp_path / "x.csv"), write_sdss(tmp_path / "spec.fits"), ecsv(tmp_path / "y.ecsv")])
        assert found.target_id.tolist() == ["x", "1234-55555-7", "y"]


class TestOrder:
    def test_decreasing_wavelengths(self, tmp_path, expected):
        flux, ivar = galaxy()
        one = read_spectra(csv(tmp_path / "x.csv", wave=GRID[::-1], flux=flux[::-1], ivar=ivar[::-1]))
        same_spectrum(one, expected, rtol=0)
        assert one.note[0] == ""

    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(seed=st.integers(0, 2**32))
    def test_any_order_gives_the_same_spectrum(self, tmp_path, expected, seed):
        order = np.random.default_rng(seed).permutation(len(GRID))
        flux, ivar = galaxy()
        mask = np.zeros(len(GRID))
        mask[100] = 1
        one = read_spectra(
            csv(tmp_path / "x.csv", wave=GRID[order], flux=flux[order], ivar=ivar[order], mask=mask[order])
        )
        np.testing.assert_array_equal(np.delete(one.flux, 100), np.delete(expected.flux, 100))
        assert np.flatnonzero(~one.measured[0]).tolist() == [100]
        assert "sorted" in one.note[0]


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", ["empty"]),
            ("\n\n", ["no table", "wave"]),
            ("# z = 0.1\n", ["no table", "flux"]),
            ("a,b,c\n1,2,3\n", ["wave (or wavelength", "flux", "ivar (or error", "found a, b, c"]),
            ("wave,flux\n1,2\n", ["at least two rows", "1"]),
            ("wave,ivar\n1,2\n", ["flux", "found wave, ivar"]),
            ("3600,1,1\n3601,1,1\n", ["line 1", "numbers, not the names"]),
            ("wave,flux,ivar\n", ["at least two rows", "0"]),
            ("wave,flux,ivar\n3600,1,1\n", ["at least two rows", "1"]),
            ("# c\nwave,flux,ivar\n3600,1,1\n3601,1\n", ["line 4", "2 values for 3 columns"]),
            ("wave,flux,ivar\n3600,1,1\n3601,one,1\n", ["line 3", "flux", "'one'"]),
            ("wave,flux,flux,ivar\n3600,1,1,1\n3601,1,1,1\n", ["two columns flux"]),
            ("wave,flux,ivar\n3600,1,1\n,1,1\n", ["wave is not a number in row 2"]),
            ("wave,flux,ivar\n3600,1,1\n3600,1,1\n", ["wave 3600", "more than once"]),
            ("wave,flux,ivar\n3.6,1,1\n9.8,1,1\n", ["3.6 to 9.8 Angstrom", "expected 100 to 1e6", "wave [nm]"]),
            ("wave,flux,ivar\n-5,1,1\n1e9,1,1\n", ["-5 to 1e+09"]),
            ("loglam,flux,ivar\n3600,1,1\n3700,1,1\n", ["expected 100 to 1e6"]),
            ("wave,flux,ivar\n3600,1,\x1b[31m\n3700,1,1\n", ["ivar", "?[31m"]),
            ('wave,flux,ivar\n"3600,1,1\n' + "x" * 200_000, ["damaged text table"]),
            ("# %ECSV 1.0\n# ---\n# datatype: 3\nwave flux ivar\n1 2 3\n", ["damaged ECSV header"]),
            ("# %ECSV 1.0\n# ---\n# - [\nwave flux ivar\n1 2 3\n", ["damaged ECSV header"]),
            ("# %ECSV 1.0\n# ---\n# datatype: [{name: a}]\nwave flux ivar\n1 2 3\n", ["columns of the ECSV header"]),
            (",".join(["wave", "flux", "ivar"] + ["x"] * 254), ["257 columns", "256"]),
        ],
    )
    def test_in_words(self, tmp_path, text, words):
        path = tmp_path / "x.csv"
        path.write_text(text)
        refused(path, *words)

    def test_a_file_that_is_not_there(self, tmp_path):
        refused(tmp_path / "x.csv", "no such file")
        (tmp_path / "y.csv").mkdir()
        refused(tmp_path / "y.csv")

    def test_what_is_no_text(self, tmp_path):
        path = tmp_path / "x.csv"
        for content in (b"PK\x03\x04", b"wave,flux\0\n1,2\n", b"<html>wave,flux</html>"):
            path.write_bytes(content)
            refused(path, "not a text table")
        path.write_bytes(pickle.dumps({"wave": 1}))
        refused(path, "'wave' is not a rank with a spectrum")
        path.write_bytes(gzip.compress(b"wave,flux,ivar\n" * 1000)[:40])
        refused(path, "gzip")

    def test_its_name_does_not_make_it_text(self, tmp_path):
        content = write_sdss(tmp_path / "spec.fits").read_bytes()
        for packed in (content, gzip.compress(content)):
            (tmp_path / "x.csv").write_bytes(packed)
            assert read_spectra(tmp_path / "x.csv").target_id.tolist() == ["1234-55555-7"]

    def test_limits(self, tmp_path, monkeypatch):
        path = csv(tmp_path / "x.csv")
        monkeypatch.setattr(text_columns, "MAX_ROWS", 100)
        refused(path, "more than 100 lines")

    def test_gzip_bomb(self, tmp_path):
        path = tmp_path / "x.csv.gz"
        path.write_bytes(gzip.compress(b"wave,flux,ivar\n" + b" " * (70 << 20)))
        refused(path, "unpacks to more than 64 MiB")


class TestNothingMeasured:
    """A file that can be read but has no data stays in the list with the reason, as in other formats."""

    def test_nan_everywhere(self, tmp_path):
        one = read_spectra(csv(tmp_path / "x.csv", flux=np.full(len(GRID), np.nan)))
        assert "no measured pixel" in one.problem[0]
        assert "flux is nowhere a number" in one.note[0]

    @pytest.mark.parametrize("mask", [1.0, np.nan])
    def test_all_masked(self, tmp_path, mask):
        one = read_spectra(csv(tmp_path / "x.csv", mask=np.full(len(GRID), mask)))
        assert "no measured pixel" in one.problem[0]
        assert "mask is set on every pixel" in one.note[0]


class TestHostileHeader:
    """YAML can name objects to make and stand for more than there is memory."""

    def header(self, path, *lines):
        path.write_text(
            "\n".join(
                ["# %ECSV 1.0", "# ---", "# datatype: [{name: wave}, {name: flux}, {name: ivar}]"]
                + [f"# {line}" for line in lines]
                + ["wave flux ivar", "3600 1 1", "3601 1 1", ""]
            )
        )
        return path

    @pytest.mark.parametrize(
        "tag", ["!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [TARGET]]", "!x {a: 1}"]
    )
    def test_objects_are_not_made(self, tmp_path, tag):
        made = tmp_path / "made"
        path = self.header(tmp_path / "x.ecsv", f"meta: {{thing: {tag.replace('TARGET', str(made))}, z: 0.25}}")
        assert read_spectra(path).redshift.tolist() == [0.25]
        assert not made.exists()

    def test_merge_keys_are_not_multiplied(self, tmp_path):
        """Ten lines that would stand for 10**9 entries."""
        lines = ["a0: &a0 {k: 1}"]
        lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 10)]
        assert len(read_spectra(self.header(tmp_path / "x.ecsv", *lines))) == 1

    def test_depth_and_length(self, tmp_path):
        refused(self.header(tmp_path / "x.ecsv", "meta: " + "[" * 3_000), "damaged ECSV header")
        refused(self.header(tmp_path / "x.ecsv", "x: " + "y" * ecsv_header.MAX_HEADER), "characters")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(
        ["", "# z = 0.1\n", "# %ECSV 1.0\n# ---\n", "wave,flux,ivar\n", "wave,flux,ivar\n3600,1,1\n"]
    ),
    text=st.text(alphabet="wavefluxir,;\t #:=-.0123456789eE\n\r\"'[]{}&*!nani", max_size=300),
)
def test_any_text_gives_spectra_or_one_line(tmp_path, start, text):
    path = tmp_path / "x.csv"
    path.write_text(start + text, newline="")
    try:
        spectra = read_spectra(path)
    except SpectrumFileError as error:
        assert str(error).startswith("x.csv: ") and "\n" not in str(error)
    else:
        assert np.isfinite(spectra.flux).all() and (spectra.ivar >= 0).all()


def test_imo_rank(tmp_path, capsys):
    write_desi_model(tmp_path)
    path = ecsv(tmp_path / "x.ecsv", target_id=BIG)
    arguments = ["rank", path, "-o", tmp_path / "out.ecsv", "--model", tmp_path / "narrow.safetensors"]
    for more, scored in ([], 0), (["--redshift", "0.1"], 1):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in [*arguments, "--device", "cpu", *more]])
        assert ended.value.code == 0
        assert f"{scored} of 1 spectra scored" in capsys.readouterr().out
    assert read_catalogue(tmp_path / "out.ecsv")["target_id"].tolist() == [str(BIG)]
