"""Triage in a real Chromium with a real server, which is killed in the middle."""

import os
import random
import re
import signal
import sqlite3
import time
from contextlib import contextmanager

import numpy as np
import pytest
from helpers.browser import serving
from helpers.triage_pages import (
    CLASS_SHOWN,
    IN_THE_COMMENT,
    TARGETS,
    USER,
    arguments,
    free_port,
    opened,
    table_order,
    wait_for_target,
    wait_until_saved,
    write_survey,
)

from app.labels import LabelStore, exchange
from imo_engine.results.ecsv import read_attribution_table

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror='window.hacked=1'>"


COUNT_ROWS = """
(wanted) => {
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  return [...roots(document)].flatMap((root) => [...root.querySelectorAll(".tabulator-row")]).length === wanted
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_survey(tmp_path_factory.mktemp("triage"))


@pytest.fixture(scope="module")
def server(folder, browser):
    with serving(*arguments(folder), threads=1) as server:
        yield server


@pytest.fixture(scope="module")
def shared(server, browser):
    seen = opened(browser, server.url)
    yield seen
    seen.page.close()


@pytest.fixture(scope="module")
def unused(shared):
    """Targets that no test has touched, in the table's order."""
    return iter([target for target in table_order(shared) if target not in TARGETS[-4:]])


@pytest.fixture
def page(shared, unused):
    """The page that all tests share, at a target of the test's own."""
    shared.show(next(unused))
    shared.page.locator(f'.imo-form[data-target="{shared.shown_target()}"]').wait_for()
    yield shared
    assert (shared.errors, shared.outside) == ([], [])


def plan(rng, target):
    """Keys for one target, and the label that they should make."""
    quality = int(rng.integers(0, 5))
    star = bool(rng.random() < 0.4)
    comment = f"broad line? {target[-2:]} é <b>&\"'" if rng.random() < 0.4 else ""
    return quality, star, comment


def press(seen, quality, star, comment):
    keyboard = seen.page.keyboard
    keyboard.press(str((quality + 1) % 5))  # a slip, put right by the next key
    keyboard.press(str(quality))
    if star:
        keyboard.press("*")
    if comment:
        keyboard.press("c")
        seen.page.wait_for_function(IN_THE_COMMENT)
        keyboard.type(comment)
        keyboard.press("Escape")
    seen.page.locator(f'.imo-label [data-label="quality-{quality}"][aria-pressed="true"]').wait_for()
    seen.page.locator(f'.imo-label [data-label="star"][aria-pressed="{str(star).lower()}"]').wait_for()
    if not comment:  # with a comment the hand is faster than the server
        wait_until_saved(seen)


def said(labels):
    return {t: (r.label.quality, r.label.star, r.label.comment) for t, r in labels.items() if not r.label.empty}


def test_triage_of_twenty_targets_by_keyboard_survives_a_killed_server(folder, browser):
    port = free_port()
    rng = np.random.default_rng(0)
    given = [*arguments(folder, "killed.sqlite"), "--port", port]
    expected = {}
    with serving(*given, threads=1) as first:
        seen = opened(browser, f"http://127.0.0.1:{port}/")
        order = table_order(seen)[:20]
        assert len(set(order)) == 20
        for target in order[:10]:
            wait_for_target(seen, target)
            expected[target] = plan(rng, target)
            press(seen, *expected[target])
            if target != order[9]:
                seen.page.keyboard.press("n")
        wait_until_saved(seen)
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait(20)
        # what was shown as saved is there although nobody closed the database
        with LabelStore(folder / "killed.sqlite") as store:
            assert said(store.labels(USER)) == expected
        seen.page.locator("#imo-connection").wait_for()
    with serving(*given, threads=1) as second:
        seen.page.wait_for_function(
            "() => document.getElementById('imo-connection') === null && window.imo?.form !== undefined"
        )
        wait_for_target(seen, order[9])  # the page came back by itself, to where it was
        quality = expected[order[9]][0]
        seen.page.locator(f'.imo-label [data-label="quality-{quality}"][aria-pressed="true"]').wait_for()
        seen.page.locator('[data-labelled="10"]').wait_for()
        seen.until(lambda: table_order(seen)[:20] == order)
        for target in order[10:]:
            seen.page.keyboard.press("n")
            wait_for_target(seen, target)
            expected[target] = plan(rng, target)
            press(seen, *expected[target])
        wait_until_saved(seen)
        with LabelStore(folder / "killed.sqlite") as store:
            assert said(store.labels(USER)) == expected
            assert all(len(store.history(target, USER)) >= 2 for target in order)  # the slip is in the history
        assert seen.outside == []
        seen.page.close()
        assert "Traceback" not in second.log, second.log


