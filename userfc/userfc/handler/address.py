"""The client address that rate limits count by: the peer, or the last hop that is no trusted proxy."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi import Request

Network = IPv4Network | IPv6Network
# Providers give each customer a /64, within which the customer chooses addresses freely.
IPV6_PREFIX = 64


def client_address(request: Request, trusted: Sequence[Network]) -> str:
    """Return the client's address (for IPv6 its /64), "unknown" without one.

    `X-Forwarded-For` is read from its end, and only as long as each hop is a trusted proxy.
    """
    peer = request.client.host if request.client else ""
    hops = [hop for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    address = _parse(peer)
    while address is not None and hops and any(address in network for network in trusted):
        previous = _parse(hops.pop())
        if previous is None:
            break
        address = previous
    if address is None:
        return peer or "unknown"
    return str(ip_network((address, IPV6_PREFIX), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
