"""Editing the list of classes, without a browser; labels and other sessions follow."""

import pytest
from helpers.tables import HTML, Table

from app.labels import LabelClass
from app.labels.records import DEFAULT_CLASSES
from app.state.classes import ClassEditing
from app.views.dialogs.classes import class_list_html
from imo_engine.errors import ImoError


@pytest.fixture
def desk(table):
    desk = ClassEditing(table.store, submit=table.work.append, schedule=table.work.append, edited=table.desk.reload)
    desk.read()
    table.drain()
    assert [one.name for one in desk.classes] == [name for name, _ in DEFAULT_CLASSES]
    return desk


def test_add_rename_retire_and_bring_back(table, desk):
    table.key("next")
    table.say(label_class="star")
    desk.add(f"  {HTML} ", "markup")
    desk.rename("star", " M dwarf")
    desk.retire("merger")
    assert "M dwarf" not in table.desk.classes  # nothing waits for the database
    table.drain()
    assert not desk.failed and "retired 'merger'" in desk.words
    assert table.desk.classes[-1] == HTML
    assert "M dwarf" in table.desk.classes and not {"star", "merger"} & set(table.desk.classes)
    assert table.desk.record.label.label_class == "M dwarf"
    assert desk.classes[-1] == LabelClass("merger", "interacting or disturbed", listed=False)
    desk.add("merger")
    table.drain()
    assert table.desk.classes[-1] == "merger"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda desk: desk.add("STAR"), "there is a class 'star' already"),
        (lambda desk: desk.add(""), "expected 1 to 200 characters"),
        (lambda desk: desk.add("a\nb"), "control characters"),
        (lambda desk: desk.add("x" * 201), "expected 1 to 200 characters"),
        (lambda desk: desk.rename("star", "merger"), "there is a class 'merger' already"),
        (lambda desk: desk.rename("nobody", "x"), "not in the list"),
        (lambda desk: desk.retire("nobody"), "not in the list"),
    ],
)
def test_refusals_are_words_and_change_nothing(table, desk, change, words):
    before = desk.classes
    change(desk)
    table.drain()
    assert desk.failed and words in desk.words
    assert desk.classes == before
    desk.add("fine")
    table.drain()
    assert not desk.failed


def test_a_database_that_refuses(table, desk, monkeypatch):
    def full(work, refusal=""):
        raise ImoError(f"{refusal}: the disk is full")

    monkeypatch.setattr(table.store._database, "write", full)
    desk.add("one more")
    table.drain()
    assert desk.failed and "disk is full" in desk.words


def test_another_session_learns_of_it_when_it_opens_a_target(tmp_path, table, desk):
    other = Table(tmp_path)
    other.key("next")
    other.say(label_class="star")
    other.drain()
    desk.rename("star", "M dwarf")
    table.drain()
    assert "star" in other.desk.classes
    target = other.state.target_id
    other.key("next")
    other.drain()
    assert "M dwarf" in other.desk.classes and "star" not in other.desk.classes
    assert other.desk.label_of(target).label_class == "M dwarf"
    other.key("previous", "quality-3")
    other.drain()
    assert other.desk.state.kind == "saved"
    assert other.kept()[target].label_class == "M dwarf"
    other.store.close()


def test_names_are_text(table, desk):
    desk.add(HTML, HTML)
    table.drain()
    html = class_list_html(desk.classes)
    assert "<img" not in html and html.count("&lt;img") == 2
    assert "no classes yet" in class_list_html(())
