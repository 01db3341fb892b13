"""The client of openapi-python-client: set up, publish, read the feed, look at a delivery."""

from __future__ import annotations

import datetime as dt
import os
import time
import uuid
from urllib.parse import unquote

from learning_hub_client import AuthenticatedClient
from learning_hub_client.api.delivering import get_delivery, list_deliveries
from learning_hub_client.api.publishing import publish_event
from learning_hub_client.api.reading import list_events
from learning_hub_client.api.setting_up import put_program, put_subscriber, put_subscription
from learning_hub_client.models import (
    DeliveryDetail,
    DeliveryPage,
    EventType,
    FeedPage,
    ImisSettings,
    ImisSubscriberBody,
    ImisSubscriberBodyConnector,
    LearningBuilderCredentials,
    LearningBuilderSettings,
    LearningBuilderSubscriberBody,
    LearningBuilderSubscriberBodyConnector,
    NewEvent,
    NewEventPublisherEventData,
    PasswordCredentials,
    Problem,
    ProgramBody,
    SavedSubscriber,
    SavedSubscription,
    SubscriptionBody,
    SubscriptionBodyTemplates,
    SubscriptionState,
    WebhookSettings,
    WebhookSubscriberBody,
    WebhookSubscriberBodyConnector,
    WebhookTarget,
    WebhookTargetKind,
)

PROGRAM = "NURSES"
SYSTEM = "python-client"

hub = AuthenticatedClient(
    base_url=os.environ["LEARNING_HUB_URL"], token=os.environ["LEARNING_HUB_KEY"], raise_on_unexpected_status=True
)
put_program.sync(PROGRAM, client=hub, body=ProgramBody(name="Nurses"))
subscribers: dict[str, ImisSubscriberBody | LearningBuilderSubscriberBody | WebhookSubscriberBody] = {
    "python-imis": ImisSubscriberBody(
        connector=ImisSubscriberBodyConnector.IMIS,
        name="iMIS",
        settings=ImisSettings(base_url="https://imis.example.org"),
        credentials=PasswordCredentials(username="learning-hub", password="not a real one"),
    ),
    "python-builder": LearningBuilderSubscriberBody(
        connector=LearningBuilderSubscriberBodyConnector.LEARNINGBUILDER,
        name="LearningBuilder",
        settings=LearningBuilderSettings(base_url="https://builder.example.org"),
        credentials=LearningBuilderCredentials(api_key="not-a-real-one"),
    ),
    "python-webhook": WebhookSubscriberBody(
        connector=WebhookSubscriberBodyConnector.WEBHOOK,
        name="Webhook",
        settings=WebhookSettings(url="https://hooks.example.org/learning"),
    ),
}
for subscriber_id, body in subscribers.items():
    saved = put_subscriber.sync(subscriber_id, client=hub, body=body)
    assert isinstance(saved, SavedSubscriber), saved
    assert saved.connector == body.connector.value
subscription = put_subscription.sync(
    "python",
    client=hub,
    body=SubscriptionBody(
        name="Completions",
        subscriber_id="python-webhook",
        program_id=PROGRAM,
        publisher_system_id=SYSTEM,
        event_types=[EventType.AI_COMP_SUCCESS],
        target=WebhookTarget(kind=WebhookTargetKind.POST),
        templates=SubscriptionBodyTemplates.from_dict({"_default": {"Course": "{{ data['Course Name'] }}"}}),
        state=SubscriptionState.STOPPED,
    ),
)
assert isinstance(subscription, SavedSubscription), subscription

event = NewEvent(
    publisher_program_id=PROGRAM,
    publisher_system_id=SYSTEM,
    event_type=EventType.AI_COMP_SUCCESS,
    publisher_event_id=f"AI:{uuid.uuid4()}",
    publisher_participant_id="robin.vale@example.org",
    publisher_event_data=NewEventPublisherEventData.from_dict({"Course Name": "Fire safety", "Credits": 1.5}),
    event_start_utc=dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC),
)
assert '"WouldBe":"new"' in str(publish_event.sync(client=hub, body=event, validate_only=True))
first = publish_event.sync_detailed(client=hub, body=event)
again = publish_event.sync_detailed(client=hub, body=event)
assert (first.status_code, again.status_code) == (201, 200)
event_id = unquote(again.headers["Location"].rpartition("/")[2])

page = list_events.sync(client=hub, program_id=PROGRAM, publisher_system_id=SYSTEM, limit=1000)
assert isinstance(page, FeedPage), page
assert event_id in [item.event_id for item in page.items]
deliveries = list_deliveries.sync(client=hub, event_id=event_id)
while isinstance(deliveries, DeliveryPage) and not deliveries.items:
    time.sleep(0.1)
    deliveries = list_deliveries.sync(client=hub, event_id=event_id)
assert isinstance(deliveries, DeliveryPage), deliveries
detail = get_delivery.sync(deliveries.items[0].delivery_id, client=hub)
assert isinstance(detail, DeliveryDetail), detail
assert detail.state == "waiting"
wrong = list_deliveries.sync(client=hub, limit=0)
assert isinstance(wrong, Problem), wrong
assert wrong.code == "invalid_fields"
