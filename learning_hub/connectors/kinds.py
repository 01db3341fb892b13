"""
The kinds of subscribers: the one place that knows every connector.

To add a connector, add its folder beside this module and its line here. The key is the `Connector` of a subscriber.
"""

from __future__ import annotations

from learning_hub.connectors import imis, learningbuilder, webhook
from learning_hub.connectors.kind import Kind

KINDS: dict[str, Kind] = {
    "imis": imis.KIND,
    "learningbuilder": learningbuilder.KIND,
    "webhook": webhook.KIND,
}
