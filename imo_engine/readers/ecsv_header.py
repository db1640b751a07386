"""The YAML header of an ECSV file (https://github.com/astropy/astropy-APEs/blob/main/APE6.rst).

Read with an own loader: astropy's makes arrays, times and sky coordinates of what the header says, which text from
strangers should not be able to ask for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from imo_engine.errors import SpectrumFileError

__all__ = ["MAX_HEADER", "EcsvHeader"]

MAX_HEADER = 128 << 10
"""Characters of a header; YAML is slow to read."""

_FIRST = "%ECSV "
_MAX_UNIT = 100


class _PlainLoader(yaml.SafeLoader):
    """Makes plain values only; what has a tag of its own becomes None."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave merge keys (<<) alone; a few lines of them can stand for more entries than there is memory."""


_PlainLoader.add_constructor(None, lambda loader, node: None)


@dataclass(frozen=True)
class EcsvHeader:
    """Names of the columns, their units by name in small letters, and ``meta`` by key in small letters."""

    columns: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def recognises(comments: Sequence[str]) -> bool:
        """Tell whether the comments at a file's start, without their "#", are an ECSV header."""
        return bool(comments) and comments[0].strip().startswith(_FIRST)

    @classmethod
    def parse(cls, comments: Sequence[str], name: str) -> "EcsvHeader":
        """Read the comments at the start of the file ``name``, without their "#".

        Raises:
            SpectrumFileError: too long, or not an ECSV header.
        """
        text = "\n".join(line.removeprefix(" ") for line in comments[1:])
        if len(text) > MAX_HEADER:
            raise SpectrumFileError(
                f"{name}: its ECSV header has {len(text)} characters; {MAX_HEADER} are read at most"
            )
        try:
            header = yaml.load(text, Loader=_PlainLoader)
            columns = [str(column["name"]) for column in header["datatype"]]
            said = {str(c["name"]).lower(): c["unit"] for c in header["datatype"] if isinstance(c.get("unit"), str)}
            meta = {str(key).lower(): value for key, value in _pairs(header.get("meta"))}
        except Exception as error:  # deep nesting, odd types, broken YAML: there is nothing that it could not be
            raise SpectrumFileError(f"{name}: damaged ECSV header ({type(error).__name__})") from error
        return cls(columns, {column: unit[:_MAX_UNIT] for column, unit in said.items()}, meta)

    @property
    def comments(self) -> list[str]:
        """The comments that astropy keeps in ``meta``."""
        found = self.meta.get("comments")
        return [line for line in found if isinstance(line, str)] if isinstance(found, list) else []


def _pairs(meta: object) -> Iterable[tuple[object, object]]:
    """Return keys and values of a mapping, or of an ordered mapping, which is a list of pairs."""
    if isinstance(meta, dict):
        return meta.items()
    return [pair for pair in meta if isinstance(pair, tuple) and len(pair) == 2] if isinstance(meta, list) else []
