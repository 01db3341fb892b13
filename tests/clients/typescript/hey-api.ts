import { client } from "./generated/hey-api/client.gen.js";
import {
  getDelivery,
  listDeliveries,
  listEvents,
  publishEvent,
  putProgram,
  putSubscriber,
  putSubscription,
} from "./generated/hey-api/index.js";
import type { SubscriberBody, ValidationResult } from "./generated/hey-api/index.js";
import { check, eventually, key, newEvent, program, url } from "./story.js";

client.setConfig({ baseUrl: url, headers: { "X-API-Key": key } });

await putProgram({ path: { ProgramId: program }, body: { Name: "Nurses" } });
const subscribers: Record<string, SubscriberBody> = {
  "hey-imis": {
    Connector: "imis",
    Name: "iMIS",
    Settings: { BaseUrl: "https://imis.example.org" },
    Credentials: { Username: "learning-hub", Password: "not a real one" },
  },
  "hey-builder": {
    Connector: "learningbuilder",
    Name: "LearningBuilder",
    Settings: { BaseUrl: "https://builder.example.org" },
    Credentials: { ApiKey: "not-a-real-one" },
  },
  "hey-webhook": { Connector: "webhook", Name: "Webhook", Settings: { Url: "https://hooks.example.org/learning" } },
};
for (const [SubscriberId, body] of Object.entries(subscribers)) {
  const saved = await putSubscriber({ path: { SubscriberId }, body });
  check(saved.data?.Connector === body.Connector, `${SubscriberId} is set up`);
}
const subscription = await putSubscription({
  path: { SubscriptionId: "hey" },
  body: {
    Name: "Completions",
    SubscriberId: "hey-webhook",
    ProgramId: program,
    PublisherSystemId: "hey-api",
    EventTypes: ["AI_COMP_SUCCESS"],
    Target: { Kind: "post" },
    Templates: { _default: { Course: "{{ data['Course Name'] }}" }, Internal: null },
    State: "stopped",
  },
});
check(subscription.data?.State === "stopped", "a subscription is set up");

const event = newEvent("hey-api");
const valid = await publishEvent({ body: event, query: { ValidateOnly: true } });
check((valid.data as ValidationResult).WouldBe === "new", "the event would be new");
const first = await publishEvent({ body: event });
const again = await publishEvent({ body: event });
check(first.response?.status === 201 && again.response?.status === 200, "the same event again is stored once");
const eventId = decodeURIComponent(again.response.headers.get("Location")?.split("/").at(-1) ?? "");

const page = await listEvents({ query: { ProgramId: program, PublisherSystemId: "hey-api", Limit: 1000 } });
check(page.data?.Items.some((item) => item.EventId === eventId) === true, "the feed has the event");
const delivery = await eventually(async () => (await listDeliveries({ query: { EventId: eventId } })).data?.Items);
const detail = await getDelivery({ path: { DeliveryId: delivery.DeliveryId } });
check(detail.data?.State === "waiting", "the delivery of a stopped subscription waits");
const wrong = await listDeliveries({ query: { Limit: 0 } });
check(wrong.error?.code === "invalid_fields", "a bad field is told as a problem");
