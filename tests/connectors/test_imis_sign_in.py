"""Signing in to a sandbox iMIS: one token, renewed once, and no account locked out."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from connectors.imis_site import ImisSite, RecordedExchanges, StoredCredentials, an_outbound_record
from connectors.misbehaving_server import receiver, saying
from running import eventually, served

from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.connectors.outcomes import Accepted, Postponed, Refused
from learning_hub.model.errors import Unavailable
from learning_hub.sandbox import seeds

SECRET = 'hunter2-pä"ss\\w/ö%rd &+ 1'
CLIENT = {
    "ClientId": seeds.CLIENT_ID,
    "ClientSecret": seeds.CLIENT_SECRET,
    "RefreshToken": seeds.REFRESH_TOKEN,
}


async def find_robin(connector: ImisConnector, recorder: RecordedExchanges) -> Any:
    return await connector.find_participant("robin.vale@example.org", recorder)


def sign_ins(site: ImisSite) -> int:
    return len(site.requests(path="/token"))


async def test_a_token_is_used_again(site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges) -> None:
    """One sign-in serves many calls."""
    for number in range(3):
        await connector.send(an_outbound_record(record_key=f"key-{number}"), recorder)
    assert sign_ins(site) == 1


async def test_a_token_is_renewed_before_it_ends(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """One that lasts less than ten seconds is not used a second time."""
    site.switch(TokenLifetimeSeconds=9)
    await find_robin(connector, recorder)
    await find_robin(connector, recorder)
    assert sign_ins(site) == 2


@pytest.mark.parametrize("expires_in", ['"1209599"', "1209599.0", "null", '"soon"', '"nan"', "1e400"])
async def test_a_token_is_kept_however_its_lifetime_is_reported(
    expires_in: str, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """As a number, as text, or not at all: then for an hour."""
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        body = f'{{"access_token": "t", "expires_in": {expires_in}}}' if scope["path"] == "/token" else '{"Items": []}'
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})

    async with served(app) as address:
        connector = make_connector({"BaseUrl": address})
        for _ in range(3):
            await find_robin(connector, recorder)
    assert (asked.count("/token"), len(asked)) == (1, 4)


async def test_a_denied_token_is_renewed_and_the_call_made_again(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The site forgot its tokens; nobody notices, and nothing is written twice."""
    await connector.send(an_outbound_record(record_key="one"), recorder)
    site.revoke_tokens()
    assert isinstance(await connector.send(an_outbound_record(record_key="two"), recorder), Accepted)
    assert sign_ins(site) == 2
    assert len(site.activities()) == 2


async def test_many_denied_at_once_renew_once(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Whoever comes late takes the token that another got meanwhile."""
    await find_robin(connector, recorder)
    site.revoke_tokens()
    keys = [f"key-{number}" for number in range(10)]
    outcomes = await asyncio.gather(*(connector.send(an_outbound_record(record_key=key), recorder) for key in keys))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert sign_ins(site) == 2


async def test_a_new_token_that_is_denied_says_that_the_site_is_away(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The account signed in a moment ago, so that nobody needs to fix its credentials yet; nothing was written."""
    site.fault("401", Path="/api", Times=2)
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away, outcome.in_doubt) == ("token_denied", True, False)
    assert sign_ins(site) == 2
    assert isinstance(await connector.send(an_outbound_record(), recorder), Accepted)


async def test_a_wrong_password_is_tried_once(site: ImisSite, make_connector: Any, recorder: RecordedExchanges) -> None:
    """Further calls are refused without asking, also side by side, until a check."""
    connector = make_connector(credentials={"Username": "sandbox", "Password": "wrong"})
    outcomes = await asyncio.gather(*(connector.send(an_outbound_record(), recorder) for _ in range(5)))
    outcomes += [await connector.send(an_outbound_record(), recorder)]
    assert {outcome.code for outcome in outcomes} == {"credentials_refused"}
    assert sign_ins(site) == 1
    assert not (await connector.check()).works
    await connector.send(an_outbound_record(), recorder)
    assert sign_ins(site) == 2


