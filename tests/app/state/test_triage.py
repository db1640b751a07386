"""Order, filters, labels, keys and addresses, without a browser."""

import json
import os
import sqlite3
import threading
from collections import deque
from dataclasses import asdict, replace
from uuid import uuid4

import numpy as np
import pytest
from helpers.networks import tiny_model
from helpers.surveys import TARGETS, tiny_survey
from helpers.tables import HTML, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from app.computing.explainer import Explainer
from app.computing.shelf import Shelf
from app.findings.findings import Finding, Mark
from app.html.table_cells import table_frame
from app.labels import Label, LabelStore
from app.labels.database import Database
from app.labels.said import Answer, Said, said_in
from app.state.candidates import NO_CONTENT, CandidateIntake
from app.state.choices import Choices
from app.state.labels import UserLabels
from app.state.links import Place, place_in, sky_links
from app.state.triage import ALL, STARRED, UNLABELLED, YOURS, Triage, coordinates_in, separation
from app.survey.kept_candidates import PER_OWNER, CandidateFiles
from app.views.dialogs.compare import comparison_html
from app.views.reasons.who import who_html
from imo_engine.errors import InputError


class TestOrder:
    def test_is_by_rank_and_moves_follow_it(self, table):
        order = table.triage.order
        assert set(order) == set(TARGETS)
        assert order == tuple(table.survey.spectra.target_id[table.survey.order()])
        seen = []
        for _ in order:
            table.key("next")
            seen.append(table.state.target_id)
        assert tuple(seen) == order
        table.key("next")
        assert table.state.target_id == order[-1]
        assert table.triage.words == "That was the last target"
        table.key("previous")
        assert table.state.target_id == order[-2]

    def test_follows_the_sorted_table(self, table):
        table.triage.sorted_as(TARGETS[::-1])
        table.key("next", "next")
        assert table.state.target_id == TARGETS[::-1][1]

    def test_a_label_moves_no_row(self, table):
        table.triage.unlabelled_first = True
        before = table.triage.order
        table.key("next", "quality-4")
        table.drain()
        assert table.triage.order == before
        table.triage.unlabelled_first = False
        table.triage.unlabelled_first = True
        assert table.triage.order == (*before[1:], before[0])

    def test_next_unlabelled_goes_round(self, table):
        order = table.triage.order
        table.triage.select(order[1])
        table.key("quality-0", "next-unlabelled", "quality-1", "next-unlabelled", "quality-2", "next-unlabelled")
        assert table.state.target_id == order[0]
        table.key("quality-3", "next-unlabelled")
        assert table.triage.words == "Every target here has a label"
        assert table.triage.labelled() == (4, 4)

    def test_neighbours(self, table):
        order = table.triage.order
        assert table.triage.neighbours(order[1]) == [order[2], order[3], order[0]]
        assert table.triage.neighbours("gone") == list(order[:2])


