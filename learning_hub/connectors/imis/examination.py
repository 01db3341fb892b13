"""
The check of a subscriber: what the account finds at the site, in words. Writes nothing.

Source: iMIS reference, sections 5.1 and 13 (what tells an EMS site from an older one).
"""

from __future__ import annotations

from learning_hub.connectors.base import CheckResult, Journal
from learning_hub.connectors.imis.answers import Failed
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.settings import Settings
from learning_hub.connectors.imis.token import Tokens
from learning_hub.connectors.imis.wire import Page


async def examine(api: Api, tokens: Tokens, settings: Settings, journal: Journal) -> CheckResult:
    """Sign in, then read one page of contacts and one of activities."""
    try:
        await tokens.current(journal)
    except Failed as failed:
        return CheckResult(works=False, findings=[failed.outcome.message])
    findings = [f"Signed in at {settings.base_url}."]
    contacts = await _first_page(api, "PartySummary", findings, journal)
    activities = await _first_page(api, "Activity", findings, journal)
    if contacts is not None:
        findings.append(f"It can read contacts: there are {contacts.total}.")
    if activities is not None:
        findings.append(f"It can read activities: there are {activities.total}.")
    page = contacts or activities
    if page is not None:
        findings.append(_version(page, settings))
    needs_contacts = settings.participant_lookup == "email"
    return CheckResult(works=page is not None and (contacts is not None or not needs_contacts), findings=findings)


async def _first_page(api: Api, entity: str, findings: list[str], journal: Journal) -> Page | None:
    try:
        async for page in api.pages(entity, {}, journal):
            return page
    except Failed as failed:
        findings.append(failed.outcome.message)
    return None


def _version(page: Page, settings: Settings) -> str:
    if page.is_old or "asi.scheduler" in settings.base_url.casefold():
        return (
            "This is the web service of iMIS 20.2 or earlier; it has no /api/query, and queries are run the older way."
        )
    return "This is an EMS site (iMIS 20.3 or later)."
