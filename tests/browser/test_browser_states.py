"""What the page says while something changes, in a real Chromium: nothing old beside something new, one dialog."""

import numpy as np
import pytest
from helpers.browser import serving
from helpers.triage_pages import arguments, opened, table_order, wait_for_target, write_survey

pytestmark = pytest.mark.browser

# In every frame: is anything visible that is said of another target than the one that is drawn?
WATCH = """
() => {
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  const drawn = [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.noise_known)
  window.frames = []
  const look = () => {
    const id = drawn.data.id[0]
    const said = [...roots(document)].flatMap((root) => [...root.querySelectorAll("[data-of]")])
    const old = said.filter((one) => one.dataset.of !== id && one.checkVisibility({visibilityProperty: true}))
    window.frames.push({id, of: said.length, old: old.map((one) => one.textContent.slice(0, 60))})
    window.watching = requestAnimationFrame(look)
  }
  look()
}
"""

# By how things are called for those who cannot see them
OPEN = """
() => {
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  const dialogs = "[role=dialog], dialog[open], [data-hybrid]"
  const open = [...roots(document)].flatMap((root) => [...root.querySelectorAll(dialogs)])
  return open.filter((one) => one.checkVisibility()).map((one) =>
    one.querySelector("h2, .MuiDialogTitle-root")?.textContent)
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_survey(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def server(folder, browser):
    with serving(*arguments(folder), threads=1) as server:
        yield server


@pytest.fixture(scope="module")
def shared(server, browser):
    seen = opened(browser, server.url)
    yield seen
    seen.page.close()


@pytest.fixture
def page(shared):
    yield shared
    assert (shared.errors, shared.outside) == ([], [])


def test_nothing_of_the_target_before_stands_beside_a_new_spectrum(page):
    order = table_order(page)
    page.wait_for_status("done")
    page.page.evaluate(WATCH)
    for target in order[1:6]:
        page.page.keyboard.press("n")
        wait_for_target(page, target)
        page.wait_for_status("done")
        page.page.locator(f'[data-similar][data-of="{target}"]').wait_for()
    frames = page.page.evaluate("() => { cancelAnimationFrame(window.watching); return window.frames }")
    assert set(order[:6]) >= {one["id"] for one in frames} >= set(order[1:5])
    assert min(one["of"] for one in frames) >= 6
    assert [one for one in frames if one["old"]] == []


def test_opening_a_dialog_closes_the_one_before(page):
    seen = page.page
    seen.keyboard.press("E")
    page.until(lambda: seen.evaluate(OPEN) == ["How inverse occlusion finds what is odd"])
    seen.get_by_role("button", name="Files", exact=True).click()
    page.until(lambda: seen.evaluate(OPEN) == ["Files"])
    seen.keyboard.press("Escape")
    page.until(lambda: seen.evaluate(OPEN) == [])
    seen.keyboard.press("E")
    page.until(lambda: seen.evaluate(OPEN) == ["How inverse occlusion finds what is odd"])
    seen.keyboard.press("?")
    page.until(lambda: seen.evaluate(OPEN) == ["Keyboard"])
    seen.keyboard.press("Escape")
    page.until(lambda: seen.evaluate(OPEN) == [])


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("A", "Add your own spectrum"),
        ("F", "Files"),
        ("D", "Where two people disagree"),
        ("G", "Outliers with the same cause"),
        ("K", "Classes"),
        ("E", "How inverse occlusion finds what is odd"),
        ("?", "Keyboard"),
    ],
)
def test_every_dialog_has_a_key_and_escape_closes_it(page, key, title):
    for _ in range(2):
        page.page.keyboard.press(key)
        page.until(lambda: page.page.evaluate(OPEN) == [title])
        page.page.keyboard.press("Escape")
        page.until(lambda: page.page.evaluate(OPEN) == [])
        page.quiet()  # and the server has heard it


def test_columns_and_latent_space_have_keys(page):
    seen = page.page
    seen.keyboard.press("I")
    seen.locator("section.who").wait_for(state="hidden")
    seen.keyboard.press("I")
    seen.locator("section.who").wait_for()
    close = seen.get_by_role("button", name="Close", exact=True)
    seen.keyboard.press("L")
    close.wait_for()
    seen.keyboard.press("L")
    close.wait_for(state="hidden")


def test_issues_have_keys(page):
    issue = page.page.locator('[data-label="issue-R"]')
    page.page.keyboard.press("5")
    page.page.locator('[data-label="issue-R"][aria-pressed="true"]').wait_for()
    page.page.keyboard.press("5")
    page.until(lambda: issue.get_attribute("aria-pressed") == "false")


def in_history(page):
    return page.page.evaluate("() => [history.length, new URLSearchParams(location.search).get('target')]")


def test_back_and_forward_lead_to_the_targets_that_were_looked_at(page):
    seen = page.page
    seen.evaluate("() => { window.imo.address.longEnough = 0 }")  # whatever is in sight counts as looked at
    order = table_order(page)
    page.show(order[0])
    for target in order[1:4]:
        page.quiet()
        seen.keyboard.press("n")
        wait_for_target(page, target)
        page.until(lambda target=target: in_history(page)[1] == target)
    seen.keyboard.press("h")
    seen.wait_for_function("() => location.search.endsWith('&view=hbeta')")
    entries = in_history(page)[0]
    for target in (order[2], order[1]):
        seen.evaluate("() => history.back()")
        wait_for_target(page, target)
    for target in (order[2], order[3]):
        seen.evaluate("() => history.forward()")
        wait_for_target(page, target)
    seen.wait_for_selector('button[data-group="view"][data-value="hbeta"][aria-pressed="true"]')
    page.quiet()
    assert in_history(page) == [entries, order[3]]  # nobody went anywhere new
    seen.evaluate("() => history.back()")
    wait_for_target(page, order[2])
    page.quiet()
    page.select(order[6])  # by the user: what was ahead is given up
    wait_for_target(page, order[6])
    page.until(lambda: in_history(page) == [entries, order[6]])
    seen.evaluate("() => history.back()")
    wait_for_target(page, order[2])


def test_targets_that_are_only_passed_are_not_in_the_history(page):
    seen = page.page
    seen.evaluate("() => { window.imo.address.longEnough = 1e9 }")
    order = table_order(page)
    page.show(order[8])
    page.quiet()
    seen.keyboard.press("n")  # it was in sight for long enough, or not
    wait_for_target(page, order[9])
    page.until(lambda: in_history(page)[1] == order[9])
    entries = in_history(page)[0]
    for target in order[10:13]:
        seen.keyboard.press("n")
        wait_for_target(page, target)
        page.until(lambda target=target: in_history(page)[1] == target)
    assert in_history(page)[0] == entries


def test_an_empty_file_is_said_and_not_what_was_said_of_the_last_one(page):
    seen = page.page
    for key, label, words in (("A", "[data-intake]", "data-intake"), ("F", "[data-import]", "data-import")):
        seen.keyboard.press(key)
        field = seen.locator('[role=dialog] input[type="file"]').first
        field.wait_for(state="attached")
        field.set_input_files({"name": "bad.csv", "mimeType": "text/csv", "buffer": b"wavelength,flux\n1,x\n"})
        seen.locator(f'[{words}="failed"]', has_text="bad.csv").wait_for()
        field.set_input_files({"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
        seen.locator(f'[{words}="failed"]', has_text="Nothing to read").wait_for()
        assert "bad.csv" not in seen.locator(label).inner_text()
        seen.keyboard.press("Escape")
        page.until(lambda: seen.evaluate(OPEN) == [])


def test_spectra_of_ones_own_are_there_after_a_reload_and_nobody_else_sees_them(server, browser):
    context = browser.new_context()
    seen = opened(context, server.url)
    page = seen.page
    page.keyboard.press("A")
    wave = np.arange(3600.0, 9824.0, 0.8)
    rows = "\n".join(f"{w:.1f},{1 + 0.1 * np.sin(w / 50):.4f},100" for w in wave)
    file = f"# z = 0.1\nwavelength,flux,ivar\n{rows}\n".encode()
    field = page.locator('[role=dialog] input[type="file"]').first
    field.wait_for(state="attached")
    field.set_input_files({"name": "mine.csv", "mimeType": "text/csv", "buffer": file})
    page.locator('[data-intake="done"]').wait_for()
    page.keyboard.press("Escape")
    seen.until(lambda: seen.shown_target().startswith("mine~"))
    own = seen.shown_target()
    seen.until(lambda: in_history(seen)[1] == own)
    page.reload()  # the address is that of the spectrum
    wait_for_target(seen, own)
    page.locator(".tabulator-row .own").wait_for()
    other = opened(browser.new_context(), f"{server.url}?target={own}")
    other.page.locator(".words", has_text="There is no target").wait_for()
    assert own not in other.page.content()
    other.page.close()
    page.keyboard.press("A")
    page.get_by_role("button", name="Remove mine").click()
    seen.until(lambda: seen.shown_target() != own)
    page.reload()
    page.locator(".words", has_text="There is no target").or_(page.locator(".strip .id")).first.wait_for()
    assert own not in table_order(opened(context, server.url))
    context.close()


def test_the_look_is_remembered_and_is_the_systems_at_first(server, browser):
    context = browser.new_context(color_scheme="dark")
    seen = opened(context, server.url)
    page = seen.page
    page.locator(".mui-dark").first.wait_for(state="attached")
    page.wait_for_function("() => document.cookie.includes('imo-look=dark')")
    page.reload()
    page.locator(".mui-dark").first.wait_for(state="attached")
    page.wait_for_function("() => window.imo?.look !== undefined")
    for key, word in (("t", "chosen"), ("T", "large.chosen"), ("I", "large.plain.chosen")):
        page.keyboard.press(key)
        page.wait_for_function("(word) => document.cookie.includes(`imo-look=${word}`)", arg=word)
    other = opened(context, server.url)
    assert other.page.locator(".mui-dark").count() == 0  # whatever the system wishes
    assert not other.page.locator("section.who").is_visible()
    assert other.page.locator(".strip").evaluate("(one) => getComputedStyle(one).fontSize") == "16.9px"
    asked = opened(context, f"{server.url}?theme=dark")
    asked.page.locator(".mui-dark").first.wait_for(state="attached")
    asked.page.keyboard.press("t")
    asked.page.wait_for_function("() => !location.search.includes('theme')")
    context.close()
