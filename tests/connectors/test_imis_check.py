"""The check of a subscriber at a sandbox iMIS: what works, what does not, and what to click."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import time_machine
from connectors.imis_site import (
    ACTIVITY,
    COMPLETION,
    PANEL,
    PANEL_WITHOUT_KEY,
    ROW,
    ImisSite,
    RecordedExchanges,
    an_outbound_record,
)
from connectors.kinds_under_test import PASSWORD, ImisBehindServer
from http_server import Received, running
from msgspec import UNSET

from learning_hub.connectors.check_results import CheckResult, Finding, Needs
from learning_hub.connectors.imis import account_checks
from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.connectors.imis.contact_query import NOBODIES, NOBODY
from learning_hub.connectors.imis.settings import ImisSettings
from learning_hub.sandbox import seeds

ACTIVITIES = Needs(subscription_id="completions", target=ACTIVITY, templates=[COMPLETION])
ROWS = Needs(subscription_id="rows", target=PANEL, templates=[ROW])
TICK = "tick Available via the REST API on the Security tab of this source"


def found(checked: CheckResult, subject: str) -> Finding:
    """The one finding about *subject*."""
    [finding] = [one for one in checked.details if one.subject == subject]
    return finding


def states(checked: CheckResult) -> dict[str, str]:
    return {one.subject: one.state for one in checked.details}


async def test_a_check_says_what_it_found(site: ImisSite, make_connector: Any) -> None:
    """Who answers, what the account can read, its roles, which kind of iMIS it is, and on which clock."""
    checked = await make_connector({"TimeZone": "America/New_York"}).check()
    assert checked.works
    assert checked.findings == [
        f"Signed in at {site.address}.",
        "It can read contacts: there are 12.",
        "It can read activities: there are 0.",
        "This is an EMS site (iMIS 20.3 or later).",
        found(checked, "time-zone").message,
        "The account has the roles Everyone, SysAdmin, StaffUser.",
        "UF_3 of activities keeps the record key.",
    ]


async def test_a_check_says_that_all_is_there_for_the_subscriptions(make_connector: Any) -> None:
    """The activity type of the templates, and the panel with its columns and its key."""
    checked = await make_connector({"TimeZone": "America/New_York"}).check([ACTIVITIES, ROWS])
    assert checked.works
    assert set(states(checked).values()) == {"fine"}
    assert found(checked, "activity-type").name == "TCLEARNING"
    assert found(checked, "activity-type").subscription_ids == ["completions"]
    assert found(checked, "panel-key").name == "LH_Learning.RecordKey"
    assert found(checked, "panel").subscription_ids == ["rows"]


async def test_a_check_writes_nothing(site: ImisSite, make_connector: Any) -> None:
    """What is posted are a sign-in and named operations that read."""
    connector = make_connector({"ParticipantLookup": {"Query": seeds.CLOSED_QUERY, "Prompt": "Email"}})
    await connector.check([ACTIVITIES, ROWS])
    paths = {one["Path"] for one in site.requests() if one["Method"] != "GET"}
    assert paths == {"/token", "/api/UserSecurity/_execute", "/api/QueryDefinition/_execute"}


async def test_a_check_of_an_older_site(site: ImisSite, connector: ImisConnector) -> None:
    """It says that the hub is not made for this version, and that the roles are not known there."""
    site.switch(Version="20.2")
    checked = await connector.check([ACTIVITIES, ROWS])
    assert checked.works
    assert "20.2" in found(checked, "version").message
    assert "made for EMS" in found(checked, "version").advice
    assert found(checked, "roles").state == "look"
    assert "are not known" in found(checked, "roles").message


async def test_a_check_of_a_site_without_a_rest_api(site: ImisSite, connector: ImisConnector) -> None:
    """Neither contacts nor activities answer: the hub cannot work there."""
    site.fault("404", Path="/api", Times=None)
    checked = await connector.check()
    assert not checked.works
    assert not checked.is_open
    assert "REST API" in found(checked, "version").advice


async def test_an_account_that_reads_nothing_but_a_panel_is_enough_for_it(site: ImisSite, make_connector: Any) -> None:
    """Nothing is wrong where the publisher knows the contacts and no subscription writes activities."""
    for path in ("/api/PartySummary", "/api/Activity", "/api/UserSecurity"):
        site.fault("403", Path=path, Times=None)
    checked = await make_connector({"ParticipantLookup": "as-is"}).check([ROWS])
    assert checked.works
    assert found(checked, "version").state == "look"


async def test_a_wrong_password_ends_the_check(site: ImisSite, connector: ImisConnector) -> None:
    """With iMIS's own words, and nothing else is asked."""
    site.change_password("other")
    checked = await connector.check([ACTIVITIES])
    assert not checked.works
    assert [one.subject for one in checked.details] == ["sign-in"]
    assert "refused the sign-in" in checked.findings[0]
    assert "put the right Username and Password" in checked.findings[0]
    assert "may lock the account" in checked.findings[0]


