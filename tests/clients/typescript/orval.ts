import {
  getDelivery,
  listDeliveries,
  listEvents,
  publishEvent,
  putProgram,
  putSubscriber,
  putSubscription,
} from "./generated/orval.js";
import type { SubscriberBody } from "./generated/orval.js";
import { check, eventually, key, newEvent, program } from "./story.js";

const options = { headers: { "X-API-Key": key } };

await putProgram(program, { Name: "Nurses" }, options);
const subscribers: Record<string, SubscriberBody> = {
  "orval-imis": {
    Connector: "imis",
    Name: "iMIS",
    Settings: { BaseUrl: "https://imis.example.org" },
    Credentials: { Username: "learning-hub", Password: "not a real one" },
  },
  "orval-builder": {
    Connector: "learningbuilder",
    Name: "LearningBuilder",
    Settings: { BaseUrl: "https://builder.example.org" },
    Credentials: { ApiKey: "not-a-real-one" },
  },
  "orval-webhook": { Connector: "webhook", Name: "Webhook", Settings: { Url: "https://hooks.example.org/learning" } },
};
for (const [id, body] of Object.entries(subscribers)) {
  const saved = await putSubscriber(id, body, options);
  check(saved.status === 201 || saved.status === 200, `${id} is set up`);
  check(saved.data.Connector === body.Connector, `${id} is of its kind`);
}
const subscription = await putSubscription(
  "orval",
  {
    Name: "Completions",
    SubscriberId: "orval-webhook",
    ProgramId: program,
    PublisherSystemId: "orval",
    EventTypes: ["AI_COMP_SUCCESS"],
    Target: { Kind: "post" },
    Templates: { _default: { Course: "{{ data['Course Name'] }}" }, Internal: null },
    State: "stopped",
  },
  options,
);
check(subscription.status === 201 && subscription.data.State === "stopped", "a subscription is set up");

const event = newEvent("orval");
const valid = await publishEvent(event, { ValidateOnly: true }, options);
check(valid.status === 200, "the event is valid");
const first = await publishEvent(event, undefined, options);
const again = await publishEvent(event, undefined, options);
check(first.status === 201 && again.status === 200, "the same event again is stored once");
const eventId = decodeURIComponent(again.headers.get("Location")?.split("/").at(-1) ?? "");

const page = await listEvents({ ProgramId: program, PublisherSystemId: "orval", Limit: 1000 }, options);
check(page.status === 200 && page.data.Items.some((item) => item.EventId === eventId), "the feed has the event");
const delivery = await eventually(async () => {
  const deliveries = await listDeliveries({ EventId: eventId }, options);
  check(deliveries.status === 200, "deliveries can be read");
  return deliveries.data.Items;
});
const detail = await getDelivery(delivery.DeliveryId, options);
check(detail.status === 200 && detail.data.State === "waiting", "the delivery of a stopped subscription waits");
const wrong = await listDeliveries({ Limit: 0 }, options);
check(wrong.status === 400 && wrong.data.code === "invalid_fields", "a bad field is told as a problem");
