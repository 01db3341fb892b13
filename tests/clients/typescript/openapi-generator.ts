import {
  Configuration,
  DeliveringApi,
  PublishingApi,
  ReadingApi,
  ResponseError,
  SettingUpApi,
} from "./generated/openapi-generator/index.js";
import type { NewEvent, SubscriberBody } from "./generated/openapi-generator/index.js";
import { check, eventually, key, newEvent, program, url } from "./story.js";

const configuration = new Configuration({ basePath: url, apiKey: key });
const settingUp = new SettingUpApi(configuration);
const publishing = new PublishingApi(configuration);
const reading = new ReadingApi(configuration);
const delivering = new DeliveringApi(configuration);

await settingUp.putProgram({ programId: program, programBody: { name: "Nurses" } });
const subscribers: Record<string, SubscriberBody> = {
  "generator-imis": {
    connector: "imis",
    name: "iMIS",
    settings: { baseUrl: "https://imis.example.org" },
    credentials: { username: "learning-hub", password: "not a real one" },
  },
  "generator-builder": {
    connector: "learningbuilder",
    name: "LearningBuilder",
    settings: { baseUrl: "https://builder.example.org" },
    credentials: { apiKey: "not-a-real-one" },
  },
  "generator-webhook": {
    connector: "webhook",
    name: "Webhook",
    settings: { url: "https://hooks.example.org/learning" },
  },
};
for (const [subscriberId, subscriberBody] of Object.entries(subscribers)) {
  const saved = await settingUp.putSubscriber({ subscriberId, subscriberBody });
  check(saved.connector === subscriberBody.connector, `${subscriberId} is set up`);
}
const subscription = await settingUp.putSubscription({
  subscriptionId: "generator",
  subscriptionBody: {
    name: "Completions",
    subscriberId: "generator-webhook",
    programId: program,
    publisherSystemId: "openapi-generator",
    eventTypes: ["AI_COMP_SUCCESS"],
    target: { kind: "post" },
    templates: { _default: { Course: "{{ data['Course Name'] }}" } },
    state: "stopped",
  },
});
check(subscription.state === "stopped", "a subscription is set up");

const values = newEvent("openapi-generator");
const event: NewEvent = {
  publisherProgramId: values.PublisherProgramId,
  publisherSystemId: values.PublisherSystemId,
  eventType: values.EventType,
  publisherEventId: values.PublisherEventId,
  publisherParticipantId: values.PublisherParticipantId,
  publisherEventData: values.PublisherEventData,
  eventStartUtc: new Date(values.EventStartUtc),
};
const valid = await publishing.publishEventRaw({ newEvent: event, validateOnly: true });
check((await valid.raw.json()).WouldBe === "new", "the event would be new");
const first = await publishing.publishEventRaw({ newEvent: event });
const again = await publishing.publishEventRaw({ newEvent: event });
check(first.raw.status === 201 && again.raw.status === 200, "the same event again is stored once");
const eventId = decodeURIComponent(again.raw.headers.get("Location")?.split("/").at(-1) ?? "");

const page = await reading.listEvents({ programId: program, publisherSystemId: "openapi-generator", limit: 1000 });
check(page.items.some((item) => item.eventId === eventId), "the feed has the event");
const delivery = await eventually(async () => (await delivering.listDeliveries({ eventId })).items);
const detail = await delivering.getDelivery({ deliveryId: delivery.deliveryId });
check(detail.state === "waiting", "the delivery of a stopped subscription waits");
const wrong = await delivering.listDeliveries({ limit: 0 }).catch((error: unknown) => error);
check(wrong instanceof ResponseError && wrong.response.status === 400, "a bad field is refused");
