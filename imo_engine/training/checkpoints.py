"""Checkpoints of a training run: everything needed to go on as if nothing had happened.

A checkpoint is a safetensors file; plain values, and where each tensor belongs, are JSON in its metadata.
"""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from imo_engine.errors import ModelFileError
from imo_engine.system.files import write_atomically

__all__ = ["load_checkpoint", "save_checkpoint"]

_FORMAT = "imo-explorer-checkpoint"


def save_checkpoint(path: Path, contents: dict[str, Any]) -> None:
    """Write nested dictionaries and lists of tensors and plain values; an interrupted write leaves the old file.

    Raises:
        ModelFileError: the disk refuses.
    """
    tensors: dict[str, Tensor] = {}
    metadata = {"format": _FORMAT, "contents": json.dumps(_pack(contents, tensors))}
    try:
        write_atomically(path, lambda name: safetensors.torch.save_file(tensors, name, metadata))
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: cannot be written: {error}") from None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote; tuples come back as lists.

    Raises:
        ModelFileError: missing, truncated, or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ModelFileError(f"{path}: not a checkpoint of imo train")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        contents: dict[str, Any] = _unpack(json.loads(metadata["contents"]), tensors)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        raise ModelFileError(f"{path}: not a complete checkpoint; delete it to start again") from None
    return contents


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401 - any nesting of plain values
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):  # as pairs, because JSON would turn an optimiser's integer keys into strings
        return {"pairs": [[key, _pack(entry, tensors)] for key, entry in value.items()]}
    if isinstance(value, list | tuple):
        return [_pack(entry, tensors) for entry in value]
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401 - the inverse of _pack
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _unpack(entry, tensors) for key, entry in value["pairs"]}
    if isinstance(value, list):
        return [_unpack(entry, tensors) for entry in value]
    return value
