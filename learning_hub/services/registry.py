"""The services of one hub process by name, for its composition; no service depends on this."""

from __future__ import annotations

import msgspec

from learning_hub.publish.publisher import Publisher
from learning_hub.services.audit_log import AuditLog
from learning_hub.services.authentication import Authenticator
from learning_hub.services.batch_publishing import BatchPublishing
from learning_hub.services.deliveries import Deliveries
from learning_hub.services.event_validation import EventValidation
from learning_hub.services.events import Events
from learning_hub.services.feed import Feed
from learning_hub.services.hub_status import HubStatus
from learning_hub.services.keys import Keys
from learning_hub.services.panels import Panels
from learning_hub.services.participants import ParticipantMatches
from learning_hub.services.previews import Previews
from learning_hub.services.programs import Programs
from learning_hub.services.reconciliation import Reconciliations
from learning_hub.services.run_logs import RunLogs
from learning_hub.services.runs import Runs
from learning_hub.services.subscriber_checks import SubscriberChecks
from learning_hub.services.subscribers import Subscribers
from learning_hub.services.subscriptions import Subscriptions
from learning_hub.services.targets import TargetLists
from learning_hub.services.test_sends import TestSends
from learning_hub.services.visible_metrics import VisibleMetrics


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The services of one hub process; the API provides each to its handlers under its name here."""

    audit_log: AuditLog
    authenticator: Authenticator
    batch_publishing: BatchPublishing
    deliveries: Deliveries
    event_validation: EventValidation
    events: Events
    feed: Feed
    keys: Keys
    panels: Panels
    participants: ParticipantMatches
    previews: Previews
    programs: Programs
    publisher: Publisher
    reconciliations: Reconciliations
    run_logs: RunLogs
    runs: Runs
    status: HubStatus
    subscriber_checks: SubscriberChecks
    subscribers: Subscribers
    subscriptions: Subscriptions
    targets: TargetLists
    test_sends: TestSends
    visible_metrics: VisibleMetrics
