"""The tools of the plots in a real Chromium, on a page that shows made spectra and tells what Python hears."""

# ruff: noqa: F811

import re

import numpy as np
import pytest
from helpers.browser import CHROMIUM
from helpers.tools import NOTHING_COMPUTED, page, served, whole  # noqa: F401 - fixtures
from helpers.tools_page import MASKED, RECONSTRUCTIONS, REDSHIFTS, SPECTRA, WINDOWS

from app.plots.layers import LAYERS
from app.state.keys import KEYS
from imo_engine.spectra.instrument import ARM_OVERLAPS, TELLURIC_BANDS
from imo_engine.spectra.ranges import range_words
from imo_engine.spectra.spectral_lines import LINE_VIEWS, line_view

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

HALPHA = 6564.60
PANELS = ["spectrum", "residual", "combined", "map", *(f"w{size}" for size in sorted(WINDOWS, reverse=True))]


FOCUSED = """
() => {
  let element = document.activeElement
  while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
  return element
}
"""

SECOND = """
() => {
  const figures = [...Bokeh.documents[0]._all_models.values()].filter((m) => m.name?.startsWith("second-"))
  const {data} = figures[0].renderers.find((r) => r.name === "spectrum").data_source
  const {x, cut_shown: shown, cut_combined: combined} = data
  return {range: [figures[0].x_range.start, figures[0].x_range.end], x: [...x], shown: [...shown],
    combined: [...combined], width: figures[0].inner_width}
}
"""


# Points that are painted of a panel, and the extent of its curve as Bokeh knows it
PAINTED_POINTS = """
(name) => new Promise((resolve) => {
  const panel = [...Bokeh.documents[0]._all_models.values()].find((m) => m.name === name)
  const view = Bokeh.index.find_one(panel)
  const {prototype} = CanvasRenderingContext2D
  const {lineTo} = prototype
  let points = 0
  prototype.lineTo = function (x, y) { points++; lineTo.call(this, x, y) }
  const done = () => {
    view.repainted.disconnect(done)
    prototype.lineTo = lineTo
    const mean = panel.renderers.find((r) => r.name === "window")
    const {bbox} = view.views.find_one(mean).glyph.index
    const values = [...mean.data_source.data[name.slice(4)]].filter(Number.isFinite)
    resolve({points, width: panel.inner_width, low: bbox.y0, high: bbox.y1,
      expected: [Math.min(...values), Math.max(...values)]})
  }
  view.repainted.connect(done)
  view.request_paint()
  view.schedule_paint()
})
"""

NOT_LAID_OUT = """
() => {
  const {unset} = Bokeh.loader["core/properties"]
  const sizes = [...Bokeh.documents[0]._all_models.values()].filter((m) => m.name?.startsWith("imo-"))
    .flatMap((panel) => ["inner_width", "inner_height"].map((name) => panel.property(name)))
  const before = sizes.map((size) => size._value)
  for (const size of sizes) size._value = unset
  window.imo.explorer.view("halpha")
  return new Promise((resolve) => setTimeout(() => {  // the panels follow within a few frames
    const laid = sizes.some((size) => !size.is_unset)
    sizes.forEach((size, i) => { if (size.is_unset) size._value = before[i] })
    resolve(!laid)
  }, 500))
}
"""


COUNT_PAINTS = """
() => {
  window.painted = {}
  for (const model of Bokeh.documents[0]._all_models.values()) {
    if (model.type !== "Figure" || !model.name.startsWith("imo-") || !model.visible) continue
    const name = model.name.slice(4)
    window.painted[name] = 0
    Bokeh.index.find_one(model).repainted.connect(() => { window.painted[name] += 1 })
  }
}
"""


# Changes of what was computed, one after the other; how often each panel was painted before all were there, and after
GATHERED = """
async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done))
  const {setTimeout} = window
  window.setTimeout = (then, ms, ...rest) => setTimeout(then, ms === 40 ? 60000 : ms, ...rest)  // however slow this is
  try {
    const sources = [...Bokeh.documents[0]._all_models.values()]
      .filter((m) => m.data?.w1 !== undefined || m.data?.number !== undefined && m.data.peak !== undefined)
    for (let i = 0; i < 5; i++) {
      for (const source of sources) {
        window.imo.explorer.data("features")
        source.change.emit()
        for (let k = 0; k < 3; k++) await frame()
      }
    }
    const before = {...window.painted}
    window.imo.explorer.data("map")
    for (let k = 0; k < 5; k++) await frame()
    return [before, {...window.painted}]
  } finally {
    window.setTimeout = setTimeout
  }
}
"""