async def test_a_refused_client_application_is_reported_where_its_parts_are(make_connector: Any) -> None:
    """A refresh token is had by a sign-in, the rest stands in the settings of iMIS."""
    client = {"ClientId": "LearningHub", "ClientSecret": "not-this", "RefreshToken": "used-up"}
    checked = await make_connector(credentials=client).check()
    assert "Settings > Contacts > Client applications" in found(checked, "sign-in").advice
    assert "sign in to the client application again" in found(checked, "sign-in").advice


@pytest.mark.parametrize("fault", ["503", "500", "rubbish", "cut-after"])
async def test_a_site_that_lets_nobody_in_is_reported_with_what_to_look_at(
    fault: str, site: ImisSite, connector: ImisConnector
) -> None:
    """The address comes first, as a person mistypes it more often than a site is away: also a page may answer there."""
    site.fault(fault, Path="/token")
    [finding] = (await connector.check()).details
    assert finding.subject == "sign-in"
    assert "BaseUrl" in finding.advice


@pytest.mark.parametrize(
    ("zone", "state", "words"),
    [
        ("America/New_York", "fine", "where it is 08:30 now, with a change to summer time"),
        ("Etc/GMT+5", "fine", "where it is 08:30 now, without a change to summer time"),
        ("Australia/Sydney", "fine", "where it is 00:30 now, with a change to summer time"),
        ("UTC", "fine", "where it is 13:30 now, without a change to summer time"),
        (None, "look", "clock of UTC, where it is 13:30 now"),
    ],
)
async def test_a_check_tells_the_clock_that_dates_are_written_on(
    make_connector: Any, zone: str | None, state: str, words: str
) -> None:
    """What iMIS keeps it does not tell, so a person compares; nobody means UTC without having said so."""
    connector = make_connector({"TimeZone": zone})
    with time_machine.travel("2031-01-15T13:30:00Z", tick=False):
        clock = account_checks.clock(ImisSettings(base_url="https://members.example.org", time_zone=zone))
    assert (clock.name, clock.state) == (zone or "UTC", state)
    assert words in clock.message
    finding = found(await connector.check(), "time-zone")
    assert (finding.name, finding.state, bool(finding.advice)) == (clock.name, state, state == "look")


async def test_a_panel_named_in_two_spellings_is_looked_at_once(connector: ImisConnector) -> None:
    """Names of iMIS count in any case."""
    other = Needs(subscription_id="others", target=PANEL | {"Name": PANEL["Name"].upper()}, templates=[ROW])
    assert found(await connector.check([ROWS, other]), "panel").subscription_ids == ["rows", "others"]


async def test_contacts_that_cannot_be_read_are_in_the_way_of_all(site: ImisSite, make_connector: Any) -> None:
    """Where they are looked up by e-mail address, and not where the publisher knows them."""
    site.fault("403", Path="/api/PartySummary", Times=None)
    checked = await make_connector().check([ACTIVITIES])
    assert (checked.works, checked.is_open) == (False, False)
    assert "403" in found(checked, "contacts").message
    assert (await make_connector({"ParticipantLookup": "as-is"}).check([ACTIVITIES])).works


