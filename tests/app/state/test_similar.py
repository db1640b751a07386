"""Similar outliers, groups and latents without a browser."""

import gc
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
from helpers.profiles import made_attribution
from helpers.surveys import TARGETS, tiny_survey

from app.computing.events import Settings
from app.computing.explainer import Explainer
from app.findings.findings import Finding, Findings, Mark
from app.findings.groups import find_groups
from app.findings.likeness import same_cause
from app.findings.reasons import Reasons
from app.labels import Label
from app.plots.latent import LatentPlot, by_class, by_number
from app.plots.thumbnail import stamp_path
from app.state.choices import Choices
from app.state.groups import CauseGroups
from app.state.similar import CAUSE, LATENT, SimilarTargets
from app.state.triage import Subset, Triage
from app.survey.latents import LatentMap, Latents
from app.views.dialogs.groups import groups_html
from app.views.reasons.similar import similar_html
from imo_engine.bundle.engine import Engine
from imo_engine.errors import ModelFileError
from imo_engine.reasons.profiles import BIN_EDGES, FRAMES, attribution_profile

FIRST, SECOND, THIRD, UNSCORED = TARGETS
SETTINGS = Settings(window_sizes=(1, 16), n_baselines=3)


def made_finding(redshift, peak, verdict, *, brief="something"):
    attribution = made_attribution(redshift, peak)
    marks = (Mark(peak - 15, peak + 15, verdict),)
    return Finding(brief, marks, {frame: attribution_profile(attribution, frame) for frame in FRAMES})


@pytest.fixture(scope="module")
def survey():
    return tiny_survey()


@pytest.fixture
def findings():
    """The same line in FIRST and SECOND, the same bad column in THIRD and "column", something else in "other"."""
    made = Findings()
    made.learn(
        {
            FIRST: made_finding(0.10, 5008 * 1.10, "source"),
            SECOND: made_finding(0.30, 5008 * 1.30, "source"),
            THIRD: made_finding(0.08, 7000.0, "instrument"),
            "column": made_finding(0.50, 7000.0, "instrument"),
            "other": made_finding(0.20, 4000.0, "unclear"),
        }
    )
    return made


class TestSameCause:
    def test_sources_in_the_rest_frame_and_instruments_in_the_observed(self, findings):
        everybody = {*TARGETS, "column", "other"}.__contains__
        assert [one.target_id for one in same_cause(findings, FIRST, everybody, 3)] == [SECOND]
        assert [one.target_id for one in same_cause(findings, THIRD, everybody, 3)] == ["column"]

    def test_of_nobody_who_is_not_visible(self, findings):
        assert same_cause(findings, FIRST, {FIRST, THIRD}.__contains__, 3) == []

    def test_of_what_is_not_explained_or_does_not_stand_out(self, findings):
        assert same_cause(findings, UNSCORED, TARGETS.__contains__, 3) == []
        findings.learn({FIRST: replace(findings.get(FIRST), marks=())})
        assert same_cause(findings, FIRST, TARGETS.__contains__, 3) == []


