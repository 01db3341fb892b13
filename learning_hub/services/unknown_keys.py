"""Slows down the guessing of keys: how many unknown keys came from each address within the last minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address, IPv6Network

from learning_hub.model.errors import TooManyUnknownKeys

MOST_UNKNOWN = 100
WINDOW_SECONDS = 60.0
MOST_ADDRESSES = 5_000
# What a provider gives to one customer, who may use every address in it.
IPV6_PREFIX = 64


class UnknownKeys:
    """Counts unknown keys by address, in one process. *clock* is in seconds, as `time.monotonic`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The times of the last unknown keys of each address; the address heard least recently comes first.
        self._times: dict[str, deque[float]] = {}

    def count(self, address: str) -> None:
        """
        Count an unknown key from *address*, an IP address or the name of another kind of peer.

        A key that is refused here does not count, so that no address is refused for longer than a minute.

        Raises:
            TooManyUnknownKeys: A hundred unknown keys came from the address within the last minute.
        """
        peer, moment = _peer(address), self._clock()
        times = self._times.pop(peer, None) or deque(maxlen=MOST_UNKNOWN)
        if len(self._times) >= MOST_ADDRESSES:
            del self._times[next(iter(self._times))]
        self._times[peer] = times
        left = times[0] + WINDOW_SECONDS - moment if len(times) == MOST_UNKNOWN else 0
        if left > 0:
            raise TooManyUnknownKeys(left)
        times.append(moment)


def _peer(address: str) -> str:
    """The address, or the network of an IPv6 address that belongs to one customer."""
    try:
        ipv6 = IPv6Address(address)
    except AddressValueError:
        return address
    if ipv6.ipv4_mapped:
        return str(ipv6.ipv4_mapped)
    return str(IPv6Network((int(ipv6), IPV6_PREFIX), strict=False))
