"""Many sessions of one server at once, over real websockets, and what is left of them when they are closed."""

import asyncio
import gc
import logging
import weakref

import numpy as np
import panel as pn
import psutil
import pytest
from bokeh.models import ColumnDataSource
from bokeh.server.connection import ServerConnection
from helpers.raw_sessions import connect, open_session
from helpers.surveys import tiny_survey
from panel.io import document as documents
from tornado.web import create_signed_value

from app.computing.computation import Inputs, explain
from app.computing.explainer import Explainer, Settings
from app.computing.result_cache import ResultCache
from app.labels import LabelStore
from app.server.bokeh_patches import send_together
from app.server.explorer_page import explorer_page
from app.state.labels import UserLabels
from app.state.workspace import Workspace

# in Panel and Bokeh
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")

SETTINGS = Settings(window_sizes=(4, 1), n_baselines=4)
SESSIONS = 10


@pytest.fixture
def workspace(tmp_path):
    survey = tiny_survey()
    workspace = Workspace(
        survey=survey,
        explainer=Explainer(survey, cache=ResultCache(tmp_path / "cache")),
        settings=SETTINGS,
        store=LabelStore(tmp_path / "labels.sqlite"),
        user="ann",
    )
    yield workspace
    workspace.close()


@pytest.fixture
def run(workspace, caplog, monkeypatch):
    """Run a coroutine function, given the server and its address, on the server's own loop."""
    for place, names in (
        (ServerConnection, ["send_patch_document"]),
        (documents, ["write_events", "schedule_write_events"]),
    ):
        for name in names:
            monkeypatch.setattr(place, name, getattr(place, name))  # put it back
    send_together()
    caplog.set_level(logging.WARNING, "panel")  # pytest keeps log records, and those of Panel hold models
    pn.extension("tabulator", reconnect=True, notifications=False)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server = pn.serve(
        {"/": lambda: explorer_page(workspace)},
        port=0,
        show=False,
        start=False,
        address="127.0.0.1",
        verbose=False,
        unused_session_lifetime_milliseconds=600_000,  # they end when the test says so
        check_unused_sessions_milliseconds=50,
    )
    server.start()
    address = f"http://127.0.0.1:{server.port}/"
    yield lambda scenario: loop.run_until_complete(scenario(server, address))
    server.stop()
    loop.run_until_complete(asyncio.sleep(0.1))
    loop.close()
    asyncio.set_event_loop(None)


def source_with(document, *columns):
    """Return the one data source that has these columns."""
    known = [one for one in document.models if isinstance(one, ColumnDataSource) and set(columns) <= set(one.data)]
    (found,) = [one for one in known if "rank" not in one.data]
    return found


async def until(condition):
    while not condition():
        await asyncio.sleep(0.02)


async def end(server, served, opened=None):
    """Close a session's browser, and let the server forget the session."""
    served.request_expiration()
    if opened is not None:
        await opened.close()
    await until(lambda: served not in server.get_sessions("/"))
    await asyncio.sleep(0.2)  # what was sent to other threads meanwhile comes back to a closed session


def alive(*kinds):
    return weakref.WeakSet(one for one in gc.get_objects() if issubclass(type(one), kinds))


def megabytes():
    return psutil.Process().memory_info().rss / 2**20