class TestGroups:
    def test_are_of_one_cause_in_its_frame(self, findings):
        groups = find_groups(findings.all())
        assert {frozenset(one.targets): (one.frame, one.verdict) for one in groups} == {
            frozenset({FIRST, SECOND}): ("rest", "source"),
            frozenset({THIRD, "column"}): ("observed", "instrument"),
        }
        line = next(one for one in groups if one.frame == "rest")
        assert line.low < 5008 < line.high
        assert "[O III]" in line.name and line.name.endswith("Å, source") and "2 targets" in line.name
        column = next(one for one in groups if one.frame == "observed")
        assert column.low < 7000 < column.high and column.name.endswith("Å, instrument")

    def test_are_numbered_by_size(self, findings):
        findings.learn({"third": made_finding(0.4, 7000.0, "instrument")})
        assert [len(one.targets) for one in find_groups(findings.all())] == [3, 2]

    @pytest.mark.parametrize("known", [{}, {"one": made_finding(0.1, 5000.0, "source")}])
    def test_of_nothing_or_one_there_are_none(self, known):
        assert find_groups(known) == ()

    def test_calls_that_come_meanwhile_count_as_one(self, findings):
        work, scheduled = [], []
        desk = CauseGroups(findings, lambda: (*TARGETS, "column"), submit=work.append, schedule=scheduled.append)
        for _ in range(5):
            desk.learned()
        assert len(work) == 1
        work.pop()()
        scheduled.pop()()
        assert desk.known == 4 and len(desk.groups) == 2  # "other" is not visible
        assert desk.of(FIRST) is desk.of(SECOND) and desk.numbered("1").number == 1 and desk.of("other") is None
        desk.learned()
        assert len(work) == 1
        desk.close()
        work.pop()()
        desk.learned()
        assert work == scheduled == []

    def test_the_latest_look_stands_whichever_ends_last(self, findings):
        work, scheduled, seen = [], [], []
        desk = CauseGroups(findings, lambda: TARGETS, submit=work.append, schedule=scheduled.append)
        everything, findings.all = findings.all, lambda: seen.pop(0)()

        def looked_again():
            desk.learned()  # while the first one looks, it is told of more
            seen.append(everything)
            work.pop()()
            return {}

        desk.learned()
        seen.append(looked_again)
        work.pop()()
        assert len(scheduled) == 2 and work == []
        for show in scheduled:
            show()
        assert desk.known == len(everything().keys() & set(TARGETS)) > 0 and desk.groups

    def test_are_shown_while_news_keeps_coming(self, findings):
        work, scheduled = [], []
        desk = CauseGroups(findings, lambda: TARGETS, submit=work.append, schedule=scheduled.append)
        everything, findings.all = findings.all, lambda: (desk.learned(), everything())[1]
        desk.learned()
        for _ in range(3):  # each look is told of more before it ends
            work.pop()()
            assert len(work) == 1
            scheduled.pop()()
            assert desk.known and desk.groups

    def test_are_written_with_their_members(self, findings):
        groups = find_groups(findings.all())
        html = groups_html(groups, findings, 5, 300)
        assert "5 of 300 targets are explained" in html and html.count("<svg") == 2
        assert "nan" not in html


class TestLatentMap:
    def test_does_not_depend_on_how_latents_are_mixed(self):
        rng = np.random.default_rng(1)
        pool, targets = rng.normal(size=(200, 4)), 5 * rng.normal(size=(7, 4))
        mix = rng.normal(size=(4, 4)) + 2 * np.eye(4)
        names = np.array([f"t{k}" for k in range(7)])
        plain, mixed = LatentMap.of(names, targets, pool), LatentMap.of(names, targets @ mix + 3, pool @ mix + 3)
        np.testing.assert_allclose(np.cov(mixed.baselines.T), np.eye(4), atol=1e-8)
        for one, other in zip(plain.nearest("t3", 6), mixed.nearest("t3", 6), strict=True):
            assert one[0] == other[0] and one[1] == pytest.approx(other[1], rel=1e-6)
        np.testing.assert_allclose(np.abs(plain.plane(plain.targets)), np.abs(mixed.plane(mixed.targets)), atol=1e-6)
        assert 0 < plain.share[1] <= plain.share[0] < 1

    def test_the_plane_is_that_of_the_largest_distances(self):
        rng = np.random.default_rng(2)
        targets = np.zeros((50, 3))
        targets[:, 2], targets[:, 0] = 30 * rng.normal(size=50), 9 * rng.normal(size=50)
        made = LatentMap.of(np.array([str(k) for k in range(50)]), targets, rng.normal(size=(500, 3)))
        assert made.share.sum() > 0.99
        spread = made.plane(made.targets).std(axis=0)
        assert spread[0] > 2 * spread[1]

    @pytest.mark.parametrize("count", [0, 1])
    def test_of_hardly_any_target(self, count):
        pool = np.random.default_rng(3).normal(size=(20, 3))
        made = LatentMap.of(np.array(["only"])[:count], np.ones((count, 3)), pool)
        assert made.plane(made.targets).shape == (count, 2) and np.isfinite(made.axes).all()
        assert made.nearest("only", 5) == []

    def test_a_direction_without_scatter_stays_finite(self):
        pool = np.random.default_rng(4).normal(size=(20, 3)) * [1, 1, 0]
        assert np.isfinite(LatentMap.of(np.array(["a", "b"]), np.eye(3)[:2], pool).targets).all()


