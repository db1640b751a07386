"""Spectra that people brought, kept on disk for whoever brought them: one file a person and survey."""

import hashlib
import logging
import os
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from app.survey.candidates import Candidate, score_candidates
from app.survey.survey import Survey
from imo_engine.errors import ImoError, InputError
from imo_engine.spectra.spectra import Spectra, concatenate
from imo_engine.system.files import write_atomically

__all__ = ["PER_OWNER", "CandidateFiles"]

log = logging.getLogger(__name__)

PER_OWNER = 200
"""Spectra that one owner can have beside a survey at a time."""

_FOLDER_BYTES = 1 << 30
_EACH = ("name", "log_prob", "not_ranked", "quantile", "n_reference", "model")


class CandidateFiles:
    """Keeps candidates of a survey; safe to use from any thread.

    A file's name is a check sum of its owner's, so that nobody finds another one's by it.
    """

    def __init__(self, folder: Path, title: str, *, most: int = _FOLDER_BYTES) -> None:
        """Use a folder, which is made when it is first needed.

        Args:
            folder: Of this program alone.
            title: Of the survey.
            most: Bytes in all; beyond that the files that were used longest ago go.
        """
        self._folder, self._title, self._most = folder, title, most
        self._lock = threading.Lock()

    def has(self, owner: str) -> bool:
        """Tell whether anything is kept for an owner."""
        return self._file(owner).exists()

    def of(self, owner: str, survey: Survey) -> tuple[Candidate, ...]:
        """Return what is kept for an owner, with ranks in the survey; with other scores if its model is another one.

        Takes as long as loading a model does. A file that cannot be read is none.
        """
        with self._lock:
            kept = self._read(owner)
            if kept:
                os.utime(self._file(owner))
        if not kept:
            return ()
        model, _ = survey.engine.get()
        if all(one.model.endswith(f"({model.fingerprint})") for one in kept):
            return tuple(_ranked(one, survey) for one in kept)
        if not np.array_equal(kept[0].spectra.wavelength, model.wavelength):
            log.warning("candidates are on other wavelengths than the model: passed over")
            return ()
        spectra = concatenate([replace(one.spectra, target_id=np.array([one.name])) for one in kept])
        return score_candidates(spectra, survey)

    def add(self, owner: str, found: Sequence[Candidate]) -> None:
        """Keep more for an owner, those in front of what was there.

        Raises:
            InputError: that would be too many.
            OSError: they cannot be written; what was there stays.
        """
        with self._lock:
            new = {one.target_id for one in found}
            kept = (*found, *(one for one in self._read(owner) if one.target_id not in new))
            if len(kept) > PER_OWNER:
                raise InputError(f"{len(kept)} spectra; {PER_OWNER} can be kept beside a survey at a time")
            self._write(owner, kept)

    def remove(self, owner: str, target_id: str) -> None:
        """Forget one.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            before = self._read(owner)
            kept = tuple(one for one in before if one.target_id != target_id)
            if not kept:
                self._file(owner).unlink(missing_ok=True)
            elif len(kept) < len(before):
                self._write(owner, kept)

    def _file(self, owner: str) -> Path:
        name = hashlib.sha256(f"{self._title}\n{owner}".encode()).hexdigest()[:40]
        return self._folder / f"{name}.npz"

    def _write(self, owner: str, kept: Sequence[Candidate]) -> None:
        spectra = concatenate([one.spectra for one in kept])
        columns = {f"spectra.{one.name}": getattr(spectra, one.name) for one in fields(Spectra)}
        for name in _EACH:
            values = [getattr(one, name) for one in kept]
            columns[name] = np.array([np.nan if value is None else value for value in values])
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, **columns)

        write_atomically(self._file(owner), write)
        self._file(owner).chmod(0o600)
        files = sorted(self._folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > self._most and file != self._file(owner):
                file.unlink(missing_ok=True)

    def _read(self, owner: str) -> tuple[Candidate, ...]:
        file = self._file(owner)
        if not file.exists():
            return ()
        try:
            with file.open("rb") as held, np.load(held, allow_pickle=False) as found:
                spectra = Spectra(**{one.name: found[f"spectra.{one.name}"] for one in fields(Spectra)})
                each = {name: found[name].tolist() for name in _EACH}
            rows = [spectra[[row]] for row in range(len(spectra))]
            return tuple(
                Candidate(
                    target_id=str(one.target_id[0]),
                    spectra=one,
                    rank=None,
                    quantile=quantile if np.isfinite(quantile) else None,
                    **{name: each[name][row] for name in _EACH if name != "quantile"},
                )
                for row, (one, quantile) in enumerate(zip(rows, each["quantile"], strict=True))
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, ImoError) as error:
            log.warning("kept candidates cannot be read: %s", error)
            return ()


def _ranked(one: Candidate, survey: Survey) -> Candidate:
    rank = None if one.not_ranked else survey.rank_range(one.log_prob)
    return replace(one, rank=rank)
