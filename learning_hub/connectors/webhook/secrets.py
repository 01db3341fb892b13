"""
The signing secrets of a webhook, as they are stored among its credentials.

Beside `SigningSecret` and `Token` there are the `RetiringSecrets`: secrets that were replaced, each with the time until
which it signs as well, so that a receiver can take its time with a new one. They are never shown, not even by name.

Source: Standard Webhooks 1.0.0, "Webhook headers", for several signatures; the hub's contract, section 4, for the day.
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
# Receivers try each signature in turn; whoever changes secrets more often than this in a day loses the oldest.
MOST_RETIRING = 4
RETIRING = "RetiringSecrets"


def prepare_credentials(sent: Json, stored: Json, now: datetime) -> PreparedCredentials:
    """
    What to store of the credentials an administrator *sent*, given those that are *stored*; empty where there are none.

    A `SigningSecret` left out stays as it is, and is made where there is none: then it is shown this once. A `Token`
    left out is gone. A new `SigningSecret` retires the one before; the same again changes nothing.
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
    """The secrets that sign a request at the time *now*, the newest first."""
    return [stored["SigningSecret"], *(one["SigningSecret"] for one in _still_signing(stored, now))]


def retiring_until(stored: Json, now: datetime) -> datetime | None:
    """Until when a former secret signs as well; None where none does."""
    return max((read_time(one["UntilUtc"]) for one in _still_signing(stored, now)), default=None)


def credential_names(stored: Json) -> list[str]:
    """The names of the credentials as an administrator gives them."""
    return [name for name in stored if name != RETIRING]


def _retiring(secret: Any, stored: Json, now: datetime) -> list[Json]:
    former = stored.get("SigningSecret")
    there = [one for one in _still_signing(stored, now) if one["SigningSecret"] != secret]
    if former and former != secret:
        there = [{"SigningSecret": former, "UntilUtc": written(now + RETIRES_AFTER)}, *there]
    return there[:MOST_RETIRING]


def _still_signing(stored: Json, now: datetime) -> list[Json]:
    return [one for one in stored.get(RETIRING, []) if read_time(one["UntilUtc"]) > now]
