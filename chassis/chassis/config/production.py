"""What production refuses: published and weak secrets, addresses inside the own network, proxies that are anybody."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

DEVELOPMENT = "is the development default, which production refuses"
MIN_BYTES = 16
MIN_DIFFERENT = 10

# Every secret that a file of this project shows, now or in an earlier version.
PUBLISHED = frozenset(
    {
        "admin",
        "admin12345",
        "customer123",
        "development-kafka-password",
        "development-jwt-secret-change-me-0123456789",
        "development-grpc-credentials",
        "development-webhook-token",
        "development-root-token",
        "development-secret-id",
        "development-secret-id-console",
        "development-secret-id-orderfc",
        "development-secret-id-paymentfc",
        "development-secret-id-productfc",
        "development-secret-id-userfc",
        "xnd_development_local",
    }
)
# A published value of this length is refused as a part of a secret too: a suffix does not make it secret.
MIN_PART = 10

_MAPPED = IPv6Network("::ffff:0:0/96")
_UNIQUE_LOCAL = IPv6Network("fc00::/7")
# Names that no public resolver answers.
_INSIDE = (".localhost", ".local", ".internal", ".lan", ".intranet", ".home.arpa", ".test", ".invalid")


def secret_problem(secret: str, min_bytes: int = MIN_BYTES) -> str | None:
    """Say why production refuses a secret, or return None. Blanks around it do not count."""
    bare = secret.strip()
    if bare.casefold() in PUBLISHED:
        return DEVELOPMENT
    if any(part in bare.casefold() for part in PUBLISHED if len(part) >= MIN_PART):
        return "contains the development default, which production refuses"
    if len(bare.encode()) < min_bytes:
        return f"must be at least {min_bytes} bytes long in production"
    if len(set(bare)) < MIN_DIFFERENT:
        return f"must have at least {MIN_DIFFERENT} different characters in production"
    return None


def gateway_problem(url: str) -> str | None:
    """Say why production refuses the address of a gateway on the internet, or return None.

    Names are not resolved: a public name that leads to a private address is not found out here.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "should be a URL"
    if parts.scheme != "https":
        return "must begin with https:// in production"
    host = (parts.hostname or "").rstrip(".")
    if not _is_public(host):
        return f"{host} is not a public address, which production refuses"
    return None


def _is_public(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        try:
            # The resolver takes 127.1, 0x7f000001 and 2130706433 for 127.0.0.1.
            address = ip_address(socket.inet_aton(host))
        except (OSError, ValueError):
            return "." in host and not f".{host.lower()}".endswith(_INSIDE)
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner.is_global and not inner.is_multicast


def proxies_problem(networks: Iterable[IPv4Network | IPv6Network]) -> str | None:
    """Say why production refuses these networks of trusted proxies, or return None."""
    for network in networks:
        if _is_wide(network):
            return f"{network} trusts everybody's X-Forwarded-For, which production refuses"
    return None


def _is_wide(network: IPv4Network | IPv6Network) -> bool:
    """Whether a network is too large to be a proxy's own: a /7 of public addresses or larger."""
    if isinstance(network, IPv4Network):
        return network.prefixlen < 8
    if network.subnet_of(_MAPPED):
        return network.prefixlen < _MAPPED.prefixlen + 8
    return network.prefixlen < 16 and not network.subnet_of(_UNIQUE_LOCAL)
