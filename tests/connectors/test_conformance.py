"""What every connector promises, whatever its protocol: one suite for all kinds, against real servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from connectors.imis_site import KEY, ImisSite, RecordedExchanges
from connectors.kinds_under_test import COMMON, UNDER_TEST, Expected, KindUnderTest
from connectors.odd_answers import LIBRARY_WORDS, READABLE, UNREADABLE, WITHOUT_BODY, Spelling
from http_server import Fault, HttpServer, Receiver, Says, running
from msgspec import UNSET, Meta
from msgspec.structs import fields
from running import eventually

from learning_hub import connectors
from learning_hub.connectors.addresses import SETTING, Guard
from learning_hub.connectors.base import Connector, OutboundRecord
from learning_hub.connectors.check_results import Needs
from learning_hub.connectors.factory import ConnectorFactory
from learning_hub.connectors.http import KEPT_BODY_BYTES, MAX_BODY_BYTES
from learning_hub.connectors.kind import Kind
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.outcomes import Accepted, Outcome, Postponed, Refused, Unknown
from learning_hub.model.retry import LONGEST_ASKED_WAIT_SECONDS

CONNECTORS = Path(connectors.__file__).parent
HERE = Guard(["127.0.0.1", "localhost"])
LONGEST_MESSAGE = 2000
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"


class Bench:
    """A kind, its server, and a connector to it."""

    def __init__(self, name: str, under_test: KindUnderTest, site: HttpServer) -> None:
        self.name = name
        self.kind = KINDS[name]
        self.under_test = under_test
        self.site: Any = site
        self.recorder = RecordedExchanges()
        self._connectors: list[Connector] = []

    def connector(self, *, guard: Guard = HERE, timeout_seconds: float = 15, **settings: Any) -> Connector:
        """A connector as the hub makes it; settings as given."""
        factory = ConnectorFactory(guard, timeout_seconds=timeout_seconds)
        given = self.under_test.settings_for(self.site, **settings)
        made = factory.connector(self.name, given, self.under_test.credentials)
        self._connectors.append(made)
        return made

    def outbound(self, **changed: Any) -> OutboundRecord:
        given: dict[str, Any] = {
            "delivery_id": f"NURSES-{KEY}",
            "action": "send",
            "target": self.under_test.target,
            "payload": self.under_test.payload,
            "participant_id": self.under_test.participant_id,
            "record_key": KEY,
        }
        return OutboundRecord(**{**given, **changed})

    async def send(self, **how: Any) -> Outcome:
        """Send the outbound with a connector of its own."""
        changed = how.pop("outbound", {})
        return await self.connector(**how).send(self.outbound(**changed), self.recorder)

    @property
    def landed(self) -> int:
        return self.under_test.landed(self.site)

    @property
    def reported(self) -> str:
        """Everything that was taken down."""
        return str(self.recorder.exchanges)

    async def close(self) -> None:
        for connector in self._connectors:
            await connector.close()


@pytest.fixture(params=sorted(UNDER_TEST))
async def bench(request: pytest.FixtureRequest, site: ImisSite) -> AsyncIterator[Bench]:
    under_test = UNDER_TEST[request.param]
    server = under_test.make_site(site)
    async with running(server):
        made = Bench(request.param, under_test, server)
        try:
            yield made
        finally:
            await made.close()


def test_every_folder_is_registered() -> None:
    """Each folder of a connector has its line in `KINDS`, under the name of the folder."""
    assert sorted(file.parent.name for file in CONNECTORS.glob("*/__init__.py")) == sorted(KINDS)


def test_every_kind_is_under_test() -> None:
    """Each registered kind has an entry for this suite, and nothing else has."""
    assert sorted(UNDER_TEST) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_field_is_described(kind: Kind) -> None:
    """Each field of the Settings, Credentials and Targets of a kind has a description, for the API's documentation."""
    for struct in (kind.settings, *kind.credentials, *kind.targets):
        assert [field.encode_name for field in fields(struct) if not _is_described(field.type)] == [], struct
    for struct in kind.credentials:
        assert all(field.encode_name in kind.description for field in fields(struct))


def _is_described(field_type: Any) -> bool:
    parts = get_args(field_type)
    is_here = any(isinstance(part, Meta) and part.description for part in parts)
    return is_here or any(map(_is_described, parts))


async def test_a_record_arrives_once(bench: Bench) -> None:
    """What is sent lands there, numbers as they are spelled, and the exchange that wrote it is taken down."""
    outcome = await bench.send()

    assert isinstance(outcome, Accepted), outcome
    assert bench.landed == 1
    sent = next(one for one in bench.site.received if bench.site.writes(one))
    assert b"1.30" in sent.body
    assert bench.recorder.last_written == sent.body.decode()