# The window has that height and what is in it needs no more
FITS = "(height) => innerHeight === height && document.documentElement.scrollHeight <= innerHeight + 1"


def smoothed(row, size):
    """A made spectrum's mean over a window weighted with inverse variance, NaN where masked, and its sigma."""
    flux, ivar = SPECTRA.flux[row].astype(float), SPECTRA.ivar[row].astype(float)
    weight = np.convolve(ivar, np.ones(size), "same")
    total = np.convolve(ivar * flux, np.ones(size), "same")
    there = SPECTRA.measured[row]
    value, sigma = np.full(len(flux), np.nan), np.full(len(flux), np.nan)
    value[there], sigma[there] = total[there] / weight[there], weight[there] ** -0.5
    return value, sigma


class TestSmoothing:
    @pytest.mark.parametrize("size", [3, 7, 15, 31])
    def test_is_weighted_by_inverse_variance_and_keeps_gaps(self, page, size):
        page.press("smoothing", str(size))
        value, sigma = smoothed(0, size)
        found = page.column("residual", "shown")
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-5)
        assert np.isnan(found[MASKED]).all()
        half = (page.column("residual", "upper") - page.column("residual", "lower")) / 2
        measured = SPECTRA.measured[0]
        np.testing.assert_allclose(half[measured], sigma[measured], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(half[~measured], 0, atol=1e-6)

    def test_keys_go_up_and_down_and_stop_at_the_ends(self, page):
        sizes = []
        for key in "ssssssdddddd":
            page.key(key)
            sizes.append(page.state()["smoothing"])
        assert sizes == [3, 7, 15, 31, 31, 31, 15, 7, 3, 0, 0, 0]
        np.testing.assert_array_equal(page.column("residual", "shown"), page.column("flux", "flux"))

    def test_stays_for_the_next_target_which_is_not_the_one_before(self, page):
        page.press("smoothing", "15")
        page.target(1)
        np.testing.assert_allclose(page.column("residual", "shown"), smoothed(1, 15)[0], rtol=1e-4, atol=1e-5)


class TestResidual:
    def test_is_in_units_of_the_noise(self, page):
        page.key("e")
        tools = page.at_rest(page.tools)
        assert tools["residual"]["visible"] and tools["spectrum"]["layers"]["model"]
        found = page.column("residual", "residual")
        expected = (SPECTRA.flux[0] - RECONSTRUCTIONS[0]) * np.sqrt(SPECTRA.ivar[0])
        np.testing.assert_allclose(found[SPECTRA.measured[0]], expected[SPECTRA.measured[0]], rtol=1e-3, atol=1e-3)
        assert np.isnan(found[MASKED]).all()
        low, high = tools["residual"]["y"]
        assert low < -3 and high > 3
        page.key("e")
        assert not page.tools()["residual"]["visible"]


class TestPanels:
    def test_fold_and_give_their_room_to_the_others(self, page):
        before = page.at_rest(page.tools)
        page.page.get_by_role("button", name="Show").click()
        for size in (64, 16, 4):
            page.page.get_by_label(f"W = {size}", exact=True).uncheck()
        page.key("Escape")
        after = page.at_rest(page.tools)
        assert [name for name in PANELS if after[name]["visible"]] == ["spectrum", "combined", "map", "w256", "w1"]
        assert after["spectrum"]["height"] > 1.2 * before["spectrum"]["height"]

    @pytest.mark.parametrize(("folded", "first", "last"), [
        (["spectrum"], "combined", "w1"), (["w1", "w4"], "spectrum", "w16"), (["w1", "spectrum"], "combined", "w4"),
    ])  # fmt: skip
    def test_wavelengths_stand_outside_whichever_are_left(self, page, folded, first, last):
        for name in folded:
            page.page.evaluate("(name) => window.imo.explorer.panel(name, false)", name)
        tools = page.tools()
        assert {name: one["axes"] for name, one in tools.items() if one["axes"] and one["visible"]} == {
            first: ["rest-frame"], last: ["observed"]
        }  # fmt: skip
        page.key("v")
        tools = page.tools()
        assert (tools[first]["axes"], tools[last]["axes"]) == (["observed"], ["rest-frame"])

    def test_one_always_stays(self, page):
        for name in PANELS:
            page.page.evaluate("(name) => window.imo.explorer.panel(name, false)", name)
        assert [name for name, one in page.tools().items() if one["visible"]] == ["w1"]
        assert "stays" in page.readout()

    @pytest.mark.parametrize(("width", "height"), [(1280, 720), (1440, 900), (1920, 1080)])
    def test_fill_the_window_and_no_more(self, page, width, height):
        page.page.set_viewport_size({"width": width, "height": height})
        # it is arranged anew 150 ms after the last change
        page.until(lambda: page.page.evaluate(FITS, height))
        tools = page.at_rest(page.tools)
        assert page.page.evaluate(FITS, height)
        for name, one in tools.items():
            assert one["height"] >= 40 or not one["visible"], name
        page.page.set_viewport_size({"width": 1440, "height": 900})
        page.until(lambda: page.page.evaluate(FITS, 900))


class TestLayers:
    @pytest.mark.parametrize(
        "layer", [layer for layer in LAYERS if layer.name not in ("baselines", "weak")], ids=lambda o: o.name
    )
    def test_are_switched_in_the_menu(self, page, layer):
        page.page.get_by_role("button", name="Show").click()
        box = page.page.get_by_label(layer.label, exact=True)
        assert box.is_checked() == layer.shown
        box.click()
        page.key("Escape")
        found = {one["layers"].get(layer.name) for one in page.tools().values()} - {None}
        assert found == {not layer.shown}

    def test_keys_switch_families(self, page):
        few = np.isfinite(page.column("rest", "marked")).sum()
        page.key("l")  # all of them
        assert np.isfinite(page.column("rest", "marked")).sum() > few
        page.key("l")  # none
        layers = page.tools()["w1"]["layers"]
        assert not layers["emission"] and not layers["absorption"]
        assert set(page.column("rest", "text")) == {""}
        page.key("l")
        assert page.tools()["w1"]["layers"]["emission"]
        assert "Hα" in page.column("rest", "text")
        assert np.isfinite(page.column("rest", "marked")).sum() == few
        page.key("y")
        assert not page.tools()["w1"]["layers"]["telluric"]

    def test_from_afar_only_strong_lines_are_marked_and_near_all(self, page):
        def marked():
            return set(page.column("rest", "name")[np.isfinite(page.column("rest", "marked"))])

        assert "Hα" in marked() and not {"He I 5876", "[O I] 6300"} & marked()
        assert "[N II] 6548" in marked()  # a feature is about it
        page.press("view", "halpha")
        assert {"[N II] 6548", "Hα", "[N II] 6584"} <= marked()

    @pytest.mark.parametrize("view", ["full", "halpha"])
    def test_no_label_is_drawn_over_the_spectrum(self, page, view):
        page.press("view", view)
        (low, high), (bottom, top) = page.range(), page.tools()["spectrum"]["y"]
        wave, flux = page.column("shown", "x"), page.column("shown", "shown")
        box = page.box("imo-spectrum")
        longest = 7 * 11 * 0.5  # pixels: none has fewer than seven letters
        for at in page.column("rest", "marked")[page.column("rest", "text") != ""]:
            under = np.abs(wave - at) < 6 / box["width"] * (high - low)
            assert (top - np.nanmax(flux[under], initial=bottom)) / (top - bottom) * box["height"] > longest

    @pytest.mark.parametrize("view", ["full", "halpha"])
    def test_labels_never_lie_over_each_other(self, page, view):
        page.press("view", view)
        low, high = page.range()
        width = page.box("imo-spectrum")["width"]
        named = page.column("rest", "text") != ""
        at = np.sort((page.column("rest", "x")[named] - low) / (high - low) * width)
        assert named.sum() >= 3
        assert (np.diff(at) >= 12).all()


class TestRedshift:
    def test_is_nudged_for_checking_only(self, page):
        z = REDSHIFTS[0]
        before = page.mark()
        page.key(".", ".", ".")
        assert page.page.locator("[data-redshift]").inner_text() == "z = 0.3203 (file: 0.3200)"
        assert page.lines_at("Hα") == pytest.approx(HALPHA * (1 + z + 0.0003), abs=0.01)
        page.key(">", ",")
        assert page.lines_at("Hα") == pytest.approx(HALPHA * (1 + z + 0.0012), abs=0.01)
        page.key("a")
        view = line_view("halpha")
        assert page.range() == pytest.approx([view.low * (1 + z + 0.0012), view.high * (1 + z + 0.0012)], abs=0.02)
        page.page.get_by_role("button", name="Reset").click()
        assert page.page.locator("[data-redshift]").inner_text() == "z = 0.3200"
        assert page.column("z", "z")[0] == z
        page.painted()
        assert page.since(before) == ([], [])

    def test_is_told_to_the_label_when_asked(self, page):
        page.page.evaluate("window.imo.form = {change(fields) { window.changed = fields }}")
        page.key(".", ".")
        page.page.get_by_role("button", name="Use as VI_z").click()
        assert page.page.evaluate("[window.changed, delete window.imo.form][0]") == {"redshift": 0.3202}

    def test_another_target_begins_with_its_own(self, page):
        page.key(">")
        page.target(1)
        assert page.page.locator("[data-redshift]").inner_text() == "z = 0.1000"
        assert page.lines_at("Hα") == pytest.approx(HALPHA * 1.1, abs=0.01)

    def test_an_unknown_one_cannot_be_nudged(self, page):
        page.target(3)
        page.key(".")
        assert "not known" in page.readout()
        assert page.page.locator("[data-redshift]").inner_text() == "z unknown"
        assert np.isnan(page.lines_at("Hα"))


class TestReadout:
    def hover(self, page, angstrom):
        box, (low, high) = page.at_rest(lambda: page.box("imo-spectrum")), page.range()
        pixel = (high - low) / box["width"]
        x = box["x"] + (angstrom - low) / pixel
        page.page.mouse.move(x - 2, box["y"] + box["height"] / 2)
        page.page.mouse.move(x, box["y"] + box["height"] / 2)

        def is_there():
            at = re.match(r"([\d.]+) Å", page.readout())
            return at and abs(float(at[1]) - angstrom) < pixel + 0.05  # and not where the mouse was before

        page.until(is_there)
        return page.readout()

    def test_says_what_is_under_the_mouse(self, page):
        page.press("view", "halpha")
        text = self.hover(page, HALPHA * 1.32 * (1 + 100 / 299792.458))
        shown = re.match(
            r"([\d.]+) Å · rest ([\d.]+) Å · normalised flux ([\d.]+) ± ([\d.]+) · IMO (\S+) \(significant: [^)]+\)"
            r" · Hα ([+−])(\d+) km/s",
            text,
        )
        assert shown, text
        observed, rest = float(shown[1]), float(shown[2])
        assert observed == pytest.approx(HALPHA * 1.32, abs=5) and rest == pytest.approx(observed / 1.32, abs=0.1)
        pixel = round((observed - 3600) / 0.8)
        near = slice(pixel - 1, pixel + 2)
        assert SPECTRA.flux[0][near].min() * 0.99 <= float(shown[3]) <= SPECTRA.flux[0][near].max() * 1.01
        assert float(shown[4]) == pytest.approx(0.15, rel=0.01)
        speed = (1 if shown[6] == "+" else -1) * float(shown[7])
        assert speed == pytest.approx(299792.458 * (observed / (HALPHA * 1.32) - 1), abs=3)
        assert "feature 1" in text

    def test_names_the_instrument(self, page):
        (_, low, high) = next(band for band in TELLURIC_BANDS if band[0] == "O2 B")
        assert "telluric O2 B" in self.hover(page, (low + high) / 2)
        assert "overlap of the B and R arms" in self.hover(page, sum(ARM_OVERLAPS["B/R"]) / 2)

    def test_marks_follow_the_instrument_of_the_target(self, page):
        overlap = {0: "overlap of the B and R arms", 1: "overlap of the blue and red cameras", 3: ""}
        label = {0: "Arm overlaps", 1: "Camera overlaps", 3: "Overlaps (instrument not known)"}
        for row in (1, 3, 0):
            page.target(row)
            text = self.hover(page, sum(ARM_OVERLAPS["B/R"]) / 2)
            assert ("overlap" in text) == (row != 3) and overlap[row] in text
            page.page.get_by_role("button", name="Show").click()
            assert page.page.get_by_label(label[row], exact=True).is_enabled() == (row != 3)
            page.key("Escape")

    def test_says_masked(self, page):
        page.page.evaluate("() => window.imo.explorer.zoomTo(6000, 6032)")
        assert "masked" in self.hover(page, 3600 + 0.8 * (MASKED.start + MASKED.stop) / 2)


class TestRange:
    """Asking about a range: drawn everywhere when the mouse is released, told a few times on the way."""

    @pytest.mark.parametrize("panel", ["imo-spectrum", "imo-map", "imo-w1"])
    def test_is_drawn_everywhere_and_told(self, page, panel):
        page.press("drag", "ask")
        before = page.mark()
        low, high = page.range()
        page.drag(panel, 0.25, 0.5)
        heard, sent = page.since(before)
        told = [value for kind, value in heard if kind == "brush"]
        assert told[-1] == pytest.approx([low + 0.25 * (high - low), low + 0.5 * (high - low)], abs=0.01 * (high - low))
        assert page.range() == [low, high]
        assert np.isclose(np.subtract.outer(told[-1], SPECTRA.wavelength), 0, atol=1e-6).any(axis=1).all()  # pixels
        assert page.page.locator("[data-announce]").inner_text() == f"asked about {range_words(*told[-1])}"
        assert sum(isinstance(one, str) and "ModelChanged" in one for one in sent) == len(told)
        drawn = page.page.evaluate(
            """() => [...Bokeh.documents[0]._all_models.values()].filter((m) => m.name?.startsWith("imo-"))
              .map((m) => m.renderers.find((r) => r.name === "brush").data_source.data.low[0])"""
        )
        assert drawn == [told[-1][0]] * len(PANELS)
        before = page.mark()
        page.key("Escape")
        page.wait_to_hear("cleared", None, after=before.heard)
        assert page.state()["asking"] is False

    def test_is_told_while_it_is_drawn(self, page):
        page.press("drag", "ask")
        before = page.mark()
        low, high = page.range()
        box = page.box("imo-w1")
        y = box["y"] + 0.6 * box["height"]

        def told():
            return [value for kind, value in page.heard()[before.heard :] if kind == "brush"]

        def told_of(end):
            for shake in (0, 1):  # it is told at most every 150 ms, and only when the mouse moves
                page.page.mouse.move(box["x"] + end * box["width"], y + shake)
            reached = low + end * (high - low)
            return told() and told()[-1][1] == pytest.approx(reached, abs=0.01 * (high - low))

        page.page.mouse.move(box["x"] + 0.2 * box["width"], y)
        page.page.mouse.down()
        for share in (0.3, 0.4):
            page.until(lambda share=share: told_of(share))
        told = told()
        page.page.mouse.up()
        assert all(one[0] == pytest.approx(low + 0.2 * (high - low), abs=0.01 * (high - low)) for one in told)
        assert told == sorted(told)  # it grows
        page.key("Escape")

    def test_dragging_zooms_otherwise(self, page):
        before = page.mark()
        low, high = page.range()
        page.drag("imo-spectrum", 0.25, 0.5)
        assert page.range() == pytest.approx(
            [low + 0.25 * (high - low), low + 0.5 * (high - low)], abs=0.01 * (high - low)
        )
        assert page.since(before)[0] == []

    def test_can_be_the_view_by_keyboard(self, page):
        before = page.mark()
        page.key("a", "Q")
        low, high = page.range()
        inside = SPECTRA.wavelength[(SPECTRA.wavelength >= low) & (SPECTRA.wavelength <= high)]
        expected = ["brush", pytest.approx([inside[0], inside[-1]], abs=1e-6)]
        page.until(lambda: expected in page.heard()[before.heard :])

    def test_python_can_forget_it(self, page):
        page.key("a", "Q", "z")
        page.page.wait_for_function(
            """() => Bokeh.documents[0].get_model_by_name("imo-w1").renderers.find((r) => r.name === "brush")
              .data_source.data.low.length === 0"""
        )

    def test_is_forgotten_with_its_target(self, page):
        page.key("a", "Q")
        before = page.mark()
        page.target(1)
        assert ["cleared", None] in page.since(before)[0]


class TestFeatures:
    def test_zoom_to_and_a_click_on_the_number(self, page):
        page.page.evaluate("() => window.imo.explorer.zoomTo(7592, 7700)")
        low, high = page.range()
        assert low < 7592 - 20 and high > 7700 + 20 and high - low < 1000
        page.key("r")
        page.at_rest(page.tools)
        box, (low, high) = page.box("imo-combined"), page.range()
        x = box["x"] + (6565 * 1.32 - low) / (high - low) * box["width"]
        y = box["y"] + 12
        page.page.mouse.click(x, y)
        page.page.wait_for_function(
            """() => {
              const {start, end} = Bokeh.documents[0].get_model_by_name("imo-spectrum").x_range
              return end - start < 1000
            }"""
        )
        low, high = page.range()
        assert low < 6540 * 1.32 and high > 6590 * 1.32

    def test_in_large_type_what_matters_least_makes_room_and_can_be_brought_back(self, page):
        page.page.set_viewport_size({"width": 1280, "height": 660})
        page.key("T")
        page.until(lambda: not page.tools()["map"]["visible"])
        tools = page.at_rest(page.tools)
        shown = {name: one for name, one in tools.items() if one["visible"]}
        assert {"spectrum", "combined", "w1"} <= set(shown) and "map" not in shown
        assert all(page.box(f"imo-{name}")["height"] >= 110 for name in shown)
        page.page.evaluate("() => window.imo.explorer.panel('map', true)")
        assert page.at_rest(page.tools)["map"]["visible"]
        page.key("T")
        page.page.set_viewport_size({"width": 1440, "height": 900})
        page.until(lambda: [name for name, one in page.tools().items() if not one["visible"]] == ["residual"])

    def test_numbers_that_would_overlap_stand_side_by_side(self, page):
        box, (low, high) = page.box("imo-combined"), page.range()
        at, spot = (page.column("peak", name) for name in ("at", "spot"))
        place = (spot - low) / (high - low) * box["width"]
        assert np.diff(np.sort(place)).min() > 18
        assert spot[0] == pytest.approx(at[0]) and (spot[1:] != at[1:]).any()
        tip, foot, peak = (page.column("peak", name) for name in ("tip", "foot", "peak"))
        bottom, top = page.tools()["combined"]["y"]
        np.testing.assert_allclose(bottom + tip * (top - bottom), peak, atol=1e-3 * (top - bottom))  # leaders end there
        assert (tip <= foot).all()
        page.page.evaluate("() => window.imo.explorer.zoomTo(7590, 7720)")
        page.painted()
        at, spot = (page.column("peak", name) for name in ("at", "spot"))
        low, high = page.range()
        seen = (at > low) & (at < high)
        assert seen.any() and not seen.all()
        np.testing.assert_allclose(spot[seen], at[seen])


class TestSecondView:
    def test_shows_halpha_of_whichever_target(self, page):
        page.key("g")
        for row in (0, 1):
            page.target(row)
            second = page.page.evaluate(SECOND)
            view, z = line_view("halpha"), REDSHIFTS[row]
            assert second["range"] == pytest.approx([view.low * (1 + z), view.high * (1 + z)])
            assert second["width"] > 100
            x, shown = np.array(second["x"]), np.array(second["shown"], float)
            assert x[0] <= second["range"][0] and x[-1] >= second["range"][1]
            assert x[np.nanargmax(shown)] == pytest.approx(HALPHA * (1 + z), abs=3)
            assert np.isfinite(np.array(second["combined"], float)).all()

    def test_says_when_it_cannot(self, page):
        page.target(2)
        page.key("g")
        assert "outside this spectrum" in page.readout()
        assert page.page.evaluate(SECOND)["x"] == []


class TestView:
    def test_is_kept_on_recomputation_and_reset_with_the_target(self, page):
        everything = page.range()
        page.key("a")
        zoomed = page.range()
        before = page.mark()
        page.key("*")  # the page shows the attribution anew
        assert page.since(before)[0] == [["key", "star"]]
        page.painted()
        assert page.range() == zoomed
        page.target(1)
        assert page.range() == everything
        page.key("u")
        assert page.range() == everything and "no earlier view" in page.readout()

    def test_what_was_computed_goes_with_its_spectrum(self, page):
        """The server sends nothing for it."""
        page.key("a")
        zoomed = page.range()
        assert np.isfinite(page.column("combined", "w4")).any()
        before = page.mark()
        page.key("/")
        page.wait_to_hear("key", "search", after=before.heard)
        page.page.wait_for_function(NOTHING_COMPUTED)
        assert np.isnan(page.column("combined", "combined")).all() and np.isnan(page.column("image", "image")).all()
        assert page.column("baseline", "w1").size == 0 and page.column("peak", "peak").size == 0
        assert np.isfinite(page.column("flux", "flux")).sum() > 7000
        assert page.range() == zoomed
        page.key("*")
        page.wait_for_values("w1")

    def test_panels_are_not_painted_for_every_message(self, page):
        """But once, when all of it is there."""
        page.wait_for_values("w1")
        page.mark()
        page.page.evaluate(COUNT_PAINTS)
        before, after = page.page.evaluate(GATHERED)
        shown = {name for name, one in page.tools().items() if one["visible"]}
        assert set(before) == shown
        assert set(before.values()) == {0}
        assert set(after.values()) == {1}

    def test_keys_zoom_and_move_within_the_spectrum(self, page):
        everything = page.range()
        page.key("+")
        low, high = page.range()
        assert high - low == pytest.approx(0.6 * (everything[1] - everything[0]))
        page.key("[", "[", "[", "[", "[", "[")
        assert page.range()[0] == pytest.approx(everything[0])
        page.key("-", "-", "-")
        assert page.range() == pytest.approx(everything)

    @pytest.mark.parametrize("view", [view for view in LINE_VIEWS if view.low is not None], ids=lambda view: view.name)
    def test_every_line_has_a_key(self, page, view):
        page.target(1)
        (key,) = (key.keys[0] for key in KEYS if key.action == f"view-{view.name}")
        page.key(key)
        assert page.range() == pytest.approx([1.1 * view.low, 1.1 * view.high])


class TestKeyboard:
    def test_every_key_does_something(self, page):
        assert page.page.evaluate("() => window.imo.explorer.keys.missing()") == []

    @pytest.mark.parametrize("key", [key for key in KEYS if key.forwarded], ids=lambda key: key.action)
    def test_forwarded_ones_are_one_event_each(self, page, key):
        before = page.mark()
        page.key(key.keys[0])
        page.wait_to_hear("key", key.action, after=before.heard)
        page.page.evaluate(f"() => ({FOCUSED})().blur()")
        heard, sent = page.since(before)
        assert [value for kind, value in heard if kind == "key"] == [key.action]
        assert sum(isinstance(one, str) and "ModelChanged" in one for one in sent) >= 1
        if key.action == "large-type":
            page.key(key.keys[0])

    def test_nothing_happens_while_typing(self, page):
        field = page.page.get_by_role("textbox").first
        field.click()
        before, seen = page.mark(), (page.range(), page.state())
        page.page.keyboard.type("nba3s?z")
        assert page.since(before)[0] == []
        assert (page.range(), page.state()) == seen
        assert field.input_value() == "nba3s?z"
        field.fill("")
        field.blur()

    def test_nor_with_another_key_held(self, page):
        before, seen = page.mark(), page.range()
        for other in ("Control", "Alt", "Meta"):
            page.page.evaluate(
                "(name) => window.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', [name + 'Key']: true}))",
                {"Control": "ctrl"}.get(other, other.lower()),
            )
        assert page.since(before)[0] == [] and page.range() == seen

    def test_a_held_key_is_told_once(self, page):
        before = page.mark()
        page.page.keyboard.down("3")
        page.page.keyboard.down("3")  # a repetition
        page.page.keyboard.up("3")
        assert page.since(before)[0] == [["key", "quality-3"]]

    def test_comment_puts_the_cursor_there(self, page):
        page.key("c")
        page.page.keyboard.type("odd Hα")
        field = page.page.get_by_role("textbox").first
        assert field.input_value() == "odd Hα"
        field.fill("")
        field.blur()

    def test_help_lists_every_key_and_gives_the_focus_back(self, page):
        page.page.get_by_role("button", name="List of keys").focus()
        page.key("?")
        dialog = page.page.get_by_role("dialog", name="Keyboard")
        dialog.wait_for()
        text = dialog.inner_text()
        for key in KEYS:
            assert key.words in text
        before = page.range()
        page.key("a")  # keys wait while it is open
        assert page.range() == before
        page.key("Escape")
        dialog.wait_for(state="hidden")
        assert page.page.evaluate(f"() => ({FOCUSED})().ariaLabel") == "List of keys"

    def test_controls_have_names_and_the_menu_takes_the_focus(self, page):
        page.key("p")
        assert page.page.get_by_label("Spectrum", exact=True).evaluate(
            "(box) => box.getRootNode().activeElement === box"
        )
        page.key("Escape")
        names = page.page.locator(".bars button").evaluate_all("(all) => all.map((b) => b.ariaLabel || b.textContent)")
        assert len(names) > 20 and all(name.strip() for name in names)


class TestSocket:
    def test_nothing_of_it_reaches_the_server(self, page):
        """Every key that asks the engine nothing, every switch, zooming, hovering, and a changed window."""
        page.key("Escape")
        page.painted()
        before = page.mark()
        for key in KEYS:
            if not key.forwarded and key.action not in ("brush-view", "theme", "repair"):
                for name in key.keys:
                    page.key(name)
                    if key.action in ("help", "menu"):
                        page.key("Escape")
        page.page.get_by_role("button", name="Show").click()
        boxes = page.page.locator("[data-menu] input")
        for box in boxes.all() + boxes.all():
            box.click()
        page.key("Escape")
        for name in ("3", "31", "0"):
            page.press("smoothing", name)
        page.switch_off("frame")  # its key was pressed
        page.press("drag", "ask")
        page.switch_off("drag")
        page.drag("imo-combined", 0.2, 0.4)
        page.page.mouse.wheel(0, -300)
        page.page.get_by_role("button", name="Undo zoom").click()
        page.page.set_viewport_size({"width": 1300, "height": 800})
        page.painted()
        page.pause(200)
        page.page.set_viewport_size({"width": 1440, "height": 900})
        page.painted()
        page.pause(600)
        assert page.since(before) == ([], [])


def test_nothing_went_wrong_meanwhile(whole):
    """Runs last."""
    assert whole.errors == []
    for line in whole.output:
        assert "Traceback" not in line and "ERROR" not in line, "".join(whole.output)


def test_a_curve_is_thinned_when_the_screen_has_fewer_pixels_and_only_then(page):
    whole = page.page.evaluate(PAINTED_POINTS, "imo-w1")
    page.press("view", "halpha")
    zoomed = page.page.evaluate(PAINTED_POINTS, "imo-w1")
    curves = 1 + 8  # the mean, and single baselines
    assert 0 < whole["points"] < 3 * curves * whole["width"]
    assert zoomed["points"] > 0.9 * curves * 7781
    for panel in (whole, zoomed):
        assert [panel["low"], panel["high"]] == pytest.approx(panel["expected"])


def test_panels_that_bokeh_has_not_laid_out_yet_are_no_error(page):
    assert page.page.evaluate(NOT_LAID_OUT)  # else Bokeh has laid them out meanwhile
    page.painted()
    assert page.errors == []
