"""axe-core finds nothing serious on the page, light and dark, nor in its dialogs."""

import time

import pytest
from helpers.browser import chromium, serving, visit, write_desi_model
from helpers.fits_files import write_coadd, write_redrock

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accessible")
    model = write_desi_model(folder)
    write_redrock(folder / "redrock-x.fits", [1, 2, 3], [0.1, 0.2, 0.3])
    spectra = write_coadd(folder / "coadd-x.fits", [1, 2, 3])
    given = ["--spectra", spectra, "--model", model, "--device", "cpu", "--n-baselines", 2, "--windows", "256"]
    places = ["--labels", folder / "labels.sqlite", "--cache", folder / "cache"]
    with serving(*given, *places, threads=1) as server, chromium() as browser:
        seen = visit(browser, server.url)
        seen.wait_for_status("done")
        seen.page.locator(".why .sentence").wait_for()
        yield seen


def findings(page):
    """Return what axe-core calls serious or critical and what does not pass by itself, as a colour that fades does."""
    deadline = time.monotonic() + 30
    while (found := found_now(page)) and time.monotonic() < deadline:
        page.wait_for_timeout(500)
    return found


def found_now(page):
    """Return rule, help and the elements of what axe-core calls serious or critical.

    One is left out: Tabulator makes the scrolling part of its grid an element that the keyboard can reach, which is
    of use, but no row.
    """
    found = []
    for one in axe.Axe().run(page).response["violations"]:
        elements = [node["html"][:200] for node in one["nodes"]]
        if one["id"] == "aria-required-children":
            elements = [html for html in elements if 'class="pnx-tabulator tabulator"' not in html]
        if elements and one["impact"] in ("serious", "critical"):
            found.append((one["id"], one["help"], elements))
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious(seen, theme):
    if theme == "dark":
        seen.page.get_by_role("button", name="Toggle theme").click()
        seen.page.locator(".mui-dark").first.wait_for(state="attached")
    seen.painted()  # colours fade
    assert findings(seen.page) == []
    for name in ("Add spectrum", "Files", "Disagreements", "Groups", "Edit …"):
        seen.page.get_by_role("button", name=name, exact=True).click()
        dialog = seen.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Close").wait_for()
        seen.painted()
        assert findings(seen.page) == [], name
        dialog.get_by_role("button", name="Close").click()
        dialog.wait_for(state="detached")
    seen.page.get_by_role("button", name="View").click()
    seen.page.locator("#imo-view").wait_for()
    seen.painted()
    assert findings(seen.page) == [], "view"
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("p")
    seen.page.locator("#imo-show").wait_for()
    seen.painted()
    assert findings(seen.page) == [], "menu"
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("?")
    seen.page.get_by_role("dialog").wait_for()
    seen.painted()
    assert findings(seen.page) == [], "keys"
    seen.page.keyboard.press("Escape")
    seen.page.get_by_role("dialog").wait_for(state="detached")


def test_nothing_serious_in_what_stands_over_the_panels(seen):
    page = seen.page
    page.get_by_role("button", name="Latent space", exact=True).click()
    page.get_by_text("principal components").wait_for()
    seen.painted()
    assert findings(page) == [], "latent space"
    page.get_by_role("button", name="Latent space", exact=True).click()
    page.keyboard.press("M")
    page.locator("[data-methods]").wait_for()
    seen.painted()
    assert findings(page) == [], "other methods"
    page.keyboard.press("M")
    page.keyboard.press("E")
    page.locator("[data-hybrid][data-ready]").wait_for()
    seen.painted()
    assert findings(page) == [], "explanation"
