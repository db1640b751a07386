"""Log p and ranks from a catalogue: whose they are, what their sign is, and which spectra have none."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy.io.fits.verify import VerifyWarning
from astropy.table import Table
from click.testing import CliRunner
from helpers.fits_files import write_coadd, write_redrock
from helpers.surveys import FlatModel

from app.commands.serve import serve
from app.survey.survey import survey_of_files
from imo_engine.errors import SpectrumFileError
from imo_engine.ranking.ranking import rank_spectra
from imo_engine.ranking.score_catalogue import read_scores
from imo_engine.readers import read_spectra

BIG = 39633345008634465


@pytest.fixture
def coadd(tmp_path):
    """Four targets; the third is not in any catalogue here, the last has no redshift."""
    write_redrock(
        tmp_path / "redrock-x.fits", [BIG, BIG + 1, BIG + 2], [0.1, 0.2, 0.3], spectype=["GALAXY", "STAR", "QSO"]
    )
    return write_coadd(tmp_path / "coadd-x.fits", [BIG, BIG + 1, BIG + 2, BIG + 3])


def written(tmp_path, name, identifier="target_id", value="log_prob", sign=1, ids=(BIG + 7, BIG + 1, BIG)):
    """Write a catalogue of three targets, log p -9, -5 and -7, whose ranks are 1, 3 and 2."""
    table = Table({identifier: np.array(ids), value: sign * np.array([-9.0, -5.0, -7.0])})
    path = tmp_path / name
    warnings.simplefilter("ignore", VerifyWarning)  # FITS would rather not have a minus in a name
    table.write(
        path, format={"ecsv": "ascii.ecsv", "csv": "ascii.csv", "fits": "fits", "txt": "ascii.basic"}[path.suffix[1:]]
    )
    return path


@pytest.mark.parametrize("name", ["x.ecsv", "x.csv", "x.txt", "x.fits"])
@pytest.mark.parametrize(
    ("identifier", "value", "sign"),
    [("target_id", "log_prob", 1), ("TARGETID", "logP", 1), ("TARGETID", "-logP", -1), ("target_id", "neglogp", -1)],
)
def test_log_p_whatever_its_name_and_sign(tmp_path, name, identifier, value, sign):
    scores = read_scores(written(tmp_path, name, identifier, value, sign))
    assert scores.target_id.tolist() == [str(BIG + 7), str(BIG + 1), str(BIG)]
    assert scores.log_prob.tolist() == [-9.0, -5.0, -7.0]
    assert scores.rank.tolist() == [1, 3, 2]
    assert scores.size == 3 and set(scores.not_ranked) == {""}


def test_joined_by_target_and_not_computed_again(tmp_path, coadd, monkeypatch):
    monkeypatch.setattr(FlatModel, "encode", None)
    survey = survey_of_files([coadd], FlatModel(), lambda spectra: None, scores=read_scores(written(tmp_path, "x.csv")))
    assert survey.log_prob.tolist()[:2] == [-7.0, -5.0] and np.isnan(survey.log_prob[2:]).all()
    assert survey.rank.tolist() == [2, 3, 0, 0]  # also the star's: the catalogue ranked it
    assert survey.size == 3
    assert [survey.why_not_ranked(row) for row in range(4)] == ["", "", "not in x.csv", "not in x.csv"]
    assert survey.order().tolist() == [0, 1, 2, 3]


def test_one_of_imo_rank_brings_ranks_reasons_and_model(tmp_path, coadd):
    ranking = rank_spectra(FlatModel(), read_spectra(coadd))
    ranking.write(tmp_path / "ranked.ecsv")
    scores = read_scores(tmp_path / "ranked.ecsv")
    assert scores.model == "flat (0)"
    log_prob, rank, not_ranked = scores.of(read_spectra(coadd))
    assert log_prob == pytest.approx(ranking.log_prob, nan_ok=True)
    assert rank.tolist() == ranking.rank.tolist() == [1, 0, 0, 0]
    assert not_ranked.tolist() == ranking.not_ranked.tolist()
    assert not_ranked[1] == "class STAR: the model was made for galaxies"


def test_ranks_of_a_part_refer_to_the_whole(tmp_path, coadd):
    path = tmp_path / "x.csv"
    path.write_text(f"rank,target_id,log_prob\n17,{BIG},-3\n,{BIG + 1},-2\n900,5,-1\n")
    scores = read_scores(path)
    assert scores.rank.tolist() == [17, 0, 900]
    assert scores.not_ranked.tolist() == ["", "no rank in x.csv", ""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "expected columns target_id"),
        ("target_id,z\n1,2\n", "found target_id, z"),
        ("target_id,log_prob\n1,2\n1,3\n", "target 1 occurs more than once"),
        ("target_id,log_prob\n1,far\n", "log_prob is not a column of numbers"),
        ("target_id,log_prob\n1,2,3,4\n", "more values in a row than columns"),
        ("", "damaged table"),
    ],
)
def test_what_is_no_catalogue(tmp_path, text, words):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(SpectrumFileError, match=r"^x\.csv: ") as caught:
        read_scores(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_a_table_without_log_p(tmp_path, coadd):
    for path in (tmp_path / "none.csv", tmp_path / "none.ecsv", tmp_path / "none.fits", coadd):
        with pytest.raises(SpectrumFileError, match=path.name):
            read_scores(path)


@pytest.mark.parametrize("name", ["x.ecsv", "x.csv", "x.txt", "x.fits"])
def test_given_as_spectra_it_says_what_to_do(tmp_path, name):
    path = written(tmp_path, name)
    with pytest.raises(SpectrumFileError, match=rf"^{name}: a catalogue of log p, .*imo serve .*--catalogue {name}$"):
        read_spectra(path)


class TestServe:
    def served(self, monkeypatch, *arguments):
        """Run imo serve up to the point where it would listen; return the survey and what it printed."""
        shown = []
        monkeypatch.setattr("app.server.server.serve", lambda survey, settings, **options: shown.append(survey))
        done = CliRunner().invoke(serve, [*map(str, arguments), "--device", "cpu"], catch_exceptions=False)
        return (shown or [None])[0], done.output

    def test_with_a_catalogue(self, tmp_path, coadd, monkeypatch):
        survey, output = self.served(monkeypatch, "--spectra", coadd, "--catalogue", written(tmp_path, "x.ecsv"))
        assert survey.rank.tolist() == [2, 3, 0, 0] and survey.size == 3
        assert f"not ranked: target {BIG + 2}: not in x.ecsv" in output

    def test_of_another_model(self, tmp_path, coadd, monkeypatch):
        ranking = rank_spectra(FlatModel(), read_spectra(coadd))
        replace(ranking, model="other (1)").write(tmp_path / "x.ecsv")
        _, output = self.served(monkeypatch, "--spectra", coadd, "--catalogue", tmp_path / "x.ecsv")
        assert "x.ecsv: made with other (1); explained with IMO Explorer" in output

    def test_rank_all(self, coadd, monkeypatch):
        survey, output = self.served(monkeypatch, "--spectra", coadd)
        assert survey.rank.tolist() == [1, 0, 0, 0]
        assert f"not ranked: target {BIG + 1}: class STAR" in output
        survey, output = self.served(monkeypatch, "--spectra", coadd, "--rank-all")
        assert sorted(survey.rank) == [0, 1, 2, 3] and "not ranked" not in output

    def test_needs_spectra(self, tmp_path, monkeypatch):
        _, output = self.served(monkeypatch, "--catalogue", written(tmp_path, "x.csv"))
        assert "--catalogue need FILES" in output
