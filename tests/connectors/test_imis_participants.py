"""Who the publisher's participant is at a sandbox iMIS."""

from __future__ import annotations

import codecs
import json
from dataclasses import replace
from typing import Any

import pytest
from connectors.imis_site import AMARA, ROBIN, ImisSite, RecordedExchanges, an_outbound_record
from connectors.kinds_under_test import PASSWORD, ImisBehindServer
from http_server import Received, Says, running
from plain_http import plain_client
from running import served

from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.connectors.imis.contact_query import NOBODIES
from learning_hub.connectors.outcomes import Accepted, ParticipantFound, Postponed, Refused
from learning_hub.sandbox import seeds

INACTIVE = "10050"
QUERY = {"Query": seeds.CONTACT_QUERY, "Prompt": "Email"}


@pytest.mark.parametrize(
    "email",
    [
        "robin.vale@example.org", " Robin.Vale@EXAMPLE.org ", "mailto:robin.vale@example.org",
        "MAILTO:robin.vale@example.org", "\ufeffrobin.vale@example.org\u200e", "robin\u200b.vale@example.org",
        "\u2060mailto: robin.vale@example.org",
    ],
)  # fmt: skip
async def test_one_active_contact_is_found_by_email(
    email: str, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """In any letter case; `mailto:`, blanks around it and marks that nobody sees do not count."""
    assert await connector.find_participant(email, recorder) == ParticipantFound(ROBIN)


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("nobody@example.org", "participant_not_found"),
        ("dana.brook@example.org", "participant_not_found"),
        ("vale@example.org", "participant_not_found"),
        ("   ", "participant_not_found"),
        ("a|b@example.org", "participant_not_found"),
        ("ne:robin.vale@example.org", "participant_not_found"),
        ("front.desk@example.org", "participant_ambiguous"),
    ],
)
async def test_none_or_several_need_a_person(
    email: str, code: str, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Inactive contacts do not count, and parts of an address match nothing."""
    found = await connector.find_participant(email, recorder)
    assert isinstance(found, Refused)
    assert (found.code, found.failure_class) == (code, "identity")


class SpelledOtherwise(ImisBehindServer):
    """The sandbox behind a server that changes the bodies of all its answers."""

    def __init__(self, sandbox: ImisSite, old: bytes, new: bytes) -> None:
        super().__init__(sandbox)
        self.old, self.new = old, new

    async def handle(self, request: Received) -> Says:
        says = await super().handle(request)
        return replace(says, body=says.body.replace(self.old, self.new))


PAT = "pat.o'neil&co@example.org"
STORED = {"as it is": PAT, "encoded": "pat.o&#39;neil&amp;co@example.org"}


@pytest.mark.parametrize("lookup", ["email", QUERY], ids=["email", "query"])
@pytest.mark.parametrize("email", [PAT, "Pat.O&#39;Neil&amp;Co@example.org", " pat.o&#x27;neil&co@example.org"])
@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
async def test_an_address_with_html_characters_is_found(
    stored: str, email: str, lookup: Any, site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """However iMIS has stored it, and however the publisher spells it."""
    with plain_client(site.address) as client:
        token = client.post("/token", data={"grant_type": "password", "username": "sandbox", "password": "sandbox"})
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        person = {
            "$type": "Asi.Soa.Membership.DataContracts.PersonData, Asi.Contracts",
            "PersonName": {"FirstName": "Pat", "LastName": "O'Neil"},
            "Emails": {"$values": [{"Address": stored, "EmailType": "_Primary", "IsPrimary": True}]},
        }
        made = client.post("/api/Person", json=person, headers=headers).raise_for_status().json()
    connector = make_connector({"ParticipantLookup": lookup})
    assert await connector.find_participant(email, recorder) == ParticipantFound(made["PartyId"])
    missing = await connector.find_participant(f"x{email.strip()}", recorder)
    assert isinstance(missing, Refused)
    assert missing.code == "participant_not_found"


async def test_an_address_that_comes_back_encoded_is_found(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """The answer alone has it so; an address without HTML characters is asked for once."""
    server = SpelledOtherwise(site, b"robin.vale@", b"robin&#46;vale&#64;")
    async with running(server):
        settings = {"BaseUrl": server.address}
        connector = make_connector(settings, {"Username": "sandbox", "Password": PASSWORD})
        assert await connector.find_participant("robin.vale@example.org", recorder) == ParticipantFound(ROBIN)
    assert len(site.requests(path="/api/PartySummary")) == 1


class WithMark(ImisBehindServer):
    """The sandbox behind a server that begins each of its bodies with a byte order mark."""

    async def handle(self, request: Received) -> Says:
        says = await super().handle(request)
        return replace(says, body=codecs.BOM_UTF8 + says.body)


async def test_a_byte_order_mark_changes_nothing(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """A site, or something in front of it, writes one before all JSON: a sign-in, a list, a record, an error."""
    server = WithMark(site)
    async with running(server):
        connector = make_connector({"BaseUrl": server.address}, {"Username": "sandbox", "Password": PASSWORD})
        assert await connector.find_participant("robin.vale@example.org", recorder) == ParticipantFound(ROBIN)
        accepted = await connector.send(an_outbound_record(), recorder)
        assert isinstance(accepted, Accepted)
        assert accepted.is_confirmed
        refused = await connector.send(an_outbound_record(payload={"ActivityType": "DANCING"}), recorder)
        assert (await connector.check()).works
    assert isinstance(refused, Refused)
    assert "iMIS answered 400, ACTIVITY_TYPE" in refused.message


async def test_messages_show_what_nobody_sees(connector: ImisConnector, recorder: RecordedExchanges) -> None:
    """The message names what iMIS was asked for, and what was sent, with each mark by its number."""
    found = await connector.find_participant("mailto:no\u200bbody@example.org", recorder)
    assert isinstance(found, Refused)
    assert found.message == (
        'iMIS has no active contact with the e-mail address "nobody@example.org" '
        '(sent as "mailto:no<U+200B>body@example.org").'
    )


@pytest.mark.parametrize("sent", ["mailto:robin.vale@example.org", "\ufeffrobin.vale@example.org"])
async def test_a_query_is_asked_for_the_address(make_connector: Any, recorder: RecordedExchanges, sent: str) -> None:
    """A query of the site gets the address without what does not count."""
    connector = make_connector({"ParticipantLookup": QUERY})
    assert await connector.find_participant(sent, recorder) == ParticipantFound(ROBIN)


async def test_as_is_asks_nobody(site: ImisSite, make_connector: Any, recorder: RecordedExchanges) -> None:
    """The publisher's id is the contact's."""
    connector = make_connector({"ParticipantLookup": "as-is"})
    assert await connector.find_participant(" 10042 ", recorder) == ParticipantFound(ROBIN)
    assert site.requests() == []


async def test_as_is_takes_the_publishers_word(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """A record goes to an inactive contact as well: nobody was asked, and iMIS takes it."""
    connector = make_connector({"ParticipantLookup": "as-is"})
    found = await connector.find_participant(INACTIVE, recorder)
    assert found == ParticipantFound(INACTIVE)
    outcome = await connector.send(an_outbound_record(participant_id=found.participant_id), recorder)
    assert isinstance(outcome, Accepted)
    assert [one["PartyId"] for one in site.activities()] == [INACTIVE]


async def test_a_query_of_the_site_finds_the_contact(make_connector: Any, recorder: RecordedExchanges) -> None:
    """By its prompt's name."""
    connector = make_connector({"ParticipantLookup": QUERY})
    assert await connector.find_participant("robin.vale@example.org", recorder) == ParticipantFound(ROBIN)
    missing = await connector.find_participant("nobody@example.org", recorder)
    several = await connector.find_participant(seeds.SHARED_EMAIL, recorder)
    assert isinstance(missing, Refused)
    assert isinstance(several, Refused)
    assert [missing.code, several.code] == ["participant_not_found", "participant_ambiguous"]


async def test_an_older_site_runs_the_query_the_older_way(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Where there is no /api/query, prompts go by their order."""
    site.switch(Version="20.2")
    connector = make_connector({"ParticipantLookup": QUERY})
    assert await connector.find_participant("robin.vale@example.org", recorder) == ParticipantFound(ROBIN)


async def test_contacts_a_query_shows_count_only_if_active(make_connector: Any, recorder: RecordedExchanges) -> None:
    """A query may forget to leave out who is not active, and may show a contact many times."""
    lookup = {"Query": seeds.ACTIVITIES_QUERY, "Prompt": "ID"}
    connector = make_connector({"ParticipantLookup": lookup})
    for key, party in [("one", ROBIN), ("two", ROBIN), ("three", INACTIVE)]:
        await connector.send(an_outbound_record(record_key=key, participant_id=party), recorder)
    assert await connector.find_participant(ROBIN, recorder) == ParticipantFound(ROBIN)
    inactive = await connector.find_participant(INACTIVE, recorder)
    assert isinstance(inactive, Refused)
    assert inactive.code == "participant_not_found"


@pytest.mark.parametrize("query", ["$/No/Such", seeds.CLOSED_QUERY])
async def test_a_query_that_cannot_be_run_is_refused(
    query: str, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """It is no fault of the participant."""
    connector = make_connector({"ParticipantLookup": {"Query": query, "Prompt": "Email"}})
    found = await connector.find_participant("robin.vale@example.org", recorder)
    assert isinstance(found, Refused)
    assert (found.code, found.failure_class) == ("refused", "refused")
    assert f"The hub could not run the query {query}: iMIS answered" in found.message
    assert "ParticipantLookup in the subscriber's Settings" in found.message


async def test_a_query_that_refuses_the_prompt_is_not_run_the_older_way(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Its first prompt is a different one, which finds nobody or somebody else; the name of the prompt is at fault."""
    connector = make_connector({"ParticipantLookup": {"Query": seeds.ACTIVITIES_QUERY, "Prompt": "Member"}})
    await connector.send(an_outbound_record(participant_id=ROBIN), recorder)
    found = await connector.find_participant(ROBIN, recorder)
    assert isinstance(found, Refused)
    assert (found.code, found.failure_class) == ("refused", "refused")
    assert "The query has no prompt Member" in found.message
    assert "prompts for Member" in found.message
    assert site.requests(path="/api/IQA") == []


@pytest.mark.parametrize(
    ("query", "wanted", "nobody"),
    [
        (seeds.ACTIVITIES_QUERY, "amara.obi@example.org", NOBODIES[0]),
        (seeds.ACTIVITIES_QUERY, AMARA, NOBODIES[1]),
        (seeds.ACTIVITIES_QUERY, "5D0F6A1E-3f52-4d5c-9a57-6c3f0b1f7a10", NOBODIES[2]),
        (seeds.CONTACT_QUERY, "robin.vale@example.org", NOBODIES[0]),
    ],
)
async def test_a_query_that_passes_the_prompt_over_finds_nobody(
    query: str, wanted: str, nobody: str, site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """It gives all there is, be it one row of somebody else: it is asked for one who is not there before it counts."""
    site.switch(UnknownFilter="ignore")
    connector = make_connector({"ParticipantLookup": {"Query": query, "Prompt": "Member"}})
    await connector.send(an_outbound_record(participant_id=ROBIN), recorder)
    found = await connector.find_participant(wanted, recorder)
    assert isinstance(found, Refused)
    assert (found.code, found.failure_class) == ("refused", "refused")
    assert f"took no prompt Member: it gives rows also for {nobody}" in found.message
    assert "on its Filters tab let it prompt for Member" in found.message


async def test_a_row_that_shows_whom_it_is_about_is_believed(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """A column that is named as the prompt and holds what was asked for spares the second question."""
    connector = make_connector({"ParticipantLookup": QUERY})
    await connector.find_participant("Robin.Vale@example.org", recorder)
    assert len(site.requests(path="/api/query")) == 1


async def test_an_older_site_is_asked_twice_where_rows_do_not_show_it(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Nothing tells which prompt comes first there, only that the query looks at it."""
    site.switch(Version="20.2")
    connector = make_connector({"ParticipantLookup": {**QUERY, "Prompt": "Address"}})
    assert await connector.find_participant("robin.vale@example.org", recorder) == ParticipantFound(ROBIN)
    assert len(site.requests(path="/api/IQA")) == 2


async def test_an_older_site_that_was_asked_for_something_else_finds_nobody(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Its first prompt is the contact's number here, and the rows show that it is not what was meant."""
    site.switch(Version="20.2")
    connector = make_connector({"ParticipantLookup": {"Query": seeds.ACTIVITIES_QUERY, "Prompt": "ActivityType"}})
    await connector.send(an_outbound_record(participant_id=ROBIN), recorder)
    found = await connector.find_participant(ROBIN, recorder)
    assert isinstance(found, Refused)
    assert (found.code, found.failure_class) == ("refused", "refused")
    assert "let it prompt for ActivityType first" in found.message


async def test_a_query_that_gives_everybody_is_not_read_as_a_whole(
    make_connector: Any, recorder: RecordedExchanges
) -> None:
    """After the first page it is tried with somebody who is not there, and that is the end."""
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        page = {"Items": [{"ID": str(number)} for number in range(100)], "TotalCount": 90_000, "NextOffset": len(asked)}
        body = {"access_token": "t"} if scope["path"] == "/token" else page
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    async with served(app) as address:
        connector = make_connector({"BaseUrl": address, "ParticipantLookup": QUERY})
        found = await connector.find_participant("robin.vale@example.org", recorder)
    assert isinstance(found, Refused)
    assert "took no prompt Email" in found.message
    assert asked == ["/token", "/api/query", "/api/query"]


class HasNoQuery(ImisBehindServer):
    """The sandbox behind a server that answers for /api/query as configured."""

    def writes(self, request: Received) -> bool:
        return request.path == "/api/query"


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
async def test_a_service_that_is_not_there_is_known_by_its_words(
    status: int, site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """The query is run the older way then, with whatever status iMIS says so."""
    server = HasNoQuery(site)
    async with running(server):
        server.answer(status, b"There is no service defined for query.", Content_Type="text/plain")
        settings = {"BaseUrl": server.address, "ParticipantLookup": QUERY}
        connector = make_connector(settings, {"Username": "sandbox", "Password": PASSWORD})
        assert await connector.find_participant("robin.vale@example.org", recorder) == ParticipantFound(ROBIN)


class TriesNobody(ImisBehindServer):
    """
    The sandbox behind a server that answers as configured when a query is asked for one who is not there.

    Its queries prompt for an Address, which no row shows by this name.
    """

    def writes(self, request: Received) -> bool:
        return request.path == "/api/query" and bool({*NOBODIES} & {*request.query.values()})

    async def handle(self, request: Received) -> Says:
        return await super().handle(replace(request, target=request.target.replace("Address=", "Email=")))


@pytest.mark.parametrize(
    ("status", "found"),
    [(400, ParticipantFound), (403, Refused), (500, Postponed)],
)
async def test_only_a_query_that_looks_at_its_prompt_is_believed(
    status: int, found: type, site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Whoever finds fault with the value has looked at it; any other failure leaves open who it is."""
    server = TriesNobody(site)
    async with running(server):
        server.answer(status, json.dumps({"Message": "No number."}).encode(), Content_Type="application/json")
        settings = {"BaseUrl": server.address, "ParticipantLookup": {**QUERY, "Prompt": "Address"}}
        connector = make_connector(settings, {"Username": "sandbox", "Password": PASSWORD})
        assert isinstance(await connector.find_participant("robin.vale@example.org", recorder), found)
        assert isinstance(await connector.find_participant("robin.vale@example.org", recorder), ParticipantFound)


@pytest.mark.parametrize("fault", ["cut-after", "cut-before", "503", "500"])
async def test_a_site_that_does_not_answer_says_nothing_of_the_participant(
    fault: str, site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The look-up is postponed, and changed nothing."""
    site.fault(fault, Path="/api/PartySummary")
    found = await connector.find_participant("robin.vale@example.org", recorder)
    assert isinstance(found, Postponed)
    assert not found.in_doubt
    assert recorder.wrote == [False, False]


@pytest.mark.parametrize("wanted", ["ne:1", "EMPTY", "notIn:robin.vale@example.org", "startsWith:robin"])
async def test_an_id_that_looks_like_an_operator_finds_nobody_else(
    wanted: str, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """IMIS would take its beginning for a way to compare."""
    connector = make_connector({"ParticipantLookup": QUERY})
    found = await connector.find_participant(wanted, recorder)
    assert isinstance(found, Refused)
    assert found.code == "participant_not_found"


async def test_an_id_that_imis_would_split_is_not_asked_for(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """A part of it would find somebody else."""
    connector = make_connector({"ParticipantLookup": QUERY})
    found = await connector.find_participant("robin.vale@example.org|x", recorder)
    assert isinstance(found, Refused)
    assert found.code == "participant_not_found"
    assert site.requests() == []
