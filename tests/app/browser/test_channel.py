"""The way from the browser to Python: in order, numbered, and nothing that is not understood does anything."""

import json
import logging

import pytest
from bokeh import __version__

from app.browser import patches
from app.browser.channel import Channel, tells
from app.browser.patches import log_patches


@pytest.fixture
def channel():
    return Channel()


def tell(channel, action, payload=""):
    text = payload if isinstance(payload, bytes) else json.dumps(payload)
    count = (channel.source.data["count"] or [0])[0] + 1
    channel.source.data = {"action": [action], "payload": [text], "count": [count]}


def test_all_are_heard_in_the_order_in_which_they_are_told(channel):
    heard = []
    channel.on("label", lambda said: heard.append((channel.heard, "label", said)))
    channel.on_word("key", lambda key: heard.append((channel.heard, "key", key)))
    tell(channel, "label", {"quality": 3})
    tell(channel, "key", "next")
    tell(channel, "key", "next")
    assert heard == [(1, "label", {"quality": 3}), (2, "key", "next"), (3, "key", "next")]


def test_several_may_listen_to_the_same(channel):
    heard = []
    channel.on("key", lambda key: heard.append("first"))
    channel.on("key", lambda key: heard.append("second"))
    tell(channel, "key", "next")
    assert heard == ["first", "second"]


def test_words_are_text_whatever_comes(channel):
    heard = []
    channel.on_word("open", heard.append)
    tell(channel, "open", 12)
    assert heard == ["12"]


def test_what_nobody_listens_to_or_what_cannot_be_read_is_passed_over(channel, caplog):
    heard = []
    channel.on("open", heard.append)
    with caplog.at_level(logging.INFO):
        tell(channel, "nothing")
        tell(channel, "open", b"{")
    assert heard == [] and channel.heard == 2
    assert caplog.messages == ["nobody listens to 'nothing' here", "what was told with 'open' cannot be read"]


def test_a_button_tells_its_word_and_not_code():
    assert tells("open") == "window.imo.tell('open', this.dataset.word)"


def test_what_the_browser_replaces_of_bokeh_is_logged_once(monkeypatch, caplog):
    monkeypatch.setattr(patches, "_logged", set())
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            log_patches({"LineView._paint": True, "BitSet.select": "there is none"})
        log_patches("nonsense")
    assert caplog.messages == [
        f"replaced of Bokeh {__version__} in the browser: LineView._paint",
        f"BitSet.select of Bokeh {__version__} in the browser is left as it is: there is none",
    ]
