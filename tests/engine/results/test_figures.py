"""Figures for articles: what is drawn, the files, and what `imo figure` refuses before it computes."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers.browser import ROOT, write_desi_model
from helpers.fits_files import arms, write_coadd, write_redrock
from helpers.networks import COVERED_REDSHIFT, random_flux
from PIL import Image

from app.plots.colours import LIGHT
from imo_engine.attribution.occlusion import inverse_multiscale_occlusion
from imo_engine.commands.figure import zoom_range
from imo_engine.commands.program import COMMANDS, LazyGroup, run
from imo_engine.errors import ImoError, InputError
from imo_engine.methods import METHODS
from imo_engine.results import figures
from imo_engine.results.figure_files import check_figure, write_figure
from imo_engine.results.figures import draw_attribution

WINDOWS = (16, 1, 64)
TARGET = 39628000000000001


@pytest.fixture(scope="module")
def baselines():
    return random_flux(3, 1)


@pytest.fixture(scope="module")
def attribution(tiny_model, baselines):
    flux = random_flux(1, 2)[0]
    return inverse_multiscale_occlusion(tiny_model, flux, COVERED_REDSHIFT, baselines, WINDOWS)


@pytest.fixture(scope="module")
def methods(tiny_model, attribution, baselines):
    names = ("occlusion", "gradient_times_input")
    return [(METHODS[n].label, METHODS[n](tiny_model, attribution.flux, COVERED_REDSHIFT, baselines)) for n in names]


def texts(figure):
    """What the panels of each column say, from top to bottom."""
    return [[axis.texts[0].get_text() for axis in part.axes if axis.texts] for part in figure.subfigs]


class TestDrawing:
    zoom = (3800.0, 3900.0)

    def test_layout_of_figure_2(self, attribution, methods):
        figure = draw_attribution(attribution, methods, zoom=self.zoom, title="T")
        left, right = texts(figure)
        assert left == ["spectrum, 3 baselines at its redshift", "Occlusion, W = 64", "Gradient × input"]
        assert right == ["W = 1", "W = 16", "W = 64", "IMO, window sizes combined, 1/variance"]
        for part in figure.subfigs:
            whole = part.axes[0::2]
            assert len({axis.get_xlim() for axis in whole}) == 1
            assert whole[-1].get_xlabel() == "observed wavelength (Å, vacuum)"
        units = [axis.get_ylabel() for axis in figure.subfigs[0].axes[0::2]]
        assert units == ["normalised flux", "nat", "nat"]

    def test_curves_are_the_values(self, attribution, methods):
        figure = draw_attribution(attribution, methods, zoom=self.zoom)
        whole, enlarged = figure.subfigs[1].axes[-2:]
        np.testing.assert_array_equal(whole.lines[-1].get_ydata(), attribution.combined)
        z = attribution.redshift
        inside = (attribution.wavelength >= 3800 * (1 + z)) & (attribution.wavelength <= 3900 * (1 + z))
        np.testing.assert_array_equal(enlarged.lines[-1].get_xdata(), attribution.wavelength[inside])
        np.testing.assert_array_equal(enlarged.lines[-1].get_ydata(), attribution.combined[inside])
        assert enlarged.get_xlim() == pytest.approx((3800 * (1 + z), 3900 * (1 + z)))

    def test_rest_frame_is_on_top(self, attribution):
        figure = draw_attribution(attribution, zoom=None)
        (above,) = figure.subfigs[0].axes[0].child_axes
        figure.draw_without_rendering()
        low, high = figure.subfigs[0].axes[0].get_xlim()
        assert above.get_xlim() == pytest.approx((low / (1 + COVERED_REDSHIFT), high / (1 + COVERED_REDSHIFT)))
        assert above.get_xlabel() == "rest-frame wavelength (Å, vacuum)"

    def test_physical_flux(self, attribution):
        figure = draw_attribution(attribution, zoom=None, norm=2.5)
        axis = figure.subfigs[0].axes[0]
        np.testing.assert_allclose(axis.lines[-1].get_ydata(), 2.5 * attribution.flux, rtol=1e-6)
        assert "erg" in axis.get_ylabel() and "-17" in axis.get_ylabel()

    def test_nothing_is_cut_off(self, attribution, methods):
        figure = draw_attribution(attribution, methods, zoom=self.zoom, title="A title", size=(7.1, 5.6))
        figure.canvas.draw()
        width, height = figure.bbox.width, figure.bbox.height
        box = figure.get_tightbbox()
        dpi = figure.dpi
        assert box.x0 * dpi >= 0 and box.y0 * dpi >= 0 and box.x1 * dpi <= width + 1 and box.y1 * dpi <= height + 1

    def test_peaks_are_never_cut(self, attribution):
        figure = draw_attribution(attribution, zoom=None)
        for axis in figure.subfigs[1].axes:
            curve = axis.lines[-1].get_ydata()
            low, high = axis.get_ylim()
            assert low < np.nanmin(curve) and high > np.nanmax(curve)

    def test_refuses_what_cannot_be_drawn(self, attribution, methods):
        with pytest.raises(InputError, match="'zoom' is 9000 to 9100"):
            draw_attribution(attribution, zoom=(9000, 9100))
        with pytest.raises(InputError, match="'size'"):
            draw_attribution(attribution, zoom=None, size=(0.5, 3))

    def test_colours_are_the_pages(self):
        assert (figures._COMBINED, figures._METHOD, figures._SINGLE) == (LIGHT.combined, LIGHT.window, LIGHT.baseline)


def test_thinning_keeps_every_extreme():
    x = np.arange(7781.0)
    y = np.random.default_rng(0).normal(size=len(x))
    y[4321], y[100] = 50, -50
    y[200:220] = np.nan
    kept, values = figures._thinned(x, y)
    assert len(kept) < 0.2 * len(x) and (np.diff(kept) > 0).all()
    assert values[kept == 4321] == 50 and values[kept == 100] == -50
    assert np.isnan(values[kept == 210]).all() and np.isin(210, kept)


@pytest.fixture(scope="module")
def figure(attribution):
    return draw_attribution(attribution, zoom=None, size=(5, 4))


class TestFiles:
    def test_pdf_embeds_its_fonts(self, figure, tmp_path):
        write_figure(figure, tmp_path / "a.pdf")
        content = (tmp_path / "a.pdf").read_bytes()
        assert content.startswith(b"%PDF") and b"/FontFile2" in content

    def test_svg_needs_no_fonts_and_is_the_same_again(self, attribution, tmp_path):
        for name in ("a.svg", "b.svg"):
            write_figure(draw_attribution(attribution, zoom=None, size=(5, 4)), tmp_path / name)
        text = (tmp_path / "a.svg").read_text()
        assert "<text" not in text and "<image" not in text
        assert text == (tmp_path / "b.svg").read_text()

    def test_png_has_the_size_that_was_asked_for(self, figure, tmp_path):
        write_figure(figure, tmp_path / "a.png", dpi=80)
        assert Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())).size == (400, 320)

    def test_a_disk_that_refuses(self, figure, tmp_path):
        with pytest.raises(ImoError, match="cannot be written"):
            write_figure(figure, tmp_path / "nowhere" / "a.pdf")


class TestChecks:
    @pytest.mark.parametrize("name", ["a.jpg", "a", "a.fits"])
    def test_suffix(self, tmp_path, name):
        with pytest.raises(InputError, match=r"expected \.pdf, \.png, \.svg"):
            check_figure(tmp_path / name)

    def test_folder(self, tmp_path):
        with pytest.raises(InputError, match="there is no folder"):
            check_figure(tmp_path / "nowhere" / "a.pdf")
        (tmp_path / "b.pdf").mkdir()
        with pytest.raises(InputError, match="is a folder"):
            check_figure(tmp_path / "b.pdf")

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc takes no files on Linux")
    def test_folder_that_takes_no_files(self):
        from pathlib import Path

        with pytest.raises(InputError, match="nothing can be written to /proc"):
            check_figure(Path("/proc/a.pdf"))

    @pytest.mark.parametrize("value", ["nonsense", "5000:4000", "1:2:3", "nan:5"])
    def test_zoom(self, value):
        with pytest.raises(InputError, match="--zoom is"):
            zoom_range(value)

    def test_no_zoom(self):
        assert zoom_range("none") == (None, "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figure")
    write_desi_model(folder)
    write_redrock(folder / "redrock-a.fits", [TARGET], [0.1])
    write_coadd(folder / "coadd-a.fits", [TARGET, TARGET + 1], arms(2, ivar=100.0))
    return folder


class TestCommand:
    @pytest.fixture
    def imo(self, folder, capfd):
        def call(*arguments):
            given = ["figure", folder / "coadd-a.fits", "--model", folder / "narrow.safetensors", "--device", "cpu"]
            code = run(LazyGroup(COMMANDS, help=""), [str(a) for a in [*given, *arguments]])
            return code, *capfd.readouterr()

        return call

    def test_draws_a_target(self, imo, tmp_path):
        output = tmp_path / "a.svg"
        code, out, err = imo(
            "--target", TARGET, "-o", output, "--windows", "64,256", "--n-baselines", "2",
            "--methods", "gradient_times_input,residual_over_noise,deep_lift", "--zoom", "6500:6600", "--physical",
        )  # fmt: skip
        assert code == 0, err
        assert f"target {TARGET} with 2 other methods" in out
        assert "left out: DeepLIFT does not apply to this network" in out
        assert output.read_text().count("<path") > 20

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (["--target", "7", "-o", "{}/a.pdf"], "no target '7'"),
            (["-o", "{}/a.pdf"], "2 targets; say which"),
            (["--target", TARGET + 1, "-o", "{}/a.pdf"], "no redshift"),
            (["--target", TARGET, "-o", "{}/a.gif"], "a.gif"),
            (["--target", TARGET, "-o", "{}/none/a.pdf"], "there is no folder"),
            (["--target", TARGET, "-o", "{}/a.pdf", "--methods", "magic"], "no attribution method 'magic'"),
            (["--target", TARGET, "-o", "{}/a.pdf", "--zoom", "magic"], "--zoom"),
        ],
    )
    def test_refuses_in_one_line(self, imo, tmp_path, arguments, word):
        code, _, err = imo(*(str(a).replace("{}", str(tmp_path)) for a in arguments))
        assert code == 1 and word in err and err.strip().count("\n") == 0
        assert list(tmp_path.iterdir()) == []

    def test_size(self, imo, tmp_path):
        code, _, err = imo("-o", tmp_path / "a.pdf", "--size", "big")
        assert code == 2 and re.search("WIDTHxHEIGHT", err)


def test_matplotlib_is_imported_only_when_something_is_drawn():
    code = "import sys, imo_engine.results.figures, imo_engine.commands.figure; print('matplotlib' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