async def test_activities_that_cannot_be_read_are_wrong_for_those_who_write_them(
    site: ImisSite, connector: ImisConnector
) -> None:
    """What has no such subscription works all the same."""
    site.fault("403", Path="/api/Activity", Times=None)
    checked = await connector.check([ACTIVITIES, ROWS])
    assert (checked.works, checked.is_open) == (False, True)
    assert found(checked, "activities").subscription_ids == ["completions"]
    assert (await connector.check([ROWS])).works


async def test_an_activity_type_that_is_not_configured_is_reported_with_what_to_click(connector: ImisConnector) -> None:
    """Types that the event says cannot be known before."""
    wanted: list[dict[str, Any]] = [{"ActivityType": "LHUB"}, {"activity_type": "tclearning"}, {"ActivityType": UNSET}]
    checked = await connector.check([Needs(subscription_id="completions", target=ACTIVITY, templates=wanted)])
    assert (checked.works, checked.is_open) == (False, True)
    types = {one.name: one for one in checked.details if one.subject == "activity-type"}
    assert {name: one.state for name, one in types.items()} == {"LHUB": "wrong", "tclearning": "fine"}
    assert "Settings > Contacts > Activity types" in types["LHUB"].advice


async def test_activity_types_that_are_not_served_are_no_fault(site: ImisSite, connector: ImisConnector) -> None:
    """A site need not have that list; then the first record shows."""
    site.fault("501", Path="/api/LegacyActivityType", Times=None)
    checked = await connector.check([ACTIVITIES])
    assert checked.works
    assert found(checked, "activity-type").state == "look"
    assert "cannot find out" in found(checked, "activity-type").message


@pytest.mark.parametrize("status", [404, 501, 403])
async def test_a_closed_panel_is_reported_with_what_to_tick(
    status: int, site: ImisSite, connector: ImisConnector
) -> None:
    """Whatever the site answers for a source whose box is not ticked."""
    site.switch(ClosedPanel=status)
    site.open_panel("LH_Learning", is_open=False)
    checked = await connector.check([ACTIVITIES, ROWS])
    assert (checked.works, checked.is_open) == (False, True)
    assert "is there, but not over REST" in found(checked, "panel").message
    assert TICK in found(checked, "panel").advice
    assert TICK in " ".join(checked.findings)
    assert found(checked, "panel").subscription_ids == ["rows"]


async def test_a_panel_that_is_not_there_is_reported(site: ImisSite, connector: ImisConnector) -> None:
    """One that was never made, or is spelled otherwise; where definitions are not reported, both may be."""
    wrong = Needs(subscription_id="rows", target={"Kind": "panel", "Name": "LH_Other"})
    checked = await connector.check([wrong])
    assert found(checked, "panel").message.startswith("There is no panel source LH_Other.")
    for path in ("/api/BOEntityDefinition", "/api/metadata"):
        site.fault("501", Path=path, Times=None)
    checked = await connector.check([wrong])
    assert found(checked, "panel").message.startswith("It cannot read LH_Other.")
    assert TICK in found(checked, "panel").advice


@pytest.mark.parametrize(
    ("key_property", "words"),
    [("CEUType", None), ("Units", "is no text"), ("RecordId", "is not there"), ("Short", "holds 20 characters")],
)
async def test_a_key_property_must_hold_a_key(
    key_property: str, words: str | None, site: ImisSite, connector: ImisConnector
) -> None:
    """A text column of 36 characters or more that is there."""
    target = {"Kind": "panel", "Name": "TopClass_Learning", "KeyProperty": key_property}
    if key_property == "Short":
        site.make_single_panel("LH_Short", ["Short"], width=20)
        target["Name"] = "LH_Short"
    checked = await connector.check([Needs(subscription_id="rows", target=target)])
    assert checked.works is (words is None)
    assert (words or "keeps the record key") in found(checked, "panel-key").message


