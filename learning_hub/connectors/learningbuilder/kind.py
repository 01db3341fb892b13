"""What the kind `learningbuilder` declares about itself."""

from __future__ import annotations

from learning_hub.connectors.kind import BatchLimits, Kind
from learning_hub.connectors.learningbuilder.connector import LearningBuilderConnector
from learning_hub.connectors.learningbuilder.settings import (
    MOST_BYTES_IN_BATCH,
    MOST_IN_BATCH,
    LearningBuilderCredentials,
    LearningBuilderSettings,
    LearningBuilderTarget,
    check_credentials,
    check_settings,
    check_target,
    max_concurrency,
    time_zone,
)

KIND = Kind(
    title="LearningBuilder",
    settings=LearningBuilderSettings,
    credentials=(LearningBuilderCredentials,),
    targets=(LearningBuilderTarget,),
    check_settings=check_settings,
    check_credentials=check_credentials,
    check_target=check_target,
    time_zone=time_zone,
    max_concurrency=max_concurrency,
    build=LearningBuilderConnector,
    resolves_participants=False,
    can_remove=False,
    batch=BatchLimits(most=MOST_IN_BATCH, most_bytes=MOST_BYTES_IN_BATCH, seconds=2.0),
)
