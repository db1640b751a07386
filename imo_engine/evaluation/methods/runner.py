"""Score all cases in several processes; what is done is kept, so that a run can be interrupted and continued."""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from imo_engine.attribution.occlusion import PAPER_WINDOW_SIZES
from imo_engine.errors import ImoError, InputError
from imo_engine.evaluation.cases import GLOBAL_KINDS, Case, read_cases
from imo_engine.evaluation.methods.choices import CHOICES, MOST_BASELINES, choice_maps
from imo_engine.evaluation.methods.contenders import ORACLE_WINDOWS, compute_maps, contenders_for
from imo_engine.evaluation.methods.sanity import CHECKS, sanity_checks
from imo_engine.evaluation.methods.scoring import Judge, Protocol, all_scores
from imo_engine.model.outlier_model import OutlierModel
from imo_engine.ranking.baselines import BaselinePool
from imo_engine.reasons.null_distribution import NullDistribution
from imo_engine.system.files import write_atomically
from imo_engine.system.processes import new_processes

__all__ = ["Plan", "Task", "prepare_results", "read_results", "run_tasks"]

SORTS = ("main", "choices", "sanity")


@dataclass(frozen=True)
class Plan:
    """What is evaluated.

    Attributes:
        survey: Folder of ``imo simulate``.
        model: Model file.
        baselines: Pool of its baselines.
        results: Folder for the results.
        protocol: What is measured.
        per_cell: Cases of each kind and strength at most.
        choices_per_kind: Cases of each kind that has a place, for the choices that the paper leaves open.
        sanity_cases: Cases, each of another kind, for the sanity checks.
        kinds: Only these kinds of outliers; all if there are none.
        null: Null distribution of the model, if there is one.
    """

    survey: Path
    model: Path
    baselines: Path
    results: Path
    protocol: Protocol = Protocol()
    per_cell: int = 6
    choices_per_kind: int = 2
    sanity_cases: int = 4
    kinds: tuple[str, ...] = ()
    null: Path | None = None


@dataclass(frozen=True)
class Task:
    """One case of one sort of work, and the file for its result."""

    sort: str
    target_id: str
    path: Path


