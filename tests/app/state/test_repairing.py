"""Repair of the selected target, without a browser: what is asked of the queue, said, drawn, dropped and kept."""

import queue
import time
from dataclasses import replace

import numpy as np
import pytest
from helpers.surveys import TARGETS, tiny_survey
from helpers.tools_page import ATTRIBUTIONS, SPECTRA

import app.computing.computation
from app.computing.events import Progress, Settings
from app.computing.explainer import Explainer
from app.exports.standalone import StandaloneObject, standalone_html
from app.html.repair import repair_html, repaired_html
from app.plots.canvas import PlotCanvas
from app.plots.sources import PlotSources
from app.plots.stack import PlotStack
from app.state.choices import Choices
from app.state.repair import Repaired, RepairState, TargetRepair, repair_words
from app.state.target import SelectedTarget
from app.survey.survey import RankRange
from imo_engine.errors import Cancelled, ImoError
from imo_engine.ranking.reference import ordinary_log_prob
from imo_engine.repair.fill import held_out
from imo_engine.repair.record import Repair, RepairedRegion
from imo_engine.repair.regions import repair

FIRST, SECOND, THIRD, UNSCORED = TARGETS
SETTINGS = Settings(window_sizes=(4, 16, 64), n_baselines=3)
PATIENCE = 60


class Desk:
    """A session and its repairs; what they schedule runs when the test says so."""

    def __init__(self, explainer):
        self.scheduled, self.explainer = queue.Queue(), explainer
        self.state = Choices()
        self.sources = PlotSources(explainer.survey.spectra.wavelength, SETTINGS.window_sizes, SETTINGS.n_baselines)
        canvas = PlotCanvas(self.sources, PlotStack(self.sources).methods)
        self.session = SelectedTarget(self.state, explainer, canvas, self.scheduled.put, SETTINGS)
        self.repairs = TargetRepair(self.state, self.session, explainer, self.scheduled.put, SETTINGS)
        self.state.param.watch(lambda event: (self.session.select(event.new), self.repairs.select()), "target_id")
        self.kinds = []
        self.repairs.param.watch(lambda event: self.kinds.append(event.new.kind), "state")

    @property
    def kind(self):
        return self.repairs.state.kind

    def run_until(self, *kinds):
        deadline = time.monotonic() + PATIENCE
        while self.kind not in kinds:
            left = deadline - time.monotonic()
            assert left > 0, self.repairs.state
            try:
                self.scheduled.get(timeout=left)()
            except queue.Empty:
                pytest.fail(f"nothing more happens: {self.repairs.state}")

    def settle(self):
        """Run what is scheduled until the session and the queue have nothing more to say."""
        deadline = time.monotonic() + PATIENCE
        while self.session.status.kind in ("queued", "computing") and time.monotonic() < deadline:
            self.scheduled.get(timeout=PATIENCE)()
        while not self.scheduled.empty():
            self.scheduled.get()()


@pytest.fixture(scope="module")
def survey():
    """A survey whose first target is a little odd: the baselines are the ordinary spectra, and more probable."""
    made = tiny_survey()
    model, pool = made.engine.get()
    likely = replace(pool, log_prob=np.full(len(pool), float(made.log_prob[0]) + 0.1, np.float32))
    return replace(made, engine=type(made.engine)(lambda: (model, likely)))


@pytest.fixture
def explainer(survey):
    explainer = Explainer(survey)
    yield explainer
    explainer.close()


@pytest.fixture
def desk(explainer):
    desk = Desk(explainer)
    yield desk
    desk.repairs.close()
    desk.session.close()


@pytest.fixture
def computed(monkeypatch):
    """The targets whose repair was computed."""
    targets = []
    find = app.computing.computation.find_repair

    def counted(survey, target_id, *more):
        targets.append(target_id)
        return find(survey, target_id, *more)

    monkeypatch.setattr(app.computing.computation, "find_repair", counted)
    return targets


