"""What is said of labels while the connection is cut, silent or lost with the server. A real server and Chromium."""

import os
import signal

import pytest
from helpers.browser import serving
from helpers.proxy import proxy_to
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

from app.labels import LabelStore

pytestmark = pytest.mark.browser

EXPECTED = ("net::ERR_", "Failed to connect to Bokeh server", "Connection closed before receiving a handshake")

COVERED = """
() => {
  const bar = document.getElementById("imo-connection").getBoundingClientRect()
  function* roots(node) {
    yield node
    for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
  }
  const places = [".imo-form", ".tabulator", ".strip", ".bk-Figure"]
  return [...roots(document)].flatMap((root) => [...root.querySelectorAll(places.join(","))]).filter((element) => {
    const box = element.getBoundingClientRect()
    return box.width && box.top < bar.bottom && box.bottom > bar.top && box.left < bar.right && box.right > bar.left
  }).map((element) => element.className)
}
"""

HALF_A_MESSAGE = """
() => {
  const {prototype} = Bokeh.require("client/connection").ClientConnection, before = prototype.send
  prototype.send = function (message) {
    prototype.send = before
    this._receiver.consume('{"msgid": "1", "msgtype": "PATCH-DOC"}')
    return before.call(this, message)
  }
}
"""

ONLY_WHEN_ASKED = """
() => {
  const {prototype} = Bokeh.require("client/connection").ClientConnection, before = prototype._try_reconnect
  prototype._try_reconnect = function (force = false) { if (force) before.call(this, force) }
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_survey(tmp_path_factory.mktemp("outbox"))


@pytest.fixture(scope="module")
def through():
    """A proxy before a port where a server may listen."""
    with proxy_to(free_port()) as proxy:
        yield proxy


def served(folder, proxy, labels="labels.sqlite"):
    origin = f"127.0.0.1:{proxy.port}"
    return serving(*arguments(folder, labels), "--port", proxy.server_port, "--allow-origin", origin, threads=1)


@pytest.fixture(scope="module")
def shared(folder, browser, through):
    with served(folder, through):
        seen = opened(browser, f"http://127.0.0.1:{through.port}/")
        yield seen
        seen.page.close()


@pytest.fixture(scope="module")
def unused(shared):
    return iter(table_order(shared))


@pytest.fixture
def page(shared, unused, through):
    shared.show(next(unused))
    shared.page.locator(f'.imo-form[data-target="{shared.shown_target()}"]').wait_for()
    yield shared
    through.mend()
    whole(shared)
    assert complaints(shared) == [], "\n".join(complaints(shared))


@pytest.fixture
def proxy(through):
    return through


@pytest.fixture
def store(folder):
    with LabelStore(folder / "labels.sqlite") as store:
        yield store


def complaints(seen):
    return [error for error in seen.errors if not any(words in error for words in EXPECTED)]


def gone(seen):
    seen.page.locator("#imo-connection", has_text="does not answer").wait_for()


def whole(seen):
    """Wait until the connection is back and everything saved, as far as the page says."""
    seen.page.locator("#imo-connection").wait_for(state="detached")


def pressed(seen, action, on=True):
    seen.page.locator(f'.imo-form [data-label="{action}"][aria-pressed="{str(on).lower()}"]').wait_for()


def unsaved(seen, count):
    changes = "1 change" if count == 1 else f"{count} changes"
    seen.page.locator(".state.unsaved", has_text=f"not saved yet: {changes}").wait_for()
    seen.page.locator("#imo-connection", has_text=changes).wait_for()


def write(seen, text):
    seen.page.keyboard.press("c")
    seen.page.wait_for_function(IN_THE_COMMENT)
    seen.page.keyboard.type(text)
    seen.page.keyboard.press("Escape")


def made(store, target):
    """What the history holds, oldest first, by kind."""
    return [(change.kind, change.record.label) for change in store.history(target, USER)]


def test_a_comment_waits_for_the_server(page, proxy, store):
    target = page.shown_target()
    proxy.cut()
    gone(page)
    write(page, "broad, and cut off")
    unsaved(page, 1)
    assert made(store, target) == []
    proxy.mend()
    wait_until_saved(page)
    whole(page)
    assert [label.comment for _, label in made(store, target)] == ["broad, and cut off"]
    assert page.page.locator(".imo-form textarea").input_value() == "broad, and cut off"


def test_everything_that_can_be_said_waits_in_order(page, proxy, store):
    seen, target = page.page, page.shown_target()
    proxy.cut()
    gone(page)
    for key in "3142":
        seen.keyboard.press(key)
    pressed(page, "quality-2")
    seen.keyboard.press("*")
    pressed(page, "star")
    seen.locator('.imo-form [data-label="issue-S"]').click()
    pressed(page, "issue-S")
    seen.keyboard.press("C")
    seen.keyboard.press("8")
    seen.wait_for_function(CLASS_SHOWN, arg="star")
    seen.locator(".imo-form select").select_option("merger")
    seen.keyboard.press("*")
    seen.keyboard.press("z")
    pressed(page, "star")
    unsaved(page, 10)
    proxy.mend()
    seen.locator(".state.saved", has_text="Undid:").wait_for()
    whole(page)
    assert [label.quality for _, label in made(store, target)][:4] == [3, 1, 4, 2]
    label = store.get(target, USER).label
    assert (label.quality, label.star, label.issues, label.label_class) == (2, True, "S", "merger")
    assert made(store, target)[-1][0] == "undo"
    pressed(page, "star")
    pressed(page, "quality-2")


def test_keys_label_also_where_the_form_is_hidden(page, store):
    seen, target, order = page.page, page.shown_target(), table_order(page)

    def switch():
        seen.get_by_role("button", name="View").click()
        seen.get_by_role("checkbox", name="Details").click()
        seen.keyboard.press("Escape")

    switch()
    seen.locator(".imo-form").wait_for(state="hidden")
    seen.keyboard.press("n")
    wait_for_target(page, order[order.index(target) + 1])
    seen.keyboard.press("b")
    wait_for_target(page, target)
    for key in "10":
        seen.keyboard.press(key)
    page.until(lambda: len(made(store, target)) == 2)
    switch()
    pressed(page, "quality-0")


def test_a_nudged_redshift_waits(page, proxy, store):
    seen, target = page.page, page.shown_target()
    proxy.cut()
    gone(page)
    seen.keyboard.press(">")
    seen.get_by_role("button", name="Use as VI_z").click()
    seen.locator(".meaning", has_text="VI_z").wait_for()
    proxy.mend()
    wait_until_saved(page)
    whole(page)
    assert len(made(store, target)) == 1
    assert store.get(target, USER).label.redshift is not None


@pytest.mark.parametrize("undone", [False, True])
def test_an_answer_that_is_lost_makes_no_second_change(page, proxy, store, undone):
    seen, target = page.page, page.shown_target()
    if undone:
        seen.keyboard.press("3")
        wait_until_saved(page)
    before = len(made(store, target))
    proxy.swallow("down")
    seen.keyboard.press("z" if undone else "3")
    page.until(lambda: len(made(store, target)) == before + 1)
    assert seen.locator(".state.saved").count() == 0
    proxy.cut()
    gone(page)
    unsaved(page, 1)
    proxy.mend()
    seen.locator(".state.saved").wait_for()
    whole(page)
    assert len(made(store, target)) == before + 1
    pressed(page, "quality-3", on=not undone)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_silent_connection_is_noticed_and_replaced(page, proxy, store, direction):
    target = page.shown_target()
    proxy.swallow(direction)
    page.page.keyboard.press("4")
    gone(page)  # although no socket is closed
    page.page.keyboard.press("1")
    unsaved(page, 2)
    proxy.mend()
    wait_until_saved(page)
    whole(page)
    assert [label.quality for _, label in made(store, target)] == [4, 1]
    pressed(page, "quality-1")


def test_a_key_that_is_lost_on_its_way_moves_nothing_and_locks_nothing(page, proxy, store):
    target = page.shown_target()
    proxy.swallow("up")
    page.page.keyboard.press("n")
    gone(page)
    proxy.mend()
    whole(page)
    assert page.shown_target() == target
    write(page, "still here")
    wait_until_saved(page)
    assert store.get(target, USER).label.comment == "still here"


def test_what_is_in_sight_gets_the_label_also_where_the_server_is_ahead(page, proxy, store):
    seen, target, order = page.page, page.shown_target(), table_order(page)
    following = order[order.index(target) + 1]
    before = made(store, following)
    proxy.swallow("down")
    seen.keyboard.press("n")  # the server goes on, and this page does not hear of it
    seen.keyboard.press("2")
    page.until(lambda: store.get(target, USER).label.quality == 2)
    gone(page)
    proxy.mend()
    whole(page)
    seen.keyboard.press("*")
    wait_until_saved(page)
    assert (page.shown_target(), store.get(target, USER).label.star) == (target, True)
    assert made(store, following) == before
    seen.keyboard.press("n")
    wait_for_target(page, following)


def test_what_was_said_lands_at_its_target_whichever_is_open_then(page, proxy, store):
    seen, target, order = page.page, page.shown_target(), table_order(page)
    other = order[order.index(target) + 1]
    before = made(store, other)
    proxy.cut()
    gone(page)
    seen.keyboard.press("1")
    write(page, "of the one before")
    unsaved(page, 2)
    seen.evaluate("window.imo.connection.stop()")  # does not ask whether to leave, nor comes back by itself
    proxy.mend()
    seen.goto(f"http://127.0.0.1:{proxy.port}/?target={other}")
    wait_for_target(page, other)
    seen.wait_for_function("() => window.imo?.connection !== undefined")
    page.until(lambda: len(made(store, target)) == 2)
    whole(page)
    label = store.get(target, USER).label
    assert (label.quality, label.comment) == (1, "of the one before")
    assert made(store, other) == before
    seen.locator(f'.imo-form[data-target="{other}"]').wait_for()
    assert seen.locator(".imo-form textarea").input_value() == ""


def test_a_newer_label_is_told_and_not_overwritten(page, proxy, store):
    seen, target = page.page, page.shown_target()
    proxy.cut()
    gone(page)
    write(page, "mine, typed meanwhile")
    theirs = store.change(
        target, {"quality": 0, "comment": "theirs"}, scanner=USER, client_id=f"other {target}", expected_version=0
    )
    proxy.mend()
    seen.locator(".state.conflict", has_text="theirs").wait_for()
    whole(page)  # the form asks
    assert store.get(target, USER).label == theirs.label
    assert seen.locator(".imo-form textarea").input_value() == "mine, typed meanwhile"
    proxy.cut()
    gone(page)
    seen.get_by_role("button", name="Keep mine").click()
    unsaved(page, 1)
    proxy.mend()
    wait_until_saved(page)
    whole(page)
    assert store.get(target, USER).label.comment == "mine, typed meanwhile"
    assert len(made(store, target)) == 2


def test_keys_that_need_the_server_say_so(page, proxy):
    seen, target = page.page, page.shown_target()
    proxy.cut()
    gone(page)
    for key, words in (("n", "Next target"), ("b", "Previous target"), ("T", "Large type")):
        seen.keyboard.press(key)
        seen.locator("#imo-connection", has_text=f"“{words}").wait_for()
    for width, height in ((1280, 720), (1440, 900)):
        seen.set_viewport_size({"width": width, "height": height})
        page.painted()
        assert seen.evaluate(COVERED) == []
    proxy.mend()
    whole(page)
    assert page.shown_target() == target
    seen.keyboard.press("n")
    order = table_order(page)
    wait_for_target(page, order[order.index(target) + 1])


def test_a_browser_without_a_network_says_so(page, store):
    target, network = page.shown_target(), page.page.context
    network.set_offline(True)
    gone(page)
    page.page.keyboard.press("4")
    unsaved(page, 1)
    network.set_offline(False)
    wait_until_saved(page)
    whole(page)
    assert store.get(target, USER).label.quality == 4


def test_half_a_message_spoils_nothing(page, proxy, store):
    target = page.shown_target()
    page.page.evaluate(HALF_A_MESSAGE)
    proxy.swallow("down")
    page.page.keyboard.press("3")
    page.until(lambda: store.get(target, USER).label.quality == 3)
    proxy.cut()
    gone(page)
    proxy.mend()
    wait_until_saved(page)
    whole(page)
    assert len(made(store, target)) == 1


def test_the_page_connects_also_where_bokeh_has_given_up(page, proxy, store):
    target = page.shown_target()
    page.page.evaluate(ONLY_WHEN_ASKED)
    proxy.cut()
    gone(page)
    page.page.keyboard.press("2")
    proxy.mend()
    wait_until_saved(page)
    whole(page)
    assert store.get(target, USER).label.quality == 2


def test_what_was_said_outlives_the_server(folder, browser):
    target = TARGETS[3]
    with proxy_to(free_port()) as proxy:
        with served(folder, proxy, "killed.sqlite") as first:
            seen = opened(browser, f"http://127.0.0.1:{proxy.port}/?target={target}")
            wait_for_target(seen, target)
            os.kill(first.process.pid, signal.SIGKILL)
            first.process.wait(20)
            gone(seen)
            seen.page.keyboard.press("3")
            write(seen, "said to nobody")
            unsaved(seen, 2)
            seen.page.keyboard.press("c")  # about to go on writing
            seen.page.wait_for_function(IN_THE_COMMENT)
        with served(folder, proxy, "killed.sqlite") as second, LabelStore(folder / "killed.sqlite") as store:
            seen.until(lambda: len(made(store, target)) == 2)
            wait_for_target(seen, target)
            pressed(seen, "quality-3")
            wait_until_saved(seen)
            whole(seen)
            label = store.get(target, USER).label
            assert (label.quality, label.comment) == (3, "said to nobody")
            seen.page.wait_for_function(IN_THE_COMMENT)  # so that the next letters are no keys
            assert "Traceback" not in second.log, second.log
        seen.page.close()


def test_labels_of_somebody_else_are_not_taken_for_mine(folder, browser):
    target = TARGETS[5]
    with proxy_to(free_port()) as proxy:
        with served(folder, proxy, "first.sqlite") as first:
            seen = opened(browser, f"http://127.0.0.1:{proxy.port}/?target={target}")
            wait_for_target(seen, target)
            os.kill(first.process.pid, signal.SIGKILL)
            first.process.wait(20)
            gone(seen)
            seen.page.keyboard.press("3")
            unsaved(seen, 1)
        with served(folder, proxy, "other.sqlite"), LabelStore(folder / "other.sqlite") as store:
            words = f"Not saved: 1 of what was said here of other labels, by {USER}"
            seen.page.locator("#imo-connection", has_text=words).wait_for()
            assert store.labels(USER) == {}
        with served(folder, proxy, "first.sqlite"), LabelStore(folder / "first.sqlite") as store:
            seen.until(lambda: made(store, target))
            whole(seen)
            assert [label.quality for _, label in made(store, target)] == [3]
        seen.page.close()
