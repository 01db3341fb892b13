"""What a webhook's receiver gets, and how one is set up; what all connectors promise is in test_conformance.py."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import standardwebhooks
import svix.webhooks
from connectors.imis_site import RecordedExchanges
from http_server import Receiver, running

from learning_hub.connectors.addresses import SETTING, Guard
from learning_hub.connectors.base import OutboundRecord
from learning_hub.connectors.outcomes import Accepted
from learning_hub.connectors.webhook.connector import WebhookConnector
from learning_hub.connectors.webhook.secrets import prepare_credentials
from learning_hub.connectors.webhook.settings import check_credentials, check_settings, check_target
from learning_hub.connectors.webhook.signing import make_secret
from learning_hub.model.json_values import read_json

SECRET = make_secret()
BODY = b'{"Units":1.30,"Title":"F\xc3\xa4rbung","Big":12345678901234567890}'


def an_outbound_record(**changed: Any) -> OutboundRecord:
    given: dict[str, Any] = {
        "delivery_id": "NURSES-01890a5d-ac96-774b-bcce-b302099a8057",
        "action": "send",
        "target": {"Kind": "post"},
        "payload": read_json(BODY),
        "participant_id": "",
        "record_key": "01890a5d-ac96-774b-bcce-b302099a8057",
    }
    return OutboundRecord(**{**given, **changed})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    server = Receiver()
    async with running(server):
        yield server


async def post(
    receiver: Receiver,
    *outbounds: OutboundRecord,
    settings: dict[str, Any] | None = None,
    credentials: dict[str, Any] | None = None,
) -> tuple[list[Any], RecordedExchanges]:
    """The outcomes of sending or removing *outbounds* one after the other, and what was taken down."""
    recorder = RecordedExchanges()
    connector = WebhookConnector(
        {"Url": f"{receiver.address}/hooks?tenant=7", **(settings or {})},
        credentials or {"SigningSecret": SECRET},
        guard=Guard(["127.0.0.1"]),
        timeout_seconds=10,
    )
    try:
        outcomes = [
            await (connector.send if outbound.action == "send" else connector.remove)(outbound, recorder)
            for outbound in outbounds
        ]
    finally:
        await connector.close()
    return outcomes, recorder


async def test_a_receiver_verifies_what_it_gets(receiver: Receiver) -> None:
    """The body is the payload to the character, and the libraries of Standard Webhooks and Svix verify it."""
    (outcome,), _ = await post(receiver, an_outbound_record())

    (got,) = receiver.taken
    assert outcome == Accepted()
    assert (got.method, got.target, got.body) == ("POST", "/hooks?tenant=7", BODY)
    assert (got.headers["content-type"], got.headers["user-agent"]) == ("application/json", "learning-hub")
    assert got.headers["webhook-id"] == an_outbound_record().delivery_id
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    assert got.headers["learning-hub-action"] == "send"
    assert "authorization" not in got.headers
    standardwebhooks.Webhook(SECRET).verify(got.body, got.headers)
    svix.webhooks.Webhook(SECRET).verify(got.body, got.headers)


async def test_a_try_has_its_own_time_and_the_same_id(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later try is signed anew for its own time, with the same webhook-id."""
    moments = iter([datetime.now(UTC) - timedelta(seconds=90), datetime.now(UTC)])
    monkeypatch.setattr("learning_hub.connectors.webhook.connector.now", lambda: next(moments))
    receiver.answer(500)
    await post(receiver, an_outbound_record(), an_outbound_record(outcome_unknown=True))

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) in (90, 91)
    for one in (first, second):
        standardwebhooks.Webhook(SECRET).verify(one.body, one.headers)


async def test_a_removal_says_so(receiver: Receiver) -> None:
    """A removal is posted with its payload, and a header tells it from an event."""
    outcomes, _ = await post(receiver, an_outbound_record(action="remove"))

    assert outcomes == [Accepted()]
    assert (receiver.taken[0].headers["learning-hub-action"], receiver.taken[0].body) == ("remove", BODY)