async def test_a_panel_without_a_key_should_have_one(connector: ImisConnector) -> None:
    """It works, and a person should look."""
    checked = await connector.check([Needs(subscription_id="rows", target=PANEL_WITHOUT_KEY, templates=[ROW])])
    assert checked.works
    assert found(checked, "panel-key").state == "look"
    assert "add a text property RecordKey, 40 long" in found(checked, "panel-key").advice


async def test_columns_that_templates_name_must_be_there(connector: ImisConnector) -> None:
    """In any case, whichever template of whichever subscription names them."""
    more = Needs(subscription_id="more", target=PANEL, templates=[{"coursecode": UNSET}, {"Grade": UNSET}])
    checked = await connector.check([ROWS, more])
    assert not checked.works
    assert found(checked, "panel-columns").name == "LH_Learning.Grade"
    assert found(checked, "panel-columns").subscription_ids == ["more"]


@pytest.mark.parametrize("sources", [("BOEntityDefinition",), ("BOEntityDefinition", "metadata")])
async def test_a_site_that_tells_no_definitions_is_no_fault(
    sources: tuple[str, ...], site: ImisSite, connector: ImisConnector
) -> None:
    """Metadata tell as much; without them the first record shows."""
    for source in sources:
        site.fault("501", Path=f"/api/{source}", Times=None)
    checked = await connector.check([ACTIVITIES, ROWS])
    assert checked.works
    assert ("panel-key" in states(checked)) is (len(sources) == 1)


