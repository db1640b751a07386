"""What a save returns is kept, nothing is overwritten in silence, and every change can be taken back."""

import os
import threading
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import create_engine, func, select

from app.labels import Inspection, Label, LabelConflict, LabelRecord, LabelStore, Progress
from app.labels.records import DEFAULT_CLASSES, MAX_COMMENT
from app.labels.schema import change_table, metadata
from imo_engine.errors import InputError

STAR, DULL, ODD = Label("star", 4), Label("ordinary", 3), Label("unknown", 2, "S", 0.25, "QSO", "why?", True)
NUMBERS = count()


def new_id():
    return f"request {next(NUMBERS)}"


@pytest.fixture
def folder():
    """In memory where the system has such a place: these tests are not about the disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def place(folder):
    """A new file, or the database named by IMO_TEST_DATABASE (a URL), emptied: all its labels are lost."""
    url = os.environ.get("IMO_TEST_DATABASE")
    if url:
        engine = create_engine(url)
        metadata.drop_all(engine)
        engine.dispose()
    return url or folder / "labels.sqlite"


@pytest.fixture
def store(place):
    with LabelStore(place) as opened:
        yield opened


@pytest.fixture
def say(store):
    """Save a label on top of whatever there is."""

    def save(target, label, scanner="ann"):
        version = store.get(target, scanner).version
        return store.save(target, label, scanner=scanner, client_id=new_id(), expected_version=version)

    return save


def count_changes(store):
    return store._database.read(lambda connection: connection.execute(select(func.count(change_table.c.id))).scalar())


def test_a_label_comes_back_in_every_part(place, store, say):
    assert store.get("39633345008634465", "ann") == LabelRecord("39633345008634465", "ann")
    saved = say("39633345008634465", ODD)
    assert (saved.version, saved.label, saved.saved_at.utcoffset().seconds) == (1, ODD, 0)
    assert store.get("39633345008634465", "ann") == saved
    assert store.get("39633345008634465", "bob").version == 0
    store.close()
    with LabelStore(place) as again:
        assert again.labels("ann") == {"39633345008634465": saved}


@pytest.mark.parametrize(
    "comment",
    [
        "<script>alert('x')</script> & <b>bold</b>",
        "Hα + [N ɪɪ] \N{GREEK SMALL LETTER SIGMA} 星 \N{MAN}\N{ZERO WIDTH JOINER}\N{ROCKET} e\u0301",
        "'; DROP TABLE label_change; --",
        '=HYPERLINK("http://x")\r\n\ttab, \'quote\', "double" \\ %s {0}',
        "  blanks at both ends  ",
        "x" * MAX_COMMENT,
    ],
)
def test_comments_are_verbatim(store, say, comment):
    say("1", Label(comment=comment))
    assert store.get("1", "ann").label.comment == comment


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"quality": 5}, "'quality' is 5; expected 0 to 4"),
        ({"quality": -1}, "'quality' is -1"),
        ({"quality": 2.5}, "'quality' is 2.5"),
        ({"quality": True}, "'quality' is True"),
        ({"issues": "RX"}, "'issues' is 'RX'; expected letters of RCS"),
        ({"redshift": float("nan")}, "'redshift' is nan"),
        ({"redshift": -1.0}, "'redshift' is -1.0; expected more than -1"),
        ({"spectype": "galaxy"}, "'spectype' is 'galaxy'; expected one of STAR, GALAXY, QSO"),
        ({"comment": "x" * (MAX_COMMENT + 1)}, f"'comment' has {MAX_COMMENT + 1} characters"),
        ({"comment": "\0"}, "'comment'"),
        ({"comment": "\ud800"}, "'comment'"),
        ({"label_class": " star"}, "no blanks at the ends"),
        ({"label_class": "a\nb"}, "control characters"),
    ],
)
def test_a_label_that_cannot_be_is_refused_at_once(wrong, message):
    with pytest.raises(InputError, match=message):
        Label(**wrong)


def test_issues_have_one_order():
    assert Label(issues="SCR") == Label(issues="RCS") == Label(issues="SSRC")


@pytest.mark.parametrize("name", ["", " ", "a ", "a\tb", "a\x85b", "a\u2028b", "x" * 201, None, "\ud800"])
@pytest.mark.parametrize("argument", ["target_id", "scanner", "client_id"])
def test_names_are_checked(store, argument, name):
    arguments = {"target_id": "1", "scanner": "ann", "client_id": "c", argument: name}
    with pytest.raises(InputError, match=f"'{argument}' is"):
        store.save(arguments.pop("target_id"), STAR, expected_version=0, **arguments)
    assert count_changes(store) == 0


def test_a_repeated_save_is_one_label(store):
    first = store.save("1", STAR, scanner="ann", client_id="c1", expected_version=0)
    for _ in range(12):
        assert store.save("1", STAR, scanner="ann", client_id="c1", expected_version=0) == first
    assert count_changes(store) == 1
    later = store.save("1", DULL, scanner="ann", client_id="c2", expected_version=1)
    assert store.save("1", STAR, scanner="ann", client_id="c1", expected_version=0) == first
    assert store.get("1", "ann") == later
    for target, label in (("1", ODD), ("2", STAR)):
        with pytest.raises(InputError, match="'client_id' is 'c1', which was used for another change"):
            store.save(target, label, scanner="ann", client_id="c1", expected_version=2)
    assert store.save("1", STAR, scanner="bob", client_id="c1", expected_version=0).version == 1


@pytest.mark.parametrize("stale", [0, 1, 3])
def test_a_stale_save_overwrites_nothing(store, say, stale):
    say("1", STAR)
    current = say("1", DULL)
    with pytest.raises(LabelConflict, match=f"target 1: the label of ann is at version 2, not {stale}") as caught:
        store.save("1", ODD, scanner="ann", client_id=new_id(), expected_version=stale)
    assert caught.value.current == store.get("1", "ann") == current
    assert count_changes(store) == 2


def test_a_label_that_is_as_it_was_adds_nothing(store, say):
    saved = say("1", STAR)
    assert say("1", STAR) == saved
    assert say("2", Label()).version == 0
    assert count_changes(store) == 1


def test_an_unknown_class_is_refused(store, say):
    with pytest.raises(InputError, match="'label_class' is 'nova', which is not in the list"):
        say("1", Label("nova"))
    assert count_changes(store) == 0


def test_parts_are_changed_once_for_each_request(store):
    def change(version, client_id, **fields):
        return store.change("1", fields, scanner="ann", client_id=client_id, expected_version=version)

    first = change(0, "a", quality=3)
    second = change(1, "b", comment="lines")
    assert second.label == Label(quality=3, comment="lines")
    assert change(0, "a", quality=3) == first  # its answer was lost, and the label went on
    assert [one.record.version for one in store.history("1", "ann")] == [1, 2]
    with pytest.raises(LabelConflict) as conflict:
        change(1, "c", quality=0)
    assert conflict.value.current == second
    assert change(1, "d", quality=3) == second  # as it is already: nothing to overwrite
    with pytest.raises(InputError, match="another change"):
        store.change("2", {"quality": 3}, scanner="ann", client_id="a", expected_version=0)
    with pytest.raises(InputError, match="quality"):
        change(2, "e", quality=7)


def test_undo_goes_back_change_by_change(store, say):
    say("1", STAR)
    say("2", DULL)
    say("1", ODD)
    say("1", STAR, scanner="bob")

    def undo():
        return [(r.target_id, r.label) for r in store.undo("ann", client_id=new_id())]

    def redo():
        return [(r.target_id, r.label) for r in store.redo("ann", client_id=new_id())]

    assert undo() == [("1", STAR)]
    assert undo() == [("2", Label())]
    assert redo() == [("2", DULL)]
    assert redo() == [("1", ODD)]
    assert redo() == []
    assert [undo(), undo(), undo(), undo()] == [[("1", STAR)], [("2", Label())], [("1", Label())], []]
    assert redo() == [("1", STAR)]
    say("3", DULL)
    assert redo() == []  # something was saved since
    assert undo() == [("3", Label())]
    assert store.get("1", "bob").label == STAR
    kinds = [entry.kind for entry in store.history("1", "ann")]
    assert kinds == ["save", "save", "undo", "redo", "undo", "undo", "redo"]
    assert [entry.record.version for entry in store.history("1", "ann")] == [1, 2, 3, 4, 5, 6, 7]


def test_a_repeated_undo_is_one_undo(store, say):
    say("1", STAR)
    say("1", DULL)
    first = store.undo("ann", client_id="u")
    assert store.undo("ann", client_id="u") == first
    assert store.get("1", "ann").label == STAR
    with pytest.raises(InputError, match="used for another change"):
        store.redo("ann", client_id="u")
    with pytest.raises(InputError, match="used for another change"):
        store.save("1", STAR, scanner="ann", client_id="u", expected_version=3)


class UndoIsATimeMachine(RuleBasedStateMachine):
    """Against a list of all states: undo is one state back, redo one forward, a save cuts off what was ahead."""

    store: LabelStore

    def __init__(self):
        super().__init__()
        self.scanner = new_id()
        self.states, self.now = [{}], 0

    def visible(self):
        return {t: r.label for t, r in self.store.labels(self.scanner).items() if not r.label.empty}

    @rule(one=st.sampled_from("abc"), label=st.sampled_from([STAR, DULL, ODD, Label()]))
    def save(self, one, label):
        state = self.states[self.now]
        if label != state.get(one, Label()):
            state = {t: said for t, said in {**state, one: label}.items() if not said.empty}
            self.states, self.now = [*self.states[: self.now + 1], state], self.now + 1
        version = self.store.get(one, self.scanner).version
        self.store.save(one, label, scanner=self.scanner, client_id=new_id(), expected_version=version)

    @rule(some=st.sets(st.sampled_from("abc")), label=st.sampled_from([STAR, DULL]))
    def import_file(self, some, label):
        state = {**self.states[self.now], **dict.fromkeys(some, label)}
        lines = [Inspection(target, self.scanner, label) for target in sorted(some)]
        self.store.import_labels(lines, client_id=new_id(), replace=True)
        if state != self.states[self.now]:
            self.states, self.now = [*self.states[: self.now + 1], state], self.now + 1

    @precondition(lambda self: self.now > 0)
    @rule()
    def undo(self):
        assert self.store.undo(self.scanner, client_id=new_id())
        self.now -= 1

    @rule()
    def redo(self):
        forward = bool(self.store.redo(self.scanner, client_id=new_id()))
        assert forward == (self.now + 1 < len(self.states))
        self.now += forward

    @precondition(lambda self: self.now == 0)
    @rule()
    def nothing_to_undo(self):
        assert self.store.undo(self.scanner, client_id=new_id()) == ()

    @invariant()
    def shows_the_state(self):
        assert self.visible() == self.states[self.now]


def test_undo_and_redo_against_a_model(store):
    machine = type("Machine", (UndoIsATimeMachine,), {"store": store})
    case = machine.TestCase
    case.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
    case().runTest()


def test_progress_order_and_disagreements(store, say):
    for target, label in {"a": STAR, "b": Label(quality=0), "c": Label(comment="look"), "d": Label(star=True)}.items():
        say(target, label)
    say("e", STAR)
    store.undo("ann", client_id=new_id())
    assert store.progress(["a", "b", "c", "d", "e", "f", "f"], "ann") == Progress(2, 6)
    assert store.progress(["a"], "nobody") == Progress(0, 1)
    assert store.unlabelled_first(["a", "f", "b", "e", "d"], "ann") == ("f", "e", "d", "a", "b")
    say("a", Label("star", 4, comment="I agree"), scanner="bob")
    say("b", Label("ordinary", 0), scanner="bob")
    say("d", Label(quality=1, star=False), scanner="bob")
    say("e", STAR, scanner="bob")  # ann took hers back
    say("z", STAR, scanner="bob")
    found = store.disagreements("ann", "bob")
    assert [(d.target_id, d.fields) for d in found] == [("b", ("label_class",)), ("d", ("quality", "star"))]
    assert (found[0].first.scanner, found[0].second.label) == ("ann", Label("ordinary", 0))
    assert store.scanners() == ("ann", "bob")


def test_the_list_of_classes_can_be_edited(place, store, say):
    classes = store.classes
    assert classes.names() == tuple(name for name, _ in DEFAULT_CLASSES)
    say("1", STAR)
    classes.add("lens", "strong gravitational lens")
    classes.rename("star", "stellar")
    classes.remove("ordinary")
    classes.order(sorted(classes.names()))
    with LabelStore(place) as other:
        names = other.classes.names()
        assert other.get("1", "ann").label == Label("stellar", 4)
    assert names == tuple(sorted(names)) and "lens" in names and "ordinary" not in names
    assert [c.name for c in classes.all() if not c.listed] == ["ordinary"]
    say("2", DULL)  # a label may keep a class that is no longer offered
    classes.add("ordinary")
    assert classes.names()[-1] == "ordinary"
    for wrong in ("lens", "Lens", "", "a\nb"):
        with pytest.raises(InputError):
            classes.add(wrong)
    with pytest.raises(InputError, match="there is a class 'lens' already"):
        classes.rename("stellar", "LENS")
    classes.rename("lens", "Lens")
    with pytest.raises(InputError, match="not in the list"):
        classes.rename("nova", "supernova")
    with pytest.raises(InputError, match="not in the list"):
        classes.remove("nova")
    with pytest.raises(InputError, match="each once"):
        classes.order(["Lens"])


def test_import_keeps_what_differs_unless_told(store, say):
    mine = say("1", STAR)
    say("2", DULL)
    lines = [
        Inspection("1", "ann", ODD),
        Inspection("2", "ann", DULL),
        Inspection("3", "ann", Label("nova", 4)),
        Inspection("4", "ann", Label()),
        Inspection("1", "bob", DULL),
    ]
    summary = store.import_labels(lines, client_id="i1")
    assert (summary.added, summary.replaced, summary.unchanged) == (2, 0, 1)
    assert (summary.kept, summary.new_classes) == ((mine,), ("nova",))
    again = store.import_labels(lines, client_id="i2")
    assert (again.added, again.unchanged, again.new_classes) == (0, 3, ())
    assert store.import_labels(lines, client_id="i3", replace=True).replaced == 1
    assert store.get("1", "ann").label == ODD
    before = count_changes(store)
    with pytest.raises(InputError, match="target 1 has two labels of scanner ann"):
        store.import_labels([*lines, Inspection("1", "ann", STAR)], client_id="i4")
    assert count_changes(store) == before
    assert [r.label for r in store.undo("ann", client_id=new_id())] == [STAR]
    assert {r.target_id for r in store.undo("ann", client_id=new_id())} == {"3"}


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
labels = st.builds(
    Label,
    label_class=st.sampled_from(["", *(name for name, _ in DEFAULT_CLASSES)]),
    quality=st.none() | st.integers(0, 4),
    issues=st.text("RCS"),
    redshift=st.none() | st.floats(-1, 20, exclude_min=True),
    spectype=st.sampled_from(["", "STAR", "GALAXY", "QSO"]),
    comment=texts,
    star=st.booleans(),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=labels)
def test_any_label_comes_back_exactly(store, label):
    scanner = new_id()
    saved = store.save("1", label, scanner=scanner, client_id="c", expected_version=0)
    assert saved.label == label and store.get("1", scanner) == saved


@pytest.mark.parametrize("stores", [1, 2])
def test_threads_lose_no_update(place, stores):
    """Each adds 1 to the same comment, 15 times; who comes too late reads again."""
    opened = [LabelStore(place) for _ in range(stores)]
    failures = []

    def add(number):
        store = opened[number % stores]
        try:
            for _ in range(15):
                while True:
                    before = store.get("1", "ann")
                    label = Label(comment=str(int(before.label.comment or 0) + 1))
                    try:
                        store.save("1", label, scanner="ann", client_id=new_id(), expected_version=before.version)
                        break
                    except LabelConflict as conflict:
                        assert conflict.current.version > before.version
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (opened[0].get("1", "ann").label.comment, opened[0].get("1", "ann").version) == ("60", 60)
    for store in opened:
        store.close()