async def test_headers_and_token_go_out_and_are_not_kept(receiver: Receiver) -> None:
    """Headers of one's own and a bearer token reach the receiver; with the attempt their values are masked."""
    settings = {"Headers": {"X-Tenant": "tenant-4711", "Accept": "application/json", "X-Empty": ""}}
    receiver.answer(400, b"no such token: t0ken/+x, nor t0ken%2F%2Bx")
    (outcome,), recorder = await post(
        receiver, an_outbound_record(), settings=settings, credentials={"SigningSecret": SECRET, "Token": "t0ken/+x"}
    )

    headers = receiver.received[0].headers
    assert (headers["authorization"], headers["x-tenant"], headers["x-empty"]) == ("Bearer t0ken/+x", "tenant-4711", "")
    kept = str(recorder.exchanges) + outcome.message
    for secret in ("t0ken", "tenant-4711", SECRET):
        assert secret not in kept
    assert recorder.exchanges[0].headers["webhook-id"] == an_outbound_record().delivery_id
    assert recorder.exchanges[0].headers["X-Tenant"] == "***"


async def test_a_receiver_cannot_give_away_headers_or_address(receiver: Receiver) -> None:
    """Values of headers and of the address are masked where a receiver repeats them, however it encodes them."""
    header, query, path = "k3y/of+mine&yours", "qu3ry+secret", "T0ke9nOfThePath4711"
    address = f"/in/{path}?code={quote(query, safe='')}&v=2"
    echoes = [
        *(header, query, path, quote(header, safe=""), json.dumps(header).replace("/", "\\/"), header.encode().hex()),
        *(base64.b64encode(f"{before}{header}!".encode()).decode() for before in ("", "a", "ab")),
        base64.urlsafe_b64encode(query.encode()).decode(),
    ]
    receiver.answer(400, " ".join(echoes).encode(), X_Echo=header, Location=address)
    settings = {"Url": receiver.address + address, "Headers": {"X-Key": f"Token {header}", "Accept": "text/plain"}}
    (outcome,), recorder = await post(receiver, an_outbound_record(), settings=settings)

    assert receiver.received[0].target == address
    assert recorder.exchanges[0].url == f"{receiver.address}/in/***?code=***&v=***"
    kept = str(recorder.exchanges) + outcome.message
    for secret in (*echoes, header[3:-3], base64.b64encode(header.encode()).decode()[:12]):
        assert secret not in kept, secret


async def test_two_secrets_sign_while_one_retires(receiver: Receiver) -> None:
    """After a change receivers with either secret verify the same request."""
    new = make_secret()
    stored = prepare_credentials({"SigningSecret": new}, {"SigningSecret": SECRET}, datetime.now(UTC)).credentials
    await post(receiver, an_outbound_record(), credentials=stored)

    (got,) = receiver.taken
    for secret in (new, SECRET):
        standardwebhooks.Webhook(secret).verify(got.body, got.headers)