def test_undo_takes_the_last_change_back(page, folder):
    page.page.keyboard.press("3")
    page.page.locator('.imo-label [data-label="quality-3"][aria-pressed="true"]').wait_for()
    page.page.keyboard.press("z")
    page.page.locator(".state.saved", has_text="Undid:").wait_for()
    page.page.locator('.imo-label [data-label="quality-3"][aria-pressed="false"]').wait_for()
    with LabelStore(folder / "labels.sqlite") as store:
        assert store.get(page.shown_target(), USER).label.empty


def test_redo_repeats_what_was_taken_back(page, folder):
    seen = page.page
    seen.keyboard.press("3")
    seen.locator('.imo-label [data-label="quality-3"][aria-pressed="true"]').wait_for()
    seen.get_by_role("button", name="Undo", exact=True).click()
    seen.locator('.imo-label [data-label="quality-3"][aria-pressed="false"]').wait_for()
    seen.keyboard.press("Z")
    seen.locator(".state.saved", has_text="repeated").wait_for()
    seen.locator('.imo-label [data-label="quality-3"][aria-pressed="true"]').wait_for()
    with LabelStore(folder / "labels.sqlite") as store:
        assert store.get(page.shown_target(), USER).label.quality == 3


def test_a_class_is_two_keys(page, folder):
    seen, target = page.page, page.shown_target()
    seen.keyboard.press("C")
    rows = seen.locator(".choices button").all_inner_texts()
    assert [row.split()[0] for row in rows] == [*"0123456789abcde"]
    seen.keyboard.press("b")  # not "previous"
    seen.wait_for_function(CLASS_SHOWN, arg="dusty or red")
    assert seen.locator(".choices:popover-open").count() == 0
    wait_until_saved(page)
    assert page.shown_target() == target
    with LabelStore(folder / "labels.sqlite") as store:
        assert store.get(target, USER).label.label_class == "dusty or red"
    seen.keyboard.press("C")
    seen.keyboard.press("z")  # no class has this key, and nothing is undone
    seen.keyboard.press("Escape")
    assert seen.locator(".choices:popover-open").count() == 0
    seen.keyboard.press("C")
    seen.keyboard.press("0")
    seen.wait_for_function(CLASS_SHOWN, arg="")


