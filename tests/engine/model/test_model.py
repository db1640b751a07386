"""The model on disk, what it refuses, and the shapes it takes."""

import json
import os

import numpy as np
import pytest
import safetensors.torch
import torch
from helpers.networks import (
    COVERED_REDSHIFT,
    UNCOVERED_REDSHIFT,
    WAVE_REST,
    WAVELENGTH,
    random_flux,
    tiny_model,
    tiny_parts,
)

from imo_engine import OutlierModel
from imo_engine.errors import ImoError, InputError, ModelFileError
from imo_engine.spectra.spectra import normalise

N = len(WAVELENGTH)
FLUX = random_flux(5, seed=2)


@pytest.fixture
def saved(tmp_path):
    """A float32 model and the path it was saved to."""
    model = tiny_model(3, dtype=torch.float32, masked_pixels="interpolate")
    path = tmp_path / "tiny.safetensors"
    model.save(path)
    return model, path


def rewrite(path, change):
    """Change the tensors of a saved model."""
    tensors = safetensors.torch.load_file(path)
    change(tensors)
    safetensors.torch.save_file(tensors, path)


def redescribe(path, change):
    """Change the description of a saved model."""
    description = path.with_suffix(".json")
    config = json.loads(description.read_text(encoding="utf-8"))
    change(config)
    description.write_text(json.dumps(config), encoding="utf-8")


