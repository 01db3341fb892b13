"""Requests that a sandbox iMIS refuses, delays or answers with an error: the outcome of the attempt."""

from __future__ import annotations

from typing import Any

import pytest
from connectors.imis_site import (
    COMPLETION,
    PANEL,
    PANEL_WITHOUT_KEY,
    ROBIN,
    ROW,
    ImisSite,
    RecordedExchanges,
    an_outbound_record,
)
from connectors.kinds_under_test import PASSWORD, ImisBehindServer
from http_server import Received, Says, running

from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.connectors.outcomes import Accepted, ParticipantFound, Postponed, Refused, Unknown
from learning_hub.model.retry import LONGEST_ASKED_WAIT_SECONDS


@pytest.mark.parametrize(
    ("status", "code", "is_away", "in_doubt"),
    [
        ("408", "timed_out", False, True),
        ("429", "rate_limited", False, False),
        ("500", "subscriber_error", False, True),
        ("502", "connection_failed", True, True),
        ("503", "connection_failed", True, False),
        ("504", "timed_out", True, True),
    ],
)
async def test_a_failure_that_may_pass_is_postponed(
    status: str,
    code: str,
    is_away: bool,
    in_doubt: bool,
    site: ImisSite,
    connector: ImisConnector,
    recorder: RecordedExchanges,
) -> None:
    """A lone 500 says nothing of the site; 502 to 504 say that it is away."""
    site.fault(status, Method="POST", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away, outcome.in_doubt) == (code, is_away, in_doubt)
    assert outcome.failure_class == "unavailable"


