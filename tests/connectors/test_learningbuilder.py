"""What LearningBuilder gets, and how one is set up; what all connectors promise is in test_conformance.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from connectors.imis_site import RecordedExchanges
from http_server import Fault, Says, running
from learningbuilder_site import API_KEY, PROCESS, LearningBuilder

from learning_hub.connectors.addresses import SETTING, Guard
from learning_hub.connectors.base import OutboundRecord
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.learningbuilder.connector import LearningBuilderConnector
from learning_hub.connectors.learningbuilder.settings import check_credentials, check_settings, check_target
from learning_hub.connectors.outcomes import Accepted, Postponed, Refused, Unknown
from learning_hub.model.json_values import read_json

TARGET = {"Kind": "import", "ImportProcessId": PROCESS}
EMAILS: dict[str, Any] = {"SuccessEmail": "imports+ok@example.org", "FailureEmail": "imports@example.org"}


def an_outbound_record(number: int = 1, **changed: Any) -> OutboundRecord:
    given: dict[str, Any] = {
        "delivery_id": f"NURSES-01890a5d-ac96-774b-bcce-{number:012}",
        "action": "send",
        "target": TARGET,
        "payload": read_json(f'{{"Number":{number},"Units":1.30,"Title":"two\\nlines, F\u00e4rbung"}}'),
        "participant_id": "",
        "record_key": "01890a5d-ac96-774b-bcce-b302099a8057",
    }
    return OutboundRecord(**{**given, **changed})


@pytest.fixture
async def site() -> AsyncIterator[LearningBuilder]:
    server = LearningBuilder()
    async with running(server):
        yield server


async def send(
    site: LearningBuilder, *outbounds: OutboundRecord, timeout_seconds: float = 10, **settings: Any
) -> tuple[list[Any], RecordedExchanges]:
    """The outcomes of sending *outbounds* as one batch, and what was taken down."""
    recorder = RecordedExchanges()
    connector = LearningBuilderConnector(
        {"BaseUrl": site.address, **settings},
        {"ApiKey": API_KEY},
        guard=Guard(["127.0.0.1"]),
        timeout_seconds=timeout_seconds,
    )
    try:
        return list(await connector.send_many(outbounds, recorder)), recorder
    finally:
        await connector.close()


async def test_many_events_are_one_batch(site: LearningBuilder) -> None:
    """Each payload is a line of one request, in order and to the character; each delivery gets the batch's number."""
    outbounds = [an_outbound_record(number) for number in range(1, 501)]
    outcomes, recorder = await send(site, *outbounds, **EMAILS)

    (batch,) = site.batches
    (request,) = site.received
    assert request.body.split(b"\n")[0] == '{"Number":1,"Units":1.30,"Title":"two\\nlines, Färbung"}'.encode()
    assert [line["Number"] for line in batch.lines] == list(range(1, 501))
    assert outcomes == [
        Accepted(record_id="4711", note="Accepted for import as batch 4711, not yet imported."),
    ] * 500  # fmt: skip
    assert batch.query == {
        "fileName": f"learning-hub-{outbounds[0].delivery_id}-500.jsonl",
        "importProcessId": "77",
        "creationPath": "LH",
        "sendSuccessEmailTo": "imports+ok@example.org",
        "sendFailureEmailTo": "imports@example.org",
    }
    assert (request.headers["authorization"], request.headers["content-type"]) == (
        f"apikey {API_KEY}",
        "application/x-ndjson",
    )
    assert "WORKFLOW_IMPORT_QUEUE_BATCH_ID" in (recorder.exchanges[0].response_body or "")
    assert API_KEY not in str(recorder.exchanges)


async def test_one_event_is_a_batch_of_one(site: LearningBuilder) -> None:
    """Without e-mail addresses the parameters for them are empty, as all five are sent; the process may be a number."""
    connector = LearningBuilderConnector(
        {"BaseUrl": f"{site.address}/"}, {"ApiKey": API_KEY}, guard=Guard(["127.0.0.1"]), timeout_seconds=10
    )
    outcome = await connector.send(
        an_outbound_record(target={"Kind": "import", "ImportProcessId": 77}), RecordedExchanges()
    )
    await connector.close()

    assert isinstance(outcome, Accepted)
    query = site.received[0].target.partition("?")[2]
    assert dict(parse_qsl(query, keep_blank_values=True)) == {
        "fileName": f"learning-hub-{an_outbound_record().delivery_id}-1.jsonl",
        "importProcessId": "77",
        "creationPath": "LH",
        "sendSuccessEmailTo": "",
        "sendFailureEmailTo": "",
    }


async def test_a_line_is_used_once(site: LearningBuilder) -> None:
    """Each batch has a connection of its own: a kept one may be closed just when a batch goes out."""
    await send(site, an_outbound_record())
    await send(site, an_outbound_record(2))
    assert [request.headers["connection"] for request in site.received] == ["close", "close"]
    assert site.connections == 2


