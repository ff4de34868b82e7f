"""The command of docs/telemetry.yaml: `python -m telemetry write` and `python -m telemetry check`."""

from pathlib import Path
from typing import Annotated

import typer

from telemetry import document

app = typer.Typer(
    help="The list of metrics in docs/telemetry.yaml.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Root = Annotated[Path, typer.Option(help="The checkout to read and write.")]

_MAX_LINES = 60


@app.command()
def write(root: Root = document.ROOT) -> None:
    """Write the file from the services' registries."""
    generated = document.text()
    changed = document.differences(root, generated)
    (root / document.PATH).write_text(generated, "utf-8")
    typer.echo("Written." if changed else "The file was current.")


@app.command()
def check(root: Root = document.ROOT) -> None:
    """Check that the file is current; otherwise print the differences and exit with 1."""
    if lines := document.differences(root, document.text()):
        typer.echo("\n".join([*lines[:_MAX_LINES], "Not current: python -m telemetry write"]), err=True)
        raise typer.Exit(1)
    typer.echo("docs/telemetry.yaml is current.")


if __name__ == "__main__":
    app()
