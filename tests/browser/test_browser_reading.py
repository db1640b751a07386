"""What one look at the page tells: the header, the table, why a target is odd, and the order in which Tab goes."""

import re

import pytest
from helpers.browser import serving, visit

pytestmark = pytest.mark.browser

FIRST, LINES = "39628000001003536", "39628000001010487"

# Where the focus is, through all shadow roots: header, left column, plots, or right column, by place
FOCUSED = """
() => {
  let one = document.activeElement
  while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement
  const box = one.getBoundingClientRect()
  if (one === document.body || box.width === 0) return ""
  const table = document.querySelector("body") && [...all(document)].find((e) => e.matches(".tabulator"))
  const form = [...all(document)].find((e) => e.matches(".imo-form"))
  if (box.bottom <= 50) return "header"
  if (box.right <= table.getBoundingClientRect().right + 1) return "table"
  return box.left < form.getBoundingClientRect().left ? "plots" : "right"
  function* all(root) {
    for (const element of root.querySelectorAll("*")) {
      yield element
      if (element.shadowRoot) yield* all(element.shadowRoot)
    }
  }
}
"""
# Cells of the table whose words do not fit, by column
CUT = """
() => {
  const found = []
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.matches(".tabulator-cell") && element.offsetWidth && element.scrollWidth > element.offsetWidth + 1) {
        found.push(element.getAttribute("tabulator-field"))
      }
      if (element.matches(".id") && element.scrollWidth > element.offsetWidth + 1) found.push("id")
      if (element.shadowRoot) walk(element.shadowRoot)
    }
  }
  walk(document)
  return found
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading")
    places = ["--labels", folder / "labels.sqlite", "--cache", folder / "cache"]
    with serving("--no-ahead", *places) as server:
        yield server


@pytest.fixture
def seen(server, browser):
    seen = visit(browser, f"{server.url}?target={LINES}")
    seen.wait_for_status("done")
    seen.page.locator(".why ol .feature").first.wait_for()
    yield seen
    assert seen.errors == []
    seen.page.close()


def columns(seen):
    titles = seen.page.locator(".tabulator-col").all()
    shown = [one.get_attribute("tabulator-field") for one in titles if one.is_visible()]
    return [name for name in shown if name]  # one has no name: it fills the rest


class TestHeader:
    def test_the_menu_is_used_by_keyboard_and_follows_the_keys(self, seen):
        page = seen.page
        box = page.locator('input[data-switch="large_type"]')
        page.get_by_role("button", name="View").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.get_by_role("checkbox", name="Large type").evaluate("(one) => one.matches(':focus')")
        page.keyboard.press("Space")
        seen.until(lambda: "1.3" in type_size(page))
        assert box.is_checked()
        page.keyboard.press("Escape")
        box.wait_for(state="hidden")
        page.keyboard.press("T")
        page.locator('input[data-switch="large_type"]:not(:checked)').wait_for(state="attached")
        seen.until(lambda: "1.3" not in type_size(page))

    def test_a_switch_shows_what_key_and_button_did_and_keeps_the_focus(self, seen):
        button = seen.page.get_by_role("button", name="Compare methods")
        pressed = seen.page.locator('button[data-switch="compare"][aria-pressed="true"]')
        button.focus()
        seen.page.keyboard.press("Enter")
        pressed.wait_for()
        assert button.evaluate("(one) => one.matches(':focus')")
        seen.page.keyboard.press("M")
        pressed.wait_for(state="detached")

    @pytest.mark.parametrize("width", [1280, 1440])
    def test_is_one_row(self, seen, width):
        seen.page.set_viewport_size({"width": width, "height": 900})
        seen.painted()
        boxes = [one.bounding_box() for one in seen.page.locator(".header .group > button").all()]
        assert len({round(box["y"]) for box in boxes}) == 1
        assert all(box["x"] + box["width"] <= width for box in boxes)
        assert all(one["x"] + one["width"] <= other["x"] + 2 for one, other in zip(boxes, boxes[1:], strict=False))


def type_size(page):
    """The factor of the letters, as the page's body has it."""
    return page.locator(".why .sentence").evaluate("(one) => getComputedStyle(one).getPropertyValue('--imo-type')")


