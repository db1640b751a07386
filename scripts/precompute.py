"""Make the results that ship with the demo survey: python scripts/precompute.py [OUTPUT].

To be run again whenever the embedded model, baselines or spectra, the algorithm or what is said of a feature changes.
"""

import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.computing.computation import Inputs, explain  # noqa: E402 - the checkout that this script belongs to
from app.computing.events import Settings  # noqa: E402
from app.computing.result_cache import ResultCache  # noqa: E402
from app.findings.findings import Finding  # noqa: E402
from app.findings.precomputed import DEMO_RESULTS, Result, write_results  # noqa: E402
from app.survey.survey import demo_survey  # noqa: E402
from imo_engine.reasons.features import find_features  # noqa: E402
from imo_engine.reasons.sentences import in_brief  # noqa: E402
from imo_engine.reasons.significance import significance_or_why  # noqa: E402
from imo_engine.reasons.twin import compare  # noqa: E402


@click.command()
@click.argument("output", type=click.Path(path_type=Path), default=ROOT / "data" / DEMO_RESULTS)
@click.option(
    "--lowest", default=200, show_default=True, help="For how many of the lowest ranks to say what stands out."
)
@click.option("--keep", default=60, show_default=True, help="Of how many of these to keep the attribution.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder of attributions that are known already.")
@click.option("--device", default="cpu", show_default=True)
def main(output: Path, lowest: int, keep: int, cache: Path | None, device: str) -> None:
    """Explain the targets with the LOWEST ranks and write what was found to OUTPUT."""
    survey, settings, store = demo_survey(device=device), Settings(), ResultCache(cache)
    spectra = survey.spectra
    rows = [row for row in survey.order()[:lowest] if not spectra.problem[row]]
    (model, pool), null = survey.engine.get(), survey.engine.null()
    results = []
    with click.progressbar(rows) as bar:
        for number, row in enumerate(bar):
            target = str(spectra.target_id[row])
            inputs = Inputs.of(survey, target, settings)
            key = inputs.digest()
            attribution = store.get(key)
            if attribution is None:
                attribution = explain(inputs, lambda event: None, lambda: False)
                store.put(key, attribution)
            known, _ = significance_or_why(attribution, null)
            comparison = compare(model, spectra[[row]], pool.latents, null)
            found = find_features(attribution, comparison, significance=known)
            brief, instrument = in_brief(found), str(spectra.instrument[row])
            finding = Finding.of(attribution, found.features or found.likely, brief, instrument)
            results.append(Result(target, key, finding, attribution if number < keep else None))
    write_results(output, results, settings, model.fingerprint)
    click.echo(
        f"{output}: {len(results)} targets, {min(keep, len(results))} attributions, {output.stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    main()
