"""Other people's weight files: every layout they came in, and files that are something else."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import COVERED_REDSHIFT, WAVELENGTH, nflows_state, random_flux, spender_state, tiny_model

from imo_engine import OutlierModel
from imo_engine.errors import InputError, ModelFileError
from imo_engine.model.published import read_autoencoder, read_flow

FLUX = random_flux(3, seed=5)
Z = np.full(3, COVERED_REDSHIFT)


class Files:
    """A tiny model as the two files that spender and nflows would have written."""

    def __init__(self, folder, **parts):
        self.model = tiny_model(2, dtype=torch.float32, **parts)
        self.autoencoder, self.flow = folder / "ae.pt", folder / "flow.pt"
        self.state, self.flow_state = spender_state(self.model), nflows_state(self.model.flow)
        self.write()

    def write(self, autoencoder=None, flow=None):
        losses = torch.zeros(3, 2, dtype=torch.float64)
        torch.save({"model": self.state, "losses": losses} if autoencoder is None else autoencoder, self.autoencoder)
        torch.save(self.flow_state if flow is None else flow, self.flow)

    def read(self, **options):
        return OutlierModel.from_published(self.autoencoder, self.flow, device="cpu", **options)

    def check(self, **options):
        """The model that was written is the one that is read."""
        again = self.read(**options)
        assert np.array_equal(again.encode(FLUX), self.model.encode(FLUX))
        assert np.array_equal(again.reconstruct(FLUX, Z), self.model.reconstruct(FLUX, Z))
        assert np.array_equal(again.log_prob(FLUX), self.model.log_prob(FLUX))
        return again


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


class TestLayouts:
    def test_current(self, files):
        model = files.check()
        assert np.array_equal(model.wavelength, WAVELENGTH)
        assert model.name == "ae + flow"
        assert model.masked_pixels == "keep"

    def test_model_in_a_list(self, files):
        files.write({"model": [files.state], "losses": [0.1]})
        files.check()

    def test_bare_state_dict(self, files):
        files.write(files.state)
        files.check()

    @pytest.mark.parametrize("part", ["encoder.mlp.", ""])
    def test_mlp_in_an_mlp(self, files, part):
        old = part + "mlp." if not part else "encoder.mlp."
        files.state = {name.replace(old, old + "mlp."): value for name, value in files.state.items()}
        assert any("mlp.mlp" in name for name in files.state)
        files.write()
        files.check()

    def test_redshift_as_last_input_of_the_encoder(self, files):
        weight = files.state["encoder.mlp.0.weight"]
        files.state["encoder.mlp.0.weight"] = torch.cat([weight, torch.full((len(weight), 1), 9.0)], dim=1)
        files.write()
        files.check()

    def test_leaky_relu_decoder(self, tmp_path):
        files = Files(tmp_path, activation="leaky_relu")
        assert not any(name.endswith("beta") for name in files.state)
        model = files.check()
        assert model.decoder.config.decoder_activation == "leaky_relu"
        hidden = torch.from_numpy(model.encode(FLUX))
        for number in (0, 3, 6):
            weight, bias = files.state[f"decoder.mlp.{number}.weight"], files.state[f"decoder.mlp.{number}.bias"]
            hidden = torch.nn.functional.leaky_relu(hidden @ weight.T + bias)
        assert model.decoder(torch.from_numpy(model.encode(FLUX))).numpy() == pytest.approx(hidden.numpy(), abs=1e-5)

    def test_line_spread_function(self, tmp_path):
        files = Files(tmp_path, lsf_size=5)
        model = files.check()
        kernel = files.state["encoder.instrument.lsf.weight"].flatten().double().numpy()
        assert len(set(np.round(kernel, 6))) == 5  # lopsided, so that a mirrored kernel would show
        sharp = Files(tmp_path, lsf_size=0).model
        sharp.decoder.load_state_dict({k: v for k, v in model.decoder.state_dict().items() if k != "lsf"})
        latents = model.encode(FLUX)
        expected = [np.correlate(row, kernel, mode="same") / kernel.sum() for row in sharp.decode(latents, Z)]
        assert model.decode(latents, Z) == pytest.approx(np.array(expected), abs=1e-5)

    def test_without_wavelengths(self, files):
        del files.state["encoder.instrument.wave_obs"]
        files.write()
        with pytest.raises(ModelFileError, match=r"holds no encoder.instrument.wave_obs; give 'wavelength'"):
            files.read()
        files.check(wavelength=WAVELENGTH)

    def test_wavelengths_of_the_callers_choice(self, files):
        model = files.read(wavelength=WAVELENGTH[10:200])
        assert np.array_equal(model.wavelength, WAVELENGTH[10:200])
        assert model.encode(FLUX[:, 10:200]).shape == (3, 3)

    def test_extra_entries_of_the_instrument(self, files):
        files.state["encoder.instrument.skyline_mask"] = torch.zeros(300, dtype=torch.bool)
        files.write()
        files.check()

    def test_flow_of_a_wrapper(self, files):
        files.write(flow={f"net.{name}": value for name, value in files.flow_state.items()})
        files.check()

    def test_flow_with_the_constant_of_its_base(self, files):
        files.write(flow=files.flow_state | {"_distribution._log_z": torch.tensor(2.7568)})
        files.check()

    def test_old_serialisation(self, files):
        torch.save({"model": files.state}, files.autoencoder, _use_new_zipfile_serialization=False)
        files.check()

    def test_saved_in_our_own_format(self, files, tmp_path):
        model = files.read()
        model.save(tmp_path / "own.safetensors")
        again = OutlierModel.load(tmp_path / "own.safetensors", device="cpu")
        assert again.fingerprint == model.fingerprint
        assert np.array_equal(again.log_prob(FLUX), model.log_prob(FLUX))


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


class TestRefusals:
    @pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
    @pytest.mark.parametrize("wrap", [lambda code: code, lambda code: {"model": {"encoder.conv1.0.weight": code}}])
    def test_code_is_refused_and_not_run(self, tmp_path, save, wrap):
        marker, path = tmp_path / "ran", tmp_path / "evil.pt"
        save(wrap(Touch(marker)), path)
        for read in (read_autoencoder, read_flow):
            with pytest.raises(ModelFileError, match=r"tensors only, no code") as caught:
                read(path)
            assert str(caught.value).startswith(str(path))
            assert not marker.exists()
        pickle.loads(pickle.dumps(Touch(marker)))
        assert marker.exists()  # it would have run

    def test_a_whole_pickled_module_is_refused(self, files):
        torch.save(files.model.encoder, files.autoencoder)
        with pytest.raises(ModelFileError, match="tensors only, no code"):
            files.read()

    @pytest.mark.parametrize("keep", [0, 10, 0.3, 0.99])
    @pytest.mark.parametrize("which", ["autoencoder", "flow"])
    def test_truncated(self, files, which, keep):
        path = getattr(files, which)
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
        with pytest.raises(ModelFileError) as caught:
            files.read()
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("content", [b"plain text", b"\x89HDF\r\n", b"PK\x03\x04", b"\x80\x04."])
    def test_other_files(self, tmp_path, content):
        path = tmp_path / "other.pt"
        path.write_bytes(content)
        for read in (read_autoencoder, read_flow):
            with pytest.raises(ModelFileError) as caught:
                read(path)
            assert str(caught.value).startswith(str(path))

    def test_missing_file_and_folder(self, tmp_path):
        for path in (tmp_path / "none.pt", tmp_path):
            for read in (read_autoencoder, read_flow):
                with pytest.raises(ModelFileError, match="no such file"):
                    read(path)

    @pytest.mark.parametrize(
        "content",
        [
            {},
            [],
            5,
            torch.zeros(3),
            {"model": None},
            {"model": []},
            {"model": [5]},
            {1: torch.zeros(3)},
            {"model": {"encoder.conv1.0.weight": 5}},
            {"model": {"encoder.conv1.0.weight": torch.zeros(())}},
            {"_transform._transforms.0._shift": torch.zeros(())},
            {"_transform._transforms.0._shift": 3.0, "_transform._transforms.0._scale": 3.0},
        ],
    )
    def test_weights_of_something_else(self, files, content):
        files.write(autoencoder=content, flow=content)
        for read, path in ((read_autoencoder, files.autoencoder), (read_flow, files.flow)):
            with pytest.raises(ModelFileError) as caught:
                read(path)
            assert str(caught.value).startswith(str(path))
            assert "\n" not in str(caught.value)

    def test_the_two_files_swapped(self, files):
        with pytest.raises(ModelFileError, match="not a spender autoencoder"):
            OutlierModel.from_published(files.flow, files.autoencoder)
        with pytest.raises(ModelFileError, match="not a masked affine autoregressive flow"):
            read_flow(files.autoencoder)

    def test_every_missing_weight_of_the_autoencoder_is_named(self, files):
        for name in list(files.state):
            if name == "encoder.instrument.wave_obs":
                continue
            left = {key: value for key, value in files.state.items() if key != name}
            files.write({"model": left})
            with pytest.raises(ModelFileError) as caught:
                files.read()
            assert str(caught.value).startswith(str(files.autoencoder)), name

    def test_every_missing_weight_of_the_flow_is_named(self, files):
        for name in list(files.flow_state):
            if name.endswith("degrees"):
                continue
            files.write(flow={key: value for key, value in files.flow_state.items() if key != name})
            with pytest.raises(ModelFileError) as caught:
                files.read()
            assert str(caught.value).startswith(str(files.flow)), name

    def test_every_wrong_shape_is_named(self, files):
        for which, state in (("autoencoder", files.state), ("flow", files.flow_state)):
            for name, value in state.items():
                if name.endswith(("wave_obs", "degrees")):
                    continue
                for odd in (value[1:], value.unsqueeze(0), value.new_zeros(())):
                    changed = state | {name: odd}
                    if which == "flow":
                        files.write(flow=changed)
                    else:
                        files.write({"model": changed})
                    with pytest.raises(ModelFileError) as caught:
                        files.read()
                    assert str(getattr(files, which)) in str(caught.value), name

    @pytest.mark.parametrize(
        "name",
        [
            "_transform._transforms.1._transforms.0._transforms.0.autoregressive_net.blocks.0.batch_norm.weight",
            "_transform._transforms.2._shift",
            "_embedding_net.weight",
        ],
    )
    def test_a_flow_of_another_kind_is_not_half_read(self, files, name):
        files.write(flow=files.flow_state | {name: torch.ones(3)})
        with pytest.raises(ModelFileError, match="is not part of a masked affine autoregressive flow"):
            files.read()

    def test_values_that_no_model_has(self, files):
        state = files.state
        files.write({"model": state | {"encoder.mlp.0.bias": torch.full((8,), torch.nan)}})
        with pytest.raises(ModelFileError, match="encoder.mlp.0.bias has values that are not finite"):
            files.read()
        files.write({"model": state | {"decoder.wave_rest": state["decoder.wave_rest"].flip(0)}})
        with pytest.raises(ModelFileError, match="'wave_rest'"):
            files.read()
        name = "_transform._transforms.1._transforms.0._transforms.1._permutation"
        files.write(flow=files.flow_state | {name: torch.tensor([0, 0, 1])})
        with pytest.raises(ModelFileError, match="not permutations"):
            files.read()

    def test_an_autoencoder_and_a_flow_of_different_widths(self, files, tmp_path):
        files.write(flow=nflows_state(tiny_model(n_latent=2).flow))
        with pytest.raises(ModelFileError, match="have 3, 3 and 2 latents"):
            files.read()

    def test_the_callers_own_mistakes_are_not_the_files(self, files):
        with pytest.raises(InputError, match="'device' is 'toaster'"):
            OutlierModel.from_published(files.autoencoder, files.flow, device="toaster")
        with pytest.raises(InputError, match="'wavelength' has shape"):
            files.read(wavelength=WAVELENGTH[::-1])


def test_the_published_flow_is_read_whole(shared_data):
    path = shared_data / "weights" / "galaxy-flow-state_dict.pt"
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith("b71f8966")  # as in spender's name for it
    flow = read_flow(path)
    assert (flow.config.n_latent, flow.config.n_transforms) == (6, 5)
    assert (flow.config.n_hidden, flow.config.n_blocks) == (50, 2)


def test_the_documentation_names_the_files():
    page = (Path(__file__).parents[3] / "docs" / "published-weights.md").read_text(encoding="utf-8")
    for name in ("spender.desi-edr.galaxyae-b9bc8d12.pt", "spender.desi-edr.galaxyflow-b71f8966.pt", "from_published"):
        assert name in page
