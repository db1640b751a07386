"""Training: equal forward passes, losses, flow, checkpoints, and tiny runs from each kind of source."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.training import TINY

from imo_engine.commands.train import train
from imo_engine.errors import InputError, ModelFileError, SpectrumFileError
from imo_engine.evaluation.model.credibility import (
    aligned_baselines,
    latent_redshift,
    rank_survey,
    read_truth,
    report_ranking,
)
from imo_engine.evaluation.model.tables import Page
from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumEncoder
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.ranking.reference import read_reference
from imo_engine.simulation.galaxies import analytic_galaxies
from imo_engine.simulation.library import rest_wavelength
from imo_engine.simulation.survey import SurveyConfig, simulate_part
from imo_engine.simulation.survey_writer import write_part
from imo_engine.spectra.instrument import desi_wavelength
from imo_engine.training.assembly import assemble
from imo_engine.training.checkpoints import load_checkpoint, save_checkpoint
from imo_engine.training.encoding import encode_quickly, keep_slopes_positive
from imo_engine.training.flow_training import train_flow
from imo_engine.training.losses import consistency_loss, fidelity_loss, similarity_loss
from imo_engine.training.oddness import make_odd, oddity
from imo_engine.training.sampling import LibrarySampler
from imo_engine.training.sources import Split, TrainingSource, read_source
from imo_engine.training.trainer import TrainConfig, train_autoencoder
from imo_engine.training.warm_start import train_teacher


@pytest.fixture(scope="module")
def library():
    return analytic_galaxies(90, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def source(library):
    rows = np.arange(90)
    return TrainingSource(library, None, Split(rows[:40], rows[40:70], rows[70:]), "90 galaxies")


@pytest.fixture(scope="module")
def survey(library, tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    config = SurveyConfig(number=80, seed=5, outlier_fraction=0.65, part_size=80)
    write_part(folder, 0, simulate_part(library[:80], config, 0))
    return folder


@pytest.fixture(scope="module")
def assembled(source, tmp_path_factory):
    trained = train_autoencoder(source, TINY, tmp_path_factory.mktemp("run") / "checkpoint.safetensors", device="cpu")
    return assemble(trained.encoder, trained.decoder, source, seed=1, draws=2, epochs=2, device="cpu")


def test_the_quick_forward_pass_is_the_encoders_own():
    torch.manual_seed(0)
    encoder = SpectrumEncoder(AutoencoderConfig(n_latent=3, conv_widths=(4, 6, 8), encoder_hidden=(8,), n_rest=10))
    flux = 1 + 0.3 * torch.randn(3, 1000)
    own, quick = encoder(flux), encode_quickly(encoder, flux)
    assert torch.allclose(own, quick, atol=1e-6)
    gradients = []
    for latents in (own, quick):
        encoder.zero_grad()
        (latents * torch.arange(9.0).view(3, 3)).sum().backward()
        gradients.append([p.grad.clone() for p in encoder.parameters()])
    largest = max(float(a.abs().max()) for a in gradients[0])
    for a, b in zip(*gradients, strict=True):  # biases before a normalisation have none but rounding
        assert torch.allclose(a, b, rtol=0.01, atol=1e-5 * largest)


def test_slopes_stay_positive():
    encoder = SpectrumEncoder(AutoencoderConfig(n_latent=3, conv_widths=(4, 6, 8), encoder_hidden=(8,), n_rest=10))
    with torch.no_grad():
        encoder.conv1[2].weight.fill_(-1.0)
    keep_slopes_positive(encoder)
    assert (encoder.conv1[2].weight > 0).all()


def test_fidelity_is_half_of_one_for_noise():
    rng = torch.Generator().manual_seed(0)
    model = torch.ones(8, 4000)
    flux = model + 0.5 * torch.randn(8, 4000, generator=rng)
    assert float(fidelity_loss(model, flux, torch.full_like(flux, 4.0), floor=0.0)) == pytest.approx(0.5, rel=0.03)


def test_consistency_is_zero_for_equal_latents():
    latents = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert float(consistency_loss(latents, latents)) == 0
    assert float(consistency_loss(latents, latents + 1)) > 0.4


def test_similarity_prefers_latents_that_follow_spectra():
    rest = torch.cat([torch.zeros(4, 50), torch.full((4, 50), 3.0)])
    weight = torch.full_like(rest, 4.0)
    follows = torch.cat([torch.zeros(4, 2), torch.full((4, 2), 8.0)])
    follows_not = torch.tensor([[0.0, 0.0], [8.0, 8.0]]).repeat(4, 1)
    assert similarity_loss(follows, rest, weight) < similarity_loss(follows_not, rest, weight)


def test_flow_finds_what_is_unlikely():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(900, 3)).astype(np.float32) * 0.1 + 0.5
    trained = train_flow(latents[:700], latents[700:], seed=1, epochs=5, batch=128)
    with torch.no_grad():
        near, far = trained.flow(torch.tensor([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5]]))
    assert near > far + 10
    assert trained.validation[trained.best_epoch] == min(trained.validation)


def test_flow_refuses_too_little():
    with pytest.raises(InputError, match="too few"):
        train_flow(np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32), seed=0)


def test_teacher_latents_are_standard(library):
    config = AutoencoderConfig(n_latent=3, decoder_hidden=(8,), n_rest=len(rest_wavelength()))
    rest = library.rest_frame(np.arange(90)).astype(np.float32)
    teacher, decoder, _ = train_teacher(rest, rest_wavelength(), config, seed=1, steps=5)
    latents = teacher(torch.from_numpy(rest))
    assert torch.allclose(latents.mean(dim=0), torch.zeros(3), atol=1e-3)
    assert torch.allclose(latents.std(dim=0), torch.ones(3), atol=1e-2)
    assert decoder(latents).shape == rest.shape


def test_oddness_grows_with_the_change(library):
    wave = desi_wavelength()
    bump = np.exp(-0.5 * ((wave - 6000) / 300) ** 2)
    small, large = oddity(np.array([0.01 * bump, 0.5 * bump]))
    assert small[0] < 0.1 < large[0]
    assert not oddity(np.zeros((1, len(wave)))).any()
    noiseless = library.observe(np.arange(4), np.full(4, 0.2), wave, resolution=0.76)
    changed, difference, size = make_odd(library, noiseless, np.full(4, 0.2), rng=np.random.default_rng(1))
    assert np.allclose(changed - noiseless, difference)
    assert (size > 0).any(axis=1).all()


def test_draws_are_reproducible_and_normalised(library):
    sampler = LibrarySampler(library, oddness=0.3)
    first, second = (sampler.draw(8, rng=np.random.default_rng([1, 2])) for _ in range(2))
    assert np.array_equal(first.flux, second.flux)
    assert np.isfinite(first.flux).all()
    window = (rest_wavelength() > 5300) & (rest_wavelength() < 5850)
    assert np.median(first.rest[:, window], axis=1) == pytest.approx(np.ones(len(first.rest)), abs=0.25)


def test_an_interrupted_run_continues_to_the_same_result(source, tmp_path):
    class Stop(Exception):
        pass

    def interrupt(stage, step, steps, loss):
        if (stage, step) == ("encoder", 3):
            raise Stop

    options = {"device": "cpu", "save_every": 1}
    whole = train_autoencoder(source, TINY, tmp_path / "whole.pt", **options)
    with pytest.raises(Stop):
        train_autoencoder(source, TINY, tmp_path / "broken.pt", progress=interrupt, **options)
    resumed = train_autoencoder(source, TINY, tmp_path / "broken.pt", **options)
    for a, b in zip(whole.encoder.parameters(), resumed.encoder.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_truncated_checkpoint_is_refused_in_one_line(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"step": 3, "weights": torch.ones(1000)})
    assert load_checkpoint(path)["step"] == 3
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ModelFileError, match="not a complete checkpoint") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_other_settings_is_refused(source, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    train_autoencoder(source, TINY, path, device="cpu")
    with pytest.raises(InputError, match="other settings"):
        train_autoencoder(source, TrainConfig(seed=9), path, device="cpu")


def test_model_pool_and_reference_fit_together(assembled, tmp_path):
    from imo_engine.training.assembly import write_reference

    path = tmp_path / "model.safetensors"
    assembled.model.save(path)
    model = OutlierModel.load(path, device="cpu")
    assembled.pool.save(tmp_path / "baselines.safetensors")
    write_reference(tmp_path / "reference.safetensors", assembled.reference, assembled.model)
    assert len(BaselinePool.load(tmp_path / "baselines.safetensors", model)) == len(assembled.pool)
    assert (np.diff(read_reference(tmp_path / "reference.safetensors", model)) >= 0).all()
    assert model.masked_pixels == "interpolate"


def test_evaluation_counts_known_outliers(assembled, survey):
    ranking = rank_survey(assembled.model, survey)
    report = report_ranking(ranking, read_truth(survey))
    assert report.number == 80
    assert sum(kind.count for kind in report.kinds) == len(read_truth(survey))
    assert all(0 <= kind.area <= 1 for kind in report.kinds)
    page = Page(assembled.model, np.asarray(assembled.reference, float))
    page.add_survey(survey)
    page.add_aligned(aligned_baselines(assembled.model, assembled.pool, assembled.reference, redshifts=(0.2,), count=5))
    assert "wrong_redshift" in page.text()


def test_redshift_in_latents_is_found_where_it_is():
    rng = np.random.default_rng(0)
    z = rng.uniform(0, 0.6, 800)
    latents = rng.normal(size=(800, 3)).astype(np.float32)
    assert latent_redshift(latents, z).linear < 0.1
    latents[:, 0] += 20 * z
    assert latent_redshift(latents, z).linear > 0.8


def test_train_works_on_coadds_without_truth(survey, tmp_path):
    arguments = [str(survey), "-o", str(tmp_path / "out"), "--widths", "4,6,8", "--latents", "4", "--batch", "4"]
    result = CliRunner().invoke(train, [*arguments, "--joint-steps", "2", "--epochs", "2"], catch_exceptions=False)
    assert "joint losses from scratch" in result.output
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
    assert OutlierModel.load(tmp_path / "out" / "model.safetensors").provenance["method"].startswith("joint")


def test_parquet_shards_are_read(tmp_path):
    import pyarrow
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    n, pixels = 40, len(desi_wavelength())
    flux = rng.normal(1, 0.1, (n, pixels)).astype(np.float32)
    columns = {"spec": list(flux), "w": list(np.full_like(flux, 100)), "z": rng.uniform(0, 0.5, n)}
    columns["target_id"] = 39628000000000000 + np.arange(n)
    (tmp_path / "data").mkdir()
    parquet.write_table(pyarrow.table(columns), tmp_path / "data" / "train-00000.parquet")
    source = read_source(tmp_path, seed=1)
    assert source.spectra is not None
    assert source.spectra.target_id[0] == "39628000000000000"
    (tmp_path / "data" / "train-00000.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(SpectrumFileError, match="damaged Parquet file"):
        read_source(tmp_path, seed=1)


def test_the_shipped_files_belong_together():
    from pathlib import Path

    from imo_engine.ranking.ranking import rank_spectra, read_catalogue
    from imo_engine.readers import read_spectra

    data = Path(__file__).parents[3] / "data"
    model = OutlierModel.load(data / "model.safetensors", device="cpu")
    assert len(BaselinePool.load(data / "baselines.safetensors", model)) >= 2000
    assert len(read_reference(data / "reference.safetensors", model)) >= 1000
    catalogue = read_catalogue(data / "demo-catalogue.ecsv")
    assert len(catalogue) == 300
    assert catalogue.meta["survey_size"] >= 10_000
    spectra = read_spectra(data / "coadd-demo.fits.gz", wavelength=model.wavelength)
    rows = [spectra.row(name) for name in catalogue["target_id"][:3]]
    assert np.allclose(rank_spectra(model, spectra[rows]).log_prob, catalogue["log_prob"][:3], rtol=1e-3, atol=1e-2)
    assert sum(path.stat().st_size for path in data.iterdir()) < 25e6