class TestFilters:
    def test_by_part_of_an_identifier(self, table):
        table.triage.search = TARGETS[1][-4:]
        assert TARGETS[1] in table.triage.shown
        table.triage.search = "nobody"
        assert table.triage.shown == ()
        assert "No target matches" in table.triage.words
        table.key("next")
        assert table.state.target_id == ""

    def test_by_coordinates(self, tmp_path):
        survey = tiny_survey()
        ra, dec = np.array([150.1, 150.1001, 10.0, np.nan]), np.array([2.2, 2.2, -5.0, np.nan])
        survey = replace(survey, spectra=replace(survey.spectra, ra=ra, dec=dec))
        triage = Table(tmp_path, survey=survey).triage
        triage.search = "150.1001 2.2"
        assert triage.shown == (TARGETS[1], TARGETS[0])
        triage.search = "151.1 2.2"
        assert triage.shown == ()
        assert triage.words == "Nothing within 1 arcmin; the nearest is 59.9 arcmin away"

    def test_by_what_was_said(self, table):
        first, second = table.triage.order[:2]
        table.triage.select(first)
        table.key("star")
        table.say(label_class=table.desk.classes[0])
        for only, expected in ((STARRED, {first}), (table.desk.classes[0], {first}), (ALL, set(TARGETS))):
            table.triage.only = only
            assert set(table.triage.shown) == expected
        table.triage.only = UNLABELLED
        assert first not in table.triage.shown
        assert second in table.triage.shown

    def test_by_a_class_that_is_called_like_another_filter(self, table):
        first, second = table.triage.order[:2]
        table.store.classes.add("starred", "")
        table.desk.reload()
        table.triage.select(first)
        table.key("star")
        table.triage.select(second)
        table.say(label_class="starred")
        choices = table.triage.choices(table.desk.classes)
        assert len(choices) == len(set(choices)) and "starred (class)" in choices
        for only, expected in ((STARRED, first), ("starred (class)", second)):
            table.triage.only = only
            assert table.triage.shown == (expected,)

    @given(ra=st.floats(0, 360), dec=st.floats(-90, 90))
    def test_coordinates_are_read_as_written(self, ra, dec):
        assert coordinates_in(f"{ra:.6f}, {dec:+.6f}") == (round(ra, 6), round(dec, 6))

    @pytest.mark.parametrize("text", ["39628000000000001", "400 2", "150 95", "", "a b", "150.1"])
    def test_what_is_no_place(self, text):
        assert coordinates_in(text) is None

    def test_separation_across_zero(self):
        apart = separation(np.array([359.9999, np.nan]), np.array([0.0, 0.0]), 0.0001, 0.0)
        assert apart[0] == pytest.approx(0.72, rel=1e-6)
        assert np.isnan(apart[1])