class TestFiles:
    def test_round_trip_is_exact(self, saved):
        model, path = saved
        again = OutlierModel.load(path, device="cpu")
        assert again.fingerprint == model.fingerprint
        assert np.array_equal(again.wavelength, model.wavelength)
        assert again.masked_pixels == "interpolate"
        assert again.provenance == model.provenance
        assert again.encoder.config == model.encoder.config
        assert again.flow.config == model.flow.config
        for part in ("encoder", "decoder", "flow"):
            ours, theirs = getattr(model, part).state_dict(), getattr(again, part).state_dict()
            assert ours.keys() == theirs.keys()
            for name in ours:
                assert ours[name].dtype == theirs[name].dtype, name
                assert torch.equal(ours[name], theirs[name]), name
        assert np.array_equal(again.encode(FLUX), model.encode(FLUX))
        assert np.array_equal(again.log_prob(FLUX), model.log_prob(FLUX))
        z = np.full(5, COVERED_REDSHIFT)
        assert np.array_equal(again.reconstruct(FLUX, z), model.reconstruct(FLUX, z))
        assert not any(p.requires_grad for net in (again.encoder, again.decoder, again.flow) for p in net.parameters())

    @pytest.mark.parametrize("parts", [{"activation": "leaky_relu"}, {"lsf_size": 5}, {"n_latent": 1}])
    def test_round_trip_of_other_kinds(self, tmp_path, parts):
        model = tiny_model(1, dtype=torch.float32, **parts)
        model.save(tmp_path / "m.safetensors")
        again = OutlierModel.load(tmp_path / "m.safetensors", device="cpu")
        assert again.fingerprint == model.fingerprint
        z = np.full(5, COVERED_REDSHIFT)
        assert np.array_equal(again.reconstruct(FLUX, z), model.reconstruct(FLUX, z))

    def test_saving_again_changes_nothing(self, saved, tmp_path):
        _, path = saved
        OutlierModel.load(path, device="cpu").save(tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
        assert (tmp_path / "again.json").read_text() == path.with_suffix(".json").read_text()
        assert sorted(p.name for p in tmp_path.iterdir()) == [
            "again.json",
            "again.safetensors",
            "tiny.json",
            "tiny.safetensors",
        ]

    def test_files_can_be_read_by_others(self, saved):
        _, path = saved
        assert path.stat().st_mode & 0o444 == 0o444

    @pytest.mark.parametrize("what", ["encoder", "decoder", "flow", "wavelength", "policy"])
    def test_the_fingerprint_changes_with_anything(self, what):
        parts = tiny_parts(3)
        wavelength, policy = WAVELENGTH, "interpolate"
        if what == "wavelength":
            wavelength = WAVELENGTH + 1e-9 * (np.arange(N) == 7) * 1e6
        elif what == "policy":
            policy = "keep"
        else:
            part = parts[("encoder", "decoder", "flow").index(what)]
            with torch.no_grad():
                next(iter(part.parameters())).view(-1)[0] += 1e-3
        same = tiny_model(3, masked_pixels="interpolate")
        other = OutlierModel(*parts, wavelength, masked_pixels=policy, device="cpu", dtype=torch.float64)
        assert same.fingerprint == tiny_model(3, masked_pixels="interpolate").fingerprint
        assert other.fingerprint != same.fingerprint

    @pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, 0.999])
    def test_truncated_weights(self, saved, keep):
        _, path = saved
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
        with pytest.raises(ModelFileError, match="not a complete safetensors file") as caught:
            OutlierModel.load(path)
        assert str(caught.value).startswith(str(path))

    @pytest.mark.parametrize("size", [0, 1, 50])
    def test_truncated_description(self, saved, size):
        _, path = saved
        description = path.with_suffix(".json")
        os.truncate(description, size)
        with pytest.raises(ModelFileError, match="not a JSON description") as caught:
            OutlierModel.load(path)
        assert str(caught.value).startswith(str(description))

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[1, 2]", b"null", b'{"format": "other"}', b"[" * 100_000])
    def test_other_descriptions(self, saved, content):
        _, path = saved
        path.with_suffix(".json").write_bytes(content)
        with pytest.raises(ModelFileError) as caught:
            OutlierModel.load(path)
        assert str(caught.value).startswith(str(path.with_suffix(".json")))

    def test_a_description_of_gigabytes_is_not_read(self, saved):
        _, path = saved
        os.truncate(path.with_suffix(".json"), 3 << 30)  # sparse
        with pytest.raises(ModelFileError, match="larger than"):
            OutlierModel.load(path)

    @pytest.mark.parametrize("which", [".safetensors", ".json"])
    def test_missing_files(self, saved, which):
        _, path = saved
        path.with_suffix(which).unlink()
        with pytest.raises(ModelFileError, match="no such file") as caught:
            OutlierModel.load(path)
        assert str(caught.value).startswith(str(path.with_suffix(which)))

    def test_a_folder(self, tmp_path):
        (tmp_path / "m.safetensors").mkdir()
        with pytest.raises(ModelFileError):
            OutlierModel.load(tmp_path / "m.safetensors")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: c.update(version=2), "version 2, this program reads 1"),
            (lambda c: c.pop("flow"), "'flow' is missing"),
            (lambda c: c.update(flow=None), "'flow' is of the wrong type"),
            (lambda c: c.update(autoencoder=""), "'autoencoder' is of the wrong type"),
            (lambda c: c.update(provenance=5), "'provenance' is of the wrong type"),
            (lambda c: c.update(masked_pixels="guess"), "'masked_pixels' is 'guess'"),
            (lambda c: c.update(masked_pixels=["keep"]), "'masked_pixels' is of the wrong type"),
            (lambda c: c["autoencoder"].update(n_latent=4), "expected"),
            (lambda c: c["autoencoder"].update(n_latent="3"), "does not describe a model"),
            (lambda c: c["autoencoder"].update(n_latent=-3), "does not describe a model"),
            (lambda c: c["autoencoder"].update(n_latent=None), "does not describe a model"),
            (lambda c: c["autoencoder"].update(n_rest=10**7), "expected"),
            (lambda c: c["autoencoder"].update(n_rest=10**12), "decoder"),
            (lambda c: c["autoencoder"].update(n_rest=10**40), "does not describe a model"),
            (lambda c: c["autoencoder"].update(conv_widths=[4, 6]), "does not describe a model"),
            (lambda c: c["autoencoder"].update(conv_widths=[4, 6, 9]), "half are values, half attention"),
            (lambda c: c["autoencoder"].update(conv_sizes=[5, 11, 23]), "expected"),
            (lambda c: c["autoencoder"].update(encoder_hidden=[8]), "encoder.mlp.4.weight is not part"),
            (lambda c: c["autoencoder"].update(encoder_hidden=8), "does not describe a model"),
            (lambda c: c["autoencoder"].update(encoder_hidden=[1] * 50_000), "more layers than"),
            (lambda c: c["autoencoder"].update(decoder_activation="leaky_relu"), "is not part of the model"),
            (lambda c: c["autoencoder"].update(decoder_activation="exec"), "'decoder_activation' is 'exec'"),
            (lambda c: c["autoencoder"].update(lsf_size=3), "decoder.lsf is missing"),
            (lambda c: c["autoencoder"].update(surprise=1), "unknown entries"),
            (lambda c: c["flow"].update(n_hidden=8), "expected"),
            (lambda c: c["flow"].update(n_transforms=3), "is missing"),
            (lambda c: c["flow"].update(n_transforms=10**9), "more layers than"),
            (lambda c: c["flow"].update(n_blocks=10**9), "more layers than"),
            (lambda c: c["flow"].update(n_transforms=0), "does not describe a model"),
        ],
    )
    def test_a_description_that_lies(self, saved, change, message):
        _, path = saved
        redescribe(path, change)
        with pytest.raises(ModelFileError, match=message) as caught:
            OutlierModel.load(path)
        assert str(caught.value).startswith(str(path.with_suffix("")))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.pop("encoder.conv1.0.weight"), "encoder.conv1.0.weight is missing"),
            (lambda t: t.pop("wavelength"), "wavelength is missing"),
            (lambda t: t.update(extra=torch.zeros(3)), "extra is not part of the model"),
            (lambda t: t.update({"encoder.conv1.0.bias": torch.zeros(5)}), r"\(5,\), expected \(4,\)"),
            (lambda t: t.update({"flow.permutations": t["flow.permutations"].float()}), "torch.float32"),
            (lambda t: t.update({"flow.permutations": torch.zeros_like(t["flow.permutations"])}), "not permutations"),
            (lambda t: t.update({"flow.permutations": t["flow.permutations"] + 1}), "not permutations"),
            (lambda t: t["encoder.mlp.0.bias"].fill_(torch.nan), "encoder.mlp.0.bias has values that are not finite"),
            (lambda t: t["decoder.wave_rest"].copy_(t["decoder.wave_rest"].flip(0)), "'wave_rest'"),
            (lambda t: t["wavelength"].fill_(4000), "'wavelength'"),
            (lambda t: t.update(wavelength=torch.arange(300)), "wavelength is torch.int64"),
            (lambda t: t.update(wavelength=torch.ones(2, 2)), "'wavelength'"),
        ],
    )
    def test_weights_that_do_not_fit(self, saved, change, message):
        _, path = saved
        rewrite(path, change)
        with pytest.raises(ModelFileError, match=message) as caught:
            OutlierModel.load(path)
        assert str(caught.value).startswith(str(path))

    def test_weights_in_half_precision_are_taken(self, saved):
        model, path = saved
        rewrite(path, lambda t: t.update({k: v.half() for k, v in t.items() if k.startswith("encoder")}))
        again = OutlierModel.load(path, device="cpu")
        assert again.encoder.conv1[0].weight.dtype == torch.float32
        assert again.encode(FLUX) == pytest.approx(model.encode(FLUX), abs=0.02)

    def test_a_device_that_is_not_there_is_not_the_files_fault(self, saved):
        _, path = saved
        with pytest.raises(InputError, match="'device'"):
            OutlierModel.load(path, device="toaster")

    @pytest.mark.parametrize("name", ["model.pt", "nowhere/model.safetensors"])
    def test_a_place_that_cannot_be_written(self, saved, tmp_path, name):
        model, _ = saved
        with pytest.raises(ModelFileError) as caught:
            model.save(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))

    def test_provenance_that_json_cannot_hold(self, saved):
        model, path = saved
        before = path.read_bytes()
        model.provenance["seen"] = np.arange(3)
        with pytest.raises(InputError, match="'provenance' cannot be written as JSON"):
            model.save(path)
        assert path.read_bytes() == before

    def test_a_failed_save_leaves_the_old_model(self, saved, monkeypatch):
        model, path = saved
        before = path.read_bytes()

        def full_disk(tensors, name):
            name.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(safetensors.torch, "save_file", full_disk)
        with pytest.raises(ModelFileError, match="No space left"):
            model.save(path)
        assert path.read_bytes() == before
        assert len(list(path.parent.iterdir())) == 2


