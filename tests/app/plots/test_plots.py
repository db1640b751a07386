"""Bokeh models without a browser: what is in the sources, and that the figures fit them."""

import doctest
import gc
import json
import weakref
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from bokeh.core.property.vectorization import Value
from bokeh.core.serialization import Serializer
from bokeh.document import Document
from bokeh.models import Axis, BoxSelectTool, ColumnDataSource, CrosshairTool, Range1d
from bokeh.models.annotations import ColorBar, Label, LabelSet, Title
from helpers.networks import WAVELENGTH
from helpers.surveys import tiny_spectra

from app.browser.client import BrowserCode
from app.html.legend import legend_html
from app.plots.colours import DARK, LIGHT, diverging
from app.plots.layers import LAYERS, VERDICTS, instrument_columns
from app.plots.panels import FONT, LARGE, NORMAL
from app.plots.sources import PlotSources
from app.plots.stack import PlotStack
from app.state import keys
from app.state.keys import KEYS, keyboard_table
from imo_engine.attribution.record import RECOMMENDED_WEIGHTING, Attribution
from imo_engine.spectra.instrument import ARM_OVERLAPS, TELLURIC_BANDS, desi_wavelength, sky_line_mask
from imo_engine.spectra.spectra import normalise
from imo_engine.spectra.spectral_lines import ABSORPTION_LINES, EMISSION_LINES, LINE_VIEWS

WINDOWS = (1, 16, 64)
N, M = len(WAVELENGTH), 3


@pytest.fixture
def sources():
    return PlotSources(WAVELENGTH, WINDOWS, M)


@pytest.fixture
def stack(sources):
    return PlotStack(sources)


