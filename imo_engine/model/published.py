"""Read the weight files of other people's software; all knowledge of their layouts lives here.

Autoencoders are spender checkpoints, flows nflows state dicts (see ``docs/published-weights.md``). Files
are opened with ``weights_only=True``: tensors and plain containers, never code.
"""

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imo_engine.errors import InputError, ModelFileError
from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder, SpectrumEncoder
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow

__all__ = ["read_autoencoder", "read_flow"]


def read_autoencoder(path: str | Path) -> tuple[SpectrumEncoder, SpectrumDecoder, Tensor | None]:
    """Read a spender checkpoint, old variants included.

    Returns:
        Encoder, decoder, and the instrument's wavelengths (N,) where the file has them (vacuum Angstrom).

    Raises:
        ModelFileError: no such file, not a checkpoint, or weights that do not form an autoencoder.
    """
    content = _load(path)
    state = content.get("model", content) if isinstance(content, dict) else content
    if isinstance(state, list | tuple) and state:  # some releases hold one model in a list
        state = state[0]
    if not isinstance(state, dict):
        raise ModelFileError(f"{path}: expected a spender checkpoint {{'model': state_dict}}, found {_kind(state)}")
    state = {name.replace("mlp.mlp.", "mlp."): value for name, value in _tensors(state).items()}
    try:
        config = _autoencoder_config(state)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: not a spender autoencoder ({error} is missing or has the wrong shape)") from None

    features = config.conv_widths[2] // 2
    first = state.get("encoder.mlp.0.weight")
    if first is not None and first.shape[1:] == (features + 1,):  # the first models also saw the redshift, last
        state["encoder.mlp.0.weight"] = first[:, :features]
    lsf = state.pop("encoder.instrument.lsf.weight", None)
    if lsf is not None:
        state["decoder.lsf"] = lsf.reshape(1, 1, -1)

    try:
        encoder = SpectrumEncoder(config)
        decoder = SpectrumDecoder(config, state["decoder.wave_rest"].clone())
    except InputError as error:
        raise ModelFileError(f"{path}: not a spender autoencoder ({error})") from None
    _fill(encoder, state, "encoder.", path)
    _fill(decoder, state, "decoder.", path)
    wavelength = state.get("encoder.instrument.wave_obs")
    return encoder, decoder, None if wavelength is None else wavelength.to(torch.float64)


def read_flow(path: str | Path) -> MaskedAutoregressiveFlow:
    """Read a masked affine autoregressive flow saved by nflows or spender.

    Raises:
        ModelFileError: no such file, or weights that do not form such a flow.
    """
    state = _load(path)
    if not isinstance(state, dict):
        raise ModelFileError(f"{path}: expected a state dict of a flow, found {_kind(state)}")
    pattern = re.compile(r"_transform\._transforms\.1\._transforms\.(\d+)\._transforms\.(0|1)\.(.+)$")
    ours: dict[str, Tensor] = {}
    permutations: dict[int, Tensor] = {}
    for full_name, value in _tensors(state).items():
        name = full_name.removeprefix("net.")
        if match := pattern.match(name):
            number, part, rest = int(match[1]), match[2], match[3]
            if part == "1":
                permutations[number] = value
            elif not rest.endswith("degrees"):
                key = rest.removeprefix("autoregressive_net.").replace(".linear.", ".")
                ours[f"transforms.{number}.{key}"] = value
        elif name.startswith("_transform._transforms.0._"):
            ours[name.removeprefix("_transform._transforms.0._")] = value
        elif not name.startswith("_distribution."):
            ours[name] = value
    try:
        ours["permutations"] = torch.stack([permutations[k] for k in range(len(permutations))])
        blocks = {name.split(".")[3] for name in ours if name.startswith("transforms.0.blocks.")}
        config = FlowConfig(
            n_latent=len(ours["shift"]),
            n_transforms=len(permutations),
            n_hidden=len(ours["transforms.0.initial_layer.bias"]),
            n_blocks=len(blocks),
        )
    except (KeyError, RuntimeError, TypeError) as error:
        raise ModelFileError(f"{path}: not a masked affine autoregressive flow ({error} is missing)") from None
    flow = MaskedAutoregressiveFlow(config)
    _fill(flow, ours, "", path)
    odd = sorted(ours.keys() - flow.state_dict().keys())
    if odd:  # another kind of transform: without this weight the numbers would be wrong
        raise ModelFileError(f"{path}: {odd[0]} is not part of a masked affine autoregressive flow")
    return flow


def _load(path: str | Path) -> Any:  # noqa: ANN401 - whatever the file holds; every caller checks
    if not Path(path).is_file():
        raise ModelFileError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the file's own format
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds; the first line of each says what was refused
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise ModelFileError(f"{path}: cannot be read as weights (tensors only, no code): {reason}") from None


def _tensors(state: dict[Any, Any]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"


def _autoencoder_config(state: dict[str, Tensor]) -> AutoencoderConfig:
    convs = [state[f"encoder.conv{k}.0.weight"] for k in (1, 2, 3)]
    return AutoencoderConfig(
        n_latent=state["decoder.mlp.0.weight"].shape[1],
        conv_widths=(convs[0].shape[0], convs[1].shape[0], convs[2].shape[0]),
        conv_sizes=(convs[0].shape[2], convs[1].shape[2], convs[2].shape[2]),
        encoder_hidden=_hidden_widths(state, "encoder.mlp."),
        decoder_hidden=_hidden_widths(state, "decoder.mlp."),
        n_rest=len(state["decoder.wave_rest"]),
        decoder_activation="speculator"
        if any(re.match(r"decoder\.mlp\.\d+\.beta", n) for n in state)
        else "leaky_relu",
        lsf_size=state["encoder.instrument.lsf.weight"].numel() if "encoder.instrument.lsf.weight" in state else 0,
    )


def _hidden_widths(state: dict[str, Tensor], prefix: str) -> tuple[int, ...]:
    numbers = sorted(
        int(name.removeprefix(prefix).split(".")[0])
        for name, value in state.items()
        if name.startswith(prefix) and name.endswith(".weight") and value.ndim == 2
    )
    return tuple(state[f"{prefix}{number}.bias"].shape[0] for number in numbers[:-1])


def _fill(module: torch.nn.Module, state: dict[str, Tensor], prefix: str, path: str | Path) -> None:
    expected = module.state_dict()
    for name, tensor in expected.items():
        given = state.get(prefix + name)
        if given is None:
            raise ModelFileError(f"{path}: {prefix + name} is missing")
        if given.shape != tensor.shape:
            raise ModelFileError(
                f"{path}: {prefix + name} has shape {tuple(given.shape)}, expected {tuple(tensor.shape)}"
            )
    module.load_state_dict({name: state[prefix + name] for name in expected})
