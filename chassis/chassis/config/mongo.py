"""The address of MongoDB: its form, and what production refuses. Only programs that have the driver import it."""

import warnings
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, SecretStr
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from chassis.config import production

_UNCHECKED = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")


def _mongo_uri(value: SecretStr) -> SecretStr:
    uri = value.get_secret_value().strip()
    try:
        scheme = urlsplit(uri).scheme
        # The hosts of the other form are asked for by DNS.
        if scheme == "mongodb":
            with warnings.catch_warnings(action="ignore"):
                parse_uri(uri, warn=True)
    except (PyMongoError, ValueError, OSError):
        # The driver's own sentence may quote a part of the password.
        raise ValueError(
            "should be mongodb://user:password@host:port/?options with user and password escaped as in a URL, "
            "and files that can be read"
        ) from None
    if scheme not in ("mongodb", "mongodb+srv"):
        raise ValueError("should begin with mongodb:// or mongodb+srv://")
    return SecretStr(uri)


MongoUri = Annotated[SecretStr, AfterValidator(_mongo_uri)]


def refusals(uri: SecretStr) -> Iterator[tuple[str, str]]:
    """Yield the weak password in a MONGO_URI."""
    password = urlsplit(uri.get_secret_value()).password
    if password is not None and (problem := production.secret_problem(unquote(password))):
        yield "mongo_uri", f"its password {problem}"


def plaintext(uri: SecretStr) -> Iterator[tuple[str, str]]:
    """Yield a MONGO_URI that leaves MongoDB without TLS, or without a check of certificate and name."""
    if not _has_tls(uri.get_secret_value()):
        yield "mongo_uri", "must have tls=true and check certificates"


def _has_tls(uri: str) -> bool:
    parts = urlsplit(uri)
    options = {name.lower(): value.lower() for name, value in parse_qsl(parts.query)}
    tls = options.get("tls", options.get("ssl", "true" if parts.scheme == "mongodb+srv" else "false"))
    return tls == "true" and not any(options.get(name) == "true" for name in _UNCHECKED)
