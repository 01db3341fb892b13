"""The check of a subscriber's address: the hub connects and disconnects, and sends nothing."""

from __future__ import annotations

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.check_results import Finding
from learning_hub.connectors.http import reach
from learning_hub.connectors.network import TargetNotAllowed


async def check_address(guard: Guard, url: str, *, timeout_seconds: float, shown_url: str | None = None) -> Finding:
    """
    Whether the hub can connect to the host of *url*, with a valid certificate where it is https.

    The finding names *shown_url* instead of *url* if it is given.
    """
    shown = shown_url or url
    try:
        failure = await reach(guard, url, timeout_seconds=timeout_seconds)
    except TargetNotAllowed as objection:
        return Finding(subject="address", state="wrong", message=str(objection))
    if failure:
        return Finding(subject="address", state="wrong", message=f"{shown} cannot be reached. {failure.message}")
    secured = ", with a certificate that is valid" if url.startswith("https:") else ", without encryption"
    return Finding(subject="address", message=f"{shown} can be reached{secured}.")