@pytest.fixture
def browser(stack):
    return BrowserCode(stack)


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
        assert set(sources.spectrum.data) == {"x", "flux", "sigma", "model"}
        assert set(sources.drawn.data) == {"x", "shown", "lower", "upper", "reconstruction", "residual"}
        bands = {"combined", "combined_lower", "combined_upper"}
        assert set(sources.attribution.data) == {"x", "w1", "w16", "w64", *bands}
        for source in _tables(sources):
            for name, values in source.data.items():
                assert values.shape == (N,), name
                assert values.dtype == np.float32, name
        assert set(sources.singles.data) == {"xs", "baseline", "w1", "w16", "w64"}
        assert all(len(lines) == M for lines in sources.singles.data.values())
        assert image_of(sources).shape == (len(WINDOWS), N)

    def test_columns_keep_length_and_precision_when_filled(self, sources, spectra):
        before = {id(s): {k: (v.shape, v.dtype) for k, v in s.data.items()} for s in _tables(sources)}
        sources.show_spectrum(spectra, 0)
        sources.show_attribution(random_attribution())
        after = {id(s): {k: (v.shape, v.dtype) for k, v in s.data.items()} for s in _tables(sources)}
        assert after == before

    def test_wavelengths_are_not_sent_again(self, sources, spectra):
        wavelengths = [source.data["x"] for source in _tables(sources)]
        repeated = sources.singles.data["xs"]
        sources.show_spectrum(spectra, 0)
        sources.show_attribution(random_attribution())
        assert all(source.data["x"] is x for source, x in zip(_tables(sources), wavelengths, strict=True))
        assert sources.singles.data["xs"] is repeated

    def test_masked_pixels_are_gaps(self, sources, spectra):
        sources.show_spectrum(spectra, 0)
        flux = sources.spectrum.data["flux"]
        np.testing.assert_array_equal(np.isnan(flux), ~spectra.measured[0])
        np.testing.assert_array_equal(flux[spectra.measured[0]], spectra.flux[0][spectra.measured[0]])

    def test_noise_is_that_of_the_inverse_variance_and_none_where_masked(self, sources, spectra):
        sources.show_spectrum(spectra, 0)
        sigma = sources.spectrum.data["sigma"]
        measured = spectra.measured[0]
        np.testing.assert_allclose(sigma[measured], 0.2, rtol=1e-5)
        assert (sigma[~measured] == 0).all()

    def test_a_spectrum_without_any_measured_pixel(self, sources, spectra):
        dead = replace(spectra, measured=np.zeros_like(spectra.measured), ivar=np.zeros_like(spectra.ivar))
        sources.show_spectrum(dead, 1)
        assert np.isnan(sources.spectrum.data["flux"]).all()

    def test_another_spectrum_clears_what_was_computed(self, sources, spectra):
        sources.show_spectrum(spectra, 0)
        sources.show_attribution(random_attribution())
        sources.show_spectrum(spectra, 1)
        assert all(np.isnan(values).all() for name, values in sources.attribution.data.items() if name != "x")
        assert all(not len(line) for name, lines in sources.singles.data.items() if name != "xs" for line in lines)
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

    def test_nothing_is_sent_to_forget_what_was_computed(self, sources, spectra):
        """The browser does it by itself when another spectrum arrives; Python's own are empty too."""
        sources.show_spectrum(spectra, 0)
        sources.show_attribution(random_attribution())
        document, sent = Document(), []
        for source in (sources.attribution, sources.singles, sources.scale_map, sources.features, sources.brush):
            document.add_root(source)
        document.on_change(sent.append)
        sources.show_spectrum(spectra, 1)
        assert sent == []
        sources.show_window(16, np.ones((M, N), np.float32))
        assert len(sent) == 3

    def test_single_baselines_are_one_line_each(self, sources):
        attribution = random_attribution()
        sources.show_baselines(attribution.baselines, attribution.valid)
        sources.show_window(16, attribution.values[1].astype(np.float32))
        for column, curves in (
            ("baseline", np.where(attribution.valid, attribution.baselines, np.nan)),
            ("w16", attribution.values[1].astype(np.float32)),
        ):
            np.testing.assert_array_equal(sources.singles.data[column], curves)
        np.testing.assert_array_equal(sources.singles.data["xs"], np.tile(WAVELENGTH.astype(np.float32), (M, 1)))

    def test_fewer_baselines_than_there_is_room_for(self, sources):
        sources.show_attribution(random_attribution(n_baselines=2))
        assert [len(line) for line in sources.singles.data["w16"]] == [N, N, 0]

    def test_a_reconstruction_is_another_column_until_the_next_spectrum(self, sources, spectra):
        sources.show_spectrum(spectra, 0)
        sources.show_reconstruction(np.linspace(0, 1, N))
        np.testing.assert_allclose(sources.spectrum.data["model"], np.linspace(0, 1, N), atol=1e-6)
        sources.show_spectrum(spectra, 1)
        assert np.isnan(sources.spectrum.data["model"]).all()
        with pytest.raises(ValueError, match=r"'flux' has shape \(3,\)"):
            sources.show_reconstruction(np.zeros(3))

    def test_features_stand_at_their_peak_and_go_with_the_attribution(self, sources, spectra):
        sources.show_spectrum(spectra, 0)
        combined = np.zeros(N)
        combined[50:60] = np.arange(10)
        combined[52] = np.nan
        sources.show_combination(combined, np.ones(N))
        low, high = WAVELENGTH[50], WAVELENGTH[59]
        sources.show_features([(low, high, "[O III] 5007", "source"), (low, low, "sky", "instrument")])
        data = sources.features.data
        assert (data["number"], data["verdict"]) == (["1", "2"], ["source", "instrument"])
        assert data["peak"] == [9.0, 0.0]
        assert data["at"] == pytest.approx([high, low])  # where the combination is highest
        assert len(set(map(len, data.values()))) == 1
        sources.show_spectrum(spectra, 0)
        assert sources.features.data["low"] == []

    def test_features_outside_the_spectrum_or_without_attribution(self, sources):
        sources.show_features([(1.0, 2.0, "nowhere", "unclear"), (WAVELENGTH[0], WAVELENGTH[-1], "all", "unclear")])
        assert sources.features.data["peak"] == [0.0, 0.0]

    def test_a_verdict_that_is_none_is_refused(self, sources):
        with pytest.raises(ValueError, match=r"'aliens' is no verdict; expected one of source, instrument, unclear"):
            sources.show_features([(4000.0, 4010.0, "", "aliens")])
        assert sources.features.data["low"] == []

    def test_shading_covers_what_the_engine_knows(self):
        wave = desi_wavelength()
        data = instrument_columns(wave, "DESI")
        strips = Counter(data["kind"])
        assert strips["telluric"] == len(TELLURIC_BANDS) and strips["overlap"] == len(ARM_OVERLAPS)
        covered = np.zeros(len(wave), bool)
        for kind, low, high in zip(data["kind"], data["low"], data["high"], strict=True):
            if kind == "sky":
                covered |= (wave >= low) & (wave <= high)
        np.testing.assert_array_equal(covered, sky_line_mask(wave))

    def test_shading_outside_the_spectrum_is_left_out(self):
        data = instrument_columns(np.linspace(4000.0, 5000.0, 500), "DESI")
        assert not {"telluric", "overlap"} & set(data["kind"])

    @pytest.mark.parametrize(
        ("instrument", "overlaps"),
        [
            ("DESI", {"overlap of the B and R arms": (5760, 5800), "overlap of the R and Z arms": (7520, 7620)}),
            ("SDSS", {"overlap of the blue and red cameras": (5800, 6150)}),
            ("BOSS", {"overlap of the blue and red cameras": (5650, 6350)}),
        ],
    )
    def test_overlaps_are_those_of_the_instrument(self, instrument, overlaps):
        data = instrument_columns(desi_wavelength(), instrument)
        rows = zip(data["kind"], data["name"], data["low"], data["high"], strict=True)
        assert {name: (low, high) for kind, name, low, high in rows if kind == "overlap"} == overlaps

    def test_of_an_unknown_instrument_nothing_is_marked(self):
        assert instrument_columns(desi_wavelength(), "") == {"kind": [], "name": [], "low": [], "high": []}

    def test_marks_of_the_instrument_are_sent_when_it_changes(self):
        wave, names = desi_wavelength(), ["SDSS", "SDSS", "", "DESI"]
        ones = np.ones((4, len(wave)))
        several = normalise(wave, ones, ones, [0.1] * 4, target_id=list("abcd"), instrument=names)
        sources, sent = PlotSources(wave, WINDOWS, M), []
        sources.instrument.on_change("data", lambda attr, old, new: sent.append(new))
        for row in (0, 1, 0, 2, 3):
            sources.show_spectrum(several, row)
        expected = [instrument_columns(sources.wavelength, name) for name in ("SDSS", "", "DESI")]
        assert [dict(one) for one in sent] == expected
        assert sources.target.data["part"] == ["arm"]

    def test_says_whether_the_noise_is_known(self, sources, spectra):
        silent = replace(spectra, ivar=np.zeros_like(spectra.ivar))
        for given, known in ((spectra, True), (silent, False)):
            sources.show_spectrum(given, 0)
            assert sources.target.data["noise_known"] == [known]
        dead = replace(silent, measured=np.zeros_like(spectra.measured))
        sources.show_spectrum(dead, 0)
        assert sources.target.data["noise_known"] == [True]  # there is nothing whose noise could be known

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
        assert list(stack.panels) == ["spectrum", "residual", "combined", "map", "w64", "w16", "w1"]
        assert [panel.name for panel in stack.panels.values()] == [f"imo-{name}" for name in stack.panels]
        assert [child[0] for child in stack.grid.children] == [*stack.panels.values(), *stack.methods.boxes]
        assert [name for name, panel in stack.panels.items() if not panel.visible] == ["residual"]
        assert len(stack.grid.rows) == len(stack.panels) + len(stack.methods.boxes)

    def test_all_panels_share_one_wavelength_axis(self, stack):
        (observed,) = {panel.x_range for panel in stack.panels.values()}
        (rest,) = {panel.extra_x_ranges["rest"] for panel in stack.panels.values()}
        assert observed is not rest
        assert observed.start < WAVELENGTH[0] and observed.end > WAVELENGTH[-1]

    def test_y_ranges_are_their_own(self, stack):
        assert len({id(panel.y_range) for panel in stack.every_panel}) == len(stack.every_panel)

    def test_ranges_that_the_browser_moves_are_not_sent(self, stack):
        ranges = stack.layout.select({"type": Range1d})
        assert len(list(ranges)) >= len(stack.panels) + 2
        assert all(not moved.syncable for moved in ranges)

    def test_nothing_that_the_browser_changes_is_sent(self, stack, browser):
        """The cross-hair, panels that fold, axes, grids, and all that layers show and hide."""
        args = browser.start.args["models"]
        crosshairs = [tool.overlay for tool in stack.layout.select({"type": CrosshairTool})]
        overlays = [tool.overlay for tool in stack.layout.select({"type": BoxSelectTool})]
        second = args["secondView"]
        changed = [*crosshairs, *overlays, *stack.every_panel, stack.grid, stack.sources.drawn]
        changed += [second["layout"], second["pixels"], second["baselines"], *second["below"].values()]
        changed += [model for models in args["gridModels"].values() for model in models]
        changed += [axis for place in args["axisModels"].values() for axes in place.values() for axis in axes.values()]
        changed += [model for models in args["layerModels"].values() for model in models]
        assert len(changed) > 10 * len(stack.panels)
        assert not any(model.syncable for model in changed)

    def test_what_python_hears_of_is_sent(self, stack, browser):
        assert all(source.syncable for source in (browser.channel.source, stack.sources.brush))

    def test_every_column_that_is_drawn_exists(self, stack):
        drawn = set()
        for panel in stack.every_panel:
            for renderer in panel.renderers:
                for key, value in Serializer().encode(renderer.glyph)["attributes"].items():
                    if isinstance(value, dict) and value.get("type") == "field":
                        assert value["field"] in renderer.data_source.data, (panel.name, key, value)
                        drawn.add(value["field"])
        sources = stack.sources
        filled = set().union(sources.drawn.data, sources.attribution.data, sources.singles.data)
        assert filled <= drawn  # and nothing is sent in vain

    def test_every_layer_switches_something(self, browser):
        models = browser.start.args["models"]["layerModels"]
        assert list(models) == [layer.name for layer in LAYERS]
        for layer in LAYERS:
            if layer.name == "weak":  # the browser chooses which lines are marked
                continue
            assert models[layer.name], layer.name
            assert {model.visible for model in models[layer.name]} == {layer.shown}

    def test_nothing_is_drawn_under_a_legend(self, stack):
        """There is one legend, above the panels, and it names every curve in its colour."""
        assert not [panel.name for panel in stack.every_panel if panel.legend]
        html = legend_html(RECOMMENDED_WEIGHTING)
        for name in ("spectrum", "noise", "baselines", "model", "repair", "combined", "scatter", "map"):
            assert f'data-legend="{name}"' in html

    def test_all_letters_are_of_one_font_and_size(self, stack):
        stack.methods.show(True, [])
        for letters in (NORMAL, LARGE):
            stack.paint(LIGHT, large=letters is LARGE)
            found = set()
            for panel in stack.every_panel:
                for model in filter(_is_written, (*panel.axis, *panel.center, *panel.right, panel.title)):
                    for name in model.properties():
                        if not name.endswith("text_font_size") or (isinstance(model, ColorBar) and "title" in name):
                            continue  # the bar has no title
                        size, font = getattr(model, name), getattr(model, name.removesuffix("_size"))
                        plain = [one.value if isinstance(one, Value) else one for one in (size, font)]
                        found.add(tuple(plain))
            assert found == {(letters.size, FONT)}

    def test_ranges_can_be_asked_about_on_every_panel_and_select_no_points(self, stack):
        for panel in stack.every_panel:
            (tool,) = panel.select({"type": BoxSelectTool})
            assert (tool.dimensions, tool.renderers) == ("width", [])
            assert "brush" in {renderer.name for renderer in panel.renderers}

    def test_the_map_lies_over_its_pixels(self, stack):
        image, over = (r.glyph for r in stack.panels["map"].renderers if hasattr(r.glyph, "image"))
        assert (over.x, over.y, over.dw, over.dh) == (image.x, image.y, image.dw, image.dh)
        step = WAVELENGTH[1] - WAVELENGTH[0]
        assert image.x == pytest.approx(WAVELENGTH[0] - step / 2)
        assert image.x + image.dw == pytest.approx(WAVELENGTH[-1] + step / 2)
        labels = stack.panels["map"].yaxis[0].major_label_overrides
        assert labels == {0: "1", 1: "16", 2: "64"}  # as the rows of the image

    def test_every_source_belongs_to_the_document(self, stack, browser):
        """A source that belongs to none changes on the server only."""
        document = Document()
        browser.attach(document)
        document.add_root(stack.layout)
        held = set(document.select({"type": ColumnDataSource}))
        sources = stack.sources
        assert {sources.target, sources.spectrum, sources.attribution, sources.singles, sources.lines} <= held
        assert {sources.scale_map, sources.features, sources.brush, sources.drawn, sources.instrument} <= held
        assert browser.channel.source in held
        document.validate()

    def test_can_be_sent(self, stack):
        sent = Serializer().encode(stack.layout)
        assert "imo-spectrum" in json.dumps(sent, default=str)

    def test_the_browser_gets_the_line_views(self, browser):
        views = browser.start.args["models"]["views"]
        assert list(views) == [view.name for view in LINE_VIEWS]
        assert views["halpha"]["low"] < 6564.6 < views["halpha"]["high"]

    def test_one_frame_is_shown_at_first_and_only_outside(self, stack, browser):
        args = browser.start.args["models"]
        assert all(model.visible for model in args["gridModels"]["observed"])
        assert not any(model.visible for model in args["gridModels"]["rest"])
        shown = [
            (name, axis.axis_label) for name, panel in stack.panels.items() for axis in panel.xaxis if axis.visible
        ]
        observed, rest = "observed wavelength (Å, vacuum)", "rest-frame wavelength (Å, vacuum)"
        assert shown == [("spectrum", rest), ("w1", observed)]


