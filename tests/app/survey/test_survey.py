"""The targets on the page; ``tiny_survey`` and ``tiny_spectra`` also serve the tests of the parts above."""

import re
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.fits_files import write_coadd, write_redrock
from helpers.surveys import FlatModel, tiny_survey

from app.state.choices import Choices
from app.survey.survey import DEMO_CATALOGUE, DEMO_SPECTRA, demo_survey, survey_of_files
from app.views.spectrum.target import TargetStrip
from imo_engine.bundle.engine import Engine
from imo_engine.errors import ImoError, ModelFileError, SpectrumFileError
from imo_engine.system.embedded import embedded_file


class TestOrder:
    def test_lowest_log_prob_first_and_unscored_last(self):
        survey = tiny_survey()
        order = survey.order()
        assert sorted(order) == [0, 1, 2, 3]
        assert order[-1] == 3
        assert (np.diff(survey.log_prob[order[:3]]) > 0).all()
        assert survey.rank[order].tolist() == [1, 2, 3, 0]

    def test_ranks_may_refer_to_more_targets_than_there_are(self):
        survey = replace(tiny_survey(), rank=np.array([900, 12, 0, 0]), size=1000)
        assert survey.order().tolist() == [1, 0, 2, 3]


class TestEngine:
    def test_loads_once_however_many_threads_ask(self):
        loads = []
        together = threading.Barrier(4)

        def load():
            loads.append(threading.current_thread())
            return "model", "pool"

        def ask():
            together.wait(10)
            got.append(engine.get())

        engine, got = Engine(load), []
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(loads) == 1
        assert got == [("model", "pool")] * 4

    def test_tries_again_after_a_failure(self):
        answers = iter([ModelFileError("no such file"), ("model", "pool")])

        def load():
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        engine = Engine(load)
        with pytest.raises(ModelFileError):
            engine.get()
        assert engine.get() == ("model", "pool")


class TestSurveyOfFiles:
    @pytest.fixture
    def coadd(self, tmp_path):
        write_redrock(tmp_path / "redrock-x.fits", [2, 1], [0.2, 0.1])
        return write_coadd(tmp_path / "coadd-x.fits", [1, 2, 3])

    def test_scores_ranks_and_keeps_what_has_no_score(self, coadd):
        survey = survey_of_files([coadd], FlatModel(), lambda spectra: ("pool of", len(spectra)))
        assert survey.title == "coadd-x.fits"
        assert survey.spectra.target_id.tolist() == ["1", "2", "3"]
        assert survey.spectra.redshift[:2].tolist() == [0.1, 0.2]
        assert sorted(survey.rank) == [0, 1, 2]
        assert survey.size == 2
        assert not survey.simulated
        assert "redshift" in survey.spectra.problem[2]
        assert survey.engine.get()[1] == ("pool of", 3)

    def test_a_redshift_of_the_user_comes_first(self, coadd):
        survey = survey_of_files([coadd], FlatModel(), lambda spectra: None, redshift=0.3)
        assert survey.spectra.redshift.tolist() == [0.3] * 3
        assert sorted(survey.rank) == [1, 2, 3]

    def test_few_spectra_are_compared_with_ordinary_ones(self, coadd):
        survey = survey_of_files(
            [coadd], FlatModel(), lambda spectra: None, ordinary=np.array([-9.0, -4.0, -2.0, -1.0])
        )
        assert [survey.ordinary_share(value) for value in (-9.5, -9.0, -3.0, 0.0)] == [0.0, 0.25, 0.5, 1.0]
        assert survey.ordinary_share(np.nan) is None

        def strip(shown):
            view = TargetStrip(SimpleNamespace(survey=shown), Choices(), lambda callback: None)
            return re.sub("<[^>]+>", "", view.html(shown.spectra.target_id[shown.order()[0]]))

        share = survey.ordinary_share(float(np.nanmin(survey.log_prob)))
        assert f"{100 * share:.2g} % of ordinary as low" in strip(survey)
        none = replace(survey, ordinary=np.arange(400.0))
        assert "under 0.3 % of ordinary as low" in strip(none)
        assert "ordinary" not in strip(replace(survey, ordinary=None))

    def test_several_files_are_named_in_the_title(self, coadd, tmp_path):
        other = write_coadd(tmp_path / "coadd-y.fits", [9])
        survey = survey_of_files([coadd, other], FlatModel(), lambda spectra: None)
        assert survey.title == "coadd-x.fits and 1 more"
        assert len(survey.spectra) == 4

    def test_a_file_that_is_none_is_refused(self, tmp_path):
        path = tmp_path / "coadd-x.fits"
        path.write_text("hello")
        with pytest.raises(SpectrumFileError, match=r"coadd-x\.fits"):
            survey_of_files([path], FlatModel(), lambda spectra: None)


def test_demo_survey_is_ranked_and_says_that_it_is_simulated():
    try:
        embedded_file(DEMO_SPECTRA), embedded_file(DEMO_CATALOGUE)
    except ImoError as error:
        pytest.skip(str(error))
    survey = demo_survey(device="cpu")
    assert survey.simulated
    assert len(survey.spectra) >= 100
    scored = survey.rank > 0
    assert len(set(survey.rank[scored])) == scored.sum()
    assert np.isfinite(survey.log_prob[scored]).all()
    assert survey.size >= survey.rank.max()
    model, pool = survey.engine.get()
    first = survey.spectra[survey.order()[:3]]
    assert model.log_prob(model.prepare(first)) == pytest.approx(survey.log_prob[survey.order()[:3]], rel=1e-3)
    assert len(pool) >= 8


def test_signal_to_noise_is_not_said_where_the_noise_is_not_known():
    survey = tiny_survey()
    spectra = survey.spectra
    ivar = spectra.ivar.copy()
    ivar[0], ivar[1] = 0, 25
    told = replace(survey, spectra=replace(spectra, ivar=ivar)).signal_to_noise
    assert np.isnan(told[0])
    assert told[1] == pytest.approx(5 * np.median(spectra.flux[1][spectra.measured[1]]), rel=0.2)
