"""A sandbox iMIS for the tests of a worker process, fresh for each test, and a connector to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from connectors.imis_site import ImisSite, RecordedExchanges

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.sandbox import running_sandbox

MakeConnector = Callable[..., ImisConnector]


@pytest.fixture(scope="session")
def running_site() -> Iterator[ImisSite]:
    with running_sandbox() as sandbox:
        site = ImisSite(sandbox)
        yield site
        site.close()


@pytest.fixture
def site(running_site: ImisSite) -> ImisSite:
    """A site as it is at the start, and a panel with a column for the record key."""
    running_site.reset()
    return running_site


@pytest.fixture
def recorder() -> RecordedExchanges:
    return RecordedExchanges()


@pytest.fixture
async def make_connector(site: ImisSite) -> AsyncIterator[MakeConnector]:
    """Makes connectors to the site; settings, credentials and more as given."""
    async with AsyncExitStack() as stack:

        def make(
            settings: dict[str, Any] | None = None, credentials: dict[str, Any] | None = None, **more: Any
        ) -> ImisConnector:
            connector = ImisConnector(
                {"BaseUrl": site.address, **(settings or {})},
                credentials or {"Username": "sandbox", "Password": "sandbox"},
                guard=more.pop("guard", Guard(["127.0.0.1"])),
                timeout_seconds=more.pop("timeout_seconds", 15),
                **more,
            )
            stack.push_async_callback(connector.close)
            return connector

        yield make


@pytest.fixture
def connector(make_connector: MakeConnector) -> ImisConnector:
    return make_connector()
