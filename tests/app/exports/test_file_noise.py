"""No measured pixel of a file is lost on the way to a plot or an export, on night-sky lines least of all.

A coadd in DESI's layout is written, and every sink compared with its file, pixel by pixel.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
import xarray
from click.testing import CliRunner
from helpers.browser import CHROMIUM, PATIENCE, Visit, chromium, write_desi_model
from helpers.fits_files import GRID, arms, write_coadd, write_redrock
from helpers.tools_page import made_attribution

from app.exports.standalone import StandaloneObject, standalone_html
from app.findings.reasons import Reason
from app.plots.sources import PlotSources
from imo_engine.commands.explain import explain
from imo_engine.methods import NotApplicable, find_method
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.readers import read_spectra
from imo_engine.reasons.features import Findings
from imo_engine.results.ecsv import read_attribution_table, write_attribution_table
from imo_engine.results.figures import draw_attribution
from imo_engine.spectra.instrument import sky_line_mask
from imo_engine.spectra.noise import noise_variables

TARGET, Z = 39627000000000001, 0.31
MASKED = slice(1000, 1040)  # of the arm R
SKY = sky_line_mask(GRID)


class Case:
    """A coadd, what is in it on the common grid, and the spectrum that was read."""

    def __init__(self, folder):
        rng = np.random.default_rng(5)
        data = arms(1)
        weight, total = np.zeros(len(GRID)), np.zeros(len(GRID))
        for name, arm in data.items():
            sky = sky_line_mask(arm["wavelength"])
            shape = arm["flux"].shape
            arm["ivar"][:] = rng.uniform(2, 9, shape) * np.where(sky, 0.2, 1.0)
            arm["flux"][:] = 3 + np.sin(arm["wavelength"] / 300) + rng.normal(0, 1, shape) / np.sqrt(arm["ivar"])
            if name == "R":
                arm["mask"][:, MASKED] = 1
            good = np.where(arm["mask"][0] == 0, arm["ivar"][0].astype(float), 0.0)
            at = np.rint((arm["wavelength"] - GRID[0]) / 0.8).astype(int)
            weight[at] += good
            total[at] += good * arm["flux"][0]
        self.ivar, self.measured = weight, weight > 0
        self.flux = np.divide(total, weight, out=np.full(len(GRID), np.nan), where=weight > 0)
        coadd = write_coadd(folder / "coadd-one.fits", [TARGET], data)
        write_redrock(folder / "redrock-one.fits", [TARGET], [Z])
        self.file = coadd
        self.spectrum = read_spectra(coadd, wavelength=GRID)
        self.norm = float(self.spectrum.norm[0])
        self.attribution = made_attribution(self.spectrum, 0)
        self.model = np.where(np.arange(len(GRID)) < 30, np.nan, 0.9)  # it does not reach the first pixels

    def smoothed(self, size):
        """Weighted mean of the normalised flux over a window, its sigma, and the residual; NaN where not measured."""
        ivar, flux = self.ivar * self.norm**2, np.nan_to_num(self.flux) / self.norm

        def over(values):
            return np.convolve(values, np.ones(size), "same")

        known = np.isfinite(self.model)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, sigma = over(ivar * flux) / over(ivar), over(ivar) ** -0.5
            apart = np.where(known, ivar * (flux - self.model), 0.0)
            residual = over(apart) / np.sqrt(over(np.where(known, ivar, 0.0)))
        there = self.measured
        return [np.where(keep, x, np.nan) for x, keep in ((mean, there), (sigma, there), (residual, there & known))]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    case = Case(tmp_path_factory.mktemp("coadd"))
    assert SKY.sum() > 1900 and case.measured[SKY].sum() > 1850  # so that there is something to be lost
    return case


@pytest.fixture(scope="module")
def silent(case):
    """The same spectrum from a file that says nothing of noise or instrument."""
    return replace(case.spectrum, ivar=np.zeros_like(case.spectrum.ivar), instrument=np.array([""]))


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    return write_desi_model(tmp_path_factory.mktemp("model"))


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=2e-5)


class TestEngine:
    def test_the_plots_get_the_noise_of_the_file(self, case):
        sources = PlotSources(GRID, case.attribution.window_sizes, 8)
        sources.show_spectrum(case.spectrum, 0)
        data, there = sources.spectrum.data, case.measured
        same(data["flux"][there] * case.norm, case.flux[there])
        same((data["sigma"][there] * case.norm) ** -2.0, case.ivar[there])
        assert np.isnan(data["flux"][~there]).all() and not data["sigma"][~there].any()

    def test_the_table_has_it(self, case, silent, tmp_path):
        path = tmp_path / "one.ecsv"
        write_attribution_table(path, case.attribution, case.spectrum)
        table = read_attribution_table(path)
        same(table.ivar / case.norm**2, case.ivar)
        same(table.flux * case.norm, case.flux)
        assert table.meta["instrument"] == "DESI"
        assert "noise not known" not in path.read_text()
        write_attribution_table(path, case.attribution, silent)
        table = read_attribution_table(path)
        assert np.isnan(table.ivar).all() and "inverse variance of flux: noise not known" in path.read_text()
        same(table.flux * case.norm, case.flux)

    def test_netcdf_has_it(self, case, silent, tmp_path):
        case.attribution.to_netcdf(tmp_path / "one.nc", noise_variables(case.spectrum))
        with xarray.open_dataset(tmp_path / "one.nc") as found:
            same(found.ivar.values / case.norm**2, case.ivar)
            assert "sky lines included" in found.ivar.long_name
        case.attribution.to_netcdf(tmp_path / "silent.nc", noise_variables(silent))
        with xarray.open_dataset(tmp_path / "silent.nc") as found:
            assert np.isnan(found.ivar.values).all() and "noise not known" in found.ivar.long_name

    def test_a_figure_draws_all_of_it(self, case):
        figure = draw_attribution(case.attribution, zoom=None)
        lines = [line.get_ydata() for axis in figure.get_axes() for line in axis.lines]
        spectrum = next(line for line in lines if len(line) == len(GRID))
        same(spectrum[case.measured] * case.norm, case.flux[case.measured])

    def test_the_residual_method_has_a_value_at_every_pixel(self, case, silent, narrow):
        model, method = OutlierModel.load(narrow, device="cpu"), find_method("residual_over_noise")
        flux, there = model.prepare(case.spectrum)[0], case.spectrum.measured[0]
        found = method(model, flux, Z, None, valid=there, ivar=case.spectrum.ivar[0])
        apart = np.abs(case.flux - case.norm * model.reconstruct(flux[None], [Z])[0])
        reached = np.isfinite(found.values)
        assert reached[SKY & there].mean() > 0.9  # the model's grid ends a little before the spectrum
        expected = (apart * np.sqrt(case.ivar))[reached]
        np.testing.assert_allclose(found.values[reached], expected, rtol=2e-5, atol=2e-6)
        with pytest.raises(NotApplicable, match="noise of this spectrum is not known"):
            method(model, flux, Z, None, valid=there, ivar=silent.ivar[0])

    def test_what_explain_writes_has_it(self, case, narrow, tmp_path):
        common = ["--model", str(narrow), "--windows", "256", "--n-baselines", "2", "--device", "cpu"]
        for name in ("one.nc", "one.ecsv"):
            outcome = CliRunner().invoke(explain, [str(case.file), "-o", str(tmp_path / name), *common])
            assert outcome.exit_code == 0, outcome.output
        with xarray.open_dataset(tmp_path / "one.nc") as found:
            same(found.ivar.values / case.norm**2, case.ivar)
        same(read_attribution_table(tmp_path / "one.ecsv").ivar / case.norm**2, case.ivar)


def standalone(spectrum, case):
    """The page of one spectrum with the model's reconstruction."""
    reason = Reason(Findings((), (), None), "Nothing stands out.", case.model.astype(np.float32))
    return standalone_html(StandaloneObject(spectrum, case.attribution, reason))


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def opened(browser, html, path):
    path.write_text(html, encoding="utf-8")
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(1000 * PATIENCE)
    seen = Visit(page)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function("() => window.imo?.explorer !== undefined")
    seen.painted()
    return seen


