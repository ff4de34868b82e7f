"""The client address: X-Forwarded-For counts only when a trusted proxy has written it."""

from ipaddress import ip_network

import pytest
from fastapi import Request

from chassis.http.address import client_address, client_site

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8:1:2:3::4"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3::4", [], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:1, 10.2.3.4:2"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["[2001:db8:1:2:3::4]"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["198.51.100.1:port"], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::1]x"], "10.0.0.1"),
        ("testclient", ["198.51.100.1"], "testclient"),
        ("", ["198.51.100.1"], "unknown"),
    ],
)
def test_the_client_is_the_last_hop_that_no_trusted_proxy_is(peer: str, forwarded: list[str], address: str) -> None:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    request = Request({"type": "http", "headers": headers, "client": (peer, 1) if peer else None})
    assert client_address(request, PROXIES) == address


def test_without_trusted_proxies_the_header_is_never_read() -> None:
    request = Request({"type": "http", "headers": [(b"x-forwarded-for", b"6.6.6.6")], "client": ("127.0.0.1", 1)})
    assert client_address(request, ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "site"), [("2001:db8:1:2::4", "2001:db8:1::/48"), ("203.0.113.7", "203.0.113.7"), ("", "unknown")]
)
def test_a_site_is_the_48_of_an_ipv6_address(peer: str, site: str) -> None:
    request = Request({"type": "http", "headers": [], "client": (peer, 1) if peer else None})
    assert client_site(request, ()) == site
