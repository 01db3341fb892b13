"""What a hub needs before events can be published to it."""

from __future__ import annotations

import httpx

from bench.programs import KEY


def make_program(address: str) -> None:
    """A Program to publish for."""
    with httpx.Client(base_url=address, headers={"X-API-Key": KEY}, trust_env=False) as client:
        client.put("/programs/BENCH", json={"Name": "Bench"}).raise_for_status()