class TestSaving:
    def test_each_key_is_a_version_and_saved_is_said_after_the_commit(self, table):
        table.key("next", "quality-3")
        assert table.desk.state.kind == "saving"
        assert table.kept() == {}
        table.drain()
        target = table.state.target_id
        assert table.desk.state.kind == "saved"
        assert table.desk.state.text.startswith("saved ")
        assert table.kept() == {target: Label(quality=3)}
        table.key("star", "issue-S", "issue-R", "issue-S")
        table.drain()
        assert table.kept() == {target: Label(quality=3, star=True, issues="R")}
        assert table.desk.record.version == 5

    def test_what_is_said_goes_to_its_target_however_late(self, table):
        table.key("next")
        first = table.state.target_id
        table.key("next")
        table.say(target=first, base=0, comment="written before the key")
        table.drain()
        assert table.kept() == {first: Label(comment="written before the key")}
        assert table.desk.record.label == Label()

    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_the_database_ends_up_with_what_was_pressed(self, tmp_path_factory, data):
        table = Table(tmp_path_factory.mktemp("triage"))
        expected = {}
        for _ in range(data.draw(st.integers(1, 25))):
            action = data.draw(st.sampled_from(["next", "previous", "quality-0", "quality-4", "star", "issue-S"]))
            table.key(action)
            target = table.state.target_id
            before = expected.get(target, Label())
            if target and action.startswith("quality"):
                expected[target] = replace(before, quality=int(action[-1]))
            elif target and action == "star":
                expected[target] = replace(before, star=not before.star)
            elif target and action == "issue-S":
                expected[target] = replace(before, issues="" if before.issues else "S")
            for _ in range(data.draw(st.integers(0, 3))):  # the other thread is now slow, now quick
                if table.work:
                    table.work.popleft()()
        table.drain()
        assert table.kept() == expected
        assert table.desk.unsaved == 0
        table.store.close()

    def test_undo_and_redo(self, table):
        table.key("next", "quality-3", "quality-4", "undo")
        table.drain()
        assert table.desk.record.label == Label(quality=3)
        assert table.desk.state.text == f"Undid: quality of {table.state.target_id} back to 3"
        table.key("redo")
        table.drain()
        assert table.desk.record.label == Label(quality=4)
        table.key("redo")
        table.drain()
        assert table.desk.state.text.startswith("nothing to redo")

    def test_a_comment_that_is_too_long_is_refused_in_words(self, table):
        table.key("next")
        table.say(comment="x" * 5000)
        table.drain()
        assert table.desk.state.kind == "refused"
        assert table.kept() == {}

    def test_a_refusing_database_loses_nothing(self, table, tmp_path, monkeypatch):
        monkeypatch.setattr("app.labels.database.BUSY_SECONDS", 0)
        table.key("next", "quality-1")
        table.drain()
        broken = table.store._database
        assert isinstance(broken, Database)
        monkeypatch.setattr(broken, "write", _full)
        table.key("quality-2", "star")
        table.drain()
        assert table.desk.state.kind == "failed"
        assert "2 changes not saved" in table.desk.state.text
        assert "disk is full" in table.desk.state.text
        assert table.desk.record.label == Label(quality=2, star=True)  # still shown
        table.key("next", "previous")
        table.drain()
        assert table.desk.state.kind == "failed"
        monkeypatch.undo()
        table.desk.retry()
        table.drain()
        assert table.desk.state.kind == "saved"
        assert table.kept() == {table.state.target_id: Label(quality=2, star=True)}

    @pytest.mark.parametrize("mine", [True, False])
    def test_a_conflict_waits_for_the_user_and_blocks_nothing_else(self, table, mine):
        table.key("next", "quality-1")
        table.drain()
        target, other = table.triage.order[:2]
        theirs = Label(quality=0, comment=HTML)
        table.store.save(target, theirs, scanner="ann", client_id="elsewhere", expected_version=1)
        table.key("quality-2", "star")
        table.drain()
        assert table.desk.state.kind == "conflict"
        assert table.desk.state.theirs.label == theirs
        assert table.kept()[target] == theirs
        table.key("next", "quality-4")
        table.drain()
        assert table.kept()[other] == Label(quality=4)
        table.key("previous")
        table.drain()
        assert table.desk.state.kind == "conflict"
        if mine:
            table.say(settles=True, **asdict(table.desk.record.label))
        else:
            table.say("theirs")
        table.drain()
        assert table.kept()[target] == (Label(quality=2, star=True) if mine else theirs)
        assert table.desk.record.label == table.kept()[target]
        assert table.desk.unsaved == 0

    def test_what_is_said_again_is_one_change_and_answered_again(self, table):
        table.key("next")
        said = Said("a", "save", table.state.target_id, {"quality": 3})
        table.desk.say(said)
        table.desk.say(said)
        assert table.desk.answers == ()
        table.drain()
        table.desk.say(said)
        table.drain()
        answer = Answer("a", {table.state.target_id: 1})
        assert table.desk.answers == (answer, answer)
        assert len(table.store.history(table.state.target_id, "ann")) == 1

    def test_a_new_session_takes_up_what_was_said_in_the_one_before(self, table, tmp_path):
        """The first of three changes was saved and its answer lost; all were made with version 0 in sight."""
        target = table.triage.order[0]
        said = [
            Said("tab.a", "save", target, {"quality": 3}),
            Said("tab.b", "save", target, {"star": True}),
            Said("tab.c", "undo"),
        ]
        table.desk.say(said[0])
        table.drain()
        again = Table(tmp_path)
        for one in (*said, Said("tab.d", "save", target, {"comment": "after it"})):
            again.desk.say(one)
        again.drain()
        assert again.kept() == {target: Label(quality=3, comment="after it")}
        assert [one.client_id for one in again.desk.answers] == ["tab.a", "tab.b", "tab.c", "tab.d"]
        assert [one.kind for one in again.store.history(target, "ann")] == ["save", "save", "undo", "save"]
        again.store.close()

    def test_what_was_said_of_an_older_version_is_a_conflict_later_too(self, table):
        table.key("next")
        target = table.state.target_id
        table.store.save(target, Label(quality=1), scanner="ann", client_id="elsewhere", expected_version=0)
        table.desk.open(target)
        table.drain()
        assert table.desk.record.version == 1
        table.say(base=0, comment="typed before that was seen")
        table.drain()
        assert table.desk.state.kind == "conflict"
        assert table.desk.record.label.comment == "typed before that was seen"
        assert len(table.desk.undecided) == 1
        assert table.desk.answers == ()

    def test_a_refused_comment_stays_in_the_words(self, table):
        table.key("next")
        table.say(comment="good\0")
        assert table.desk.state.kind == "refused"
        assert "You wrote: good" in table.desk.state.text
        assert len(table.desk.answers) == 1  # it need not be said again

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "drop"},
            {"fields": {"quality": "3"}},
            {"fields": {"version": 3}},
            {"fields": {"star": 1}},
            {"base": "0"},
            {"target": None},
            {"id": ""},
        ],
    )
    def test_what_a_browser_says_is_checked(self, change):
        one = {
            "id": "a",
            "kind": "save",
            "target": "1",
            "fields": {"quality": 3},
            "base": 0,
            "settles": False,
        }
        assert said_in(json.dumps([one])) == [Said("a", "save", "1", {"quality": 3})]
        for text in (json.dumps([one | change]), json.dumps(one), "[{", "[3]"):
            with pytest.raises(InputError):
                said_in(text)

    def test_what_another_page_of_the_user_saved_is_seen_on_opening(self, table):
        target = table.triage.order[0]
        table.store.save(target, Label(quality=2), scanner="ann", client_id="1", expected_version=0)
        table.key("next")
        table.drain()
        assert table.desk.record.label == Label(quality=2)
        table.key("quality-3")
        table.drain()
        assert table.kept() == {target: Label(quality=3)}

    def test_a_second_tab_of_the_user_follows_at_once_and_one_of_another_user_does_not(self, table):
        target = table.triage.order[0]
        tabs = [
            UserLabels(table.store, user, submit=table.work.append, schedule=table.work.append)
            for user in ("ann", "bob")
        ]
        counts = [Triage(Choices(), table.survey, one.label_of) for one in tabs]
        for one in tabs:
            one.open(target)
        table.key("next", "quality-2")
        table.drain()
        assert [one.record.label for one in tabs] == [Label(quality=2), Label()]
        assert [one.labelled()[0] for one in counts] == [1, 0]
        tabs[0].close()
        table.key("quality-3")
        table.drain()
        assert tabs[0].record.label == Label(quality=2)

    def test_a_second_tab_that_has_something_to_say_is_not_overwritten(self, table):
        target = table.triage.order[0]
        other = UserLabels(table.store, "ann", submit=lambda work: None, schedule=table.work.append)
        other.open(target)
        other.say(Said("other.1", "save", target, {"quality": 0}))
        table.key("next", "quality-2")
        table.drain()
        assert other.label_of(target) == Label(quality=0)

    def test_undo_takes_back_what_was_said_in_its_own_tab(self, table):
        first, second = table.triage.order[:2]
        table.key("next", "quality-2")
        for k, (target, fields) in enumerate([(first, {"star": True}), (second, {"quality": 4})]):
            table.desk.say(Said(f"other.{k}", "save", target, fields, table.store.get(target, "ann").version + 1 - k))
            table.drain()
        table.key("undo")
        table.drain()
        assert table.desk.state.text == f"Undid: quality of {first} back to none"
        assert table.kept() == {first: Label(star=True), second: Label(quality=4)}
        table.key("undo")
        table.drain()
        assert table.desk.state.text.startswith("nothing to undo")
        table.key("redo")
        table.drain()
        assert table.kept()[first] == Label(quality=2, star=True)

    def test_undo_passes_over_what_was_said_over_elsewhere(self, table):
        table.key("next", "star", "quality-2")
        table.drain()
        target = table.state.target_id
        table.desk.say(Said("other.1", "save", target, {"quality": 0}, 2))
        table.drain()
        table.key("undo")
        table.drain()
        assert table.desk.state.text == f"Undid: star of {target} back to off"
        assert table.kept() == {target: Label(quality=0)}

    def test_unknown_keys_do_nothing(self, table):
        table.key("nonsense", "comment")
        table.drain()
        assert table.kept() == {}

    def test_threads(self, tmp_path):
        """With real threads instead of a list, every press is in the database, in order."""
        lock, loop = threading.Lock(), deque()
        store = LabelStore(tmp_path / "labels.sqlite")
        threads = []

        def submit(work):
            threads.append(threading.Thread(target=work))
            threads[-1].start()

        def schedule(work):
            with lock:
                loop.append(work)

        desk = UserLabels(store, "ann", submit=submit, schedule=schedule)
        desk.open("1")
        for quality in (0, 1, 2, 3, 4):
            desk.say(Said(uuid4().hex, "save", "1", {"quality": quality}))
        while desk.unsaved:
            for thread in list(threads):
                thread.join(10)
            while loop:
                loop.popleft()()
        for thread in threads:
            thread.join(10)
        assert [change.record.label.quality for change in store.history("1", "ann")] == [0, 1, 2, 3, 4]
        store.close()


