"""``imo benchmark``: speed, memory and accuracy of the engine on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imo_engine.commands.options import check_output, integers
from imo_engine.system.embedded import model_or_embedded

if TYPE_CHECKING:
    from imo_engine.benchmark.ways import WayTiming

__all__ = ["benchmark"]


@click.command()
@click.option("--model", type=click.Path(path_type=Path), help="Model file; by default the embedded one.")
@click.option("--published-architecture", is_flag=True, help="Widths of the published models, random weights, instead.")
@click.option("--n-baselines", default=8, show_default=True, type=click.IntRange(2))
@click.option("--windows", default="1,4,16,64,256", show_default=True, callback=integers, help="Window sizes, pixels.")
@click.option("--growth/--no-growth", default=True, show_default=True, help="Also scale baselines, windows and pixels.")
@click.option(
    "--compare/--no-compare", default=True, show_default=True, help="Also time the plain algorithm and Captum."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write everything as JSON.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def benchmark(
    model: Path | None,
    published_architecture: bool,
    n_baselines: int,
    windows: tuple[int, ...],
    growth: bool,
    compare: bool,
    output: Path | None,
    device: str,
) -> None:
    """Measure the engine: each way to the attribution of one spectrum, its accuracy, and how cost grows.

    Each row is a process of its own, so that its peak of memory is its own; Python and torch are part of it. Ways that
    would take minutes are timed on some chunks of each window size; the table marks them with ~. The plain algorithm is
    timed before and after each other way, and "x plain" compares with the mean of these two times, because a shared
    machine may be twice as fast a minute later. Errors are relative to a window's largest value of the float64 result.
    """
    import json

    import numpy as np

    from imo_engine.attribution.evaluators.base import Replacement
    from imo_engine.benchmark.growth import agreement, growth_rows, probe_seconds, scoring_rates
    from imo_engine.benchmark.machine import describe_machine, matrix_rate
    from imo_engine.benchmark.precision import ALLOWED_ERROR, precision_errors
    from imo_engine.benchmark.process import Subject, alone, beside_plain, measure
    from imo_engine.benchmark.ways import example_spectra
    from imo_engine.errors import InputError

    if output is not None:
        check_output(output)
    if published_architecture and model is not None:
        raise InputError("--model and --published-architecture exclude each other")
    chosen = None if published_architecture else str(model_or_embedded(model))
    what = Subject(chosen, device)
    subject = what.load()
    machine = describe_machine(subject.device)
    rate = matrix_rate(subject.device)
    click.echo(", ".join(f"{name} {value}" for name, value in machine.items()))
    click.echo(f"model: {subject.name}; products of matrices: {rate / 1e9:.0f} GFLOP/s")

    n_pixel = len(subject.wavelength)
    base, flux = example_spectra(n_pixel, n_baselines)
    local = subject.encoder.config.normalisation == "none"
    names = ["exact"] if local else ["local_update", "exact", "frozen_statistics"]
    if compare:
        measured = beside_plain(what, [*names, "captum"], n_baselines, windows)
        names += ["captum", "one at a time"]
    else:
        measured = (alone(measure, what, name, n_baselines, windows) for name in names)
    ways, values = [], {}
    for name, (way, found) in zip(names, measured, strict=True):
        ways.append(way)
        values[name] = found
        click.echo(f"  {way.way}: {way.seconds:.2f} s")
    _print_ways(ways, rate)
    result: dict[str, Any] = {
        "machine": machine,
        "model": subject.name,
        "matrix_rate": rate,
        "n_baselines": n_baselines,
    }
    result["ways"] = [way.as_dict() for way in ways]
    if "local_update" in values:
        result["agreement"] = agreement(values["local_update"], values["exact"])
        click.echo("local updates beside exact values, means over baselines, largest difference and rank correlation:")
        click.echo(", ".join(f"W = {w}: {d:.1e}, {r:.4f}" for w, (d, r) in result["agreement"].items()))
    replacement = Replacement.of(subject, base, flux, np.ones(n_pixel, bool))
    result["precision"] = precision_errors(replacement, windows, values["exact"])
    for name, errors in result["precision"].items():
        worst = max(errors.values())
        verdict = "refused" if worst > ALLOWED_ERROR else "would do, but is not used"
        click.echo(f"{name}: largest error {worst:.1e}, allowed {ALLOWED_ERROR:.0e}: {verdict}")
    result["probe_seconds"] = probe_seconds(subject, base, flux)
    click.echo(f"probe of one range, {n_baselines} baselines, both ways: {1e3 * result['probe_seconds']:.0f} ms")
    result["scoring"] = scoring_rates(subject)
    click.echo("scoring: " + ", ".join(f"{name} {value:.1f} spectra/s" for name, value in result["scoring"].items()))
    if growth:
        result["growth"] = growth_rows(what, n_pixel, windows, n_baselines)
        click.echo(_table(["pixels", "baselines", "windows", "evaluations", "s", "peak MB"], result["growth"]))
    if output is not None:
        from imo_engine.system.files import write_atomically

        text = json.dumps(result, indent=1) + "\n"
        write_atomically(output, lambda name: name.write_text(text, encoding="utf-8"))
        click.echo(f"{output}: written")


def _print_ways(ways: "list[WayTiming]", rate: float) -> None:
    captum = next((way.gain for way in ways if way.way.startswith("Captum")), float("nan"))
    rows = [
        [
            way.way,
            f"{way.evaluations:,}",
            f"{'~' if way.extrapolated else ''}{way.seconds:.2f}",
            f"{'~' if way.extrapolated else ''}{way.first_window:.2f}",
            f"{way.gain:.1f}",
            f"{way.gain / captum:.1f}",
            f"{way.operations / 1e9:,.0f}",
            f"{100 * way.operations / way.seconds / rate:.0f}",
            f"{way.peak_bytes / 2**20:.0f}",
            f"{max(way.error.values()):.1e}" if way.error else "",
        ]
        for way in ways
    ]
    head = [
        "way",
        "evaluations",
        "s",
        "first window s",
        "x plain",
        "x Captum",
        "GFLOP",
        "% of rate",
        "peak MB",
        "error",
    ]
    click.echo(_table(head, rows))
    for way in ways:
        if way.error:
            click.echo(f"{way.way}, error by window size: " + ", ".join(f"{w}: {e:.1e}" for w, e in way.error.items()))
        if way.detail:
            click.echo(f"{way.way}, error claimed by its own checks: {way.detail}")


def _table(head: list[str], rows: list[list[Any]]) -> str:
    text = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[k]) for row in text) for k in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if k else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in text
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)
