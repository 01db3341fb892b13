"""
The signing secrets of a webhook, as they are stored with its credentials.

Besides `SigningSecret` and `Token` the credentials contain `RetiringSecrets`: replaced secrets, each with the time
until which it signs too, so that a receiver has time to adopt the new one. They are never shown, not even by name.

Sources: Standard Webhooks 1.0.0, "Webhook headers", for several signatures; the hub's contract, section 4, for the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from learning_hub.connectors.base import PreparedCredentials
from learning_hub.connectors.webhook.signing import make_secret
from learning_hub.model.clock import read_time, written

Json = Mapping[str, Any]

RETIRES_AFTER = timedelta(hours=24)
# Receivers verify one signature after the other. More changes than this in one day drop the oldest secret.
MOST_RETIRING = 4
RETIRING = "RetiringSecrets"


def prepare_credentials(sent: Json, stored: Json, now: datetime) -> PreparedCredentials:
    """
    The credentials to store, given those that an administrator *sent* and those that are *stored*, which may be empty.

    An omitted `SigningSecret` stays as it is, or is generated and shown once where none is stored. An omitted `Token`
    is deleted. A new `SigningSecret` retires the one before; sending the same one again changes nothing.
    """
    made = None if sent.get("SigningSecret") or stored.get("SigningSecret") else make_secret()
    secret = sent.get("SigningSecret") or stored.get("SigningSecret") or made
    kept: dict[str, Any] = {"SigningSecret": secret}
    if sent.get("Token") is not None:
        kept["Token"] = sent["Token"]
    if retiring := _retiring(secret, stored, now):
        kept[RETIRING] = retiring
    return PreparedCredentials(credentials=kept, made={"SigningSecret": made} if made else {})


def signing_secrets(stored: Json, now: datetime) -> list[str]:
    """The secrets that sign a request at the time *now*, newest first."""
    return [stored["SigningSecret"], *(one["SigningSecret"] for one in _still_signing(stored, now))]


def retiring_until(stored: Json, now: datetime) -> datetime | None:
    """The time until which a replaced secret signs too; None where none does."""
    return max((read_time(one["UntilUtc"]) for one in _still_signing(stored, now)), default=None)


def credential_names(stored: Json) -> list[str]:
    """The names of the credentials that an administrator can send."""
    return [name for name in stored if name != RETIRING]


def _retiring(secret: Any, stored: Json, now: datetime) -> list[Json]:
    former = stored.get("SigningSecret")
    retiring = [one for one in _still_signing(stored, now) if one["SigningSecret"] != secret]
    if former and former != secret:
        retiring = [{"SigningSecret": former, "UntilUtc": written(now + RETIRES_AFTER)}, *retiring]
    return retiring[:MOST_RETIRING]


def _still_signing(stored: Json, now: datetime) -> list[Json]:
    return [one for one in stored.get(RETIRING, []) if read_time(one["UntilUtc"]) > now]
