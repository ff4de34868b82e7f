"""The client address that limits count by: the peer, or the last hop that is no trusted proxy."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi import Request

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
# Providers give each customer a /64, within which the customer chooses addresses freely.
IPV6_PREFIX = 64
# The widest network that one customer commonly gets.
IPV6_SITE_PREFIX = 48


def client_address(request: Request, trusted: Sequence[Network]) -> str:
    """Return the client's address (for IPv6 its /64), "unknown" without one.

    `X-Forwarded-For` is read from its end, and only as long as each hop is a trusted proxy.
    """
    return _subject(*_client(request, trusted), IPV6_PREFIX)


def client_site(request: Request, trusted: Sequence[Network]) -> str:
    """Return as `client_address`, for IPv6 the /48: a customer may have as many /64 as fit into it."""
    return _subject(*_client(request, trusted), IPV6_SITE_PREFIX)


def peer_address(peer: str) -> str:
    """Return the address of a socket's peer in the form of `client_address`."""
    return _subject(_parse(peer), peer, IPV6_PREFIX)


def _client(request: Request, trusted: Sequence[Network]) -> tuple[Address | None, str]:
    peer = request.client.host if request.client else ""
    hops = [hop for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    address = _parse(peer)
    while address is not None and hops and any(address in network for network in trusted):
        previous = _parse(_without_port(hops.pop().strip()))
        if previous is None:
            break
        address = previous
    return address, peer


def _subject(address: Address | None, peer: str, prefix: int) -> str:
    if address is None:
        return peer or "unknown"
    return str(ip_network((address, prefix), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _without_port(hop: str) -> str:
    """Return the address of `192.0.2.1:4711`, `[2001:db8::1]:4711` or `[2001:db8::1]`; anything else unchanged."""
    if hop.startswith("["):
        address, _, port = hop[1:].partition("]")
        return address if port == "" or (port[:1] == ":" and port[1:].isdigit()) else hop
    address, _, port = hop.partition(":")
    return address if port.isdigit() and "." in address else hop


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
