"""`python -m observability write` and `python -m observability check`."""

from pathlib import Path
from typing import Annotated

import typer

from observability import generated
from observability.rules import ROOT

app = typer.Typer(
    help="The alerts of the objectives, the table of alerts, the dashboards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Root = Annotated[Path, typer.Option(help="The checkout to read and write.")]

_MAX_LINES = 60


@app.command()
def write(root: Root = ROOT) -> None:
    """Write the generated files."""
    changed = generated.write(root)
    typer.echo("\n".join(f"Written: {path}" for path in changed) or "All files were current.")


@app.command()
def check(root: Root = ROOT) -> None:
    """Check that the generated files are current; otherwise print the differences and exit with 1."""
    if lines := list(generated.differences(root)):
        typer.echo("\n".join([*lines[:_MAX_LINES], "Not current: python -m observability write"]), err=True)
        raise typer.Exit(1)
    typer.echo("Alerts and dashboards are current.")


if __name__ == "__main__":
    app()