@pytest.fixture
def endless(monkeypatch):
    """A repair that goes on until it is stopped."""

    def search(survey, target_id, settings, send, should_stop, device=None):
        send(Progress(32, 640, 0, "CPU", 7.4))
        deadline = time.monotonic() + PATIENCE
        while not should_stop():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        raise Cancelled("stopped")

    monkeypatch.setattr(app.computing.computation, "find_repair", search)
    yield monkeypatch


class TestDesk:
    def test_waits_for_the_attribution_and_finds_what_the_engine_finds(self, desk, survey):
        desk.state.target_id = FIRST
        desk.repairs.ask()
        assert desk.kind == "waiting" and "attribution" in desk.repairs.state.text
        desk.run_until("done")
        found = desk.repairs.state.found
        model, pool = survey.engine.get()
        row = survey.spectra.row(FIRST)
        target = ordinary_log_prob(model, pool)
        expected = repair(
            model,
            model.prepare(survey.spectra[[row]])[0],
            float(survey.spectra.redshift[row]),
            held_out(pool, pool.draw(3, seed=0), target),
            desk.session.attribution,
            target_log_prob=target,
            valid=survey.spectra.measured[row],
        )
        assert [one.observed for one in found.repair.regions] == [one.observed for one in expected.regions]
        assert found.repair.median == pytest.approx(expected.median)
        assert found.rank == RankRange(int(survey.rank[row]), int(survey.rank[row]), 3)
        wanted = tuple(survey.rank_range(one.median, instead_of=FIRST) for one in expected.regions)
        assert found.ranks == wanted
        assert desk.repairs.state.text == repair_words(found)

    def test_nothing_is_computed_again_for_a_target_that_comes_back(self, desk, computed):
        desk.state.target_id = FIRST
        desk.repairs.ask()
        desk.run_until("done")
        found = desk.repairs.state.found
        desk.state.target_id = SECOND
        assert desk.kind == "idle" and desk.repairs.state.found is None
        desk.settle()
        assert desk.kind == "idle", "nobody asked for this one"
        desk.state.target_id = FIRST
        desk.run_until("done")
        assert desk.repairs.state.found.repair is found.repair
        assert computed == [FIRST]

    def test_another_session_gets_it_from_memory(self, desk, explainer, computed):
        desk.state.target_id = FIRST
        desk.repairs.ask()
        desk.run_until("done")
        other = Desk(explainer)
        other.state.target_id = FIRST
        other.settle()
        other.repairs.ask()
        other.run_until("done")
        assert other.repairs.state.found.repair is desk.repairs.state.found.repair
        assert computed == [FIRST]
        other.repairs.close()
        other.session.close()

    def test_progress_is_told(self, desk, endless):
        desk.state.target_id = FIRST
        desk.repairs.ask()
        desk.run_until("computing")
        assert desk.repairs.state.fraction == 0.05
        assert desk.repairs.state.text == "Trying regions on CPU: 32 spectra scored, about 7 s left"

    def test_what_comes_too_late_is_dropped(self, desk, endless):
        desk.state.target_id = FIRST
        desk.repairs.ask()
        desk.run_until("computing")
        desk.state.target_id = SECOND
        desk.settle()
        assert desk.kind == "idle" and desk.repairs.state.found is None

    def test_stops_and_begins_anew(self, desk, endless):
        desk.state.target_id = FIRST
        desk.repairs.ask()
        desk.run_until("computing")
        desk.repairs.on_key("repair-stop")
        assert desk.kind == "stopped"
        desk.settle()
        assert desk.kind == "stopped"
        endless.undo()
        desk.repairs.on_key("repair")
        desk.run_until("done")

    def test_asking_twice_is_asking_once(self, desk, computed):
        desk.state.target_id = FIRST
        for _ in range(3):
            desk.repairs.on_key("repair")
        desk.run_until("done")
        desk.repairs.on_key("repair")
        assert desk.kind == "done" and computed == [FIRST]

    def test_a_target_without_a_score_says_so(self, desk):
        desk.state.target_id = UNSCORED
        desk.repairs.ask()
        assert desk.kind == "failed" and "no redshift" in desk.repairs.state.text
        assert "no redshift" in repair_html(desk.repairs.state)

    def test_the_engine_s_words_are_passed_on(self, desk, monkeypatch):
        def broken(*of):
            raise ImoError("no <baselines> left")

        monkeypatch.setattr(app.computing.computation, "find_repair", broken)
        desk.state.target_id = FIRST
        desk.repairs.ask()
        desk.run_until("failed")
        assert "no <baselines> left" in desk.repairs.state.text
        assert "no &lt;baselines&gt; left" in repair_html(desk.repairs.state)

    def test_nothing_selected_is_nothing_asked(self, desk):
        desk.repairs.ask()
        assert desk.repairs.state == RepairState()

    def test_a_lost_attribution_is_computed_on_the_way(self, survey):
        settings = app.computing.events.RepairSettings(SETTINGS)
        assert settings.known() is None
        found = app.computing.computation.find_repair(survey, FIRST, settings, lambda event: None, lambda: False)
        assert found.evaluations > 0


