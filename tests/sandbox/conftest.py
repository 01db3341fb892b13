"""One sandbox for all tests of this folder, over real HTTP, put back to its seeds before each of them."""

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
    """A client without a token, on a sandbox as it is after its start."""
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
    """A function that sets switches, named by keyword."""

    def change(**switches: Any) -> None:
        answer = visitor.put("/_sandbox/switches", json=switches)
        assert answer.status_code == 200, answer.text

    return change


@pytest.fixture
def fault(visitor: httpx.Client) -> Any:
    """A function that posts a fault, its members by keyword."""

    def post(kind: str, **members: Any) -> None:
        answer = visitor.post("/_sandbox/faults", json={"Fault": kind, **members})
        assert answer.status_code == 201, answer.text

    return post
