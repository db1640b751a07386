"""One object as a file: opened from the disk in a real Chromium without a network, its plots and buttons work."""

import time
from dataclasses import replace

import numpy as np
import pytest
from helpers.browser import FIGURES, PATIENCE, Visit, chromium
from helpers.deviating import beside_baselines
from helpers.tools_page import ATTRIBUTIONS, REDSHIFTS, SPECTRA

from app.exports.standalone import StandaloneObject, standalone_html
from app.findings.reasons import Reason
from app.labels import Label
from imo_engine.errors import InputError
from imo_engine.reasons.features import find_features
from imo_engine.reasons.sentences import sentence

HOSTILE = "</script></template><img src=x onerror='window.hacked=1'>"


def hostile_object():
    """Return an object whose every word tries to get out."""
    spectrum, attribution = SPECTRA[[0]], ATTRIBUTIONS[0]
    found = find_features(attribution, beside_baselines(attribution, spectrum.ivar[0]))
    return StandaloneObject(
        spectrum=replace(spectrum, target_id=np.array([HOSTILE]), source=np.array([HOSTILE])),
        attribution=replace(attribution, provenance={"model": HOSTILE}),
        reason=Reason(found, sentence(found, 0.1), (0.9 * spectrum.flux[0]).astype(np.float32)),
        label=Label(HOSTILE, 3, "S", 0.321, "GALAXY", HOSTILE + "\nsecond line", True),
        scanner=HOSTILE,
        facts=(("rank", "1 of 12,000"),),
        simulated=True,
    )


@pytest.fixture(scope="module")
def html():
    return standalone_html(hostile_object())


def test_is_one_file_of_a_few_megabytes(html):
    assert 2e6 < len(html.encode()) < 6e6
    head = html[: html.index("</head>")]
    for tag in ("<link", "<script src", "<img", "@import"):
        assert tag not in head[:2000] and f"\n{tag}" not in html


def test_only_one_spectrum():
    with pytest.raises(InputError, match="'spectrum' has 2 spectra"):
        standalone_html(StandaloneObject(SPECTRA[[0, 1]], ATTRIBUTIONS[0]))


@pytest.fixture(scope="module")
def seen(html, tmp_path_factory):
    path = tmp_path_factory.mktemp("standalone") / "object.html"
    path.write_text(html, encoding="utf-8")
    with chromium() as browser:
        context = browser.new_context(offline=True, viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        seen = Visit(page)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and seen.errors.append(message.text))
        page.goto(path.as_uri())
        wait(seen, "window.imo?.explorer !== undefined")
        seen.painted()
        seen.file = path.as_uri()
        yield seen