async def test_records_go_out_side_by_side(bench: Bench) -> None:
    """One connector sends many at once, each of them once."""
    connector = bench.connector()
    outbounds = [bench.outbound(delivery_id=f"NURSES-{uuid4()}", record_key=str(uuid4())) for _ in range(12)]
    outcomes = await asyncio.gather(*(connector.send(one, RecordedExchanges()) for one in outbounds))

    assert [type(outcome) for outcome in outcomes] == [Accepted] * 12
    assert bench.landed == 12


@pytest.mark.parametrize("status", sorted(COMMON))
async def test_what_a_status_means(bench: Bench, status: int) -> None:
    """Each status has the outcome of the contract or the one that the kind declares; a failure contains the reason."""
    bench.site.standing = Fault(says=Says(status, b"The reason of the subscriber."))
    outcome = await bench.send()

    assert Expected.of(outcome) == bench.under_test.statuses.get(status, COMMON[status]), outcome
    assert isinstance(outcome, Accepted) == (status in bench.kind.statuses.already_there)
    if not isinstance(outcome, Accepted):
        assert "The reason of the subscriber" in outcome.message
        assert len(outcome.message) < LONGEST_MESSAGE
    assert bench.landed == 0
    assert bench.recorder.exchanges[-1].status == status


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("in_words", [False, True], ids=["seconds", "date"])
async def test_a_wait_that_is_asked_for(bench: Bench, status: int, in_words: bool) -> None:
    """Retry-After is passed on, whether it is a number of seconds or a date."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    bench.site.standing = Fault(says=Says(status, headers={"Retry-After": date if in_words else "90"}))
    outcome = await bench.send()

    assert isinstance(outcome, Postponed)
    assert outcome.retry_after_seconds
    assert 60 < outcome.retry_after_seconds <= 90


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(bench: Bench, status: int) -> None:
    """Nothing is asked for at the address a redirect names; the message names it."""
    elsewhere = Receiver()
    async with running(elsewhere):
        place = f"{elsewhere.address}/elsewhere"
        bench.site.standing = Fault(says=Says(status, headers={"Location": place}))
        outcome = await bench.send()

    assert isinstance(outcome, Refused)
    assert place in outcome.message
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "raw",
    [b"", b"HTTP/1", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"],
    ids=["cut", "half a line", "no HTTP", "no status"],
)
@pytest.mark.parametrize("is_carried_out", [True, False], ids=["carried out", "not carried out"])
async def test_an_answer_without_a_status(bench: Bench, raw: bytes, is_carried_out: bool) -> None:
    """Cut in its first line, or no HTTP at all: whether it was carried out is not known, and the outcome says so."""
    bench.site.fail(Fault(carried_out=is_carried_out, raw=raw))
    outcome = await bench.send()

    assert Expected.of(outcome) == bench.under_test.cut, outcome
    assert bench.landed == is_carried_out
    assert [word for word in LIBRARY_WORDS if word in getattr(outcome, "message", "")] == []


@pytest.mark.parametrize("spelling", READABLE.values(), ids=READABLE)
async def test_a_success_counts_however_it_is_written(bench: Bench, spelling: Spelling) -> None:
    """A 2xx in the first line with a body that can be read is a success, whatever else is odd about the answer."""
    bench.site.fail(Fault(carried_out=True, spelled=spelling))
    outcome = await bench.send()

    assert isinstance(outcome, Accepted), outcome
    assert bench.landed == 1


@pytest.mark.parametrize("spelling", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_success_with_an_unreadable_body(bench: Bench, spelling: Spelling) -> None:
    """A 2xx is a success where no body is needed; elsewhere the outcome is found out, and nobody is paused."""
    bench.site.fail(Fault(carried_out=True, spelled=spelling))
    outcome = await bench.send()

    assert Expected.of(outcome) == bench.under_test.unreadable, outcome
    said = bench.reported + str(getattr(outcome, "message", ""))
    assert [word for word in LIBRARY_WORDS if word in said] == []
    if isinstance(outcome, Unknown) and not outcome.is_final:
        assert isinstance(await bench.send(outbound={"outcome_unknown": True}), Accepted)
    assert bench.landed == 1


@pytest.mark.parametrize("raw", WITHOUT_BODY.values(), ids=WITHOUT_BODY)
async def test_a_success_without_a_body_that_has_one(bench: Bench, raw: bytes) -> None:
    """A body where HTTP allows none changes nothing, and is not taken for the answer to the next request."""
    connector = bench.connector()
    bench.site.fail(Fault(carried_out=True, raw=raw))
    outcomes = [await connector.send(bench.outbound(), bench.recorder)]
    outcomes += [await connector.send(bench.outbound(delivery_id="NURSES-2", record_key="two"), bench.recorder)]

    needs_body = bench.under_test.unreadable.is_final
    assert [type(outcome) for outcome in outcomes] == [Unknown if needs_body else Accepted, Accepted]
    assert not getattr(outcomes[0], "subscriber_is_away", False)
    assert bench.landed == 2


@pytest.mark.parametrize("spelling", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("status", [302, 400, 401, 429, 500, 503])
async def test_the_status_decides_whatever_follows_it(bench: Bench, status: int, spelling: Spelling) -> None:
    """A failure is what its status says, also where its headers and body cannot be read."""
    bench.site.standing = Fault(raw=spelling(Says(status)))
    outcome = await bench.send()

    assert Expected.of(outcome) == bench.under_test.statuses.get(status, COMMON[status]), outcome
    assert bench.recorder.exchanges[-1].status == status


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_wait_that_the_subscriber_asks_for_is_passed_on(bench: Bench, status: int) -> None:
    """Also one of three centuries, which is cut to a day; with every status that holds the whole subscriber."""
    for asked, seconds in (("17", 17), ("9999999999", LONGEST_ASKED_WAIT_SECONDS)):
        bench.site.answer(status, Retry_After=asked)
        outcome = await bench.send()
        assert isinstance(outcome, Postponed | Unknown)
        assert outcome.retry_after_seconds == seconds


async def test_an_answer_that_does_not_come_in_time(bench: Bench) -> None:
    """A time-out after sending is distinguished from one before."""
    connector = bench.connector(timeout_seconds=1)
    bench.site.standing = Fault(carried_out=True, says=Says(200), after_seconds=10)
    outcome = await connector.send(bench.outbound(), bench.recorder)

    assert Expected.of(outcome) == bench.under_test.late, outcome
    assert bench.landed == 1


async def test_a_success_whose_body_does_not_come_in_time(bench: Bench) -> None:
    """The first line came: a success where no body is needed, and otherwise a time-out after sending."""
    bench.site.standing = Fault(carried_out=True, spelled=UNREADABLE["half"], and_stalls=True)
    outcome = await bench.send(timeout_seconds=1)

    accepted = Expected(Accepted, "")
    expected = accepted if bench.under_test.unreadable == accepted else bench.under_test.late
    assert Expected.of(outcome) == expected, outcome
    assert bench.landed == 1


@pytest.mark.parametrize("bench", [name for name, kind in UNDER_TEST.items() if kind.repeated], indirect=True)
async def test_what_is_in_doubt_and_sent_again(bench: Bench) -> None:
    """Where the subscriber can be asked nothing is doubled; where it cannot, it gets the same once more."""
    bench.site.fail(Fault(carried_out=True))
    await bench.send()
    outcome = await bench.send(outbound={"outcome_unknown": True})

    assert isinstance(outcome, Accepted), outcome
    assert bench.landed == bench.under_test.repeated
    assert not bench.under_test.cut.is_final


async def test_a_refused_connection_was_surely_not_carried_out(bench: Bench) -> None:
    """A refused connection is surely not carried out, and the subscriber is away."""
    await bench.site.stop()
    outcome = await bench.send()

    assert Expected.of(outcome) == Expected(Postponed, "connection_failed", is_away=True)


async def test_no_connection_in_time(bench: Bench) -> None:
    """A time-out before anything was sent is surely not carried out either."""
    with _deaf_port() as port:
        address = f"http://127.0.0.1:{port}{bench.under_test.path}"
        outcome = await bench.send(timeout_seconds=1, **{bench.under_test.address: address})

    assert Expected.of(outcome) == Expected(Postponed, "timed_out", is_away=True)


@pytest.mark.parametrize("host", ["https://localhost", "https://127.0.0.1", "http://localhost", "https://0x7f.1"])
async def test_an_address_that_is_not_allowed(bench: Bench, host: str) -> None:
    """The address that a name leads to is checked when the hub connects: nothing is sent, and the setting is named."""
    address = f"{host}:{bench.site.port}{bench.under_test.path}"
    setting: dict[str, Any] = {bench.under_test.address: address}
    outcome = await bench.send(guard=Guard(), **setting)

    assert Expected.of(outcome) == Expected(Refused, "target_not_allowed")
    assert isinstance(outcome, Refused)
    assert SETTING in outcome.message
    assert bench.site.connections == 0
    checked = await bench.connector(guard=Guard(), **setting).check()
    assert (checked.works, bench.site.connections) == (False, 0)
    assert SETTING in str(checked.findings)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 500])
async def test_secrets_stay_inside(bench: Bench, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """A secret that the other side repeats is reported nowhere: not with attempts, not in messages, not in the log."""
    caplog.set_level(logging.DEBUG)
    secrets = bench.under_test.secrets
    heard = [*secrets, *(json.dumps(secret) for secret in secrets)]
    body = " ".join(heard).encode()
    bench.site.standing = Fault(says=Says(status, body, {"X-Echo": heard[0], "Location": f"/?key={heard[0]}"}))
    connector = bench.connector()
    outcome = await connector.send(bench.outbound(), bench.recorder)

    assert bench.recorder.exchanges
    reported = bench.reported + repr(outcome) + repr(connector) + caplog.text
    assert [secret for secret in secrets if secret in reported] == []
    for exchange in bench.recorder.exchanges:
        shown = {name.lower(): value for name, value in exchange.headers.items()}
        assert shown.get("authorization") in (None, "***")


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_huge_answer_is_bounded(bench: Bench, status: int) -> None:
    """Of an answer without end a part is read, less is kept, and the message stays readable."""
    bench.site.standing = Fault(says=Says(status, b"x" * (MAX_BODY_BYTES + 1000)))
    outcome = await bench.send()

    assert len(bench.recorder.exchanges[-1].response_body or "") <= KEPT_BODY_BYTES
    assert len(getattr(outcome, "message", "")) < LONGEST_MESSAGE


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe\0\0", b"[" * 5000, b"null", b'{"Message": {"a": [1]}}', b'{"Message": "a\\u0000\\ud800"}', b"\0" * 100],
    ids=["no text", "deep", "null", "nested", "escaped", "zeros"],
)
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_rubbish_is_an_answer(bench: Bench, status: int, body: bytes) -> None:
    """Whatever bytes an answer has, there is an outcome, and what is taken down can be stored."""
    bench.site.standing = Fault(says=Says(status, body, {"Content-Type": "application/json"}))
    outcome = await bench.send()

    said = bench.reported + getattr(outcome, "message", "")
    assert "\0" not in said
    said.encode()
    if status == 400:
        assert Expected.of(outcome) == Expected(Refused, "refused")


async def test_a_removal_succeeds_or_is_refused_without_a_request(bench: Bench) -> None:
    """A record that can be removed is removed; any other removal is refused without a request to the subscriber."""
    connector = bench.connector()
    sent = await connector.send(bench.outbound(), bench.recorder)
    assert isinstance(sent, Accepted)
    written = sum(map(bench.site.writes, bench.site.received))
    payload = bench.under_test.payload if bench.kind.removal_has_payload else {}
    removal = bench.outbound(action="remove", payload=payload, participant_id="", record_id=sent.record_id)
    outcome = await connector.remove(removal, bench.recorder)

    if bench.kind.can_remove:
        assert isinstance(outcome, Accepted), outcome
        assert sum(map(bench.site.writes, bench.site.received)) == written + 1
    else:
        assert isinstance(outcome, Refused)
        assert sum(map(bench.site.writes, bench.site.received)) == written


@pytest.mark.parametrize("bench", [name for name, kind in KINDS.items() if kind.batch], indirect=True)
async def test_a_batch_has_an_outcome_for_each(bench: Bench) -> None:
    """Where many go out at once each delivery has an outcome, in one request, also where it fails."""
    assert bench.kind.batch
    assert bench.kind.max_concurrency(bench.under_test.settings_for(bench.site)) >= bench.kind.batch.most
    connector: Any = bench.connector()
    outbounds = [bench.outbound(delivery_id=f"NURSES-{uuid4()}") for _ in range(bench.kind.batch.most)]
    accepted = await connector.send_many(outbounds, bench.recorder)
    bench.site.answer(400)
    refused = await connector.send_many(outbounds, bench.recorder)

    assert [type(outcome) for outcome in accepted] == [Accepted] * len(outbounds)
    assert [type(outcome) for outcome in refused] == [Refused] * len(outbounds)
    assert (bench.landed, len(bench.site.received)) == (len(outbounds), 2)


async def test_a_check_says_what_it_found(bench: Bench) -> None:
    """In sentences, without writing anything, both where it works and where nobody is there."""
    connector = bench.connector()
    there = await connector.check()
    written = [one for one in bench.site.received if bench.site.writes(one)]
    await bench.site.stop()
    gone = await connector.check()

    assert (there.works, gone.works) == (True, False)
    for sentence in (*there.findings, *gone.findings):
        assert sentence.endswith(".")
        assert not any(secret in sentence for secret in bench.under_test.secrets)
    assert there.findings
    assert gone.findings
    assert (written, bench.landed) == ([], 0)


async def test_a_check_looks_after_what_subscriptions_need(bench: Bench) -> None:
    """Told of subscriptions that fit, it finds nothing wrong; each sentence is there for programs too, in order."""
    under_test = bench.under_test
    needs = [
        Needs(subscription_id="first", target=under_test.target, templates=[under_test.payload]),
        Needs(subscription_id="second", target=under_test.target, templates=[dict.fromkeys(under_test.payload, UNSET)]),
    ]
    checked = await bench.connector().check(needs)

    assert (checked.works, checked.is_open) == (True, True), checked.findings
    assert checked.findings == [f"{one.message} {one.advice}".rstrip() for one in checked.details]
    assert {one.state for one in checked.details} <= {"fine", "look"}
    assert {name for one in checked.details for name in one.subscription_ids} <= {"first", "second"}
    assert bench.landed == 0


async def test_a_check_does_not_wait_for_ever(bench: Bench) -> None:
    """Where nobody answers, it ends in the time of an exchange or two and says so."""
    with _deaf_port() as port:
        setting: dict[str, Any] = {bench.under_test.address: f"http://127.0.0.1:{port}{bench.under_test.path}"}
        began = time.monotonic()
        checked = await bench.connector(timeout_seconds=0.5, **setting).check()

    assert (checked.works, checked.is_open) == (False, False)
    assert time.monotonic() - began < 5


async def test_closing_lets_go(bench: Bench) -> None:
    """After close the subscriber has no connection of the hub any more."""
    connector = bench.connector()
    await connector.send(bench.outbound(), bench.recorder)
    await connector.close()

    async def open_lines() -> int:
        return len(bench.site._talks)

    await eventually(open_lines, until=lambda count: count == 0, seconds=10)


def test_what_is_right_has_no_faults(bench: Bench) -> None:
    """Settings, credentials, target and template of the suite are right."""
    under_test, kind = bench.under_test, bench.kind
    settings = under_test.settings_for(bench.site)

    assert kind.check_settings(settings, HERE) == []
    assert kind.check_credentials(under_test.credentials) == []
    assert kind.check_target(under_test.target) == []
    assert kind.check_template(under_test.target, under_test.payload, settings) == []
    assert kind.time_zone(settings) == "UTC"
    assert kind.time_zone({**settings, "TimeZone": "America/New_York"}) == "America/New_York"
    assert kind.max_concurrency(settings) >= 1


def test_all_faults_are_named_at_once(bench: Bench) -> None:
    """Every bad field is named with its whole path, and no message repeats a credential."""
    under_test, kind = bench.under_test, bench.kind
    address = f"Settings.{under_test.address}"
    bad = {"TimeZone": "Mars/Olympus", "Colour": "red"}

    assert {error.field for error in kind.check_settings(bad, HERE)} == {
        "Settings.TimeZone",
        "Settings.Colour",
        address,
    }
    for wrong in (None, 7, "", "nonsense", "ftp://example.org", "https://user:word@example.org", "https://10.0.0.1"):
        errors = kind.check_settings({**under_test.settings, under_test.address: wrong}, Guard())
        assert [error.field for error in errors] == [address], wrong
        assert errors[0].message
    errors = kind.check_credentials({**under_test.credentials, "Colour": "s3cret"})
    assert [error.field for error in errors] == ["Credentials.Colour"]
    errors = kind.check_credentials({name: ["s3cret"] for name in under_test.credentials})
    assert {error.field for error in errors} == {f"Credentials.{name}" for name in under_test.credentials}
    assert "s3cret" not in str(errors)
    for without in ({"Kind": "fax"}, {}):
        first, *others = (error.field for error in kind.check_target(without))
        assert first == "Target.Kind"
        assert set(others) <= {f"Target.{name}" for name in under_test.target}
    errors = kind.check_target({"Kind": "fax", "Colour": "red"})
    assert {"Target.Kind", "Target.Colour"} <= {error.field for error in errors}
    errors = kind.check_target({**under_test.target, "Colour": "red"})
    assert [error.field for error in errors] == ["Target.Colour"]


@contextlib.contextmanager
def _deaf_port() -> Iterator[int]:
    """A port where connections are neither taken nor refused: its queue is full."""
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        yield deaf.getsockname()[1]
