"""Who is calling, for rate limits: the peer, or what a trusted proxy says about the peer before it."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi import Request

Network = IPv4Network | IPv6Network
# What one customer of a provider gets: inside of it addresses are free to choose.
IPV6_PREFIX = 64


def client_address(request: Request, trusted: Sequence[Network]) -> str:
    """Give the client's address (for IPv6 its /64), "unknown" without one.

    `X-Forwarded-For` is read from its end, and only as far as every hop is a trusted proxy.
    """
    peer = request.client.host if request.client else ""
    hops = [hop for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    found = _parse(peer)
    while found is not None and hops and any(found in network for network in trusted):
        before = _parse(hops.pop())
        if before is None:
            break
        found = before
    if found is None:
        return peer or "unknown"
    return str(ip_network((found, IPV6_PREFIX), strict=False)) if isinstance(found, IPv6Address) else str(found)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; IPv4 inside IPv6 is IPv4. None for anything else."""
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
