"""What the kind `webhook` declares about itself."""

from __future__ import annotations

from learning_hub.connectors.kind import Kind
from learning_hub.connectors.webhook.connector import STATUSES, WebhookConnector
from learning_hub.connectors.webhook.secrets import credential_names, prepare_credentials
from learning_hub.connectors.webhook.settings import (
    WebhookCredentials,
    WebhookSettings,
    WebhookTarget,
    check_credentials,
    check_settings,
    check_target,
    kept_settings,
    masked_settings,
    max_concurrency,
    shown_settings,
    time_zone,
)

KIND = Kind(
    title="a webhook",
    settings=WebhookSettings,
    credentials=(WebhookCredentials,),
    targets=(WebhookTarget,),
    credentials_note=(
        "Both are optional: a SigningSecret that was never given is made by the hub, and is in this answer alone; a "
        "new one signs together with the one before for 24 hours."
    ),
    check_settings=check_settings,
    shown_settings=shown_settings,
    masked_settings=masked_settings,
    kept_settings=kept_settings,
    secret_settings=("Headers",),
    check_credentials=check_credentials,
    check_target=check_target,
    time_zone=time_zone,
    max_concurrency=max_concurrency,
    build=WebhookConnector,
    statuses=STATUSES,
    one_record_for="source_key",
    resolves_participants=False,
    removal_has_payload=True,
    needs_credentials=False,
    prepare_credentials=prepare_credentials,
    credential_names=credential_names,
)