class TestEvaluation:
    def test_shapes_and_types(self):
        model = tiny_model(dtype=torch.float32)
        z = np.full(5, COVERED_REDSHIFT)
        for array, shape in (
            (model.encode(FLUX), (5, 3)),
            (model.reconstruct(FLUX, z), (5, N)),
            (model.log_prob(FLUX), (5,)),
            (model.encode(FLUX[:0]), (0, 3)),
            (model.log_prob(FLUX[:0]), (0,)),
            (model.decode(np.zeros((0, 3)), np.zeros(0)), (0, N)),
        ):
            assert isinstance(array, np.ndarray)
            assert array.shape == shape
            assert array.dtype == np.float32
        assert np.array_equal(model.log_prob(FLUX), model.latent_log_prob(model.encode(FLUX)))

    def test_takes_any_real_numbers(self, tiny_model):
        expected = tiny_model.encode(np.round(FLUX))
        for flux in (np.round(FLUX).tolist(), np.round(FLUX).astype(int), np.asfortranarray(np.round(FLUX))):
            assert tiny_model.encode(flux) == pytest.approx(expected, abs=1e-12)
        assert tiny_model.encode(FLUX[::2]) == pytest.approx(tiny_model.encode(FLUX)[::2], abs=1e-12)
        assert tiny_model.encode(FLUX.astype(">f4")) == pytest.approx(tiny_model.encode(FLUX), abs=1e-5)

    @pytest.mark.parametrize("spectra", [1, 2, 1000])
    def test_the_memory_budget_changes_nothing(self, tiny_model, spectra):
        budget = spectra * tiny_model.encoder.bytes_per_spectrum(N, 8)
        z = np.linspace(0, 0.1, 5)
        assert tiny_model.log_prob(FLUX, memory_budget=budget) == pytest.approx(tiny_model.log_prob(FLUX), abs=1e-10)
        assert tiny_model.reconstruct(FLUX, z, memory_budget=budget) == pytest.approx(
            tiny_model.reconstruct(FLUX, z), abs=1e-10
        )

    @pytest.mark.parametrize(
        ("flux", "message"),
        [
            (FLUX[0], r"'flux' has shape \(300,\), expected \(n, 300\)"),
            (FLUX[:, 1:], r"'flux' has shape \(5, 299\)"),
            (FLUX[None], r"'flux' has shape \(1, 5, 300\)"),
            (np.where(np.arange(5)[:, None] == 3, np.nan, FLUX), "'flux' row 3 has values that are not finite"),
            (np.where(np.arange(5)[:, None] == 1, np.inf, FLUX), "'flux' row 1 has values that are not finite"),
            (FLUX * (1 + 0j), "'flux' has type complex128"),
            (np.full((5, N), "1.0"), "'flux' has type <U3"),
            (np.full((5, N), None), "'flux' has type object"),
        ],
    )
    def test_refuses_other_flux(self, tiny_model, flux, message):
        for method in (tiny_model.encode, tiny_model.log_prob):
            with pytest.raises(InputError, match=message):
                method(flux)

    def test_refuses_what_float32_cannot_hold(self):
        flux = FLUX.copy()
        flux[2, 5] = 1e39
        with pytest.raises(InputError, match="row 2 has values that are not finite"):
            tiny_model(dtype=torch.float32).encode(flux)

    @pytest.mark.parametrize("redshift", [[0.1] * 4, 0.1, [0.1, 0.1, np.nan, 0.1, 0.1], [-1, 0, 0, 0, 0]])
    def test_refuses_other_redshifts(self, tiny_model, redshift):
        with pytest.raises(InputError, match="'redshift'"):
            tiny_model.reconstruct(FLUX, redshift)

    def test_refuses_other_latents(self, tiny_model):
        with pytest.raises(InputError, match=r"'latents' has shape \(5, 2\), expected \(n, 3\)"):
            tiny_model.latent_log_prob(np.zeros((5, 2)))

    def test_decoding_moves_the_rest_frame_to_the_redshift(self, tiny_model):
        redshifts = (COVERED_REDSHIFT, UNCOVERED_REDSHIFT, 0.0)  # whole, out of reach in the blue, in the red
        latents = tiny_model.encode(FLUX[:3])
        rest = tiny_model.decoder(torch.from_numpy(latents)).numpy()
        observed = tiny_model.decode(latents, redshifts)
        assert [bool(tiny_model.covered(z)[k]) for z in redshifts for k in (0, -1)] == [
            *(True, True),
            *(False, True),
            *(True, False),
        ]
        for row, z in enumerate(redshifts):
            grid = np.float64(WAVE_REST) * (1 + z)
            expected = np.interp(WAVELENGTH, grid, rest[row], left=0, right=0)
            covered = tiny_model.covered(z)
            assert np.array_equal(covered, (WAVELENGTH > grid[0]) & (WAVELENGTH < grid[-1]))
            assert observed[row, covered] == pytest.approx(expected[covered], abs=1e-9)
            assert (observed[row, ~covered] == 0).all()

    def test_prepare_fills_as_the_model_was_trained(self):
        flux, ivar = np.full((1, N), 4.0), np.ones((1, N))
        ivar[0, 100:110] = 0
        flux[0, 100:110] = 99
        spectra = normalise(WAVELENGTH, flux, ivar, [-0.2], target_id=["a"], problem=["kept"])
        keep, bridged = (tiny_model(masked_pixels=policy).prepare(spectra) for policy in ("keep", "interpolate"))
        assert (keep[0, 100:110] == 0).all()
        assert (bridged == 4).all()
        with pytest.raises(InputError, match="the spectra have 299 pixels from 3604.0"):
            tiny_model().prepare(normalise(WAVELENGTH[1:], flux[:, 1:], ivar[:, 1:], [0.1], target_id=["a"]))


