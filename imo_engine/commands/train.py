"""``imo train``: an outlier model from a simulated library or from real spectra."""

from pathlib import Path

import click

__all__ = ["train"]


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the model."
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--latents", default=10, show_default=True, type=click.IntRange(4, 32))
@click.option("--widths", default="32,64,128", show_default=True, help="Channels of the three convolutions.")
@click.option(
    "--normalisation",
    default="none",
    show_default=True,
    type=click.Choice(["none", "instance"]),
    help="Of the convolutions: none keeps them local, instance is spender's.",
)
@click.option("--batch", default=64, show_default=True, type=click.IntRange(2))
@click.option("--teacher-steps", default=1600, show_default=True, type=click.IntRange(1), help="Simulation only.")
@click.option("--encoder-steps", default=1500, show_default=True, type=click.IntRange(0), help="Simulation only.")
@click.option("--joint-steps", default=400, show_default=True, type=click.IntRange(0), help="Spender's three losses.")
@click.option("--refine-steps", default=0, show_default=True, type=click.IntRange(0), help="Simulation only.")
@click.option("--refine-cycles", default=1, show_default=True, type=click.IntRange(0), help="Simulation only.")
@click.option(
    "--draws", default=6, show_default=True, type=click.IntRange(1), help="Noisy draws of a galaxy for the flow."
)
@click.option("--flow-seed", type=click.IntRange(0), help="Of the flow's weights and batches; by default --seed.")
@click.option("--epochs", default=60, show_default=True, type=click.IntRange(1), help="Of the flow, at most.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def train(
    source: Path,
    output: Path,
    seed: int,
    latents: int,
    widths: str,
    normalisation: str,
    batch: int,
    teacher_steps: int,
    encoder_steps: int,
    joint_steps: int,
    refine_steps: int,
    refine_cycles: int,
    draws: int,
    flow_seed: int | None,
    epochs: int,
    device: str,
) -> None:
    """Train a model on SOURCE; run it again to continue after an interruption.

    SOURCE is a folder that imo simulate made (library-*.npz: warm start from noiseless galaxies, then joint losses), a
    folder of spender's Parquet shards, or a folder of DESI coadds or SDSS spectra (joint losses from scratch: give more
    --joint-steps). OUTPUT receives model.safetensors with model.json, baselines.safetensors, reference.safetensors
    (log p of validation spectra), report.html, and checkpoint.safetensors while it runs.
    """
    from imo_engine.commands.options import integers
    from imo_engine.errors import InputError
    from imo_engine.results.report import line_plot, write_report
    from imo_engine.training.assembly import assemble, write_reference
    from imo_engine.training.sources import read_source
    from imo_engine.training.trainer import TrainConfig, train_autoencoder
    from imo_engine.training.validation import validate

    channels = integers(click.get_current_context(), click.Option(["--widths"]), widths)
    if channels is None or len(channels) != 3 or min(channels) < 2 or channels[2] % 2:
        raise InputError(f"--widths is {widths!r}; expected three numbers of channels, the last one even")
    config = TrainConfig(
        seed=seed,
        n_latent=latents,
        conv_widths=(channels[0], channels[1], channels[2]),
        normalisation=normalisation,
        position_biases=normalisation == "none",
        batch=batch,
        teacher_steps=teacher_steps,
        encoder_steps=encoder_steps,
        joint_steps=joint_steps,
        refine_steps=refine_steps,
        refine_cycles=refine_cycles,
    )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot be made: {error}") from None
    data = read_source(source, seed=seed)
    method = (
        "warm start from noiseless galaxies, then joint losses"
        if data.library is not None
        else "joint losses from scratch (fidelity, similarity, consistency)"
    )
    click.echo(f"{data.description}: {method}")
    trained = train_autoencoder(data, config, output / "checkpoint.safetensors", device=device, progress=_show)
    provenance = {
        "name": f"IMO Explorer, {data.description}",
        "trained_on": data.description,
        "method": method,
        "redshift_range": data.redshift_range,
        "seed": seed,
        "flow_seed": seed if flow_seed is None else flow_seed,
        "steps": {
            "teacher": teacher_steps,
            "encoder": encoder_steps,
            "joint": joint_steps,
            "refine": refine_steps * refine_cycles,
        },
    }
    result = assemble(
        trained.encoder,
        trained.decoder,
        data,
        seed=seed,
        draws=draws,
        flow_seed=flow_seed,
        epochs=epochs,
        provenance=provenance,
        device=device,
        progress=lambda what, step, steps: _show(what, step, steps, float("nan")),
    )
    result.model.save(output / "model.safetensors")
    result.pool.save(output / "baselines.safetensors")
    write_reference(output / "reference.safetensors", result.reference, result.model)
    checks = validate(result.model, data, seed=seed)
    flow = {
        "training": list(enumerate(result.flow.training)),
        "validation": list(enumerate(result.flow.validation)),
    }
    plots = [
        line_plot({name: curve}, title=f"Loss, stage {name}", x_label="step", y_label="loss", log_y=True)
        for name, curve in trained.curves.items()
    ]
    plots.append(line_plot(flow, title="Flow", x_label="epoch", y_label="-log p, nats"))
    rows = [("check", "value"), *((name, f"{value:.4g}") for name, value in checks.items())]
    settings = [("setting", "value"), ("source", data.description), ("method", method), *vars(config).items()]
    write_report(output / "report.html", "Training report", {"Checks": rows, "Settings": settings}, plots)
    for name, value in checks.items():
        click.echo(f"{name}: {value:.4g}")
    click.echo(f"{output}/model.safetensors: {result.model.fingerprint}")


def _show(stage: str, step: int, steps: int, loss: float) -> None:
    """Rewrite one line of progress on a terminal; every hundredth step elsewhere."""
    import sys

    text = f"{stage}: {step}/{steps}" + ("" if loss != loss else f", loss {loss:.4f}")
    if sys.stderr.isatty():
        click.echo(f"\r{text:<60}", nl=step == steps, err=True)
    elif step % 100 == 0 or step == steps:
        click.echo(text, err=True)
