"""
The iMIS REST API as the hub uses it: a signed-in call, one record, a list, create, replace, delete, an operation.

Every function raises `Failed`, with the outcome for the worker, where iMIS does not do what it was asked to.

Source: iMIS reference, sections 3 to 6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from learning_hub.connectors.base import Postponed, Recorder, Refused
from learning_hub.connectors.http import Answer, Request
from learning_hub.connectors.imis.answers import (
    Failed,
    blames_question,
    error_text,
    names_field,
    outcome_of,
    rubbish,
    unanswered,
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

_PAGE_ROWS = 100
# Pages of one search that are read at most, so that a site that ignores filters is not read as a whole.
_MOST_PAGES = 100


class Written(msgspec.Struct, frozen=True):
    """A write succeeded; *entity* is what iMIS stored, None where it does not say."""

    entity: Json | None


class Api:
    """Calls a site with the account of *tokens*; *exchange* makes one HTTP exchange."""

    def __init__(self, base_url: str, tokens: Tokens, exchange: Exchanger) -> None:
        self._base_url = base_url
        self._tokens = tokens
        self._exchange = exchange

    async def get(self, entity: str, record_id: str, recorder: Recorder, *, doing: str = "") -> Json | None:
        """The record as it stands, None where there is none; *doing* is what the hub is to do, for sentences."""
        doing = doing or f"read {entity} {record_id}"
        answer = await self._call("GET", _record_path(entity, record_id), doing, recorder)
        if answer.status == 404:
            return None
        return _read(answer, doing)

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
            recorder: Takes the exchanges down.
            doing: What the hub is to do, for sentences; looking for a record unless given.
            advice: What to do where iMIS refuses this.
            rows: On a page; iMIS gives 500 at most.
        """
        doing, offset = doing or f"look for a record in {entity}", 0
        for _ in range(_MOST_PAGES):
            paging = {"limit": str(rows), "offset": str(offset)}
            path = f"{quote(entity)}?{urlencode({**query, **paging}, quote_via=quote, safe=':$')}"
            answer = await self._call("GET", path, doing, recorder)
            page = read_page(_read(answer, doing, advice))
            if page is None:
                raise Failed(rubbish(answer, doing, wrote=False))
            yield page
            if page.next_offset <= offset or not page.rows:
                return
            offset = page.next_offset

    async def first(self, entity: str, recorder: Recorder, *, doing: str, advice: str) -> Json | None:
        """The first record of a list, None where it has none; *doing* and *advice* as for `pages`."""
        answer = await self._call("GET", f"{quote(entity)}?limit=1", doing, recorder)
        page = read_page(_read(answer, doing, advice))
        if page is None:
            raise Failed(rubbish(answer, doing, wrote=False))
        return page.rows[0] if page.rows else None

    async def define(
        self, entity: str, document: Json, recorder: Recorder, *, record_id: str | None = None, doing: str, advice: str
    ) -> None:
        """
        Create something that is no record of a contact, or write *record_id* anew; what iMIS answers is not told.

        Args:
            entity: What it is one of.
            document: The whole of it.
            recorder: Takes the exchanges down.
            record_id: Of the one that is there; None to create one.
            doing: What the hub is to do, for sentences.
            advice: What to do where iMIS refuses this.
        """
        method, path = ("POST", quote(entity)) if record_id is None else ("PUT", _record_path(entity, record_id))
        answer = await self._call(method, path, doing, recorder, document=document)
        if answer.status >= 300:
            raise Failed(_advised(outcome_of(answer, doing, wrote=True), advice))
        if answer.body.strip() and read_object(answer.body) is None:
            raise Failed(rubbish(answer, doing, wrote=True))

    async def execute(
        self, entity: str, operation: str, parameters: Collection[str], recorder: Recorder, *, doing: str
    ) -> Any:
        """The result of a named operation that changes nothing, None where there is none (section 4.1)."""
        document = execute_request(entity, operation, parameters)
        answer = await self._call("POST", f"{quote(entity)}/_execute", doing, recorder, document=document, wrote=False)
        response = _read(answer, doing)
        if unwrap(member(response, "IsSuccessStatusCode")) is False:
            said = str(member(response, "Message") or "no reason given").rstrip(".")
            raise Failed(Refused(code="refused", message=f"The hub could not {doing}: iMIS answered: {said}."))
        return execute_result(response)

    async def create(
        self, entity: str, document: Json, recorder: Recorder, *, party_id: str, party_columns: Collection[str]
    ) -> Written:
        """
        Create a record of the contact *party_id*, which stands in one of *party_columns*.

        Raises:
            Failed: `participant_not_found` where iMIS does not know the contact.
        """
        doing = f"create a record of {entity}"
        answer = await self._call("POST", quote(entity), doing, recorder, document=document)
        if answer.status in (403, 404, 501):
            raise Failed(_advised(outcome_of(answer, doing, wrote=True), open_source(entity)))
        if answer.status == 400 and names_field(answer, party_columns):
            raise Failed(_no_contact(answer, party_id))
        if answer.status >= 300:
            raise Failed(outcome_of(answer, doing, wrote=True))
        return Written(_read_written(answer, doing))

    async def replace(self, entity: str, record_id: str, document: Json, recorder: Recorder) -> Written | None:
        """Write the whole record anew; None where there is none."""
        doing = f"update {entity} {record_id}"
        answer = await self._call("PUT", _record_path(entity, record_id), doing, recorder, document=document)
        if answer.status == 404:
            return None
        if answer.status >= 300:
            raise Failed(outcome_of(answer, doing, wrote=True))
        return Written(_read_written(answer, doing))

    async def delete(self, entity: str, record_id: str, recorder: Recorder) -> bool:
        """Delete the record; false where there is none."""
        doing = f"delete {entity} {record_id}"
        answer = await self._call("DELETE", _record_path(entity, record_id), doing, recorder)
        if answer.status == 404:
            return False
        if answer.status >= 300:
            raise Failed(outcome_of(answer, doing, wrote=True))
        return True

    async def _call(
        self,
        method: str,
        path: str,
        doing: str,
        recorder: Recorder,
        *,
        document: Json | None = None,
        wrote: bool | None = None,
    ) -> Answer:
        """
        An answer, whatever its status is, but not 401: then the token is renewed once and the call made again.

        A denied call was not carried out, so making it again doubles nothing. *wrote* is whether the call is to change
        something, as all but GET do unless told otherwise.
        """
        body = None if document is None else write_object(document)
        url = f"{self._base_url}/api/{path}"
        wrote = method != "GET" if wrote is None else wrote
        token = await self._tokens.current(recorder)
        result = await self._exchange(_signed(method, url, body, token, wrote=wrote), recorder)
        if isinstance(result, Answer) and result.status == 401:
            token = await self._tokens.current(recorder, instead_of=token)
            result = await self._exchange(_signed(method, url, body, token, wrote=wrote), recorder)
        if not isinstance(result, Answer):
            raise Failed(unanswered(result, doing, wrote=wrote))
        if result.status == 401:
            raise Failed(_denied(result, doing))
        return result