async def test_a_check_posts_nothing(receiver: Receiver) -> None:
    """A check connects, says what it can without what may be secret in the address, and sends no request."""
    stored = prepare_credentials({"SigningSecret": make_secret()}, {"SigningSecret": SECRET}, datetime.now(UTC))
    connector = WebhookConnector(
        {"Url": f"{receiver.address}/in?code=s3c"}, stored.credentials, guard=Guard(["127.0.0.1"]), timeout_seconds=10
    )
    found = await connector.check()
    await connector.close()

    assert found.works
    assert "/in?code=*** can be reached, without encryption" in found.findings[0]
    assert "former SigningSecret" in found.findings[-1]
    assert (receiver.connections, receiver.received) == (1, [])


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, []),
        ({"Headers": None, "TimeZone": None, "MaxConcurrency": None}, []),
        ({"Headers": {"X-A": "b c\td"}, "TimeZone": "America/New_York", "MaxConcurrency": 100}, []),
        ({"Url": None}, ["Settings.Url"]),
        ({"Url": ""}, ["Settings.Url"]),
        ({"Url": "https://user:word@hooks.example.org/"}, ["Settings.Url"]),
        ({"Url": "https://hooks.example.org/#part"}, ["Settings.Url"]),
        ({"Url": "https://"}, ["Settings.Url"]),
        ({"Url": 7, "Colour": 1}, ["Settings.Colour", "Settings.Url"]),
        ({"MaxConcurrency": 0}, ["Settings.MaxConcurrency"]),
        ({"MaxConcurrency": 101, "TimeZone": "Mars/Olympus"}, ["Settings.MaxConcurrency", "Settings.TimeZone"]),
        ({"Headers": ["X-A"]}, ["Settings.Headers"]),
        ({"Headers": {"X-A": 1, "X-B": None}}, ["Settings.Headers.X-A", "Settings.Headers.X-B"]),
        ({"Headers": {"X-A": "a\r\nX-B: b"}}, ["Settings.Headers.X-A"]),
        ({"Headers": {"X-A": "a\n"}}, ["Settings.Headers.X-A"]),
        ({"Headers": {"X-A": " a"}}, ["Settings.Headers.X-A"]),
        ({"Headers": {"X-A": "ä"}}, ["Settings.Headers.X-A"]),
        ({"Headers": {"X A": "a", "": "a"}}, ["Settings.Headers.", "Settings.Headers.X A"]),
        ({"Headers": {"X\nA": "a"}}, ["Settings.Headers.X\\nA"]),
        ({"Headers": {"X-A": "a", "x-a": "b"}}, ["Settings.Headers.x-a"]),
        (
            {"Headers": {"Webhook-Id": "1", "CONTENT-TYPE": "text/plain", "Learning-Hub-Action": "x"}},
            ["Settings.Headers.CONTENT-TYPE", "Settings.Headers.Learning-Hub-Action", "Settings.Headers.Webhook-Id"],
        ),
        (
            {"Headers": {"Host": "a", "Authorization": "a", "Transfer-Encoding": "chunked", "Content-Length": "1"}},
            [
                "Settings.Headers.Authorization",
                "Settings.Headers.Content-Length",
                "Settings.Headers.Host",
                "Settings.Headers.Transfer-Encoding",
            ],
        ),
        ({"Headers": {f"X-{number}": "a" for number in range(51)}}, ["Settings.Headers"]),
    ],
)
def test_which_settings_are_taken(changes: dict[str, Any], fields: list[str]) -> None:
    """Every bad field is named with its whole path, and no other."""
    settings = {"Url": "https://hooks.example.org/learning?a=b", **changes}
    assert sorted(error.field for error in check_settings(settings, Guard())) == fields


@pytest.mark.parametrize("url", ["https://10.0.0.1/", "https://[::ffff:127.0.0.1]/", "http://hooks.example.org/"])
def test_a_forbidden_address_names_the_setting(url: str) -> None:
    """A private address, or one without https, is refused when it is saved."""
    (error,) = check_settings({"Url": url}, Guard())
    assert error.field == "Settings.Url"
    assert SETTING in error.message


@pytest.mark.parametrize(
    ("credentials", "fields"),
    [
        ({}, []),
        ({"SigningSecret": None, "Token": None}, []),
        ({"SigningSecret": SECRET, "Token": "abc"}, []),
        ({"SigningSecret": "whsec_short", "Token": "a b"}, ["Credentials.SigningSecret", "Credentials.Token"]),
        ({"SigningSecret": 7, "Token": ""}, ["Credentials.SigningSecret", "Credentials.Token"]),
        ({"SigningSecret": "", "Token": "a\r\nX: y"}, ["Credentials.SigningSecret", "Credentials.Token"]),
        ({"RetiringSecrets": [], "Password": "x"}, ["Credentials.Password", "Credentials.RetiringSecrets"]),
    ],
)
def test_which_credentials_are_taken(credentials: dict[str, Any], fields: list[str]) -> None:
    """Every bad field is named, and nothing that was sent is repeated."""
    errors = check_credentials(credentials)
    assert sorted(error.field for error in errors) == fields
    assert "whsec_short" not in str(errors)


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ({"Kind": "post"}, []),
        ({"Kind": "activity"}, ["Target.Kind"]),
        ({}, ["Target.Kind"]),
        ({"Kind": "post", "Url": "https://x.example"}, ["Target.Url"]),
    ],
)
def test_which_targets_are_taken(target: dict[str, Any], fields: list[str]) -> None:
    """The only target is `post`."""
    assert [error.field for error in check_target(target)] == fields
