"""Serving owners in turn."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from app.computing.fair_queue import FairQueue

requests = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=30)


def drain(turns):
    taken = []
    while turn := turns.take():
        taken.append(turn)
    return taken


@settings(max_examples=200, deadline=None)
@given(requests)
def test_everything_is_taken_once_and_nobody_twice_while_another_waits(asked):
    turns = FairQueue()
    for owner, thing in asked:
        turns.add(owner, thing)
    assert len(turns) == len({thing for _, thing in asked})
    taken = drain(turns)
    assert Counter(thing for _, thing in taken) == Counter({thing for _, thing in asked})
    waiting = {owner: [thing for who, thing in asked if who == owner] for owner in "abc"}
    passed_over = Counter()  # turns of others since the owner's own
    for owner, thing in taken:
        assert thing == waiting[owner][-1]  # the newest
        passed_over[owner] = 0
        for other in waiting:
            waiting[other] = [one for one in waiting[other] if one != thing]
            passed_over[other] += other != owner and bool(waiting[other])
            assert passed_over[other] <= 2, f"{other} was passed over"
    assert len(turns) == 0


def test_a_newcomer_waits_for_one_thing_of_each_other_at_most():
    turns = FairQueue()
    for number in range(3):
        turns.add("ann", f"ann {number}")
    assert turns.take() == ("ann", "ann 2")
    turns.add("bob", "bob 0")
    assert [thing for _, thing in drain(turns)] == ["ann 1", "bob 0", "ann 0"]


@settings(max_examples=100, deadline=None)
@given(requests, requests)
def test_removing_undoes_adding(asked, taken_back):
    turns, expected = FairQueue(), Counter(asked)
    for owner, thing in asked:
        turns.add(owner, thing)
    for owner, thing in taken_back:
        turns.remove(owner, thing)
        expected[owner, thing] -= 1
    left = {thing for (_, thing), count in expected.items() if count > 0}
    assert {thing for _, thing in drain(turns)} == left


def test_an_owner_that_drops_everything_leaves_the_others_theirs():
    turns = FairQueue()
    turns.add("ann", "shared")
    turns.add("ann", "own")
    turns.add("bob", "shared")
    turns.drop("ann")
    turns.drop("nobody")
    assert drain(turns) == [("bob", "shared")]
