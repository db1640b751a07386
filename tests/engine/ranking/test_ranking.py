"""Rank 1 is the least probable; the catalogue survives astropy with every digit of the identifiers."""

import numpy as np
import pytest
import torch
from astropy.table import Table
from helpers.networks import WAVELENGTH, random_flux, tiny_model

from imo_engine import rank_spectra
from imo_engine.errors import ImoError, InputError, SpectrumFileError
from imo_engine.ranking.ranking import Ranking, read_catalogue
from imo_engine.spectra.spectra import normalise

N = len(WAVELENGTH)
IDS = ["39633272110123456", "39633272110123457", "9007199254740993", "-17", "00042", 'odd, "name"', "7"]
REDSHIFTS = [0.1, 0.1, np.nan, 0.1, 5.0, 0.1, 0.1]
UNSCORABLE = [2, 4, 6]


@pytest.fixture(scope="module")
def model():
    return tiny_model(dtype=torch.float32)


@pytest.fixture(scope="module")
def spectra(model):
    """Seven targets, three of which cannot be normalised; the grid is red enough for rest 5300 to 5850."""
    wavelength = model.wavelength + 2000
    flux, ivar = random_flux(7, seed=4) + 2, np.ones((7, N))
    ivar[6] = 0
    return normalise(
        wavelength,
        flux,
        ivar,
        REDSHIFTS,
        target_id=IDS,
        ra=np.linspace(0, 359.9999999, 7),
        dec=[0.1, -89.1234567, np.nan, 0, 0, 0, 0],
        note=["", "missing arm: B", "", "ZWARN, 4", "", "", ""],
        source="coadd, one.fits",
    )


@pytest.fixture(scope="module")
def red_model(model):
    encoder, decoder, flow = model.encoder, model.decoder, model.flow
    return type(model)(encoder, decoder, flow, model.wavelength + 2000, provenance={"name": "red"}, device="cpu")


@pytest.fixture(scope="module")
def ranking(red_model, spectra):
    return rank_spectra(red_model, spectra)


def test_rank_1_has_the_lowest_log_p(red_model, spectra, ranking):
    good = np.flatnonzero(spectra.scorable)
    assert good.tolist() == [0, 1, 3, 5]
    expected = red_model.log_prob(spectra.flux[good])
    assert ranking.log_prob[good] == pytest.approx(expected)
    assert ranking.latents[good] == pytest.approx(red_model.encode(spectra.flux[good]))
    assert sorted(ranking.rank[good]) == [1, 2, 3, 4]
    assert (np.diff(ranking.log_prob[good][np.argsort(ranking.rank[good])]) > 0).all()


def test_what_cannot_be_scored_has_no_rank_and_comes_last(ranking):
    assert ranking.rank[UNSCORABLE].tolist() == [0, 0, 0]
    assert np.isnan(ranking.log_prob[UNSCORABLE]).all()
    assert np.isnan(ranking.latents[UNSCORABLE]).all()
    assert ranking.order()[-3:].tolist() == UNSCORABLE
    assert ranking.rank[ranking.order()].tolist() == [1, 2, 3, 4, 0, 0, 0]
    table = ranking.to_table()
    assert table["log_prob"].mask.tolist() == [False] * 4 + [True] * 3
    assert table["rank"].mask.tolist() == [False] * 4 + [True] * 3
    assert all(table["problem"][-3:])


def test_equal_scores_keep_the_order_of_the_file(red_model, spectra):
    ranking = rank_spectra(red_model, spectra[[3, 0, 3, 3]])
    same = ranking.rank[[0, 2, 3]]
    assert (np.diff(same) == 1).all()


@pytest.mark.parametrize("rows", [[], [2, 4]])
def test_nothing_to_score(red_model, spectra, rows):
    ranking = rank_spectra(red_model, spectra[rows])
    assert ranking.rank.tolist() == [0] * len(rows)
    assert len(ranking.to_table()) == len(rows)


def test_a_score_that_is_not_a_number_has_a_reason(red_model, spectra, monkeypatch):
    real = type(red_model).latent_log_prob

    def overflow(self, latents):
        log_prob = real(self, latents).copy()
        log_prob[1], log_prob[2] = np.nan, -np.inf
        return log_prob

    monkeypatch.setattr(type(red_model), "latent_log_prob", overflow)
    ranking = rank_spectra(red_model, spectra)
    assert sorted(ranking.rank) == [0] * 5 + [1, 2]
    for row in (1, 3):
        assert ranking.rank[row] == 0
        assert np.isnan(ranking.log_prob[row])
        assert ranking.spectra.problem[row] == "the model gives no finite log p"
    assert spectra.problem[1] == ""


