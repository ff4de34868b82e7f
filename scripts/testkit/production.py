"""An environment with which a service starts in production: strong secrets, and either TLS or leave to do without."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testkit.certificates import Certificates

SECRETS: Mapping[str, str] = {
    name: f"{name}: a secret of production, 0123456789"
    for name in (
        "DB_PASSWORD",
        "REDIS_PASSWORD",
        "JWT_SECRET",
        "GRPC_CREDENTIALS",
        "XENDIT_SECRET_API_KEY",
        "XENDIT_WEBHOOK_TOKEN",
        "ADMIN_PASSWORD",
    )
}
PLAINTEXT: Mapping[str, str] = {
    "ENVIRONMENT": "production",
    "ALLOW_PLAINTEXT": "true",
    "MONGO_URI": "mongodb://audit.example.com",
    **SECRETS,
}
"""Everything that production requires, on a network that needs no TLS."""


def with_tls(certificates: "Certificates") -> dict[str, str]:
    """Return everything that production requires, with TLS on each connection."""
    return {
        **SECRETS,
        "ENVIRONMENT": "production",
        "DB_SSLMODE": "verify-full",
        "DB_SSLROOTCERT": certificates.ca,
        "REDIS_TLS": "true",
        "REDIS_CAFILE": certificates.ca,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "shop",
        "KAFKA_SASL_PASSWORD": "a secret of production, 0123456789",
        "KAFKA_SSL_CAFILE": certificates.ca,
        "GRPC_TLS_CERT": certificates.cert,
        "GRPC_TLS_KEY": certificates.key,
        "GRPC_TLS_CA": certificates.ca,
        "MONGO_URI": "mongodb://audit.example.com/?tls=true",
        **{f"{name}_HOST": f"https://{name.lower()}.example.com" for name in ("USER", "PRODUCT", "ORDER", "PAYMENT")},
    }
