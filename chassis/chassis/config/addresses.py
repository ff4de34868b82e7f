"""The forms of the addresses that settings name."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

MAX_PORT = 65_535
_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/,\[\]]+):([0-9]{1,5})")


def _is_host_port(text: str) -> bool:
    found = _HOST_PORT.fullmatch(text)
    return found is not None and 1 <= int(found[1]) <= MAX_PORT


def _brokers(value: str) -> str:
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts or not all(map(_is_host_port, parts)):
        raise ValueError("should be host:port, or several of them with commas")
    return ",".join(parts)


def _host_port(value: str) -> str:
    if not _is_host_port(value.removeprefix("dns:///")):
        raise ValueError("should be host:port")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or re.search(r"\s", value):
        raise ValueError("should be an address such as https://host:port")
    return value


Brokers = Annotated[str, AfterValidator(_brokers)]
"""One or more `host:port`."""
HostPort = Annotated[str, AfterValidator(_host_port)]
Url = Annotated[str, AfterValidator(_url)]
"""An address of HTTP."""
