"""The OpenAPI documents' command: `python -m openapi write` and `python -m openapi check`."""

from pathlib import Path
from typing import Annotated

import typer

from openapi import documents

app = typer.Typer(
    help="The OpenAPI documents in docs/openapi/.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Root = Annotated[Path, typer.Option(help="The checkout whose files are meant.")]

_MAX_LINES = 60


@app.command()
def write(root: Root = documents.ROOT) -> None:
    """Make the documents from the services' applications."""
    made = documents.wanted()
    changed = documents.differences(root, made)
    documents.write(root, made)
    typer.echo("Written." if changed else "All files were current.")


@app.command()
def check(root: Root = documents.ROOT) -> None:
    """Tell whether the documents are current; ends with 1 and shows what differs otherwise."""
    lines = documents.differences(root, documents.wanted())
    if lines:
        more = [f"... and {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
        typer.echo(
            "\n".join([*lines[:_MAX_LINES], *more, "The files are not current: python -m openapi write"]), err=True
        )
        raise typer.Exit(1)
    typer.echo("The OpenAPI documents are current.")


if __name__ == "__main__":
    app()
