"""What a ranking is of: stars, quasars, redshifts outside the training and fibres on no target keep their log p."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.fits_files import write_coadd, write_redrock
from helpers.networks import random_flux, tiny_model
from helpers.surveys import TARGETS, tiny_spectra, tiny_survey

from app.computing.explainer import Explainer
from app.computing.shelf import Shelf
from app.html.table_cells import kind_words, table_frame
from app.labels import Label
from app.state.candidates import CandidateIntake
from app.state.choices import Choices
from app.state.triage import NOT_RANKED, ZWARN, Triage
from app.survey.candidates import add_candidates, score_candidates
from app.survey.survey import RankRange, demo_survey, survey_of_files
from app.views.reasons.who import who_html
from app.views.spectrum.target import TargetStrip
from app.views.table.filters import TableFilters
from imo_engine.bundle.loading import load_model
from imo_engine.commands.rank import rank
from imo_engine.errors import InputError
from imo_engine.ranking.ranking import rank_spectra, read_catalogue
from imo_engine.spectra.eligibility import redshift_range_of, why_not_ranked, zwarn_words

STAR = "class STAR: the model was made for galaxies"


def spectra_with(**changes):
    """The four targets of the tiny survey, the second of them changed."""
    spectra = tiny_spectra()
    arrays = {}
    for name, value in changes.items():
        column = getattr(spectra, name).copy()
        column = column.astype("U40") if isinstance(value, str) else column
        column[1] = value
        arrays[name] = column
    return replace(spectra, **arrays)


def survey_with(*, rank_all=False, **changes):
    """The tiny survey with the second target changed, ranked."""
    model = tiny_model()
    model.provenance["redshift_range"] = [0.02, 0.6]
    ranking = rank_spectra(model, spectra_with(**changes), rank_all=rank_all)
    return replace(
        tiny_survey(model),
        spectra=ranking.spectra,
        log_prob=ranking.log_prob,
        rank=ranking.rank,
        size=int((ranking.rank > 0).sum()),
        not_ranked=ranking.not_ranked,
        rank_all=rank_all,
    )


class TestReasons:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({}, ""),
            ({"spectype": "STAR"}, STAR),
            ({"spectype": "QSO"}, "class QSO: the model was made for galaxies"),
            ({"spectype": ""}, ""),
            ({"spectype": "galaxy"}, ""),
            ({"spectype": "Unknown"}, ""),
            ({"zwarn": 4}, ""),
            ({"zwarn": -1}, ""),
            ({"zwarn": 1 << 9}, "redshift warning NODATA: no spectrum of the target"),
            ({"zwarn": 1 << 9 | 1 << 2 | 1}, "redshift warning SKY, NODATA: no spectrum of the target"),
            ({"zwarn": 1 << 7}, "redshift warning UNPLUGGED: no spectrum of the target"),
            ({"objtype": "BAD"}, "not a target: OBJTYPE is BAD"),
            ({"objtype": "NON"}, "not a target: OBJTYPE is NON"),
            ({"objtype": "NONE"}, "not a target: OBJTYPE is blank"),
            ({"objtype": ""}, ""),
            ({"redshift": 0.0}, "redshift 0 is outside the model's training, 0.02 to 0.6"),
            ({"redshift": 0.75}, "redshift 0.75 is outside the model's training, 0.02 to 0.6"),
            ({"redshift": 0.6}, ""),
            ({"redshift": 0.75, "spectype": "QSO"}, "class QSO: the model was made for galaxies"),
        ],
    )
    def test_in_words(self, changes, reason):
        assert why_not_ranked(spectra_with(**changes), (0.02, 0.6)).tolist() == ["", reason, "", ""]

    def test_where_the_training_is_not_known_no_redshift_is_outside(self):
        assert set(why_not_ranked(spectra_with(redshift=5.0), None)) == {""}

    def test_bits(self):
        assert zwarn_words(0) == ""
        assert zwarn_words(4 | 1 << 20) == "SMALL_DELTA_CHI2, bit 20"


class TestRangeOfTheModel:
    def test_the_embedded_one_says_it(self):
        assert redshift_range_of(load_model(None, None, None, "cpu").provenance) == (0.02, 0.6)

    def test_others_need_not(self):
        assert redshift_range_of({"name": "spender"}) is None

    @pytest.mark.parametrize("wrong", [5, [0.1], "ab", [0.6, 0.02], [None, 1], [float("nan"), 1]])
    def test_nonsense_is_refused(self, wrong):
        with pytest.raises(InputError, match="'redshift_range' of the model"):
            redshift_range_of({"redshift_range": wrong})


class TestRanking:
    def test_what_is_not_ranked_keeps_its_log_p_and_comes_after(self):
        model = tiny_model()
        plain = rank_spectra(model, tiny_spectra())
        lowest = int(np.argmin(np.nan_to_num(plain.log_prob, nan=np.inf)))
        spectra = tiny_spectra()
        kinds = spectra.spectype.astype("U8")
        kinds[lowest] = "STAR"
        ranking = rank_spectra(model, replace(spectra, spectype=kinds))
        assert ranking.log_prob[:3] == pytest.approx(plain.log_prob[:3])
        assert ranking.rank[lowest] == 0 and sorted(ranking.rank) == [0, 0, 1, 2]
        assert ranking.not_ranked[lowest] == STAR and (ranking.not_ranked != "").sum() == 1
        assert ranking.order()[2:].tolist() == [lowest, 3]
        table = ranking.to_table()
        assert table["rank"].mask.tolist() == [False, False, True, True]
        assert table["log_prob"].mask.tolist() == [False, False, False, True]
        assert table["not_ranked"].tolist() == ["", "", STAR, ""]
        assert table["spectype"][2] == "STAR"
        assert table.meta["scored"] == 3

    def test_rank_all_ranks_everything_and_says_the_same_in_a_remark(self):
        spectra = spectra_with(spectype="QSO", note="a remark")
        ranking = rank_spectra(tiny_model(), spectra, rank_all=True)
        assert sorted(ranking.rank) == [0, 1, 2, 3]
        assert set(ranking.not_ranked) == {""}
        assert ranking.spectra.note[1] == "a remark; class QSO: the model was made for galaxies"

    def test_the_catalogue_is_read_back(self, tmp_path):
        path = tmp_path / "x.ecsv"
        rank_spectra(tiny_model(), spectra_with(spectype="STAR", zwarn=4)).write(path)
        table = read_catalogue(path)
        row = table["target_id"].tolist().index(TARGETS[1])
        assert (table["spectype"][row], int(table["zwarn"][row]), table["not_ranked"][row]) == ("STAR", 4, STAR)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"spectype": "STAR", "z": [-0.0003]}, STAR),
        ({"spectype": "QSO"}, "class QSO"),
        ({"z": [0.0]}, "redshift 0 is outside"),
        ({"z": [0.7]}, "redshift 0.7 is outside"),
        ({"zwarn": 512}, "NODATA"),
        ({"objtype": ["NON"]}, "OBJTYPE is NON"),
        ({"objtype": [""]}, "OBJTYPE is blank"),
        ({"zwarn": 4}, None),
    ],
)
def test_imo_rank_and_the_survey_say_the_same(tmp_path, changes, reason):
    z = changes.get("z", [0.1])
    rest = {name: value for name, value in changes.items() if name in ("zwarn", "spectype")}
    write_redrock(tmp_path / "redrock-x.fits", [1], z, **rest)
    coadd = write_coadd(tmp_path / "coadd-x.fits", [1], objtype=changes.get("objtype"))
    output = tmp_path / "ranked.ecsv"
    arguments = [str(coadd), "-o", str(output), "--device", "cpu"]
    done = CliRunner().invoke(rank, arguments, catch_exceptions=False)
    everything = CliRunner().invoke(rank, [*arguments, "--rank-all"], catch_exceptions=False)
    assert "ranked" not in everything.output.replace("ranked.ecsv", "")
    assert "1 of 1 spectra scored" in done.output
    survey = survey_of_files([coadd], load_model(None, None, None, "cpu"), lambda spectra: None)
    if reason is None:
        assert "not ranked" not in done.output and survey.rank.tolist() == [1]
        return
    assert f"not ranked: target 1 (coadd-x.fits), log p {survey.log_prob[0]:.2f}: " in done.output
    assert reason in done.output
    assert survey.rank.tolist() == [0] and survey.size == 0
    assert survey.why_not_ranked(0) in done.output


class TestPage:
    def test_strip_and_panel(self):
        survey = survey_with(spectype="STAR")
        strip = TargetStrip(SimpleNamespace(survey=survey), Choices(), lambda callback: None)
        text = strip.html(TARGETS[1])
        assert f'title="{STAR}">not ranked' in text and "−log p" in text
        assert "not ranked" not in strip.html(TARGETS[0])
        assert f"Not ranked: {STAR}" in who_html(survey, TARGETS[1])
        assert "Not ranked" not in who_html(survey, TARGETS[0])
        assert survey.own_rank(TARGETS[1]) is None
        assert survey.own_rank(TARGETS[0]) == RankRange(int(survey.rank[0]), int(survey.rank[0]), 2)

    def test_table(self):
        survey = survey_with(spectype="QSO", zwarn=4)
        frame = table_frame(survey, (), lambda target: None, lambda target: Label())
        assert frame.index.tolist()[-2:] == [TARGETS[1], TARGETS[3]]
        assert np.isnan(frame.loc[TARGETS[1], "rank"]) and np.isfinite(frame.loc[TARGETS[1], "−log p"])
        assert ">QSO<" in frame.loc[TARGETS[1], "kind"] and "SMALL_DELTA_CHI2" in frame.loc[TARGETS[1], "kind"]
        assert frame.loc[TARGETS[0], "kind"] == ""
        assert ">ZWARN<" in kind_words(survey_with(zwarn=4), 1)
        assert "<b>" not in kind_words(survey_with(spectype="<b>"), 1)

    def test_filters(self):
        def triage(survey):
            return Triage(Choices(), survey, lambda target: Label())

        plain = triage(tiny_survey())
        assert plain.choices([]) == ["all targets", "without a label", "starred"]
        star = triage(survey_with(spectype="STAR", zwarn=4))
        assert star.choices(["AGN"])[3:] == [NOT_RANKED, ZWARN, "stars (survey's class)", "AGN"]
        for choice in star.choices([])[3:]:
            star.only = choice
            assert star.shown == (TARGETS[1],), choice
        other = triage(survey_with(spectype="WISE"))
        assert other.choices([])[3:] == [NOT_RANKED, "WISE (survey's class)"]

    def test_heading(self):
        survey = survey_with(spectype="STAR")
        triage = Triage(Choices(), survey, lambda target: Label())
        desk = SimpleNamespace(
            classes=[], scanner="ann", param=SimpleNamespace(watch=lambda *_: None), label_of=lambda target: Label()
        )
        assert "4 of" not in TableFilters(survey, triage, desk).head.object
        assert "lowest log p first · 1 not ranked" in TableFilters(survey, triage, desk).head.object
        assert "not ranked" not in TableFilters(tiny_survey(), triage, desk).head.object


class TestCandidates:
    def star(self, **changes):
        spectra = tiny_spectra()[[1]]
        flux = random_flux(1, seed=5).astype(np.float32)
        return replace(spectra, flux=flux, target_id=np.array(["new"]), **changes)

    def test_a_star_gets_the_remark_and_no_ranks(self):
        survey = survey_with()
        (one,) = score_candidates(self.star(spectype=np.array(["STAR"])), survey)
        (galaxy,) = score_candidates(self.star(), survey)
        assert one.not_ranked == STAR and one.rank is None
        assert one.log_prob == galaxy.log_prob and one.target_id != galaxy.target_id
        assert galaxy.not_ranked == "" and galaxy.rank is not None
        added = add_candidates(survey, [one, galaxy])
        assert added.rank[-2:].tolist() == [0, galaxy.rank.low]
        assert added.own_rank(one.target_id) is None and added.own_rank(galaxy.target_id) == galaxy.rank
        assert "not ranked" in who_html(added, one.target_id) and STAR in who_html(added, one.target_id)

    def test_a_survey_of_everything_ranks_it_too(self):
        survey = survey_with(rank_all=True)
        (one,) = score_candidates(self.star(spectype=np.array(["STAR"])), survey)
        assert one.rank is not None and STAR in one.spectra.note[0]

    def test_the_dialog_says_it(self, tmp_path, monkeypatch):
        survey = survey_with()
        found = self.star(redshift=np.array([0.9]))
        monkeypatch.setattr("app.state.candidates.read_upload", lambda files, **options: found)
        explainer = Explainer(survey)
        try:
            desk = CandidateIntake(
                explainer, Shelf(explainer), submit=lambda work: work(), schedule=lambda work: work()
            )
            desk.read([("mine.csv", b"wavelength")])
            assert desk.intake.kind == "done"
            assert re.search(r"new: log p -?\d.*, not ranked: redshift 0.9 is outside the model's", desk.intake.text)
        finally:
            explainer.close()


def test_the_demo_keeps_its_ranks():
    survey = demo_survey(device="cpu")
    assert survey.not_ranked is None
    assert (survey.rank[np.isfinite(survey.log_prob)] > 0).all()
    assert survey.size == 12_000
    assert set(survey.spectra.spectype) == {"GALAXY"}
