"""How a connection to PostgreSQL is encrypted."""

import ssl
from typing import Literal

from chassis.config.connections import DatabaseTlsSettings


def tls(settings: DatabaseTlsSettings) -> ssl.SSLContext | Literal["disable", "prefer"]:
    """Return asyncpg's argument `ssl`. `require` checks a certificate only where DB_SSLROOTCERT is set, as in libpq."""
    mode = settings.db_sslmode
    if mode == "disable" or mode == "prefer":
        return mode
    context = ssl.create_default_context(cafile=settings.db_sslrootcert)
    context.check_hostname = mode == "verify-full"
    if mode == "require" and settings.db_sslrootcert is None:
        context.verify_mode = ssl.CERT_NONE
    return context
