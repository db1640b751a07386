"""A GPU that this machine does not have: tensors that say they are on one, and are computed on the CPU.

They are as strict as real ones about which tensors may meet, and every place where the host would wait for the GPU is
noted. How quick anything is, and how a GPU rounds, only a real one tells.
"""

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda:0")
_READS = {"__float__", "__int__", "__bool__", "__index__", "__contains__", "item", "tolist", "equal", "allclose"}
_SHAPES = {"nonzero", "masked_select", "unique", "unique_consecutive", "bincount", "argwhere"}
_SHAPES |= {"_return_output", "_return_inverse", "_return_counts"}  # torch.unique, by what it returns
_ANYWHERE = {"copy_", "__set__", "__repr__", "__format__", "is_pinned", "_has_compatible_shallow_copy_type"}


class OnGpu(torch.Tensor):
    """Values that say they are on a GPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @property
    def device(self):
        return GPU

    def detach(self):
        return torch.Tensor.detach(plain(self)).as_subclass(OnGpu)

    @property
    def is_cuda(self):
        return True


class Waits(Counter):
    """How often the host waited, by the line that had it wait."""

    def note(self, what):
        for frame in reversed(traceback.extract_stack()):
            if "/imo_engine/" in frame.filename:
                place = frame.filename.partition("/imo_engine/")[2]
                self[f"{place}:{frame.lineno} {frame.line}"] += 1
                return
        self[what] += 1


def plain(tensor):
    """Return the values alone."""
    return tensor.as_subclass(torch.Tensor)


class _Calls(TorchFunctionMode):
    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        on_gpu = [one for one in tensors if isinstance(one, OnGpu)]
        if name in ("to", "cpu", "cuda"):
            return self._moved(name, args, kwargs)
        if name == "__deepcopy__" and on_gpu:
            tensor, memo = args
            if id(tensor) not in memo:
                copy = plain(tensor.detach()).clone().as_subclass(OnGpu)
                is_parameter = isinstance(tensor, torch.nn.Parameter)
                memo[id(tensor)] = torch.nn.Parameter(copy, tensor.requires_grad) if is_parameter else copy
            return memo[id(tensor)]
        if name == "as_subclass":
            return func(*args, **kwargs)
        if name == "pin_memory":
            return args[0]
        if name == "numpy" and on_gpu:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if name == "copy_" and len(on_gpu) == 1 and len(tensors) == 2 and isinstance(tensors[1], OnGpu):
            self.waits.note(name)
        elif on_gpu and name not in _ANYWHERE:
            self._check(name, func, args, kwargs, tensors)
        device = kwargs.get("device")
        if device is not None:
            kwargs["device"] = "cpu"
        found = func(*args, **kwargs)
        makes = torch.device(device).type == "cuda" if device is not None else bool(on_gpu)

        def marked(value):
            if not isinstance(value, torch.Tensor) or isinstance(value, OnGpu) == makes:
                return value
            return value.as_subclass(OnGpu) if makes else plain(value)

        if name == "__set__" or name == "copy_":
            return found
        return tree_map(marked, found)

    def _check(self, name, func, args, kwargs, tensors):
        indexed = name in ("__getitem__", "__setitem__", "index_put_", "index_put")
        for one in tensors:
            if not isinstance(one, OnGpu) and one.dim():
                if indexed and one is not args[0]:  # moved there, with a wait
                    self.waits.note(name)
                else:
                    raise RuntimeError(f"{func}: expected all tensors on the same device, found cuda:0 and cpu")
        by_mask = indexed and any(
            isinstance(one, torch.Tensor) and one.dtype == torch.bool and one.dim() for one in tree_leaves(args[1])
        )
        if by_mask and name != "__getitem__":  # a number goes where the mask is without counting
            by_mask = isinstance(args[-1], torch.Tensor) and args[-1].dim() > 0
        counted = name == "repeat_interleave" and len(tensors) > 1 and kwargs.get("output_size") is None
        if name in _READS or name in _SHAPES or by_mask or counted:
            self.waits.note(name)

    def _moved(self, name, args, kwargs):
        tensor, *rest = args
        copy = kwargs.pop("copy", False)
        if name == "cpu":
            device, dtype = torch.device("cpu"), tensor.dtype
        elif name == "cuda":
            device, dtype = GPU, tensor.dtype
        elif rest and isinstance(rest[0], torch.Tensor):
            device, dtype = rest[0].device, rest[0].dtype
        else:
            device, dtype, *_ = torch._C._nn._parse_to(*rest, **kwargs)
        target = OnGpu if (tensor.device if device is None else device).type == "cuda" else torch.Tensor
        if isinstance(tensor, OnGpu) and target is torch.Tensor:
            self.waits.note(name)
        moves = isinstance(tensor, OnGpu) != (target is OnGpu)
        if not (moves or copy) and dtype in (None, tensor.dtype):
            return tensor
        found = torch.Tensor.to(tensor, dtype or tensor.dtype, copy=moves or copy)
        return found.as_subclass(target)


@contextmanager
def pretended_gpu(patch) -> Iterator[Waits]:
    """Have torch say that there is a GPU; yields what waited for it."""
    # a parameter that is moved is a new one: its data alone would not say where it is
    patch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: 1)
    patch.setattr(torch.cuda, "get_device_name", lambda device=None: "Pretended GPU")
    patch.setattr(torch.cuda, "mem_get_info", lambda device=None: (2**30, 2**31))
    patch.setattr(torch.cuda, "memory_reserved", lambda device=None: 0)
    patch.setattr(torch.cuda, "memory_allocated", lambda device=None: 0)
    patch.setattr(torch.cuda, "empty_cache", lambda: None)
    patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    waits = Waits()
    with _Calls(waits):
        yield waits