def _full(work, *, refusal):
    from app.labels import LabelStoreError

    raise LabelStoreError(f"labels.sqlite: {refusal}: the disk is full") from sqlite3.OperationalError("full")


class TestAddresses:
    @given(
        target=st.text(max_size=30),
        view=st.sampled_from(["", "halpha", "oii"]),
        low=st.integers(3600, 9000),
        width=st.integers(1, 500),
    )
    def test_a_place_survives_its_address(self, target, view, low, width):
        from urllib.parse import parse_qs

        place = Place(target, view, None if view else (float(low), float(low + width)))
        found = parse_qs(place.query(), errors="surrogatepass") if _encodable(target) else None
        if found is not None:
            arguments = {name: [value.encode() for value in values] for name, values in found.items()}
            assert place_in(arguments) == place

    @pytest.mark.parametrize("text", [b"", b"5000", b"6000-5000", b"nan-inf", b"1-2-3", b"\xff"])
    def test_a_range_that_is_none(self, text):
        assert place_in({"range": [text]}).observed is None

    def test_links_hold_nothing_but_numbers(self):
        for link in sky_links(150.123456789, -2.5):
            assert link.address.startswith("https://")
            assert "150.123457" in link.address
            assert "-2.500000" in link.address or "-2.5" in link.address
        assert sky_links(400, 0) == ()


