"""Files from the page in a real Chromium: what cannot be made is said, and the page asks only for what is served."""

import re
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import pytest
from helpers.browser import serving, visit, write_desi_model
from helpers.fits_files import arms, write_coadd, write_redrock
from helpers.routes import ROUTES

pytestmark = pytest.mark.browser

TARGETS = [39628000000001000 + k for k in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_desi_model(folder)
    write_redrock(folder / "redrock-files.fits", TARGETS, [0.1, 0.11, 0.12])
    data = arms(len(TARGETS), ivar=100.0)
    for arm in data.values():
        arm["flux"] += np.random.default_rng(7).normal(0, 0.1, arm["flux"].shape).astype(np.float32)
    write_coadd(folder / "coadd-files.fits", TARGETS, data)
    return folder


@pytest.fixture(scope="module")
def server(folder, browser):
    arguments = [
        "--spectra", folder / "coadd-files.fits", "--model", folder / "narrow.safetensors", "--device", "cpu",
        "--n-baselines", 2, "--windows", "256,64", "--labels", folder / "labels.sqlite", "--user", "ann",
        "--cache", folder / "cache",
    ]  # fmt: skip
    with serving(*arguments, threads=1, without=("h5py", "imo_engine.results.figures")) as server:
        yield server


@pytest.fixture(scope="module")
def shared(server, browser):
    """The dialog of files, at a target that is explained."""
    seen = visit(browser, server.url)
    seen.wait_for_status("done")
    seen.page.get_by_role("button", name="Files").click()
    yield seen
    seen.page.close()


@pytest.fixture
def page(shared):
    yield shared
    assert (shared.errors, shared.outside) == ([], [])


def press(page, label):
    page.page.get_by_role("button", name=label).click()


def downloaded(page, label):
    with page.page.expect_download() as download:
        press(page, label)
    return download.value.path().read_bytes()


@pytest.mark.parametrize(
    ("label", "ending", "reason"),
    [("Attribution, netCDF", "nc", "h5py"), ("Figure, SVG", "svg", "imo_engine.results.figures")],
)
def test_a_file_that_cannot_be_made_is_said_in_words_and_logged(page, server, label, ending, reason):
    seen = page.page
    words = seen.get_by_role("alert").filter(has_text=f"{label} could not be made")
    for _ in range(2):  # the button can be pressed again
        press(page, label)
        words.wait_for()
        assert reason in words.inner_text()
        below = words.bounding_box()["y"] - seen.get_by_role("button", name=label).bounding_box()["y"]
        assert 0 < below < 150
        assert downloaded(page, "Attribution, ECSV").startswith(b"# %ECSV")  # and so can the others
        words.wait_for(state="detached")
    line = f"attribution-{page.shown_target()}.{ending} could not be made"
    page.until(lambda: server.log.count(line) == 2 and "Traceback" in server.log.rpartition(line)[2])


def test_labels_that_cannot_be_read_are_said_in_words_until_they_can(page, folder):
    seen = page.page
    with closing(sqlite3.connect(folder / "labels.sqlite", isolation_level=None)) as other:
        other.execute("ALTER TABLE label_change RENAME TO gone")
        for label in ("Labels, CSV", "Labels, ECSV"):
            press(page, label)
            seen.get_by_role("alert").filter(has_text=f"{label} could not be made").wait_for()
        other.execute("ALTER TABLE gone RENAME TO label_change")
    assert downloaded(page, "Labels, CSV").startswith(b"TARGETID")
    assert seen.get_by_role("alert").count() == 0


def test_the_same_file_can_be_had_again(page):
    assert downloaded(page, "Labels, CSV") == downloaded(page, "Labels, CSV")


@pytest.mark.parametrize("path", ["", "?theme=dark", "evaluation"])
def test_pages_ask_only_for_what_is_served(server, browser, path):
    seen = browser.new_page()
    asked, refused = [], []
    seen.on("request", lambda request: asked.append(request.url))
    seen.on("websocket", lambda opened: asked.append(opened.url))
    seen.on("response", lambda answer: answer.ok or refused.append((answer.status, answer.url)))
    seen.goto(server.url + path)
    seen.wait_for_selector(".bk-Figure")
    seen.evaluate("document.fonts.ready.then(() => null)")
    own = {urlsplit(url).path for url in asked if urlsplit(url).scheme in ("http", "ws")}
    assert refused == []
    assert {path for path in own if not any(re.fullmatch(route, path) for route in ROUTES)} == set()
    assert "/ws" in {path[-3:] for path in own}
    seen.close()