@pytest.mark.parametrize(
    ("body", "batch_id"),
    [
        (b'{"WORKFLOW_IMPORT_QUEUE_BATCH_ID": 12}', "12"),
        (b'{"WORKFLOW_IMPORT_QUEUE_BATCH_ID": "a-12"}', "a-12"),
        (b'{"Data": [{"workflow_import_queue_batch_id": 12}], "Url": "x"}', "12"),
        (b'{"d": {"WorkflowImportQueueBatchId": 12}}', "12"),
        (b"WORKFLOW_IMPORT_QUEUE_BATCH_ID: 12", "12"),
        (b"<r><WORKFLOW_IMPORT_QUEUE_BATCH_ID>12</WORKFLOW_IMPORT_QUEUE_BATCH_ID></r>", "12"),
        (b'{"WORKFLOW_IMPORT_QUEUE_BATCH_ID": null}', None),
        (b'{"WORKFLOW_IMPORT_QUEUE_BATCH_ID": true}', None),
        (b'{"WORKFLOW_IMPORT_QUEUE_BATCH_ID": {}}', None),
        (b'{"WORKFLOW_IMPORT_QUEUE_BATCH_ID": ""}', None),
        (b"<html>Welcome</html>", None),
        (b"", None),
        (b"[" * 5000, None),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_the_number_of_the_batch_is_found(site: LearningBuilder, body: bytes, batch_id: str | None) -> None:
    """Wherever it stands in the answer; without one nobody knows what answered, and a person has to look."""
    site.answer(200, body)
    (outcome,), _ = await send(site, an_outbound_record())

    if batch_id:
        assert (outcome.record_id, batch_id in outcome.note) == (batch_id, True)
    else:
        assert isinstance(outcome, Unknown)
        assert outcome.is_final
        assert not outcome.subscriber_is_away


@pytest.mark.parametrize("status", [500, 502, 504, 505, 599])
async def test_what_may_have_been_taken_is_for_a_person(site: LearningBuilder, status: int) -> None:
    """After a server's failure the batch may be there all the same: it is not sent again by itself."""
    site.answer(status, b'{"Message": "Object reference not set"}')
    outcomes, _ = await send(site, an_outbound_record(1), an_outbound_record(2))

    for outcome in outcomes:
        assert isinstance(outcome, Unknown)
        assert outcome.is_final
        assert outcome.subscriber_is_away == (status in (502, 504))
        assert "Object reference not set" in outcome.message
        assert f"learning-hub-{an_outbound_record(1).delivery_id}-2.jsonl" in outcome.message


async def test_what_learningbuilder_says_of_each_field_reaches_staff(site: LearningBuilder) -> None:
    """An error of .NET has the fields beside its message."""
    site.answer(400, b'{"Message": "The request is invalid.", "ModelState": {"importProcessId": ["Unknown process."]}}')
    (outcome,), _ = await send(site, an_outbound_record())
    assert isinstance(outcome, Refused)
    assert "400, The request is invalid. importProcessId: Unknown process." in outcome.message
    site.answer(400, b'{"title": "Not valid.", "status": 400, "errors": {"importProcessId": ["Unknown process."]}}')
    (outcome,), _ = await send(site, an_outbound_record())
    assert isinstance(outcome, Refused)
    assert "400, Not valid. importProcessId: Unknown process." in outcome.message


@pytest.mark.parametrize("status", [408, 425, 429, 503])
async def test_what_was_surely_not_taken_goes_again(site: LearningBuilder, status: int) -> None:
    """What answers so has not begun: the whole batch is sent again, when Retry-After says."""
    site.answer(status, Retry_After="7")
    outcomes, _ = await send(site, an_outbound_record(1), an_outbound_record(2))

    for outcome in outcomes:
        assert isinstance(outcome, Postponed)
        assert (outcome.in_doubt, outcome.retry_after_seconds) == (False, 7)


async def test_a_batch_that_was_cut_is_for_a_person(site: LearningBuilder) -> None:
    """Where the batch was taken and the answer lost, every delivery of it says so, and nothing is sent twice."""
    site.fail(Fault(carried_out=True))
    outcomes, _ = await send(site, an_outbound_record(1), an_outbound_record(2))

    assert [outcome.is_final for outcome in outcomes] == [True, True]
    assert len(site.batches) == 1


async def test_a_batch_that_takes_too_long_is_for_a_person(site: LearningBuilder) -> None:
    """A time-out after sending says nothing of what became of the batch."""
    site.fail(Fault(carried_out=True, says=Says(200), after_seconds=5))
    (outcome,), _ = await send(site, an_outbound_record(), timeout_seconds=0.5)
    assert (outcome.code, outcome.is_final) == ("timed_out", True)


async def test_a_process_that_is_not_there(site: LearningBuilder) -> None:
    """What LearningBuilder refuses is reported in its own words, for the whole batch."""
    target = {"Kind": "import", "ImportProcessId": "99"}
    outcomes, _ = await send(site, an_outbound_record(1, target=target), an_outbound_record(2, target=target))

    message = "LearningBuilder answered 400, There is no such import process."
    assert outcomes == [Refused(code="refused", message=message)] * 2


async def test_nothing_is_taken_back(site: LearningBuilder) -> None:
    """A removal is refused with what to do, and nothing is sent; a subscription that asks for one cannot be saved."""
    connector = LearningBuilderConnector(
        {"BaseUrl": site.address}, {"ApiKey": API_KEY}, guard=Guard(["127.0.0.1"]), timeout_seconds=10
    )
    outcome = await connector.remove(an_outbound_record(action="remove"), RecordedExchanges())
    await connector.close()

    assert isinstance(outcome, Refused)
    assert site.received == []
    assert not KINDS["learningbuilder"].can_remove


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, []),
        ({"SuccessEmail": "a@example.org", "FailureEmail": None, "TimeZone": "America/New_York"}, []),
        ({"BaseUrl": "https://lb.example.org/tenant/"}, []),
        ({"BaseUrl": None}, ["Settings.BaseUrl"]),
        ({"BaseUrl": "https://lb.example.org/API/WorkflowImportQueue"}, ["Settings.BaseUrl"]),
        ({"BaseUrl": "https://lb.example.org/?a=b"}, ["Settings.BaseUrl"]),
        ({"SuccessEmail": "a@b@c", "FailureEmail": "a, b@x.org"}, ["Settings.FailureEmail", "Settings.SuccessEmail"]),
        ({"SuccessEmail": "", "FailureEmail": 7}, ["Settings.FailureEmail", "Settings.SuccessEmail"]),
        ({"SuccessEmail": "a@example.org\r\nBcc:b@x.org"}, ["Settings.SuccessEmail"]),
        ({"TimeZone": "Mars/Olympus", "Colour": 1}, ["Settings.Colour", "Settings.TimeZone"]),
        ({"MaxConcurrency": 5}, ["Settings.MaxConcurrency"]),
    ],
)
def test_which_settings_are_taken(changes: dict[str, Any], fields: list[str]) -> None:
    """Every bad field is named with its whole path, and no other."""
    settings = {"BaseUrl": "https://lb.example.org", **changes}
    assert sorted(error.field for error in check_settings(settings, Guard())) == fields


