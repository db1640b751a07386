"""What the page says while something changes, in a real Chromium: nothing old beside something new, one dialog."""

import pytest
from helpers.browser import chromium, serving
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
def browser():
    with chromium() as browser:
        yield browser


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
