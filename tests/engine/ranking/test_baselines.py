"""The pool of baselines: encoded once, drawn by seed, kept apart from other models' latents."""

import numpy as np
import pytest
import safetensors.numpy
import torch
from helpers.networks import random_flux, tiny_model

from imo_engine import BaselinePool
from imo_engine.errors import InputError, ModelFileError

FLUX = random_flux(12, seed=8)
Z = np.linspace(0, 0.2, 12)


@pytest.fixture(scope="module")
def model():
    return tiny_model(dtype=torch.float32)


@pytest.fixture(scope="module")
def pool(model):
    return BaselinePool.from_spectra(model, FLUX, Z)


def test_holds_latents_and_log_p_of_the_spectra(model, pool):
    assert len(pool) == 12
    assert np.array_equal(pool.latents, model.encode(FLUX))
    assert np.array_equal(pool.log_prob, model.log_prob(FLUX))
    assert np.array_equal(pool.redshift, Z)
    assert pool.model == model.fingerprint


def test_round_trip_is_exact(model, pool, tmp_path):
    pool.save(tmp_path / "pool.safetensors")
    again = BaselinePool.load(tmp_path / "pool.safetensors", model)
    for name in ("latents", "redshift", "log_prob"):
        assert np.array_equal(getattr(again, name), getattr(pool, name))
        assert getattr(again, name).dtype == getattr(pool, name).dtype
    assert again.model == pool.model
    assert [p.name for p in tmp_path.iterdir()] == ["pool.safetensors"]


def test_draws_different_baselines_and_the_seed_decides(pool):
    drawn = pool.draw(8, seed=3)
    assert len(drawn) == 8
    assert len({tuple(row) for row in drawn.latents.tolist()}) == 8
    rows = [int(np.flatnonzero((pool.latents == latents).all(axis=1))[0]) for latents in drawn.latents]
    assert np.array_equal(drawn.redshift, pool.redshift[rows])
    assert np.array_equal(drawn.log_prob, pool.log_prob[rows])
    assert drawn.model == pool.model
    assert np.array_equal(pool.draw(8, seed=3).latents, drawn.latents)
    assert not np.array_equal(pool.draw(8, seed=4).latents, drawn.latents)
    assert sorted(pool.draw(12, seed=0).redshift) == sorted(Z)


@pytest.mark.parametrize("count", [0, -1, 13])
def test_draws_no_more_than_there_are(pool, count):
    with pytest.raises(InputError, match=f"'count' is {count}, but the pool has 12 baselines"):
        pool.draw(count, seed=0)


def test_redshifts_must_fit(model):
    with pytest.raises(InputError, match=r"'redshift' has shape \(2,\), expected \(12,\)"):
        BaselinePool.from_spectra(model, FLUX, [0.1, 0.2])


def test_latents_of_another_model(pool, tmp_path):
    pool.save(tmp_path / "pool.safetensors")
    other = tiny_model(9, dtype=torch.float32)
    with pytest.raises(ModelFileError, match=f"latents of model {pool.model}, but the model in use is"):
        BaselinePool.load(tmp_path / "pool.safetensors", other)
    with pytest.raises(ModelFileError, match=r"expected latents \(n, 2\), found \(12, 3\)"):
        BaselinePool.load(tmp_path / "pool.safetensors", tiny_model(dtype=torch.float32, n_latent=2))


@pytest.mark.parametrize("keep", [0, 7, 20, 0.5, 0.99])
def test_truncated(model, pool, tmp_path, keep):
    path = tmp_path / "pool.safetensors"
    pool.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ModelFileError, match="not a pool of baselines") as caught:
        BaselinePool.load(path, model)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"latents": np.zeros((4, 3), np.float32)}, "not a pool of baselines"),
        ({"latents": np.zeros((4, 3)), "redshift": np.zeros(3), "log_prob": np.zeros(4)}, "expected"),
        ({"latents": np.zeros((4, 3)), "redshift": np.zeros(4), "log_prob": np.zeros((4, 1))}, "expected"),
        ({"latents": np.zeros(()), "redshift": np.zeros(4), "log_prob": np.zeros(4)}, "expected"),
        ({"latents": np.zeros((4, 3), int), "redshift": np.zeros(4), "log_prob": np.zeros(4)}, "int64"),
        (
            {"latents": np.full((4, 3), np.nan, np.float32), "redshift": np.zeros(4), "log_prob": np.zeros(4)},
            "latents of type float32 are not finite",
        ),
    ],
)
def test_other_contents(model, tmp_path, tensors, message):
    path = tmp_path / "pool.safetensors"
    safetensors.numpy.save_file(tensors, path, {"model": model.fingerprint})
    with pytest.raises(ModelFileError, match=message) as caught:
        BaselinePool.load(path, model)
    assert str(caught.value).startswith(str(path))


def test_a_model_is_not_a_pool(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="not a pool of baselines"):
        BaselinePool.load(tmp_path / "m.safetensors", model)


def test_missing_file_and_unwritable_place(model, pool, tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        BaselinePool.load(tmp_path / "none.safetensors", model)
    with pytest.raises(ModelFileError, match="cannot be written"):
        pool.save(tmp_path / "nowhere" / "pool.safetensors")
    with pytest.raises(ModelFileError):
        BaselinePool.load(tmp_path, model)


def test_draws_only_the_more_probable_ones(pool):
    lowest = np.sort(pool.log_prob)[:6]
    drawn = pool.draw(6, seed=0, above_quantile=0.5)
    assert not np.isin(drawn.log_prob, lowest).any()
    with pytest.raises(InputError, match="'count' is 7, but the pool has 6 baselines that qualify"):
        pool.draw(7, seed=0, above_quantile=0.5)


def test_draws_near_a_place_in_latent_space(pool):
    centre = pool.latents[4]
    assert np.array_equal(pool.draw(1, seed=0, near=centre, near_share=0.01).latents[0], centre)
    distance = (((pool.latents - centre) / pool.latents.std(axis=0)) ** 2).sum(axis=1)
    drawn = pool.draw(3, seed=1, near=centre, near_share=0.5)
    nearest = pool.latents[np.argsort(distance)[:6]]
    assert all((nearest == latents).all(axis=1).any() for latents in drawn.latents)
    # with few to choose from, the nearest ones
    few = pool.draw(3, seed=1, near=centre, near_share=0.01)
    assert sorted(few.log_prob) == sorted(pool.log_prob[np.argsort(distance)[:3]])


def test_near_is_in_units_of_the_pools_scatter():
    latents = np.array([[0, 3], [0.2, 0], [0, -3], [-0.2, 0]], np.float32)
    pool = BaselinePool(latents, np.zeros(4), np.zeros(4, np.float32), "model")
    # as plain numbers, (0.2, 0) is nearer
    assert pool.draw(1, seed=0, near=[0.01, 1.4], near_share=0.25).latents.tolist() == [[0, 3]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"above_quantile": 1.0}, "'above_quantile' is 1.0"),
        ({"near": [0.0]}, r"'near' has shape \(1,\), expected \(3,\)"),
        ({"near": [0.0, 0.0, 0.0], "near_share": 0.0}, "'near_share' is 0.0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(pool, options, message):
    with pytest.raises(InputError, match=message):
        pool.draw(2, seed=0, **options)
