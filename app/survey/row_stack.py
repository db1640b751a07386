"""Rows of several arrays as one, where joining them would copy a whole survey."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowStack"]


class RowStack(np.lib.mixins.NDArrayOperatorsMixin):
    """Arrays of the same width, one below the other, read-only; only what is taken out of them is copied.

    One row is a view of its array. Whatever NumPy does with the whole of it works on a joined copy.

    >>> stack = RowStack(np.zeros((2, 3)), np.ones((1, 3)))
    >>> stack.shape, stack[2].tolist(), stack[[2, 0]].shape, float((stack + 1).max())
    ((3, 3), [1.0, 1.0, 1.0], (2, 3), 2.0)
    """

    _parts: tuple[NDArray[Any], ...]

    def __init__(self, *stacked: "NDArray[Any] | RowStack") -> None:
        """Join ``stacked``, each (n_i, ...).

        Raises:
            ValueError: none, or of different widths.
        """
        parts: list[NDArray[Any]] = [
            part for one in stacked for part in (one._parts if isinstance(one, RowStack) else (one,))
        ]
        if not parts or len({part.shape[1:] for part in parts}) != 1:
            raise ValueError(f"'stacked' has shapes {[part.shape for part in parts]}; expected rows of one width")
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.dtype = np.result_type(*parts)
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *parts[0].shape[1:])
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - whatever NumPy takes
        if isinstance(index, (int, np.integer)):
            row = int(index) + (len(self) if index < 0 else 0)
            if not 0 <= row < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            return self._one(row)
        if isinstance(index, tuple):
            return self[index[0]][index[1:]] if isinstance(index[0], (int, np.integer)) else np.asarray(self)[index]
        rows = np.arange(len(self))[index]
        taken = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for place, row in enumerate(rows.tolist()):
            taken[place] = self._one(row)
        return taken

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401
        if copy is False:
            raise ValueError("the rows of several arrays cannot be one without a copy")
        array: NDArray[Any] = np.concatenate(self._parts).astype(self.dtype if dtype is None else dtype, copy=False)
        return array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:  # noqa: ANN401
        arrays = [np.asarray(one) if isinstance(one, RowStack) else one for one in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def _one(self, row: int) -> NDArray[Any]:
        part = int(np.searchsorted(self._ends, row, side="right"))
        pixels: NDArray[Any] = self._parts[part][row - int(self._ends[part]) + len(self._parts[part])]
        return pixels