def test_ten_sessions_at_once_each_get_their_own(run, workspace, caplog, capsys):
    order = [str(target) for target in workspace.survey.spectra.target_id[workspace.survey.order()]][:3]
    quiet = {"send": lambda event: None, "should_stop": lambda: False}
    expected = {
        target: explain(Inputs.of(workspace.survey, target, SETTINGS), **quiet).combined.astype(np.float32)
        for target in order
    }

    async def scenario(server, address):
        before = megabytes()
        opened = [await open_session(address) for _ in range(SESSIONS)]
        by_id = {session.id: session for session in server.get_sessions("/")}
        assert len(by_id) == SESSIONS
        served = [by_id[one.session_id] for one in opened]

        async def use(session, document, seed):
            """Go up and down quickly, then to one target and stay there."""
            rng = np.random.default_rng(seed)
            wanted = seed % len(order)
            keys, target = source_with(document, "payload", "count"), source_with(document, "z", "id")
            wild = rng.choice(["next", "previous"], 10).tolist()
            for number, action in enumerate(["next", *wild, *["previous"] * 3, *["next"] * wanted], start=1):
                await session.press(keys.id, action, number)
                await asyncio.sleep(float(rng.choice([0, 0.02, 0.1])))
            await until(lambda: keys.data["count"][0] == number)  # not on the way there
            combined = source_with(document, "x", "combined")
            last = f"w{min(SETTINGS.window_sizes)}"
            await until(lambda: target.data["id"][0] == order[wanted] and np.isfinite(combined.data[last]).any())
            await asyncio.sleep(0.5)  # what comes late must change nothing
            return order[wanted], target.data["id"][0], np.array(combined.data["combined"])

        found = await asyncio.gather(
            *(use(o, s.document, k) for k, (o, s) in enumerate(zip(opened, served, strict=True)))
        )
        after = megabytes()
        documents = [weakref.ref(one.document) for one in served[1:]]  # Panel and Bokeh keep a process's first
        for one, session in zip(opened, served, strict=True):
            await end(server, session, one)
        return found, before, after, documents

    found, before, after, documents = run(scenario)

    async def what_is_left(server, address):
        """Threads may hold a session a little longer than its browser did."""
        for _ in range(100):
            gc.collect()
            if not any(document() for document in documents):
                break
            await asyncio.sleep(0.1)
        return [document() for document in documents if document() is not None]

    left = run(what_is_left)
    with capsys.disabled():
        print(f"\n{SESSIONS} sessions: {before:.0f} MB before, {after:.0f} MB open, {megabytes():.0f} MB closed")
    for wanted, shown, combined in found:
        assert shown == wanted
        np.testing.assert_allclose(combined, expected[wanted], rtol=1e-4, atol=1e-6)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")], caplog.text
    assert left == []


def test_what_is_known_of_a_target_comes_in_two_messages_first_its_spectrum(run, workspace):
    order = [str(target) for target in workspace.survey.spectra.target_id[workspace.survey.order()]]

    async def scenario(server, address):
        opened = await open_session(address)
        (served,) = server.get_sessions("/")
        keys = source_with(served.document, "payload", "count")
        target, combined = source_with(served.document, "z", "id"), source_with(served.document, "x", "combined")
        last = f"w{min(SETTINGS.window_sizes)}"

        async def go(action, number, wanted):
            opened.patches.clear()
            await opened.press(keys.id, action, number)
            await until(lambda: target.data["id"][0] == wanted and np.isfinite(combined.data[last]).any())
            await asyncio.sleep(0.5)

        await go("next", 1, order[0])
        await go("next", 2, order[1])
        await go("previous", 3, order[0])
        messages = [
            {column for event in message if event.get("attr") == "data" for column in event.get("cols") or ()}
            for message in opened.patches
        ]
        await end(server, served, opened)
        return messages

    messages = run(scenario)
    (spectrum,) = [k for k, columns in enumerate(messages) if "flux" in columns]
    (attribution,) = [k for k, columns in enumerate(messages) if "combined" in columns]
    assert spectrum < attribution
    assert messages[attribution] >= {"combined", "baseline", "image"}  # of three sources
    assert len(messages) < 12  # one a change would be thirty


def test_a_lost_connection_comes_back_to_its_session(run, workspace):
    order = [str(target) for target in workspace.survey.spectra.target_id[workspace.survey.order()]]

    async def scenario(server, address):
        opened = await open_session(address)
        (served,) = server.get_sessions("/")
        keys, target = source_with(served.document, "payload", "count"), source_with(served.document, "z", "id")
        await opened.press(keys.id, "next", 1)
        await until(lambda: target.data["id"][0] == order[0])
        await opened.close()
        await until(lambda: served.connection_count == 0)
        again = await connect(address, opened.token)
        assert list(server.get_sessions("/")) == [served]
        await again.press(keys.id, "next", 2)
        await until(lambda: target.data["id"][0] == order[1])
        await end(server, served, again)

    run(scenario)


def test_labels_are_those_of_who_logged_in(run, monkeypatch):
    secret = "not known to the browser"
    signed = create_signed_value(secret, "user", "bob").decode()
    forged = create_signed_value("guessed", "user", "eve").decode()

    async def scenario(server, address):
        async def annotator(cookie):
            others = alive(UserLabels)
            opened = await open_session(address, cookie)
            (served,) = server.get_sessions("/")
            (desk,) = alive(UserLabels) - others
            await end(server, served, opened)
            return desk.scanner

        # cookies know no ports: another program on this host may have left some
        without_login = await annotator(f"is_guest=1; user={signed}")
        monkeypatch.setenv("BOKEH_COOKIE_SECRET", secret)
        return without_login, await annotator(f"user={signed}"), await annotator(f"user={forged}")

    assert run(scenario) == ("ann", "bob", "ann")
