"""Many sessions of one server at once, over real websockets, and what is left of them when they are closed."""

import asyncio
import gc
import weakref

import numpy as np
import panel as pn
import psutil
import pytest
from bokeh.models import ColumnDataSource
from raw_sessions import open_session
from test_survey import tiny_survey

from app.computation import Inputs, explain
from app.explainer import Explainer, Settings
from app.labelling import LabelDesk
from app.labels import LabelStore
from app.main import explorer_page
from app.result_cache import ResultCache
from app.session import Session
from app.workspace import Workspace

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),  # in Panel and Bokeh
]

SETTINGS = Settings(window_sizes=(16, 4, 1), n_baselines=4)
SESSIONS = 10
PATIENCE = 120


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
def run(workspace):
    """Run a coroutine function, given the server and its address, on the server's own loop."""
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
        unused_session_lifetime_milliseconds=1500,
        check_unused_sessions_milliseconds=100,
    )
    server.start()
    address = f"http://127.0.0.1:{server.port}/"
    yield lambda scenario: loop.run_until_complete(asyncio.wait_for(scenario(server, address), PATIENCE))
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
        opened = []
        before = megabytes()
        for _ in range(SESSIONS):
            opened.append(await open_session(address))
        by_id = {session.id: session.document for session in server.get_sessions("/")}
        assert len(by_id) == SESSIONS
        mine = [by_id[one.session_id] for one in opened]

        async def use(session, document, seed):
            """Go up and down quickly, then to one target and stay there."""
            rng = np.random.default_rng(seed)
            wanted = seed % len(order)
            keys, target = source_with(document, "name", "count"), source_with(document, "z", "id")
            wild = rng.choice(["next", "previous"], 10).tolist()
            for number, action in enumerate(["next", *wild, *["previous"] * 3, *["next"] * wanted], start=1):
                await session.press(keys.id, action, number)
                await asyncio.sleep(float(rng.choice([0, 0.02, 0.1])))
            combined = source_with(document, "x", "combined")
            await until(lambda: target.data["id"][0] == order[wanted] and np.isfinite(combined.data["combined"]).any())
            await asyncio.sleep(0.5)  # what comes late must change nothing
            return order[wanted], target.data["id"][0], np.array(combined.data["combined"])

        found = await asyncio.gather(*(use(s, d, k) for k, (s, d) in enumerate(zip(opened, mine, strict=True))))
        after = megabytes()
        for one in opened:
            await one.close()
        return found, before, after

    found, before, after = run(scenario)
    with capsys.disabled():
        print(f"\n{SESSIONS} sessions: {before:.0f} MB before, {after:.0f} MB after")
    for wanted, shown, combined in found:
        assert shown == wanted
        np.testing.assert_allclose(combined, expected[wanted], rtol=1e-4, atol=1e-6)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")], caplog.text


def test_closed_sessions_are_freed(run):
    def alive(kind):
        return [one for one in gc.get_objects() if type(one) is kind]

    async def use(server, address):
        """Open a session, let it show a whole target, close it; return weak references to what it was."""
        session = await open_session(address)
        (served,) = server.get_sessions("/")
        await session.ready()
        combined = source_with(served.document, "x", "combined")
        await until(lambda: np.isfinite(combined.data["combined"]).any())
        await asyncio.sleep(0.3)  # reasons and labels arrive
        parts = [served.document, combined, *(one for kind in (Session, LabelDesk) for one in alive(kind))]
        await session.close()
        return [weakref.ref(part) for part in parts]

    async def scenario(server, address):
        kept = []
        for _ in range(3):
            kept += await use(server, address)
            await until(lambda: not server.get_sessions("/"))
        await asyncio.sleep(0.5)
        return kept

    kept = run(scenario)
    assert len(kept) >= 12
    gc.collect()
    assert [ref() for ref in kept if ref() is not None] == []
    assert alive(Session) == []
