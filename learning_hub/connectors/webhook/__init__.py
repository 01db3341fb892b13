"""
Any web server as a subscriber, as Standard Webhooks 1.0 has it.

    settings     what a subscriber and a subscription say about it, checked
    secrets      its signing secrets: made, changed, and the old ones still signing
    signing      the signature of one request
    connector    an outbound record posted, and what the answer means
"""

from learning_hub.connectors.webhook.connector import WebhookConnector, check_template
from learning_hub.connectors.webhook.secrets import credential_names, prepare_credentials
from learning_hub.connectors.webhook.settings import (
    check_credentials,
    check_settings,
    check_target,
    max_concurrency,
    time_zone,
)

__all__ = [
    "WebhookConnector",
    "check_credentials",
    "check_settings",
    "check_target",
    "check_template",
    "credential_names",
    "max_concurrency",
    "prepare_credentials",
    "time_zone",
]