async def test_a_check_tries_refused_credentials_again(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Once it succeeds everything goes on."""
    site.change_password("other")
    assert isinstance(await connector.send(an_outbound_record(), recorder), Refused)
    assert not (await connector.check()).works
    site.change_password("sandbox")
    assert (await connector.check()).works
    assert isinstance(await connector.send(an_outbound_record(), recorder), Accepted)


@pytest.mark.parametrize(
    ("fault", "is_away"),
    [(fault, True) for fault in ("408", "500", "501", "503", "302", "307", "rubbish", "cut-after")] + [("429", False)],
)
async def test_a_sign_in_that_fails_may_succeed_later(
    fault: str, is_away: bool, site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """It was not refused, so iMIS is away; a write that waited for it was surely not made. 429 only asks to wait."""
    site.fault(fault, Path="/token")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.subscriber_is_away, outcome.in_doubt) == (is_away, False)
    assert isinstance(await connector.send(an_outbound_record(), recorder), Accepted)


async def test_those_who_wait_for_a_sign_in_share_its_failure(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Twenty senders do not wait for twenty time-outs one after the other."""
    site.fault("503", Path="/token", Times=20)
    outcomes = await asyncio.gather(*(connector.send(an_outbound_record(), recorder) for _ in range(20)))
    assert all(isinstance(outcome, Postponed) for outcome in outcomes)
    assert sign_ins(site) == 1


async def test_a_client_application_signs_in_with_its_refresh_token(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """The site gives a new refresh token each time, which takes the place of the old."""
    stored = StoredCredentials(CLIENT)
    connector = make_connector(credentials=CLIENT, lock_credentials=stored.lock)
    for number in range(2):
        assert isinstance(await connector.send(an_outbound_record(record_key=f"key-{number}"), recorder), Accepted)
        site.revoke_tokens()
    reported = [kept["RefreshToken"] for kept in stored.kept]
    assert len({seeds.REFRESH_TOKEN, *reported}) == 3
    assert seeds.CLIENT_SECRET not in str(recorder.exchanges)
    assert not any(token in str(recorder.exchanges) for token in reported)


async def test_processes_side_by_side_share_a_refresh_token_that_is_good_for_once(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Each takes the one that is stored when its turn comes, whatever it was made with."""
    stored = StoredCredentials(CLIENT)
    connectors = [make_connector(credentials=CLIENT, lock_credentials=stored.lock) for _ in range(4)]
    for number in range(3):
        sent = [an_outbound_record(record_key=f"key-{number}-{place}") for place in range(4)]
        outcomes = await asyncio.gather(
            *(connector.send(one, recorder) for connector, one in zip(connectors, sent, strict=True))
        )
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        site.revoke_tokens()


async def test_a_refused_refresh_token_is_read_again(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """An administrator gave another one while the site was asked with the first."""

    class ChangedMeanwhile(StoredCredentials):
        async def read(self) -> dict[str, Any]:
            before, self.credentials = self.credentials, CLIENT
            return before

    stored = ChangedMeanwhile({**CLIENT, "RefreshToken": "an old one"})
    connector = make_connector(credentials=CLIENT, lock_credentials=stored.lock)
    assert isinstance(await connector.send(an_outbound_record(), recorder), Accepted)
    assert sign_ins(site) == 2


async def test_a_refresh_token_that_is_refused_twice_is_asked_with_once(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """The same one is not tried again."""
    stored = StoredCredentials({**CLIENT, "RefreshToken": "wrong"})
    connector = make_connector(credentials=CLIENT, lock_credentials=stored.lock)
    outcomes = [await connector.send(an_outbound_record(), recorder) for _ in range(2)]
    assert {outcome.code for outcome in outcomes} == {"credentials_refused"}
    assert sign_ins(site) == 1


async def test_a_renewed_token_that_could_not_be_stored_is_not_lost(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """The database was away for a moment; the next sign-in goes on with the new one, and stores what comes then."""

    class AwayOnce(StoredCredentials):
        is_away = True

        async def keep(self, credentials: Mapping[str, Any]) -> None:
            if self.is_away:
                self.is_away = False
                raise Unavailable("The database is away.")
            await super().keep(credentials)

    stored = AwayOnce(CLIENT)
    connector = make_connector(credentials=CLIENT, lock_credentials=stored.lock)
    with pytest.raises(Unavailable):
        await connector.send(an_outbound_record(), recorder)
    site.revoke_tokens()
    assert isinstance(await connector.send(an_outbound_record(), recorder), Accepted)
    assert stored.credentials["RefreshToken"] != seeds.REFRESH_TOKEN


async def test_a_sign_in_gets_to_its_end_though_nobody_waits_for_it(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """The refresh token is used up when the caller is cancelled, and the new one is kept all the same."""
    stored = StoredCredentials(CLIENT)
    connector = make_connector(credentials=CLIENT, lock_credentials=stored.lock)
    site.fault("hold", Path="/token")
    sending = asyncio.create_task(connector.send(an_outbound_record(), recorder))

    async def signs_in() -> bool:
        return bool(site.requests("POST", "/token"))

    await eventually(signs_in)
    sending.cancel()
    closing = asyncio.create_task(connector.close())
    site.clear_faults()
    await closing
    assert len(stored.kept) == 1


@pytest.mark.parametrize(
    ("status", "echo"),
    [
        (400, {"error": "invalid_grant", "error_description": f"fred/{SECRET} is wrong"}),
        (400, {"Message": f"denied: {SECRET}"}),
        (401, {"Message": f"denied: {SECRET}"}),
        (403, f"<p>{html.escape(SECRET)}"),
        (500, f"crash: password={SECRET}"),
        (500, f"crash: password={quote_plus(SECRET)}"),
        (302, ""),
        (200, f"your password {SECRET}"),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/token", "/api"])
async def test_no_secret_comes_back_in_a_sentence(
    status: int, echo: Any, path: str, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Whatever a site repeats of the password or the token: not in an outcome, not in a check, not in an attempt."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        credentials, body = dict(scope["headers"]).get(b"authorization", b"").decode(), json.dumps(echo)
        answers_well = not scope["path"].startswith(path)
        if answers_well:
            body, credentials = json.dumps({"access_token": "bearer-hunter2", "expires_in": 600}), ""
        headers = [(b"location", f"/?p={quote(SECRET)}&t={quote(credentials)}".encode())]
        code = 200 if answers_well else status
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": f"{body}{credentials}".encode()})

    async with served(app) as address:
        connector = make_connector({"BaseUrl": address}, {"Username": "fred", "Password": SECRET})
        outcomes = [await connector.send(an_outbound_record(), recorder), await find_robin(connector, recorder)]
        checked = await connector.check()
    kept = f"{outcomes} {checked} {recorder.exchanges}"
    assert "hunter2" not in kept
    assert "***" in kept


async def test_no_secret_is_kept(site: ImisSite, make_connector: Any, recorder: RecordedExchanges) -> None:
    """Neither password nor token stands in an exchange or in a sentence."""
    password = "p&ss wörd%"
    site.change_password(password)
    connector = make_connector(credentials={"Username": "sandbox", "Password": password})
    outcomes = [await connector.send(an_outbound_record(), recorder)]
    site.revoke_tokens()
    outcomes += [await connector.send(an_outbound_record(record_key="two"), recorder)]
    site.change_password("other")
    site.revoke_tokens()
    outcomes += [await connector.send(an_outbound_record(record_key="three"), recorder)]
    kept = str(recorder.exchanges) + str(outcomes)
    assert password not in kept
    assert "p%26ss" not in kept
    assert "Bearer " not in kept
    assert "access_token" not in kept
    signing_in = [exchange for exchange in recorder.exchanges if exchange.url.endswith("/token")]
    assert {exchange.body for exchange in signing_in} == {"***"}
    assert "invalid_grant" in (signing_in[-1].response_body or "")


async def test_an_address_without_a_token_service_is_explained(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """It is a wrong BaseUrl, which no waiting fixes."""
    connector = make_connector({"BaseUrl": f"{site.address}/elsewhere"})
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Refused)
    assert "BaseUrl" in outcome.message


@pytest.mark.parametrize("location", ["javascript:alert(1)", "/login"])
async def test_a_sign_in_that_leads_elsewhere_says_that_imis_is_away(
    location: str, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """The request was sent, whatever address the answer names; a person reads that the settings may be wrong."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"location", location.encode())]
        await send({"type": "http.response.start", "status": 302, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with served(app) as address:
        outcome = await make_connector({"BaseUrl": address}).send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away, len(recorder.exchanges)) == ("subscriber_error", True, 1)
    assert outcome.message.startswith(f"The hub could not sign in: iMIS answered 302, it points to {location}, ")
    assert "BaseUrl in the subscriber's Settings" in outcome.message


PAGE = "<html><h1>Authorization Required</h1></html>"


@pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
async def test_a_page_in_place_of_a_sign_in_says_that_imis_is_away(
    status: int, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Something answers in place of iMIS, such as a page for the time of maintenance."""
    async with served(refusing(status, PAGE)) as address:
        outcome = await make_connector({"BaseUrl": address}).send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away, len(recorder.exchanges)) == ("subscriber_error", True, 1)


@pytest.mark.parametrize("status", [b"099", b"101", b"600"])
async def test_a_token_that_comes_with_no_success_is_not_used(
    status: bytes, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """A status that is not 2xx signs nobody in, whatever follows it; iMIS is away."""
    body = b'{"access_token": "t0ken", "token_type": "bearer", "expires_in": 1209599}'
    answer = b"HTTP/1.1 %s Said\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
    async with receiver(saying(answer)) as port:
        outcome = await make_connector({"BaseUrl": f"http://127.0.0.1:{port}"}).send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away, len(recorder.exchanges)) == ("subscriber_error", True, 1)


@pytest.mark.parametrize("status", [400, 401, 503])
@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
async def test_an_error_of_the_token_service_itself_refuses_nobody(
    error: str, status: int, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """It passes by itself, whatever its status is."""
    async with served(refusing(status, json.dumps({"error": error}))) as address:
        outcome = await make_connector({"BaseUrl": address}).send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert outcome.subscriber_is_away
    assert error in outcome.message


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, PAGE, "an HTML page"),
        *(
            (status, body, words)
            for status in (400, 401, 403)
            for body, words in (
                ("", "no reason given"),
                ("Go away.", "Go away"),
                ('["error"]', '["error"]'),
                ('{"detail": "Not authenticated"}', "Not authenticated"),
                ('{"detail": null}', "no reason given"),
            )
        ),
    ],
)
async def test_a_sign_in_that_something_else_refuses_names_the_address(
    status: int, body: str, words: str, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """A plain web server has no error of OAuth; the credentials rest all the same, since it may stand before iMIS."""
    async with served(refusing(status, body)) as address:
        connector = make_connector({"BaseUrl": address})
        outcome = await connector.send(an_outbound_record(), recorder)
        assert await find_robin(connector, recorder) == outcome
        checked = await connector.check()
    assert isinstance(outcome, Refused)
    assert (outcome.code, len(recorder.exchanges)) == ("credentials_refused", 1)
    assert outcome.message == (
        f"What answers at {address}/token refused the sign-in and does not speak as iMIS does: {status}, {words}. "
        "Most likely BaseUrl in the subscriber's Settings is not the address of the iMIS site: correct it, and run the "
        "check. The hub does not try these credentials again by itself, so that the account is not locked out."
    )
    [finding] = checked.details
    assert finding.message == outcome.message
    assert finding.advice.startswith("If BaseUrl names the right site, ")


@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_grant"},
        {"Error": "invalid_client", "error_description": "No."},
        {"$type": "System.Web.Http.HttpError, System.Web.Http", "Message": "Authorization has been denied."},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_sign_in_that_imis_refuses_is_a_matter_of_the_credentials(
    status: int, body: dict[str, str], make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Whatever the status is: an error of OAuth, or of the Web API, is iMIS's own."""
    async with served(refusing(status, json.dumps(body))) as address:
        outcome = await make_connector({"BaseUrl": address}).send(an_outbound_record(), recorder)
    assert isinstance(outcome, Refused)
    assert outcome.code == "credentials_refused"
    assert outcome.message.startswith(f"iMIS refused the sign-in: {status}, ")
    assert "BaseUrl" not in outcome.message


def refusing(status: int, body: str) -> Any:
    """A server that answers everything so."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body.encode()})

    return app