async def test_the_record_key_of_activities_needs_a_column_that_can_be_searched(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """A site that refuses the filter, one that passes it over, and a column that is too narrow."""
    site_with_one = make_connector()
    assert (await site_with_one.check([ACTIVITIES])).works
    await site_with_one.send(an_outbound_record(), recorder)
    narrow = await make_connector({"ActivityKeyProperty": "OTHER_CODE"}).check([ACTIVITIES])
    assert "holds 20 characters" in found(narrow, "activity-key").message
    assert (narrow.works, narrow.is_open) == (False, True)
    unknown = await make_connector({"ActivityKeyProperty": "UF_9"}).check([ACTIVITIES])
    assert "iMIS answered 400" in found(unknown, "activity-key").message
    site.switch(UnknownFilter="ignore")
    passed_over = await make_connector({"ActivityKeyProperty": "UF_9"}).check([ACTIVITIES])
    assert "iMIS gives others too" in found(passed_over, "activity-key").message


async def test_the_query_for_participants_runs(site: ImisSite, make_connector: Any) -> None:
    """The newer way, and where there is none the older."""
    connector = make_connector({"ParticipantLookup": {"Query": seeds.CONTACT_QUERY, "Prompt": "Email"}})
    checked = await connector.check()
    assert checked.works
    assert found(checked, "query").message == f"The query {seeds.CONTACT_QUERY} answers."
    site.switch(Version="20.2")
    checked = await connector.check()
    assert checked.works
    older = found(checked, "query")
    assert older.message == f"The query {seeds.CONTACT_QUERY} answers, run the older way."
    assert (older.state, "Email is the first it prompts for" in older.advice) == ("look", True)


async def test_a_query_that_is_not_marked_is_reported_with_what_to_tick(site: ImisSite, make_connector: Any) -> None:
    """Its record says so; where there is no such record, it may be missing as well."""
    connector = make_connector({"ParticipantLookup": {"Query": seeds.CLOSED_QUERY, "Prompt": "Email"}})
    checked = await connector.check([ACTIVITIES])
    assert (checked.works, checked.is_open) == (False, False)
    assert "It is there and not marked" in found(checked, "query").advice
    assert "tick Allow Access via REST API on that query's Security tab" in found(checked, "query").advice
    site.fault("501", Path="/api/QueryDefinition")
    assert "Check that it is there, and" in found(await connector.check(), "query").advice
    connector = make_connector({"ParticipantLookup": {"Query": "$/No/Such", "Prompt": "Email"}})
    assert "Check that it is there, and" in found(await connector.check(), "query").advice


async def test_where_imis_itself_fails_nobody_is_blamed(site: ImisSite, make_connector: Any) -> None:
    """A lone 500 says nothing of roles or boxes, so the advice names neither."""
    site.fault("500", Method="GET", Times=None)
    result = await make_connector().check()
    contacts = found(result, "contacts")
    assert (contacts.state, contacts.advice.partition(".")[0]) == ("wrong", "iMIS itself failed")
    assert "cannot find out now" in contacts.message
    assert not [one for one in result.details if one.state == "wrong" and "role" in one.advice]


async def test_a_query_that_fails_for_now_is_not_run_the_older_way(site: ImisSite, make_connector: Any) -> None:
    """As participants are not looked up so either."""
    site.fault("500", Path="/api/query", Times=None)
    connector = make_connector({"ParticipantLookup": {"Query": seeds.CONTACT_QUERY, "Prompt": "Email"}})
    query = found(await connector.check(), "query")
    assert (query.state, query.advice.partition(";")[0]) == ("wrong", "iMIS itself failed. Check again later")
    assert site.requests(path="/api/IQA") == []


FILTERS = "on its Filters tab let it prompt for Mail, by this very name"


async def test_a_query_that_does_not_ask_is_noticed(site: ImisSite, make_connector: Any) -> None:
    """Rows for an address that nobody has come from a query without that prompt, with which nobody can be found."""
    site.switch(UnknownFilter="ignore")
    connector = make_connector({"ParticipantLookup": {"Query": seeds.CONTACT_QUERY, "Prompt": "Mail"}})
    checked = await connector.check()
    query = found(checked, "query")
    assert (checked.works, query.state) == (False, "wrong")
    assert f"took no prompt Mail: it gives 11 rows for {NOBODY}" in query.message
    assert FILTERS in query.advice


@pytest.mark.parametrize("query", [seeds.CONTACT_QUERY, seeds.ACTIVITIES_QUERY])
async def test_a_query_that_refuses_the_prompt_does_not_work(query: str, site: ImisSite, make_connector: Any) -> None:
    """It runs without, and the older way too, which would take the value for that of another prompt."""
    connector = make_connector({"ParticipantLookup": {"Query": query, "Prompt": "Mail"}})
    checked = await connector.check()
    finding = found(checked, "query")
    assert (checked.works, finding.state) == (False, "wrong")
    assert finding.message.startswith(f"The query {query} took no prompt Mail, and runs without.")
    assert "The query has no prompt Mail" in finding.message
    assert FILTERS in finding.advice
    assert site.requests(path="/api/IQA") == []


class TakesNumbersAlone(ImisBehindServer):
    """The sandbox behind a server that refuses to run a query, unless it is asked for a number, as configured."""

    def writes(self, request: Received) -> bool:
        return request.path == "/api/query" and NOBODIES[1] not in request.query.values()


async def test_a_prompt_for_numbers_is_none_the_worse(site: ImisSite, make_connector: Any) -> None:
    """Where iMIS finds fault with an address, the check asks for a number."""
    server = TakesNumbersAlone(site)
    async with running(server):
        server.answer(400, b'{"Message": "Not a number."}', Content_Type="application/json")
        lookup = {"Query": seeds.ACTIVITIES_QUERY, "Prompt": "ID"}
        settings = {"BaseUrl": server.address, "ParticipantLookup": lookup}
        checked = await make_connector(settings, {"Username": "sandbox", "Password": PASSWORD}).check()
    assert found(checked, "query").state == "fine"


async def test_a_query_that_is_refused_in_every_way_is_to_be_run_in_imis(site: ImisSite, make_connector: Any) -> None:
    """Whether the prompt is to blame cannot be known then, and iMIS's words are reported."""
    site.fault("refuse", Path="/api/query", Times=None)
    checked = await make_connector({"ParticipantLookup": {"Query": seeds.CONTACT_QUERY, "Prompt": "Mail"}}).check()
    query = found(checked, "query")
    assert (query.state, query.message.partition(".")[0]) == ("wrong", "The query of ParticipantLookup cannot be run")
    assert query.advice.startswith("Run it in iMIS, and see what it prompts for.")


class SaysRoles(ImisBehindServer):
    """The sandbox behind a server that answers for the roles of the account as configured."""

    def writes(self, request: Received) -> bool:
        return request.path == "/api/UserSecurity/_execute"


@pytest.mark.parametrize(
    ("response", "message", "advice"),
    [
        ({"Result": {"$values": [{"RoleName": "Everyone"}]}}, "has the roles Everyone.", "grants Read, Add, Update"),
        ({"$values": [{"RoleName": {"$value": "StaffUser"}}]}, "has the roles StaffUser.", ""),
        ({"Result": {"$values": ["Everyone", "SysAdmin"]}}, "has the roles Everyone, SysAdmin.", ""),
        ({"IsSuccessStatusCode": True, "StatusCode": 0}, "iMIS names no roles", ""),
        (
            {"IsSuccessStatusCode": False, "Message": "There is no service defined for UserSecurity."},
            "are not known. The hub could not read the roles of its account (UserSecurity): iMIS answered: There is ",
            "shows with the first record",
        ),
    ],
    ids=str,
)
async def test_what_the_roles_of_the_account_mean(
    response: dict[str, Any], message: str, advice: str, site: ImisSite, make_connector: Any
) -> None:
    """An account that is no staff user needs more on each panel; what is not reported is no fault."""
    server = SaysRoles(site)
    async with running(server):
        server.answer(200, json.dumps(response).encode(), Content_Type="application/json")
        connector = make_connector({"BaseUrl": server.address}, {"Username": "sandbox", "Password": PASSWORD})
        checked = await connector.check([ROWS])
    assert checked.works
    assert message in found(checked, "roles").message
    assert advice in found(checked, "roles").advice
    assert bool(advice) <= (found(checked, "roles").state == "look")


async def test_roles_are_read_also_where_the_result_is_bare(site: ImisSite, connector: ImisConnector) -> None:
    """Some versions answer a named operation without anything around it."""
    site.switch(BareExecuteResult=True)
    assert "SysAdmin" in found(await connector.check(), "roles").message


@pytest.mark.parametrize("fault", ["503", "429", "cut-after"])
async def test_a_site_that_goes_away_ends_the_check(fault: str, site: ImisSite, connector: ImisConnector) -> None:
    """What was found until then is reported, and nothing more is requested."""
    site.fault(fault, Path="/api/Activity", Times=None)
    checked = await connector.check([ACTIVITIES, ROWS])
    assert (checked.works, checked.is_open) == (False, False)
    assert [one.subject for one in checked.details] == ["sign-in", "contacts", "site"]


async def test_a_slow_site_is_not_waited_for_at_every_question(site: ImisSite, make_connector: Any) -> None:
    """Each answer comes in time, and all of them do not: the check ends after twice the time of one."""
    site.fault("slow", Path="/api", Times=None, Seconds=0.8)
    began = time.monotonic()
    checked = await make_connector(timeout_seconds=1).check([ACTIVITIES, ROWS])
    assert time.monotonic() - began < 4
    assert (checked.works, checked.is_open) == (False, False)
    assert "too slow" in found(checked, "site").message
    assert found(checked, "contacts").state == "fine"


async def test_the_steps_to_see_rows_in_imis_name_the_panel_and_its_columns(connector: ImisConnector) -> None:
    """They are filled in, for the console to show; columns that iMIS fills by itself are left out."""
    steps = " ".join(found(await connector.check([ROWS]), "panel").steps)
    assert not any(name in steps for name in ("CreatedOn", "UpdatedOn", "ByUserKey", "Ordinal"))
    assert "choose LH_Learning." in steps
    assert "choose ID, CourseCode, Course, CourseCompleted, Units, CreditType, CEUType, RecordKey" in steps
