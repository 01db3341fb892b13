"""Every status and body of the iMIS reference, section 6, and pages of lists: what becomes of a delivery."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from connectors.imis_site import ROBIN, ROW, ImisSite, RecordedExchanges, an_outbound_record
from connectors.kinds_under_test import PASSWORD, ImisBehindServer
from http_server import HttpServer, Received, Says, running

from learning_hub.connectors.addresses import Guard
from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.connectors.outcomes import Accepted, ParticipantFound, Postponed, Refused

VALIDATION = {
    "$type": "Asi.Soa.Core.DataContracts.ValidationResultsData, Asi.Contracts",
    "Errors": {
        "$type": "Asi.Soa.Core.DataContracts.ValidationResultDataCollection, Asi.Contracts",
        "$values": [
            {
                "$type": "Asi.Soa.Core.DataContracts.ValidationResultData, Asi.Contracts",
                "FieldName": "CourseCode",
                "FieldValue": "FIRE-201",
                "Location": "TopClass_Learning",
                "Message": "CourseCode must not be longer than 80 characters.",
            }
        ],
    },
    "Warnings": {"$values": []},
}
BARE_VALIDATION = {"Errors": {"$values": [{"Message": "Not like this."}]}}
HTTP_ERROR = {"$type": "System.Web.Http.HttpError, System.Web.Http", "Message": "No HTTP resource was found."}
ADMINISTRATOR = "An error occurred. Please contact the administrator."


@pytest.fixture
async def behind(site: ImisSite) -> AsyncIterator[ImisBehindServer]:
    """The sandbox behind a server that answers a write as configured."""
    server = ImisBehindServer(site)
    async with running(server):
        yield server


@pytest.fixture
async def talker(behind: ImisBehindServer) -> AsyncIterator[ImisConnector]:
    credentials = {"Username": "sandbox", "Password": PASSWORD}
    made = ImisConnector({"BaseUrl": behind.address}, credentials, guard=Guard(["127.0.0.1"]), timeout_seconds=15)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "words"),
    [
        (400, VALIDATION, Refused, "refused", "CourseCode must not be longer than 80 characters."),
        (400, BARE_VALIDATION, Refused, "refused", "Not like this."),
        (400, "The request is not understood.", Refused, "refused", "The request is not understood."),
        (400, HTTP_ERROR, Refused, "refused", "No HTTP resource was found."),
        (401, HTTP_ERROR, Postponed, "token_denied", "No HTTP resource was found."),
        (403, "Not for this account.", Refused, "refused", "Not for this account."),
        (404, HTTP_ERROR, Refused, "refused", "No HTTP resource was found."),
        (404, "", Refused, "refused", "404"),
        (405, HTTP_ERROR, Refused, "refused", "No HTTP resource was found."),
        (408, "Too slow.", Postponed, "timed_out", "Too slow."),
        (409, "There is one already.", Refused, "refused", "There is one already."),
        (413, "", Refused, "refused", "413"),
        (418, "", Refused, "refused", "418"),
        (429, "Later.", Postponed, "rate_limited", "Later."),
        (500, ADMINISTRATOR, Postponed, "subscriber_error", ADMINISTRATOR),
        (500, HTTP_ERROR, Postponed, "subscriber_error", "No HTTP resource was found."),
        (501, "Operation not implemented", Refused, "refused", "Operation not implemented"),
        (502, "<html>", Postponed, "connection_failed", "an HTML page"),
        (503, "", Postponed, "connection_failed", "503"),
        (504, "", Postponed, "timed_out", "504"),
    ],
    ids=str,
)
async def test_every_answer_has_its_outcome_and_its_words(
    status: int,
    body: Any,
    kind: type,
    code: str,
    words: str,
    behind: ImisBehindServer,
    talker: ImisConnector,
    recorder: RecordedExchanges,
) -> None:
    """Statuses and bodies of section 6, with what iMIS said kept for the person."""
    raw = body if isinstance(body, str) else json.dumps(body)
    content_type = "text/plain" if isinstance(body, str) else "application/json; charset=utf-8"
    for _ in range(2 if status == 401 else 1):
        behind.answer(status, raw.encode(), Content_Type=content_type)
    outcome = await talker.send(an_outbound_record(), recorder)
    assert isinstance(outcome, kind)
    assert isinstance(outcome, Refused | Postponed)
    assert (outcome.code, words in outcome.message) == (code, True), outcome.message
    assert behind.sandbox.activities() == []


@pytest.mark.parametrize(
    "switches",
    [
        {"PostStatus": 200},
        {"PostStatus": 202},
        {"PutStatus": 201, "PutBody": "empty"},
        {"DeleteStatus": 204},
    ],
    ids=str,
)
async def test_every_success_is_one(
    switches: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """200, 201, 202 and 204, with the stored record and with an empty body."""
    site.switch(**switches)
    first = await connector.send(an_outbound_record(), recorder)
    assert isinstance(first, Accepted)
    payload = {**an_outbound_record().payload, "Description": "Water"}
    changed = await connector.send(an_outbound_record(payload=payload, record_id=first.record_id), recorder)
    assert isinstance(changed, Accepted)
    removed = await connector.remove(an_outbound_record(action="remove", record_id=first.record_id), recorder)
    assert removed == Accepted(record_id=first.record_id)


async def test_a_bad_payload_reported_as_an_error_of_the_server_keeps_its_words(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Some bad payloads are answered with 500 and a text: it is retried some times, and the text is reported."""
    site.switch(ValidationAnswer="text-500")
    outcome = await connector.send(
        an_outbound_record(payload={**an_outbound_record().payload, "ActivityType": "NONE"}), recorder
    )
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away) == ("subscriber_error", False)
    assert ADMINISTRATOR.rstrip(".") in outcome.message