def _encodable(text):
    return not any("\ud800" <= c <= "\udfff" for c in text)


class TestMarkup:
    """Whatever comes from a file or a person is text."""

    def named(self):
        survey = tiny_survey()
        spectra = survey.spectra
        hostile = {
            name: np.array([HTML, *getattr(spectra, name)[1:]], dtype=np.str_)
            for name in ("target_id", "note", "source")
        }
        return replace(survey, spectra=replace(spectra, **hostile), simulated=False)

    def test_in_the_table(self):
        found = Finding(HTML, (Mark(1, 2, HTML),), {})
        frame = table_frame(self.named(), (HTML,), lambda target: found, lambda target: Label(label_class=HTML))
        for column in ("target", "label"):
            assert not frame[column].str.contains("<img").any()
        assert "&lt;img" in frame.loc[HTML, "target"]

    def test_in_who_it_is(self):
        html = who_html(self.named(), HTML, {HTML: HTML})
        assert "<img" not in html
        assert html.count("&lt;img") >= 4

    def test_simulated_targets_have_words_and_no_links(self):
        survey = tiny_survey()
        assert "<a " not in who_html(survey, TARGETS[0])
        assert "Simulated" in who_html(survey, TARGETS[0])
        assert "Truth" not in who_html(survey, TARGETS[0])
        assert "Truth: nothing was injected" in who_html(survey, TARGETS[0], {})

    def test_in_disagreements(self, table):
        for scanner, label in (("ann", Label(quality=1, comment=HTML)), (HTML, Label(quality=2, comment=HTML))):
            table.store.save("<b>", label, scanner=scanner, client_id="1", expected_version=0)
        html = comparison_html(table.store.disagreements("ann", HTML), "ann", HTML)
        assert "<img" not in html
        assert '<td class="id">&lt;b&gt;</td>' in html
        assert html.count('class="differs"') == 2


