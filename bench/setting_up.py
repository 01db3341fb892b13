"""The setup of a hub before events can be published to it."""

from __future__ import annotations

import httpx

from bench.programs import KEY


def make_program(address: str) -> None:
    """Make the Program to publish for."""
    with httpx.Client(base_url=address, headers={"X-API-Key": KEY}, trust_env=False) as client:
        client.put("/programs/BENCH", json={"Name": "Bench"}).raise_for_status()


def make_key(address: str, *scopes: str) -> str:
    """Make a key with *scopes* for the Program."""
    body = {"Name": " ".join(scopes), "Programs": ["BENCH"], "Scopes": scopes}
    with httpx.Client(base_url=address, headers={"X-API-Key": KEY}, trust_env=False) as client:
        return str(client.post("/keys", json=body).raise_for_status().json()["Key"])