class TestLatents:
    def test_are_those_of_the_model_and_made_once(self, survey, monkeypatch):
        model, pool = survey.engine.get()
        latents = Latents()
        made = latents.map(survey)
        assert made.target_id.tolist() == [FIRST, SECOND, THIRD]
        expected = LatentMap.of(made.target_id, model.encode(model.prepare(survey.spectra[:3])), pool.latents)
        np.testing.assert_allclose(made.targets, expected.targets, rtol=1e-5)
        monkeypatch.setattr(model, "encode", lambda *a, **k: pytest.fail("encoded again"))
        assert latents.map(survey) is made

    def test_can_be_narrowed(self, survey):
        made = Latents().map(survey).only([False, True, True])
        assert made.target_id.tolist() == [SECOND, THIRD] and len(made.targets) == 2


class Similarly:
    def __init__(self, survey, findings, targets=TARGETS):
        self.work, self.scheduled = [], []
        self.desk = SimilarTargets(
            lambda: survey, lambda: targets, findings, Latents(), submit=self.work.append,
            schedule=self.scheduled.append,
        )  # fmt: skip

    def drain(self):
        while self.work or self.scheduled:
            (self.work or self.scheduled).pop(0)()


class TestDesk:
    def test_says_how_many_are_known(self, survey, findings):
        similar = Similarly(survey, findings)
        similar.desk.show(FIRST)
        shown = similar.desk.similar
        assert (shown.known, shown.total, shown.frame, shown.pending) == (3, 4, "rest", False)
        assert [one.target_id for one in shown.neighbours] == [SECOND]

    def test_waits_for_what_is_not_explained_yet(self, survey):
        empty = Findings()
        similar = Similarly(survey, empty)
        similar.desk.show(FIRST)
        assert similar.desk.similar.pending
        empty.learn({FIRST: made_finding(0.1, 5508.8, "source")})
        similar.desk.learned()
        assert not similar.desk.similar.pending and similar.desk.similar.neighbours == ()

    def test_compares_latents_in_the_background(self, survey, findings):
        similar = Similarly(survey, findings)
        similar.desk.choose(LATENT)
        similar.desk.show(FIRST)
        assert similar.desk.similar.pending
        similar.drain()
        shown = similar.desk.similar
        expected = Latents().map(survey).nearest(FIRST, 9)
        assert [(one.target_id, one.distance) for one in shown.neighbours] == expected and len(expected) == 2

    def test_an_answer_for_another_target_is_dropped(self, survey, findings):
        similar = Similarly(survey, findings)
        similar.desk.choose(LATENT)
        similar.desk.show(FIRST)
        similar.work.pop(0)()
        similar.desk.show(SECOND)
        similar.scheduled.pop(0)()
        assert similar.desk.similar.target_id == SECOND and similar.desk.similar.pending
        similar.desk.close()
        similar.drain()
        assert similar.desk.similar.pending

    def test_says_why_there_is_no_place(self, survey, findings):
        similar = Similarly(survey, findings)
        similar.desk.choose(LATENT)
        similar.desk.show(UNSCORED)
        similar.drain()
        assert similar.desk.similar.problem == "no redshift"

        def load():
            raise ModelFileError("model.safetensors: no such file")

        broken = Similarly(replace(survey, engine=Engine(load)), findings)
        broken.desk.choose(LATENT)
        broken.desk.show(FIRST)
        broken.drain()
        assert broken.desk.similar.problem == "model.safetensors: no such file"

    def test_passes_over_ways_that_there_are_not(self, survey, findings):
        similar = Similarly(survey, findings)
        similar.desk.choose("<script>")
        assert similar.desk.similar.way == CAUSE

    def test_is_written_with_every_neighbour(self, survey, findings):
        similar = Similarly(survey, findings)
        similar.desk.show(FIRST)
        label = Label(label_class="<b>odd</b>", quality=3)
        html = similar_html(similar.desk.similar, survey, findings, lambda target: label, "Group 1: <i>")
        assert f'data-word="{SECOND}"' in html and "z 0.1200" in html and "<path d=" in html
        assert "&lt;b&gt;odd&lt;/b&gt; Q3" in html and "<b>odd" not in html and "<i>" not in html