@pytest.mark.parametrize("status", ["403", "404", "409", "413", "501"])
async def test_a_failure_that_stays_is_refused(
    status: str, site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A person must look."""
    site.fault(status, Method="POST", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.failure_class) == ("refused", "refused")
    assert status in outcome.message


async def test_a_wait_that_imis_asks_for_is_passed_on(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """`Retry-After` in seconds and as a date."""
    site.fault("429", Method="POST", Path="/api/Activity", RetryAfter="17")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert outcome.retry_after_seconds == 17
    site.fault("429", Method="POST", Path="/api/Activity", RetryAfter="Fri, 31 Dec 2999 23:59:59 GMT")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert outcome.retry_after_seconds == LONGEST_ASKED_WAIT_SECONDS


async def test_imis_says_why_in_its_own_words(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A validation error reaches staff."""
    outcome = await connector.send(an_outbound_record(payload={**COMPLETION, "ActivityType": "DANCING"}), recorder)
    assert isinstance(outcome, Refused)
    assert "ACTIVITY_TYPE" in outcome.message
    outcome = await connector.send(an_outbound_record(PANEL, payload={**ROW, "CourseCode": "x" * 81}), recorder)
    assert isinstance(outcome, Refused)
    assert "CourseCode" in outcome.message


async def test_a_slow_answer_to_a_write_is_unknown(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """And to a read it is postponed, for nothing was changed."""
    connector = make_connector(timeout_seconds=1.5)
    first = await connector.send(an_outbound_record(), recorder)
    site.fault("hold", Method="POST", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(record_key="another"), recorder)
    assert isinstance(outcome, Unknown)
    assert outcome.code == "timed_out"
    site.fault("hold", Method="GET", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(record_id=first.record_id), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away) == ("timed_out", True)


async def test_rubbish_in_place_of_imis_is_no_success(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A page that answers everything with 200 swallows no record."""
    site.fault("rubbish", Method="POST", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Unknown)
    assert (outcome.code, outcome.subscriber_is_away) == ("subscriber_error", False)
    site.fault("rubbish", Method="GET", Path="/api/PartySummary")
    found = await connector.find_participant("robin.vale@example.org", recorder)
    assert isinstance(found, Postponed)
    assert found.code == "subscriber_error"


@pytest.mark.parametrize("fault", ["301", "302", "303", "307", "308"])
async def test_a_redirect_of_every_call_says_that_imis_is_away(
    fault: str, site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A site that is being maintained redirects everything; nothing was written, and the sign-in succeeded before."""
    site.fault(fault, Path="/api", Times=20)
    outcome = await connector.send(an_outbound_record(), recorder)
    found = await connector.find_participant("robin.vale@example.org", recorder)
    for one in (outcome, found):
        assert isinstance(one, Postponed)
        assert (one.code, one.subscriber_is_away, one.in_doubt) == ("subscriber_error", True, False)
        assert f"{fault}, it points to /maintenance" in one.message


async def test_a_page_in_response_to_every_read_says_that_imis_is_away(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A page with the status 200 for the time of maintenance uses up no attempts."""
    site.fault("rubbish", Path="/api", Times=20)
    found = await connector.find_participant("robin.vale@example.org", recorder)
    assert isinstance(found, Postponed)
    assert (found.code, found.subscriber_is_away) == ("subscriber_error", True)


class Closed(ImisBehindServer):
    """The sandbox behind a server that answers *path* with a page of its own."""

    def __init__(self, sandbox: ImisSite, status: int, path: str) -> None:
        super().__init__(sandbox)
        self._says, self._path = Says(status, b"<html>Closed.</html>", {"Content-Type": "text/html"}), path

    async def handle(self, request: Received) -> Says:
        return self._says if request.path.startswith(self._path) else await super().handle(request)


@pytest.mark.parametrize("status", [403, 404, 407, 501])
@pytest.mark.parametrize(("path", "is_away"), [("/api", True), ("/api/TopClass_Learning", False)])
async def test_a_page_with_the_status_of_a_refusal(
    status: int, path: str, is_away: bool, site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Where everything is answered so, iMIS is away, and no record counts as gone; otherwise the status decides."""
    closed = Closed(site, status, path)
    async with running(closed):
        connector = make_connector({"BaseUrl": closed.address}, {"Username": "sandbox", "Password": PASSWORD})
        row = an_outbound_record(PANEL_WITHOUT_KEY, action="remove", record_id="~10042|1")
        removed = await connector.remove(row, recorder)
        found = await connector.find_participant("robin.vale@example.org", recorder)
    if is_away:
        for one in (removed, found):
            assert isinstance(one, Postponed)
            assert (one.code, one.subscriber_is_away, one.in_doubt) == ("subscriber_error", True, False)
            assert f"{status}, an HTML page." in one.message
    else:
        assert found == ParticipantFound(ROBIN)
        assert isinstance(removed, Accepted if status == 404 else Refused)


@pytest.mark.parametrize(("path", "doing"), [("/api/Activity", "create"), ("/api/PartySummary", "look for a contact")])
async def test_a_redirect_of_one_target_alone_is_refused(
    path: str, doing: str, site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The rest of the site answers, so no waiting helps."""
    site.fault("302", Path=path, Times=20)
    found = await connector.find_participant("robin.vale@example.org", recorder)
    outcome = await connector.send(an_outbound_record(), recorder) if path == "/api/Activity" else found
    assert isinstance(outcome, Refused)
    assert (outcome.code, doing in outcome.message) == ("refused", True)


async def test_a_single_row_is_the_contacts_only_one(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A source with one row for each contact has no ordinals; a second source record is refused there."""
    site.make_single_panel("LH_Profile", ["Course", "RecordKey"])
    target = {"Kind": "panel", "Name": "LH_Profile", "KeyProperty": "RecordKey"}
    first = await connector.send(an_outbound_record(target, payload={"Course": "Fire"}), recorder)
    assert first == Accepted(record_id=ROBIN, is_confirmed=True)
    update = an_outbound_record(target, payload={"Course": "Water"}, record_id=ROBIN)
    assert await connector.send(update, recorder) == Accepted(record_id=ROBIN, is_confirmed=True)
    lost = an_outbound_record(target, payload={"Course": "Water"}, outcome_unknown=True)
    assert await connector.send(lost, recorder) == Accepted(record_id=ROBIN, unchanged=True, is_confirmed=True)
    second = await connector.send(an_outbound_record(target, payload={"Course": "Air"}, record_key="another"), recorder)
    assert isinstance(second, Refused)
    assert [row["Course"] for row in site.rows(target)] == ["Water"]


async def test_a_closed_panel_is_explained(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The usual reason is named."""
    site.open_panel(PANEL["Name"], is_open=False)
    outcome = await connector.send(an_outbound_record(PANEL), recorder)
    assert isinstance(outcome, Refused)
    assert "Available via the REST API" in outcome.message
    site.open_panel(PANEL_WITHOUT_KEY["Name"], is_open=False)
    for target, doubted in ((PANEL, True), (PANEL_WITHOUT_KEY, False)):
        outcome = await connector.send(an_outbound_record(target, outcome_unknown=doubted), recorder)
        assert isinstance(outcome, Refused)
        assert f"look for a record in {target['Name']}: iMIS answered 404" in outcome.message
        assert "Available via the REST API" in outcome.message


async def test_a_forbidden_target_gets_nothing(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Not even a sign-in."""
    from learning_hub.connectors.addresses import Guard

    connector = make_connector(guard=Guard())
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Refused)
    assert outcome.code == "target_not_allowed"
    assert site.requests() == []


async def test_a_path_in_the_address_is_kept(site: ImisSite, make_connector: Any, recorder: RecordedExchanges) -> None:
    """Older sites answer below one; a slash at the end does no harm."""
    site.switch(BasePath="/Asi.Scheduler_Sandbox")
    connector = make_connector({"BaseUrl": f"{site.address}/Asi.Scheduler_Sandbox/"})
    assert isinstance(await connector.send(an_outbound_record(), recorder), Accepted)
