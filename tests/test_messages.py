"""What changes in a turn of a document arrives in one message, in a real server."""

import asyncio

import pytest
from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.models import ColumnDataSource, Div
from bokeh.server.connection import ServerConnection
from bokeh.server.server import Server
from raw_sessions import open_session

from app.messages import send_together


@pytest.fixture
def received(monkeypatch):
    """Return the changes of each message that the page gets when ``change(keys, words)`` is run in two turns."""
    monkeypatch.setattr(ServerConnection, "send_patch_document", ServerConnection.send_patch_document)  # put it back
    send_together()

    def receive(change):
        def page(document):
            keys, words = ColumnDataSource({"name": [], "count": []}), [Div(), Div()]
            for model in (keys, *words):
                document.add_root(model)
            keys.on_change("data", lambda attr, old, new: change(keys, words))

        async def scenario():
            server = Server(Application(FunctionHandler(page)), port=0, address="127.0.0.1")
            server.start()
            session = await open_session(f"http://127.0.0.1:{server.port}/")
            (served,) = server.get_sessions()
            for number in (1, 2):
                await session.press(served.document.roots[0].id, "next", number)
                await asyncio.sleep(0.3)
            await session.close()
            server.stop()
            return session.patches

        return asyncio.run(scenario())

    return receive


def test_one_message_a_turn_in_the_order_of_the_changes(received):
    def change(keys, words):
        for word in words:
            word.text = f"turn {keys.data['count'][0]}"
            word.visible = not word.visible

    messages = received(change)
    assert [[event["attr"] for event in message] for message in messages] == [["text", "visible"] * 2] * 2
    assert [message[0]["new"] for message in messages] == ["turn 1", "turn 2"]


def test_a_model_that_is_new_is_sent_once_and_can_be_changed_at_once(received):
    def change(keys, words):
        if keys.data["count"][0] == 1:
            words.append(Div(text="new"))
            keys.document.add_root(words[-1])
            words[-1].text = "newer"
        else:
            words[-1].text = "newest"

    first, second = received(change)
    assert [event["kind"] for event in first] == ["RootAdded", "ModelChanged"]
    assert first[0]["model"]["attributes"]["text"] == "newer"
    assert second[0]["model"] == {"id": first[0]["model"]["id"]}
    assert second[0]["new"] == "newest"


def test_what_changed_before_an_error_is_not_lost(received, caplog):
    def change(keys, words):
        words[0].text = f"turn {keys.data['count'][0]}"
        if keys.data["count"][0] == 1:
            raise ValueError("broken")

    messages = received(change)
    assert [event["new"] for message in messages for event in message] == ["turn 1", "turn 2"]
    assert "broken" in caplog.text
