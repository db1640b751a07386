"""Pickles from strangers: NumPy arrays and plain values; any class but NumPy's is refused before anything is made.

A pickle is a program. This one is run with names for four things only, all of them stand-ins that are defined here, so
that neither NumPy's own reconstruction, which trusts its input, nor anything else that is installed is called.
"""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imo_engine.errors import OtherKindError, SpectrumFileError
from imo_engine.readers.plain_files import printable

__all__ = ["MAX_PICKLE", "array_or_value", "load_plain_pickle"]

MAX_PICKLE = 1 << 30
"""Bytes that a pickle may have."""

_MAX_STEPS = 5_000_000
_MAX_VALUES = 1 << 28
_KINDS = "fiub"
_OBJECTS = "a file of Python objects"
_CALLS = {"PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"}
_MEMO = {"PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"}


def load_plain_pickle(content: bytes, name: str) -> object:
    """Return what is in the pickle ``content`` of the file ``name``: lists, dicts, texts, numbers, arrays of numbers.

    An array may still be in a shell; :func:`array_or_value` takes it out.

    Raises:
        SpectrumFileError: it holds anything else, is damaged, or would take more memory than it is worth.
    """
    _check_steps(content, name)
    try:
        return _PlainUnpickler(content, name).load()
    except SpectrumFileError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its steps raise
        raise SpectrumFileError(f"{name}: damaged pickle ({type(error).__name__})") from None


def array_or_value(value: object) -> object:
    """Return the array that a value of a pickle stands for, any other value as it is; one number becomes Python's."""
    found = value.values if isinstance(value, _Array) else value
    if isinstance(found, np.ndarray) and found.size == 1:
        return found.reshape(-1)[0].item()
    return found.item() if isinstance(found, np.generic) else found


def _check_steps(content: bytes, name: str) -> None:
    """Look at each step before one is taken: none but those of plain values, no memo larger than there are steps."""
    last = 0
    try:
        for number, (step, argument, _) in enumerate(pickletools.genops(content)):
            if step.name in _CALLS:
                raise OtherKindError(
                    f"{name}: holds Python objects ({step.name}); only arrays and plain values are read", _OBJECTS
                )
            if number > _MAX_STEPS or (step.name in _MEMO and int(argument or 0) > number):
                raise SpectrumFileError(f"{name}: a pickle of too many or of contradictory steps")
            last = number
    except SpectrumFileError:
        raise
    except Exception as error:
        raise SpectrumFileError(f"{name}: damaged pickle after {last} steps ({type(error).__name__})") from None


class _Maker:
    """Something a pickle may call; neither a class nor changeable, so that its steps can do nothing but call it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - whatever the pickle says
        return self._make(*arguments)


class _DType:
    """An element type, as far as numbers have one."""

    def __init__(self, code: str, *_: object) -> None:
        self.dtype = np.dtype(code if isinstance(code, str) else "O")
        if self.dtype.kind not in _KINDS:
            raise ValueError("not a type of numbers")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in (">", "<"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array that is filled by the step after the one that made it."""

    values: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, content = state
        if isinstance(content, str):
            content = content.encode("latin-1")
        self.values = _filled(content, kind, shape, "F" if by_columns else "C")


def _filled(content: bytes, kind: _DType, shape: tuple[int, ...], order: Any = "C") -> NDArray[Any]:  # noqa: ANN401
    values = np.frombuffer(content, kind.dtype)
    if values.size > _MAX_VALUES:
        raise ValueError("too large")
    return values.reshape(shape, order=order)


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("not the encoding of bytes")
    return text.encode("latin-1")


def _scalar(kind: _DType, content: bytes | str) -> object:
    raw = content.encode("latin-1") if isinstance(content, str) else content
    return np.frombuffer(raw, kind.dtype, count=1)[0]


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(io.BytesIO(content))
        self._name = name

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - what stands for the class
        made: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): _DType,
            ("numpy", "ndarray"): lambda *_: None,  # only ever an argument
            ("multiarray", "_reconstruct"): lambda *_: _Array(),
            ("multiarray", "scalar"): _scalar,
            ("numeric", "_frombuffer"): _filled,
            ("_codecs", "encode"): _encoded,
        }
        known = {"numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric"}
        key = (module.rpartition(".")[2] if module in known else module, name)
        if key not in made:
            shown = printable(f"{module}.{name}")[:80]
            raise OtherKindError(
                f"{self._name}: a pickle that calls {shown}, which could run code; only NumPy arrays and plain values "
                "are read",
                _OBJECTS,
            )
        return _Maker(made[key])