def test_a_forbidden_address_names_the_setting() -> None:
    """A private address is refused when it is saved."""
    (error,) = check_settings({"BaseUrl": "https://10.0.0.1"}, Guard())
    assert (error.field, SETTING in error.message) == ("Settings.BaseUrl", True)


@pytest.mark.parametrize(
    ("credentials", "fields"),
    [
        ({"ApiKey": "abc def"}, []),
        ({}, ["Credentials.ApiKey"]),
        ({"ApiKey": None}, ["Credentials.ApiKey"]),
        ({"ApiKey": "", "Token": "x"}, ["Credentials.ApiKey", "Credentials.Token"]),
        ({"ApiKey": "s3cret\r\nX: y"}, ["Credentials.ApiKey"]),
        ({"ApiKey": "s3crët"}, ["Credentials.ApiKey"]),
    ],
)
def test_which_credentials_are_taken(credentials: dict[str, Any], fields: list[str]) -> None:
    """Every bad field is named, and nothing that was sent is repeated."""
    errors = check_credentials(credentials)
    assert sorted(error.field for error in errors) == fields
    assert "s3cr" not in str(errors)


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ({"Kind": "import", "ImportProcessId": "77"}, []),
        ({"Kind": "import", "ImportProcessId": 77}, []),
        ({"Kind": "import"}, ["Target.ImportProcessId"]),
        ({"Kind": "import", "ImportProcessId": None}, ["Target.ImportProcessId"]),
        ({"Kind": "import", "ImportProcessId": ""}, ["Target.ImportProcessId"]),
        ({"Kind": "import", "ImportProcessId": " 7"}, ["Target.ImportProcessId"]),
        ({"Kind": "import", "ImportProcessId": True}, ["Target.ImportProcessId"]),
        ({"Kind": "import", "ImportProcessId": -1}, ["Target.ImportProcessId"]),
        ({"Kind": "import", "ImportProcessId": 7, "Name": "x"}, ["Target.Name"]),
        ({"Kind": "post"}, ["Target.Kind", "Target.ImportProcessId"]),
    ],
)
def test_which_targets_are_taken(target: dict[str, Any], fields: list[str]) -> None:
    """The target is an import process, named by a string or a whole number."""
    assert [error.field for error in check_target(target)] == fields
