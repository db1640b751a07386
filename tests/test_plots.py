"""Bokeh models without a browser: what is in the sources, and that the figures fit them."""

import gc
import json
import weakref
from dataclasses import asdict, replace

import numpy as np
import pytest
from bokeh.core.serialization import Serializer
from bokeh.document import Document
from bokeh.models import ColumnDataSource, CrosshairTool, Range1d
from networks import WAVELENGTH
from test_survey import tiny_spectra

from app.plots.colours import DARK, LIGHT, diverging
from app.plots.sources import PlotSources
from app.plots.stack import PlotStack
from imo_engine.attribution import Attribution
from imo_engine.spectral_lines import ABSORPTION_LINES, EMISSION_LINES, LINE_VIEWS

WINDOWS = (1, 16, 64)
N, M = len(WAVELENGTH), 3


@pytest.fixture
def sources():
    return PlotSources(WAVELENGTH, WINDOWS, M)


@pytest.fixture
def stack(sources):
    return PlotStack(sources)


@pytest.fixture(scope="module")
def spectra():
    return tiny_spectra()


def random_attribution(seed=0, n_baselines=M):
    rng = np.random.default_rng(seed)
    valid = np.ones(N, bool)
    valid[-20:] = False
    values = np.where(valid, rng.normal(size=(len(WINDOWS), n_baselines, N)), np.nan)
    return Attribution(
        values=values,
        baselines=rng.normal(1, 0.1, (n_baselines, N)).astype(np.float32),
        baseline_log_prob=np.zeros(n_baselines),
        flux=np.ones(N, np.float32),
        redshift=0.1,
        wavelength=WAVELENGTH,
        valid=valid,
        window_sizes=WINDOWS,
        offsets=(0, 0, 0),
        strides=WINDOWS,
    )


def image_of(sources):
    return sources.scale_map.data["image"][0]