THIRD_OF_MANY = RankRange(3, 3, 12_000)


def region(start, stop, log_prob, low=6000.0):
    observed = (low + 0.8 * start, low + 0.8 * (stop - 1))
    return RepairedRegion(start, stop, stop - start, observed, (observed[0] / 1.1, observed[1] / 1.1), log_prob)


def made(regions, *, own=-40.0, target=-4.0, needed=None, ranks=(), rank=THIRD_OF_MANY, usable=7000):
    replaced = np.zeros(7781, bool)
    for one in regions:
        replaced[one.start : one.stop] = True
    median = regions[-1].median if regions else own
    found = Repair(
        regions=tuple(regions),
        own=own,
        target=target,
        reached=median >= target,
        needed=needed,
        usable=usable,
        flux=np.ones(7781, np.float32),
        replaced=replaced,
        evaluations=800,
        seconds=1.23,
        complete=True,
    )
    return Repaired(found, rank, tuple(ranks))


class TestWords:
    def test_are_what_a_person_would_write(self):
        regions = [
            region(0, 30, (-20.0, -10.0, -15.0)),
            region(50, 60, (-9.0, -8.0, -7.0)),
            region(90, 91, (1.0, 2.0, 3.0)),
        ]
        ranks = [RankRange(40, 40, 12_000), RankRange(300, 350, 12_000), RankRange(4812, 4812, 12_000)]
        assert repair_words(made(regions, ranks=ranks)) == (
            "Without these 3 regions (41 pixels) it would rank 4,812 of 12,000, not 3."
        )

    def test_one_region_of_one_pixel(self):
        only = [region(5, 6, (1.0, 2.0))]
        assert repair_words(made(only, ranks=[RankRange(4812, 4900, 12_000)])) == (
            "Without this region (1 pixel) it would rank 4,812 to 4,900 of 12,000, not 3."
        )

    def test_without_ranks_log_p_is_told(self):
        assert repair_words(made([region(5, 6, (1.0, 2.0))], rank=None)) == (
            "Without this region (1 pixel) log p would be 1.5, not −40.0."
        )

    def test_what_is_ordinary_already(self):
        assert repair_words(made([], own=-1.0)) == "Nothing has to be replaced: log p −1.0 is ordinary, −4.0 or more."

    def test_what_few_regions_do_not_explain(self):
        regions = [region(0, 300, (-30.0, -29.0))]
        words = repair_words(made(regions, needed=5200, ranks=[RankRange(9, 9, 12_000)]))
        assert words.startswith(
            "No few regions explain it: without this region (300 pixels) it would rank 9 of 12,000, not 3. "
            "It takes 5,200 of 7,000 pixels to make it ordinary"
        )
        assert "It takes the whole spectrum" in repair_words(made([], needed=6999))
        assert "more than all 7,000 pixels" in repair_words(made([], needed=None))


