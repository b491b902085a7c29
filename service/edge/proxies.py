"""Whose request it is that a proxy hands on: the address before the proxies that are trusted."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from service.edge.incoming import Incoming

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Proxies:
    """Trusted networks. Anybody else's `X-Forwarded-For` says nothing: whoever calls can write it."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def caller(self, incoming: Incoming) -> str:
        """The address a request comes from, its peer being at the other end of the connection.

        Each proxy adds the address it was called from on the right, so that the caller is the right-most one
        that is not trusted; where all are, the left-most. An entry that is no address ends the walk at the
        proxy that wrote it.
        """
        caller = _address(incoming.peer) if self._trusted else None
        if caller is None:
            return incoming.peer
        chain = ",".join(incoming.headers("x-forwarded-for")).split(",")
        while self._trusts(caller) and chain and (before := _address(chain.pop())) is not None:
            caller = before
        return str(caller)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    """The address of an entry, which may carry a port; IPv4 written as IPv6 is IPv4."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