def tasks_of(plan: Plan, cases: Sequence[Case]) -> list[Task]:
    """Return what is to be done, so that kinds and strengths progress alike; the strongest outliers for extras."""
    cells: dict[tuple[str, int], list[Case]] = {}
    for case in cases:
        cells.setdefault((case.kind, case.strength), []).append(case)
    main = [cell[turn] for turn in range(plan.per_cell) for cell in cells.values() if turn < len(cell)]
    strong: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda one: (-one.strength, one.target_id)):
        if case.kind not in GLOBAL_KINDS:
            strong.setdefault(case.kind, []).append(case)
    kinds = sorted(strong)
    # strengths 4 and 3 in turn, since most weaker ones are not seen by the model
    turns = {kind: _alternating(strong[kind]) for kind in kinds}
    choices = [turns[kind][n] for n in range(plan.choices_per_kind) for kind in kinds if n < len(turns[kind])]
    sanity = [turns[kind][0] for kind in kinds[:: max(1, len(kinds) // max(1, plan.sanity_cases))]][: plan.sanity_cases]
    groups = zip(SORTS, (main, choices, sanity), strict=True)
    return [
        Task(sort, case.target_id, plan.results / f"{sort}-{case.target_id}.json")
        for sort, chosen in groups
        for case in chosen
    ]


def _alternating(cases: list[Case]) -> list[Case]:
    by_strength = [[case for case in cases if case.strength == strength] for strength in (4, 3, 2, 1)]
    pairs = [[group[n] for group in by_strength[:2] if n < len(group)] for n in range(len(cases))]
    return [case for pair in pairs for case in pair] + by_strength[2] + by_strength[3]


def prepare_results(plan: Plan, model: OutlierModel) -> dict[str, Any]:
    """Make the folder, or check that what is in it came from the same plan; return its description.

    Raises:
        InputError: it holds results of another plan.
        ImoError: it cannot be written or its description is damaged.
    """
    description = {
        "survey": _survey_description(plan.survey),
        "model": model.name,
        "model_fingerprint": model.fingerprint,
        "protocol": plan.protocol.to_json(),
        "window_sizes": list(PAPER_WINDOW_SIZES),
        "contenders": {one.name: {"method": one.method, **one.settings} for one in contenders_for(model)},
        "choices": list(CHOICES),
        "checks": list(CHECKS),
    }
    path = plan.results / "evaluation.json"
    try:
        plan.results.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if json.loads(path.read_text()) != description:
                raise InputError(f"{plan.results}: holds results of another evaluation; choose another folder")
        else:
            write_json(path, description)
    except OSError as error:
        raise ImoError(f"{plan.results}: cannot be written: {error}") from None
    except json.JSONDecodeError as error:
        raise ImoError(f"{path}: damaged: {error}") from None
    return description


def _survey_description(folder: Path) -> dict[str, Any]:
    path = folder / "simulation.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: damaged: {error}") from None
    return found


def run_tasks(plan: Plan, *, workers: int = 1, on_done: Callable[[int, int], None] | None = None) -> None:
    """Do everything that is not done yet; ``on_done`` is told how many tasks are done, and of how many.

    Interrupted, it lets the running tasks finish: their results are kept.

    Raises:
        ImoError: a file that cannot be read or written, or a process that died.
    """
    worker = _Worker(plan)
    tasks = tasks_of(plan, list(worker.cases.values()))
    left = [task for task in tasks if not task.path.exists()]
    done, failed = len(tasks) - len(left), []
    for task, error in _finished(plan, worker, left, workers):
        done += 1
        if error is not None:
            failed.append(f"{task.target_id} ({task.sort}): {error}")
        if on_done is not None:
            on_done(done, len(tasks))
    if failed:
        raise ImoError(f"{len(failed)} of {len(left)} could not be scored; the first: target {failed[0]}")


def _finished(plan: Plan, worker: "_Worker", tasks: list[Task], workers: int) -> Iterator[tuple[Task, ImoError | None]]:
    if workers <= 1:
        for task in tasks:
            yield task, worker.try_to(task)
        return
    executor = new_processes(workers, _start, plan)
    try:
        for future in as_completed([executor.submit(_do, task) for task in tasks]):
            yield future.result()
    except BrokenProcessPool:
        raise ImoError(
            "a process of the evaluation died, perhaps for lack of memory; run it again to continue"
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """Model, baselines and cases of one process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.model = OutlierModel.load(plan.model, device="cpu")
        self.pool = BaselinePool.load(plan.baselines, self.model)
        self.null = None if plan.null is None else NullDistribution.load(plan.null, self.model.fingerprint)
        cases = read_cases(plan.survey, self.model)
        unknown = sorted(set(plan.kinds) - {case.kind for case in cases})
        if unknown:
            raise InputError(f"{plan.survey}: holds no outliers of kind {', '.join(unknown)}")
        self.cases = {case.target_id: case for case in cases if not plan.kinds or case.kind in plan.kinds}

    def try_to(self, task: Task) -> ImoError | None:
        """Do a task and return what was wrong with it, so that one strange spectrum does not stop the others."""
        try:
            self.do(task)
        except ImoError as error:
            return error
        return None

    def do(self, task: Task) -> None:
        """Score a case and write its file."""
        case = self.cases[task.target_id]
        write_json(task.path, {"main": self._main, "choices": self._choices, "sanity": self._sanity}[task.sort](case))

    def _main(self, case: Case) -> dict[str, Any]:
        judge = Judge(self.model, case, self.pool, self.plan.protocol)
        maps, refused = compute_maps(
            self.model,
            case,
            judge.baselines,
            seed=self.plan.protocol.seed,
            probable=judge.rest.draw(self.plan.protocol.n_baselines, seed=judge.own_seed, above_quantile=0.5),
            null=self.null,
        )
        sizes = sorted({*PAPER_WINDOW_SIZES, *ORACLE_WINDOWS})
        return judge.facts() | {
            "seen": judge.is_seen,
            "chance": judge.chance(),
            "ceilings": {str(size): judge.ceilings(size) for size in sizes},
            "refused": refused,
            "scores": all_scores(judge, maps),
        }

    def _choices(self, case: Case) -> dict[str, Any]:
        judge = Judge(self.model, case, self.pool, replace(self.plan.protocol, n_baselines=MOST_BASELINES))
        return judge.facts() | {
            "seen": judge.is_seen,
            "chance": judge.chance(),
            "scores": all_scores(judge, choice_maps(self.model, case, judge)),
        }

    def _sanity(self, case: Case) -> dict[str, Any]:
        judge = Judge(self.model, case, self.pool, self.plan.protocol)
        others = judge.rest.draw(self.plan.protocol.n_baselines, seed=[*judge.own_seed, 1])
        found = sanity_checks(self.model, case, judge.baselines, others, seed=self.plan.protocol.seed)
        return judge.facts() | {"seen": judge.is_seen, "scores": found}


_worker: _Worker | None = None


def _start(plan: Plan) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    torch.set_num_threads(1)
    _worker = _Worker(plan)


def _do(task: Task) -> tuple[Task, ImoError | None]:
    if _worker is None:
        raise RuntimeError("this process was not started by run_tasks")
    return task, _worker.try_to(task)


def read_results(folder: Path, sort: str) -> list[dict[str, Any]]:
    """Read the results of one sort of work, in the order of their names.

    Raises:
        ImoError: a damaged file.
    """
    records = []
    for path in sorted(folder.glob(f"{sort}-*.json")):
        try:
            records.append(json.loads(path.read_text()))
        except (OSError, json.JSONDecodeError) as error:
            raise ImoError(f"{path}: damaged: {error}; delete it to have it made again") from None
    return records


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file of JSON at once or not at all.

    Raises:
        ImoError: the disk refuses.
    """
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    try:
        write_atomically(path, lambda name: name.write_text(text))
    except OSError as error:
        raise ImoError(f"{path}: cannot be written: {error}") from None
