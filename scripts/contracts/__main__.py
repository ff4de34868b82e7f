"""The event contract's command: `python -m contracts write` and `python -m contracts check`."""

from pathlib import Path
from typing import Annotated

import typer

from contracts import files
from contracts.saga import Disagreement
from contracts.validity import invalid

app = typer.Typer(
    help="The event contract: schemas, AsyncAPI document, saga, compatibility.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Root = Annotated[Path, typer.Option(help="The checkout to read and write.")]

_MAX_LINES = 60
_ADVICE = "Fields are only added. A change that breaks a reader goes to a new topic, beside the old one."


def _refuse(lines: list[str], advice: str) -> None:
    """Print the lines and the advice and exit with 1, if there are lines."""
    if not lines:
        return
    more = [f"... and {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
    typer.echo("\n".join([*lines[:_MAX_LINES], *more, advice]), err=True)
    raise typer.Exit(1)


def _generated(root: Path) -> dict[Path, str]:
    """Return the files as they should be, unless the models break a reader or a file cannot be written."""
    _refuse(files.broken(root), _ADVICE)
    try:
        generated = files.generated(root)
    except Disagreement as error:
        _refuse([str(error)], "docs/saga.md cannot be written: code and contract disagree.")
        raise
    _refuse(invalid(files.asyncapi(generated[files.ASYNCAPI])), "The AsyncAPI document would be invalid.")
    return generated


@app.command()
def write(root: Root = files.ROOT) -> None:
    """Write the schemas, the AsyncAPI document and docs/saga.md, unless a change would break a reader."""
    generated = _generated(root)
    changed = files.differences(root, generated)
    files.write(root, generated)
    typer.echo("Written." if changed else "All files were current.")


@app.command()
def check(root: Root = files.ROOT) -> None:
    """Check that the files are current and that no reader breaks; otherwise print the reasons and exit with 1."""
    _refuse(files.differences(root, _generated(root)), "The files are not current: python -m contracts write")
    typer.echo("The event contract is current and breaks no reader.")


if __name__ == "__main__":
    app()