def test_another_grid_is_refused(model, spectra):
    with pytest.raises(InputError, match="the spectra have 300 pixels from 5600"):
        rank_spectra(model, spectra)


class TestCatalogue:
    @pytest.fixture
    def path(self, ranking, tmp_path):
        path = tmp_path / "ranking.ecsv"
        ranking.write(path)
        return path

    @pytest.mark.parametrize("read", [lambda p: Table.read(p, format="ascii.ecsv"), Table.read, read_catalogue])
    def test_round_trip(self, ranking, path, read):
        table = read(path)
        order = ranking.order()
        assert [str(t) for t in table["target_id"]] == [IDS[k] for k in order]
        assert table["target_id"].dtype.kind == "U"
        assert table["rank"].filled(0).tolist() == [1, 2, 3, 4, 0, 0, 0]
        assert np.asarray(table["log_prob"].mask).tolist() == [False] * 4 + [True] * 3
        assert table["log_prob"][:4].tolist() == pytest.approx(ranking.log_prob[order[:4]].tolist(), rel=1e-5)
        assert str(table["log_prob"].unit) == "nat"
        assert str(table["ra"].unit) == "deg"
        assert np.allclose(table["ra"], ranking.spectra.ra[order], atol=1e-7, rtol=0)
        assert np.allclose(
            np.ma.filled(table["dec"], np.nan), ranking.spectra.dec[order], atol=1e-7, rtol=0, equal_nan=True
        )
        redshift = np.ma.filled(table["redshift"], np.nan)
        assert np.array_equal(redshift, np.array(REDSHIFTS)[order], equal_nan=True)
        for name in ("problem", "note", "source"):
            # astropy itself reads an empty string as a masked one
            words = table[name] if read is read_catalogue else np.ma.filled(table[name], "")
            assert [str(v) for v in words] == getattr(ranking.spectra, name)[order].tolist(), name
        assert table.meta["model"] == ranking.model
        assert table.meta["scored"] == 4

    def test_catalogue_of_nothing(self, red_model, spectra, tmp_path):
        rank_spectra(red_model, spectra[[]]).write(tmp_path / "none.ecsv")
        assert len(read_catalogue(tmp_path / "none.ecsv")) == 0

    def test_digits_stay_strings_even_alone(self, red_model, spectra, tmp_path):
        rank_spectra(red_model, spectra[[0, 1]]).write(tmp_path / "two.ecsv")
        assert sorted(read_catalogue(tmp_path / "two.ecsv")["target_id"].tolist()) == IDS[:2]

    def test_writing_again_replaces_the_file(self, ranking, path):
        ranking.write(path)
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    def test_unwritable_place(self, ranking, tmp_path):
        with pytest.raises(ImoError, match="cannot be written"):
            ranking.write(tmp_path / "nowhere" / "ranking.ecsv")

    @pytest.mark.parametrize(
        "content",
        [b"", b"rank,target_id\n1,2\n", b"\x00\xff\xfe", b"# %ECSV 1.0\n# ---\n# datatype: 5\n", b"SIMPLE  ="],
    )
    def test_other_files(self, tmp_path, content):
        path = tmp_path / "other.ecsv"
        path.write_bytes(content)
        with pytest.raises(SpectrumFileError) as caught:
            read_catalogue(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)

    def test_missing_file_and_columns(self, path, tmp_path):
        with pytest.raises(SpectrumFileError):
            read_catalogue(tmp_path / "none.ecsv")
        with pytest.raises(SpectrumFileError):
            read_catalogue(tmp_path)
        table = Table.read(path, format="ascii.ecsv")
        table.remove_column("log_prob")
        table.write(path, format="ascii.ecsv", overwrite=True)
        with pytest.raises(SpectrumFileError, match="column log_prob is missing"):
            read_catalogue(path)


def test_a_ranking_is_a_record(ranking):
    assert isinstance(ranking, Ranking)
    with pytest.raises(AttributeError):
        ranking.rank = None
