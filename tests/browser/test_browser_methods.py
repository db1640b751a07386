"""Methods side by side and the live explanation, in a real Chromium: one server and one page for all of it."""

import json
import re

import numpy as np
import pytest
from helpers.browser import CHROMIUM, Gate, chromium, serving, visit, write_desi_model
from helpers.galaxies import FAR, FULL, HALPHA, REDSHIFT, UNSCORED, write_galaxies

from app.findings.method_scores import SCORES_FILE, read_scores
from app.state.method_choices import METHOD_CHOICES
from imo_engine.attribution.hybrids import Hybrids
from imo_engine.methods import METHODS
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.readers import read_spectra
from imo_engine.system.embedded import embedded_file

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

N_BASELINES = 2
WINDOWS = (16, 64, 256)

SETTLED = """
(names) => {
  const {data} = [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.note)
  return JSON.stringify(data.name.slice(1)) === JSON.stringify(names) &&
    data.state.slice(1).every((state) => state === "done" || state === "failed")
}
"""

LISTED = "() => [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.note).data"

# Panels of methods and of windows: where they are on the page, what is written, which wavelengths they show
PLACED = """
() => Object.fromEntries([...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === "Figure" && /^(imo|other)-/.test(m.name ?? "") && m.visible)
  .map((m) => {
    const at = Bokeh.index.find_one(m).el.getBoundingClientRect()
    const label = m.center.find((one) => one.type === "Label")
    return [m.name, {
      x: at.x, y: at.y, width: at.width, height: at.height, range: [m.x_range.start, m.x_range.end],
      title: m.title?.text,
      note: label?.visible ? label.text : "", unit: m.left[0].axis_label,
      lines: m.renderers.filter((r) => r.name === "emission").map((r) => r.visible),
      axes: [...m.above, ...m.below].filter((a) => a.visible).map((a) => a.axis_label.split(" ")[0]),
    }]
  }))
"""

