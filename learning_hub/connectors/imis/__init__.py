"""
iMIS as a subscriber.

    kind                what this kind declares about itself
    connector           from an outbound record to an outcome
    settings            the Settings and Credentials of a subscriber, the Target of a subscription, and their checks

    api token           requests with the account's access token; signing in
    wire                the JSON that iMIS sends and accepts
    responses           what a response means for a delivery

    activity panel      an outbound record laid out in the columns of activities, or of a panel source
    column              what a column accepts, and how iMIS stores a value
    record record_writer    a record as it should be; writing, finding, comparing and removing it
    participants contact_query    the lookup of participants, also by a query of the site

    discovery           the targets of the site and their fields
    source_definition   the columns of a source as the site describes them
    template_validation activity_types    whether templates fit the columns; the activity types of the site
    panel_names panel_definition panel_builder    a panel source: valid names, its definition, creating it

    subscriber_check    the check of a subscriber, which uses
    account_checks target_checks    checks of the site and its account; of activities and panels
    rows_query          instructions for showing the rows of a panel in iMIS
"""

from learning_hub.connectors.imis.kind import KIND

__all__ = ["KIND"]
