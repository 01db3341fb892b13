"""
HTTP clients for servers of the test run itself.

None of them speaks TLS, so the clients load no certificates: that takes longer than most of what tests do with one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

SECONDS = 60


def plain_client(
    address: str = "", *, headers: Mapping[Any, Any] | None = None, seconds: float = SECONDS
) -> httpx.Client:
    """A client of the server at *address*."""
    return httpx.Client(base_url=address, headers=headers, timeout=seconds, trust_env=False, verify=False)


def plain_async_client(
    address: str = "", *, headers: Mapping[Any, Any] | None = None, seconds: float = SECONDS
) -> httpx.AsyncClient:
    """The same, for tests that run on a loop."""
    return httpx.AsyncClient(base_url=address, headers=headers, timeout=seconds, trust_env=False, verify=False)
