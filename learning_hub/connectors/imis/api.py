"""
The iMIS REST API as the hub uses it: read one record or a list, create, replace, delete, execute an operation.

Every method raises `Failed`, with the outcome for the worker, where iMIS does not do what it was asked to.

Source: iMIS reference, sections 3 to 6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from learning_hub.connectors.base import NoRecorder, Recorder
from learning_hub.connectors.http import HttpRequest, HttpResponse
from learning_hub.connectors.imis.responses import (
    Failed,
    blames_question,
    error_text,
    names_field,
    outcome_of,
    outcome_without_response,
    unreadable_response,
)
from learning_hub.connectors.imis.token import Exchanger, Tokens
from learning_hub.connectors.imis.wire import (
    Json,
    Page,
    execute_request,
    execute_result,
    identity_of,
    member,
    read_object,
    read_page,
    unwrap,
    write_object,
)
from learning_hub.connectors.outcomes import Postponed, Refused
from learning_hub.connectors.responses import AWAY, describe_response, is_page, postponed, retry_after_seconds

_PAGE_ROWS = 100
# Read to see whether the site answers at all; the second where the first is what gave an odd answer.
_ELSEWHERE, _OTHER_ELSEWHERE = "PartySummary", "Party"
# The most pages of one search that are read, so that a site that ignores filters is not read as a whole.
_MOST_PAGES = 100


class Written(msgspec.Struct, frozen=True):
    """A write succeeded; *entity* is what iMIS stored, None where the response does not contain it."""

    entity: Json | None


class Api:
    """Sends requests to a site with the account of *tokens*; *exchange* makes one HTTP exchange."""

    def __init__(self, base_url: str, tokens: Tokens, exchange: Exchanger) -> None:
        self._base_url = base_url
        self._tokens = tokens
        self._exchange = exchange

    async def get(self, entity: str, record_id: str, recorder: Recorder, *, doing: str = "") -> Json | None:
        """The record, None where iMIS has none; *doing* is what the hub wants to do, for sentences."""
        doing = doing or f"read {entity} {record_id}"
        response = await self._request("GET", _record_path(entity, record_id), doing, recorder)
        if response.status == 404:
            return None
        return _read(response, doing)

    async def pages(
        self,
        entity: str,
        query: Mapping[str, str],
        recorder: Recorder,
        *,
        doing: str = "",
        advice: str = "",
        rows: int = _PAGE_ROWS,
    ) -> AsyncIterator[Page]:
        """
        The pages of a list.

        Args:
            entity: The list's name.
            query: Filters (`eq:…`) and whatever else the list takes.
            recorder: Records the exchanges.
            doing: What the hub wants to do, for sentences; by default it looks for a record.
            advice: What to do where iMIS refuses this.
            rows: On a page; iMIS returns 500 at most.
        """
        doing, offset = doing or f"look for a record in {entity}", 0
        for _ in range(_MOST_PAGES):
            paging = {"limit": str(rows), "offset": str(offset)}
            path = f"{quote(entity)}?{urlencode({**query, **paging}, quote_via=quote, safe=':$')}"
            response = await self._request("GET", path, doing, recorder)
            page = read_page(_read(response, doing, advice))
            if page is None:
                raise Failed(unreadable_response(response, doing, wrote=False))
            yield page
            if page.next_offset <= offset or not page.rows:
                return
            offset = page.next_offset

    async def first(self, entity: str, recorder: Recorder, *, doing: str, advice: str) -> Json | None:
        """The first record of a list, None where it is empty; *doing* and *advice* as for `pages`."""
        response = await self._request("GET", f"{quote(entity)}?limit=1", doing, recorder)
        page = read_page(_read(response, doing, advice))
        if page is None:
            raise Failed(unreadable_response(response, doing, wrote=False))
        return page.rows[0] if page.rows else None

    async def define(
        self, entity: str, document: Json, recorder: Recorder, *, record_id: str | None = None, doing: str, advice: str
    ) -> None:
        """
        Create an entity that is no record of a contact, or replace the one named *record_id*.

        Args:
            entity: Its type.
            document: The whole entity.
            recorder: Records the exchanges.
            record_id: Of an existing entity; None to create one.
            doing: What the hub wants to do, for sentences.
            advice: What to do where iMIS refuses this.
        """
        method, path = ("POST", quote(entity)) if record_id is None else ("PUT", _record_path(entity, record_id))
        response = await self._request(method, path, doing, recorder, document=document)
        if not response.is_success:
            raise Failed(_advised(outcome_of(response, doing, wrote=True), advice))
        if (response.flaw or response.body.strip()) and read_object(response.body) is None:
            raise Failed(unreadable_response(response, doing, wrote=True))

    async def execute(
        self, entity: str, operation: str, parameters: Collection[str], recorder: Recorder, *, doing: str
    ) -> Any:
        """The result of a named operation that changes nothing, None where there is none (section 4.1)."""
        document = execute_request(entity, operation, parameters)
        response = await self._request(
            "POST", f"{quote(entity)}/_execute", doing, recorder, document=document, wrote=False
        )
        result = _read(response, doing)
        if unwrap(member(result, "IsSuccessStatusCode")) is False:
            reason = str(member(result, "Message") or "no reason given").rstrip(".")
            raise Failed(Refused(code="refused", message=f"The hub could not {doing}: iMIS answered: {reason}."))
        return execute_result(result)

    async def create(
        self, entity: str, document: Json, recorder: Recorder, *, party_id: str, party_columns: Collection[str]
    ) -> Written:
        """
        Create a record of the contact *party_id*, which is the value of one of *party_columns*.

        Raises:
            Failed: `participant_not_found` where iMIS does not know the contact.
        """
        doing = f"create a record of {entity}"
        response = await self._request("POST", quote(entity), doing, recorder, document=document)
        if response.status in (403, 404, 501):
            raise Failed(_advised(outcome_of(response, doing, wrote=True), open_source(entity)))
        if response.status == 400 and names_field(response, party_columns):
            raise Failed(_no_contact(response, party_id))
        if not response.is_success:
            raise Failed(outcome_of(response, doing, wrote=True))
        return Written(_read_written(response, doing))

    async def replace(self, entity: str, record_id: str, document: Json, recorder: Recorder) -> Written | None:
        """Replace the whole record; None where iMIS has none."""
        doing = f"update {entity} {record_id}"
        response = await self._request("PUT", _record_path(entity, record_id), doing, recorder, document=document)
        if response.status == 404:
            return None
        if not response.is_success:
            raise Failed(outcome_of(response, doing, wrote=True))
        return Written(_read_written(response, doing))

    async def delete(self, entity: str, record_id: str, recorder: Recorder) -> bool:
        """Delete the record; false where iMIS has none."""
        doing = f"delete {entity} {record_id}"
        response = await self._request("DELETE", _record_path(entity, record_id), doing, recorder)
        if response.status == 404:
            return False
        if not response.is_success:
            raise Failed(outcome_of(response, doing, wrote=True))
        return True

    async def _request(
        self,
        method: str,
        path: str,
        doing: str,
        recorder: Recorder,
        *,
        document: Json | None = None,
        wrote: bool | None = None,
    ) -> HttpResponse:
        """
        A response of any status but 401; after a 401 the token is renewed once and the request repeated.

        A denied request was not carried out, so repeating it duplicates nothing. *wrote* is whether the request is to
        change something; by default all methods but GET do.

        Raises:
            Failed: Also where the response is a redirect or a page, and the site answers other requests in the same
                way, as a site does that is being maintained.
        """
        body = None if document is None else write_object(document)
        url = f"{self._base_url}/api/{path}"
        wrote = method != "GET" if wrote is None else wrote
        token = await self._tokens.current(recorder)
        result = await self._exchange(_signed(method, url, body, token, wrote=wrote), recorder)
        if isinstance(result, HttpResponse) and result.status == 401:
            token = await self._tokens.current(recorder, instead_of=token)
            result = await self._exchange(_signed(method, url, body, token, wrote=wrote), recorder)
        if not isinstance(result, HttpResponse):
            raise Failed(outcome_without_response(result, doing, wrote=wrote))
        if result.status == 401:
            raise Failed(_denied(result, doing))
        if _is_of_another(result, wrote=wrote) and not await self._answers(path, token):
            raise Failed(_nobody_answers(result, doing))
        return result

    async def _answers(self, path: str, token: str) -> bool:
        """Whether the site answers a request other than that for *path* as iMIS does."""
        entity = _OTHER_ELSEWHERE if path.startswith(_ELSEWHERE) else _ELSEWHERE
        url = f"{self._base_url}/api/{entity}?limit=1"
        # Not recorded: the attempt keeps the exchange that failed.
        result = await self._exchange(_signed("GET", url, None, token, wrote=False), NoRecorder())
        return (
            isinstance(result, HttpResponse) and result.status not in AWAY and not _is_of_another(result, wrote=False)
        )


def _signed(method: str, url: str, body: bytes | None, token: str, *, wrote: bool) -> HttpRequest:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json; charset=utf-8"
    return HttpRequest(method=method, url=url, headers=headers, body=body, wrote=wrote, secrets=(token,))


def _record_path(entity: str, record_id: str) -> str:
    """`TopClass_Learning/~10042%7C3`: several elements of an identity are joined with `|` (section 4)."""
    return f"{quote(entity)}/{quote(record_id, safe='~')}"


def open_source(entity: str) -> str:
    """What to check where an existing source does not answer; section 8.2 has the usual reason."""
    return f"Check that {entity} is there, is marked Available via the REST API, and that the account may use it."


def _read(response: HttpResponse, doing: str, advice: str = "") -> Json:
    if not response.is_success:
        outcome = _advised(outcome_of(response, doing, wrote=False), advice)
        raise Failed(outcome, blames_question=blames_question(response))
    document = read_object(response.body)
    if document is None:
        raise Failed(unreadable_response(response, doing, wrote=False))
    return document


def _read_written(response: HttpResponse, doing: str) -> Json | None:
    """
    The record in the response to a write. An empty body is a success too; a body that iMIS would not write is none.

    Otherwise the record would be lost at a portal that answers every request with a page of its own.
    """
    if not response.body.strip() and response.flaw is None:
        return None
    document = read_object(response.body)
    if document is None:
        raise Failed(unreadable_response(response, doing, wrote=True))
    return document if identity_of(document) else None


def _advised(outcome: Postponed | Refused, advice: str) -> Postponed | Refused:
    """A refusal with *advice* appended; a failure that may pass needs none."""
    if isinstance(outcome, Postponed) or not advice:
        return outcome
    return msgspec.structs.replace(outcome, message=f"{outcome.message} {advice}")


def _no_contact(response: HttpResponse, party_id: str) -> Refused:
    return Refused(
        code="participant_not_found",
        message=f"iMIS accepts no record for the contact {party_id}: {error_text(response).rstrip('.')}.",
        failure_class="identity",
    )


def _denied(response: HttpResponse, doing: str) -> Postponed:
    """The account can sign in, so the site itself may be at fault; the circuit breaker counts how often."""
    words = error_text(response)
    return Postponed(
        code="token_denied",
        message=f"The hub could not {doing}: iMIS denied a token that it had just issued. {words}".strip(),
        subscriber_is_away=True,
    )


def _is_of_another(response: HttpResponse, *, wrote: bool) -> bool:
    """
    Whether the response may be that of something in front of iMIS: a redirect, or a page in place of JSON.

    A page with the status of a success leaves the outcome of a write open, which matters more. A page with a status
    that may pass is taken by its status.
    """
    if not response.is_success:
        is_redirect = 300 <= response.status < 400
        return is_redirect or (is_page(response) and postponed(response, "", wrote=wrote) is None)
    is_received = response.flaw is None or response.flaw.code == "subscriber_error"
    return not wrote and is_received and read_object(response.body) is None


def _nobody_answers(response: HttpResponse, doing: str) -> Postponed:
    description = describe_response(response, error_text(response))
    return Postponed(
        code="subscriber_error",
        message=f"The hub could not {doing}: {description} Other requests are answered in the same way, so iMIS seems "
        "to be away, such as for maintenance.",
        retry_after_seconds=retry_after_seconds(response),
        subscriber_is_away=True,
    )
