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
Root = Annotated[Path, typer.Option(help="The checkout to read and write.")]

_MAX_LINES = 60


@app.command()
def write(root: Root = documents.ROOT) -> None:
    """Write the documents from the services' applications."""
    generated = documents.generated()
    changed = documents.differences(root, generated)
    documents.write(root, generated)
    typer.echo("Written." if changed else "All files were current.")


@app.command()
def check(root: Root = documents.ROOT) -> None:
    """Check that the documents are current; otherwise print the differences and exit with 1."""
    lines = documents.differences(root, documents.generated())
    if lines:
        more = [f"... and {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
        typer.echo(
            "\n".join([*lines[:_MAX_LINES], *more, "The files are not current: python -m openapi write"]), err=True
        )
        raise typer.Exit(1)
    typer.echo("The OpenAPI documents are current.")


if __name__ == "__main__":
    app()
