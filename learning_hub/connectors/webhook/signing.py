"""
The signature of an outgoing request.

The signed text is `{webhook-id}.{webhook-timestamp}.{body}`. A request has one HMAC-SHA256 signature for each secret,
so that receivers with the old secret and receivers with the new one can verify it.

Source: Standard Webhooks 1.0.0, "Signature scheme" and "Webhook headers".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
FEWEST_BYTES, MOST_BYTES = 24, 64
MADE_BYTES = 32


def make_secret() -> str:
    """A new random signing secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(MADE_BYTES)).decode()


def secret_fault(secret: str) -> str | None:
    """Why *secret* is no valid signing secret, without repeating it; None when it is valid."""
    try:
        size = len(_key_of(secret))
    except ValueError:
        size = 0
    if secret.startswith(PREFIX) and FEWEST_BYTES <= size <= MOST_BYTES:
        return None
    return f"must be {PREFIX} and, after it, {FEWEST_BYTES} to {MOST_BYTES} bytes in Base64"


def sign(message_id: str, timestamp: int, body: bytes, signing_secrets: Iterable[str]) -> str:
    """
    The value of `webhook-signature`: one `v1,…` for each secret, with spaces between them.

    Args:
        message_id: The value of `webhook-id`.
        timestamp: The value of `webhook-timestamp`: seconds since 1970, UTC.
        body: The exact bytes that are sent.
        signing_secrets: Valid by `secret_fault`.
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{_signature(secret, content)}" for secret in signing_secrets)


def _signature(secret: str, content: bytes) -> str:
    return base64.b64encode(hmac.digest(_key_of(secret), content, hashlib.sha256)).decode()


def _key_of(secret: str) -> bytes:
    """
    The bytes of a secret; the padding at its end may be missing, as in the libraries of Standard Webhooks.

    Raises:
        ValueError: It is no Base64.
    """
    text = secret.removeprefix(PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("It is no Base64.") from error
