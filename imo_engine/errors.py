"""The errors of this package.

All of them say in one line what was wrong, in which file or argument, and what was expected::

    ImoError                 anything this package refuses, catch this one
    +- InputError            an argument has the wrong shape, range or type (also a ValueError)
    +- SpectrumFileError     a file of spectra, redshifts or labels cannot be used
    |  +- OtherKindError     a file is of another kind: it holds no spectra that are read
    +- ModelFileError        a file of weights or a model cannot be used
    +- OutOfMemory           not even one spectrum at a time fits into memory (also a MemoryError)
    +- Cancelled             the caller asked to stop; no result was produced
"""

__all__ = [
    "Cancelled",
    "ImoError",
    "InputError",
    "ModelFileError",
    "OtherKindError",
    "OutOfMemory",
    "SpectrumFileError",
]


class ImoError(Exception):
    """Root of the errors that this package raises on purpose."""


class InputError(ImoError, ValueError):
    """An argument has the wrong shape, range or type."""


class SpectrumFileError(ImoError):
    """A file of spectra, redshifts or labels cannot be used; the message begins with its name."""


class OtherKindError(SpectrumFileError):
    """A file holds no spectra of a kind that is read; ``reason`` says in a few words, the same for all, what it is.

    ``may_be_spectrum`` is whether it looks like a spectrum all the same, so that it should be named.
    """

    def __init__(self, message: str, reason: str, *, may_be_spectrum: bool = False) -> None:
        super().__init__(message)
        self.reason, self.may_be_spectrum = reason, may_be_spectrum


class ModelFileError(ImoError):
    """A file of weights or a model cannot be used; the message begins with its name."""


class OutOfMemory(ImoError, MemoryError):
    """The device has no memory for a single spectrum."""


class Cancelled(ImoError):
    """The caller asked to stop before the result was complete."""
