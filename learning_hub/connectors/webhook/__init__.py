"""
Any web server as a subscriber, by Standard Webhooks 1.0.

    kind         what this kind declares about itself
    settings     the Settings and Credentials of a subscriber, the Target of a subscription, and their checks
    secrets      the signing secrets: generated, replaced, and the replaced ones that still sign
    signing      the signature of one request
    connector    posts an outbound record, and classifies the response
"""

from learning_hub.connectors.webhook.kind import KIND

__all__ = ["KIND"]
