"""
Checks of the site and of the subscriber's account: sign-in, time zone, version, roles, contacts, and the query for
contacts.

Sources: iMIS reference, sections 2.5, 5.1, 10, 11 and 13; for the instructions also the vendor's help.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.check_results import Finding
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.contact_query import NOBODIES, NOBODY, first_prompt, named_prompt, open_filters
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.settings import ImisSettings, QueryLookup
from learning_hub.connectors.imis.wire import Page, member, unwrap, values_of
from learning_hub.connectors.outcomes import Refused

CHECK_LATER = "iMIS itself failed. Check again later; if it lasts, ask whoever runs iMIS."
# The roles whose users may use every source that is marked for REST, as current sites name them.
_STAFF = ("sysadmin", "staff")


class ReadResult(msgspec.Struct, frozen=True):
    """
    The result of reading the beginning of a list.

    *page* is the first page; *failure* is a sentence saying why there is none, *may_pass* says whether a later request
    may succeed, and *blames_question* whether the request itself is at fault.
    """

    page: Page | None
    failure: str = ""
    may_pass: bool = False
    blames_question: bool = False


async def first_row(api: Api, entity: str, query: dict[str, str], recorder: Recorder, doing: str) -> ReadResult:
    """
    The first row of a list, which shows whether it can be read and how long it is; *doing* is for sentences.

    Raises:
        Failed: No further request would succeed.
    """
    try:
        async for page in api.pages(entity, query, recorder, doing=doing, rows=1):
            return ReadResult(page)
    except Failed as failed:
        if failed.concerns_all:
            raise
        return ReadResult(
            None,
            failed.outcome.message,
            may_pass=not isinstance(failed.outcome, Refused),
            blames_question=failed.blames_question,
        )
    return ReadResult(None, f"{entity} gave no page.")


def not_signed_in(failed: Failed, how_to_fix: str) -> Finding:
    """Why the sign-in failed; *how_to_fix* is the advice for refused credentials."""
    outcome = failed.outcome
    advice = ""
    if isinstance(outcome, Refused) and outcome.code == "credentials_refused":
        advice = how_to_fix
    elif not isinstance(outcome, Refused) and outcome.code != "rate_limited":
        advice = (
            "Check that BaseUrl in the subscriber's Settings is the address of the iMIS site. If it is, ask whoever "
            "runs iMIS whether it is up and lets the hub in."
        )
    return Finding(subject="sign-in", state="wrong", message=failed.message, advice=advice)


def clock(settings: ImisSettings) -> Finding:
    """The time zone in which dates are written; iMIS does not report its own, so a person has to compare."""
    name, zone = settings.zone_name, ZoneInfo(settings.zone_name)
    now = datetime.now(UTC).astimezone(zone)
    has_summer_time = now.replace(month=1, day=1).utcoffset() != now.replace(month=7, day=1).utcoffset()
    is_set = settings.time_zone is not None
    return Finding(
        subject="time-zone",
        name=name,
        state="fine" if is_set else "look",
        message=f"Dates are written on the clock of {name}, where it is {now:%H:%M} now, "
        f"{'with' if has_summer_time else 'without'} a change to summer time.",
        advice=""
        if is_set
        else "No time zone is set: set TimeZone in the subscriber's Settings to that of iMIS, such as "
        "America/New_York.",
    )


def version(pages: Sequence[Page], settings: ImisSettings) -> Finding:
    """The version of iMIS, as far as its pages and its address show it."""
    if any(page.is_old for page in pages) or "asi.scheduler" in settings.base_url.casefold():
        return Finding(
            subject="version",
            name="web service",
            state="look",
            message="This is the web service of iMIS 20.2 or earlier; it has no /api/query, and queries are run the "
            "older way.",
            advice="The hub is made for EMS (iMIS 20.3 or later). Activities and panels go over the same addresses "
            "here, but some of these versions name a row of a panel otherwise, so that it cannot be updated or "
            "removed. Send one event, change it and withdraw it before you rely on a panel.",
        )
    return Finding(subject="version", name="EMS", message="This is an EMS site (iMIS 20.3 or later).")


def unknown_version(*, reads_panel: bool) -> Finding:
    """The version where neither contacts nor activities can be read; *reads_panel* says that a panel can be read."""
    return Finding(
        subject="version",
        state="look" if reads_panel else "wrong",
        message="The version of iMIS is not known, since neither contacts nor activities can be read.",
        advice="Settings > About iMIS shows it: the hub works with EMS (iMIS 20.3 or later), and only with a site that "
        "has a REST API.",
    )


async def roles(api: Api, recorder: Recorder) -> Finding:
    """
    What the account may do, by its roles.

    Raises:
        Failed: No further request would succeed.
    """
    try:
        doing = "read the roles of its account (UserSecurity)"
        result = await api.execute("UserSecurity", "GetUserRoles", [], recorder, doing=doing)
    except Failed as failed:
        if failed.concerns_all:
            raise
        return Finding(
            subject="roles",
            state="look",
            message=f"The roles of the account are not known. {failed.outcome.message}",
            advice="What it may read is listed below; what it may write shows with the first record.",
        )
    names = [str(name) for role in values_of(result) if (name := _role_name(role))]
    if not names:
        return Finding(subject="roles", state="look", message="iMIS names no roles of the account.")
    message = f"The account has the roles {', '.join(names)}."
    if any(word in name.casefold() for name in names for word in _STAFF):
        return Finding(subject="roles", name=", ".join(names), message=message)
    return Finding(
        subject="roles",
        name=", ".join(names),
        state="look",
        message=message,
        advice="An account that is no staff user may write to a panel only where the Security tab of the source "
        "grants Read, Add, Update and Delete to it.",
    )


def _role_name(role: Any) -> Any:
    return unwrap(member(role, "RoleName")) if isinstance(role, dict) else role


def contacts(result: ReadResult, settings: ImisSettings) -> Finding:
    """Whether contacts can be read, which the lookup by e-mail address needs."""
    if result.page is not None:
        return Finding(subject="contacts", message=f"It can read contacts: there are {result.page.total}.")
    needs_them = settings.participant_lookup == "email"
    if result.may_pass:
        return not_known("contacts", "contacts", result, is_needed=needs_them)
    return Finding(
        subject="contacts",
        state="wrong" if needs_them else "look",
        message=f"It cannot read contacts. {result.failure}",
        advice="Participants are looked up by e-mail address, so nothing can be delivered: give the account a role "
        "that may read contacts, or choose another ParticipantLookup in the subscriber's Settings."
        if needs_them
        else "ParticipantLookup does not need them, but contacts that are not active are not noticed.",
    )


def not_known(
    subject: str,
    what: str,
    result: ReadResult,
    *,
    is_needed: bool,
    name: str = "",
    subscription_ids: Sequence[str] = (),
) -> Finding:
    """That iMIS itself failed, which says nothing about what the account may do."""
    return Finding(
        subject=subject,
        name=name,
        state="wrong" if is_needed else "look",
        message=f"The hub cannot find out now whether {what} can be read. {result.failure}",
        advice=CHECK_LATER,
        subscription_ids=list(subscription_ids),
    )


async def lookup_query(api: Api, way: QueryLookup, recorder: Recorder) -> Finding:
    """
    Whether the query of `ParticipantLookup` can be run, the newer way or else the older, and uses its prompt.

    Raises:
        Failed: No further request would succeed.
    """
    doing = f"run the query {way.query}"
    newer = await first_row(api, "query", named_prompt(way, NOBODY), recorder, doing)
    if newer.page is not None:
        return _answered(way, newer.page)
    # In these two cases the lookup of participants does not try the older way either.
    if newer.may_pass:
        return _cannot_be_run(way, newer.failure, CHECK_LATER)
    if newer.blames_question:
        return await _refused_by_request(api, way, newer, recorder)
    older = await first_row(api, "IQA", first_prompt(way, NOBODY), recorder, doing)
    if older.page is not None:
        return _answered_older_way(way, older.page)
    found = await _is_available(api, way, recorder)
    if found is None:
        advice = f"Check that it is there, and {_mark(way)}"
    elif found:
        advice = "It is marked for REST: on its Security tab, and on that of its folder, let the account run it."
    else:
        advice = f"It is there and not marked: {_mark(way)}"
    return _cannot_be_run(way, newer.failure, advice)


def _cannot_be_run(way: QueryLookup, failure: str, advice: str) -> Finding:
    return Finding(
        subject="query",
        name=way.query,
        state="wrong",
        message=f"The query of ParticipantLookup cannot be run. {failure}",
        advice=advice,
    )


async def _refused_by_request(api: Api, way: QueryLookup, result: ReadResult, recorder: Recorder) -> Finding:
    """The finding where iMIS refuses the query for `NOBODY` because of the request itself."""
    doing = f"run the query {way.query}"
    for nobody in NOBODIES[1:]:
        # The column may hold only numbers, or only GUIDs.
        other = await first_row(api, "query", named_prompt(way, nobody), recorder, doing)
        if other.page is not None:
            return _answered(way, other.page, nobody)
    bare = await first_row(api, "query", {"QueryName": way.query}, recorder, doing)
    if bare.page is None:
        return _cannot_be_run(way, result.failure, f"Run it in iMIS, and see what it prompts for. {open_filters(way)}")
    return Finding(
        subject="query",
        name=way.query,
        state="wrong",
        message=f"The query {way.query} took no prompt {way.prompt}, and runs without. {result.failure}",
        advice=open_filters(way),
    )


def _answered(way: QueryLookup, page: Page, nobody: str = NOBODY, how: str = "") -> Finding:
    if not page.total and not page.rows:
        return Finding(subject="query", name=way.query, message=f"The query {way.query} answers{how}.")
    return Finding(
        subject="query",
        name=way.query,
        state="wrong",
        message=f"The query {way.query}{how and f'{how},'} took no prompt {way.prompt}: it gives {max(page.total, 1)} "
        f"rows for {nobody}, who is not there.",
        advice=open_filters(way),
    )


def _answered_older_way(way: QueryLookup, page: Page) -> Finding:
    """A query that is run the older way uses its first prompt, whose name the response does not contain."""
    answered = _answered(way, page, how=", run the older way")
    if answered.state != "fine":
        return answered
    advice = (
        f"Prompts go by their order here: see on its Filters tab in iMIS that {way.prompt} is the first it prompts for."
    )
    return msgspec.structs.replace(answered, state="look", advice=advice)


def _mark(way: QueryLookup) -> str:
    return (
        f"in iMIS, go to RiSE > Intelligent Query Architect, open {way.query}, and tick Allow Access via REST API on "
        "that query's Security tab; newer versions call it Available via the REST API."
    )


async def _is_available(api: Api, way: QueryLookup, recorder: Recorder) -> bool | None:
    """Whether the query is marked for REST, None where the site does not say or has no such query."""
    try:
        doing = f"look at the query {way.query} (QueryDefinition)"
        query = await api.execute("QueryDefinition", "FindByPath", [way.query], recorder, doing=doing)
    except Failed as failed:
        if failed.concerns_all:
            raise
        return None
    marked = unwrap(member(query, "IsAvailableToREST")) if isinstance(query, dict) else None
    # iMIS leaves out every default, so a missing value means false.
    return bool(marked) if isinstance(query, dict) and query else None
