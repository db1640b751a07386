"""What of Bokeh and Panel is replaced, and that what changes in a turn arrives in one message, in a real server."""

import asyncio
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from bokeh.server.connection import ServerConnection
from helpers.changing_page import add_a_word, break_once, change_words, use_the_socket_meanwhile
from helpers.raw_sessions import open_session
from panel.io import document as panel_documents

from app.server import bokeh_patches
from app.server.bokeh_patches import Patch, put_in_place, send_together

ROOT = Path(__file__).parents[3]


@pytest.fixture
def received(tmp_path):
    """Return what is in each message of two turns with so many ``changes`` in all, and where its server logs."""

    def receive(change, changes):
        async def scenario(said):
            session = await open_session(said.readline().strip())
            keys = said.readline().strip()
            await session.ready()
            for number in (1, 2):
                await session.press(keys, "next", number)
            async with asyncio.timeout(60):
                while sum(map(len, session.patches)) < changes:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)  # for messages that should not come
            await session.close()
            return session.patches

        log = tmp_path / "log"
        command = [sys.executable, str(ROOT / "tests/helpers/changing_page.py"), change.__name__]
        with (
            log.open("w") as errors,
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
        ):
            try:
                return asyncio.run(scenario(server.stdout)), log
            finally:
                server.kill()

    return receive


def test_one_message_a_turn_in_the_order_of_the_changes(received):
    messages, _ = received(change_words, 8)
    assert [[event["attr"] for event in message] for message in messages] == [["text", "visible"] * 2] * 2
    assert [message[0]["new"] for message in messages] == ["turn 1", "turn 2"]


def test_a_model_that_is_new_is_sent_once_and_can_be_changed_at_once(received):
    (first, second), _ = received(add_a_word, 3)
    assert [event["kind"] for event in first] == ["RootAdded", "ModelChanged"]
    assert first[0]["model"]["attributes"]["text"] == "newer"
    assert second[0]["model"] == {"id": first[0]["model"]["id"]}
    assert second[0]["new"] == "newest"


def test_what_changed_before_an_error_is_not_lost(received):
    messages, log = received(break_once, 2)
    assert [event["new"] for message in messages for event in message] == ["turn 1", "turn 2"]
    assert "ValueError: broken" in log.read_text()


def test_what_panel_changes_while_the_socket_is_in_use_is_not_passed_by(received):
    """Or "Scoring ..." would come after the "done" of a candidate, and stay."""
    messages, log = received(use_the_socket_meanwhile, 4)
    words = [event["new"] for message in messages for event in message if event.get("attr") == "text"]
    assert words == [f"{which} of turn {turn}" for turn in (1, 2) for which in ("first", "last")], log.read_text()


def theirs(one, two):
    return "theirs"


def own(one, two):
    return "own"


@pytest.fixture
def patch(monkeypatch):
    monkeypatch.setattr(bokeh_patches, "_logged", set())
    holder = SimpleNamespace(__name__="Holder", work=theirs)
    return Patch("bokeh", (3, 8), (99, 0), holder, "work", ("one", "two"), own, "it works too much")


def test_all_of_this_release_take_hold():
    assert send_together() == {}
    assert ServerConnection.send_patch_document.__module__ == bokeh_patches.__name__
    assert panel_documents.write_events is panel_documents.schedule_write_events
    assert send_together() == {}, "a second time"


def test_one_that_fits_stands_in_and_is_logged_once(patch, caplog):
    with caplog.at_level(logging.INFO, bokeh_patches.__name__):
        assert put_in_place([patch]) == put_in_place([patch]) == {}
    assert patch.holder.work is own
    assert caplog.messages == ["Holder.work is replaced: it works too much"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"before": (3, 8)}, "expected 3.8 or later, before 3.8"),
        ({"since": (98, 0)}, "expected 98.0 or later, before 99.0"),
        ({"name": "rest"}, "has no such function"),
        ({"takes": ("one",)}, "it takes (one, two), expected (one)"),
    ],
)
def test_one_that_does_not_fit_leaves_it_as_it_is_and_says_so_once(patch, caplog, changed, words):
    patch = replace(patch, **changed)
    (why,) = put_in_place([patch]).values()
    put_in_place([patch])
    assert words in why
    assert patch.holder.work is theirs
    (record,) = caplog.records
    assert record.levelname == "WARNING" and why in record.message