class TestSources:
    def test_columns_have_one_length_and_single_precision(self, sources):
        assert set(sources.spectrum.data) == {"x", "flux", "lower", "upper"}
        bands = {"combined", "combined_lower", "combined_upper"}
        assert set(sources.attribution.data) == {"x", "w1", "w16", "w64", *bands}
        assert set(sources.singles.data) == {"x", "baseline", "w1", "w16", "w64"}
        for source, length in ((sources.spectrum, N), (sources.attribution, N), (sources.singles, M * (N + 1))):
            for name, values in source.data.items():
                assert values.shape == (length,), name
                assert values.dtype == np.float32, name
        assert image_of(sources).shape == (len(WINDOWS), N)

    def test_columns_keep_length_and_precision_when_filled(self, sources, spectra):
        before = {id(s): {k: (v.shape, v.dtype) for k, v in s.data.items()} for s in _tables(sources)}
        sources.show_spectrum(spectra, 0)
        sources.show_attribution(random_attribution())
        after = {id(s): {k: (v.shape, v.dtype) for k, v in s.data.items()} for s in _tables(sources)}
        assert after == before

    def test_wavelengths_are_not_sent_again(self, sources, spectra):
        wavelengths = [source.data["x"] for source in _tables(sources)]
        sources.show_spectrum(spectra, 0)
        sources.show_attribution(random_attribution())
        assert all(source.data["x"] is x for source, x in zip(_tables(sources), wavelengths, strict=True))

    def test_masked_pixels_are_gaps(self, sources, spectra):
        sources.show_spectrum(spectra, 0)
        flux = sources.spectrum.data["flux"]
        np.testing.assert_array_equal(np.isnan(flux), ~spectra.measured[0])
        np.testing.assert_array_equal(flux[spectra.measured[0]], spectra.flux[0][spectra.measured[0]])

    def test_the_noise_band_is_one_sigma_and_has_no_height_in_gaps(self, sources, spectra):
        sources.show_spectrum(spectra, 0)
        data = sources.spectrum.data
        half = (data["upper"] - data["lower"]) / 2
        measured = spectra.measured[0]
        np.testing.assert_allclose(half[measured], 0.2, rtol=1e-5)
        assert (half[~measured] == 0).all()
        assert np.isfinite(data["lower"]).all() and np.isfinite(data["upper"]).all()

    def test_a_spectrum_without_any_measured_pixel(self, sources, spectra):
        dead = replace(spectra, measured=np.zeros_like(spectra.measured), ivar=np.zeros_like(spectra.ivar))
        sources.show_spectrum(dead, 1)
        assert np.isnan(sources.spectrum.data["flux"]).all()

    def test_another_spectrum_clears_what_was_computed(self, sources, spectra):
        sources.show_spectrum(spectra, 0)
        sources.show_attribution(random_attribution())
        sources.show_spectrum(spectra, 1)
        for source in (sources.attribution, sources.singles):
            assert all(np.isnan(values).all() for name, values in source.data.items() if name != "x")
        assert np.isnan(image_of(sources)).all()
        assert sources.target.data["z"] == [0.12]

    def test_another_target_of_the_same_redshift_is_a_change(self, sources, spectra):
        """Its change is what sets the view back in the browser."""
        same = replace(spectra, redshift=np.full(4, 0.3))
        document, sent = Document(), []
        document.add_root(sources.target)
        document.on_change(sent.append)
        sources.show_spectrum(same, 0)
        sources.show_spectrum(same, 1)
        assert len(sent) == 2
        sources.show_spectrum(same, 1)
        assert len(sent) == 2  # computed again: the view is kept

    def test_single_baselines_are_one_line_with_gaps(self, sources):
        attribution = random_attribution()
        sources.show_baselines(attribution.baselines, attribution.valid)
        sources.show_window(16, attribution.values[1].astype(np.float32))
        for column, curves in (
            ("baseline", np.where(attribution.valid, attribution.baselines, np.nan)),
            ("w16", attribution.values[1].astype(np.float32)),
        ):
            table = sources.singles.data[column].reshape(M, N + 1)
            np.testing.assert_array_equal(table[:, :-1], curves)
            assert np.isnan(table[:, -1]).all()
        wave = sources.singles.data["x"].reshape(M, N + 1)
        np.testing.assert_array_equal(wave[:, :-1], np.tile(WAVELENGTH.astype(np.float32), (M, 1)))
        assert np.isnan(wave[:, -1]).all()

    def test_fewer_baselines_than_there_is_room_for(self, sources):
        sources.show_attribution(random_attribution(n_baselines=2))
        table = sources.singles.data["w16"].reshape(M, N + 1)
        assert np.isfinite(table[:2, : N - 20]).all()
        assert np.isnan(table[2]).all()

    @pytest.mark.parametrize("windows", [WINDOWS, WINDOWS[::-1], (16, 64, 1)])
    @pytest.mark.parametrize(("size", "row"), [(1, 0), (16, 1), (64, 2)])
    def test_windows_are_rows_of_the_map_fine_ones_at_the_bottom(self, windows, size, row):
        sources = PlotSources(WAVELENGTH, windows, M)
        values = random_attribution().values[1].astype(np.float32)
        sources.show_window(size, values)
        image = image_of(sources)
        filled = np.isfinite(image).any(axis=1)
        assert filled.tolist() == [r == row for r in range(3)]
        np.testing.assert_allclose(image[row], values.mean(axis=0) / values.std(axis=0), rtol=1e-5)
        mean = sources.attribution.data[f"w{size}"]
        np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-5, atol=1e-7)

    def test_the_map_has_a_gap_where_nothing_scatters(self, sources):
        values = np.ones((M, N), np.float32)
        values[0, :100] = 2
        sources.show_window(16, values)
        assert np.isfinite(image_of(sources)[1, :100]).all()
        assert np.isnan(image_of(sources)[1, 100:]).all()

    def test_a_finished_attribution_fills_everything(self, sources):
        attribution = random_attribution()
        sources.show_attribution(attribution)
        data = sources.attribution.data
        np.testing.assert_array_equal(data["combined"], attribution.combined.astype(np.float32))
        half = (data["combined_upper"] - data["combined_lower"]) / 2
        np.testing.assert_allclose(half, attribution.combined_scatter, rtol=1e-4, atol=1e-6)
        valid = attribution.valid
        np.testing.assert_allclose(image_of(sources)[:, valid], attribution.signal_to_scatter[:, valid], rtol=1e-4)
        assert np.isnan(image_of(sources)[:, ~valid]).all()

    def test_lines_are_those_of_the_engine(self, sources):
        data = sources.lines.data
        every = [*EMISSION_LINES, *ABSORPTION_LINES]
        assert data["rest"] == [line.wavelength for line in every]
        assert data["name"] == [line.name for line in every]
        assert len(set(map(len, data.values()))) == 1
        short = dict(zip(data["name"], data["short"], strict=True))
        assert (short["[O III] 5007"], short["Hα"], short["Na D2"]) == ("[O III]", "Hα", "Na D")


