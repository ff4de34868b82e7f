"""Pages from templates, with the headers that forbid code and framing, and the files that they load."""

from datetime import datetime
from functools import cache
from pathlib import Path

from fastapi import HTTPException, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE = Path(__file__).parent.parent
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
_TYPES = {".css": "text/css; charset=utf-8"}


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["clock"] = _clock
    return environment


def _clock(time: datetime | None) -> str:
    return f"{time:%H:%M:%S}.{time.microsecond // 1000:03}" if time else "-"


def page(name: str, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(_templates().get_template(name).render(values), status, headers=_HEADERS)


def file(name: str) -> Response:
    """Give a file of the folder `static`. Raises HTTPException 404 for any other."""
    files = _files()
    if name not in files:
        raise HTTPException(404)
    return Response(files[name], media_type=_TYPES[Path(name).suffix], headers={"Cache-Control": "max-age=3600"})


@cache
def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (_HERE / "static").iterdir() if path.suffix in _TYPES}
