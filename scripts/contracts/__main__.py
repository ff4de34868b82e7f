"""The event contract's command: `python -m contracts write` and `python -m contracts check`."""

from pathlib import Path
from typing import Annotated

import typer

from contracts import files
from contracts.validity import invalid

app = typer.Typer(help="The event contract: schemas, AsyncAPI document, compatibility.", no_args_is_help=True,
                  add_completion=False, pretty_exceptions_enable=False)  # fmt: skip
Root = Annotated[Path, typer.Option(help="The checkout whose files are meant.")]

_MAX_LINES = 60
_ADVICE = "Fields are only ever added. A change that breaks somebody is published on a new topic, beside the old one."


def _refuse(lines: list[str], advice: str) -> None:
    """Print what is wrong and end with 1, if anything is."""
    if not lines:
        return
    more = [f"... and {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
    typer.echo("\n".join([*lines[:_MAX_LINES], *more, advice]), err=True)
    raise typer.Exit(1)


def _made(root: Path) -> dict[Path, str]:
    """Make the files, unless the models break somebody or the document would be invalid."""
    _refuse(files.broken(root), _ADVICE)
    made = files.wanted(root)
    _refuse(invalid(files.asyncapi(made[files.ASYNCAPI])), "This would be no valid AsyncAPI document.")
    return made


@app.command()
def write(root: Root = files.ROOT) -> None:
    """Make the schemas and the AsyncAPI document from the event models, unless that would break somebody."""
    made = _made(root)
    changed = files.differences(root, made)
    files.write(root, made)
    typer.echo("Written." if changed else "All files were current.")


@app.command()
def check(root: Root = files.ROOT) -> None:
    """Tell whether the files are current and nobody is broken; ends with 1 and says what is wrong otherwise."""
    _refuse(files.differences(root, _made(root)), "The files are not current: python -m contracts write")
    typer.echo("The event contract is current and breaks nobody.")


if __name__ == "__main__":
    app()