def test_classes_are_edited_on_the_page(page, folder):
    seen, target = page.page, page.shown_target()
    seen.keyboard.press("C")
    seen.keyboard.press("8")
    seen.wait_for_function(CLASS_SHOWN, arg="star")
    wait_until_saved(page)
    seen.get_by_role("button", name="Edit …").click()
    dialog = seen.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name of a new class").fill(HOSTILE)
    dialog.get_by_role("button", name="Add").click()
    dialog.locator("li b", has_text=HOSTILE).wait_for()
    dialog.get_by_role("textbox", name="Name of a new class").fill(HOSTILE.upper())
    dialog.get_by_role("button", name="Add").click()
    dialog.locator('[data-classes="failed"]', has_text="already").wait_for()
    dialog.get_by_role("combobox").click()
    seen.locator(".MuiMenuItem-root", has_text=re.compile("^star$")).click()
    dialog.get_by_role("textbox", name="New name").fill("M dwarf")
    dialog.get_by_role("button", name="Rename").click()
    dialog.locator('[data-classes="done"]', has_text="M dwarf").wait_for()
    dialog.get_by_role("combobox").click()
    seen.locator(".MuiMenuItem-root", has_text=re.compile("^merger$")).click()
    dialog.get_by_role("button", name="Retire").click()
    dialog.locator("li.retired", has_text="merger").wait_for()
    dialog.get_by_role("button", name="Bring back").wait_for()
    assert dialog.locator("img").count() == 0
    dialog.get_by_role("button", name="Close").click()
    seen.wait_for_function(CLASS_SHOWN, arg="M dwarf")
    offered = seen.locator(".imo-form select option").all_inner_texts()
    assert "8 · M dwarf" in offered and f"e · {HOSTILE}" in offered
    assert not any("merger" in name for name in offered)
    assert seen.evaluate("window.hacked") is None
    with LabelStore(folder / "labels.sqlite") as store:
        assert store.get(target, USER).label.label_class == "M dwarf"
        assert "merger" not in store.classes.names()


@pytest.fixture
def halted(server):
    """Call it to have the server answer nothing for a while."""
    process = server.process

    @contextmanager
    def halt():
        os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process.pid, signal.SIGCONT)

    return halt


def test_nothing_is_written_while_the_next_target_is_on_its_way(page, folder, halted, unused):
    seen = page.page
    before, after = page.shown_target(), next(unused)
    with halted():
        seen.keyboard.press("n")
        seen.keyboard.press("c")
        seen.wait_for_function(IN_THE_COMMENT)
        seen.keyboard.type("nowhere")
        seen.locator(".state.waiting", has_text="next target").wait_for()
        page.pause(1000)  # longer than a pause in writing
        assert seen.locator(".state.waiting").count() == 1
        assert seen.locator(".imo-form textarea").input_value() == ""
    wait_for_target(page, after)
    seen.locator(f'.imo-form[data-target="{after}"] textarea:not(:read-only)').wait_for()
    seen.keyboard.type("here")
    seen.keyboard.press("Escape")
    wait_until_saved(page)
    with LabelStore(folder / "labels.sqlite") as store:
        assert store.get(after, USER).label.comment == "here"
        assert store.get(before, USER).label.comment == ""


def test_quick_keys_end_at_what_is_finished(page):
    """The last message of each target arrives, however many cross."""
    rng = random.Random(1)
    for _ in range(25):
        for _ in range(rng.randint(1, 3)):
            page.page.keyboard.press(rng.choice("nnnb"))
            page.page.wait_for_timeout(rng.choice((0, 50, 150, 400)))
        page.wait_for_status("done")


def test_a_comment_stays_with_the_target_that_was_shown(page, folder, halted, unused):
    seen = page.page
    before, after = page.shown_target(), next(unused)
    field = seen.locator(".imo-form textarea")
    with halted():
        page.select(after)
        field.click()
        seen.keyboard.type("of the one before")
    seen.locator(f'.imo-form[data-target="{after}"]').wait_for()
    wait_for_target(page, after)
    seen.keyboard.press("Escape")
    page.show(before)
    seen.locator(f'.imo-form[data-target="{before}"]').wait_for()
    page.until(lambda: field.input_value() == "of the one before")
    wait_until_saved(page)
    with LabelStore(folder / "labels.sqlite") as store:
        assert store.get(before, USER).label.comment == "of the one before"
        assert store.get(after, USER).label.empty


