"""``imo evaluate repair``: are injected outliers repaired by replacing what was done to them, and nothing else?"""

import json
from pathlib import Path

import click

from imo_engine.commands.options import check_output, integers
from imo_engine.errors import ImoError
from imo_engine.system.files import write_atomically

__all__ = ["evaluate_repair"]


@click.command(name="repair")
@click.option(
    "--survey",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of imo simulate.",
)
@click.option("--model", type=click.Path(path_type=Path), help="Model file; by default the embedded one.")
@click.option("--quantile", default=0.1, show_default=True, help="Of ordinary spectra, whose log p is to be reached.")
@click.option("--odd", default=0.03, show_default=True, help="Only outliers below this quantile are repaired.")
@click.option("--per-kind", default=4, show_default=True, type=click.IntRange(1), help="Outliers of a kind, at most.")
@click.option(
    "--windows", default="4,16,64,256", show_default=True, callback=integers, help="Of the attribution, pixels."
)
@click.option("--which", type=click.Choice(["nearest", "random"]), default="nearest", show_default=True)
@click.option("--fill", type=click.Choice(["plain", "level"]), default="plain", show_default=True)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of all draws.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Every single repair, as JSON.")
@click.option("--device", default="auto", show_default=True)
def evaluate_repair(
    survey: Path,
    model: Path | None,
    quantile: float,
    odd: float,
    per_kind: int,
    windows: tuple[int, ...],
    which: str,
    fill: str,
    seed: int,
    output: Path | None,
    device: str,
) -> None:
    """Repair the injected outliers of a simulated survey and compare with what was done to them.

    Prints one row a kind: how many were repaired, by how many regions and pixels (medians), which share of those
    pixels lies in the truth mask (and would by chance), and how often random regions of the same widths do it too.
    """
    from imo_engine.bundle.loading import load_model
    from imo_engine.evaluation import repairs
    from imo_engine.ranking.baselines import BaselinePool
    from imo_engine.ranking.reference import ordinary_log_prob
    from imo_engine.system.embedded import model_or_embedded

    if output is not None:
        check_output(output)
    network = load_model(model, None, None, device)
    file = model_or_embedded(model)
    pool = BaselinePool.load(file.with_name("baselines.safetensors"), network)
    target, below = (ordinary_log_prob(network, pool, quantile=q, model_file=file) for q in (quantile, odd))
    with click.progressbar(length=100, label=network.device_name, show_eta=True) as bar:
        found = repairs.evaluate_repair(
            network, pool, survey, target=target, below=below, per_kind=per_kind, windows=windows, which=which,
            fill=fill, seed=seed, on_each=lambda done, total: bar.update(100 * done // total - bar.pos),
        )  # fmt: skip
    click.echo(f"{which} baselines, {fill} fill: from log p below {below:.2f} to {target:.2f} or more")
    table = repairs.repair_table(found)
    for number, row in enumerate(table):
        click.echo(f"| {' | '.join(row)} |")
        if number == 0:
            click.echo("|" + "---|" * len(row))
    if output is not None:
        text = json.dumps([one.to_dict() for one in found], indent=1)
        try:
            write_atomically(output, lambda path: path.write_text(text, encoding="utf-8"))
        except OSError as error:
            raise ImoError(f"{output}: cannot be written: {error}") from None
        click.echo(f"{output}: {len(found)} repairs")