def spectrum_file(redshift=None):
    """A CSV file on the tiny survey's wavelengths."""
    wave = tiny_survey().spectra.wavelength
    rng = np.random.default_rng(3)
    rows = "\n".join(f"{w:.4f},{1 + f:.5f},25" for w, f in zip(wave, rng.normal(0, 0.1, len(wave)), strict=True))
    head = "" if redshift is None else f"# redshift: {redshift}\n"
    return f"{head}wavelength,flux,ivar\n{rows}\n".encode()


class TestCandidates:
    @pytest.fixture
    def desk(self):
        explainer = Explainer(tiny_survey())
        shelf = Shelf(explainer)
        desk = CandidateIntake(explainer, shelf, submit=lambda work: work(), schedule=lambda work: work())
        yield desk, explainer, shelf
        desk.close()
        explainer.close()

    def test_what_nobody_expected_is_said(self, desk, monkeypatch):
        desk, *_ = desk

        def fail(*_):
            raise RuntimeError("out of memory")

        monkeypatch.setattr("app.state.candidates.with_redshift", fail)
        desk.read([("new.csv", spectrum_file())])
        desk.give_redshift(0.1)
        assert desk.intake.kind == "failed" and "out of memory" in desk.intake.text

    def test_from_file_to_target(self, desk, tmp_path):
        desk, explainer, _ = desk
        desk.read([("new.csv", spectrum_file())])
        assert desk.intake.kind == "redshift", desk.intake
        desk.give_redshift(0.1)
        assert desk.intake.kind == "done", desk.intake
        (kept,) = desk.kept
        assert explainer.survey.spectra.redshift[explainer.survey.spectra.row(kept.target_id)] == 0.1
        assert kept.rank is None  # the tiny survey's wavelengths hold nothing to normalise by
        assert "cannot be normalised" in desk.intake.text
        table = Table(tmp_path, survey=explainer.survey)
        before = table.triage.targets
        assert kept.target_id not in before  # another session's file is nobody's business
        table.triage.bring([kept.target_id], explainer.survey)
        assert table.triage.targets == (kept.target_id, *before)
        assert YOURS in table.triage.choices(())
        table.triage.only = YOURS
        assert table.triage.shown == (kept.target_id,)
        table.store.close()

    def test_a_bad_file_is_one_line_and_the_next_one_works(self, desk):
        desk, *_ = desk
        desk.read([(f"../{HTML}.csv", b"\x00\x01")])
        assert desk.intake.kind == "failed"
        assert "\n" not in desk.intake.text
        desk.read([("new.csv", spectrum_file())])
        assert desk.intake.kind == "redshift"

    def test_what_a_session_brought_goes_with_it(self, desk):
        desk, explainer, _ = desk
        before = len(explainer.survey.spectra)
        desk.read([("new.csv", spectrum_file())])
        desk.give_redshift(0.1)
        assert len(explainer.survey.spectra) == before + 1
        desk.close()
        assert len(explainer.survey.spectra) == before

    def test_what_was_superseded_is_dropped(self, desk):
        desk, *_ = desk
        desk.read([("new.csv", spectrum_file())])
        late = []
        desk._background._submit = late.append
        desk.give_redshift(0.1)
        desk.cancel()
        late[0]()
        assert desk.intake.kind == "idle"
        assert desk.kept == ()

    def test_an_empty_upload_is_said_and_not_what_was_said_of_the_last_one(self, desk):
        desk, *_ = desk
        desk.read([("new.csv", spectrum_file(0.1))])
        before = desk.intake.text
        desk.read([("empty.csv", b"")])
        assert (desk.intake.kind, desk.intake.text) == ("failed", "empty.csv: empty, 0 bytes")
        desk.read([])
        assert (desk.intake.kind, desk.intake.text) == ("failed", NO_CONTENT)
        assert before not in desk.intake.text and len(desk.kept) == 1


