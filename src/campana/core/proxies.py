"""Who asks, when proxies pass it on: each adds whom it heard from, and only what a trusted one has added is believed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
WITH_PORT = re.compile(r"(?:\[([0-9a-f:.%]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?", re.IGNORECASE)


def networks(text: str) -> tuple[Network, ...]:
    """The proxies of a setting: addresses and networks, separated by commas. Raises ValueError with a sentence."""
    found = []
    for part in (one.strip() for one in text.split(",")):
        if not part:
            continue
        try:
            network = ipaddress.ip_network(part)
        except ValueError as error:
            raise ValueError(f"{part} is no address and no network ({error}). Write them as 10.0.0.5, 10.1.0.0/16") from error
        if not network.prefixlen:
            raise ValueError(f"{part} is everybody, who could then name any address as theirs. Name your proxies only")
        found.append(network)
    return tuple(found)


def asker(peer: str, forwarded: str, trusted: Collection[Network]) -> str:
    """The address of who asks: the last one that is no proxy of ours. Proxies on this machine are ours, and those of `trusted`.

    `forwarded` is X-Forwarded-For, to which each proxy adds at the end; what stands before a stranger's address is his own word.
    """
    known, heard = peer, _address(peer)
    for said in reversed(forwarded.split(",")):
        if heard is None or not _is_ours(heard, trusted) or (heard := _address(said)) is None:
            break
        known = str(heard)
    return known


def _address(text: str) -> Address | None:
    """The address in a piece of the header: some proxies write a port beside it."""
    bare = WITH_PORT.fullmatch(text.strip())
    try:
        found = ipaddress.ip_address((bare[1] or bare[2]) if bare else text.strip())
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _is_ours(address: Address, trusted: Collection[Network]) -> bool:
    return address.is_loopback or any(address in network for network in trusted)
