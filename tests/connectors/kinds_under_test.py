"""
Each kind of subscriber as the conformance suite sees it.

A new connector needs one entry in `UNDER_TEST`, and a real server that speaks its protocol well enough to accept what
is sent (`HttpServer`, whose faults are the same for all kinds). Where a status means something else than `COMMON` says,
the entry says what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.imis_site import ACTIVITY, COMPLETION, ROBIN, ImisSite
from http_server import HttpServer, Received, Receiver, Says
from learningbuilder_site import API_KEY, PROCESS, LearningBuilder
from plain_http import plain_async_client

from learning_hub.connectors.outcomes import Accepted, Outcome, Postponed, Refused, Unknown
from learning_hub.connectors.webhook.signing import make_secret
from learning_hub.model.json_values import read_json

PAYLOAD = read_json('{"Title": "Fire safety, F\\u00e4rbung", "Units": 1.30}')


@dataclass(frozen=True)
class Expected:
    """An outcome, as far as the suite compares it."""

    kind: type[Outcome]
    code: str
    is_away: bool = False
    in_doubt: bool = False
    is_final: bool = False
    stops_subscription: bool = False
    unchanged: bool = False

    @classmethod
    def of(cls, outcome: Outcome) -> Expected:
        """*outcome* in this form."""
        return cls(
            type(outcome),
            getattr(outcome, "code", ""),
            is_away=getattr(outcome, "subscriber_is_away", False),
            in_doubt=getattr(outcome, "in_doubt", False),
            is_final=getattr(outcome, "is_final", False),
            stops_subscription=getattr(outcome, "stops_subscription", False),
            unchanged=getattr(outcome, "unchanged", False),
        )


# A success: the subscriber has the record already, as 409 can say.
ALREADY_THERE = Expected(Accepted, "", unchanged=True)
REFUSED = Expected(Refused, "refused")
CREDENTIALS = Expected(Refused, "credentials_refused")
FAILED = Expected(Postponed, "subscriber_error", in_doubt=True)
AWAY = Expected(Postponed, "connection_failed", is_away=True)
FOR_A_PERSON = Expected(Unknown, "outcome_unknown", is_final=True)

# What a status means, unless a kind has its reasons; section 6 of the hub's contract.
COMMON: dict[int, Expected] = {
    **dict.fromkeys(
        (300, 301, 302, 303, 307, 308, 400, 402, 404, 405, 406, 409, 410, 413, 415, 422, 451, 501), REFUSED
    ),
    401: CREDENTIALS,
    403: CREDENTIALS,
    408: Expected(Postponed, "timed_out", in_doubt=True),
    425: Expected(Postponed, "subscriber_error"),
    429: Expected(Postponed, "rate_limited"),
    500: FAILED,
    505: FAILED,
    599: FAILED,
    # No status of a final response: it has the meaning of 5xx.
    **dict.fromkeys((0, 99, 600, 999), FAILED),
    502: replace(AWAY, in_doubt=True),
    503: AWAY,
    504: Expected(Postponed, "timed_out", is_away=True, in_doubt=True),
}


@dataclass(frozen=True, kw_only=True)
class KindUnderTest:
    """
    One kind.

    *address* is the name of the setting with the address, *path* what is appended to the server's own address.
    *landed* counts the records that the server has. *statuses* are the outcomes of statuses that differ from `COMMON`.
    *cut* and *late* are the outcomes where the request was sent and no status came, because the connection was cut or
    the time ran out; *unreadable* that of a success with a body that cannot be read; *repeated* is how many records the
    server has after a request without a status was sent again, None where it is never sent again.
    """

    make_site: Callable[[ImisSite], HttpServer]
    address: str
    path: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, Any]
    secrets: tuple[str, ...]
    target: dict[str, Any]
    payload: dict[str, Any] = field(default_factory=lambda: dict(PAYLOAD))
    participant_id: str = ""
    landed: Callable[[Any], int]
    statuses: dict[int, Expected] = field(default_factory=dict)
    cut: Expected
    late: Expected
    unreadable: Expected
    repeated: int | None = None

    def settings_for(self, site: HttpServer, **changes: Any) -> dict[str, Any]:
        return {self.address: site.address + self.path, **self.settings, **changes}


PASSWORD = "pa55/w0rd+&"
SIGNING_SECRET = make_secret()


class ImisBehindServer(HttpServer):
    """The sandbox iMIS, reached through a server whose faults the test sets."""

    def __init__(self, sandbox: ImisSite) -> None:
        super().__init__()
        self.sandbox = sandbox
        # A password that appears nowhere by chance.
        sandbox.change_password(PASSWORD)

    def writes(self, request: Received) -> bool:
        return request.method in ("POST", "PUT", "DELETE") and request.path.startswith("/api/Activity")

    async def handle(self, request: Received) -> Says:
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "connection")}
        async with plain_async_client(self.sandbox.address) as client:
            answer = await client.request(request.method, request.target, headers=headers, content=request.body)
        kept = {name: value for name, value in answer.headers.items() if name.lower() in ("content-type", "location")}
        return Says(answer.status_code, answer.content, kept)


UNDER_TEST: dict[str, KindUnderTest] = {
    "imis": KindUnderTest(
        make_site=ImisBehindServer,
        address="BaseUrl",
        credentials={"Username": "sandbox", "Password": PASSWORD},
        secrets=(PASSWORD,),
        target=ACTIVITY,
        payload=COMPLETION,
        participant_id=ROBIN,
        landed=lambda site: len(site.sandbox.activities()),
        # The account signed in a moment ago, so that the site may be at fault.
        statuses={401: Expected(Postponed, "token_denied", is_away=True), 403: REFUSED},
        cut=Expected(Unknown, "connection_failed", is_away=True),
        late=Expected(Unknown, "timed_out", is_away=True),
        unreadable=Expected(Unknown, "subscriber_error"),
        repeated=1,
    ),
    "learningbuilder": KindUnderTest(
        make_site=lambda _: LearningBuilder(),
        address="BaseUrl",
        credentials={"ApiKey": API_KEY},
        secrets=(API_KEY,),
        target={"Kind": "import", "ImportProcessId": PROCESS},
        landed=lambda site: len(site.lines),
        # The hub cannot ask for a batch, which is imported as often as it is sent.
        statuses={
            408: Expected(Postponed, "timed_out"),
            **dict.fromkeys((500, 505, 599, 0, 99, 600, 999), FOR_A_PERSON),
            502: replace(FOR_A_PERSON, code="connection_failed", is_away=True),
            504: replace(FOR_A_PERSON, code="timed_out", is_away=True),
        },
        cut=replace(FOR_A_PERSON, code="connection_failed", is_away=True),
        late=replace(FOR_A_PERSON, code="timed_out", is_away=True),
        unreadable=FOR_A_PERSON,
    ),
    "webhook": KindUnderTest(
        make_site=lambda _: Receiver(),
        address="Url",
        path="/hooks?tenant=7",
        settings={"Headers": {"X-Tenant": "tenant-4711"}},
        credentials={"SigningSecret": SIGNING_SECRET, "Token": "t0ken/+secret"},
        secrets=(SIGNING_SECRET, "t0ken/+secret"),
        target={"Kind": "post"},
        landed=lambda site: len(site.taken),
        statuses={410: Expected(Refused, "gone", stops_subscription=True)},
        cut=replace(AWAY, in_doubt=True),
        late=Expected(Postponed, "timed_out", is_away=True, in_doubt=True),
        # The receiver has processed the event, whatever it says of it.
        unreadable=Expected(Accepted, ""),
        # Each delivery arrives at least once, always with the same webhook-id.
        repeated=2,
    ),
}