class TestPanel:
    def test_each_region_zooms_to_its_range(self):
        one = region(100, 110, (1.0, 2.0))
        html = repaired_html("Words.", made([one], ranks=[RankRange(4812, 4812, 12_000)]))
        assert f"zoomTo({one.observed[0]:.2f}, {one.observed[1]:.2f})" in html
        assert "10 pixels" in html and "rank 4,812" in html and "log p 1.5 ± 0.3" in html
        assert "keys.run('repair')" in html
        assert "keys.run" not in repaired_html("Words.", made([one]), alone=True)

    def test_names_what_lies_there(self):
        halpha = RepairedRegion(0, 9, 9, (7215.0, 7226.0), (6559.1, 6569.1), (1.0, 2.0))
        arm = RepairedRegion(0, 2700, 2700, (3600.0, 5760.0), (3272.0, 5236.0), (1.0, 2.0))
        assert "Hα" in repaired_html("", made([halpha])) and "B arm" in repaired_html(
            "", replace(made([arm]), instrument="DESI")
        )

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            (RepairState(), "Repair it"),
            (RepairState("waiting", "Waits"), "Stop"),
            (RepairState("computing", "Trying", 0.25), "width:25"),
            (RepairState("stopped", "It was stopped."), "Try again"),
            (RepairState("failed", "<b>"), "&lt;b&gt;"),
        ],
    )
    def test_says_what_is_going_on(self, state, words):
        html = repair_html(state)
        assert words in html and f'data-repair="{state.kind}"' in html


class TestDrawing:
    def test_a_repair_is_drawn_within_its_regions_until_another_target_comes(self, survey):
        wave = survey.spectra.wavelength
        sources = PlotSources(wave, SETTINGS.window_sizes, 3)
        flux = np.arange(len(wave), dtype=float)
        sources.show_repair([(20, 22), (10, 12), (16, 18)], flux)
        assert sources.repair.data["at"] == pytest.approx([wave[20:22].mean(), wave[10:12].mean(), wave[16:18].mean()])
        sources.show_repair([(10, 20), (0, 1), (299, 300)], flux)
        data = sources.repair.data
        assert data["number"] == ["1", "2", "3"]
        np.testing.assert_array_equal(data["ys"][0], flux[9:21])
        np.testing.assert_allclose(data["xs"][0], wave[9:21], rtol=1e-6)
        assert [len(part) for part in data["xs"]] == [12, 2, 2]
        assert data["low"][0] < wave[10] and wave[19] < data["high"][0] < wave[20]
        sources.show_spectrum(survey.spectra, 1)
        assert sources.repair.data["low"] == [] and sources.repair.data["xs"] == []

    def test_flux_of_another_grid_is_refused(self, survey):
        sources = PlotSources(survey.spectra.wavelength, SETTINGS.window_sizes, 3)
        with pytest.raises(ValueError, match="'flux' has shape"):
            sources.show_repair([], np.zeros(7))


def test_a_page_that_stands_alone_has_the_repair():
    spectrum, attribution = SPECTRA[[0]], ATTRIBUTIONS[0]
    wave = attribution.wavelength
    one = region(100, 110, (1.0, 2.0), low=float(wave[0]))
    found = made([one], ranks=[RankRange(4812, 4812, 12_000)])
    found = replace(found, repair=replace(found.repair, flux=np.ones(len(wave), np.float32)))
    html = standalone_html(StandaloneObject(spectrum, attribution, repaired=found))
    assert "Without this region (10 pixels) it would rank 4,812 of 12,000, not 3." in html
    assert "What would make it ordinary?" not in standalone_html(StandaloneObject(spectrum, attribution))
