"""What the API works with: the parts of the hub, put together by main."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from learning_hub.api.body_budget import BodyBudget
from learning_hub.connectors.registry import Registry
from learning_hub.deliver.connections import Connections
from learning_hub.deliver.participant_lookup import Participants
from learning_hub.deliver.payloads import Payloads
from learning_hub.deliver.preview import Previewer
from learning_hub.process.runner import Runner
from learning_hub.publish.publisher import Publisher
from learning_hub.rendering import Renderer
from learning_hub.services.authentication import Authenticator
from learning_hub.settings import Settings
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.vault import Vault


class Hub(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one hub process."""

    settings: Settings
    database: Database
    notifications: Notifications
    authenticator: Authenticator
    publisher: Publisher
    runner: Runner
    renderer: Renderer
    registry: Registry
    vault: Vault
    connections: Connections
    participants: Participants
    payloads: Payloads
    previewer: Previewer
    batch_budget: BodyBudget
    readiness: Callable[[], Awaitable[tuple[bool, list[str]]]]
