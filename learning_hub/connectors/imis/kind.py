"""What the kind `imis` declares about itself."""

from __future__ import annotations

from learning_hub.connectors.imis.connector import ImisConnector, check_template
from learning_hub.connectors.imis.panel_names import check_panel
from learning_hub.connectors.imis.responses import STATUSES
from learning_hub.connectors.imis.settings import (
    ActivityTarget,
    ClientCredentials,
    ImisSettings,
    PanelTarget,
    PasswordCredentials,
    check_credentials,
    check_settings,
    check_target,
    max_concurrency,
    time_zone,
)
from learning_hub.connectors.kind import Kind

KIND = Kind(
    title="iMIS",
    settings=ImisSettings,
    credentials=(PasswordCredentials, ClientCredentials),
    targets=(ActivityTarget, PanelTarget),
    check_settings=check_settings,
    check_credentials=check_credentials,
    check_target=check_target,
    check_template=check_template,
    time_zone=time_zone,
    max_concurrency=max_concurrency,
    build=ImisConnector,
    statuses=STATUSES,
    key_fields={"panel": "KeyProperty"},
    can_compare=True,
    can_build=True,
    check_panel=check_panel,
    can_discover=True,
)
