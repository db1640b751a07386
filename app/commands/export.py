"""``imo export``: one explained target as a file that shows it in any browser, without a server and a network."""

from pathlib import Path
from typing import Any

import click

from imo_engine.commands.explain import explain_options, explain_target
from imo_engine.commands.options import check_output
from imo_engine.errors import ImoError
from imo_engine.system.files import write_atomically

__all__ = ["export"]


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Page to write (.html).")
@click.option("--dark", is_flag=True, help="Dark colours.")
@explain_options
def export(file: Path, output: Path, dark: bool, **options: Any) -> None:  # noqa: ANN401 - those of explain_target
    """Explain one target of FILE and write a page that shows it without a server and without a network."""
    import numpy as np

    from app.exports.standalone import StandaloneObject, standalone_html
    from app.findings.reasons import Reasons
    from app.survey.survey import Survey
    from imo_engine.bundle.engine import Engine

    check_output(output)
    found = explain_target(file, **options)
    log_prob = np.array([found.attribution.provenance["log_prob"]])
    engine = Engine(lambda: (found.model, found.pool), null=lambda model: found.null)
    survey = Survey("", found.spectrum, log_prob, np.ones(1, np.int64), 1, False, engine)
    shown = StandaloneObject(
        spectrum=found.spectrum,
        attribution=found.attribution,
        reason=Reasons().of(survey, str(found.spectrum.target_id[0]), found.attribution),
        facts=(("−log p", f"{-log_prob[0]:.1f}"),),
    )
    text = standalone_html(shown, dark=dark)
    try:
        write_atomically(output, lambda path: path.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise ImoError(f"{output}: cannot be written: {error}") from None
    click.echo(f"{output}: {len(text.encode()) / 1e6:.1f} MB; opens in any browser")