class TestFindings:
    def test_come_from_reasons_and_from_what_is_computed_ahead(self, survey):
        reasons, heard = Reasons(), threading.Event()
        told = []
        stop = reasons.findings.listen(lambda targets: (told.extend(targets), heard.set()))
        explainer = Explainer(survey)
        explainer.on_ahead = lambda target, found: reasons.of(survey, target, found)
        try:
            explainer.anticipate([FIRST], SETTINGS)
            assert heard.wait(30)
        finally:
            explainer.close()
        assert told == [FIRST] and reasons.findings.get(FIRST).brief
        finding = reasons.findings.get(FIRST)
        assert finding.profiles["rest"].sum() == pytest.approx(1, abs=1e-5)
        stop()
        reasons.findings.learn({SECOND: finding})
        assert told == [FIRST]

    def test_what_fails_there_does_not_stop_the_queue(self, survey, caplog):
        explainer = Explainer(survey, on_ahead=lambda target, found: 1 / 0)
        done = threading.Event()
        try:
            explainer.anticipate([FIRST], SETTINGS)
            explainer._worker.submit(int).result(30)
            explainer.request(SECOND, lambda event: type(event).__name__ == "Finished" and done.set(), SETTINGS)
            assert done.wait(30)
        finally:
            explainer.close()
        assert "computed ahead for target" in caplog.text


class TestSubset:
    def test_the_table_shows_it_and_all_again(self, survey):
        triage = Triage(Choices(), survey, lambda target: Label())
        triage.within = Subset("two", frozenset({SECOND, THIRD}))
        assert set(triage.shown) == {SECOND, THIRD}
        triage.search = SECOND
        assert triage.shown == (SECOND,)
        triage.param.update(within=None, search="")
        assert len(triage.shown) == 4


class TestStamp:
    WAVE = np.linspace(4000, 9000, 5000)

    def test_keeps_a_line_and_leaves_gaps(self):
        flux = 1 + 0.01 * np.sin(self.WAVE) + 5 * (np.abs(self.WAVE - 6563) < 2)
        good = np.abs(self.WAVE - 8000) > 200
        path = stamp_path(self.WAVE, flux, good, 4000, 9000)
        assert path.count("M") == 2  # one gap
        points = np.array([[float(one) for one in part.split()] for part in path.replace("M", "L").split("L")[1:]])
        line = points[np.argmin(points[:, 1])]
        assert line[0] == pytest.approx(110 * (6563 - 4000) / 5000, abs=1)

    @pytest.mark.parametrize("good", [np.zeros(5000, bool), np.ones(5000, bool)])
    def test_of_nothing_or_a_constant(self, good):
        path = stamp_path(self.WAVE, np.ones(5000), good, 4000, 9000)
        assert "nan" not in path and (path != "") == good.any()

    def test_outside_its_range_is_empty(self):
        assert stamp_path(self.WAVE, np.ones(5000), np.ones(5000, bool), 10000, 12000) == ""


@pytest.fixture(scope="module")
def plot(survey):
    made = Latents().map(survey)
    facts = {"redshift": survey.spectra.redshift[:3], "log_prob": survey.log_prob[:3], "rank": survey.rank[:3]}
    opened, lassoed = [], []
    plot = LatentPlot(made, facts, opened.append, lassoed.append)
    plot.opened, plot.lassoed = opened, lassoed
    return plot


