"""
The check of a subscriber: what the account finds at the site, and what to click there. Writes nothing.

The questions go out one after the other, as the vendor asks. The site being away ends them, and so does a total time,
so that nobody waits for a slow site as often as there are questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.check_results import CheckResult, Finding, Needs
from learning_hub.connectors.imis import account_checks, target_checks
from learning_hub.connectors.imis.account_checks import first_row
from learning_hub.connectors.imis.activity import ENTITY
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.settings import ImisSettings, QueryLookup
from learning_hub.connectors.imis.token import Tokens


async def check_site(
    api: Api, tokens: Tokens, settings: ImisSettings, needs: Sequence[Needs], recorder: Recorder, *, most_seconds: float
) -> CheckResult:
    """
    What the account finds, and what it lacks for the subscriptions.

    Args:
        api: Asks the site.
        tokens: Sign in.
        settings: Of the subscriber.
        needs: Of its subscriptions.
        recorder: Takes exchanges down.
        most_seconds: After so long no more is asked, and what was found until then is told.
    """
    found: list[Finding] = []
    try:
        async with asyncio.timeout(most_seconds):
            await _ask_everything(found, api, tokens, settings, needs, recorder)
    except Failed as failed:
        if found:
            advice = "The rest was not looked at."
            found.append(Finding(subject="site", state="wrong", message=failed.message, advice=advice))
        else:
            found.append(account_checks.not_signed_in(failed, tokens.how_to_fix))
    except TimeoutError:
        message = f"iMIS was asked for {most_seconds:g} seconds and is too slow to look at the rest."
        found.append(Finding(subject="site", state="wrong", message=message))
    return CheckResult.of(*found)


async def _ask_everything(
    found: list[Finding], api: Api, tokens: Tokens, settings: ImisSettings, needs: Sequence[Needs], recorder: Recorder
) -> None:
    """
    Adds to *found*, one question after the other.

    Raises:
        Failed: There is no use in asking on.
    """
    await tokens.current(recorder)
    found.append(Finding(subject="sign-in", message=f"Signed in at {settings.base_url}."))
    of_activities = target_checks.of_activities(needs)
    contacts = await first_row(api, "PartySummary", {}, recorder, "read contacts (PartySummary)")
    found.append(account_checks.contacts(contacts, settings))
    activities = await first_row(api, ENTITY, {}, recorder, "read activities")
    found.append(target_checks.activities(activities, of_activities))
    pages = [result.page for result in (contacts, activities) if result.page is not None]
    if pages:
        found.append(account_checks.version(pages, settings))
    found.append(account_checks.clock(settings))
    found.append(await account_checks.roles(api, recorder))
    if isinstance(settings.participant_lookup, QueryLookup):
        found.append(await account_checks.lookup_query(api, settings.participant_lookup, recorder))
    if activities.page is not None:
        found.append(await target_checks.activity_key(api, settings, of_activities, recorder))
    found += await target_checks.activity_types(api, of_activities, recorder)
    for name, users in target_checks.panels_of(needs).items():
        found += await target_checks.panel(api, name, users, recorder)
    if not pages:
        reads_panel = any(one.subject == "panel" and one.state == "fine" for one in found)
        found.append(account_checks.unknown_version(reads_panel=reads_panel))
