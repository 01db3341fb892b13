"""What the API works with: the parts of the hub, put together by main."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from learning_hub.api.keyring import Keyring
from learning_hub.publish.publisher import Publisher
from learning_hub.settings import Settings
from learning_hub.store.bells import Bells
from learning_hub.store.database import Database


class Hub(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one hub process."""

    settings: Settings
    database: Database
    bells: Bells
    keyring: Keyring
    publisher: Publisher
    readiness: Callable[[], Awaitable[tuple[bool, list[str]]]]