class TestEvents:
    """What the browser tells is a change of a small source; here the change comes from Python."""

    def test_a_key_is_told_by_its_action(self, browser):
        heard = []
        browser.on_key(heard.append)
        for count in (1, 2):
            browser.channel.source.data = {"action": ["key"], "payload": ['"quality-3"'], "count": [count]}
        assert heard == ["quality-3", "quality-3"]

    def test_a_range_is_told_and_forgotten(self, stack, spectra):
        heard = []
        stack.on_brush(lambda low, high: heard.append((low, high)), lambda: heard.append("forgotten"))
        stack.sources.brush.data = {"low": [5000.0], "high": [5100.5]}
        stack.clear_brush()
        stack.clear_brush()
        assert heard == [(5000.0, 5100.5), "forgotten"]
        stack.sources.show_spectrum(spectra, 0)
        stack.sources.brush.data = {"low": [5000.0], "high": [5100.5]}
        stack.sources.show_spectrum(spectra, 0)
        assert heard[2:] == [(5000.0, 5100.5)]  # computed again: the question stays
        stack.sources.show_spectrum(spectra, 1)
        assert heard[3:] == ["forgotten"]


class TestKeys:
    def test_no_key_does_two_things(self):
        pressed = Counter(name for key in KEYS for name in key.keys)
        assert [name for name, times in pressed.items() if times > 1] == []
        assert len({key.action for key in KEYS}) == len(KEYS)

    def test_every_line_view_has_a_key(self):
        assert {f"view-{view.name}" for view in LINE_VIEWS} <= {key.action for key in KEYS}

    def test_what_marz_users_know(self):
        does = {name: key.action for key in KEYS for name in key.keys}
        assert (does["n"], does["b"], does["s"], does["d"]) == ("next", "previous", "smooth-more", "smooth-less")
        assert [does[str(q)] for q in range(5)] == [f"quality-{q}" for q in range(5)]
        assert (does["l"], does["r"], does["?"]) == ("lines", "view-full", "help")

    def test_the_documentation_lists_them_all(self):
        page = (Path(__file__).parents[3] / "docs" / "keyboard.md").read_text(encoding="utf-8")
        assert keyboard_table() in page, "run python -m app.state.keys"

    def test_examples(self):
        assert doctest.testmod(keys).failed == 0


