"""One sandbox for all tests of this folder, over real HTTP, reset to its seeds before each test."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sandbox.sandbox_entities import sign_in

from learning_hub.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture(scope="session")
def client(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    # Making a client takes longer than most of the tests.
    with httpx.Client(base_url=sandbox.address, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def visitor(client: httpx.Client) -> httpx.Client:
    """A client without a token, on a sandbox with its initial data."""
    client.headers.pop("Authorization", None)
    assert client.post("/_sandbox/reset").status_code == 204
    return client


@pytest.fixture
def imis(visitor: httpx.Client) -> httpx.Client:
    """A client with a live token."""
    visitor.headers["Authorization"] = f"Bearer {sign_in(visitor)}"
    return visitor


@pytest.fixture
def switch(visitor: httpx.Client) -> Any:
    """A function that sets switches, given as keyword arguments."""

    def change(**switches: Any) -> None:
        response = visitor.put("/_sandbox/switches", json=switches)
        assert response.status_code == 200, response.text

    return change


@pytest.fixture
def fault(visitor: httpx.Client) -> Any:
    """A function that posts a fault, with its members as keyword arguments."""

    def post(kind: str, **members: Any) -> None:
        response = visitor.post("/_sandbox/faults", json={"Fault": kind, **members})
        assert response.status_code == 201, response.text

    return post
