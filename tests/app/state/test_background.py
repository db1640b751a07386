"""Work in another thread: whose turn it is, what is dropped, and what the log says."""

import logging
import threading
from collections import deque

import pytest

from app.state.background import Background
from imo_engine.errors import InputError


@pytest.fixture
def line():
    """A line of work that is done when the test says so, one after the other."""
    return deque()


def drain(line):
    while line:
        line.popleft()()


def background(line):
    return Background(line.append, lambda call: call())


def fail(error):
    raise error


class TestNewest:
    def test_replaces_what_has_not_begun_and_keeps_its_place(self, line):
        hasty, calm = background(line), background(line)
        done = []
        for n in range(5):
            hasty.run_newest(lambda n=n: n, done.append, fail, about="a drag")
        calm.run_newest(lambda: "calm", done.append, fail, about="a click")
        for n in range(5, 9):
            hasty.run_newest(lambda n=n: n, done.append, fail, about="a drag")
        assert len(line) == 2
        drain(line)
        assert done == [8, "calm"]

    def test_what_is_asked_for_meanwhile_comes_behind_others(self, line):
        hasty, calm = background(line), background(line)
        done = []

        def work():
            hasty.run_newest(lambda: "second", done.append, fail, about="a drag")
            calm.run_newest(lambda: "calm", done.append, fail, about="a click")
            return "first"

        hasty.run_newest(work, done.append, fail, about="a drag")
        drain(line)
        assert done == ["first", "calm", "second"]

    def test_begins_again_after_a_pause_and_after_an_error(self, line):
        one = background(line)
        done, failed = [], []
        one.run_newest(lambda: fail(InputError("no")), done.append, failed.append, about="a drag")
        drain(line)
        one.run_newest(lambda: 2, done.append, failed.append, about="a drag")
        drain(line)
        assert (done, failed) == ([2], ["no"])

    def test_is_dropped_with_the_rest(self, line):
        one = background(line)
        done = []
        one.run_newest(lambda: 1, done.append, fail, about="a drag")
        one.renew()
        drain(line)
        assert done == []

    def test_from_many_threads_loses_none_that_is_last(self):
        threads, lock, done = [], threading.Lock(), []

        def submit(work):
            thread = threading.Thread(target=work)
            with lock:
                threads.append(thread)
            thread.start()

        one = Background(submit, lambda call: call())
        for n in range(200):
            one.run_newest(lambda n=n: n, done.append, fail, about="a drag")
        while True:
            with lock:
                waiting = [thread for thread in threads if thread.is_alive()]
            if not waiting:
                break
            waiting[0].join()
        assert done[-1] == 199
        assert done == sorted(set(done))


class TestLog:
    def test_has_no_refusal_that_somebody_is_told(self, line, caplog):
        told = []
        with caplog.at_level(logging.INFO):
            background(line).run(lambda: fail(InputError("'low' is 3")), fail, told.append, about="a range")
            drain(line)
        assert told == ["'low' is 3"] and not caplog.records

    def test_has_a_refusal_that_nobody_is_told(self, line, caplog):
        background(line).run(lambda: fail(InputError("'low' is 3")), fail, about="a range")
        drain(line)
        assert [(one.levelname, one.getMessage()) for one in caplog.records] == [("WARNING", "a range: 'low' is 3")]

    @pytest.mark.parametrize("told", [None, [].append])
    def test_has_what_nobody_expected_with_its_traceback(self, line, caplog, told):
        background(line).run(lambda: fail(KeyError("flux")), fail, told, about="a range")
        drain(line)
        assert caplog.records[0].levelname == "ERROR" and caplog.records[0].exc_info
