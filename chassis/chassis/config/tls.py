"""The files of certificates and keys that settings name."""

import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _with_certificates(path: str) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        raise ValueError(f"should be a file of certificates in PEM format ({_reason(error)})") from None
    return path


def _readable(path: str) -> str:
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise ValueError(f"should be a readable file ({_reason(error)})") from None
    if b"-----BEGIN " not in content:
        raise ValueError("should be a file in PEM format")
    return path


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def verification(url: str) -> ssl.SSLContext | bool:
    """Return the argument `verify` of an HTTP client of one address: a context that trusts nobody for a plain one.

    The default reads all authorities that the system trusts, which takes 20 to 50 ms of a start.
    """
    return True if urlsplit(url).scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


CaFile = Annotated[str, AfterValidator(_with_certificates)]
"""A file of CA certificates."""
PemFile = Annotated[str, AfterValidator(_readable)]
"""A certificate with its chain, or a private key."""