class TestLatentPlot:
    def select(self, plot, rows, kind, final=True):
        plot.source.selected.indices = rows
        plot._on_selection(type("Event", (), {"final": final, "geometry": {"type": kind}}))

    def test_a_click_opens_and_selects_nothing(self, plot):
        self.select(plot, [1], "point")
        assert plot.opened == [SECOND] and plot.source.selected.indices == []
        self.select(plot, [], "point")
        assert plot.opened == [SECOND]

    def test_a_lasso_is_told_when_it_is_closed(self, plot):
        self.select(plot, [0, 2], "poly", final=False)
        assert plot.lassoed == []
        self.select(plot, [0, 2], "poly")
        assert plot.lassoed == [frozenset({FIRST, THIRD})]
        plot.forget_lasso()
        assert plot.source.selected.indices == []

    def test_marks_the_selected_target(self, plot):
        plot.mark(THIRD)
        (x,), (y,) = plot.here.data_source.data.values()
        np.testing.assert_allclose([x, y], plot._place[2])
        plot.mark("nobody")
        assert [len(one) for one in plot.here.data_source.data.values()] == [0, 0]

    def test_has_a_colour_bar_for_numbers_and_for_classes(self, plot):
        plot.colour(by_number("log p (nat)", np.array([-9.0, -5.0, np.nan])))
        assert plot.bar.title == "log p (nat)" and -9 <= plot.bar.color_mapper.low < plot.bar.color_mapper.high <= -5
        plot.colour(by_class(["agn", "", "star"], ["star", "agn"]))
        np.testing.assert_array_equal(plot.source.data["color"], np.array([1, np.nan, 0], np.float32))
        assert plot.bar.major_label_overrides == {0: "star", 1: "agn"}
        assert plot.points.glyph.fill_color.field == "color"

    def test_axes_have_names_and_webgl_is_off(self, plot):
        assert plot.figure.output_backend == "canvas"
        assert [axis.axis_label.startswith(f"PC {k}") for k, axis in enumerate(plot.figure.axis, 1)] == [True, True]
        assert all(type(one) in (np.ndarray, list) for one in plot.source.data.values())


def test_desks_leave_no_trace_in_memory(survey, findings):
    similar = Similarly(survey, findings)
    groups = CauseGroups(findings, lambda: TARGETS, submit=similar.work.append, schedule=similar.scheduled.append)
    stop = findings.listen(groups.of)
    similar.desk.show(FIRST)
    groups.learned()
    similar.drain()
    stop()
    groups.close()
    similar.desk.close()
    gone = [weakref.ref(similar.desk), weakref.ref(groups)]
    del similar, groups, stop
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_groups_of_one_kind_are_told_apart():
    edge = int(np.searchsorted(BIN_EDGES, 5000.0))

    def finding(verdict, *peaks):
        profile = np.zeros(len(BIN_EDGES) - 1, np.float32)
        for peak, height in peaks:
            profile[edge + peak : edge + peak + 3] = height
        return Finding("", (Mark(5000, 5010, verdict),), dict.fromkeys(FRAMES, profile / profile.sum()))

    made = {}
    for name, also in (("a", -200), ("b", 200)):  # the same highest place, other ones beside it
        made |= {f"{name}{k}": finding("source", (0, 1.0), (also, 0.9), (also + 60, 0.9)) for k in "12"}
    groups = find_groups(made)
    assert [one.targets for one in groups] == [("a1", "a2"), ("b1", "b2")]
    assert groups[0].feature == groups[1].feature
    said = [one.name.partition(": ")[2] for one in groups]
    assert len(set(said)) == 2 and all(", also rest " in one for one in said)
    alike = {f"{name}{k}": finding("source", (0, 1.0), (also, 0.001)) for name, also in (("a", 200),) for k in "12"}
    assert "also" not in find_groups(alike)[0].name, "there is no other of its kind"