def test_comments_are_text(page, folder):
    seen = page.page
    target = page.shown_target()
    seen.keyboard.press("c")
    seen.wait_for_function(IN_THE_COMMENT)
    seen.keyboard.type(HOSTILE)
    seen.keyboard.press("Escape")
    wait_until_saved(page)
    with LabelStore(folder / "labels.sqlite") as store:
        assert store.get(target, USER).label.comment == HOSTILE
        store.save(target, store.get(target, USER).label, scanner="bob", client_id="1", expected_version=0)
        bob = store.get(target, "bob")
        other = type(bob.label)(quality=1, comment=HOSTILE)
        store.save(target, other, scanner="bob", client_id="2", expected_version=bob.version)
    seen.keyboard.press("4")
    seen.locator('.imo-label [data-label="quality-4"][aria-pressed="true"]').wait_for()
    wait_until_saved(page)
    seen.get_by_role("button", name="Disagreements").click()
    table = seen.locator("[data-disagreements]")
    table.wait_for()
    assert HOSTILE in table.inner_text()
    assert "Q4" in table.inner_text() and "Q1" in table.inner_text()
    assert table.locator("img").count() == 0
    assert seen.evaluate("window.hacked") is None
    seen.get_by_role("button", name="Close").click()


def test_an_address_opens_a_target_with_its_view(page, server, browser):
    target = table_order(page)[4]
    other = opened(browser, f"{server.url}?target={target}&view=halpha")
    wait_for_target(other, target)
    other.page.wait_for_selector('button[data-group="view"][data-value="halpha"][aria-pressed="true"]')
    shown = other.x_range()
    assert shown[1] - shown[0] < 1000
    other.page.keyboard.press("n")
    following = table_order(page)[5]
    wait_for_target(other, following)
    other.page.wait_for_function("(t) => location.search === '?target=' + t", arg=following)
    other.page.keyboard.press("h")
    other.page.wait_for_function("() => location.search.endsWith('&view=hbeta')")
    other.page.reload()
    wait_for_target(other, following)
    other.page.wait_for_selector('button[data-group="view"][data-value="hbeta"][aria-pressed="true"]')
    other.page.close()


def test_an_address_of_nobody_opens_the_first(server, browser):
    seen = opened(browser, f"{server.url}?target={HOSTILE}")
    assert seen.shown_target() == table_order(seen)[0]
    words = seen.page.locator(".words", has_text="There is no target")
    words.wait_for()
    assert words.locator("img").count() == 0
    assert seen.page.evaluate("window.hacked") is None
    seen.page.close()


def test_search_filters_and_the_order_that_keys_follow(page):
    seen = page.page
    everything = table_order(page)
    seen.keyboard.press("/")
    seen.keyboard.type(everything[3])
    seen.keyboard.press("Enter")
    seen.wait_for_function(COUNT_ROWS, arg=1)
    assert table_order(page) == [everything[3]]
    seen.keyboard.press("Escape")
    seen.keyboard.press("n")
    wait_for_target(page, everything[3])
    seen.keyboard.press("/")
    seen.keyboard.press("Delete")
    seen.keyboard.press("Enter")
    seen.wait_for_function(COUNT_ROWS, arg=len(everything))
    seen.keyboard.press("Escape")


def test_a_new_candidate_is_scored_ranked_and_explained(page):
    seen = page.page
    wave = np.arange(3600.0, 9824.0, 0.8)
    rows = "\n".join(f"{w:.1f},{1 + 0.1 * np.sin(w / 50):.4f},100" for w in wave)
    seen.get_by_role("button", name="Add spectrum").click()
    field = seen.locator('input[type="file"]').first
    field.wait_for(state="attached")
    field.set_input_files(
        {"name": f"{HOSTILE}.csv", "mimeType": "text/csv", "buffer": b"wavelength,flux,ivar\n1,x,3\n"}
    )
    seen.locator('[data-intake="failed"]').wait_for()
    field.set_input_files(
        {"name": f"{HOSTILE}.csv", "mimeType": "text/csv", "buffer": f"wavelength,flux,ivar\n{rows}\n".encode()}
    )
    seen.locator('[data-intake="redshift"]').wait_for()
    seen.get_by_role("textbox", name="Redshift").fill("0.21")
    seen.get_by_role("button", name="Score").click()
    done = seen.locator('[data-intake="done"]')
    done.wait_for()
    assert "would be rank" in done.inner_text()
    seen.get_by_role("button", name="Close").click()
    row = seen.locator(".tabulator-row").first
    row.locator(".own").wait_for()
    page.until(lambda: "onerror" in page.shown_target())
    assert seen.locator(".strip .id img").count() == 0
    page.wait_for_status("done")
    seen.locator(".why .sentence").wait_for()
    assert seen.evaluate("window.hacked") is None