class TestWhy:
    def test_the_sentence_has_the_largest_letters_on_the_right(self, seen):
        sizes = {
            name: seen.page.locator(name).first.evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
            for name in (".why .sentence", ".why h2", ".why .title", ".who", ".repair h2", ".similar h2", ".imo-form")
        }
        largest = sizes.pop(".why .sentence")
        assert all(largest > other for other in sizes.values()), sizes

    def test_numbers_stay_unfolded_at_the_next_target(self, seen):
        page, numbers = seen.page, seen.page.locator("details.numbers")
        assert numbers.get_attribute("open") is None
        page.locator("details.numbers summary").click()
        page.locator("details.numbers[open]").wait_for()
        before = page.locator(".why .sentence").inner_text()
        seen.show(FIRST)
        seen.until(lambda: page.locator(".why .sentence").inner_text() != before)
        page.locator("details.numbers[open]").wait_for()
        page.locator("details.numbers summary").click()
        page.locator("details.numbers:not([open])").wait_for()
        seen.show(LINES)
        seen.until(lambda: page.locator(".why .sentence").inner_text() == before)
        page.locator("details.numbers:not([open])").wait_for()


class TestTable:
    @pytest.mark.parametrize(("width", "more"), [(1280, []), (1440, []), (1920, ["verdict", "p", "S/N"])])
    def test_columns_are_whole_and_as_many_as_fit(self, seen, width, more):
        seen.page.set_viewport_size({"width": width, "height": 900})
        seen.until(lambda: columns(seen) == ["rank", "target", "z", "−log p", *more, "label"])
        seen.painted()
        assert seen.page.evaluate(CUT) == []
        verdicts = seen.page.locator(".tabulator-row .said-verdict:visible").count()
        assert (verdicts == 0) == bool(more), "said once: in a column, or under the identifier"

    def test_rows_without_a_second_line_are_lower(self, seen):
        low = seen.page.locator(".tabulator-row", has_not=seen.page.locator(".brief"))
        search = seen.page.locator(".imo-search input")
        search.fill("396280000010")
        search.press("Enter")
        seen.painted()
        rows = seen.page.locator(".tabulator-row")
        high = rows.first.bounding_box()["height"]
        search.fill("")
        search.press("Enter")
        seen.painted()
        seen.page.locator(".tabulator-tableholder").evaluate("(one) => { one.scrollTop = one.scrollHeight }")
        low.first.wait_for()
        assert low.first.bounding_box()["height"] < high - 8

    def test_sorts_by_signal_to_noise(self, seen):
        seen.page.set_viewport_size({"width": 1920, "height": 900})
        seen.until(lambda: "S/N" in columns(seen))
        for _ in range(2):
            seen.page.locator('.tabulator-col[tabulator-field="S/N"] .tabulator-col-title').click()
        seen.page.locator('.tabulator-col[tabulator-field="S/N"][aria-sort="descending"]').wait_for()
        cells = seen.page.locator('.tabulator-cell[tabulator-field="S/N"]')
        shown = [float(text) for text in cells.all_inner_texts()]
        assert len(shown) > 5 and shown == sorted(shown, reverse=True)


def test_tab_goes_where_the_eye_goes(seen):
    seen.page.evaluate("() => document.activeElement?.blur()")
    places = []
    for _ in range(150):
        seen.page.keyboard.press("Tab")
        if (place := seen.page.evaluate(FOCUSED)) and places[-1:] != [place]:
            places.append(place)
        if places[-1:] == ["right"]:
            break
    assert places == ["header", "table", "plots", "right"]


def test_words_over_columns_are_explained(seen):
    seen.page.locator('.tabulator-col[tabulator-field="−log p"]').hover()
    tip = seen.page.locator(".tabulator-tooltip")
    tip.wait_for()
    assert re.search(r"probability density", tip.inner_text())