@pytest.mark.browser
class TestInTheBrowser:
    @pytest.fixture(autouse=True)
    def quiet(self, seen):
        yield
        assert seen.requests == [seen.file]
        assert seen.errors == []
        assert seen.page.evaluate("window.hacked") is None

    def test_all_panels_are_drawn(self, seen):
        wait(seen, "Object.values(figures).length === 8", f"const figures = ({FIGURES})()")
        figures = seen.figures()
        assert list(figures) and {"spectrum", "combined", "map", "w1", "w256"} <= set(figures)
        for figure in figures.values():
            assert any(figure["filled"].values())
        assert seen.page.locator("canvas").count() > 0

    def test_line_buttons_zoom_all_panels_and_undo_goes_back(self, seen):
        before = seen.x_range()
        press(seen, "view", "halpha")
        low, high = seen.x_range()
        assert low < 6564.6 * (1 + REDSHIFTS[0]) < high and high - low < 600
        seen.page.get_by_role("button", name="Undo zoom").click()
        wait_for_range(seen, before)

    def test_dragging_zooms(self, seen):
        box = seen.page.locator(".bk-Figure").first.bounding_box()
        before = seen.x_range()
        y = box["y"] + box["height"] / 2
        seen.page.mouse.move(box["x"] + 0.3 * box["width"], y)
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + 0.5 * box["width"], y, steps=5)
        seen.page.mouse.up()
        wait(seen, f"r.end - r.start < {0.5 * (before[1] - before[0])}", RANGE)
        seen.page.keyboard.press("r")
        wait_for_range(seen, before)

    def test_the_read_out_follows_the_mouse(self, seen):
        box = seen.page.locator(".bk-Figure").first.bounding_box()
        seen.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        seen.page.locator("[data-readout]", has_text="IMO").wait_for()
        assert "rest" in seen.page.locator("[data-readout]").inner_text()

    def test_smoothing_frame_and_panels(self, seen):
        rough = seen.column("shown", "shown")
        press(seen, "smoothing", "15")
        assert np.nanstd(np.diff(seen.column("shown", "shown"))) < 0.5 * np.nanstd(np.diff(rough))
        press(seen, "smoothing", "0")
        press(seen, "frame", "rest")
        axes = seen.figures()["w1"]["axes"]
        assert axes[-1] == {"label": "rest-frame wavelength (Å, vacuum)", "visible": True}
        seen.page.keyboard.press("v")
        assert seen.figures()["w1"]["axes"][-1]["label"].startswith("observed")
        seen.page.keyboard.press("j")
        assert "w1" not in seen.figures()
        seen.page.keyboard.press("j")
        seen.page.keyboard.press("e")
        assert np.isfinite(seen.column("shown", "residual")).any()
        seen.page.keyboard.press("e")

    def test_keys_that_need_a_server_are_not_there(self, seen):
        assert seen.page.evaluate("window.imo.explorer.keys.missing()") == []
        actions = set(seen.page.evaluate("window.imo.explorer.keys.list.map((key) => key.action)"))
        assert "view-halpha" in actions
        assert not actions & {"next", "quality-1", "comment", "brush", "class"}
        seen.page.keyboard.press("?")
        seen.page.locator("#imo-help").wait_for()
        seen.page.keyboard.press("Escape")

    def test_words_are_text(self, seen):
        page = seen.page
        assert page.locator("header b").inner_text() == HOSTILE
        assert page.title() == f"{HOSTILE} · IMO Explorer"
        said = page.locator('[aria-label="Label"]').inner_text()
        assert said.count(HOSTILE) == 3 and "second line" in said
        assert HOSTILE in page.locator('[aria-label="How it was made"]').inner_text()
        assert page.get_by_text("Simulated data").is_visible()
        assert page.locator("img").count() == 0

    def test_a_reason_zooms_to_its_range(self, seen):
        before = seen.x_range()
        seen.page.locator(".why .feature").first.click()
        wait(seen, f"r.end - r.start < {0.5 * (before[1] - before[0])}", RANGE)
        seen.page.keyboard.press("r")
        wait_for_range(seen, before)


RANGE = 'const r = [...Bokeh.documents[0]._all_models.values()].find((m) => m.name === "imo-spectrum").x_range'


def wait(seen, condition, before=""):
    """Wait for a condition; what waits in the page itself, the file's policy forbids."""
    deadline = time.monotonic() + PATIENCE
    while not seen.page.evaluate(f"() => {{ try {{ {before}; return {condition} }} catch {{ return false }} }}"):
        assert time.monotonic() < deadline, f"never: {condition}; {seen.errors}"
        time.sleep(0.05)


def wait_for_range(seen, wanted):
    wait(seen, f"Math.abs(r.start - {wanted[0]}) + Math.abs(r.end - {wanted[1]}) < 0.5", RANGE)


def press(seen, group, value):
    button = seen.page.locator(f'button[data-group="{group}"][data-value="{value}"]')
    in_menu = not button.is_visible()
    if in_menu:
        seen.page.get_by_role("button", name="Show").click()
    button.click()
    seen.page.locator(f'button[data-group="{group}"][data-value="{value}"][aria-pressed="true"]').wait_for()
    if in_menu:
        seen.page.keyboard.press("Escape")
