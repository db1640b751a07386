"""The order in which a page does what threads hand to it."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from app.browser.page_turns import PageTurns


def test_whatever_order_the_document_chooses():
    later, done = [], []
    put = PageTurns(later.append)
    for number in range(20):
        put(lambda number=number: done.append(number))
    random.Random(1).shuffle(later)
    for callback in later:
        callback()
    assert done == list(range(20))


def test_one_that_breaks_takes_only_itself():
    later, done = [], []
    put = PageTurns(later.append)
    put(lambda: 1 / 0)
    put(lambda: done.append("second"))
    for callback in later:
        try:
            callback()
        except ZeroDivisionError:
            done.append("broken")
    assert done == ["broken", "second"]


def test_all_that_wait_share_a_turn_until_one_ends_it():
    later, turns = [], []

    @contextmanager
    def around():
        turns.append([])
        yield

    put = PageTurns(later.append, around)
    for name in ("first", "second", "third", "fourth"):
        put(lambda name=name: (turns[-1].append(name), put.send() if name == "second" else True)[1])
    put(lambda: put(lambda: turns[-1].append("put by the fifth")))
    while later:
        later.pop(0)()
    assert [turn for turn in turns if turn] == [["first", "second"], ["third", "fourth"], ["put by the fifth"]]


def test_nothing_is_lost_between_threads():
    later, done = [], []
    put = PageTurns(later.append)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: put(lambda: done.append(number)), range(200)))
    for callback in later:
        callback()
    assert sorted(done) == list(range(200))