class TestKeptCandidates:
    @pytest.fixture
    def made(self, tmp_path):
        """Makes a desk of an owner, in a process of its own as far as it knows."""
        desks = []

        def make(owner, **survey):
            explainer = Explainer(tiny_survey(**survey))
            desk = CandidateIntake(
                explainer,
                Shelf(explainer),
                submit=lambda work: work(),
                schedule=lambda work: work(),
                files=CandidateFiles(tmp_path / "candidates", "Tiny"),
                owner=owner,
            )
            desks.append((desk, explainer))
            return desk

        yield make
        for desk, explainer in desks:
            desk.close()
            explainer.close()

    def test_come_back_to_their_owner_and_nobody_else(self, made, tmp_path):
        desk = made("ann")
        desk.read([("new.csv", spectrum_file(0.1)), ("other.csv", spectrum_file(0.2))])
        names = [one.target_id for one in desk.kept]
        assert len(names) == 2 and desk.newest == names[0]
        again, nobody, other = made("ann"), made(""), made("bob")
        for one in (again, nobody, other):
            heard = []
            one.restore(lambda heard=heard: heard.append(True))
            assert heard == [True]
        assert (nobody.kept, other.kept) == ((), ())
        assert [one.target_id for one in again.kept] == names
        assert again.newest == ""  # it is not what the user wants to look at now
        for one, before in zip(again.kept, desk.kept, strict=True):
            np.testing.assert_array_equal(one.spectra.flux, before.spectra.flux)
            np.testing.assert_equal(one.log_prob, before.log_prob)
            assert (one.rank, one.model, one.not_ranked) == (before.rank, before.model, before.not_ranked)
        (file,) = (tmp_path / "candidates").iterdir()
        assert file.stat().st_mode & 0o077 == 0 and "ann" not in file.name

    def test_can_be_removed(self, made, tmp_path):
        desk = made("ann")
        desk.read([("new.csv", spectrum_file(0.1)), ("other.csv", spectrum_file(0.2))])
        first, second = (one.target_id for one in desk.kept)
        desk.forget(first)
        again = made("ann")
        again.restore(lambda: None)
        assert [one.target_id for one in again.kept] == [one.target_id for one in desk.kept] == [second]
        again.forget(second)
        assert list((tmp_path / "candidates").iterdir()) == []

    def test_a_damaged_file_is_none_and_the_log_has_it(self, made, tmp_path, caplog):
        desk = made("ann")
        desk.read([("new.csv", spectrum_file(0.1))])
        (file,) = (tmp_path / "candidates").iterdir()
        file.write_bytes(file.read_bytes()[:2000])
        again, heard = made("ann"), []
        again.restore(lambda: heard.append(True))
        assert heard == [True] and again.kept == ()
        assert "cannot be read" in caplog.text

    def test_another_model_gives_other_scores(self, made):
        desk = made("ann")
        desk.read([("new.csv", spectrum_file(0.1))])
        again = made("ann", model=tiny_model(seed=5))
        again.restore(lambda: None)
        assert [one.name for one in again.kept] == ["new"]
        assert again.kept[0].model != desk.kept[0].model

    def test_the_folder_is_bounded(self, made, tmp_path):
        desk = made("ann")
        desk.read([("new.csv", spectrum_file(0.1))])
        files = CandidateFiles(tmp_path / "candidates", "Tiny", most=1)
        os.utime(next((tmp_path / "candidates").iterdir()), (1, 1))
        files.add("bob", desk.kept)
        assert files.has("bob") and not files.has("ann")
        with pytest.raises(InputError, match="can be kept beside a survey"):
            files.add("bob", [replace(desk.kept[0], target_id=str(k)) for k in range(PER_OWNER + 1)])

    def test_one_that_is_taken_away_is_not_selected_any_more(self, made, tmp_path):
        desk = made("ann")
        desk.read([("new.csv", spectrum_file(0.1))])
        table = Table(tmp_path, survey=desk._explainer.survey)
        table.triage.bring([desk.newest], table.survey)
        table.triage.select(desk.newest)
        table.triage.bring([], table.survey)
        assert table.state.target_id == table.triage.order[0] != desk.newest
        table.store.close()
