"""Signatures of webhooks, and the secrets they are made with."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import WebhookVerificationError

from learning_hub.connectors.webhook.secrets import (
    RETIRING,
    credential_names,
    prepare_credentials,
    retiring_until,
    signing_secrets,
)
from learning_hub.connectors.webhook.signing import make_secret, secret_fault, sign

NOW = datetime(2031, 3, 14, 15, 20, tzinfo=UTC)
DAY = timedelta(hours=24)


def headers_of(body: bytes, *secrets: str, message_id: str = "NURSES-1") -> dict[str, str]:
    timestamp = int(time.time())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(message_id, timestamp, body, secrets),
    }


@given(st.dictionaries(st.text(), st.text() | st.integers()), st.binary(min_size=24, max_size=64))
def test_what_is_signed_is_verified_by_the_libraries(payload: dict[str, Any], key: bytes) -> None:
    """The libraries of Standard Webhooks and Svix accept a signature over any body, with any key."""
    # It imports every model of its service, which every process of a test run would pay for while it collects.
    import svix.webhooks

    body, secret = json.dumps(payload, ensure_ascii=False).encode(), f"whsec_{base64.b64encode(key).decode()}"
    headers = headers_of(body, secret)

    assert standardwebhooks.Webhook(secret).verify(body, headers) == payload
    svix.webhooks.Webhook(secret).verify(body, headers)


def test_the_signature_of_the_specification() -> None:
    """A signature is HMAC-SHA256 over id, time and body, joined with full stops, in Base64 after `v1,`."""
    # From the test of the reference implementations, which all languages share.
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'

    signature = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, [secret])

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_secret_verifies() -> None:
    """With two secrets there are two signatures, and each verifies; another secret does not, nor another body."""
    new, old = make_secret(), make_secret()
    headers = headers_of(b"{}", new, old)

    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        standardwebhooks.Webhook(secret).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        standardwebhooks.Webhook(make_secret()).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        standardwebhooks.Webhook(new).verify(b"[]", headers)


def test_secrets_that_are_made() -> None:
    """A made secret is one that the checks take, and none is made twice."""
    assert secret_fault(make_secret()) is None
    assert len({make_secret() for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("secret", "is_taken"),
    [
        (f"whsec_{base64.b64encode(b'x' * 24).decode()}", True),
        (f"whsec_{base64.b64encode(b'x' * 64).decode()}", True),
        (f"whsec_{base64.b64encode(b'x' * 25).decode().rstrip('=')}", True),
        (f"whsec_{base64.b64encode(b'x' * 23).decode()}", False),
        (f"whsec_{base64.b64encode(b'x' * 65).decode()}", False),
        (base64.b64encode(b"x" * 32).decode(), False),
        (f"WHSEC_{base64.b64encode(b'x' * 32).decode()}", False),
        (f"whsec_{base64.urlsafe_b64encode(b'~' * 31 + bytes([251])).decode()}", False),
        ("whsec_" + "a" * 33, False),
        ("whsec_ä", False),
        ("whsec_", False),
        ("", False),
    ],
)
def test_which_secrets_are_taken(secret: str, is_taken: bool) -> None:
    """A secret is `whsec_` and 24 to 64 bytes in Base64, with or without padding; no message repeats it."""
    fault = secret_fault(secret)

    assert (fault is None) == is_taken
    assert not fault or len(secret) < 7 or secret not in fault


def test_a_secret_left_out_is_made_once() -> None:
    """The first time a secret is made and shown, afterwards it stays and is not."""
    first = prepare_credentials({}, {}, NOW)
    again = prepare_credentials({"Token": "t"}, first.credentials, NOW)

    assert first.made == first.credentials
    assert again.made == {}
    assert again.credentials == first.credentials | {"Token": "t"}
    assert prepare_credentials({}, again.credentials, NOW).credentials == first.credentials


def test_a_given_secret_is_not_shown() -> None:
    """What an administrator gives is stored, and shown to nobody."""
    secret = make_secret()
    prepared = prepare_credentials({"SigningSecret": secret}, {}, NOW)
    assert (prepared.credentials, prepared.made) == ({"SigningSecret": secret}, {})


def test_the_old_secret_signs_for_a_day() -> None:
    """A new secret comes first, the old one signs for 24 hours more, and saving the same again changes nothing."""
    old, new = make_secret(), make_secret()
    stored = prepare_credentials({"SigningSecret": new}, {"SigningSecret": old}, NOW).credentials

    later = NOW + timedelta(hours=5)
    assert prepare_credentials({"SigningSecret": new}, stored, later).credentials == stored
    assert prepare_credentials({}, stored, later).credentials == stored
    assert signing_secrets(stored, NOW + DAY - timedelta(seconds=1)) == [new, old]
    assert signing_secrets(stored, NOW + DAY) == [new]
    assert (retiring_until(stored, later), retiring_until(stored, NOW + DAY)) == (NOW + DAY, None)
    assert credential_names(stored) == ["SigningSecret"]


def test_secrets_that_follow_each_other_fast() -> None:
    """Each keeps its own day; one that comes back is no longer an old one; what is over is stored no longer."""
    one, two, three = (make_secret() for _ in range(3))
    stored: dict[str, Any] = {"SigningSecret": one}
    for hours, secret in ((1, two), (2, three)):
        moment = NOW + timedelta(hours=hours)
        stored = prepare_credentials({"SigningSecret": secret}, stored, moment).credentials
    assert signing_secrets(stored, NOW + timedelta(hours=3)) == [three, two, one]
    assert signing_secrets(stored, NOW + timedelta(hours=25)) == [three, two]

    back = prepare_credentials({"SigningSecret": one}, stored, NOW + timedelta(hours=3)).credentials
    assert signing_secrets(back, NOW + timedelta(hours=3)) == [one, three, two]
    later = prepare_credentials({"SigningSecret": one}, back, NOW + timedelta(days=9)).credentials
    assert RETIRING not in later


def test_changing_secrets_all_day_is_bounded() -> None:
    """However often a secret is changed, a request carries a handful of signatures."""
    stored: dict[str, Any] = {}
    for _ in range(50):
        stored = prepare_credentials({"SigningSecret": make_secret()}, stored, NOW).credentials
    assert len(signing_secrets(stored, NOW)) == 5