class TestStack:
    def test_has_every_panel_in_order(self, stack):
        assert list(stack.panels) == ["spectrum", "combined", "map", "w64", "w16", "w1"]
        assert [panel.name for panel in stack.panels.values()] == [f"imo-{name}" for name in stack.panels]
        assert [child[0] for child in stack.layout.children] == list(stack.panels.values())

    def test_all_panels_share_one_wavelength_axis(self, stack):
        (observed,) = {panel.x_range for panel in stack.panels.values()}
        (rest,) = {panel.extra_x_ranges["rest"] for panel in stack.panels.values()}
        assert observed is not rest
        assert observed.start < WAVELENGTH[0] and observed.end > WAVELENGTH[-1]

    def test_y_ranges_are_their_own(self, stack):
        assert len({id(panel.y_range) for panel in stack.panels.values()}) == len(stack.panels)

    def test_ranges_that_the_browser_moves_are_not_sent(self, stack):
        ranges = stack.layout.select({"type": Range1d})
        assert len(list(ranges)) >= len(stack.panels) + 2
        assert all(not moved.syncable for moved in ranges)

    def test_nothing_that_the_browser_changes_is_sent(self, stack):
        """The cross-hair follows the mouse, and the frame switch shows and hides axes and grids."""
        args = stack._start.args
        crosshairs = [tool.overlay for tool in stack.layout.select({"type": CrosshairTool})]
        moved = [*crosshairs, *args["observedModels"], *args["restModels"]]
        assert len(moved) >= 3 * len(stack.panels)
        assert not any(model.syncable for model in moved)

    def test_every_column_that_is_drawn_exists(self, stack):
        drawn = set()
        for name, panel in stack.panels.items():
            for renderer in panel.renderers:
                for key, value in Serializer().encode(renderer.glyph)["attributes"].items():
                    if isinstance(value, dict) and value.get("type") == "field":
                        assert value["field"] in renderer.data_source.data, (name, key, value)
                        drawn.add(value["field"])
        filled = set().union(*(source.data for source in _tables(stack.sources)))
        assert filled <= drawn  # and nothing is sent in vain

    def test_the_map_lies_over_its_pixels(self, stack):
        (image,) = (r.glyph for r in stack.panels["map"].renderers if hasattr(r.glyph, "image"))
        step = WAVELENGTH[1] - WAVELENGTH[0]
        assert image.x == pytest.approx(WAVELENGTH[0] - step / 2)
        assert image.x + image.dw == pytest.approx(WAVELENGTH[-1] + step / 2)
        labels = stack.panels["map"].yaxis[0].major_label_overrides
        assert labels == {0: "1", 1: "16", 2: "64"}  # as the rows of the image

    def test_every_source_belongs_to_the_document(self, stack):
        """A source that belongs to none changes on the server only."""
        document = Document()
        stack.attach(document)
        document.add_root(stack.layout)
        held = set(document.select({"type": ColumnDataSource}))
        sources = stack.sources
        assert {sources.target, sources.spectrum, sources.attribution, sources.singles, sources.lines} <= held
        assert sources.scale_map in held
        document.validate()

    def test_can_be_sent(self, stack):
        sent = Serializer().encode(stack.layout)
        assert "imo-spectrum" in json.dumps(sent, default=str)

    def test_the_browser_gets_the_line_views(self, stack):
        views = stack._start.args["views"]
        assert list(views) == [view.name for view in LINE_VIEWS]
        assert views["halpha"]["low"] < 6564.6 < views["halpha"]["high"]

    def test_one_frame_is_shown_at_first(self, stack):
        args = stack._start.args
        assert all(model.visible for model in args["observedModels"])
        assert not any(model.visible for model in args["restModels"])
        axes = {axis.axis_label: axis.visible for name in ("spectrum", "w1") for axis in stack.panels[name].xaxis}
        assert set(axes) == {"observed wavelength (Å, vacuum)", "rest-frame wavelength (Å, vacuum)"}


class TestPainting:
    @staticmethod
    def colours_of(stack):
        found = {}
        for name, panel in stack.panels.items():
            found[f"{name} axis"] = panel.yaxis[0].major_label_text_color
            found[f"{name} grid"] = panel.grid[0].grid_line_color
            for number, renderer in enumerate(panel.renderers):
                for kind in ("line_color", "fill_color"):
                    if hasattr(renderer.glyph, kind):
                        found[f"{name} {number} {kind}"] = getattr(renderer.glyph, kind)
        return found

    def test_changes_every_colour_and_back(self, stack):
        light = self.colours_of(stack)
        stack.paint(DARK)
        dark = self.colours_of(stack)
        assert dark.keys() == light.keys()
        assert [name for name in light if light[name] == dark[name]] == []
        assert stack.mapper.palette == diverging(DARK)
        stack.paint(LIGHT)
        assert self.colours_of(stack) == light

    @pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
    def test_text_can_be_read(self, colours):
        """The contrast that WCAG 2.1 asks of text, 4.5, and of graphics, 3."""
        for name, colour in asdict(colours).items():
            if name in ("background", "grid", "noise", "baseline"):  # decoration, and shades behind the data
                continue
            least = 4.5 if name in ("text", "muted") else 3
            assert _contrast(colour, colours.background) >= least, name

    @pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
    def test_the_map_is_blank_in_the_middle(self, colours):
        palette = diverging(colours)
        assert len(palette) % 2 == 1
        assert palette[len(palette) // 2] == colours.background
        assert (palette[0], palette[-1]) == (colours.negative, colours.combined)


def test_a_stack_leaves_no_trace_in_memory(spectra):
    document = Document()
    stack = PlotStack(PlotSources(WAVELENGTH, WINDOWS, M))
    stack.attach(document)
    document.add_root(stack.layout)
    stack.sources.show_spectrum(spectra, 0)
    stack.sources.show_attribution(random_attribution())
    panel = stack.panels["map"]
    gone = [weakref.ref(stack), weakref.ref(stack.sources), weakref.ref(panel), weakref.ref(stack.sources.singles)]
    document.clear()
    del stack, panel, document
    gc.collect()
    assert [reference() for reference in gone] == [None] * 4


def _tables(sources):
    return sources.spectrum, sources.attribution, sources.singles


def _contrast(one, other):
    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