async def test_an_identity_goes_out_with_its_elements_joined(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """`~ID|Ordinal`, its bar percent-encoded in the address."""
    target = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    assert first.record_id == f"~{ROBIN}|1"
    await connector.send(an_outbound_record(target, payload={**ROW, "Units": 7}, record_id=first.record_id), recorder)
    put = next(one for one in recorder.exchanges if one.method == "PUT")
    assert put.url.endswith(f"/api/LH_Learning/~{ROBIN}%7C1")


async def test_filters_go_out_with_operators_in_words(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Never with the signs, of which one is no operator at some versions."""
    target = {"Kind": "panel", "Name": "LH_Learning", "KeyProperty": "RecordKey"}
    await connector.find_participant("robin.vale@example.org", recorder)
    await connector.send(an_outbound_record(target, outcome_unknown=True), recorder)
    await connector.send(an_outbound_record({"Kind": "panel", "Name": "TopClass_Learning"}), recorder)
    searched = [one.url.partition("?")[2] for one in recorder.exchanges if "limit=" in one.url]
    assert len(searched) >= 4
    for query in searched:
        filters = [one for one in query.split("&") if not one.startswith(("limit=", "offset="))]
        assert filters
        assert all("=eq:" in one for one in filters), query


class PagedSite(HttpServer):
    """A site that shows contacts two at a time, whatever limit it is asked for; *rows* are e-mail addresses."""

    def __init__(self, rows: list[str], next_offset: int | None = None) -> None:
        super().__init__()
        self._rows = rows
        self._next_offset = next_offset

    async def handle(self, request: Received) -> Says:
        if request.path == "/token":
            return _json({"access_token": "t", "token_type": "bearer", "expires_in": 1000})
        offset = int(request.query["offset"])
        shown = self._rows[offset : offset + 2]
        after = offset + len(shown)
        items = [{"PartyId": str(offset + at), "Email": email} for at, email in enumerate(shown)]
        last = 0 if after >= len(self._rows) else after
        return _json(
            {
                "Items": {"$type": "x", "$values": items},
                "Offset": offset,
                "Limit": 2,
                "Count": len(shown),
                "TotalCount": len(self._rows),
                "NextPageLink": None,
                "HasNext": last > 0,
                "NextOffset": last if self._next_offset is None else self._next_offset + offset,
            }
        )


def _json(value: Any) -> Says:
    return Says(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


async def _find(site: PagedSite, recorder: RecordedExchanges) -> Any:
    credentials = {"Username": "u", "Password": "p"}
    made = ImisConnector({"BaseUrl": site.address}, credentials, guard=Guard(["127.0.0.1"]), timeout_seconds=15)
    try:
        return await made.find_participant("last@example.org", recorder)
    finally:
        await made.close()


async def test_pages_are_followed_by_the_next_offset(recorder: RecordedExchanges) -> None:
    """Not by how many rows came: a site gives fewer than it was asked for."""
    site = PagedSite(["a@example.org"] * 4 + ["last@example.org"])
    async with running(site):
        assert await _find(site, recorder) == ParticipantFound("4")
    assert [one.query["offset"] for one in site.received[1:]] == ["0", "2", "4"]


async def test_a_page_without_rows_is_the_last(recorder: RecordedExchanges) -> None:
    """Also where it names a next offset: a list that shrinks while it is read comes to an end."""
    site = PagedSite(["a@example.org"] * 3, next_offset=2)
    async with running(site):
        found = await _find(site, recorder)
    assert isinstance(found, Refused)
    assert found.code == "participant_not_found"
    assert [one.query["offset"] for one in site.received[1:]] == ["0", "2", "4"]