@pytest.fixture(scope="module")
def seen(browser, case, tmp_path_factory):
    return opened(browser, standalone(case.spectrum, case), tmp_path_factory.mktemp("page") / "one.html")


@pytest.fixture(scope="module")
def unknown(browser, case, silent, tmp_path_factory):
    return opened(browser, standalone(silent, case), tmp_path_factory.mktemp("page") / "silent.html")


def read_out(seen, wavelengths):
    """The words at each wavelength, in words that the mouse would find there."""
    return seen.page.evaluate(
        """(wavelengths) => {
          const place = [...document.querySelectorAll("*")].flatMap((one) => one.shadowRoot ? [one.shadowRoot] : [])
            .map((root) => root.querySelector("[data-readout]")).find(Boolean)
          return wavelengths.map((x) => { window.imo.explorer.hover(x); return place.textContent })
        }""",
        [float(x) for x in wavelengths],
    )


def legend(seen):
    """What the legend names."""
    return seen.page.locator("[data-legend]:not([hidden])").all_inner_texts()


def strips(seen):
    """Kinds and names of what is marked of the instrument."""
    data = seen.page.evaluate(
        """() => [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.kind !== undefined).data"""
    )
    return set(zip(data["kind"], data["name"], strict=True))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
class TestPage:
    @pytest.fixture(autouse=True)
    def sound(self, seen, unknown):
        yield
        assert seen.errors == unknown.errors == []

    @pytest.mark.parametrize("size", [0, 3, 7, 15, 31])
    def test_smoothing_keeps_every_measured_pixel(self, seen, case, size):
        seen.press("smoothing", str(size))
        assert legend(seen)[0] == (f"spectrum, mean of {size} pixels" if size else "spectrum")
        mean, sigma, residual = case.smoothed(size or 1)
        assert np.isfinite(mean).sum() == case.measured.sum()
        np.testing.assert_allclose(seen.column("shown", "shown"), mean, rtol=1e-5)
        half = (seen.column("shown", "upper") - seen.column("shown", "lower")) / 2
        np.testing.assert_allclose(half[case.measured], sigma[case.measured], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(seen.column("shown", "residual"), residual, rtol=1e-3, atol=1e-3)
        seen.press("smoothing", "0")

    def test_the_read_out_has_the_noise_of_the_file(self, seen, case):
        said = read_out(seen, GRID)
        for words, flux, ivar, there in zip(said, case.flux, case.ivar, case.measured, strict=True):
            if not there:
                assert " · masked · " in words
                continue
            found = re.search(r" · normalised flux (\S+) ± (\S+) · ", words)
            value, sigma = (float(part.replace("−", "-")) * case.norm for part in found.groups())
            assert value == pytest.approx(flux, rel=6e-3, abs=1e-3) and sigma == pytest.approx(ivar**-0.5, rel=6e-3)

    def test_marks_what_is_known_of_its_instrument(self, seen):
        names = {name for kind, name in strips(seen) if kind == "overlap"}
        assert names == {"overlap of the B and R arms", "overlap of the R and Z arms"}
        assert {kind for kind, _ in strips(seen)} == {"sky", "telluric", "overlap"}
        seen.page.get_by_role("button", name="Show").click()
        assert seen.page.get_by_label("Arm overlaps", exact=True).is_enabled()
        assert seen.page.get_by_label("Noise band", exact=True).is_enabled()
        seen.page.keyboard.press("Escape")

    def test_cameras_are_called_so(self, browser, case, tmp_path):
        boss = replace(case.spectrum, instrument=np.array(["BOSS"]))
        page = opened(browser, standalone(boss, case), tmp_path / "boss.html")
        assert {name for kind, name in strips(page) if kind == "overlap"} == {"overlap of the blue and red cameras"}
        (said,) = read_out(page, [6000.0])
        assert said.endswith("overlap of the blue and red cameras")
        page.page.get_by_role("button", name="Show").click()
        assert page.page.get_by_label("Camera overlaps", exact=True).is_enabled()
        assert page.errors == []

    def test_says_that_the_noise_is_not_known(self, unknown, case):
        flux = np.where(case.measured, case.flux / case.norm, np.nan)
        np.testing.assert_allclose(unknown.column("shown", "shown"), flux, rtol=1e-5)
        for column in ("lower", "upper", "residual"):
            assert np.isnan(unknown.column("shown", column)).all()
        said = np.array(read_out(unknown, GRID))
        assert all("(noise not known)" in words and "±" not in words for words in said[case.measured])
        assert all("masked" in words and "noise" not in words for words in said[~case.measured])
        assert "noise not known" in legend(unknown)
        without = "residual: noise not known, so there is none in σ"
        assert without not in legend(unknown)
        unknown.page.keyboard.press("e")
        assert without in legend(unknown)
        unknown.page.keyboard.press("e")

    def test_smooths_without_weights_then(self, unknown, case):
        unknown.press("smoothing", "7")
        there = case.measured.astype(float)
        with np.errstate(invalid="ignore"):
            mean = np.convolve(np.nan_to_num(case.flux), np.ones(7), "same") / np.convolve(there, np.ones(7), "same")
        expected = np.where(case.measured, mean / case.norm, np.nan)
        np.testing.assert_allclose(unknown.column("shown", "shown"), expected, rtol=1e-5)
        unknown.press("smoothing", "0")

    def test_marks_nothing_of_an_unknown_instrument(self, unknown):
        assert strips(unknown) == set()
        unknown.page.get_by_role("button", name="Show").click()
        for name in ("Sky lines", "Telluric bands", "Overlaps"):
            box = unknown.page.get_by_label(f"{name} (instrument not known)", exact=True)
            assert box.is_visible() and box.is_disabled()
        assert unknown.page.get_by_label("Noise band (noise not known)", exact=True).is_disabled()
        unknown.page.keyboard.press("Escape")
        unknown.page.keyboard.press("y")
        unknown.page.locator("[data-readout]", has_text="instrument not known").wait_for()
