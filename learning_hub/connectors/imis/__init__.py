"""
iMIS as a subscriber.

    settings       what a subscription and a subscriber say about a site, checked
    token  api     the account's token; signed-in calls
    wire           the shapes on the wire
    answers        what an answer means for a delivery
    activity panel definition    an outbound record laid out in columns
    record records               a record as it should be; bringing it there once
    names blueprint builder   a panel source: what it can be called, its definition, making it
    sources        which sources and columns the site has
    fitness activity_types   whether templates fit them, and which types of activities there are
    participants contact_query   who somebody is at the site, also by a query of its own
    examination    the check of a subscriber, which asks for
    account destinations   the site and its account; activities and panels
    rows_query     how to have rows shown in iMIS
    connector      all of it behind the interface the worker knows
"""

from learning_hub.connectors.imis.connector import ImisConnector, check_template
from learning_hub.connectors.imis.names import check_panel
from learning_hub.connectors.imis.settings import (
    check_credentials,
    check_settings,
    check_target,
    max_concurrency,
    time_zone,
)

__all__ = [
    "ImisConnector",
    "check_credentials",
    "check_panel",
    "check_settings",
    "check_target",
    "check_template",
    "max_concurrency",
    "time_zone",
]
