"""Our own model files: ``NAME.safetensors`` with the weights, ``NAME.json`` beside it with their description.

Neither can hold code. The description says what to build, the weights have to fit it exactly.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from imo_engine.errors import InputError, ModelFileError
from imo_engine.model.autoencoder import AutoencoderConfig, SpectrumDecoder, SpectrumEncoder
from imo_engine.model.flow import FlowConfig, MaskedAutoregressiveFlow
from imo_engine.system.files import write_atomically

__all__ = ["StoredModel", "named_tensors", "read_model", "write_model"]

_FORMAT, _VERSION = "imo-explorer-model", 1
_MAX_DESCRIPTION_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class StoredModel:
    """What the two files hold.

    Attributes:
        encoder: Spectrum to latents.
        decoder: Latents to spectrum.
        flow: Latents to log p.
        wavelength: (N,) vacuum Angstrom, observed frame.
        masked_pixels: What the encoder was trained to see at masked pixels.
        provenance: Where the weights come from.
    """

    encoder: SpectrumEncoder
    decoder: SpectrumDecoder
    flow: MaskedAutoregressiveFlow
    wavelength: NDArray[np.float64]
    masked_pixels: str
    provenance: dict[str, Any]


def named_tensors(
    encoder: torch.nn.Module, decoder: torch.nn.Module, flow: torch.nn.Module, wavelength: NDArray[np.float64]
) -> dict[str, Tensor]:
    """Return all numbers of a model under the names they have in its file."""
    networks = {"encoder": encoder, "decoder": decoder, "flow": flow}
    tensors = {f"{part}.{name}": value for part, net in networks.items() for name, value in net.state_dict().items()}
    return tensors | {"wavelength": torch.tensor(wavelength)}


def write_model(path: str | Path, model: StoredModel) -> None:
    """Write both files; a failed write leaves the old ones.

    Raises:
        ModelFileError: the name does not end in .safetensors, or the disk refuses.
        InputError: the provenance holds something that JSON does not.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelFileError(f"{path}: the name of a model ends in .safetensors")
    tensors = named_tensors(model.encoder, model.decoder, model.flow, model.wavelength)
    tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
    description = {
        "format": _FORMAT,
        "version": _VERSION,
        "autoencoder": asdict(model.encoder.config),
        "flow": asdict(model.flow.config),
        "masked_pixels": model.masked_pixels,
        "provenance": model.provenance,
    }
    try:
        text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
    except (TypeError, ValueError) as error:
        raise InputError(f"'provenance' cannot be written as JSON: {error}") from None
    try:
        write_atomically(path, lambda temporary: safetensors.torch.save_file(tensors, temporary))
        write_atomically(path.with_suffix(".json"), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: cannot be written: {error}") from None


def read_model(path: str | Path) -> StoredModel:
    """Read both files.

    Raises:
        ModelFileError: a file is missing, truncated, or does not fit the other.
    """
    path = Path(path)
    description = path.with_suffix(".json")
    config = _read_description(description)
    try:
        tensors = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(f"{path}: not a complete safetensors file: {error}") from None
    try:
        encoder, decoder, flow = _empty_networks(config, len(tensors))
    except (LookupError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ModelFileError(f"{description}: does not describe a model: {reason}") from None
    _fill({"encoder": encoder, "decoder": decoder, "flow": flow}, tensors, path)
    wavelength = tensors["wavelength"].to(torch.float64).numpy()
    return StoredModel(encoder, decoder, flow, wavelength, config["masked_pixels"], config["provenance"])


def _read_description(path: Path) -> dict[str, Any]:
    try:
        if os.path.getsize(path) > _MAX_DESCRIPTION_BYTES:
            raise ModelFileError(f"{path}: larger than {_MAX_DESCRIPTION_BYTES} bytes, not the description of a model")
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file; a model is NAME.safetensors with NAME.json beside it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: not a JSON description of a model: {error}") from None
    if not isinstance(config, dict) or config.get("format") != _FORMAT:
        raise ModelFileError(f"{path}: expected a description with format {_FORMAT!r}")
    if config.get("version") != _VERSION:
        raise ModelFileError(f"{path}: version {config.get('version')!r}, this program reads {_VERSION}")
    expected = {"autoencoder": dict, "flow": dict, "masked_pixels": str, "provenance": dict}
    for name, kind in expected.items():
        if not isinstance(config.get(name), kind):
            raise ModelFileError(f"{path}: {name!r} is {'missing' if name not in config else 'of the wrong type'}")
    return config


def _empty_networks(
    config: Mapping[str, Any], n_tensors: int
) -> tuple[SpectrumEncoder, SpectrumDecoder, MaskedAutoregressiveFlow]:
    """Build the networks that a description calls for, without memory for their weights.

    A description may ask for more than there is; what the file of weights holds decides.
    """
    autoencoder = AutoencoderConfig(**_known(AutoencoderConfig, config["autoencoder"]))
    flow = FlowConfig(**_known(FlowConfig, config["flow"]))
    depths = (flow.n_transforms, flow.n_blocks, len(autoencoder.encoder_hidden), len(autoencoder.decoder_hidden))
    if max(depths) > n_tensors:
        raise ValueError("more layers than the file has weights")
    with torch.device("meta"):
        rest = torch.zeros(autoencoder.n_rest, dtype=torch.float64)
        return SpectrumEncoder(autoencoder), SpectrumDecoder(autoencoder, rest), MaskedAutoregressiveFlow(flow)


def _known(config_type: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(config_type)}
    unknown = set(values) - names
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _fill(networks: Mapping[str, torch.nn.Module], tensors: Mapping[str, Tensor], path: Path) -> None:
    expected = {f"{part}.{name}" for part, net in networks.items() for name in net.state_dict()} | {"wavelength"}
    if expected != tensors.keys():
        odd = sorted(expected ^ tensors.keys())
        raise ModelFileError(f"{path}: {odd[0]} is {'missing' if odd[0] in expected else 'not part of the model'}")
    if not tensors["wavelength"].is_floating_point():
        raise ModelFileError(f"{path}: wavelength is {tensors['wavelength'].dtype}")
    for part, net in networks.items():
        for name, tensor in net.state_dict().items():
            given = tensors[f"{part}.{name}"]
            if given.shape != tensor.shape or given.is_floating_point() != tensor.is_floating_point():
                raise ModelFileError(
                    f"{path}: {part}.{name} is {given.dtype} {tuple(given.shape)}, expected {tuple(tensor.shape)}"
                )
        own = {n: tensors[f"{part}.{n}"].to(t.dtype, copy=True) for n, t in net.state_dict().items()}
        net.load_state_dict(own, assign=True)