def _signed(method: str, url: str, body: bytes | None, token: str, *, wrote: bool) -> Request:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json; charset=utf-8"
    return Request(method=method, url=url, headers=headers, body=body, wrote=wrote, secrets=(token,))


def _record_path(entity: str, record_id: str) -> str:
    """`TopClass_Learning/~10042%7C3`: several elements of an identity are joined with `|` (section 4)."""
    return f"{quote(entity)}/{quote(record_id, safe='~')}"


def open_source(entity: str) -> str:
    """What to look after where a source that is there does not answer; section 8.2 has the usual reason."""
    return f"Check that {entity} is there, is marked Available via the REST API, and that the account may use it."


def _read(answer: Answer, doing: str, advice: str = "") -> Json:
    if answer.status >= 300:
        outcome = _advised(outcome_of(answer, doing, wrote=False), advice)
        raise Failed(outcome, blames_question=blames_question(answer))
    document = read_object(answer.body)
    if document is None:
        raise Failed(rubbish(answer, doing, wrote=False))
    return document


def _read_written(answer: Answer, doing: str) -> Json | None:
    """
    The record in the answer to a write. An empty body is a success as well; one that iMIS does not write is none.

    Otherwise a portal that answers everything with a page of its own would swallow the record.
    """
    if not answer.body.strip():
        return None
    document = read_object(answer.body)
    if document is None:
        raise Failed(rubbish(answer, doing, wrote=True))
    return document if identity_of(document) else None


def _advised(outcome: Postponed | Refused, advice: str) -> Postponed | Refused:
    """A refusal with *advice* after what iMIS says; what may pass by itself needs none."""
    if isinstance(outcome, Postponed) or not advice:
        return outcome
    return msgspec.structs.replace(outcome, message=f"{outcome.message} {advice}")


def _no_contact(answer: Answer, party_id: str) -> Refused:
    return Refused(
        code="participant_not_found",
        message=f"iMIS takes no record for the contact {party_id}: {error_text(answer).rstrip('.')}.",
        failure_class="identity",
    )


def _denied(answer: Answer, doing: str) -> Refused:
    words = error_text(answer)
    return Refused(
        code="credentials_refused",
        message=f"The hub could not {doing}: iMIS denied a token that it had just given. {words}".strip(),
    )
