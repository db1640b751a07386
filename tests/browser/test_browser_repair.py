"""Repair in a real Chromium: asked by key, listed, drawn, hidden, dropped with its target, and there again."""

import pytest
from helpers.browser import chromium, serving, visit

pytestmark = pytest.mark.browser

COSMIC_RAY = "39628000001001386"
"""An injected cosmic ray of the demo survey, rest 3600 Angstrom; its attribution ships."""
OTHER = "39628000001010487"

# Whether all that belongs to the repair can be seen, and its regions
REPAIR = """
() => {
  const models = [...Bokeh.documents[0]._all_models.values()]
  const marks = models.filter((m) => m.type === "GlyphRenderer" && m.name === "repair")
  const source = marks[0].data_source
  return {shown: marks.map((m) => m.visible), low: source.data.low, high: source.data.high,
    points: Array.from(source.data.ys, (ys) => ys.length)}
}
"""

DRAWN = """
(count) => [...Bokeh.documents[0]._all_models.values()]
  .some((m) => m.type === "GlyphRenderer" && m.name === "repair" && m.data_source.data.low.length === count)
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repair")
    given = ["--no-ahead", "--device", "cpu", "--labels", folder / "labels.sqlite", "--cache", folder / "cache"]
    with chromium() as browser, serving(*given, threads=1) as server:
        seen = visit(browser, f"{server.url}?target={COSMIC_RAY}")
        yield seen
        assert (seen.errors, seen.outside) == ([], [])


def test_a_target_is_repaired_by_key_and_its_repair_comes_and_goes_with_it(seen):
    page = seen.page
    seen.show(COSMIC_RAY)
    seen.wait_for_status("done")
    panel = page.locator(".repair")
    assert panel.get_attribute("data-repair") == "idle"

    page.keyboard.press("R")
    page.wait_for_selector('[data-repair="done"]')
    words = page.locator(".repair .sentence").inner_text()
    assert words.startswith("Without this region (") and "of 12,000, not " in words
    page.wait_for_function(DRAWN, arg=1)
    drawn = page.evaluate(REPAIR)
    assert drawn["shown"] == [True, True]
    (low,), (high,) = drawn["low"], drawn["high"]
    assert high - low < 8 and drawn["points"][0] >= 3

    before = seen.x_range()
    page.locator(".repair .feature").click()
    seen.wait_for_other_range(before)
    first, last = seen.x_range()
    assert before[0] < first < low and high < last < before[1]

    for shown in (False, True):
        page.keyboard.press("R")
        page.wait_for_function(f"() => window.imo.explorer.state.layers.repair === {str(shown).lower()}")
        assert page.evaluate(REPAIR)["shown"] == [shown, shown]

    seen.select(OTHER)
    seen.show(OTHER)
    page.wait_for_selector('[data-repair="idle"]')
    page.wait_for_function(DRAWN, arg=0)
    seen.select(COSMIC_RAY)
    seen.show(COSMIC_RAY)
    page.wait_for_selector('[data-repair="done"]')
    page.wait_for_function(DRAWN, arg=1)
    assert page.locator(".repair .sentence").inner_text() == words
    assert page.evaluate(REPAIR)["low"] == [low]
