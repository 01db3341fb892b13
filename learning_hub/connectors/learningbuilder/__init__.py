"""
LearningBuilder as a subscriber: events go into its import queue, many in one batch.

    settings     what a subscriber and a subscription say about it, checked
    batch        one batch on the wire: its address, its lines, its number in the answer
    answers      what an answer means for all deliveries of a batch
    connector    all of it behind the interface the worker knows
"""

from learning_hub.connectors.learningbuilder.connector import LearningBuilderConnector, check_template
from learning_hub.connectors.learningbuilder.settings import (
    MOST_BYTES_IN_BATCH,
    MOST_IN_BATCH,
    check_credentials,
    check_settings,
    check_target,
    max_concurrency,
    time_zone,
)

__all__ = [
    "MOST_BYTES_IN_BATCH",
    "MOST_IN_BATCH",
    "LearningBuilderConnector",
    "check_credentials",
    "check_settings",
    "check_target",
    "check_template",
    "max_concurrency",
    "time_zone",
]
