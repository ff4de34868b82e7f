"""The files that pages load. Their addresses carry a hash of the content, so that a browser keeps them for a year."""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import HTTPException, Request, Response

from chassis.http.routing import Router

router = Router(include_in_schema=False)

_STATIC = Path(__file__).parent.parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
# The scripts that make a page live, sent as one file.
LIVE_SCRIPTS = ("htmx.min.js", "hx-sse.min.js", "console.js", "session.js")
# Without the hash in the address, a browser asks again after an hour.
_BRIEFLY = {"Cache-Control": "max-age=3600", "Vary": "Accept-Encoding"}


@dataclass(frozen=True, slots=True)
class _File:
    media_type: str
    plain: bytes
    packed: bytes
    digest: str


@cache
def _files() -> dict[str, _File]:
    """Read all files of the folder `static`; those of libraries, in `vendor`, by their name as well."""
    paths = {path.name: path for path in sorted(_STATIC.rglob("*")) if path.suffix in _TYPES}
    found = {name: _file(path.suffix, path.read_bytes()) for name, path in paths.items()}
    if all(name in paths for name in LIVE_SCRIPTS):
        content = b"\n".join(paths[name].read_bytes() for name in LIVE_SCRIPTS)
        found["live.js"] = _file(".js", content)
    return found


def _file(suffix: str, content: bytes) -> _File:
    digest = sha256(content).hexdigest()[:12]
    return _File(_TYPES[suffix], content, gzip.compress(content, 9, mtime=0), digest)


def exists(name: str) -> bool:
    """Say whether there is a file of this name; the libraries are missing where `make setup` found no Node."""
    return name in _files()


def address(name: str) -> str:
    """Return where a page finds a file. Raises KeyError for one that does not exist."""
    return f"/static/{name}?v={_files()[name].digest}"


@router.get("/static/{name}")
async def static(request: Request, name: str, v: str = "") -> Response:
    """Give a file that the pages load."""
    file = _files().get(name)
    if file is None:
        raise HTTPException(404)
    headers = dict(_KEPT if v == file.digest else _BRIEFLY)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.plain, media_type=file.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(file.packed, media_type=file.media_type, headers=headers)
