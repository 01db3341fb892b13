"""The Python client of openapi-generator: set up, publish, read the feed, look at a delivery."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
import uuid
from urllib.parse import unquote

import openapi_client as client

PROGRAM = "NURSES"
SYSTEM = "generator-python"

configuration = client.Configuration(host=os.environ["LEARNING_HUB_URL"])
configuration.api_key["ApiKey"] = os.environ["LEARNING_HUB_KEY"]
api = client.ApiClient(configuration)
setting_up, publishing = client.SettingUpApi(api), client.PublishingApi(api)
reading, delivering = client.ReadingApi(api), client.DeliveringApi(api)

setting_up.put_program(PROGRAM, client.ProgramBody(Name="Nurses"))
subscribers = {
    "generated-imis": client.ImisSubscriberBody(
        Connector="imis",
        Name="iMIS",
        Settings=client.ImisSettings(BaseUrl="https://imis.example.org"),
        Credentials=client.ImisSubscriberBodyCredentials(
            client.PasswordCredentials(Username="learning-hub", Password="not a real one")
        ),
    ),
    "generated-builder": client.LearningBuilderSubscriberBody(
        Connector="learningbuilder",
        Name="LearningBuilder",
        Settings=client.LearningBuilderSettings(BaseUrl="https://builder.example.org"),
        Credentials=client.LearningBuilderCredentials(ApiKey="not-a-real-one"),
    ),
    "generated-webhook": client.WebhookSubscriberBody(
        Connector="webhook",
        Name="Webhook",
        Settings=client.WebhookSettings(Url="https://hooks.example.org/learning"),
    ),
}
for subscriber_id, body in subscribers.items():
    saved = setting_up.put_subscriber(subscriber_id, client.SubscriberBody(body))
    assert saved.connector == body.connector
subscription = setting_up.put_subscription(
    "generated",
    client.SubscriptionBody(
        Name="Completions",
        SubscriberId="generated-webhook",
        ProgramId=PROGRAM,
        PublisherSystemId=SYSTEM,
        EventTypes=["AI_COMP_SUCCESS"],
        Target=client.SubscriptionTarget(client.WebhookTarget(Kind="post")),
        Templates={"_default": {"Course": "{{ data['Course Name'] }}"}},
        State="stopped",
    ),
)
assert subscription.state == "stopped"

event = client.NewEvent(
    PublisherProgramId=PROGRAM,
    PublisherSystemId=SYSTEM,
    EventType="AI_COMP_SUCCESS",
    PublisherEventId=f"AI:{uuid.uuid4()}",
    PublisherParticipantId="robin.vale@example.org",
    PublisherEventData={"Course Name": "Fire safety", "Credits": 1.5},
    EventStartUtc=dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC),
)
assert json.loads(publishing.publish_event_with_http_info(event, validate_only=True).raw_data)["WouldBe"] == "new"
first = publishing.publish_event_with_http_info(event)
again = publishing.publish_event_with_http_info(event)
assert (first.status_code, again.status_code) == (201, 200)
event_id = unquote(again.headers["location"].rpartition("/")[2])

page = reading.list_events(program_id=PROGRAM, publisher_system_id=SYSTEM, limit=1000)
assert event_id in [item.event_id for item in page.items]
while not (deliveries := delivering.list_deliveries(event_id=event_id).items):
    time.sleep(0.1)
assert delivering.get_delivery(deliveries[0].delivery_id).state == "waiting"