class TestPainting:
    @staticmethod
    def colours_of(stack):
        found = {}
        for panel in stack.every_panel:
            name = panel.name
            found[f"{name} axis"] = panel.yaxis[0].major_label_text_color
            found[f"{name} grid"] = panel.grid[0].grid_line_color
            for number, renderer in enumerate(panel.renderers):
                for kind in ("line_color", "fill_color"):
                    if isinstance(getattr(renderer.glyph, kind, None), str):
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

    def test_marks_of_features_have_a_colour_for_each_verdict(self, stack):
        (strips,) = (r for r in stack.panels["combined"].renderers if r.name == "feature")
        mapper = strips.glyph.fill_color.transform
        assert mapper.factors == list(VERDICTS)
        assert len(set(mapper.palette)) == len(VERDICTS)
        light = list(mapper.palette)
        stack.paint(DARK)
        assert not set(mapper.palette) & set(light)

    def test_large_type_is_larger_and_can_be_taken_back(self, stack):
        def sizes():
            panel = stack.panels["combined"]
            curve = next(r.glyph.line_width for r in panel.renderers if "curve" in r.glyph.tags)
            axis = panel.yaxis[0].major_label_text_font_size
            return axis, stack.line_labels.text_font_size, curve, panel.min_border_left

        normal = sizes()
        stack.paint(LIGHT, large=True)
        large = sizes()
        assert (normal[0], large[0]) == (NORMAL.size, LARGE.size)
        assert large[2] > normal[2] and large[3] > normal[3]
        assert {panel.min_border_left for panel in stack.panels.values()} == {large[3]}  # axes stay aligned
        stack.paint(LIGHT)
        assert sizes() == normal

    @pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
    def test_text_can_be_read(self, colours):
        """The contrast that WCAG 2.1 asks of text, 4.5, and of graphics, 3."""
        for name, colour in asdict(colours).items():
            if name in ("background", "grid", "noise", "baseline", "sky", "telluric", "overlap", "brush", "zero"):
                continue  # decoration, and shades behind the data
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
    browser = BrowserCode(stack)
    browser.attach(document)
    document.add_root(stack.layout)
    stack.sources.show_spectrum(spectra, 0)
    stack.sources.show_attribution(random_attribution())
    panel = stack.panels["map"]
    gone = [weakref.ref(stack), weakref.ref(stack.sources), weakref.ref(panel), weakref.ref(stack.sources.singles)]
    document.clear()
    del stack, browser, panel, document
    gc.collect()
    assert [reference() for reference in gone] == [None] * 4


def _tables(sources):
    return sources.spectrum, sources.attribution, sources.drawn


def _is_written(model):
    """Whether it writes anything: axes that carry numbers, names, notes and the colour bar."""
    return isinstance(model, (Axis, ColorBar, Label, LabelSet)) or (isinstance(model, Title) and model.text.strip())


def _contrast(one, other):
    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