def test_labels_go_out_and_come_back(page, folder, tmp_path):
    seen = page.page
    seen.keyboard.press("2")
    seen.locator('.imo-label [data-label="quality-2"][aria-pressed="true"]').wait_for()
    wait_until_saved(page)
    target = page.shown_target()
    seen.get_by_role("button", name="Files").click()
    with seen.expect_download() as download:
        seen.get_by_text("Labels, CSV").click()
    path = tmp_path / "labels.csv"
    download.value.save_as(path)
    lines = {line.target_id: line for line in exchange.read_csv(path)}
    assert lines[target].label.quality == 2
    assert lines[target].scanner == USER
    field = seen.locator('input[type="file"]').last
    content = path.read_bytes().replace(TARGETS[20].encode(), TARGETS[21].encode())
    field.set_input_files({"name": "labels.csv", "mimeType": "text/csv", "buffer": content})
    seen.locator('[data-import="done"]').wait_for()
    field.set_input_files({"name": "bad.csv", "mimeType": "text/csv", "buffer": b"\x80\x81"})
    seen.locator('[data-import="failed"]', has_text="bad.csv").wait_for()
    seen.get_by_role("button", name="Close").click()


def test_the_object_goes_out_as_table_page_and_figure(page, tmp_path):
    seen, target = page.page, page.shown_target()
    page.wait_for_status("done")
    seen.locator(".why .sentence").wait_for()
    seen.get_by_role("button", name="Files").click()
    for label, name in (("Attribution, ECSV", "x.ecsv"), ("Plots, HTML", "x.html"), ("Figure, SVG", "x.svg")):
        with seen.expect_download() as download:
            seen.get_by_text(label).click()
        assert download.value.suggested_filename == f"attribution-{target}.{name[2:]}"
        download.value.save_as(tmp_path / name)
    found = read_attribution_table(tmp_path / "x.ecsv")
    assert (found.target_id, found.window_sizes, found.meta["model"]) == (target, (256, 64), "narrow")
    np.testing.assert_allclose(found.combined, page.column("combined", "combined"), rtol=1e-5)
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert target in text and "Why is it odd?" in text
    assert (tmp_path / "x.svg").read_text(encoding="utf-8").count("<path") > 100
    assert "<script src" not in text and "<link" not in text.split("<script>")[0]
    seen.get_by_role("button", name="Close").click()


def test_a_refused_label_is_not_shown_as_saved_and_not_lost(page, folder):
    seen, target = page.page, page.shown_target()
    other = sqlite3.connect(folder / "labels.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    seen.keyboard.press("4")
    seen.locator(".state.failed", has_text="not saved").wait_for()
    assert seen.locator(".state.saved").count() == 0
    other.execute("ROLLBACK")
    other.close()
    seen.get_by_role("button", name="Try again").click()
    wait_until_saved(page)
    with LabelStore(folder / "labels.sqlite") as store:
        assert store.get(target, USER).label.quality == 4


def test_a_conflict_asks(page, folder):
    seen = page.page
    target = page.shown_target()
    with LabelStore(folder / "labels.sqlite") as store:
        before = store.get(target, USER)
        theirs = type(before.label)(quality=1, comment="from elsewhere")
        store.save(target, theirs, scanner=USER, client_id=f"other {time.time()}", expected_version=before.version)
        seen.keyboard.press("0")
        seen.locator(".state.conflict", has_text="from elsewhere").wait_for()
        assert store.get(target, USER).label == theirs
        seen.get_by_role("button", name="Keep mine").click()
        wait_until_saved(page)
        assert store.get(target, USER).label.quality == 0
