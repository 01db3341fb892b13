"""
LearningBuilder as a subscriber: events go into its import queue, many in one batch.

    kind         what this kind declares about itself
    settings     the Settings and Credentials of a subscriber, the Target of a subscription, and their checks
    batch        one batch on the wire: its address, its lines, its number in the response
    responses    what a response means for all deliveries of a batch
    connector    sends batches
"""

from learning_hub.connectors.learningbuilder.kind import KIND

__all__ = ["KIND"]
