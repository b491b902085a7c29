"""Whose request it is: worked by hand for each chain of proxies."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from service.edge.incoming import Incoming
from service.edge.proxies import Proxies

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def forwarded(peer: str, *values: str) -> Incoming:
    """A request with one header for each value."""
    headers = [(b"x-forwarded-for", value.encode()) for value in values]
    scope = {"path": "/", "method": "GET", "client": (peer, 1), "headers": headers}
    return Incoming(scope, None)  # type: ignore[arg-type]  # nobody reads its body


@pytest.mark.parametrize(
    ("peer", "values", "caller"),
    [
        # Who is no proxy is believed nothing.
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("unknown", ["198.51.100.7"], "unknown"),
        # A proxy is, and its own address is the caller's where it says none.
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        # The right-most that is not trusted: what stands before it, the caller may have written.
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9,198.51.100.7 , 10.2.0.1,10.3.0.1"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7", "10.2.0.1"], "198.51.100.7"),
        ("10.0.0.1", ["10.9.9.9, 198.51.100.7"], "198.51.100.7"),
        # All trusted: the left-most.
        ("10.0.0.1", ["10.4.0.1, 10.3.0.1"], "10.4.0.1"),
        # No address: the proxy that wrote it.
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, _hidden, 10.3.0.1"], "10.3.0.1"),
        # Ports, and IPv6 in its forms.
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("fd00::1", ["[2001:db8::5]:4711"], "2001:db8::5"),
        ("fd00::1", ["2001:DB8:0::5"], "2001:db8::5"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
    ],
)
def test_the_caller_is_the_right_most_address_that_is_not_trusted(
    peer: str, values: list[str], caller: str
) -> None:
    """Over all headers of the name, which are one list."""
    assert PROXIES.caller(forwarded(peer, *values)) == caller


def test_without_trusted_proxies_the_peer_is_the_caller() -> None:
    """Whatever the header says."""
    assert Proxies([]).caller(forwarded("127.0.0.1", "198.51.100.7")) == "127.0.0.1"