class TestConstruction:
    def test_latents_must_agree(self):
        encoder, decoder, _ = tiny_parts(n_latent=3)
        with pytest.raises(InputError, match="encoder, decoder and flow have 3, 3 and 2 latents"):
            OutlierModel(encoder, decoder, tiny_parts(n_latent=2)[2], WAVELENGTH, device="cpu")

    @pytest.mark.parametrize("grid", [[], [4000.0], WAVELENGTH[::-1], WAVELENGTH[None], [4000, np.nan], [4000, 4000]])
    def test_wavelengths_must_increase(self, grid):
        with pytest.raises(InputError, match="'wavelength'"):
            OutlierModel(*tiny_parts(), grid, device="cpu")

    def test_the_grid_cannot_be_changed_afterwards(self, tiny_model):
        with pytest.raises(ValueError, match="read-only"):
            tiny_model.wavelength[0] = 1

    def test_unknown_policy(self):
        with pytest.raises(InputError, match="'masked_pixels' is 'zero'"):
            tiny_model(masked_pixels="zero")

    @pytest.mark.parametrize("device", ["toaster", "", "gpu", "cuda:x", "meta"])
    def test_unknown_device(self, device):
        with pytest.raises(InputError, match=f"'device' is '{device}'; expected auto, cpu, cuda, cuda:N or mps"):
            OutlierModel(*tiny_parts(), WAVELENGTH, device=device)

    @pytest.mark.parametrize("device", ["cuda", "cuda:0"])
    def test_no_cuda(self, monkeypatch, device):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        with pytest.raises(InputError, match=f"'device' is '{device}', but torch sees 0 CUDA devices"):
            OutlierModel(*tiny_parts(), WAVELENGTH, device=device)

    def test_no_such_card(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        with pytest.raises(InputError, match="'device' is 'cuda:2', but torch sees 2 CUDA devices"):
            OutlierModel(*tiny_parts(), WAVELENGTH, device="cuda:2")

    def test_no_mps(self, monkeypatch):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        with pytest.raises(InputError, match="'device' is 'mps', but torch has no MPS here"):
            OutlierModel(*tiny_parts(), WAVELENGTH, device="mps")

    def test_device_has_a_name(self, tiny_model):
        assert tiny_model.device_name.startswith("CPU, ")
        assert tiny_model.name == "tiny"

    def test_every_error_is_an_imo_error(self):
        assert issubclass(InputError, ImoError)
        assert issubclass(InputError, ValueError)
        assert issubclass(ModelFileError, ImoError)