# How often the explanation was told what is on its stage
STAGED = "() => [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.words && m.data.z)?.data.count[0] ?? 0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("methods")
    write_desi_model(folder)
    write_galaxies(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return OutlierModel.load(folder / "narrow.safetensors", device="cpu")


@pytest.fixture(scope="module")
def baselines(folder, model):
    return BaselinePool.load(folder / "baselines.safetensors", model).draw(N_BASELINES, seed=0)


@pytest.fixture(scope="module")
def spectra(folder):
    return read_spectra(folder / "coadd-galaxies.fits")


@pytest.fixture(scope="module")
def gates(folder):
    return Gate(folder)


@pytest.fixture
def gate(gates):
    """Keeps what the test's server computes from coming to an end while it is closed."""
    yield gates
    gates.open()


@pytest.fixture(scope="module")
def whole(folder, gates):
    given = ["--spectra", folder / "coadd-galaxies.fits", "--model", folder / "narrow.safetensors", "--device", "cpu"]
    given += ["--n-baselines", N_BASELINES, "--windows", "16,64,256", "--no-ahead"]
    given += ["--labels", folder / "labels.sqlite", "--cache", folder / "cache"]
    with chromium() as browser, serving(*given, threads=1, gate=gates) as server:
        seen = visit(browser, f"{server.url}?target={FULL}&compare=gradient_times_input,occlusion")
        yield seen
        assert (seen.errors, seen.outside) == ([], [])


@pytest.fixture
def page(whole):
    """That page with the first target, its two methods there, and no dialog open."""
    seen = whole
    if seen.page.locator("[data-hybrid]").is_visible():
        seen.page.keyboard.press("Escape")
        seen.page.locator("[data-hybrid]").wait_for(state="hidden")
    seen.show(FULL)
    if not seen.page.locator("[data-methods]").is_visible():
        seen.page.keyboard.press("M")
        seen.page.locator("[data-methods]").wait_for()
    for choice in METHOD_CHOICES:
        chip = seen.page.locator(f'button[data-group="method"][data-value="{choice.name}"]')
        if (chip.get_attribute("aria-pressed") == "true") != (choice.name in ("gradient_times_input", "occlusion")):
            chip.click()
    settle(seen, "gradient_times_input", "occlusion")
    seen.press("view", "full")
    return seen


def settle(seen, *names):
    seen.page.wait_for_function(SETTLED, arg=list(names))
    seen.painted()


def chip(seen, name):
    seen.page.locator(f'button[data-group="method"][data-value="{name}"]').click()


def expected(model, spectra, baselines, target, name):
    row = spectra.row(target)
    return METHODS[name](
        model, model.prepare(spectra)[row], spectra.redshift[row], baselines, valid=spectra.measured[row]
    ).values


class TestCompare:
    def test_stands_beside_inverse_occlusion_on_one_axis(self, page):
        placed = page.at_rest(lambda: page.page.evaluate(PLACED))
        left = ["imo-spectrum", "other-method0", "other-method1"]
        right = ["imo-combined", "imo-map", "imo-w256", "imo-w64", "imo-w16"]
        assert set(placed) == {*left, *right}
        assert len({tuple(one["range"]) for one in placed.values()}) == 1
        for column in (left, right):
            assert len({round(placed[name]["x"]) for name in column}) == 1
            tops = [placed[name]["y"] for name in column]
            assert tops == sorted(tops)
            assert placed[column[0]]["axes"][0] == "rest-frame" and placed[column[-1]]["axes"][-1] == "observed"
            assert all(placed[name]["axes"] == [] for name in column[1:-1])
        edge = placed["imo-spectrum"]["x"] + placed["imo-spectrum"]["width"]
        assert placed["imo-combined"]["x"] == pytest.approx(edge, abs=2)
        bottoms = [placed[column[-1]]["y"] + placed[column[-1]]["height"] for column in (left, right)]
        assert bottoms[0] == pytest.approx(bottoms[1], abs=3)

    def test_shows_curve_unit_and_cost(self, page, model, spectra, baselines):
        for slot, name in enumerate(("gradient_times_input", "occlusion")):
            values = page.column("m0", f"m{slot}")
            np.testing.assert_allclose(values, expected(model, spectra, baselines, FULL, name), rtol=1e-3, atol=1e-5)
        placed = page.page.evaluate(PLACED)
        assert placed["other-method1"]["title"].startswith("Occlusion, W = 64: nat · ")
        assert "evaluations" in placed["other-method1"]["title"]
        assert placed["other-method1"]["unit"].startswith("nat") and "→" in placed["other-method1"]["unit"]
        assert "lowers log p" in page.page.locator("[data-methods]").inner_text()

    def test_line_buttons_zoom_it_and_send_nothing(self, page):
        before = page.quiet()
        page.press("view", "halpha")
        centre = HALPHA * (1 + REDSHIFT[FULL])
        placed = page.page.evaluate(PLACED)
        low, high = placed["other-method0"]["range"]
        assert low < centre < high and high - low < 400
        page.page.evaluate("() => window.imo.explorer.layer('emission', false)")
        assert page.page.evaluate(PLACED)["other-method0"]["lines"] == [False]
        page.page.evaluate("() => window.imo.explorer.layer('emission', true)")
        page.page.keyboard.press("r")
        page.quiet()
        assert page.sent[before:] == []

    def test_a_method_comes_and_goes(self, page):
        chip(page, "occlusion")
        settle(page, "gradient_times_input")
        assert "other-method1" not in page.page.evaluate(PLACED)
        chip(page, "deep_lift")
        settle(page, "gradient_times_input", "deep_lift")
        note = page.page.evaluate(PLACED)["other-method1"]["note"]
        assert note.replace("\n", " ").startswith("DeepLIFT does not apply to this network")

    def test_seven_are_too_many(self, page):
        names = ["gradient_times_input", "occlusion"]
        for name in ("random", "residual_over_noise", "mean_baseline_difference", "deep_lift"):
            chip(page, name)
            names.append(name)
            settle(page, *names)
        before = page.quiet()
        chip(page, "lime")
        page.page.locator("[data-readout]", has_text="at most").wait_for()
        page.quiet()
        assert page.sent[before:] == []

    def test_another_target_while_a_method_runs(self, page, model, spectra, baselines, gate):
        gate.close()
        chip(page, "feature_ablation")
        page.page.wait_for_function(f"({LISTED})().name.includes('feature_ablation')")
        assert page.page.evaluate(LISTED)["state"][1:] == ["done", "done", "waiting"]
        page.show(FAR)
        assert "done" not in page.page.evaluate(LISTED)["state"]
        gate.open()
        settle(page, "gradient_times_input", "occlusion", "feature_ablation")
        for slot, name in enumerate(("gradient_times_input", "occlusion", "feature_ablation")):
            values = page.column("m0", f"m{slot}")
            np.testing.assert_allclose(values, expected(model, spectra, baselines, FAR, name), rtol=1e-3, atol=1e-5)

    def test_a_target_without_a_score(self, page):
        page.select(UNSCORED)
        page.page.wait_for_function(f"({LISTED})().note[1].includes('redshift')")
        assert not np.isfinite(page.column("m0", "m0")).any()

    def test_the_address_has_it_and_leaving_puts_everything_back(self, page):
        page.page.wait_for_function("() => location.search.includes('compare=gradient_times_input,occlusion')")
        page.page.keyboard.press("M")
        page.page.locator("[data-methods]").wait_for(state="hidden")
        page.page.wait_for_function("() => !location.search.includes('compare')")
        placed = page.at_rest(lambda: page.page.evaluate(PLACED))
        assert not any(name.startswith("other") for name in placed)
        assert len({(round(one["x"]), round(one["width"])) for one in placed.values()}) == 1
        assert [one["axes"] for one in placed.values() if one["axes"]] == [["rest-frame"], ["observed"]]


@pytest.fixture(scope="module")
def hybrids(model, spectra, baselines):
    row = spectra.row(FULL)
    flux, z = model.prepare(spectra)[row], float(spectra.redshift[row])
    return Hybrids.of(model, flux, z, baselines, valid=spectra.measured[row])


class TestExplanation:
    @pytest.fixture
    def open_page(self, page):
        before = page.page.evaluate(STAGED)
        page.page.keyboard.press("E")
        page.page.locator("[data-hybrid]").wait_for()
        # told to get ready, and ready: what is there from the last time does not count
        page.page.wait_for_function(f"(before) => ({STAGED})() >= before + 2", arg=before)
        page.page.locator("[data-hybrid][data-ready]").wait_for()
        page.page.wait_for_function("() => window.imo.hybrid.state.ready")
        return page

    @staticmethod
    def fact(page, name):
        return page.page.locator(f'[data-fact="{name}"]').inner_text().replace("−", "-")

    def wait_for_answer(self, page):
        page.page.locator('[data-fact="hybrid"]', has_text=re.compile(r"\d")).wait_for()

    def test_says_what_the_model_says(self, open_page, hybrids):
        self.wait_for_answer(open_page)
        state = open_page.page.evaluate("() => window.imo.hybrid.state")
        base = hybrids.baseline_log_prob[state["baseline"]]
        found = hybrids.log_prob(state["baseline"], [state["at"]], state["window"])[0]
        assert float(self.fact(open_page, "base")) == pytest.approx(base, abs=0.011)
        assert float(self.fact(open_page, "hybrid")) == pytest.approx(found, abs=0.011)
        assert float(self.fact(open_page, "fall").split()[0]) == pytest.approx(base - found, abs=0.011)

    def test_keys_move_the_window_and_change_it(self, open_page, hybrids):
        self.wait_for_answer(open_page)
        before = open_page.page.evaluate("() => ({...window.imo.hybrid.state})")
        key, way = ("ArrowLeft", -1) if before["at"] > 4000 else ("ArrowRight", 1)
        open_page.page.keyboard.press(key)
        after = open_page.page.evaluate("() => ({...window.imo.hybrid.state})")
        assert after["at"] == before["at"] + way * (before["window"] // 4)
        open_page.page.keyboard.press("ArrowDown")
        self.wait_for_answer(open_page)
        state = open_page.page.evaluate("() => ({...window.imo.hybrid.state})")
        assert state["window"] == 16
        found = hybrids.log_prob(state["baseline"], [state["at"]], 16)[0]
        assert float(self.fact(open_page, "hybrid")) == pytest.approx(found, abs=0.011)

    def test_the_hybrid_is_the_baseline_with_the_window(self, open_page, hybrids):
        drawn = open_page.column("hybrid", "hybrid")
        state = open_page.page.evaluate("() => window.imo.hybrid.state")
        inside = hybrids.replaced(state["at"], state["window"])
        np.testing.assert_allclose(drawn[inside], hybrids.flux[inside], rtol=1e-5)
        np.testing.assert_allclose(drawn[~inside], hybrids.baselines[state["baseline"]][~inside], rtol=1e-5)

    def test_play_sweeps_what_is_in_view(self, open_page, hybrids):
        self.wait_for_answer(open_page)
        open_page.page.locator('[data-size="256"]').click()
        open_page.page.locator("[data-play]").click()
        open_page.page.wait_for_function("() => !window.imo.hybrid.state.playing")
        found = open_page.page.evaluate(
            """() => {
              const effect = Bokeh.documents[0].get_model_by_name("hybrid-effect").renderers
                .find((r) => r.glyph.type === "Scatter").data_source.data
              return JSON.stringify([Array.from(effect.x), Array.from(effect.y)])
            }"""
        )
        x, y = json.loads(found)
        starts = [start for start in range(0, 7781 - 255, 256) if hybrids.replaced(start, 256).any()]
        assert len(x) >= len(starts)
        state = open_page.page.evaluate("() => window.imo.hybrid.state")
        for start in starts[::7]:
            inside = hybrids.replaced(start, 256).sum()
            fall = hybrids.baseline_log_prob[state["baseline"]] - hybrids.log_prob(state["baseline"], [start], 256)[0]
            at = int(np.argmin(np.abs(np.array(x) - (3600 + 0.8 * (start + 127.5)))))
            assert y[at] == pytest.approx(fall / inside, rel=1e-3, abs=1e-4)

    def test_a_late_answer_does_not_end_what_is_played(self, open_page):
        self.wait_for_answer(open_page)
        playing = open_page.page.evaluate(
            """() => {
              const {hybrid: x} = window.imo, {at, window: size, baseline} = x.state
              x.play()
              const answer = [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.last !== undefined)
              const late = {start: [at], window: [size], baseline: [baseline], log_prob: [0], last: [true], count: [0]}
              answer.setv({data: late}, {silent: true})
              x.answered()
              return x.state.playing
            }"""
        )
        assert playing
        open_page.page.wait_for_function("() => !window.imo.hybrid.state.playing")

    def test_closing_it_gives_the_keys_back(self, open_page):
        open_page.page.keyboard.press("Escape")
        open_page.page.locator("[data-hybrid]").wait_for(state="hidden")
        open_page.page.keyboard.press("a")
        open_page.page.wait_for_selector('button[data-value="halpha"][aria-pressed="true"]')


ROWS = """() => Object.fromEntries(Bokeh.documents.flatMap((document) => [...document._all_models.values()])
  .filter((model) => model.type === "Figure" && model.y_range.factors !== undefined)
  .map((figure) => [figure.title.text, figure.y_range.factors]))"""
"""What the rows of each figure stand for, from the lowest, by title; of the newest figure where there are several."""


def test_the_page_of_scores_shows_what_is_chosen_without_a_complaint(whole):
    page = whole.page.context.browser.new_page()
    page.set_default_timeout(120_000)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.goto(f"{whole.page.url.split('?')[0]}evaluation?theme=dark")
    scores = read_scores(embedded_file(SCORES_FILE))
    first = scores.table("average_precision_1sigma")
    page.locator(".verdict", has_text=first.verdict()).wait_for()
    page.locator(".bk-Figure").first.wait_for()

    page.get_by_label("Only outliers that log p sees").click()
    seen = scores.table("average_precision_1sigma", seen=True)
    assert seen.verdict() != first.verdict()
    page.locator(".verdict", has_text=seen.verdict()).wait_for()

    page.get_by_role("combobox").click()
    name = next(name for name, key in scores.metrics.items() if key == "repair_256")
    page.locator(".MuiMenuItem-root", has_text=re.compile(f"^{re.escape(name)}$")).click()
    assert scores.table("repair_256", seen=True) is None
    page.get_by_text("This score was not kept for these outliers; choose another one.").wait_for()
    page.get_by_label("Only outliers that log p sees").click()
    repair = scores.table("repair_256")
    page.locator(".verdict", has_text=repair.verdict()).wait_for()
    best = [repair.labels[k] for k in repair.best_first()]
    assert best != [first.labels[k] for k in first.best_first()]
    page.wait_for_function(f"(rows) => String(({ROWS})()['All kinds']) === String(rows)", arg=best[::-1])
    page.wait_for_function(f"(title) => title in ({ROWS})()", arg=scores.choices("repair_256").text)
    assert complaints == []
    page.close()
